package procedural

func key(s *sculptor) {
	r := s.random
	length := r.between(0.14, 0.2)
	s.tone(mainRole, materials["brass"])
	s.within(at(0, length+0.045, 0).turnX(tau/4), func() {
		if r.chance(0.5) {
			for i := range 3 {
				a := tau*float64(i)/3 + tau/4
				s.within(at(0.024*cos(a), 0, 0.024*sin(a)), func() { s.hoop(0.022, 0.006) })
			}
		} else {
			s.hoop(0.036, 0.008)
		}
	})
	s.within(at(0, 0.005, 0), func() { s.cylinder(s.segments(10), 0.008, 0.008, length) })
	for _, y := range []float64{0.82, 0.92} {
		s.within(at(0, length*y, 0), func() { s.hoop(0.01, 0.005) })
	}
	for range 2 + r.below(2) {
		s.within(at(0.02, length*r.between(0.04, 0.25), 0), func() { s.box(r.between(0.022, 0.034), 0.013, 0.007) })
	}
	s.tone(accentRole, clear("gem", 0x3fb0e8, 0.95))
	s.within(at(0, length+0.045, 0).turnX(tau/4), func() { s.gem(0.016, 0.03) })
}

func ring(s *sculptor) {
	r := s.random
	radius := 0.1
	s.within(at(0, radius*1.15, 0), func() {
		s.tone(mainRole, materials["gold"])
		n := s.segments(28)
		s.within(still().turnX(tau/4), func() {
			s.tube(s.segments(10), true, circle(n, radius, 0), func(i int) float64 {
				return 0.011 + float64(0.007*max(0, cos(tau*float64(i)/float64(n)-tau/4)))
			})
		})
		s.tone(trimRole, materials["gold"])
		s.within(at(0, radius+0.008, 0), func() {
			s.turned(s.segments(12), [2]float64{0.02, 0}, [2]float64{0.032, 0.016}, [2]float64{0.03, 0.022})
			for i := range 4 {
				a := tau*float64(i)/4 + tau/8
				s.within(at(0.03*cos(a), 0.01, 0.03*sin(a)), func() { s.cylinder(s.segments(5), 0.005, 0.005, 0.03) })
			}
		})
		s.tone(accentRole, clear("gem", 0xc8102e, 0.95))
		s.within(at(0, radius+0.04, 0), func() {
			if r.chance(0.5) {
				s.gem(0.036, 0.075)
			} else {
				s.within(still().stretch(1, 0.75, 1), func() { s.ball(s.segments(14), 0.034) })
			}
		})
		for i := range 5 {
			a := tau/4 + float64((float64(i)-2)*0.55)
			s.within(at(radius*cos(a), radius*sin(a), 0.014).turnX(tau/4), func() { s.mark(0.02, 0.025) })
		}
	})
}

func coin(s *sculptor) {
	s.within(at(0, 0.13, 0).turnX(tau/4-0.12), func() {
		s.tone(mainRole, materials["gold"])
		n := s.segments(28)
		s.turned(n, [2]float64{0.115, -0.01}, [2]float64{0.12, -0.008}, [2]float64{0.12, 0.008}, [2]float64{0.115, 0.01})
		for _, y := range []float64{-0.01, 0.01} {
			s.within(at(0, y, 0), func() { s.hoop(0.108, 0.006) })
		}
		s.use(s.wish.tone(mainRole, materials["gold"]).shaded(0.8).named("relief"))
		for _, side := range []float64{-1, 1} {
			s.within(at(0, side*0.01, 0).turnX(-tau/4), func() { s.plate(star(5+s.random.below(4), 0.07, 0.034), 0.012, 0.15) })
		}
	})
	s.tone(secondRole, materials["gold"])
	for range 5 {
		x, z := s.random.between(-0.2, 0.2), s.random.between(-0.12, -0.02)
		s.within(at(x, 0.008, z).turnX(s.random.between(-0.1, 0.1)), func() { s.cylinder(s.segments(20), 0.1, 0.1, 0.018) })
	}
}

func crown(s *sculptor) {
	r := s.random
	points, radius := 5+r.below(4), 0.11
	n := points * max(2, s.segments(4))
	s.tone(mainRole, materials["gold"])
	s.begin()
	band := func(radius float64, bottom bool) []vec {
		out := circle(n, radius, 0.01)
		if bottom {
			return out
		}
		per := n / points
		for i, p := range out {
			t := abs(2*float64(i%per)/float64(per) - 1)
			out[i] = vec{float64(p.x * 1.12), 0.055 + float64(0.075*t*t), float64(p.z * 1.12)}
		}
		return out
	}
	s.loft(true, band(radius, true), band(radius, false), band(float64(radius*0.93), false), band(float64(radius*0.93), true))
	s.tone(secondRole, dull("velvet", 0x6d1f3c, 0.95))
	s.within(at(0, 0.02, 0).stretch(1, 0.75, 1), func() { s.dome(s.segments(16), radius*0.92, 0) })
	s.tone(trimRole, materials["gold"])
	for _, y := range []float64{0.012, 0.045} {
		s.within(at(0, y, 0), func() { s.hoop(radius*1.02, 0.006) })
	}
	for i := range points {
		a := tau * float64(i) / float64(points)
		s.tone(trimRole, materials["pearl"])
		s.within(at(radius*1.12*cos(a), 0.137, -radius*1.12*sin(a)), func() { s.ball(s.segments(10), 0.011) })
		s.use(s.wish.tone(accentRole, materials[[]string{"ruby", "sapphire", "emerald"}[i%3]]))
		b := a + tau/2/float64(points)
		s.within(at(radius*1.03*cos(b), 0.029, -radius*1.03*sin(b)), func() { s.gem(0.015, 0.03) })
	}
}

