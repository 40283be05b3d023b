package procedural

// What stands on the landscapes.

func forest(e *land) {
	count := e.many(40)
	if e.wish.has("meadow", "garden", "park") {
		count /= 2
	}
	e.scatter(count, 1.3, nil, func(_ vec, r *random) {
		k := r.between(0.75, 1.25)
		kind := r.below(3)
		if e.wish.has("pine", "spruce", "fir") {
			kind = 0
		}
		e.coarse(0.6, func() {
			if kind == 0 {
				e.scaled(k, func(s *sculptor) { pine(s, 3.4) })
			} else {
				e.scaled(k, func(s *sculptor) { leafy(s, 3, true) })
			}
		})
	})
	small := e.wish.random.fork("undergrowth")
	e.rocks(5, small)
	for range e.many(9) {
		x, z := float64(small.between(-0.9, 0.9)*e.half), float64(small.between(-0.9, 0.9)*e.half)
		if e.count > e.most {
			return
		}
		e.within(at(x, e.at(x, z)-0.03, z), func() {
			e.coarse(0.5, func() {
				if small.chance(0.4) {
					e.scaled(0.7, mushroom)
				} else {
					e.scaled(0.6, bush)
				}
			})
		})
	}
}

func (e *land) rocks(count int, r *random) {
	for range count {
		if e.count > e.most {
			return
		}
		x, z, k := float64(r.between(-0.9, 0.9)*e.half), float64(r.between(-0.9, 0.9)*e.half), r.between(0.4, 1.3)
		e.within(at(x, e.at(x, z)-0.1, z).turnY(r.between(0, tau)), func() { e.coarse(0.6, func() { e.scaled(k, rock) }) })
	}
}

func desert(e *land) {
	r := e.wish.random.fork("desert")
	e.scatter(e.many(10), 2, nil, func(_ vec, r *random) {
		k := r.between(0.7, 1.3)
		e.coarse(0.7, func() { e.scaled(k, cactus) })
	})
	e.rocks(6, r)
	if e.wish.has("pyramid", "egypt", "temple", "ancient") || r.chance(0.5) {
		e.use(dull("sandstone", 0xd2ab6e, 0.95))
		x, z := float64(-0.35*e.half), float64(-0.35*e.half)
		e.within(at(x, e.at(x, z)-0.6, z).turnY(tau/8), func() {
			e.crisp(func() {
				const steps = 9
				for i := range steps {
					k := 1 - float64(i)/steps
					e.boxAt(0, float64(i)*0.5, 0, 8*k, 0.5, 8*k)
				}
			})
		})
	}
	if e.wish.has("oasis") {
		e.use(clear("water", 0x2a86b0, 0.9))
		e.within(at(4, e.at(4, 4)+0.1, 4), func() { e.cylinder(e.segments(18), 2.6, 2.6, 0.1) })
		for i := range 4 {
			a := tau * float64(i) / 4
			x, z := 4+float64(3*cos(a)), 4+float64(3*sin(a))
			e.within(at(x, e.at(x, z), z).turnY(a), func() { e.coarse(0.7, func() { palm(e.sculptor) }) })
		}
	}
}

func city(e *land) {
	r := e.wish.random.fork("city")
	blocks := 4
	step := 2 * e.half / float64(blocks)
	for i := range blocks {
		for j := range blocks {
			x, z := -e.half+float64(step*(float64(i)+0.5)), -e.half+float64(step*(float64(j)+0.5))
			e.use(dull("pavement", 0x8d8f92, 0.95))
			e.boxAt(x, 0, z, step*0.78, 0.12, step*0.78)
			for k := range 4 {
				dx, dz := float64((float64(k%2)-0.5)*step*0.36), float64((float64(k/2)-0.5)*step*0.36)
				center := 1.6 - float64((abs(x)+abs(z))/e.half*0.6)
				e.within(at(x+dx, 0.12, z+dz), func() { e.highrise(r, step*0.3, r.between(1.5, 5.5)*center) })
			}
		}
	}
	e.use(dull("lines", 0xe6e2d0, 0.9))
	for i := 1; i < blocks; i++ {
		for k := range 12 {
			t := -e.half + float64(step*float64(i))
			u := -e.half + 2*e.half*(float64(k)+0.5)/12
			e.boxAt(t, 0, u, 0.08, 0.02, 0.9)
			e.boxAt(u, 0, t, 0.9, 0.02, 0.08)
		}
	}
	for i := 1; i < blocks; i++ {
		x := -e.half + float64(step*float64(i))
		for range 3 {
			e.within(at(x+0.4, 0, e.half*r.between(-0.9, 0.9)).turnY(tau/4), func() {
				e.coarse(0.5, func() { e.scaled(0.3, car) })
			})
		}
	}
}

