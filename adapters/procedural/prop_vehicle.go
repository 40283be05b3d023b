package procedural

func car(s *sculptor) {
	r := s.random
	long, wide := r.between(3.6, 4.4), r.between(1.6, 1.8)
	truck := s.wish.has("truck", "van", "bus", "jeep")
	paint := s.wish.tone(mainRole, material{name: "paint", colour: hex(0xb02a30), metallic: 0.4, roughness: 0.25, alpha: 1})
	s.use(paint)
	s.within(at(0, 0.62, 0), func() { s.hull(long, 0.55, wide, 0.16) })
	cabin, x := float64(long*0.48), float64(-long*0.06)
	tall := 0.55
	if truck {
		cabin, x, tall = float64(long*0.72), float64(-long*0.1), 0.9
	}
	s.use(clear("glass", 0x2b3b48, 0.92))
	s.within(at(x, 0.88+tall/2, 0), func() { s.hull(cabin, tall, wide*0.86, 0.32) })
	s.use(paint.shaded(0.95).named("roof"))
	s.within(at(x, 0.9+tall, 0), func() { s.hull(cabin*0.74, 0.08, wide*0.74, 0.1) })
	s.wheels(long, wide)
	s.use(material{name: "headlights", colour: rgb{1, 0.95, 0.8}, roughness: 0.2, alpha: 1, glow: rgb{1, 0.9, 0.7}})
	for _, z := range []float64{-1, 1} {
		s.within(at(long/2-0.03, 0.68, z*wide*0.36).turnZ(-tau/4), func() { s.dome(s.segments(12), 0.12, 0) })
	}
	s.use(material{name: "tail lights", colour: rgb{0.8, 0.02, 0.02}, roughness: 0.3, alpha: 1, glow: rgb{0.5, 0, 0}})
	for _, z := range []float64{-1, 1} {
		s.within(at(-long/2, 0.7, z*wide*0.36), func() { s.box(0.06, 0.12, 0.28) })
	}
	s.tone(trimRole, materials["chrome"])
	for _, x := range []float64{-1, 1} {
		s.within(at(x*long*0.495, 0.44, 0), func() { s.box(0.12, 0.12, wide*0.95) })
	}
	if s.wish.look == scifiLook || s.wish.glowing {
		s.use(s.wish.beam())
		for _, z := range []float64{-1, 1} {
			s.within(at(0, 0.42, z*wide*0.5), func() { s.box(long*0.55, 0.05, 0.04) })
		}
	}
}

// hull is a box that is smaller above, by a share of its size.
func (s *sculptor) hull(w, h, d, taper float64) {
	s.begin()
	ring := func(k, y float64) []vec {
		x, z, c := float64(w/2*k), float64(d/2*(1-float64((1-k)*0.6))), float64(min(w, d)*0.09)
		return []vec{{x, y, c - z}, {x - c, y, -z}, {c - x, y, -z}, {-x, y, c - z}, {-x, y, z - c}, {c - x, y, z}, {x - c, y, z}, {x, y, z - c}}
	}
	s.loft(false, ring(0.95, -h/2), ring(1, -h/4), ring(1-float64(taper*0.35), h/4), ring(1-taper, h/2))
}

func (s *sculptor) wheels(long, wide float64) {
	for _, x := range []float64{-1, 1} {
		for _, z := range []float64{-1, 1} {
			s.within(at(x*long*0.31, 0.36, z*wide*0.47).turnX(z*tau/4), func() { s.wheel(0.36, 0.22) })
		}
	}
}

