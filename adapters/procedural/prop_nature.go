package procedural

func tree(s *sculptor) {
	r := s.random
	if s.wish.has("pine", "fir", "spruce", "christmas", "conifer") {
		pine(s, r.between(3, 4.2))
		return
	}
	if s.wish.has("palm") {
		palm(s)
		return
	}
	leafy(s, r.between(2.6, 3.6), !s.wish.has("dead", "bare", "withered"))
}

// leaf is the usual colour of leaves in the season that the words name.
func (w *wish) leaf() material {
	switch {
	case w.has("autumn", "fall", "orange"):
		return dull("leaves", 0xc9701f, 0.9)
	case w.has("cherry", "blossom", "sakura", "pink"):
		return dull("leaves", 0xf0a3c0, 0.9)
	case w.has("winter", "snow", "snowy"):
		return dull("leaves", 0xdfe9ee, 0.9)
	}
	return dull("leaves", 0x4d8c34, 0.9)
}

// leafy is a trunk with branches and a crown, from the origin up.
func leafy(s *sculptor, height float64, leaves bool) {
	r := s.random
	bark := dull("bark", 0x6a4a2f, 0.95)
	s.use(s.wish.finished(mainRole, s.wish.varied(mainRole, bark)))
	trunk := height * 0.5
	n := s.segments(5)
	lean := vec{r.between(-0.15, 0.15), 0, r.between(-0.15, 0.15)}
	path := make([]vec, n+1)
	for i := range path {
		t := float64(i) / float64(n)
		path[i] = vec{float64(lean.x*t*t*height) + float64(0.03*sin(float64(t*7))), float64(trunk * t), float64(lean.z * t * t * height)}
	}
	wide := float64(height * 0.06)
	s.tube(s.segments(9), false, path, func(i int) float64 {
		t := float64(i) / float64(n)
		return float64(wide * (1.25 - float64(0.7*t) + 0.5*(1-min(1, float64(t*5)))))
	})
	top := path[n]
	branches := 4 + r.below(3)
	var tips []vec
	for i := range branches {
		a := tau*float64(i)/float64(branches) + r.between(-0.3, 0.3)
		reach := float64(height * r.between(0.16, 0.26))
		tip := top.add(vec{float64(reach * cos(a)), float64(height * r.between(0.08, 0.22)), float64(reach * sin(a))})
		start := path[n].mix(path[max(0, n-1)], r.unit()*0.5)
		middle := start.mix(tip, 0.5).add(vec{0, -0.05, 0})
		s.tube(s.segments(6), false, []vec{start, middle, tip}, func(i int) float64 { return float64(wide * (0.5 - float64(0.17*float64(i)))) })
		tips = append(tips, tip)
	}
	if !leaves {
		for _, tip := range tips {
			for range 3 {
				end := tip.add(vec{r.between(-0.3, 0.3), r.between(0.1, 0.45), r.between(-0.3, 0.3)})
				s.tube(s.segments(4), false, []vec{tip, end}, func(i int) float64 { return float64(wide * (0.16 - float64(0.12*float64(i)))) })
			}
		}
		return
	}
	s.crown(top.add(vec{y: float64(height * 0.26)}), tips, height)
}

// crown is a cloud of leaves.
func (s *sculptor) crown(middle vec, tips []vec, height float64) {
	r := s.random
	leaf := s.wish.leaf()
	if len(s.wish.colours) > 0 && !s.wish.glowing {
		leaf = leaf.coloured(s.wish.colours[0])
	} else if s.wish.glowing {
		leaf = leaf.coloured(leaf.colour.mix(s.wish.light(), 0.6)).shining(s.wish.light().scale(0.4))
	}
	leaf = s.wish.finished(mainRole, leaf)
	clump := func(p vec, size float64) {
		s.use(leaf.shaded(r.between(0.8, 1.15)).named("leaves"))
		squash := r.between(0.75, 0.9)
		s.within(at(p.x, p.y, p.z), func() { s.lump(s.segments(10), vec{size, size * squash, size}, 0.22, r) })
	}
	clump(middle, float64(height*0.24))
	for _, tip := range tips {
		clump(tip.add(vec{y: float64(height * 0.03)}), float64(height*r.between(0.13, 0.19)))
	}
}

