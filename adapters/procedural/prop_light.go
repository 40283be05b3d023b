package procedural

// flame is made of three tongues of fire above the origin.
func (s *sculptor) flame(size float64) {
	fire := s.wish.light()
	if !s.wish.glowing || len(s.wish.colours) == 0 {
		fire = hex(0xff7a1c)
	}
	for i, k := range []float64{1, 0.7, 0.42} {
		c := fire.mix(rgb{1, 0.9, 0.5}, float64(float64(i)*0.4))
		s.use(material{name: "flame", colour: c, roughness: 1, alpha: []float64{0.45, 0.75, 1}[i], glow: c})
		b := float64(size * k)
		lean := float64(s.random.between(-0.1, 0.1) * size)
		s.within(at(lean*0.3, float64(i)*size*0.06, 0), func() {
			s.turned(s.segments(10), [2]float64{0, 0}, [2]float64{b * 0.34, b * 0.25}, [2]float64{b * 0.4, b * 0.5}, [2]float64{b * 0.24, b * 0.95}, [2]float64{b * 0.08, b * 1.35}, [2]float64{0, b * 1.6})
		})
	}
}

func torch(s *sculptor) {
	length := s.random.between(0.5, 0.65)
	s.tone(mainRole, materials["wood"])
	s.cylinder(s.segments(8), 0.018, 0.03, length)
	s.tone(secondRole, materials["cloth"])
	s.within(at(0, length*0.86, 0), func() {
		s.turned(s.segments(10), [2]float64{0.034, 0}, [2]float64{0.048, 0.03}, [2]float64{0.05, 0.09}, [2]float64{0.035, 0.12})
	})
	s.tone(trimRole, materials["iron"])
	for _, y := range []float64{0.84, 0.98} {
		s.within(at(0, length*y, 0), func() { s.hoop(0.045, 0.007) })
	}
	s.within(at(0, length+0.02, 0), func() { s.flame(0.16) })
}

func candle(s *sculptor) {
	r := s.random
	s.tone(secondRole, materials["brass"])
	n := s.segments(18)
	s.turned(n, [2]float64{0.1, 0}, [2]float64{0.12, 0.01}, [2]float64{0.115, 0.02}, [2]float64{0.03, 0.02}, [2]float64{0.022, 0.08}, [2]float64{0.05, 0.1}, [2]float64{0.05, 0.12})
	s.tone(mainRole, materials["wax"])
	height := r.between(0.14, 0.24)
	s.within(at(0, 0.11, 0), func() { s.cylinder(n, 0.034, 0.031, height) })
	for range 5 {
		a := r.between(0, tau)
		s.within(at(0.031*cos(a), 0.11+height, 0.031*sin(a)), func() {
			s.within(at(0, -r.between(0.02, 0.05), 0).stretch(1, 4, 1), func() { s.ball(s.segments(6), 0.008) })
		})
	}
	s.tone(trimRole, dull("wick", 0x222222, 1))
	s.within(at(0, 0.11+height, 0), func() { s.cylinder(4, 0.003, 0.003, 0.02) })
	s.within(at(0, 0.125+height, 0), func() { s.flame(0.05) })
}

