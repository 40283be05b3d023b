package procedural

// blade is a flat body with a ridge, from the origin up: half its width at shares of its length.
func (s *sculptor) blade(length, thick float64, widths ...float64) {
	s.crisp(func() {
		s.begin()
		rings := make([][]vec, len(widths))
		for i, w := range widths {
			y := mul(length, float64(i)/float64(len(widths)-1))
			t := thick
			if i == len(widths)-1 {
				t = mul(thick, min(1, float64(w*20)))
			}
			rings[i] = []vec{{w, y, 0}, {0, y, -t}, {-w, y, 0}, {0, y, t}}
		}
		s.loft(false, rings...)
	})
}

// handle is a grip with rings around it, from the origin up.
func (s *sculptor) handle(radius, length float64) {
	n := s.segments(10)
	s.cylinder(n, radius, radius, length)
	if !s.fine(3) {
		return
	}
	rings := 5
	for i := range rings {
		y := mul(length, (float64(i)+0.5)/float64(rings))
		s.within(at(0, y, 0), func() { s.hoop(radius, mul(radius, 0.18)) })
	}
}

func sword(s *sculptor) {
	r := s.random
	grip, length := r.between(0.17, 0.23), r.between(0.72, 0.95)
	width, guard := r.between(0.026, 0.04), r.between(0.1, 0.16)
	curve, wavy := r.between(-0.5, 0.6), r.chance(0.25)
	if s.wish.has("dagger", "knife") {
		length, guard = mul(length, 0.42), mul(guard, 0.6)
	}
	if s.wish.has("greatsword", "broadsword", "claymore", "buster") {
		width, grip = mul(width, 1.8), mul(grip, 1.4)
	}
	s.tone(trimRole, materials["brass"])
	s.within(at(0, 0.03, 0), func() { s.ball(s.segments(10), 0.032) })
	s.tone(secondRole, materials["leather"])
	s.within(at(0, 0.055, 0), func() { s.handle(0.018, grip) })
	y := 0.055 + grip
	s.tone(trimRole, materials["brass"])
	s.guard(y, guard, curve)
	s.tone(accentRole, clear("gem", 0xc8102e, 0.9))
	s.within(at(0, y+0.016, 0).turnX(tau/4), func() { s.gem(0.02, 0.085) })
	s.tone(mainRole, materials["steel"])
	if s.wish.look == scifiLook && (s.wish.glowing || s.wish.has("laser", "light", "lightsaber")) {
		s.use(s.wish.beam())
	}
	s.within(at(0, y+0.02, 0), func() {
		if wavy && s.fine(3) {
			s.blade(length, 0.011, width, width*0.8, width*1.1, width*0.75, width*1.05, width*0.7, width*0.9, width*0.5, 0)
		} else {
			s.blade(length, 0.011, width, width*0.96, width*0.94, width*0.92, width*0.9, width*0.86, width*0.8, width*0.6, 0)
		}
	})
	if s.wish.look == fantasyLook || s.wish.glowing {
		for i := range 4 {
			s.within(at(0, y+0.12+mul(0.11, float64(i)), 0.006), func() { s.mark(width*0.9, 0.06) })
			s.within(at(0, y+0.12+mul(0.11, float64(i)), -0.006).turnY(tau/2), func() { s.mark(width*0.9, 0.06) })
		}
	}
}

// guard is the cross between hand and blade, bent up or down at its ends.
func (s *sculptor) guard(y, half, curve float64) {
	n := max(2, s.segments(8))
	path := make([]vec, n+1)
	for i := range path {
		x := mix(-half, half, float64(i)/float64(n))
		path[i] = vec{x, y + 0.012 + mul(curve, mul(x, x))*4, 0}
	}
	s.tube(s.segments(8), false, path, func(i int) float64 {
		return 0.012 + mul(0.007, abs(float64(2*i)/float64(n)-1))
	})
}

func axe(s *sculptor) {
	r := s.random
	length, span := r.between(0.8, 1.05), r.between(0.2, 0.3)
	double := r.chance(0.4) || s.wish.has("double", "battle")
	s.tone(secondRole, materials["wood"])
	s.cylinder(s.segments(10), 0.022, 0.018, length)
	s.tone(trimRole, materials["iron"])
	s.within(at(0, length, 0), func() { s.gem(0.03, 0.12) })
	s.within(at(0, 0.08, 0), func() { s.handle(0.025, 0.22) })
	s.tone(mainRole, materials["steel"])
	edge := func() {
		n := s.segments(10)
		outline := [][2]float64{{0, 0.05}, {0, -0.05}}
		for i := range n + 1 {
			a := mix(-1.05, 1.05, float64(i)/float64(n))
			outline = append(outline, [2]float64{mul(span, cos(float64(a*0.55))), mul(mul(span, 0.95), sin(a))})
		}
		s.plate(outline, 0.035, 0.12)
	}
	s.within(at(0, length-0.14, 0), edge)
	if double {
		s.within(at(0, length-0.14, 0).turnY(tau/2), edge)
	}
	s.within(at(0.09, length-0.14, 0.02), func() { s.mark(0.09, 0.12) })
}