// wheel lies around the origin, its outside up.
func (s *sculptor) wheel(radius, wide float64) {
	n := s.segments(20)
	s.use(materials["rubber"])
	s.turned(n, [2]float64{radius * 0.6, -wide / 2}, [2]float64{radius * 0.93, -wide / 2}, [2]float64{radius, -wide / 3}, [2]float64{radius, wide / 3}, [2]float64{radius * 0.93, wide / 2}, [2]float64{radius * 0.62, wide / 2})
	s.tone(trimRole, materials["chrome"])
	s.turned(n, [2]float64{radius * 0.58, 0}, [2]float64{radius * 0.58, wide * 0.52}, [2]float64{radius * 0.5, wide * 0.55}, [2]float64{radius * 0.42, wide * 0.4}, [2]float64{radius * 0.15, wide * 0.45}, [2]float64{0, wide * 0.56})
}

func cart(s *sculptor) {
	wood := s.wish.tone(mainRole, materials["oak"])
	s.use(wood)
	s.boxAt(0, 0.62, 0, 1.7, 0.08, 1)
	for _, z := range []float64{-1, 1} {
		for i := range 2 {
			s.use(wood.shaded(0.85 + float64(0.1*float64(i))).named("plank"))
			s.boxAt(0, 0.72+float64(0.2*float64(i)), z*0.5, 1.7, 0.16, 0.05)
		}
		s.within(at(1.35, 0.66, z*0.3).turnZ(tau/4), func() { s.cylinder(s.segments(8), 0.04, 0.04, 1.2) })
		s.within(at(-0.1, 0.5, z*0.62).turnX(z*tau/4), s.spokedWheel)
	}
	for _, x := range []float64{-1, 1} {
		s.boxAt(x*0.83, 0.7, 0, 0.05, 0.38, 1)
	}
	s.use(dull("hay", 0xd6b454, 1))
	s.within(at(0, 0.95, 0), func() { s.lump(s.segments(12), vec{0.7, 0.3, 0.42}, 0.3, s.random) })
}

func (s *sculptor) spokedWheel() {
	s.tone(secondRole, materials["wood"])
	s.hoop(0.46, 0.05)
	for i := range 8 {
		s.within(still().turnY(tau*float64(i)/8).turnZ(tau/4), func() { s.cylinder(s.segments(6), 0.025, 0.025, 0.45) })
	}
	s.tone(trimRole, materials["iron"])
	s.within(at(0, -0.08, 0), func() { s.cylinder(s.segments(12), 0.1, 0.08, 0.16) })
}

func ship(s *sculptor) {
	r := s.random
	if s.wish.look == scifiLook || s.wish.has("spaceship", "starship", "spacecraft", "fighter") {
		spaceship(s)
		return
	}
	long, wide, high := r.between(5, 6), r.between(1.5, 1.8), 1.1
	wood := s.wish.tone(mainRole, materials["oak"])
	s.use(wood)
	s.shipHull(long, wide, high, 1)
	s.use(wood.shaded(1.15).named("deck"))
	s.within(at(0, high*0.72, 0).stretch(1, 0.05, 0.93), func() { s.shipHull(long*0.96, wide, high, 1) })
	s.tone(secondRole, materials["wood"])
	s.boxAt(-long*0.36, high*0.7, 0, long*0.2, 0.65, wide*0.75)
	if s.wish.has("boat", "rowboat", "canoe") && !s.wish.has("sail", "sailing", "pirate") {
		return
	}
	for i, x := range []float64{-0.16, 0.16} {
		mast := 3.4 + 0.5*float64(i)
		s.tone(secondRole, materials["wood"])
		s.within(at(x*long, high*0.5, 0), func() { s.cylinder(s.segments(8), 0.08, 0.05, mast) })
		s.tone(trimRole, dull("sail", 0xf0e8d4, 0.95))
		for k, size := range []float64{1, 0.7} {
			y := high + float64(mast*(0.3+float64(0.38*float64(k))))
			s.within(at(float64(x*long)+0.05, y, 0), func() { s.sail(wide*1.25*size, mast*0.32) })
			s.tone(secondRole, materials["wood"])
			s.within(at(float64(x*long)+0.03, y+float64(mast*0.16), -wide*0.72*size).turnX(tau/4), func() { s.cylinder(s.segments(6), 0.035, 0.035, wide*1.44*size) })
			s.tone(trimRole, dull("sail", 0xf0e8d4, 0.95))
		}
	}
	s.tone(secondRole, materials["wood"])
	s.within(at(long*0.46, high*0.95, 0).turnZ(-1.1), func() { s.cylinder(s.segments(6), 0.06, 0.03, 1.3) })
	s.tone(accentRole, dull("flag", 0x26272b, 0.9))
	s.boxAt(float64(long*0.16)-0.25, high*0.5+3.75, 0, 0.5, 0.3, 0.02)
}

