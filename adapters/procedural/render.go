package procedural

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// facet is a triangle that is looked at.
type facet struct {
	place    [3]vec
	normal   [3]vec
	tint     [3]rgb
	material *material
}

// facets are the triangles of a model where they stand, moved by a frame.
func (m *model) facets(f frame) []facet {
	out := make([]facet, 0, m.polygons())
	frames := make([]frame, len(m.nodes))
	for i, n := range m.nodes {
		parent := f
		if n.parent >= 0 {
			parent = frames[n.parent]
		}
		frames[i] = parent.then(m.pose(i))
		g := frames[i]
		for _, p := range n.primitives {
			for k := 0; k+2 < len(p.indices); k += 3 {
				t := facet{material: &m.materials[p.material]}
				for c := range 3 {
					index := p.indices[k+c]
					at, up := p.positions[index], p.normals[index]
					t.place[c] = g.place(vec{float64(at[0]), float64(at[1]), float64(at[2])})
					t.normal[c] = g.turn(vec{float64(up[0]), float64(up[1]), float64(up[2])}).unit()
					t.tint[c] = rgb{1, 1, 1}
					if p.tints != nil {
						c3 := p.tints[index]
						t.tint[c] = rgb{float64(c3[0]) / 255, float64(c3[1]) / 255, float64(c3[2]) / 255}
					}
				}
				out = append(out, t)
			}
		}
	}
	return out
}

// pose is where a node is against its parent: of what moves, a quarter into the movement.
func (m *model) pose(i int) frame {
	f := at(m.nodes[i].shift.x, m.nodes[i].shift.y, m.nodes[i].shift.z)
	if m.motion == nil {
		return f
	}
	for _, t := range m.motion.tracks {
		if t.node != i {
			continue
		}
		switch k := t.keys[len(t.keys)/4]; t.path {
		case "translation":
			f.origin = vec{k[0], k[1], k[2]}
		case "rotation":
			f = f.then(turned(k[0], k[1], k[2], k[3]))
		case "scale":
			f = f.stretch(k[0], k[1], k[2])
		}
	}
	return f
}

// turned is the frame of a quaternion.
func turned(x, y, z, w float64) frame {
	return frame{
		x: vec{1 - 2*(float64(y*y)+float64(z*z)), 2 * (float64(x*y) + float64(z*w)), 2 * (float64(x*z) - float64(y*w))},
		y: vec{2 * (float64(x*y) - float64(z*w)), 1 - 2*(float64(x*x)+float64(z*z)), 2 * (float64(y*z) + float64(x*w))},
		z: vec{2 * (float64(x*z) + float64(y*w)), 2 * (float64(y*z) - float64(x*w)), 1 - 2*(float64(x*x)+float64(y*y))},
	}
}

// light is what falls on a scene.
type light struct {
	sun      vec     // to where it is
	key      rgb     // of the sun
	sky      rgb     // from above
	ground   rgb     // from below
	haze     rgb     // what far things fade into
	distance float64 // where half is haze; 0: nowhere
}

// camera looks from a place at another.
type camera struct {
	eye, target vec
	zoom        float64 // how many times as far as half the picture's height is wide the distance is
}

// film is a picture while it is taken.
type film struct {
	w, h   int
	colour []float32 // red, green and blue of each pixel
	cover  []float32
	glow   []uint16 // of each pixel the light in glows
	glows  []rgb
	depth  []float32
}

func newFilm(w, h int) *film {
	f := &film{w: w, h: h, colour: make([]float32, 3*w*h), cover: make([]float32, w*h), glow: make([]uint16, w*h), depth: make([]float32, w*h), glows: []rgb{{}}}
	for i := range f.depth {
		f.depth[i] = math.MaxFloat32
	}
	return f
}

// view is a camera with its axes.
type view struct {
	camera
	right, up, ahead vec
	w, h             float64
}

func (c camera) view(w, h int) view {
	ahead := c.target.sub(c.eye).unit()
	right := ahead.cross(vec{0, 1, 0}).unit()
	return view{camera: c, right: right, up: right.cross(ahead), ahead: ahead, w: float64(w), h: float64(h)}
}

// project gives the pixel and the distance of a place.
func (v view) project(p vec) vec {
	d := p.sub(v.eye)
	z := d.dot(v.ahead)
	k := v.zoom * v.h / 2 / max(z, 1e-6)
	return vec{v.w/2 + float64(d.dot(v.right)*k), v.h/2 - float64(d.dot(v.up)*k), z}
}

// ray is the direction of a pixel.
func (v view) ray(x, y float64) vec {
	k := 2 / (v.zoom * v.h)
	return v.ahead.add(v.right.scale(float64((x - v.w/2) * k))).add(v.up.scale(float64((v.h/2 - y) * k))).unit()
}

// projected is a facet on the film.
type projected struct {
	*facet
	at   [3]vec
	glow uint16
	near float64
}