// highrise is a building with rows of windows, some of them lit.
func (e *land) highrise(r *random, wide, height float64) {
	wall := material{name: "facade", colour: wheel(r.unit(), 0.12, r.between(0.12, 0.5)), roughness: 0.6, alpha: 1}
	night := e.wish.look == scifiLook || e.wish.glowing || e.wish.has("night", "cyberpunk", "neon")
	if night {
		wall.colour = wall.colour.scale(0.25)
	}
	e.use(wall)
	e.boxAt(0, 0, 0, wide, height, wide)
	lit := material{name: "windows", colour: rgb{0.25, 0.35, 0.45}, roughness: 0.15, metallic: 0.3, alpha: 1}
	if night {
		c := pick(r, rgb{1, 0.75, 0.4}, e.wish.light(), rgb{0.4, 0.8, 1})
		lit = material{name: "lit windows", colour: c, roughness: 0.4, alpha: 1, glow: c.scale(0.7)}
	}
	e.use(lit)
	rows := max(1, int(height/0.42))
	for i := range rows {
		y := 0.2 + float64(0.42*float64(i))
		if y+0.25 > height {
			break
		}
		if e.fine(5) {
			for side := range 4 {
				for k := range 3 {
					if !r.chance(0.75) {
						continue
					}
					e.within(at(0, y, 0).turnY(tau/4*float64(side)), func() {
						e.within(at((float64(k)-1)*wide*0.28, 0.1, wide/2), func() {
							e.begin()
							e.plainBox(wide*0.1, 0.11, 0.015)
						})
					})
				}
			}
			continue
		}
		e.within(at(0, y+0.1, 0), func() {
			e.begin()
			e.plainBox(wide/2+0.01, 0.09, wide*0.42)
			e.begin()
			e.plainBox(wide*0.42, 0.09, wide/2+0.01)
		})
	}
	e.use(wall.shaded(0.7).named("roof"))
	e.boxAt(wide*0.1, height, 0, wide*0.5, 0.2, wide*0.4)
	if height > 5 {
		e.within(at(0, height, 0), func() { e.cylinder(4, 0.03, 0.01, 1) })
	}
}

func village(e *land) {
	e.scatter(e.many(7), 5, func(p vec) bool { return abs(p.x) < e.half*0.75 && abs(p.z) < e.half*0.75 }, func(_ vec, r *random) {
		k := r.between(0.6, 0.8)
		e.coarse(0.6, func() { e.scaled(k, house) })
	})
	e.within(at(0, e.at(0, 0), 0), func() { e.coarse(0.7, func() { well(e.sculptor) }) })
	r := e.wish.random.fork("village")
	for range e.many(8) {
		x, z := float64(r.between(-0.9, 0.9)*e.half), float64(r.between(-0.9, 0.9)*e.half)
		k := r.between(0.6, 1)
		if abs(x)+abs(z) < e.half*0.4 || e.count > e.most {
			continue
		}
		e.within(at(x, e.at(x, z)-0.05, z), func() { e.coarse(0.5, func() { e.scaled(k, func(s *sculptor) { leafy(s, 3, true) }) }) })
	}
}

func dungeon(e *land) {
	r := e.wish.random.fork("dungeon")
	stone := e.wish.tone(mainRole, materials["stone"]).shaded(0.75)
	h, tall := float64(e.half*0.96), 4.2
	for i := range 7 { // flags
		for j := range 7 {
			e.use(stone.shaded(r.between(0.75, 1.1)).named("flag"))
			step := 2 * h / 7
			e.boxAt(-h+float64(step*(float64(i)+0.5)), -0.05, -h+float64(step*(float64(j)+0.5)), step*0.96, r.between(0.06, 0.12), step*0.96)
		}
	}
	for _, wall := range []frame{at(0, 0, -h), at(-h, 0, 0).turnY(tau / 4)} {
		e.within(wall, func() {
			for row := range 6 {
				for k := range 10 {
					e.use(stone.shaded(r.between(0.8, 1.12)).named("block"))
					x := -h + 2*h*(float64(k)+0.5+0.25*float64(row%2)-0.125)/10
					e.boxAt(x, tall*float64(row)/6, 0, 2*h/10-0.05, tall/6-0.04, 0.7+r.between(0, 0.12))
				}
			}
		})
	}
	for i := range 3 {
		x := float64(h * (float64(i) - 1) * 0.62)
		e.within(at(x, 0, -h*0.55), func() { e.coarse(0.6, func() { e.scaled(1.3, pillar) }) })
		e.within(at(x, 2, -h+0.55).turnX(0.35), func() { e.coarse(0.6, func() { e.scaled(1.4, torch) }) })
		e.within(at(-h*0.55, 0, x), func() { e.coarse(0.6, func() { e.scaled(1.3, pillar) }) })
		e.within(at(-h+0.55, 2, x).turnZ(-0.35), func() { e.coarse(0.6, func() { e.scaled(1.4, torch) }) })
	}
	things := []func(*sculptor){chest, barrel, crate, skull, cauldron, barrel, crystal, table}
	for i, build := range things {
		a := tau * float64(i) / float64(len(things))
		x, z := float64(h*0.45*cos(a))+float64(h*0.2), float64(h*0.45*sin(a))+float64(h*0.2)
		k := 1.5
		if i == 3 {
			k = 3
		}
		e.within(at(x, 0.08, z).turnY(r.between(0, tau)), func() { e.coarse(0.8, func() { e.scaled(k, build) }) })
	}
}

