package procedural

// gable is a roof with its ridge along x, over the origin.
func (s *sculptor) gable(w, d, h, over float64) {
	s.crisp(func() {
		s.begin()
		x, z := w/2+over, d/2+over
		drop := over * h / (d / 2)
		left := []vec{{-x, -drop, z}, {-x, h, 0}, {-x, -drop, -z}, {-x, h - float64(0.16*h), 0}}
		right := make([]vec, 4)
		for i, p := range left {
			right[i] = vec{x, p.y, p.z}
		}
		for i := range 4 {
			j := (i + 1) % 4
			s.quad(left[j], left[i], right[i], right[j])
		}
		s.triangle(right[0], right[3], right[1])
		s.triangle(right[1], right[3], right[2])
		s.triangle(left[1], left[3], left[0])
		s.triangle(left[2], left[3], left[1])
	})
}

func house(s *sculptor) {
	r := s.random
	w, d, h := r.between(3.6, 4.6), r.between(3, 3.6), r.between(2.2, 2.7)
	roof := r.between(1.5, 2.2)
	s.tone(secondRole, materials["stone"])
	s.boxAt(0, 0, 0, w+0.2, 0.35, d+0.2)
	wall := s.wish.tone(mainRole, dull("plaster", 0xe7dcc3, 0.95))
	s.use(wall)
	s.boxAt(0, 0.3, 0, w, h, d)
	s.crisp(func() { s.within(at(0, h+0.3, 0), func() { s.wedge(w-0.02, d, roof*0.97) }) })
	s.tone(trimRole, dull("tiles", 0xa2452f, 0.85))
	s.within(at(0, h+0.3, 0), func() { s.gable(w, d, roof, 0.35) })
	beam := s.wish.finished(secondRole, materials["mahogany"].shaded(0.7).named("beams"))
	s.use(beam)
	for _, x := range []float64{-1, -0.33, 0.33, 1} {
		for _, z := range []float64{-1, 1} {
			s.boxAt(x*(w/2-0.05), 0.3, z*d/2, 0.14, h, 0.08)
		}
	}
	for _, z := range []float64{-1, 1} {
		s.boxAt(0, h+0.2, z*d/2, w, 0.14, 0.08)
	}
	s.boxAt(-w*0.17, 0.3, d/2, 0.95, 1.75, 0.1)
	s.use(s.wish.finished(mainRole, materials["oak"].named("door")))
	s.boxAt(-w*0.17, 0.3, d/2+0.03, 0.8, 1.65, 0.1)
	for _, x := range []float64{-0.4, 0.17, 0.4} {
		s.within(at(x*w, 0.3+float64(h*0.58), d/2), s.window)
	}
	for _, side := range []float64{-1, 1} {
		s.within(at(side*w/2, 0.3+float64(h*0.58), 0).turnY(side*tau/4), s.window)
	}
	s.tone(secondRole, materials["brick"])
	s.boxAt(w*0.28, h+0.3, -d*0.18, 0.5, roof*1.15, 0.5)
	s.boxAt(w*0.28, h+0.3+float64(roof*1.15), -d*0.18, 0.6, 0.12, 0.6)
}

// wedge fills the gable below a roof.
func (s *sculptor) wedge(w, d, h float64) {
	s.begin()
	x, z := w/2, d/2
	s.triangle(vec{x, 0, z}, vec{x, 0, -z}, vec{x, h, 0})
	s.triangle(vec{-x, 0, -z}, vec{-x, 0, z}, vec{-x, h, 0})
	s.quad(vec{-x, 0, z}, vec{x, 0, z}, vec{x, h, 0}, vec{-x, h, 0})
	s.quad(vec{x, 0, -z}, vec{-x, 0, -z}, vec{-x, h, 0}, vec{x, h, 0})
	s.quad(vec{-x, 0, -z}, vec{x, 0, -z}, vec{x, 0, z}, vec{-x, 0, z})
}

// window is a lit pane in a frame, on the plane of x and y.
func (s *sculptor) window() {
	s.use(materials["mahogany"].shaded(0.8).named("window frame"))
	s.box(0.78, 0.9, 0.1)
	s.use(material{name: "pane", colour: rgb{0.9, 0.7, 0.35}, roughness: 0.2, alpha: 1, glow: rgb{0.55, 0.36, 0.12}})
	for _, x := range []float64{-1, 1} {
		for _, y := range []float64{-1, 1} {
			s.within(at(x*0.17, y*0.2, 0.03), func() { s.box(0.28, 0.34, 0.1) })
		}
	}
}

