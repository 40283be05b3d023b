package procedural

import "math"

// weaves by the words that mean them.
var weaves = named([]entry[weave]{
	{"wood wooden plank planks board timber oak pine floor floorboards parquet mahogany", weave{"wood", 0.9, planks}},
	{"bark trunk tree", weave{"bark", 1.6, bark}},
	{"stone cobblestone cobble cobblestones rock rocky pavement boulder cliff", weave{"stone", 1.4, cobbles}},
	{"brick bricks wall masonry castle dungeon", weave{"brick", 1.4, bricks}},
	{"metal metallic steel iron aluminium aluminum chrome silver gold golden copper brass bronze titanium", weave{"metal", 0.8, metalPlates}},
	{"rust rusty rusted corroded corrosion", weave{"rust", 1.2, rust}},
	{"grass lawn meadow turf field leaves foliage moss", weave{"grass", 1.2, grass}},
	{"water ocean sea river lake pool waves wave", weave{"water", 1, water}},
	{"lava magma volcano volcanic molten hell", weave{"lava", 1.4, lava}},
	{"fabric cloth linen cotton wool textile canvas denim silk carpet rug velvet knit", weave{"fabric", 1, fabric}},
	{"sand desert dune dunes beach", weave{"sand", 0.9, sand}},
	{"marble granite onyx alabaster", weave{"marble", 0.15, marble}},
	{"panel panels scifi futuristic spaceship hull circuit tech cyberpunk robot grid", weave{"panel", 1.1, panels}},
	{"tile tiles tiled mosaic ceramic bathroom porcelain kitchen checkerboard checkered", weave{"tiles", 1, tiles}},
	{"ice icy frozen frost glacier crystal", weave{"ice", 0.7, ice}},
	{"snow snowy", weave{"snow", 0.8, snow}},
	{"leather hide skin", weave{"leather", 1.2, leather}},
	{"scale scales dragon reptile snake lizard fish roof shingles", weave{"scales", 1.5, scaly}},
	{"dirt mud soil earth ground clay gravel path", weave{"dirt", 1.3, dirt}},
	{"concrete cement plaster asphalt stucco", weave{"concrete", 0.8, concrete}},
	{"cloud clouds sky smoke fog nebula galaxy space stars", weave{"clouds", 0.1, sky}},
})

// tinted is a usual colour, or the one that the words give.
func (w *wish) tinted(usual uint32) rgb { return w.tintedBy(0, usual) }

func (w *wish) tintedBy(i int, usual uint32) rgb {
	c := hex(usual)
	switch {
	case i < len(w.colours):
		c = w.colours[i].mix(c, 0.1)
	case i == 0 && len(w.materials) > 0:
		c = w.materials[0].colour
	default:
		r := w.random.fork("tint")
		c = c.mix(wheel(r.unit(), 0.6, 0.5), 0.12).shade(r.around(1, 0.12))
	}
	if w.broken {
		c = c.vivid(0.8).scale(0.85)
	}
	if w.look == cartoonLook {
		c = c.vivid(1.4)
	}
	return c
}

func planks(w *wish, r *random) surface {
	base := w.tinted(0x9a6b3d)
	count := pick(r, 4, 5, 6)
	seed, rings := r.next(), pick(r, 6, 9, 12)
	return func(u, v float64) sample {
		row := math.Floor(float64(v * float64(count)))
		id := lattice(seed, int(row), 1, 0)
		in := fraction(float64(v * float64(count)))
		joint := fraction(u + id)
		end := float64(min(joint, 1-joint) * 14)
		gap := float64(smooth(0, 0.035, min(in, 1-in)) * smooth(0, 0.05, end))
		s := seed + uint64(row)*7919 //nolint:gosec // a few rows
		bend := clouds(s, float64(u*3), float64(v*6), 3, 6, 3)
		grain := fraction(float64((v+float64(bend*0.22)+id)*float64(rings))) - 0.5
		line := 1 - smooth(0.02, 0.5, abs(grain))
		fibre := clouds(s+5, u*8, float64(v*160), 8, 160, 2)
		knot, _, _ := cell(s+9, float64(u*3), float64(v*float64(count)), 3, count)
		eye := 1 - smooth(0.05, 0.16, knot)
		tone := 0.72 + float64(0.4*id*0.6) + float64(0.22*line) - float64(0.3*(fibre-0.5)) - 0.5*eye
		c := base.shade(tone).mix(base.scale(0.45), float64(line*0.3))
		return sample{colour: c.scale(0.25 + float64(0.75*gap)), height: gap*0.5 + float64(fibre*0.12) - float64(line*0.05), shine: 0.15}
	}
}