// shipHull points to the right.
func (s *sculptor) shipHull(long, wide, high, keel float64) {
	s.begin()
	n := max(6, s.segments(12))
	rings := make([][]vec, n+1)
	for i := range rings {
		t := float64(i) / float64(n)
		x := float64(long * (t - 0.5))
		w := float64(wide / 2 * min(1, 0.62+float64(t*1.4)) * (1 - pow(max(0, t-0.45)/0.55, 2.2)))
		rise := float64(high * (float64(0.25*(2*t-1)*(2*t-1)) + 0.02))
		low := float64(high * 0.75 * pow(max(0, t-0.6)/0.4, 2) * keel)
		top := float64(high*0.8) + rise
		w = max(w, 0.02)
		rings[i] = []vec{{x, low, float64(w * 0.12)}, {x, low, float64(-w * 0.12)}, {x, mix(low, top, 0.35), float64(-w * 0.82)}, {x, top, -w}, {x, top - 0.02, float64(-w * 0.9)}, {x, top - 0.02, float64(w * 0.9)}, {x, top, w}, {x, mix(low, top, 0.35), float64(w * 0.82)}}
	}
	s.loft(false, rings...)
}

// sail bulges to the right.
func (s *sculptor) sail(wide, high float64) {
	s.begin()
	n := max(2, s.segments(5))
	front, back := make([][]vec, n+1), make([][]vec, n+1)
	for i := range n + 1 {
		for j := range n + 1 {
			u, v := 2*float64(i)/float64(n)-1, 2*float64(j)/float64(n)-1
			x := float64(0.35 * wide * (1 - float64(u*u)) * (1 - float64(v*v*0.7)))
			p := vec{x, v * high / 2, float64(u * wide / 2 * (1 - float64(0.12*v)))}
			front[i], back[i] = append(front[i], p), append(back[i], p.sub(vec{0.02, 0, 0}))
		}
	}
	for i := range n {
		for j := range n {
			s.quad(front[i+1][j], front[i][j], front[i][j+1], front[i+1][j+1])
			s.quad(back[i][j], back[i+1][j], back[i+1][j+1], back[i][j+1])
		}
	}
}