// pine is a trunk with skirts of needles.
func pine(s *sculptor, height float64) {
	r := s.random
	s.use(s.wish.finished(mainRole, dull("bark", 0x5d4029, 0.95)))
	s.cylinder(s.segments(8), height*0.045, height*0.03, height*0.4)
	green := dull("needles", 0x2f6b3f, 0.9)
	if len(s.wish.colours) > 0 && !s.wish.glowing {
		green = green.coloured(s.wish.colours[0])
	}
	green = s.wish.finished(mainRole, green)
	snow := s.wish.has("snow", "snowy", "winter", "christmas", "frozen")
	rows := 4 + r.below(2)
	for i := range rows {
		t := float64(i) / float64(rows)
		radius, y := float64(height*0.27*(1-float64(t*0.8))), float64(height*(0.16+float64(0.66*t)))
		tall := float64(height * 0.3 * (1 - 0.25*t))
		s.use(green.shaded(r.between(0.85, 1.1)).named("needles"))
		n := max(6, s.segments(12))
		s.within(at(0, y, 0).turnY(r.between(0, tau)), func() { s.skirt(n, radius, tall) })
		if snow {
			s.use(dull("snow", 0xf4f8fb, 0.8))
			s.within(at(0, y+float64(tall*0.45), 0), func() { s.skirt(n, radius*0.56, tall*0.58) })
		}
	}
}

// skirt is a cone with a ragged rim.
func (s *sculptor) skirt(n int, radius, height float64) {
	s.begin()
	rim, under := make([]vec, n), make([]vec, n)
	for i, p := range circle(n, radius, 0) {
		k := 1.0
		if i%2 == 1 {
			k = 0.82
		}
		rim[i] = vec{float64(p.x * k), float64((1 - k) * height * 0.4), float64(p.z * k)}
		under[i] = vec{float64(p.x * 0.3), float64(height * 0.12), float64(p.z * 0.3)}
	}
	s.loft(false, under, rim, circle(n, float64(radius*0.45), float64(height*0.52)), circle(n, 0, height))
}

func palm(s *sculptor) {
	r := s.random
	height, bend := r.between(2.6, 3.4), r.between(0.3, 0.8)
	n := s.segments(8)
	path := make([]vec, n+1)
	for i := range path {
		t := float64(i) / float64(n)
		path[i] = vec{float64(bend * t * t), float64(height * t), 0}
	}
	s.use(s.wish.finished(mainRole, dull("bark", 0x8d6b45, 0.95)))
	s.tube(s.segments(8), false, path, func(i int) float64 { return 0.13 - 0.05*float64(i)/float64(n) + float64(0.012*float64(i%2)) })
	leaf := s.wish.leaf()
	top := path[n]
	for i := range 8 {
		s.use(leaf.shaded(r.between(0.85, 1.15)))
		s.within(at(top.x, top.y, top.z).turnY(tau*float64(i)/8+r.between(-0.2, 0.2)), func() { s.frond(r.between(1, 1.4), r.between(0.2, 0.5)) })
	}
	s.use(dull("coconut", 0x5b3c22, 0.8))
	for i := range 3 {
		a := tau * float64(i) / 3
		s.within(at(top.x+float64(0.13*cos(a)), top.y-0.1, top.z+float64(0.13*sin(a))), func() { s.ball(s.segments(10), 0.1) })
	}
}