func bark(w *wish, r *random) surface {
	base, seed := w.tinted(0x6a4a2f), r.next()
	return func(u, v float64) sample {
		bend := clouds(seed, float64(u*6), float64(v*3), 6, 3, 3)
		_, far, id := cell(seed+1, float64(u*12)+float64(bend*0.9), v*4+float64(bend*0.6), 12, 4)
		ridge := smooth(0.3, 0.9, far)
		rough := clouds(seed+2, float64(u*30), float64(v*16), 30, 16, 3)
		h := float64(ridge*0.7) + float64(rough*0.3)
		return sample{colour: base.shade(0.25 + float64(0.85*h) + float64(0.15*id)), height: h}
	}
}

func cobbles(w *wish, r *random) surface {
	base, seed, n := w.tinted(0x8b8a86), r.next(), pick(r, 5, 6, 8)
	joint := hex(0x3b3833)
	moss := w.has("moss", "mossy", "forest", "ancient", "overgrown")
	return func(u, v float64) sample {
		wob := clouds(seed+3, u*8, v*8, 8, 8, 2) * 0.25
		near, far, id := cell(seed, float64(u*float64(n))+wob, float64(v*float64(n))+wob, n, n)
		edge := smooth(0.03, 0.22, far-near)
		rough := clouds(seed+1, float64(u*16), float64(v*16), 16, 16, 4)
		h := float64(edge * (0.65 + float64(0.2*(1-near))) * (0.8 + float64(0.2*rough)))
		c := base.shade(0.65+float64(0.5*id*0.7)+float64(0.4*(rough-0.5))).mix(wheel(id, 0.4, 0.4), 0.06)
		c = joint.mix(c, edge)
		if moss {
			green := smooth(0.45, 0.65, clouds(seed+2, u*4, v*4, 4, 4, 4)+0.25*(1-edge))
			c = c.mix(hex(0x566f2c).shade(0.6+float64(0.8*rough)), float64(green*0.85))
		}
		return sample{colour: c, height: h}
	}
}

func bricks(w *wish, r *random) surface {
	base, seed := w.tinted(0xa24b35), r.next()
	if w.has("stone", "castle", "dungeon") && len(w.colours) == 0 {
		base = hex(0x7d7a74)
	}
	mortar := hex(0xb5aea2).mix(base, 0.15)
	count := pick(r, 8, 10)
	return func(u, v float64) sample {
		y := float64(v * float64(count))
		row := int(math.Floor(y))
		x := u*float64(count)/2 + 0.5*float64(row%2)
		column := wrap(int(math.Floor(x)), count/2)
		id := lattice(seed, column, row, 0)
		wob := float64((clouds(seed+1, float64(u*24), float64(v*24), 24, 24, 2) - 0.5) * 0.06)
		edge := min(min(fraction(x), 1-fraction(x))*2, min(fraction(y), 1-fraction(y))) + wob
		in := smooth(0.05, 0.12, edge)
		rough := clouds(seed+2, float64(u*32), float64(v*32), 32, 32, 4)
		c := base.shade(0.7+0.5*id+0.5*(rough-0.5)).mix(base.vivid(0.6).scale(0.5), float64(smooth(0.75, 0.9, id)*0.6))
		c = mortar.shade(0.7+float64(0.4*rough)).mix(c, in)
		h := mix(float64(0.15*rough), 0.6+float64(0.1*id)+float64(0.2*rough), in)
		if w.broken {
			crack := smooth(0.02, 0, abs(clouds(seed+3, u*4, v*4, 4, 4, 5)-0.5))
			c, h = c.scale(1-float64(0.7*crack)), h-float64(0.4*crack)
		}
		return sample{colour: c, height: h}
	}
}