func spaceship(s *sculptor) {
	r := s.random
	long := r.between(4, 5)
	span, sweep := r.between(1.6, 2.4), r.between(0.6, 1.4)
	s.within(at(0, 1, 0), func() {
		s.tone(mainRole, material{name: "hull", colour: rgb{0.6, 0.63, 0.68}, metallic: 0.6, roughness: 0.35, alpha: 1})
		n := s.segments(16)
		s.within(at(-long/2, 0, 0).turnZ(-tau/4).stretch(0.7, 1, 1), func() {
			s.turned(n, [2]float64{0.35, 0}, [2]float64{0.5, long * 0.06}, [2]float64{0.55, long * 0.4}, [2]float64{0.4, long * 0.65}, [2]float64{0.18, long * 0.88}, [2]float64{0.05, long * 0.99}, [2]float64{0, long})
		})
		s.tone(secondRole, material{name: "wings", colour: rgb{0.2, 0.24, 0.3}, metallic: 0.6, roughness: 0.4, alpha: 1})
		for _, z := range []float64{-1, 1} {
			s.within(at(-long*0.12, -0.05, 0).stretch(1, 1, z), func() { s.wing(span, sweep) })
			s.within(at(-long*0.38, 0.2, z*0.25).turnX(z*0.35).stretch(0.45, 1, 1).turnX(-tau/4), func() { s.wing(0.8, 0.9) })
		}
		s.use(clear("canopy", 0x1d3b57, 0.9))
		s.within(at(long*0.14, 0.28, 0).stretch(2.4, 0.9, 0.85), func() { s.ball(s.segments(14), 0.3) })
		for _, z := range []float64{-1, 1} {
			s.tone(trimRole, materials["titanium"])
			s.within(at(-long*0.3, 0.05, z*0.62).turnZ(tau/4), func() {
				s.turned(n, [2]float64{0.2, -0.9}, [2]float64{0.26, -0.6}, [2]float64{0.26, 0.4}, [2]float64{0.2, 0.7}, [2]float64{0.15, 0.7}, [2]float64{0.12, 0.5})
			})
			s.use(s.wish.beam())
			s.within(at(float64(-long*0.3)-0.55, 0.05, z*0.62).turnZ(tau/4), func() { s.cylinder(n, 0.15, 0.12, 0.12) })
		}
		s.use(s.wish.beam())
		s.within(at(0, 0.0, 0).stretch(1, 1, 1), func() { s.box(long*0.5, 0.04, 1.06) })
	})
}

// wing reaches out to the front from the origin.
func (s *sculptor) wing(span, sweep float64) {
	s.begin()
	rings := [][]vec{}
	for _, t := range []float64{0, 0.5, 1} {
		z, x := float64(span*t)+0.2, float64(-sweep*t)
		chord, thick := mix(0.9, 0.3, t), mix(0.09, 0.02, t)
		rings = append(rings, []vec{{x + chord, 0, z}, {x, thick, z}, {x - chord, 0, z}, {x, -thick, z}})
	}
	s.loft(false, rings...)
}

func rocket(s *sculptor) {
	r := s.random
	height, radius := r.between(2.6, 3.2), r.between(0.4, 0.5)
	n := s.segments(20)
	s.tone(mainRole, dull("hull", 0xeceef0, 0.35))
	s.within(at(0, 0.5, 0), func() {
		s.turned(n, [2]float64{radius * 0.7, 0}, [2]float64{radius * 0.95, height * 0.18}, [2]float64{radius, height * 0.4}, [2]float64{radius * 0.86, height * 0.66})
		s.tone(secondRole, dull("nose", 0xc93030, 0.35))
		s.within(at(0, height*0.66, 0), func() {
			s.turned(n, [2]float64{radius * 0.86, 0}, [2]float64{radius * 0.6, height * 0.16}, [2]float64{radius * 0.26, height * 0.28}, [2]float64{0.02, height * 0.36}, [2]float64{0, height * 0.42})
		})
		for i := range 3 {
			s.within(still().turnY(tau*float64(i)/3+0.6), func() {
				s.plate([][2]float64{{radius * 0.75, height * 0.28}, {radius * 0.75, 0.05}, {radius * 1.5, -0.5}, {radius * 1.75, -0.45}, {radius * 1.4, height * 0.1}}, 0.08, 0.08)
			})
		}
		s.tone(trimRole, materials["brass"])
		s.within(at(0, height*0.5, radius*0.96).turnX(tau/4), func() { s.hoop(0.17, 0.035) })
		s.use(clear("window", 0x5fb9e6, 0.9))
		s.within(at(0, height*0.5, radius*0.88).turnX(tau/4), func() { s.dome(s.segments(14), 0.16, 0) })
		s.use(materials["titanium"])
		s.within(at(0, -0.18, 0), func() { s.cylinder(n, radius*0.62, radius*0.4, 0.22) })
		s.within(at(0, -0.2, 0).turnX(tau/2), func() { s.flame(0.55) })
	})
}