// frond is a long leaf that hangs over to the right.
func (s *sculptor) frond(length, hang float64) {
	s.begin()
	n := s.segments(6)
	rings := make([][]vec, n+1)
	for i := range rings {
		t := float64(i) / float64(n)
		x, y := float64(length*t), float64(0.35*t)-float64((0.35+hang)*t*t*1.3)
		w := float64(0.17*length*(1-t)*min(1, t*4+0.15)) + 0.004
		rings[i] = []vec{{x, y - 0.015, 0}, {x, y - 0.06*w/0.1, -w}, {x, y + 0.02, 0}, {x, y - 0.06*w/0.1, w}}
	}
	s.loft(false, rings...)
}

func bush(s *sculptor) {
	s.crown(vec{0, 0.35, 0}, []vec{{0.35, 0.2, 0.1}, {-0.33, 0.22, 0.15}, {0.05, 0.2, -0.35}, {0, 0.2, 0.35}}, 1.5)
}

func rock(s *sculptor) {
	r := s.random
	s.crisp(func() {
		for i := range 2 + r.below(3) {
			m := s.wish.tone(mainRole, materials["stone"])
			s.use(m.shaded(r.between(0.85, 1.1)))
			size := 0.5 / float64(i+1)
			x, z := 0.0, 0.0
			if i > 0 {
				a := r.between(0, tau)
				x, z = 0.5*cos(a), 0.5*sin(a)
			}
			high := float64(size * r.between(0.6, 1))
			s.within(at(x, high*0.7, z), func() { s.lump(s.segments(10), vec{size, high, size * r.between(0.7, 1)}, 0.5, r) })
		}
	})
	if s.wish.has("moss", "mossy", "forest") {
		s.use(materials["moss"])
		s.within(at(0, 0.62, 0), func() { s.lump(s.segments(10), vec{0.36, 0.12, 0.3}, 0.3, r) })
	}
	s.within(at(0, 0.35, 0.5), func() { s.mark(0.3, 0.35) })
}

func crystal(s *sculptor) {
	r := s.random
	s.crisp(func() {
		s.tone(secondRole, materials["slate"])
		s.within(at(0, 0.05, 0), func() { s.lump(s.segments(10), vec{0.4, 0.14, 0.36}, 0.5, r) })
		m := s.wish.tone(accentRole, clear("crystal", 0x8f6cf0, 0.88))
		if c, ok := s.wish.colourOf(mainRole); ok {
			m = m.coloured(c)
		}
		if m.glow == (rgb{}) {
			m.glow = m.colour.scale(0.25)
		}
		for i := range 7 + r.below(4) {
			s.use(m.shaded(r.between(0.85, 1.2)).named("crystal"))
			a, lean := r.between(0, tau), r.between(0.1, 0.7)
			high := r.between(0.3, 0.6)
			if i == 0 {
				lean, high = 0.05, r.between(0.75, 1)
			}
			wide, away := float64(high*r.between(0.12, 0.17)), lean*0.25
			s.within(at(away*cos(a), 0.03, -away*sin(a)).turnY(a).turnZ(-lean), func() {
				s.turned(6, [2]float64{wide * 0.7, 0}, [2]float64{wide, high * 0.15}, [2]float64{wide * 0.85, high * 0.75}, [2]float64{0, high})
			})
		}
	})
}