func tower(s *sculptor) {
	r := s.random
	s.keep(r.between(1.1, 1.4), r.between(5, 6.5), s.wish.look == fantasyLook || r.chance(0.5))
}

// keep is a round tower on the origin, with a pointed roof or with battlements.
func (s *sculptor) keep(radius, height float64, roof bool) {
	r := s.random
	stone := s.wish.tone(mainRole, materials["stone"])
	s.use(stone)
	n := max(6, s.segments(18))
	s.turned(n, [2]float64{radius * 1.2, 0}, [2]float64{radius * 1.12, height * 0.06}, [2]float64{radius, height * 0.1}, [2]float64{radius * 0.94, height * 0.82},
		[2]float64{radius * 1.18, height * 0.88}, [2]float64{radius * 1.18, height})
	s.use(stone.shaded(0.8).named("courses"))
	for _, y := range []float64{0.32, 0.57, 0.83} {
		s.within(at(0, height*y, 0), func() { s.hoop(radius*(1-float64(0.06*y)), radius*0.045) })
	}
	if s.fine(3) {
		for range 26 {
			a, y := r.between(0, tau), r.between(0.12, 0.78)
			s.use(stone.shaded(r.between(0.75, 1.15)).named("block"))
			s.within(at(0, height*y, 0).turnY(a).shift(0, 0, radius*(1.01-float64(0.07*y))), func() { s.box(radius*0.32, radius*0.16, radius*0.1) })
		}
	}
	s.battlements(radius, height)
	if roof {
		s.tone(trimRole, dull("slates", 0x3f5fa0, 0.8))
		s.within(at(0, height, 0), func() {
			s.turned(n, [2]float64{radius * 1.32, 0}, [2]float64{radius * 1.34, 0.06}, [2]float64{radius * 0.62, height * 0.17}, [2]float64{radius * 0.2, height * 0.34}, [2]float64{0, height * 0.42})
		})
		s.tone(secondRole, materials["gold"])
		s.within(at(0, height*1.41, 0), func() { s.ball(s.segments(10), radius*0.1) })
	}
	lit := material{name: "light", colour: rgb{0.9, 0.65, 0.3}, roughness: 0.3, alpha: 1, glow: rgb{0.8, 0.5, 0.15}}
	if s.wish.glowing {
		lit = s.wish.beam()
	}
	s.use(lit)
	for i := range 5 {
		a, y := float64(float64(i)*1.3)-0.3, 0.3+float64(0.12*float64(i))
		s.within(at(0, height*y, 0).turnY(a).shift(0, 0, radius*0.98), func() { s.box(radius*0.2, radius*0.5, radius*0.12) })
	}
	s.use(materials["oak"])
	s.within(at(0, height*0.07, radius*1.08), func() { s.box(radius*0.6, height*0.14, radius*0.2) })
}

// battlements are teeth around the top.
func (s *sculptor) battlements(radius, height float64) {
	teeth := 10
	s.use(s.wish.tone(mainRole, materials["stone"]))
	for i := range teeth {
		s.within(at(0, height, 0).turnY(tau*float64(i)/float64(teeth)), func() { s.boxAt(0, -0.02, radius*1.06, radius*0.36, radius*0.32, radius*0.2) })
	}
}

func castle(s *sculptor) {
	r := s.random
	side, high := r.between(3.4, 4), r.between(2, 2.4)
	stone := s.wish.tone(mainRole, materials["stone"])
	for i := range 4 {
		s.within(still().turnY(tau/4*float64(i)), func() {
			s.use(stone.shaded(0.93).named("wall"))
			s.boxAt(0, 0, side, side*2, high, 0.5)
			for k := range 8 {
				s.boxAt((float64(k)-3.5)*side*0.25, high, side+0.15, side*0.13, 0.35, 0.22)
			}
			s.within(at(side, 0, side), func() { s.keep(0.75, high*1.75, true) })
		})
	}
	s.within(at(0, 0, -0.4), func() { s.keep(1.25, high*2.5, true) })
	s.within(at(-1.1, 0, 0.7), func() { s.keep(0.7, high*1.9, true) })
	s.use(stone)
	s.boxAt(0, 0, side+0.1, 2, high*1.35, 1)
	for k := range 4 {
		s.boxAt((float64(k)-1.5)*0.55, high*1.35, side+0.45, 0.32, 0.35, 0.25)
	}
	s.use(materials["oak"])
	s.boxAt(0, 0, side+0.58, 1, high*0.75, 0.12)
	s.tone(secondRole, dull("banner", 0xa8242c, 0.9))
	for _, x := range []float64{-0.75, 0.75} {
		s.boxAt(x, high*0.45, side+0.6, 0.32, high*0.7, 0.05)
	}
}