func lantern(s *sculptor) {
	r := s.random
	sides := pick(r, 4, 6, 8)
	radius, height := r.between(0.1, 0.13), r.between(0.2, 0.27)
	s.tone(mainRole, materials["iron"])
	s.crisp(func() {
		s.turned(sides, [2]float64{radius * 1.15, 0}, [2]float64{radius * 1.2, 0.02}, [2]float64{radius, 0.045})
		s.within(at(0, height, 0), func() {
			s.turned(sides, [2]float64{radius * 1.25, 0}, [2]float64{radius * 1.25, 0.015}, [2]float64{radius * 0.35, 0.1}, [2]float64{radius * 0.3, 0.13}, [2]float64{0, 0.14})
		})
	})
	for i := range sides {
		a := tau * float64(i) / float64(sides)
		s.within(at(radius*cos(a), 0.02, -radius*sin(a)), func() { s.cylinder(s.segments(5), 0.008, 0.008, height-0.01) })
	}
	s.tone(trimRole, materials["brass"])
	s.within(at(0, height+0.17, 0).turnX(tau/4), func() { s.hoop(0.045, 0.007) })
	if s.wish.look == scifiLook {
		s.use(s.wish.beam())
		s.within(at(0, 0.05, 0), func() { s.cylinder(s.segments(12), radius*0.4, radius*0.4, height-0.06) })
	} else {
		s.tone(secondRole, materials["wax"])
		s.within(at(0, 0.04, 0), func() { s.cylinder(s.segments(10), 0.03, 0.028, height*0.3) })
		s.within(at(0, 0.045+float64(height*0.3), 0), func() { s.flame(0.07) })
	}
	s.use(clear("pane", 0xffe3a8, 0.25))
	s.crisp(func() {
		s.within(at(0, 0.04, 0), func() { s.turned(sides, [2]float64{radius * 0.96, 0}, [2]float64{radius * 0.96, height - 0.04}) })
	})
}

func lamp(s *sculptor) {
	r := s.random
	if s.wish.has("street", "lamppost", "streetlight", "post") {
		streetlight(s)
		return
	}
	height := r.between(0.3, 0.42)
	if s.wish.has("floor", "standing") {
		height = float64(height * (3))
	}
	n := s.segments(20)
	s.tone(secondRole, materials["brass"])
	s.turned(n, [2]float64{0.1, 0}, [2]float64{0.1, 0.015}, [2]float64{0.03, 0.03}, [2]float64{0.016, 0.06}, [2]float64{0.03, height * 0.35}, [2]float64{0.035, height * 0.45}, [2]float64{0.014, height * 0.6}, [2]float64{0.012, height})
	shade := s.wish.tone(mainRole, dull("shade", 0xe9d3a4, 0.9))
	s.use(shade.shining(shade.colour.scale(0.45)))
	top := r.between(0.06, 0.12)
	s.within(at(0, height-0.03, 0), func() {
		s.turned(n, [2]float64{0.15, 0}, [2]float64{top, 0.19}, [2]float64{top - 0.006, 0.19}, [2]float64{0.144, 0.002})
	})
	bulb := material{name: "bulb", colour: rgb{1, 0.9, 0.6}, roughness: 0.3, alpha: 1, glow: rgb{1, 0.85, 0.5}}
	s.use(bulb)
	s.within(at(0, height+0.05, 0), func() { s.ball(s.segments(12), 0.045) })
}

func streetlight(s *sculptor) {
	s.tone(mainRole, materials["iron"])
	n := s.segments(12)
	s.turned(n, [2]float64{0.16, 0}, [2]float64{0.16, 0.2}, [2]float64{0.09, 0.28}, [2]float64{0.055, 0.5}, [2]float64{0.045, 2.6}, [2]float64{0.08, 2.7}, [2]float64{0.1, 2.74})
	s.tone(secondRole, materials["iron"])
	s.crisp(func() {
		s.within(at(0, 3.15, 0), func() { s.turned(6, [2]float64{0.26, 0}, [2]float64{0.05, 0.18}, [2]float64{0, 0.3}) })
	})
	light := material{name: "light", colour: rgb{1, 0.88, 0.55}, roughness: 0.4, alpha: 1, glow: rgb{1, 0.8, 0.4}}
	if s.wish.look == scifiLook || len(s.wish.colours) > 0 && s.wish.glowing {
		light = s.wish.beam()
	}
	s.use(light)
	s.crisp(func() { s.within(at(0, 2.74, 0), func() { s.turned(6, [2]float64{0.11, 0}, [2]float64{0.22, 0.41}) }) })
}