func mushroom(s *sculptor) {
	r := s.random
	one := func(size float64) {
		n := s.segments(18)
		s.tone(secondRole, dull("stem", 0xeee3cd, 0.8))
		s.turned(n, [2]float64{0.09 * size, 0}, [2]float64{0.11 * size, 0.04 * size}, [2]float64{0.065 * size, 0.2 * size}, [2]float64{0.07 * size, 0.36 * size})
		hat := s.wish.tone(mainRole, dull("cap", 0xc5302b, 0.45))
		if s.wish.glowing {
			hat = hat.shining(s.wish.light().scale(0.6)).coloured(s.wish.light())
		}
		s.use(hat.named("cap"))
		flat := r.between(0.65, 1)
		s.within(at(0, 0.33*size, 0).stretch(1, flat, 1), func() {
			p := [][2]float64{{float64(0.07 * size), float64(0.02 * size)}, {float64(0.24 * size), float64(-0.02 * size)}}
			for i := range 6 {
				a := tau / 4 * float64(i) / 5
				p = append(p, [2]float64{float64(0.26 * size * cos(a)), float64(0.24 * size * sin(a))})
			}
			p[len(p)-1][0] = 0
			s.turned(n, p...)
		})
		s.use(s.wish.tone(accentRole, dull("spots", 0xfaf3e6, 0.7)))
		for range 7 {
			a, up := r.between(0, tau), r.between(0.3, 1.3)
			p := vec{float64(0.26 * size * cos(up) * cos(a)), float64(0.24 * size * sin(up) * flat), float64(0.26 * size * cos(up) * sin(a))}
			s.within(at(p.x, p.y+float64(0.33*size), p.z).stretch(1, 0.6, 1), func() { s.ball(s.segments(8), r.between(0.02, 0.042)*size) })
		}
	}
	one(1)
	for range 1 + r.below(3) {
		a, size := r.between(0, tau), r.between(0.35, 0.6)
		s.within(at(0.33*cos(a), 0, 0.33*sin(a)).turnZ(r.between(-0.15, 0.15)), func() { one(size) })
	}
}

func flower(s *sculptor) {
	r := s.random
	height, petals := r.between(0.35, 0.55), 5+r.below(5)
	s.use(dull("stem", 0x4c8a35, 0.8))
	bend := r.between(-0.06, 0.06)
	s.tube(s.segments(6), false, []vec{{0, 0, 0}, {bend, height * 0.5, 0}, {0, height, 0}}, func(int) float64 { return 0.009 })
	for _, side := range []float64{0, tau / 2} {
		s.within(at(bend*0.6, height*0.3, 0).turnY(side+0.4), func() { s.within(still().stretch(0.18, 0.18, 0.3), func() { s.frond(1, 0.2) }) })
	}
	s.within(at(0, height, 0).turnX(0.5), func() {
		s.tone(mainRole, dull("petals", 0xd9407c, 0.6))
		for i := range petals {
			s.within(still().turnY(tau*float64(i)/float64(petals)).stretch(0.13, 0.13, 0.3), func() { s.frond(1, 0.05) })
		}
		s.tone(secondRole, dull("heart", 0xf2c230, 0.9))
		s.within(at(0, 0.012, 0).stretch(1, 0.6, 1), func() { s.ball(s.segments(12), 0.036) })
	})
}

func cactus(s *sculptor) {
	r := s.random
	height := r.between(1.1, 1.6)
	s.use(s.wish.tone(mainRole, dull("cactus", 0x4d8a4a, 0.8)))
	n := s.segments(12)
	round := func(path []vec, radius float64) {
		s.tube(n, false, path, func(i int) float64 {
			if i == len(path)-1 {
				return float64(radius * 0.45)
			}
			return radius
		})
	}
	round([]vec{{0, 0, 0}, {0, height * 0.5, 0}, {0, float64(height * 0.93), 0}, {0, height, 0}}, 0.15)
	for _, side := range []float64{-1, 1} {
		y, reach, up := float64(height*r.between(0.3, 0.5)), float64(r.between(0.28, 0.38)*side), r.between(0.3, 0.5)
		round([]vec{{0, y, 0}, {float64(reach * 0.7), y, 0}, {reach, y + 0.09, 0}, {reach, y + up, 0}, {reach, y + up + 0.06, 0}}, 0.085)
	}
	s.tone(accentRole, dull("blossom", 0xe8548c, 0.6))
	s.within(at(0, height+0.02, 0), func() { s.lump(s.segments(8), vec{0.08, 0.06, 0.08}, 0.4, r) })
}
