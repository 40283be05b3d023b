package procedural

import "math"

func potion(s *sculptor) {
	r := s.random
	belly, neck := r.between(0.085, 0.12), r.between(0.05, 0.09)
	form := r.below(3)
	s.use(s.wish.tone(secondRole, clear("glass", 0xcfe6ea, 0.35)))
	n := s.segments(18)
	body := func(k float64) [][2]float64 {
		b := float64(belly * k)
		switch form {
		case 0: // a ball
			p := [][2]float64{{b * 0.5, 0}}
			for i := range s.segments(7) {
				a := mix(-0.95, 1.2, float64(i)/float64(s.segments(7)-1))
				p = append(p, [2]float64{float64(b * cos(a)), b + float64(b*sin(a)*1.02)})
			}
			return p
		case 1: // a cone
			return [][2]float64{{float64(b * 0.95), 0}, {float64(b * 1.05), float64(b * 0.12)}, {b, float64(b * 0.3)}, {float64(b * 0.35), float64(b * 1.8)}}
		default: // a bottle with shoulders
			return [][2]float64{{float64(b * 0.72), 0}, {float64(b * 0.78), float64(b * 0.1)}, {float64(b * 0.78), float64(b * 1.3)}, {float64(b * 0.62), float64(b * 1.65)}, {float64(b * 0.34), float64(b * 1.9)}}
		}
	}
	glass := body(1)
	top := glass[len(glass)-1]
	mouth := [2]float64{float64(belly * 0.3), top[1] + neck}
	s.turned(n, append(glass, [2]float64{mouth[0], top[1] + float64(neck*0.2)}, mouth, [2]float64{float64(mouth[0] * 1.35), mouth[1] + 0.005}, [2]float64{float64(mouth[0] * 1.35), mouth[1] + 0.02})...)
	liquid := s.wish.tone(accentRole, clear("liquid", 0xc2273d, 0.95))
	liquid.name = "liquid"
	if len(s.wish.colours) > 0 {
		liquid = liquid.coloured(s.wish.colours[0])
	}
	if s.wish.glowing || s.wish.look == fantasyLook {
		liquid = liquid.shining(liquid.colour.scale(0.8))
	}
	s.use(liquid)
	inner := body(0.9)
	level := float64(top[1] * r.between(0.55, 0.85))
	var filled [][2]float64
	for _, p := range inner {
		if p[1] < level {
			filled = append(filled, p)
		}
	}
	last := filled[len(filled)-1]
	filled = append(filled, [2]float64{float64(last[0] * 0.97), level})
	s.within(at(0, belly*0.06, 0), func() { s.turned(n, filled...) })
	s.tone(mainRole, materials["cork"])
	s.within(at(0, mouth[1]-0.01, 0), func() { s.cylinder(s.segments(12), mouth[0]*0.85, mouth[0]*1.05, 0.055) })
	s.tone(trimRole, materials["gold"])
	s.within(at(0, top[1]+neck*0.25, 0), func() { s.hoop(mouth[0]*1.05, 0.008) })
	s.within(at(0, top[1]*0.45, belly*1.0), func() { s.mark(belly*0.7, belly*0.7) })
}