func metalPlates(w *wish, r *random) surface {
	base, seed, n := w.tinted(0xa9afb6), r.next(), pick(r, 2, 3, 4)
	return func(u, v float64) sample {
		x, y := fraction(float64(u*float64(n))), fraction(float64(v*float64(n)))
		id := lattice(seed, int(u*float64(n)), int(v*float64(n)), 0)
		edge := min(min(x, 1-x), min(y, 1-y))
		gap := smooth(0.008, 0.025, edge)
		brush := clouds(seed, u*4, float64(v*220), 4, 220, 2)
		if id > 0.5 {
			brush = clouds(seed, float64(u*220), v*4, 220, 4, 2)
		}
		cx, cy := min(x, 1-x)-0.085, min(y, 1-y)-0.085
		d := math.Sqrt(float64(cx*cx) + float64(cy*cy))
		rivet := smooth(0.035, 0.02, d)
		smear := clouds(seed+1, float64(u*3), float64(v*3), 3, 3, 4)
		c := base.shade(0.62 + float64(0.35*brush) + 0.25*smear + float64(0.12*id))
		c = c.scale(0.35 + float64(0.65*gap))
		if w.broken {
			c = c.mix(hex(0x8e4a2a).shade(0.5+brush), smooth(0.5, 0.66, smear+float64(0.2*(1-smooth(0, 0.1, edge)))))
		}
		h := gap*0.5 + float64(0.06*brush) + float64(rivet*0.35*math.Sqrt(max(0, 1-float64(d*d*900))))
		return sample{colour: c, height: h, shine: 0.7}
	}
}

func rust(w *wish, r *random) surface {
	seed, steel := r.next(), w.tinted(0x7d848c)
	return func(u, v float64) sample {
		n := clouds(seed, u*4, v*4, 4, 4, 6)
		fine := clouds(seed+1, float64(u*40), float64(v*40), 40, 40, 3)
		eaten := smooth(0.42, 0.6, n+float64(0.15*(fine-0.5)))
		deep := smooth(0.6, 0.72, n)
		c := steel.shade(0.7+float64(0.4*fine)).mix(hex(0xa4562a).shade(0.5+float64(0.9*fine)), eaten).mix(hex(0x4c2416).shade(0.6+float64(0.7*fine)), deep)
		return sample{colour: c, height: 0.6 - float64(eaten*0.3) + float64(fine*0.3*eaten), shine: 0.5 * (1 - eaten)}
	}
}

func grass(w *wish, r *random) surface {
	base, seed := w.tinted(0x4d8f2f), r.next()
	flowers := w.has("flower", "meadow", "spring", "floral")
	return func(u, v float64) sample {
		patch := clouds(seed, u*4, v*4, 4, 4, 4)
		best, tone := 0.0, 0.5
		for layer := range 3 {
			bend := clouds(seed+uint64(layer), float64(u*10), float64(v*10), 10, 10, 2) //nolint:gosec // small
			n := 40 + 16*layer
			x, y := float64(u*float64(n))+float64(bend*3), v*float64(n)/4+bend
			column := wrap(int(math.Floor(x)), n)
			shift := lattice(seed+9, column, layer, 0)
			long := fraction(y + shift)
			thin := 1 - abs(2*fraction(x)-1)
			blade := float64(thin * (1 - long) * (0.7 + float64(0.3*lattice(seed, column, layer, 7))))
			if blade > best {
				best, tone = blade, 0.3+float64(0.7*lattice(seed+3, column, layer, int(math.Floor(y+shift))%(n/4)))
			}
		}
		c := base.shade(0.25+float64(0.75*best)+float64(0.35*tone*best)).mix(hex(0xa7a33a).shade(0.3+best), float64(0.45*smooth(0.45, 0.75, patch)))
		if flowers {
			near, _, id := cell(seed+20, float64(u*9), float64(v*9), 9, 9)
			c = c.mix(wheel(id, 0.6, 0.9), smooth(0.12, 0.08, near))
		}
		return sample{colour: c, height: best}
	}
}

func water(w *wish, r *random) surface {
	deep, seed := w.tinted(0x1d6f9e), r.next()
	return func(u, v float64) sample {
		b1 := clouds(seed, u*4, v*4, 4, 4, 3)
		b2 := clouds(seed+1, float64(u*6), float64(v*6), 6, 6, 3)
		near, far, _ := cell(seed+2, float64(u*6)+float64(b1*1.1), float64(v*6)+float64(b2*1.1), 6, 6)
		net := smooth(0.22, 0, far-near)
		near2, far2, _ := cell(seed+3, float64(u*9)+b2, float64(v*9)+b1, 9, 9)
		net2 := smooth(0.2, 0, far2-near2)
		light := float64(net*net*0.75) + float64(net2*net2*0.35)
		c := deep.shade(0.55+float64(0.7*b1)).mix(rgb{0.75, 0.95, 1}, clamp(light, 0, 0.85))
		return sample{colour: c, height: b1*0.5 + float64(b2*0.3), shine: 0.6}
	}
}

