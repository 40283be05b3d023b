package procedural

import (
	"context"
	"math"

	"gaia/domain"
)

// archetype is a kind of thing that is known how to be made. It stands on the ground, its middle over the origin, its front to the viewer.
type archetype struct {
	name  string
	build func(s *sculptor)
}

// prop makes a single thing.
func (w *wish) prop(ctx context.Context, o domain.GenerationOrder, l limits) ([]domain.GeneratedFile, error) {
	kind := w.archetype()
	m, err := l.fit(ctx, func(level int) *sculptor { return w.sculptProp(kind, level) })
	if err != nil {
		return nil, err
	}
	return w.modelFiles(ctx, m, l.format, o.Seed, kind.name)
}

// archetype is the kind of thing that the words mean; of what is not known, some piece of art.
func (w *wish) archetype() archetype {
	if kind, _, ok := subject(w.words, archetypes); ok {
		return kind
	}
	if kind, _, ok := subject(w.all, archetypes); ok {
		return kind
	}
	return archetype{name: "artefact", build: artefact}
}

func (w *wish) sculptProp(kind archetype, level int) *sculptor {
	s := newSculptor(w, level)
	s.bones[0].name = kind.name
	r := w.random.fork("size")
	slender := r.around(w.slender, 0.08)
	across := r.around(w.size, 0.05) / math.Sqrt(slender)
	s.within(still().stretch(across, mul(w.size, slender), across), func() { kind.build(s) })
	return s
}

// mark puts a sign of the look on a surface: on the plane of x and y, within a width and a height.
func (s *sculptor) mark(width, height float64) {
	if !s.fine(2) {
		return
	}
	before := s.material
	switch {
	case s.wish.look == scifiLook:
		s.panel(width, height)
	case s.wish.look == fantasyLook || s.wish.glowing:
		s.rune(width, height)
	}
	s.material = before
}

// rune is a letter of a few strokes that glow.
func (s *sculptor) rune(width, height float64) {
	s.use(s.wish.beam())
	stroke := mul(min(width, height), 0.16)
	bar := func(x, y, long, turn float64) {
		s.within(at(x, y, 0).turnZ(turn), func() {
			s.begin()
			s.plainBox(stroke/2, long/2, stroke/2)
		})
	}
	x := mul(width, s.random.between(-0.2, 0.2))
	bar(x, 0, height, 0)
	for range 1 + s.random.below(2) {
		bar(x+mul(width, 0.2), mul(height, s.random.between(-0.3, 0.3)), mul(width, 0.6), s.random.between(0.6, 1.1))
	}
	if s.random.chance(0.5) {
		bar(x-mul(width, 0.2), mul(height, s.random.between(-0.2, 0.2)), mul(width, 0.5), s.random.between(-1.1, -0.6))
	}
}

// panel is a plate with a strip of light.
func (s *sculptor) panel(width, height float64) {
	depth := mul(min(width, height), 0.08)
	s.use(material{name: "panel", colour: rgb{0.05, 0.06, 0.08}, metallic: 0.6, roughness: 0.4, alpha: 1})
	s.box(mul(width, 0.9), mul(height, 0.9), depth)
	s.use(s.wish.beam())
	y := mul(height, s.random.between(-0.25, 0.25))
	s.within(at(0, y, depth/4), func() {
		s.begin()
		s.plainBox(mul(width, 0.35), mul(height, 0.05), depth/2)
	})
}

// artefact is what stands for things that nobody taught: a plinth, and above it forms that the words draw.
func artefact(s *sculptor) {
	r := s.random
	s.tone(secondRole, materials["stone"])
	s.turned(s.segments(16), [2]float64{0.34, 0}, [2]float64{0.34, 0.06}, [2]float64{0.28, 0.1}, [2]float64{0.26, 0.3}, [2]float64{0.32, 0.34}, [2]float64{0.32, 0.4})
	s.tone(mainRole, metal("body", 0xb8bcc4, 0.3))
	y, size := 0.4, 0.26
	for i := range 2 + r.below(3) {
		tall := mul(size, r.between(0.8, 1.6))
		form, turn := r.below(5), r.between(0, tau)
		s.within(at(0, y, 0).turnY(turn), func() { s.form(form, size, tall) })
		y, size = y+mul(tall, 0.92), mul(size, r.between(0.6, 0.9))
		s.tone(role(i+1), materials["bronze"])
	}
	s.use(s.wish.tone(accentRole, clear("heart", 0x6fd3ff, 0.85)))
	s.within(at(0, y+0.08, 0), func() { s.gem(0.07, 0.2) })
	s.tone(trimRole, materials["gold"])
	s.within(at(0, y*0.75, 0).turnZ(r.between(-0.5, 0.5)).turnX(r.between(-0.4, 0.4)), func() { s.hoop(r.between(0.3, 0.42), 0.012) })
}

// form is one of a few solids that stand in the origin.
func (s *sculptor) form(kind int, size, tall float64) {
	switch kind {
	case 0:
		s.within(at(0, tall/2, 0).stretch(1, tall/(2*size), 1), func() { s.ball(s.segments(16), size) })
	case 1:
		s.boxAt(0, 0, 0, mul(size, 1.5), tall, mul(size, 1.5))
	case 2:
		s.crisp(func() { s.cylinder(6, size, mul(size, 0.6), tall) })
	case 3:
		s.turned(s.segments(16), [2]float64{mul(size, 0.5), 0}, [2]float64{size, mul(tall, 0.35)}, [2]float64{mul(size, 0.35), mul(tall, 0.8)}, [2]float64{mul(size, 0.6), tall})
	default:
		s.within(at(0, tall/2, 0), func() {
			s.within(still().turnX(tau/4), func() { s.hoop(mul(tall, 0.4), mul(size, 0.3)) })
		})
	}
}

// gem is two pyramids of six sides.
func (s *sculptor) gem(radius, height float64) {
	s.crisp(func() {
		s.turned(6, [2]float64{0, -height / 2}, [2]float64{radius, mul(height, 0.1)}, [2]float64{mul(radius, 0.6), mul(height, 0.3)}, [2]float64{0, height / 2})
	})
}
