package procedural

import "math"

// face is a triangle, counter-clockwise seen from outside.
type face struct {
	a, b, c  vec
	material int
	part     int  // faces of one part are rounded where they meet
	hard     bool // but not this one
	tint     [3]rgb
}

// block is the box around a part, in the part's own frame: what stands for it when there are triangles for nothing more.
type block struct {
	frame     frame
	low, high vec
	material  int
	tint      rgb // of its first corner
}

// bone is a node that moves: what is made while it is the current one belongs to it.
type bone struct {
	name   string
	parent int // -1: none
	origin vec // in the frame of the whole model
	faces  []face
	blocks []block
}

// sculptor makes a model of triangles, in a level of detail: 1 is crude, 4 usual, maxLevel fine.
type sculptor struct {
	wish      *wish
	random    *random
	level     int
	frame     frame
	inside    bool // the frame is a mirror
	material  int
	soft      float64 // cosine of the angle up to which edges are rounded
	hard      bool    // no edges are
	materials []material
	bones     []bone
	bone      int
	part      int
	moves     *dance          // nil: nothing moves
	count     int             // triangles, also those not kept
	paint     func(p vec) rgb // tint of a place in the model; nil: none
}

const (
	maxLevel  = 40
	mostFaces = 150_000 // more than any request allows; what goes beyond is counted and not kept
)

func newSculptor(w *wish, level int) *sculptor {
	s := &sculptor{wish: w, random: w.random.fork("sculptor"), level: level, frame: still(), soft: cos(tau / 9)}
	if w.look == lowPolyLook {
		s.level, s.soft = min(level, 3), 2
	}
	s.bones = []bone{{name: "root", parent: -1}}
	return s
}

// use makes everything from here on of a material.
func (s *sculptor) use(m material) {
	for i, known := range s.materials {
		if known == m {
			s.material = i
			return
		}
	}
	s.materials = append(s.materials, m)
	s.material = len(s.materials) - 1
}

// within does something in another frame, inside of the current one.
func (s *sculptor) within(f frame, do func()) {
	before, turned := s.frame, s.inside
	s.frame = before.then(f)
	s.inside = s.frame.x.cross(s.frame.y).dot(s.frame.z) < 0
	do()
	s.frame, s.inside = before, turned
}

// joint begins a bone in the current frame, does something with it, and goes back.
func (s *sculptor) joint(name string, f frame, do func()) {
	s.within(f, func() {
		before := s.bone
		s.bones = append(s.bones, bone{name: name, parent: before, origin: s.frame.origin})
		s.bone = len(s.bones) - 1
		do()
		s.bone = before
	})
}

// crisp does something that keeps all its edges.
func (s *sculptor) crisp(do func()) {
	before := s.hard
	s.hard = true
	do()
	s.hard = before
}

// tone makes everything from here on of the material of a part.
func (s *sculptor) tone(part role, usual material) { s.use(s.wish.tone(part, usual)) }

// segments is into how many pieces something round is divided that has n of them in the usual detail.
func (s *sculptor) segments(n int) int { return max(3, (n*s.level+3)/4) }

// fine reports whether there are triangles for details that one looks for only at this level.
func (s *sculptor) fine(level int) bool { return s.level >= level }

// begin begins a part, whose faces are rounded where they meet.
func (s *sculptor) begin() {
	s.part++
	far := math.Inf(1)
	b := &s.bones[s.bone]
	b.blocks = append(b.blocks, block{frame: s.frame, low: vec{far, far, far}, high: vec{-far, -far, -far}, material: s.material})
}

func (s *sculptor) triangle(a, b, c vec) {
	if s.count++; s.count > mostFaces {
		return
	}
	if s.inside {
		b, c = c, b
	}
	bone := &s.bones[s.bone]
	box := &bone.blocks[len(bone.blocks)-1]
	box.low, box.high = box.low.least(a).least(b).least(c), box.high.most(a).most(b).most(c)
	f := face{a: s.frame.place(a), b: s.frame.place(b), c: s.frame.place(c), material: s.material, part: s.part, hard: s.hard}
	white := rgb{1, 1, 1}
	f.tint = [3]rgb{white, white, white}
	if s.paint != nil && box.tint == (rgb{}) {
		box.tint = s.paint(f.a)
	}
	if s.paint != nil {
		f.tint = [3]rgb{s.paint(f.a), s.paint(f.b), s.paint(f.c)}
	}
	bone.faces = append(bone.faces, f)
}

func (s *sculptor) quad(a, b, c, d vec) {
	s.triangle(a, b, c)
	s.triangle(a, c, d)
}

// bounds is the box around everything.
func (s *sculptor) bounds() (low, high vec) {
	far := math.Inf(1)
	low, high = vec{far, far, far}, vec{-far, -far, -far}
	for _, b := range s.bones {
		for _, f := range b.faces {
			low, high = low.least(f.a).least(f.b).least(f.c), high.most(f.a).most(f.b).most(f.c)
		}
	}
	return low, high
}