func lava(w *wish, r *random) surface {
	seed := r.next()
	hot := hex(0xff6a12)
	if len(w.colours) > 0 {
		hot = w.colours[0].vivid(1.3)
	}
	return func(u, v float64) sample {
		wob := clouds(seed, float64(u*6), float64(v*6), 6, 6, 4)
		near, far, id := cell(seed+1, float64(u*5)+float64(wob*0.9), float64(v*5)+float64(wob*0.9), 5, 5)
		crust := smooth(0.05, 0.3, far-near)
		rough := clouds(seed+2, float64(u*20), float64(v*20), 20, 20, 4)
		heat := clamp(float64((1-crust)*1.15)+float64(0.35*smooth(0.55, 0.8, rough)*(1-crust)), 0, 1)
		stone := hex(0x241a18).shade(0.5 + float64(0.9*rough) + float64(0.2*id))
		s := sample{colour: stone, height: float64(crust * (0.5 + 0.5*rough))}
		if heat > 0.04 {
			fire := hot.scale(heat).mix(rgb{1, 0.85, 0.35}, float64(smooth(0.6, 1, heat)*0.8))
			s.glow, s.colour = fire, stone.scale(1-heat)
		}
		return s
	}
}

func fabric(w *wish, r *random) surface {
	warp, seed := w.tinted(0x9d4b3e), r.next()
	weft := w.tintedBy(1, 0xd9c7a3)
	n := pick(r, 32, 40, 48)
	bands := pick(r, 2, 4)
	plaid := w.has("plaid", "tartan", "checkered", "striped", "stripes", "pattern") || r.chance(0.4)
	return func(u, v float64) sample {
		x, y := float64(u*float64(n)), float64(v*float64(n))
		over := (int(math.Floor(x))+int(math.Floor(y)))%2 == 0
		fx, fy := fraction(x)-0.5, fraction(y)-0.5
		round := func(across, along float64) float64 {
			return float64(math.Sqrt(max(0, 1-float64(4*across*across))) * (0.6 + float64(0.4*cos(float64(along*math.Pi)))))
		}
		h, c := round(fx, fy), warp
		if !over {
			h, c = round(fy, fx), weft.mix(warp, 0.65)
		}
		if plaid {
			bu, bv := fraction(float64(u*float64(bands))), fraction(float64(v*float64(bands)))
			if over && (bu < 0.3 || bu > 0.45 && bu < 0.5) || !over && (bv < 0.3 || bv > 0.45 && bv < 0.5) {
				c = weft
			}
		}
		thread := clouds(seed, float64(u*96), float64(v*96), 96, 96, 2)
		return sample{colour: c.shade(0.35 + float64(0.55*h) + float64(0.3*thread)), height: h * 0.5}
	}
}

func sand(w *wish, r *random) surface {
	base, seed, n := w.tinted(0xdcbd82), r.next(), float64(pick(r, 8, 10, 12))
	return func(u, v float64) sample {
		bend := clouds(seed, float64(u*3), float64(v*3), 3, 3, 4)
		wave := fraction(float64(v*n) + u + float64(bend*2.6))
		ripple := float64(smooth(0, 0.7, wave) * smooth(1, 0.75, wave))
		grain := lattice(seed, int(u*1024), int(v*1024), 2)
		c := base.shade(0.72 + float64(0.26*ripple) + float64(0.14*grain) + float64(0.15*bend))
		return sample{colour: c, height: float64(ripple*0.45) + float64(grain*0.03)}
	}
}