func gemstone(s *sculptor) {
	r := s.random
	s.within(at(0, 0.16, 0), func() {
		gem := s.wish.tone(accentRole, clear("gem", 0x28a0e0, 0.85))
		if c, ok := s.wish.colourOf(mainRole); ok {
			gem = gem.coloured(c)
		}
		s.use(gem)
		n := pick(r, 6, 8, 10)
		s.crisp(func() {
			s.turned(n, [2]float64{0, -0.16}, [2]float64{0.15, 0.03}, [2]float64{0.155, 0.05}, [2]float64{0.12, 0.1}, [2]float64{0.08, 0.12})
		})
	})
}

func helmet(s *sculptor) {
	r := s.random
	s.within(at(0, 0.2, 0), func() {
		s.tone(mainRole, materials["steel"])
		n := s.segments(20)
		s.within(still().stretch(0.9, 1, 1.05), func() {
			profile := [][2]float64{{0.155, -0.18}, {0.16, -0.1}, {0.152, 0}}
			rows := s.segments(6)
			for i := range rows {
				a := tau / 4 * float64(i+1) / float64(rows)
				profile = append(profile, [2]float64{float64(0.152 * cos(a)), float64(0.165 * sin(a))})
			}
			profile[len(profile)-1][0] = 0
			s.turned(n, profile...)
		})
		s.use(dull("visor", 0x0c0d10, 0.5))
		s.within(at(0, -0.01, 0.15), func() { s.box(0.17, 0.03, 0.03) })
		s.within(at(0, -0.1, 0.155), func() { s.box(0.02, 0.14, 0.03) })
		s.tone(trimRole, materials["brass"])
		s.within(at(0, 0.03, 0).stretch(0.9, 1, 1.05), func() { s.hoop(0.155, 0.008) })
		s.within(at(0, -0.18, 0).stretch(0.9, 1, 1.05), func() { s.hoop(0.157, 0.01) })
		s.within(at(0, 0.02, 0).turnY(tau/4), func() {
			s.tube(s.segments(6), false, arc(s.segments(12), 0.166, 0.1, tau/2-0.2), func(int) float64 { return 0.009 })
		})
		if s.wish.has("viking", "horned", "demon") || r.chance(0.35) {
			s.tone(accentRole, materials["ivory"])
			for _, x := range []float64{-1, 1} {
				s.tube(s.segments(8), false, []vec{{x * 0.13, 0.06, 0}, {x * 0.2, 0.08, 0}, {x * 0.25, 0.16, 0}, {x * 0.24, 0.25, 0.02}}, func(i int) float64 { return 0.034 - float64(0.0105*float64(i)) })
			}
			return
		}
		s.tone(secondRole, dull("plume", 0xb3202c, 0.95))
		s.tube(s.segments(8), false, []vec{{0, 0.16, 0.04}, {0, 0.24, 0}, {0, 0.25, -0.1}, {0, 0.18, -0.2}, {0, 0.06, -0.25}}, func(i int) float64 {
			return []float64{0.012, 0.035, 0.042, 0.035, 0.008}[i]
		})
	})
}

func skull(s *sculptor) {
	s.within(at(0, 0.12, 0), func() {
		s.tone(mainRole, materials["bone"])
		s.within(at(0, 0.04, -0.01).stretch(0.09, 0.095, 0.11), func() { s.ball(s.segments(18), 1) })
		s.within(at(0, -0.05, 0.06).stretch(0.062, 0.05, 0.05), func() { s.ball(s.segments(14), 1) })
		s.within(at(0, -0.1, 0.05), func() { s.box(0.085, 0.035, 0.07) })
		for _, x := range []float64{-1, 1} {
			s.within(at(x*0.055, -0.01, 0.055).stretch(0.03, 0.022, 0.03), func() { s.ball(s.segments(10), 1) })
		}
		s.use(dull("holes", 0x17120e, 1))
		for _, x := range []float64{-1, 1} {
			s.within(at(x*0.036, 0.015, 0.083).stretch(0.024, 0.024, 0.02), func() { s.ball(s.segments(12), 1) })
		}
		s.within(at(0, -0.035, 0.105), func() { s.within(still().turnX(-0.2).stretch(0.5, 0.8, 0.5), func() { s.gem(0.018, 0.04) }) })
		for i := range 6 {
			s.within(at((float64(i)-2.5)*0.014, -0.082, 0.098), func() { s.box(0.003, 0.03, 0.012) })
		}
		if s.wish.glowing {
			s.use(s.wish.beam())
			for _, x := range []float64{-1, 1} {
				s.within(at(x*0.036, 0.015, 0.1), func() { s.ball(s.segments(10), 0.01) })
			}
		}
	})
}