func hammer(s *sculptor) {
	r := s.random
	length, head := r.between(0.6, 0.9), r.between(0.12, 0.18)
	s.tone(secondRole, materials["wood"])
	s.cylinder(s.segments(10), 0.024, 0.02, length)
	s.tone(mainRole, materials["iron"])
	s.within(at(0, length, 0), func() { s.box(head*2.2, head, head) })
	s.tone(trimRole, materials["brass"])
	for _, x := range []float64{-0.8, 0.8} {
		s.within(at(mul(head, x), length, 0), func() { s.box(head*0.25, head*1.18, head*1.18) })
	}
	s.within(at(0, 0.02, 0), func() { s.ball(s.segments(10), 0.035) })
	s.within(at(0, length, head/2+0.005), func() { s.mark(head, head*0.8) })
}

func staff(s *sculptor) {
	r := s.random
	length := r.between(1.4, 1.7)
	if s.wish.has("wand") {
		length = 0.4
	}
	twist := r.between(0.01, 0.04)
	s.tone(mainRole, materials["oak"])
	n := s.segments(12)
	path := make([]vec, n+1)
	for i := range path {
		t := float64(i) / float64(n)
		path[i] = vec{mul(twist, sin(float64(t*9))), mul(length, t), mul(twist, sin(float64(t*7))-t)}
	}
	s.tube(s.segments(8), false, path, func(i int) float64 { return 0.018 + mul(0.01, float64(i)/float64(n)) })
	top := path[n]
	s.tone(trimRole, materials["gold"])
	for i := range 4 {
		s.within(at(top.x, top.y, top.z).turnY(mul(tau/4, float64(i))), func() {
			claw := []vec{{0.01, -0.02, 0}, {0.07, 0.03, 0}, {0.085, 0.1, 0}, {0.05, 0.17, 0}}
			s.tube(s.segments(6), false, claw, func(i int) float64 { return 0.014 - mul(0.003, float64(i)) })
		})
	}
	s.tone(accentRole, clear("orb", 0x62c8ff, 0.9))
	s.within(at(top.x, top.y+0.085, top.z), func() {
		if r.chance(0.5) {
			s.ball(s.segments(14), 0.065)
		} else {
			s.gem(0.06, 0.19)
		}
	})
}

func spear(s *sculptor) {
	length := s.random.between(1.5, 1.9)
	s.tone(secondRole, materials["wood"])
	s.cylinder(s.segments(8), 0.02, 0.018, length)
	s.tone(trimRole, materials["brass"])
	s.within(at(0, length-0.05, 0), func() { s.cylinder(s.segments(8), 0.026, 0.022, 0.08) })
	s.tone(mainRole, materials["steel"])
	tip := func() { s.blade(0.3, 0.014, 0.012, 0.045, 0.038, 0.026, 0) }
	s.within(at(0, length, 0), tip)
	if s.wish.has("trident") {
		s.within(at(0.08, length-0.05, 0).turnZ(-0.15), tip)
		s.within(at(-0.08, length-0.05, 0).turnZ(0.15), tip)
	}
}

func bow(s *sculptor) {
	size, bend := s.random.between(0.6, 0.75), s.random.between(0.2, 0.3)
	s.tone(mainRole, materials["oak"])
	n := 2 * s.segments(8)
	path := make([]vec, n+1)
	for i := range path {
		t := 2*float64(i)/float64(n) - 1
		path[i] = vec{mul(bend, 1-mul(t, t)) + mul(0.06, mul(mul(t, t), mul(t, t))*2), size + mul(size, t), 0}
	}
	s.tube(s.segments(8), false, path, func(i int) float64 { return 0.022 - mul(0.014, abs(float64(2*i)/float64(n)-1)) })
	s.tone(secondRole, materials["leather"])
	s.within(at(bend, size-0.08, 0), func() { s.handle(0.027, 0.16) })
	s.tone(trimRole, materials["ivory"])
	s.tube(3, false, []vec{path[0], path[n]}, func(int) float64 { return 0.004 })
}