func marble(w *wish, r *random) surface {
	base, vein, seed := w.tinted(0xe9e5dd), w.tintedBy(1, 0x6d7078), r.next()
	if len(w.colours) > 0 && len(w.colours) < 2 {
		vein = base.scale(0.25).mix(hex(0xd9b45a), 0.3)
		if base.light() < 0.2 {
			vein = hex(0xe6e0d2)
		}
	}
	k := pick(r, 1.0, 2.0)
	return func(u, v float64) sample {
		n := clouds(seed, float64(u*3), float64(v*3), 3, 3, 6)
		m := clouds(seed+1, u*2, v*2, 2, 2, 5)
		a := abs(sin(float64(tau * (float64(u*k) + v + float64(n*2.2)))))
		b := abs(sin(float64(tau * (v*2 - u + float64(m*3)))))
		line := float64(pow(1-a, 5)*0.85) + pow(1-b, 9)*0.5
		c := base.shade(0.82+float64(0.3*m)).mix(vein, clamp(line, 0, 0.9))
		return sample{colour: c, height: 0, shine: 0.3}
	}
}

func panels(w *wish, r *random) surface {
	base, seed, n := w.tinted(0x5a626e), r.next(), 8
	glow := w.light()
	if !w.glowing && len(w.colours) < 2 {
		glow = pick(r, hex(0x39d0ff), hex(0xff9a2a), hex(0x6dff8a))
	}
	// The plan: cells of a grid are joined to larger plates.
	size := 1 + r.below(2)
	return func(u, v float64) sample {
		x, y := float64(u*float64(n)), float64(v*float64(n))
		step := size
		if lattice(seed, int(x)/4, int(y)/4, 5) > 0.45 {
			step = 3 - size
		}
		if lattice(seed, int(x)/4, int(y)/4, 6) > 0.75 {
			step = 4
		}
		cx, cy := int(x)/step, int(y)/step
		fx, fy := fraction(x/float64(step)), fraction(y/float64(step))
		id := lattice(seed, cx, cy, step)
		edge := float64(min(min(fx, 1-fx), min(fy, 1-fy)) * float64(step))
		gap := smooth(0.03, 0.07, edge)
		bevel := smooth(0.03, 0.16, edge)
		c := base.shade(0.55 + 0.5*id).scale(0.3 + float64(0.7*gap))
		c = c.shade(0.9 + float64(0.2*clouds(seed, float64(u*16), float64(v*16), 16, 16, 3)))
		s := sample{colour: c, height: float64(bevel * (0.35 + float64(0.3*id))), shine: 0.35}
		kind := lattice(seed+4, cx, cy, step)
		switch {
		case kind < 0.2: // slots
			slot := float64(smooth(0.3, 0.2, abs(fraction(float64(fy*6))-0.5)) * smooth(0.15, 0.2, min(fx, 1-fx)) * smooth(0.12, 0.16, min(fy, 1-fy)))
			s.height -= float64(slot * 0.3)
			s.colour = s.colour.scale(1 - float64(0.75*slot))
		case kind < 0.38: // a strip of light
			strip := float64(smooth(0.06, 0.04, abs(fy-0.5)) * smooth(0.2, 0.22, min(fx, 1-fx)))
			halo := smooth(0.3, 0, abs(fy-0.5)) * smooth(0.1, 0.3, min(fx, 1-fx)) * 0.25
			if strip > 0.05 {
				s.glow = glow.scale(strip)
			}
			s.colour = s.colour.add(glow.scale(halo))
		case kind < 0.5: // hazard
			if step > 1 && fy > 0.78 && edge > 0.1 {
				stripe := fraction(float64((fx + fy) * 5))
				if stripe < 0.5 {
					s.colour = hex(0xd9a21f).scale(0.8)
				} else {
					s.colour = hex(0x1c1c1e)
				}
			}
		}
		return s
	}
}

func tiles(w *wish, r *random) surface {
	first, second, seed := w.tintedBy(0, 0x2f6f9f), w.tintedBy(1, 0xf0ece2), r.next()
	n := pick(r, 4, 6, 8)
	star := r.chance(0.5)
	return func(u, v float64) sample {
		x, y := float64(u*float64(n)), float64(v*float64(n))
		cx, cy := int(math.Floor(x)), int(math.Floor(y))
		fx, fy := fraction(x)-0.5, fraction(y)-0.5
		edge := 0.5 - max(abs(fx), abs(fy))
		in := smooth(0.02, 0.05, edge)
		c := second
		odd := (cx+cy)%2 == 0
		figure := abs(fx)+abs(fy) < 0.36
		if star {
			d := float64(fx*fx) + float64(fy*fy)
			figure = d < 0.045 || abs(abs(fx)-abs(fy)) < 0.06 && d < 0.16
		}
		if odd != figure {
			c = first
		}
		id := lattice(seed, cx, cy, 0)
		c = hex(0x8f8b84).scale(0.7).mix(c.shade(0.88+float64(0.2*id)+float64(0.12*clouds(seed, float64(u*12), float64(v*12), 12, 12, 3))), in)
		return sample{colour: c, height: smooth(0.01, 0.09, edge) * 0.5, shine: 0.6}
	}
}