func mug(s *sculptor) {
	r := s.random
	radius, height := r.between(0.042, 0.055), r.between(0.09, 0.12)
	bulge := r.between(-0.15, 0.2)
	n := s.segments(20)
	s.tone(mainRole, materials["ceramic"])
	profile := [][2]float64{{float64(radius * 0.88), 0}, {float64(radius * 0.95), 0.006}}
	for i := range 5 {
		t := float64(i+1) / 5
		profile = append(profile, [2]float64{float64(radius * (1 + float64(bulge*sin(float64(t*math.Pi))))), float64(height * t)})
	}
	rim := profile[len(profile)-1]
	profile = append(profile, [2]float64{float64(rim[0] * 0.9), height}, [2]float64{float64(radius * 0.84), float64(height * 0.15)}, [2]float64{0, float64(height * 0.12)})
	s.turned(n, profile...)
	path := arc(s.segments(10), float64(height*0.33), -tau/4, tau/4)
	for i := range path {
		path[i] = path[i].add(vec{float64(radius * (1 + float64(bulge*0.7)) * 0.97), height * 0.5, 0})
	}
	s.tube(s.segments(8), false, path, func(int) float64 { return 0.0075 })
	s.tone(accentRole, dull("drink", 0x4b2a17, 0.15))
	s.within(at(0, height*0.78, 0), func() { s.cylinder(n, radius*0.86, radius*0.86, 0.004) })
	s.tone(secondRole, materials["bronze"])
	for _, y := range []float64{0.14, 0.86} {
		s.within(at(0, height*y, 0), func() { s.hoop(radius*(1+float64(bulge*sin(float64(y*math.Pi))))*1.0, 0.004) })
	}
	s.within(at(0, height*0.5, radius*(1+bulge)), func() { s.mark(radius*0.6, height*0.4) })
}

func vase(s *sculptor) {
	r := s.random
	height := r.between(0.35, 0.5)
	phase, waist := r.between(0.8, 1.6), r.between(0.3, 0.55)
	profile := [][2]float64{{0.06, 0}}
	rows := s.segments(10)
	for i := range rows {
		t := float64(i) / float64(rows-1)
		profile = append(profile, [2]float64{0.07 + float64(0.09*max(0, sin(float64(t*math.Pi*phase)+0.35))*(1-float64(t*waist))), 0.01 + float64(height*t)})
	}
	rim := profile[len(profile)-1]
	profile = append(profile, [2]float64{rim[0] + 0.02, rim[1] + 0.02}, [2]float64{rim[0] + 0.005, rim[1] + 0.02}, [2]float64{float64(rim[0] * 0.7), rim[1] - 0.05}, [2]float64{0, rim[1] - 0.06})
	s.tone(mainRole, materials["porcelain"])
	s.turned(s.segments(22), profile...)
	s.tone(secondRole, dull("glaze", 0x2d5fa8, 0.3))
	for _, i := range []int{rows / 4, rows / 2, rows * 3 / 4} {
		p := profile[i+1]
		s.within(at(0, p[1], 0), func() { s.hoop(p[0], 0.006) })
	}
}

func barrel(s *sculptor) {
	r := s.random
	radius, height := r.between(0.26, 0.32), r.between(0.75, 0.9)
	staves := max(6, s.segments(14))
	s.tone(mainRole, materials["oak"])
	shape := func(t, k float64) float64 {
		return float64(radius * k * (0.84 + float64(0.16*sin(float64(t*math.Pi)))))
	}
	s.turned(staves, [2]float64{shape(0, 1), 0.02}, [2]float64{shape(0.5, 1), height / 2}, [2]float64{shape(1, 1), height - 0.02},
		[2]float64{shape(1, 0.9), height - 0.02}, [2]float64{shape(1, 0.9), height - 0.05}, [2]float64{0, height - 0.05})
	if s.fine(3) {
		wood := s.wish.tone(mainRole, materials["oak"])
		for i := range staves {
			s.use(wood.shaded(r.between(0.8, 1.12)).named("stave"))
			a := tau * (float64(i) + 0.5) / float64(staves)
			s.within(still().turnY(a), func() {
				path := []vec{{0, 0, shape(0, 1)}, {0, height * 0.25, shape(0.25, 1)}, {0, height / 2, shape(0.5, 1)}, {0, float64(height * 0.75), shape(0.75, 1)}, {0, height, shape(1, 1)}}
				s.slats(path, radius*3.0/float64(staves), 0.02)
			})
		}
	}
	s.tone(secondRole, materials["iron"])
	for _, t := range []float64{0.1, 0.3, 0.7, 0.9} {
		w := shape(t, 1) + 0.012
		s.within(at(0, float64(height*t)-0.025, 0), func() {
			s.turned(max(6, s.segments(18)), [2]float64{w, 0}, [2]float64{w + 0.012, 0.008}, [2]float64{w + 0.012, 0.042}, [2]float64{w, 0.05})
		})
	}
	s.within(at(0, height*0.5, radius+0.03), func() { s.mark(radius*0.7, height*0.25) })
}

