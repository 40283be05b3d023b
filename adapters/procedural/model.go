package procedural

import "math"

// model is a finished model, as files carry it.
type model struct {
	materials []material
	nodes     []node
	motion    *motion // nil: it stands still
}

// node is a part of a model that moves as a whole.
type node struct {
	name       string
	parent     int // -1: none
	shift      vec // against the parent
	primitives []primitive
}

// primitive is the triangles of one material.
type primitive struct {
	material  int
	positions [][3]float32
	normals   [][3]float32
	tints     [][3]uint8 // in linear light; nil: white
	indices   []uint32
}

// grain is to what places are rounded: a hundredth of a millimetre.
const grain = 1e5

// spot is a place on the grid.
type spot [3]int32

func spotOf(p vec) spot {
	round := func(x float64) int32 { return int32(math.Floor(mul(clamp(x, -20000, 20000), grain) + 0.5)) }
	return spot{round(p.x), round(p.y), round(p.z)}
}

func (s spot) floats() [3]float32 {
	return [3]float32{float32(float64(s[0]) / grain), float32(float64(s[1]) / grain), float32(float64(s[2]) / grain)}
}

// finish makes the model of what a sculptor has done.
func (s *sculptor) finish() *model {
	m := &model{materials: s.materials}
	for _, b := range s.bones {
		n := node{name: b.name, parent: b.parent, shift: b.origin}
		if b.parent >= 0 {
			n.shift = b.origin.sub(s.bones[b.parent].origin)
		}
		n.primitives = weldAll(b.faces, len(s.materials), b.origin, s.soft)
		m.nodes = append(m.nodes, n)
	}
	m.forget()
	if s.moves != nil {
		m.motion = s.moves.perform(s.bones, s.wish)
	}
	return m
}

// forget drops the materials of which nothing is made.
func (m *model) forget() {
	places := make([]int, len(m.materials))
	var used []material
	for i, one := range m.materials {
		places[i] = -1
		for _, n := range m.nodes {
			for _, p := range n.primitives {
				if p.material == i && places[i] < 0 {
					places[i] = len(used)
					used = append(used, one)
				}
			}
		}
	}
	for _, n := range m.nodes {
		for k := range n.primitives {
			n.primitives[k].material = places[n.primitives[k].material]
		}
	}
	m.materials = used
}

// corner says where faces meet that may be rounded.
type corner struct {
	part int
	spot spot
}

// vertex is what makes a corner of a triangle another one.
type vertex struct {
	spot   spot
	normal [3]int16
	tint   [3]uint8
}

// weldAll welds the faces of each material.
func weldAll(faces []face, materials int, origin vec, soft float64) []primitive {
	sorted := make([][]face, materials)
	for _, f := range faces {
		sorted[f.material] = append(sorted[f.material], f)
	}
	var primitives []primitive
	for i, of := range sorted {
		if p := weld(of, origin, soft); len(p.indices) > 0 {
			p.material = i
			primitives = append(primitives, p)
		}
	}
	return primitives
}

// meeting is a list of the normals of the faces at a corner: each with the one before it.
type meeting struct {
	normal vec
	unit   vec
	before int // -1: none
}

// weld joins the corners of faces that are the same, after it has given each its normal.
func weld(faces []face, origin vec, soft float64) primitive {
	var p primitive
	var list []meeting
	last := make(map[corner]int, len(faces)) // of each corner the last in the list
	chosen := make([]face, 0, len(faces))
	for _, f := range faces {
		f.a, f.b, f.c = f.a.sub(origin), f.b.sub(origin), f.c.sub(origin)
		a, b, c := spotOf(f.a), spotOf(f.b), spotOf(f.c)
		normal := f.b.sub(f.a).cross(f.c.sub(f.a))
		if a == b || b == c || a == c || normal.length() < 1e-12 {
			continue
		}
		chosen = append(chosen, f)
		if soft > 1 || f.hard {
			continue
		}
		for _, at := range [...]spot{a, b, c} {
			before, ok := last[corner{f.part, at}]
			if !ok {
				before = -1
			}
			last[corner{f.part, at}] = len(list)
			list = append(list, meeting{normal, normal.unit(), before})
		}
	}
	known := make(map[vertex]uint32, len(chosen))
	coloured := false
	for _, f := range chosen {
		flat := f.b.sub(f.a).cross(f.c.sub(f.a)).unit()
		for i, at := range [...]vec{f.a, f.b, f.c} {
			here, n := spotOf(at), flat
			if soft <= 1 && !f.hard {
				n = rounded(flat, list, last[corner{f.part, here}], soft)
			}
			v := vertex{spot: here, normal: steps(n), tint: tintBytes(f.tint[i])}
			index, ok := known[v]
			if !ok {
				index = uint32(len(p.positions)) // #nosec G115 -- the level of detail bounds it
				known[v] = index
				p.positions = append(p.positions, here.floats())
				p.normals = append(p.normals, [3]float32{float32(n.x), float32(n.y), float32(n.z)})
				p.tints = append(p.tints, v.tint)
				coloured = coloured || v.tint != [3]uint8{255, 255, 255}
			}
			p.indices = append(p.indices, index)
		}
	}
	if !coloured {
		p.tints = nil
	}
	return p
}

// rounded is the normal of a corner: the mean of the faces there that do not bend away too much, larger ones counting more.
func rounded(unit vec, list []meeting, last int, soft float64) vec {
	var sum vec
	for ; last >= 0; last = list[last].before {
		if unit.dot(list[last].unit) >= soft {
			sum = sum.add(list[last].normal)
		}
	}
	return sum.unit()
}

func steps(n vec) [3]int16 {
	step := func(x float64) int16 { return int16(math.Floor(mul(x, 1000) + 0.5)) }
	return [3]int16{step(n.x), step(n.y), step(n.z)}
}

func tintBytes(c rgb) [3]uint8 {
	part := func(x float64) uint8 { return uint8(math.Floor(mul(clamp(x, 0, 1), 255) + 0.5)) }
	return [3]uint8{part(c.r), part(c.g), part(c.b)}
}

// polygons counts the triangles.
func (m *model) polygons() int {
	n := 0
	for _, node := range m.nodes {
		for _, p := range node.primitives {
			n += len(p.indices) / 3
		}
	}
	return n
}