func ice(w *wish, r *random) surface {
	base, seed := w.tinted(0x9fd3ea), r.next()
	return func(u, v float64) sample {
		wob := clouds(seed, float64(u*5), float64(v*5), 5, 5, 4)
		near, far, id := cell(seed+1, u*4+wob*0.5, v*4+wob*0.5, 4, 4)
		crack := smooth(0.06, 0, far-near)
		near2, far2, _ := cell(seed+2, float64(u*9)+wob, float64(v*9), 9, 9)
		fine := smooth(0.04, 0, far2-near2)
		c := base.shade(0.6+0.5*wob+float64(0.2*id)).mix(rgb{1, 1, 1}, clamp(float64(crack*0.8)+float64(fine*0.3)+float64(smooth(0.55, 0.8, wob)*0.4), 0, 0.95))
		return sample{colour: c, height: float64(id*0.2) + float64(wob*0.3) - float64(crack*0.2), shine: 0.8}
	}
}

func snow(w *wish, r *random) surface {
	base, seed := w.tinted(0xf1f6fb), r.next()
	return func(u, v float64) sample {
		h := clouds(seed, u*4, v*4, 4, 4, 5)
		spark := lattice(seed, int(u*700), int(v*700), 1)
		c := base.mix(hex(0xa9c4e4), float64(0.6*(1-h))).shade(0.88 + float64(0.2*h))
		if spark > 0.994 {
			c = rgb{1, 1, 1}
		}
		return sample{colour: c, height: h, shine: 0.3}
	}
}

func leather(w *wish, r *random) surface {
	base, seed := w.tinted(0x6f4527), r.next()
	return func(u, v float64) sample {
		wob := clouds(seed, float64(u*10), float64(v*10), 10, 10, 2)
		near, far, id := cell(seed+1, float64(u*28)+float64(wob*1.5), float64(v*28)+float64(wob*1.5), 28, 28)
		pore := smooth(0.02, 0.3, far-near)
		worn := clouds(seed+2, float64(u*3), float64(v*3), 3, 3, 4)
		c := base.shade(0.4 + 0.5*pore + float64(0.15*id) + float64(0.35*worn))
		return sample{colour: c, height: float64(pore * 0.4), shine: 0.35}
	}
}

func scaly(w *wish, r *random) surface {
	base, seed, n := w.tinted(0x2f7d4f), r.next(), pick(r, 8, 10, 12)
	edgeColour := w.tintedBy(1, 0xc9b25a)
	return func(u, v float64) sample {
		y := float64(v * float64(n))
		// Each scale lies over the two below it: the first whose outline holds the place is seen.
		for back := range 3 {
			row := int(math.Floor(y)) - back + 1
			x := float64(u*float64(n)) + 0.5*float64(wrap(row, 2))
			fx, fy := fraction(x)-0.5, y-float64(row)
			d := math.Sqrt(float64(fx*fx*3.4) + float64(max(0, fy-0.35)*max(0, fy-0.35)))
			if fy < 0 || d > 0.95 {
				continue
			}
			id := lattice(seed, wrap(int(math.Floor(x)), n), wrap(row, n), 0)
			rim := smooth(0.7, 0.95, d)
			c := base.shade(0.45+float64(0.35*fy)+float64(0.35*id)).mix(edgeColour, float64(rim*0.6))
			ridge := float64(smooth(0.08, 0, abs(fx)) * 0.15)
			return sample{colour: c.shade(1 + ridge), height: 0.3 + float64(0.35*fy) - rim*0.25 + ridge, shine: 0.5}
		}
		return sample{colour: base.scale(0.15)}
	}
}