func well(s *sculptor) {
	s.tone(mainRole, materials["stone"])
	n := max(8, s.segments(16))
	s.turned(n, [2]float64{0.72, 0}, [2]float64{0.7, 0.75}, [2]float64{0.76, 0.76}, [2]float64{0.76, 0.86}, [2]float64{0.52, 0.86}, [2]float64{0.52, 0.5}, [2]float64{0, 0.5})
	s.use(clear("water", 0x2f7fae, 0.9))
	s.within(at(0, 0.58, 0), func() { s.cylinder(n, 0.52, 0.52, 0.02) })
	wood := s.wish.tone(secondRole, materials["oak"])
	s.use(wood)
	for _, x := range []float64{-1, 1} {
		s.boxAt(x*0.66, 0.8, 0, 0.12, 1.2, 0.12)
	}
	s.within(at(0, 1.5, 0).turnZ(tau/4).shift(0, -0.75, 0), func() { s.cylinder(s.segments(10), 0.06, 0.06, 1.5) })
	s.tone(trimRole, dull("shingles", 0x8a4a32, 0.9))
	s.within(at(0, 1.95, 0), func() { s.gable(1.5, 1.1, 0.6, 0.15) })
	s.use(wood.shaded(0.8).named("bucket"))
	s.within(at(0, 1.0, 0), func() {
		s.turned(s.segments(12), [2]float64{0.12, 0}, [2]float64{0.16, 0.24}, [2]float64{0.14, 0.24}, [2]float64{0.11, 0.03}, [2]float64{0, 0.03})
	})
	s.use(dull("rope", 0xb99a63, 1))
	s.within(at(0, 1.2, 0), func() { s.cylinder(s.segments(5), 0.014, 0.014, 0.3) })
}

func tent(s *sculptor) {
	r := s.random
	w, d, h := r.between(2, 2.5), r.between(2.4, 3), r.between(1.6, 1.9)
	s.tone(mainRole, dull("canvas", 0xc9a86a, 0.95))
	s.within(still().turnY(tau/4), func() { s.gable(d, w, h, 0.1) })
	s.use(s.wish.tone(mainRole, dull("canvas", 0xc9a86a, 0.95)).shaded(0.6).named("inside"))
	s.within(at(0, 0, -0.1).turnY(tau/4), func() { s.crisp(func() { s.wedge(d*0.96, w*0.94, h*0.8) }) })
	s.tone(secondRole, materials["wood"])
	for _, z := range []float64{-1, 1} {
		s.within(at(0, 0, z*d/2), func() { s.cylinder(s.segments(6), 0.04, 0.035, h+0.2) })
	}
	s.tone(trimRole, dull("flag", 0xb8322f, 0.9))
	s.boxAt(0.2, h+0.02, d/2, 0.38, 0.18, 0.02)
}

func pillar(s *sculptor) {
	r := s.random
	height := r.between(2.4, 3.2)
	if s.wish.broken {
		height = float64(height * (0.6))
	}
	s.tone(mainRole, materials["marble"])
	s.boxAt(0, 0, 0, 0.9, 0.16, 0.9)
	n := 2 * max(6, s.segments(12))
	s.begin()
	rings := make([][]vec, 0, 4)
	for _, p := range [][2]float64{{0.36, 0.16}, {0.3, 0.3}, {0.3, float64(height * 0.4)}, {0.26, height}} {
		ring := circle(n, p[0], p[1])
		for i := range ring {
			if i%2 == 1 {
				ring[i] = vec{float64(ring[i].x * 0.9), ring[i].y, float64(ring[i].z * 0.9)}
			}
		}
		rings = append(rings, ring)
	}
	s.loft(false, rings...)
	s.tone(secondRole, s.wish.tone(mainRole, materials["marble"]).shaded(0.85).named("capital"))
	if s.wish.broken {
		s.crisp(func() {
			s.within(at(0.02, height, 0), func() { s.lump(s.segments(10), vec{0.27, 0.14, 0.25}, 0.5, r) })
		})
		s.crisp(func() { s.within(at(0.7, 0.14, 0.4), func() { s.lump(s.segments(8), vec{0.24, 0.16, 0.2}, 0.5, r) }) })
		return
	}
	s.within(at(0, height, 0), func() { s.turned(s.segments(18), [2]float64{0.27, 0}, [2]float64{0.38, 0.14}, [2]float64{0.38, 0.18}) })
	s.boxAt(0, height+0.17, 0, 0.84, 0.14, 0.84)
}
