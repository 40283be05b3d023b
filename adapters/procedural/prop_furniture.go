package procedural

func table(s *sculptor) {
	r := s.random
	w, d, h := r.between(1.1, 1.5), r.between(0.65, 0.85), r.between(0.7, 0.78)
	round := s.wish.has("round") || r.chance(0.2)
	s.tone(mainRole, materials["oak"])
	wood := s.wish.tone(mainRole, materials["oak"])
	if round {
		s.within(at(0, h-0.05, 0), func() {
			s.turned(s.segments(24), [2]float64{w * 0.48, 0}, [2]float64{w * 0.5, 0.015}, [2]float64{w * 0.5, 0.04}, [2]float64{w * 0.48, 0.05})
		})
		s.tone(secondRole, wood.shaded(0.7))
		s.turned(s.segments(14), [2]float64{0.26, 0}, [2]float64{0.26, 0.05}, [2]float64{0.08, 0.12}, [2]float64{0.11, 0.3}, [2]float64{0.06, 0.5}, [2]float64{0.14, h - 0.05})
		return
	}
	for i := range 4 {
		s.use(wood.shaded(r.between(0.88, 1.1)).named("board"))
		s.boxAt(0, h-0.05, (float64(i)-1.5)*d/4, w, 0.05, d/4-0.004)
	}
	s.tone(secondRole, wood.shaded(0.75).named("legs"))
	for _, x := range []float64{-1, 1} {
		s.boxAt(x*(w/2-0.14), h-0.13, 0, 0.05, 0.08, d*0.84)
		for _, z := range []float64{-1, 1} {
			s.within(at(x*(w/2-0.1), 0, z*(d/2-0.1)), func() { s.leg(h - 0.05) })
		}
	}
	for _, z := range []float64{-1, 1} {
		s.boxAt(0, h-0.13, z*(d/2-0.08), w*0.86, 0.08, 0.03)
	}
	s.within(at(0, h-0.09, d/2), func() { s.mark(w*0.3, 0.07) })
}

// leg is turned when the whole is rich, and square when it is not.
func (s *sculptor) leg(height float64) {
	if s.wish.rich > 1 || s.wish.look == fantasyLook {
		s.turned(s.segments(10), [2]float64{0.025, 0}, [2]float64{0.045, height * 0.08}, [2]float64{0.025, height * 0.2}, [2]float64{0.05, height * 0.55}, [2]float64{0.028, height * 0.75}, [2]float64{0.05, height * 0.82}, [2]float64{0.05, height})
		return
	}
	s.boxAt(0, 0, 0, 0.08, height, 0.08)
}

func chair(s *sculptor) {
	r := s.random
	w, d, seat := r.between(0.42, 0.5), r.between(0.42, 0.48), r.between(0.42, 0.47)
	back := r.between(0.42, 0.6)
	throne := s.wish.has("throne") || s.wish.rich > 1
	if throne {
		w, back = float64(w*1.35), float64(back*1.6)
	}
	wood := s.wish.tone(mainRole, materials["oak"])
	s.use(wood)
	s.boxAt(0, seat-0.05, 0, w, 0.05, d)
	for _, x := range []float64{-1, 1} {
		s.within(at(x*(w/2-0.04), 0, d/2-0.04), func() { s.leg(seat - 0.05) })
		s.within(at(x*(w/2-0.035), 0, 0.035-d/2), func() { s.boxAt(0, 0, 0, 0.06, seat+back, 0.05) })
		s.boxAt(x*(w/2-0.04), seat*0.35, 0, 0.035, 0.035, d*0.85)
		if throne {
			s.boxAt(x*(w/2-0.03), seat+0.22, 0.02, 0.08, 0.05, d)
			s.boxAt(x*(w/2-0.03), seat, d/2-0.05, 0.06, 0.23, 0.06)
		}
	}
	s.tone(secondRole, dull("cushion", 0x8c2f39, 0.9))
	if throne || r.chance(0.4) {
		s.boxAt(0, seat, 0, w*0.86, 0.06, d*0.86)
	}
	s.use(wood.shaded(0.85).named("back"))
	switch {
	case throne:
		s.boxAt(0, seat+0.02, 0.035-d/2, w*0.8, back*0.95, 0.035)
		s.tone(secondRole, dull("cushion", 0x8c2f39, 0.9))
		s.boxAt(0, seat+0.15, 0.06-d/2, w*0.6, back*0.65, 0.04)
		s.tone(trimRole, materials["gold"])
		for _, x := range []float64{-1, 1} {
			s.within(at(x*(w/2-0.035), seat+back+0.03, 0.035-d/2), func() { s.ball(s.segments(12), 0.055) })
		}
		s.tone(accentRole, clear("gem", 0xc8102e, 0.95))
		s.within(at(0, seat+back+0.06, 0.04-d/2), func() { s.gem(0.06, 0.18) })
	case r.chance(0.5):
		for i := range 3 {
			s.boxAt(0, seat+float64(back*(0.3+0.25*float64(i))), 0.035-d/2, w*0.86, back*0.14, 0.025)
		}
	default:
		s.boxAt(0, seat+back-0.09, 0.035-d/2, w*0.86, 0.09, 0.03)
		for i := range 4 {
			s.boxAt((float64(i)-1.5)*w*0.2, seat, 0.035-d/2, 0.025, back-0.06, 0.02)
		}
	}
}