func dirt(w *wish, r *random) surface {
	base, seed := w.tinted(0x6d4f35), r.next()
	return func(u, v float64) sample {
		n := clouds(seed, float64(u*6), float64(v*6), 6, 6, 6)
		near, _, id := cell(seed+1, float64(u*22), float64(v*22), 22, 22)
		size := 0.16 + float64(0.22*lattice(seed, int(id*1000), 3, 1))
		pebble := smooth(size, float64(size*0.6), near)
		if id < 0.55 {
			pebble = 0
		}
		c := base.shade(0.45+float64(0.85*n)).mix(hex(0x8b8378).shade(0.6+float64(0.6*id)), float64(pebble*0.8))
		return sample{colour: c, height: float64(n*0.6) + float64(pebble*0.3*math.Sqrt(max(0, 1-float64(near*near*6))))}
	}
}

func concrete(w *wish, r *random) surface {
	base, seed := w.tinted(0xa3a29d), r.next()
	if w.has("asphalt") && len(w.colours) == 0 {
		base = hex(0x3d3e41)
	}
	return func(u, v float64) sample {
		n := clouds(seed, float64(u*5), float64(v*5), 5, 5, 6)
		grain := clouds(seed+1, float64(u*90), float64(v*90), 90, 90, 2)
		near, _, id := cell(seed+2, float64(u*18), float64(v*18), 18, 18)
		hole := float64(smooth(0.1, 0.05, near) * smooth(0.6, 0.7, id))
		crack := smooth(0.012, 0, abs(clouds(seed+3, float64(u*3), float64(v*3), 3, 3, 6)-0.5))
		c := base.shade(0.7 + float64(0.4*n) + 0.25*(grain-0.5)).scale(1 - 0.5*hole - float64(0.45*crack))
		return sample{colour: c, height: 0.5 + float64(grain*0.2) - float64(hole*0.4) - float64(crack*0.4)}
	}
}

func sky(w *wish, r *random) surface {
	seed := r.next()
	space := w.has("space", "nebula", "galaxy", "stars", "night")
	blue, cloud := w.tinted(0x4d8fd6), rgb{1, 1, 1}
	if space {
		blue, cloud = hex(0x070a1a), w.tinted(0x8a3fc0)
	}
	return func(u, v float64) sample {
		wob := clouds(seed+1, float64(u*3), float64(v*3), 3, 3, 4)
		n := clouds(seed, float64(u*3)+float64(wob*0.9), float64(v*3)+float64(wob*0.9), 3, 3, 6)
		thick := smooth(0.42, 0.72, n)
		c := blue.shade(0.85+float64(0.3*wob)).mix(cloud.shade(0.75+float64(0.35*n)), thick)
		if space {
			near, _, id := cell(seed+2, float64(u*40), float64(v*40), 40, 40)
			c = c.add(rgb{1, 0.95, 0.9}.scale(float64(smooth(float64(0.09*id), 0, near) * smooth(0.5, 0.9, id))))
		}
		return sample{colour: c, height: n}
	}
}

// pattern is what words that nobody taught look like: bands of colours around shapes.
func pattern(w *wish, r *random) surface {
	hue := r.unit()
	ground, figure := w.tintedBy(0, 0), w.tintedBy(1, 0)
	if len(w.colours) == 0 && len(w.materials) == 0 {
		ground = wheel(hue, r.between(0.4, 0.7), r.between(0.25, 0.6))
	}
	if len(w.colours) < 2 {
		figure = wheel(hue+r.between(0.3, 0.6), r.between(0.3, 0.7), r.between(0.5, 0.9))
	}
	seed, n, kind := r.next(), pick(r, 3, 4, 5, 6), r.below(3)
	bands := r.between(2, 5)
	return func(u, v float64) sample {
		wob := clouds(seed, u*4, v*4, 4, 4, 4)
		var h float64
		switch kind {
		case 0:
			near, far, _ := cell(seed, float64(u*float64(n))+float64(wob*0.6), float64(v*float64(n))+float64(wob*0.6), n, n)
			h = far - near
		case 1:
			h = clouds(seed+1, float64(u*float64(n))+wob*2, float64(v*float64(n))+wob*2, n, n, 3)
		default:
			h = 0.5 + 0.25*(sin(float64(tau*(float64(u*float64(n))+wob)))+sin(float64(tau*(float64(v*float64(n))-wob))))
		}
		band := fraction(float64(h * bands))
		step := smooth(0.45, 0.55, abs(2*band-1))
		return sample{colour: ground.mix(figure, step).shade(0.8 + float64(0.35*h)), height: float64(step * 0.4), shine: 0.2}
	}
}