func moonBase(e *land) {
	r := e.wish.random.fork("base")
	e.rocks(8, r)
	x, z := float64(-0.2*e.half), float64(-0.25*e.half)
	e.within(at(x, e.at(x, z)-0.1, z), func() {
		shell := material{name: "shell", colour: rgb{0.75, 0.77, 0.8}, metallic: 0.3, roughness: 0.4, alpha: 1}
		for i, p := range []vec{{0, 2.2, 0}, {4.2, 1.5, 1}, {-3.6, 1.4, 1.6}} {
			e.use(shell.shaded(1 - float64(0.1*float64(i))))
			e.within(at(p.x, 0, p.z), func() {
				e.dome(e.segments(16), p.y, 0)
				e.use(e.wish.beam())
				e.within(at(0, p.y*0.35, 0), func() { e.hoop(p.y*0.95, 0.06) })
				e.use(clear("dome glass", 0x5fb4dd, 0.8))
				e.within(at(0, p.y*0.62, 0), func() { e.dome(e.segments(14), p.y*0.5, 0) })
			})
			if i > 0 {
				e.use(shell.shaded(0.7).named("tunnel"))
				e.tube(e.segments(10), false, []vec{{0, 0.5, 0}, {p.x, 0.5, p.z}}, func(int) float64 { return 0.5 })
			}
		}
	})
	x, z = 0.5*e.half, float64(0.45*e.half)
	e.within(at(x, e.at(x, z), z), func() { e.coarse(0.8, func() { e.scaled(1.2, rocket) }) })
	for i := range 4 {
		x, z := float64(0.55*e.half), float64(-0.75*e.half)+float64(float64(i)*1.5)
		e.within(at(x, e.at(x, z), z), func() {
			e.use(materials["titanium"])
			e.cylinder(e.segments(6), 0.06, 0.06, 0.9)
			e.use(material{name: "solar cells", colour: hex(0x1b2f6b), metallic: 0.4, roughness: 0.2, alpha: 1})
			e.within(at(0, 1, 0).turnX(0.5), func() { e.box(2.4, 0.06, 1.1) })
		})
	}
	if e.wish.has("alien", "crystal") {
		e.scatter(6, 3, nil, func(_ vec, r *random) { e.scaled(r.between(1, 2), crystal) })
	}
}

func mountains(e *land) {
	e.scatter(e.many(24), 0.9, func(p vec) bool { return p.y > 0.15 && p.y < 2 }, func(_ vec, r *random) {
		k := r.between(0.4, 0.7)
		e.coarse(0.5, func() { e.scaled(k, func(s *sculptor) { pine(s, 3) }) })
	})
	e.rocks(5, e.wish.random.fork("rocks"))
}

func tropics(e *land) {
	e.scatter(e.many(11), 1.5, func(p vec) bool { return p.y > 0.25 }, func(_ vec, r *random) {
		k := r.between(0.6, 1)
		e.coarse(0.6, func() { e.scaled(k, palm) })
	})
	e.scatter(3, 2, func(p vec) bool { return p.y > 0.2 }, func(_ vec, r *random) { e.coarse(0.6, func() { e.scaled(r.between(0.6, 1.2), rock) }) })
	e.within(at(e.half*0.62, -0.35, e.half*0.55).turnY(0.6), func() { e.coarse(0.6, func() { e.scaled(0.6, ship) }) })
}

func tundra(e *land) {
	e.scatter(e.many(18), 1.5, nil, func(_ vec, r *random) {
		k := r.between(0.6, 1.1)
		e.coarse(0.6, func() { e.scaled(k, func(s *sculptor) { pine(s, 3.2) }) })
	})
	e.rocks(5, e.wish.random.fork("rocks"))
	e.within(at(0, e.at(0, 0)-0.1, 0), func() { e.coarse(0.6, func() { e.scaled(0.7, house) }) })
}

func ashes(e *land) {
	e.rocks(9, e.wish.random.fork("rocks"))
	e.use(material{name: "lava", colour: hex(0xff5a12), roughness: 0.6, alpha: 1, glow: hex(0xff5a12)})
	e.within(at(0, 3.95, 0), func() { e.cylinder(e.segments(18), e.half*0.13, e.half*0.13, 0.15) })
	e.scatter(e.many(7), 2, func(p vec) bool { return p.y > 0.1 && p.y < 1.5 }, func(_ vec, r *random) {
		k := r.between(0.6, 1)
		e.coarse(0.5, func() { e.scaled(k, func(s *sculptor) { leafy(s, 2.6, false) }) })
	})
}