func bed(s *sculptor) {
	r := s.random
	w, l := r.between(1, 1.5), 2.0
	wood := s.wish.tone(mainRole, materials["oak"])
	s.use(wood)
	s.boxAt(0, 0.2, 0, w, 0.14, l)
	s.boxAt(0, 0, -l/2, w+0.08, 1.0, 0.08)
	s.boxAt(0, 0, l/2, w+0.08, 0.55, 0.08)
	s.tone(trimRole, wood.shaded(0.7))
	for _, x := range []float64{-1, 1} {
		for _, z := range []float64{-1, 1} {
			s.within(at(x*(w/2), 0, z*l/2), func() { s.boxAt(0, 0, 0, 0.1, 0.85-z*0.25, 0.1) })
		}
	}
	s.use(dull("sheet", 0xf1ece0, 0.95))
	s.boxAt(0, 0.34, 0, w*0.96, 0.16, l*0.95)
	s.tone(secondRole, dull("blanket", 0x3d5f9e, 0.95))
	s.boxAt(0, 0.36, l*0.14, w, 0.17, l*0.62)
	s.use(dull("pillow", 0xfaf7ef, 0.9))
	for _, x := range []float64{-0.25, 0.25} {
		s.within(at(x*w, 0.55, -l*0.36).stretch(w*0.2, 0.08, 0.19), func() { s.ball(s.segments(14), 1) })
	}
}

func shelf(s *sculptor) {
	r := s.random
	w, h, d := r.between(0.9, 1.2), r.between(1.6, 2), 0.32
	wood := s.wish.tone(mainRole, materials["oak"])
	s.use(wood)
	for _, x := range []float64{-1, 1} {
		s.boxAt(x*w/2, 0, 0, 0.05, h, d)
	}
	s.use(wood.shaded(0.7).named("back"))
	s.boxAt(0, 0, -d/2+0.01, w, h, 0.02)
	rows := 4
	for i := range rows + 1 {
		y := 0.08 + (h-0.12)*float64(i)/float64(rows)
		s.use(wood.shaded(0.95).named("board"))
		s.boxAt(0, y-0.04, 0, w+0.03, 0.04, d+0.02)
		if i == rows {
			break
		}
		for x := -w/2 + 0.06; x < w/2-0.08; {
			thick, tall := r.between(0.03, 0.07), r.between(0.2, 0.3)*h/1.8
			if r.chance(0.85) {
				s.use(dull("book", 0xffffff, 0.8).coloured(wheel(r.unit(), 0.6, r.between(0.1, 0.5))))
				s.within(at(x+thick/2, y, 0.02).turnZ(pick(r, 0, 0, 0, 0.08)), func() { s.boxAt(0, 0, 0, thick-0.004, tall, d*0.7) })
			}
			x += thick
		}
	}
}

func book(s *sculptor) {
	r := s.random
	w, h, t := r.between(0.17, 0.21), r.between(0.24, 0.3), r.between(0.045, 0.07)
	s.within(at(0, h/2, 0).turnY(-0.35), func() {
		s.tone(mainRole, materials["leather"])
		s.within(at(0, 0, t/2), func() { s.box(w, h, 0.008) })
		s.within(at(0, 0, -t/2), func() { s.box(w, h, 0.008) })
		s.within(at(-w/2, 0, 0).stretch(1, 1, 1), func() { s.box(0.012, h, t+0.008) })
		s.use(dull("pages", 0xece0c2, 0.95))
		s.within(at(0.004, 0, 0), func() { s.box(w-0.016, h-0.014, t-0.006) })
		s.tone(trimRole, materials["gold"])
		for _, x := range []float64{-1, 1} {
			for _, y := range []float64{-1, 1} {
				s.within(at(x*(w/2-0.016), y*(h/2-0.016), t/2+0.003), func() { s.box(0.034, 0.034, 0.008) })
			}
		}
		for i := range 4 {
			s.within(at(-w/2-0.004, h*(float64(i)-1.5)*0.22, 0), func() { s.box(0.012, 0.014, t+0.014) })
		}
		s.within(at(w/2, 0, 0), func() { s.box(0.012, 0.04, t+0.02) })
		s.tone(accentRole, clear("gem", 0x2fa07a, 0.95))
		s.within(at(0.005, 0, t/2+0.008).turnX(tau/4), func() { s.gem(0.032, 0.05) })
		s.within(at(0, h*0.3, t/2+0.008), func() { s.mark(w*0.4, h*0.12) })
		s.within(at(0, -h*0.3, t/2+0.008), func() { s.mark(w*0.4, h*0.12) })
	})
}

func door(s *sculptor) {
	r := s.random
	w, h := r.between(0.9, 1.1), r.between(1.9, 2.2)
	s.tone(secondRole, materials["stone"])
	for _, x := range []float64{-1, 1} {
		for i := range 6 {
			s.boxAt(x*(w/2+0.1), h*float64(i)/6, 0, 0.2+float64(0.04*float64(i%2)), h/6-0.01, 0.3)
		}
	}
	s.boxAt(0, h, 0, w+0.5, 0.22, 0.32)
	wood := s.wish.tone(mainRole, materials["oak"])
	for i := range 5 {
		s.use(wood.shaded(r.between(0.85, 1.1)).named("plank"))
		s.boxAt((float64(i)-2)*w/5, 0, 0, w/5-0.006, h, 0.08)
	}
	s.tone(trimRole, materials["iron"])
	for _, y := range []float64{0.18, 0.78} {
		s.boxAt(-w*0.08, h*y, 0.045, w*0.84, 0.07, 0.03)
	}
	s.within(at(w*0.34, h*0.47, 0.07), func() { s.within(still().turnX(tau/4), func() { s.hoop(0.06, 0.012) }) })
	s.within(at(0, h*0.55, 0.05), func() { s.mark(w*0.4, h*0.2) })
}