// take draws facets: those that nothing shines through first, the others from behind to the front.
func (f *film) take(ctx context.Context, facets []facet, v view, l light, shade *shadow) error {
	var solid, clear []projected
	for i := range facets {
		p := projected{facet: &facets[i], glow: f.glowing(facets[i].material.glow)}
		behind := false
		for c := range 3 {
			p.at[c] = v.project(facets[i].place[c])
			behind = behind || p.at[c].z < 0.02
		}
		p.near = p.at[0].z + p.at[1].z + p.at[2].z
		away := float64((p.at[1].x-p.at[0].x)*(p.at[2].y-p.at[0].y)) - float64((p.at[2].x-p.at[0].x)*(p.at[1].y-p.at[0].y))
		switch {
		case behind || away >= 0:
		case p.material.alpha < 1:
			clear = append(clear, p)
		default:
			solid = append(solid, p)
		}
	}
	slices.SortStableFunc(clear, func(a, b projected) int { return cmp.Compare(b.near, a.near) })
	const strips = 16
	return rows(ctx, strips, func(k int) {
		top, bottom := k*f.h/strips, (k+1)*f.h/strips
		for _, p := range solid {
			f.draw(p, top, bottom, v, l, shade)
		}
		for _, p := range clear {
			f.draw(p, top, bottom, v, l, shade)
		}
	})
}

// glowing is the number of a light.
func (f *film) glowing(c rgb) uint16 {
	if i := slices.Index(f.glows, c); i >= 0 {
		return uint16(i) // #nosec G115 -- a model has a few materials
	}
	f.glows = append(f.glows, c)
	return uint16(len(f.glows) - 1) // #nosec G115 -- a model has a few materials
}

// draw fills a facet between two rows.
func (f *film) draw(p projected, top, bottom int, v view, l light, shade *shadow) {
	a, b, c := p.at[0], p.at[1], p.at[2]
	y0 := max(top, int(math.Ceil(min(a.y, b.y, c.y)-0.5)))
	y1 := min(bottom-1, int(math.Floor(max(a.y, b.y, c.y)-0.5)))
	x0 := max(0, int(math.Ceil(min(a.x, b.x, c.x)-0.5)))
	x1 := min(f.w-1, int(math.Floor(max(a.x, b.x, c.x)-0.5)))
	area := float64((b.x-a.x)*(c.y-a.y)) - float64((c.x-a.x)*(b.y-a.y))
	if area == 0 {
		return
	}
	for y := y0; y <= y1; y++ {
		py := float64(y) + 0.5
		for x := x0; x <= x1; x++ {
			px := float64(x) + 0.5
			k1 := (float64((px-a.x)*(c.y-a.y)) - float64((c.x-a.x)*(py-a.y))) / area
			k2 := (float64((b.x-a.x)*(py-a.y)) - float64((px-a.x)*(b.y-a.y))) / area
			k0 := 1 - k1 - k2
			if k0 < 0 || k1 < 0 || k2 < 0 {
				continue
			}
			// What is linear on the film is the inverse of the distance.
			k0, k1, k2 = k0/a.z, k1/b.z, k2/c.z
			z := 1 / (k0 + k1 + k2)
			i := y*f.w + x
			if float32(z) >= f.depth[i] {
				continue
			}
			f.put(i, z, p, [3]float64{float64(k0 * z), float64(k1 * z), float64(k2 * z)}, v, l, shade)
		}
	}
}

func (f *film) put(i int, z float64, t projected, k [3]float64, v view, l light, shade *shadow) {
	blend := func(a [3]vec) vec { return a[0].scale(k[0]).add(a[1].scale(k[1])).add(a[2].scale(k[2])) }
	place, normal := blend(t.place), blend(t.normal).unit()
	tint := t.tint[0].scale(k[0]).add(t.tint[1].scale(k[1])).add(t.tint[2].scale(k[2]))
	sun := 1.0
	if shade != nil {
		sun = shade.light(place.add(normal.scale(shade.bias)), i%f.w&1, i/f.w&1)
	}
	c := t.material.seen(tint, normal, v.eye.sub(place).unit(), l, sun)
	if l.distance > 0 {
		c = c.mix(l.haze, z/(z+l.distance))
	}
	alpha := t.material.alpha
	if alpha >= 1 {
		f.depth[i] = float32(z)
	}
	over := func(p *float32, x float64) { *p = float32(mix(float64(*p), x, alpha)) }
	over(&f.colour[3*i], c.r)
	over(&f.colour[3*i+1], c.g)
	over(&f.colour[3*i+2], c.b)
	over(&f.cover[i], 1)
	if t.glow != 0 || alpha >= 1 {
		f.glow[i] = t.glow
	}
}