// slats is a board along a path in the plane of y and z, half as wide as width to each side.
func (s *sculptor) slats(path []vec, width, thick float64) {
	s.begin()
	rings := make([][]vec, len(path))
	for i, p := range path {
		w, t := width, thick/2
		rings[i] = []vec{{p.x + w, p.y, p.z + t}, {p.x + w, p.y, p.z - t}, {p.x - w, p.y, p.z - t}, {p.x - w, p.y, p.z + t}}
	}
	s.loft(false, rings...)
}

func crate(s *sculptor) {
	size := s.random.between(0.7, 0.9)
	h := size / 2
	s.tone(mainRole, materials["pine"])
	wood := s.wish.tone(mainRole, materials["pine"])
	s.boxAt(0, 0.02, 0, size*0.94, size*0.94, size*0.94)
	sides := []frame{still(), still().turnY(tau / 4), still().turnY(tau / 2), still().turnY(tau * 3 / 4), still().turnX(-tau / 4), still().turnX(tau / 4)}
	for side, f := range sides {
		s.within(at(0, h, 0).then(f), func() {
			s.use(s.wish.tone(secondRole, wood.shaded(0.7).named("frame")))
			s.crateSide(size, side)
			if side == 0 {
				s.within(at(0, 0, h+0.02), func() { s.mark(size*0.4, size*0.3) })
			}
		})
	}
}

func (s *sculptor) crateSide(size float64, side int) {
	h, w := size/2, float64(size*0.11)
	plank := func(x, y, w, h, turn float64) {
		s.within(at(x, y, size/2-0.01).turnZ(turn), func() { s.box(w, h, 0.035) })
	}
	plank(0, h-w/2, size, w, 0)
	plank(0, w/2-h, size, w, 0)
	plank(h-w/2, 0, w, size-2*w, 0)
	plank(w/2-h, 0, w, size-2*w, 0)
	if side < 4 && s.fine(2) {
		plank(0, 0, w, float64(size*1.1), 0.785)
	}
}

func chest(s *sculptor) {
	r := s.random
	w, d, h := r.between(0.75, 0.95), r.between(0.48, 0.58), r.between(0.32, 0.4)
	open := s.wish.has("open", "opened", "treasure", "loot")
	s.tone(mainRole, materials["oak"])
	wood := s.wish.tone(mainRole, materials["oak"])
	rows := 4
	for i := range rows {
		s.use(wood.shaded(r.between(0.85, 1.1)).named("plank"))
		s.boxAt(0, h*float64(i)/float64(rows), 0, w, h/float64(rows)-0.004, d)
	}
	s.tone(secondRole, materials["iron"])
	for _, x := range []float64{-1, 1} {
		s.boxAt(x*w*0.46, 0, 0, w*0.09, h, d+0.03)
	}
	s.boxAt(0, h-0.03, 0, w+0.02, 0.035, d+0.02)
	lid := at(0, h, -d/2)
	if open {
		lid = lid.turnX(-1.25)
		s.treasure(w, d, h)
	}
	s.within(lid, func() { s.chestLid(w, d, wood) })
	s.tone(trimRole, materials["gold"])
	s.boxAt(0, h-0.1, d/2+0.01, 0.11, 0.13, 0.03)
	s.tone(accentRole, clear("keyhole", 0x2f9ee0, 0.95))
	s.within(at(0, h-0.03, d/2+0.03).turnX(tau/4), func() { s.gem(0.022, 0.03) })
	s.within(at(-w*0.22, h*0.45, d/2+0.005), func() { s.mark(w*0.16, h*0.5) })
	s.within(at(w*0.22, h*0.45, d/2+0.005), func() { s.mark(w*0.16, h*0.5) })
}