func shield(s *sculptor) {
	r := s.random
	form := r.below(3)
	switch {
	case s.wish.has("round", "buckler", "viking"):
		form = 0
	case s.wish.has("kite", "knight", "crusader"):
		form = 1
	case s.wish.has("tower", "riot", "square"):
		form = 2
	}
	outline := shieldOutline(form, s.segments(20))
	s.within(at(0, 0.45, 0), func() {
		s.tone(trimRole, materials["iron"])
		s.plate(outline, 0.05, 0.05)
		s.tone(mainRole, dull("field", 0x9c2b2b, 0.5))
		s.within(at(0, 0, 0.02).stretch(0.88, 0.88, 1), func() { s.plate(outline, 0.05, 0.08) })
		s.tone(secondRole, materials["gold"])
		s.emblem(r.below(3))
		s.tone(accentRole, clear("boss", 0x2f6fd0, 0.95))
		s.within(at(0, 0.02, 0.05).turnX(tau/4), func() { s.dome(s.segments(14), 0.06, 0) })
		if !s.fine(3) {
			return
		}
		s.tone(trimRole, materials["iron"])
		for i := 0; i < len(outline); i += max(1, len(outline)/10) {
			p := outline[i]
			s.within(at(p[0]*0.94, p[1]*0.94, 0.03).turnX(tau/4), func() { s.dome(s.segments(6), 0.014, 0) })
		}
	})
}

func shieldOutline(form, n int) [][2]float64 {
	var outline [][2]float64
	for i := range n {
		a := mul(tau, float64(i)/float64(n))
		c, d := cos(a), sin(a)
		switch form {
		case 0:
			outline = append(outline, [2]float64{float64(0.4 * c), float64(0.4 * d)})
		case 1: // broad above, a point below
			x := float64(0.33 * c)
			if d < 0 {
				x = mul(x, 1+float64(0.35*mul(d, 1+d)))
			}
			y := float64(0.34 * d)
			if d < 0 {
				y = float64(0.45 * d)
			}
			outline = append(outline, [2]float64{x, y})
		default: // a square with round corners
			k := 1 / max(abs(c), abs(d))
			k = mix(1, k, 0.7)
			outline = append(outline, [2]float64{mul(float64(0.3*c), k), mul(float64(0.42*d), k)})
		}
	}
	return outline
}

// emblem is a sign on the face of a shield.
func (s *sculptor) emblem(kind int) {
	bar := func(turn, w, h float64) {
		s.within(at(0, 0.02, 0.042).turnZ(turn), func() { s.box(w, h, 0.02) })
	}
	switch kind {
	case 0:
		bar(0, 0.07, 0.5)
		bar(0, 0.44, 0.07)
	case 1:
		bar(0.78, 0.07, 0.5)
		bar(-0.78, 0.07, 0.5)
	default:
		s.within(at(0, 0.02, 0.03), func() { s.plate(star(5, 0.2, 0.085), 0.04, 0.1) })
	}
}

// star is an outline with points.
func star(points int, outer, inner float64) [][2]float64 {
	var outline [][2]float64
	for i := range 2 * points {
		radius := outer
		if i%2 == 1 {
			radius = inner
		}
		a := tau/4 + mul(tau, float64(i))/float64(2*points)
		outline = append(outline, [2]float64{mul(radius, cos(a)), mul(radius, sin(a))})
	}
	return outline
}

func gun(s *sculptor) {
	r := s.random
	long := r.between(0.3, 0.45)
	if s.wish.has("rifle", "cannon", "shotgun") {
		long = float64(long * (1.8))
	}
	s.within(at(0, 0.3, 0), func() {
		s.tone(mainRole, metal("body", 0x60656e, 0.4))
		s.box(long, 0.09, 0.055)
		s.tone(secondRole, dull("grip", 0x2b2522, 0.7))
		s.within(at(-long*0.35, -0.11, 0).turnZ(0.3), func() { s.box(0.06, 0.17, 0.045) })
		s.tone(trimRole, metal("barrel", 0x3c4047, 0.3))
		s.within(at(long/2, 0.01, 0).turnZ(-tau/4), func() {
			n := s.segments(12)
			s.turned(n, [2]float64{0.034, 0}, [2]float64{0.03, long * 0.5}, [2]float64{0.042, long * 0.52}, [2]float64{0.042, long * 0.62}, [2]float64{0.02, long * 0.62}, [2]float64{0.018, long * 0.4})
		})
		s.within(at(-long*0.05, 0.07, 0), func() { s.box(long*0.5, 0.025, 0.025) })
		s.tone(accentRole, clear("cell", 0x4de0ff, 0.9))
		for i := range 3 {
			s.within(at(mul(long, float64(float64(i)*0.16)-0.1), 0, 0), func() { s.box(long*0.08, 0.05, 0.065) })
		}
		s.within(at(-long*0.18, -0.07, 0).turnX(tau/4), func() { s.hoop(0.035, 0.007) })
	})
}