// seen is the light that comes from a surface to the eye.
func (m *material) seen(tint rgb, normal, eye vec, l light, sun float64) rgb {
	base := m.colour.times(tint)
	facing := normal.dot(l.sun)
	direct := float64(max(0, facing) * sun)
	around := l.ground.mix(l.sky, 0.5+0.5*normal.y)
	out := base.scale(1 - float64(m.metallic*0.85)).times(around.add(l.key.scale(direct)))
	mirror := rgb{0.04, 0.04, 0.04}.mix(base, m.metallic)
	reflected := normal.scale(2 * normal.dot(eye)).sub(eye)
	edge := 1 - clamp(normal.dot(eye), 0, 1)
	edge = float64(edge * (float64(edge * edge)))
	mirror = mirror.add(rgb{1, 1, 1}.scale(float64(edge * 0.25 * (1 - m.roughness))))
	out = out.add(mirror.times(l.mirrored(reflected, m.roughness, sun)))
	return out.add(m.glow)
}

// mirrored is what a surface reflects: a bright sky with its horizon, the dark ground, and the sun.
func (l light) mirrored(r vec, rough, sun float64) rgb {
	sky := l.sky.scale(1.1).mix(l.sky.add(l.key.scale(0.5)), smooth(0.5, 0, abs(r.y-0.15)))
	around := l.ground.scale(0.7).mix(sky, smooth(-0.15-rough, 0.1+rough, r.y))
	spot := max(0, r.dot(l.sun))
	for range 5 - int(rough*5) { // the smoother, the smaller the spot
		spot = float64(spot * (spot))
	}
	return around.add(l.key.scale(float64(spot * sun * (2.2 - float64(1.9*rough)))))
}

// shadow is the scene as the sun sees it.
type shadow struct {
	side        int
	depth       []float32
	right, up   vec
	ahead       vec
	origin      vec
	scale, bias float64
}

func newShadow(ctx context.Context, facets []facet, sun vec, side int) (*shadow, error) {
	far := math.Inf(1)
	low, high := vec{far, far, far}, vec{-far, -far, -far}
	for _, t := range facets {
		for _, p := range t.place {
			low, high = low.least(p), high.most(p)
		}
	}
	s := &shadow{side: side, depth: make([]float32, side*side), ahead: sun.scale(-1)}
	s.right = s.ahead.across()
	s.up = s.right.cross(s.ahead)
	s.origin = low.mix(high, 0.5)
	radius := high.sub(low).length()/2 + 1e-6
	s.scale = float64(side) / 2 / radius
	s.bias = radius * 5 / float64(side)
	for i := range s.depth {
		s.depth[i] = math.MaxFloat32
	}
	for n, t := range facets {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if t.material.alpha < 0.6 || t.material.glow != (rgb{}) {
			continue
		}
		s.fill(s.project(t.place[0]), s.project(t.place[1]), s.project(t.place[2]))
	}
	return s, nil
}

func (s *shadow) project(p vec) vec {
	d := p.sub(s.origin)
	half := float64(s.side) / 2
	return vec{half + float64(d.dot(s.right)*s.scale), half - float64(d.dot(s.up)*s.scale), d.dot(s.ahead)}
}

func (s *shadow) fill(a, b, c vec) {
	y0, y1 := max(0, int(min(a.y, b.y, c.y))), min(s.side-1, int(max(a.y, b.y, c.y)))
	x0, x1 := max(0, int(min(a.x, b.x, c.x))), min(s.side-1, int(max(a.x, b.x, c.x)))
	area := float64((b.x-a.x)*(c.y-a.y)) - float64((c.x-a.x)*(b.y-a.y))
	if area == 0 {
		return
	}
	for y := y0; y <= y1; y++ {
		for x := x0; x <= x1; x++ {
			px, py := float64(x)+0.5, float64(y)+0.5
			k1 := (float64((px-a.x)*(c.y-a.y)) - float64((c.x-a.x)*(py-a.y))) / area
			k2 := (float64((b.x-a.x)*(py-a.y)) - float64((px-a.x)*(b.y-a.y))) / area
			if k1 < 0 || k2 < 0 || k1+k2 > 1 {
				continue
			}
			z := float32(float64(a.z*(1-k1-k2)) + float64(b.z*k1) + float64(c.z*k2))
			if i := y*s.side + x; z < s.depth[i] {
				s.depth[i] = z
			}
		}
	}
}

// light is how much of the sun reaches a place; four neighbouring pixels look at four neighbouring places.
func (s *shadow) light(p vec, dx, dy int) float64 {
	q := s.project(p)
	sum := 0.0
	for _, step := range [...][2]float64{{0, 0}, {1.2, 0.4}, {-0.4, 1.2}} {
		x, y := int(q.x+step[0]+float64(dx)-0.5), int(q.y+step[1]+float64(dy)-0.5)
		if x < 0 || y < 0 || x >= s.side || y >= s.side || float64(s.depth[y*s.side+x]) > q.z-s.bias {
			sum++
		}
	}
	return sum / 3
}