// chestLid is half a barrel that turns around the origin.
func (s *sculptor) chestLid(w, d float64, wood material) {
	half := func(radius, from, to float64) {
		s.begin()
		n := s.segments(10)
		left, right := make([]vec, 0, n+1), make([]vec, 0, n+1)
		for i := range n + 1 {
			a := math.Pi * float64(i) / float64(n)
			y, z := float64(radius*sin(a)*0.75), d/2+float64(radius*cos(a))
			left, right = append(left, vec{from, y, z}), append(right, vec{to, y, z})
		}
		s.loft(false, right, left)
	}
	s.use(wood.shaded(1.05).named("lid"))
	half(d/2, -w/2, w/2)
	s.tone(secondRole, materials["iron"])
	for _, x := range []float64{-1, 1} {
		half(d/2+0.015, float64(x*w*0.46)-float64(w*0.045), float64(x*w*0.46)+float64(w*0.045))
	}
	half(d/2+0.012, -0.05, 0.05)
}

// treasure lies in an open chest.
func (s *sculptor) treasure(w, d, h float64) {
	s.tone(trimRole, materials["gold"])
	s.within(at(0, h-0.04, 0).stretch(w*0.46, 0.12, d*0.44), func() { s.lump(s.segments(14), vec{1, 1, 1}, 0.2, s.random) })
	if !s.fine(3) {
		return
	}
	for range 14 {
		x, z := float64(s.random.between(-0.36, 0.36)*w), float64(s.random.between(-0.3, 0.3)*d)
		s.within(at(x, h+0.06, z).turnX(s.random.between(-0.9, 0.9)).turnZ(s.random.between(-0.9, 0.9)), func() {
			s.cylinder(s.segments(10), 0.035, 0.035, 0.01)
		})
	}
	for i, m := range []string{"ruby", "emerald", "sapphire"} {
		s.use(materials[m])
		s.within(at((float64(i)-1)*w*0.22, h+0.1, s.random.between(-0.1, 0.15)*d).turnZ(s.random.between(-1, 1)), func() { s.gem(0.035, 0.08) })
	}
}

func cauldron(s *sculptor) {
	radius := s.random.between(0.34, 0.42)
	n := s.segments(20)
	s.tone(mainRole, dull("cast iron", 0x35363b, 0.6))
	profile := [][2]float64{}
	rows := s.segments(8)
	for i := range rows + 1 {
		a := mix(-1.35, 0.65, float64(i)/float64(rows))
		profile = append(profile, [2]float64{float64(radius * cos(a)), float64(radius*1.1) + float64(radius*sin(a))})
	}
	top := profile[len(profile)-1]
	profile = append(profile, [2]float64{float64(top[0] * 1.1), top[1] + 0.03}, [2]float64{float64(top[0] * 1.1), top[1] + 0.06}, [2]float64{float64(top[0] * 0.92), top[1] + 0.06}, [2]float64{float64(top[0] * 0.85), top[1] - 0.08}, [2]float64{0, top[1] - 0.08})
	s.turned(n, profile...)
	for i := range 3 {
		s.within(still().turnY(tau*float64(i)/3+0.5).shift(radius*0.62, 0, 0), func() { s.cylinder(s.segments(8), 0.03, 0.06, radius*0.5) })
	}
	s.tone(secondRole, materials["iron"])
	for _, x := range []float64{-1, 1} {
		s.within(at(x*radius*1.02, radius*1.35, 0).turnX(tau/4).turnZ(tau/4), func() { s.hoop(0.08, 0.014) })
	}
	brew := s.wish.tone(accentRole, clear("brew", 0x56d13c, 0.95))
	s.use(brew.shining(brew.colour.scale(0.6)).named("brew"))
	s.within(at(0, top[1]-0.02, 0), func() { s.cylinder(n, top[0]*0.88, top[0]*0.88, 0.02) })
	for range 5 {
		a, d := s.random.between(0, tau), float64(s.random.between(0.1, 0.6)*radius)
		s.within(at(d*cos(a), top[1], d*sin(a)), func() { s.dome(s.segments(10), s.random.between(0.03, 0.07), 0) })
	}
}
