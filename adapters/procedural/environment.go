package procedural

import (
	"context"
	"math"

	"gaia/domain"
)

// biome is a kind of landscape.
type biome struct {
	name   string
	height func(e *land, x, z float64) float64 // for places from -1 to 1
	tint   func(e *land, y, steep, n float64) rgb
	dress  func(e *land)
	water  uint32 // 0: there is none
}

// land is a landscape while it is made: a square, so many metres to each side of the middle.
type land struct {
	*sculptor
	biome
	half  float64
	seed  uint64
	cells int
	most  int // triangles, above which nothing more is put there
}

// biomes by the words that mean them.
var biomes = named([]entry[biome]{
	{"forest wood woods woodland jungle meadow garden park grove swamp tree trees", biome{"forest", hills, greenTint, forest, 0}},
	{"desert dune dunes oasis sahara wasteland canyon egypt", biome{"desert", dunes, sandTint, desert, 0}},
	{"city town street downtown urban metropolis skyline cyberpunk", biome{"city", flat, streetTint, city, 0}},
	{"village hamlet farm settlement market tavern", biome{"village", hills, greenTint, village, 0}},
	{"dungeon cave crypt tomb temple ruin ruins room hall cavern castle", biome{"dungeon", flat, floorTint, dungeon, 0}},
	{"space moon planet mars asteroid alien lunar crater galaxy station", biome{"moon", craters, moonTint, moonBase, 0}},
	{"mountain mountains alps cliff peak valley hill hills", biome{"mountains", peaks, mountainTint, mountains, 0x2f6f96}},
	{"island beach ocean sea lagoon tropical coast lake", biome{"island", isle, islandTint, tropics, 0x2a86b0}},
	{"snow winter arctic ice glacier tundra snowy", biome{"tundra", hills, snowTint, tundra, 0}},
	{"volcano lava hell volcanic inferno", biome{"volcano", volcano, ashTint, ashes, 0xff5a12}},
})

func (w *wish) biome() biome {
	if b, _, ok := subject(w.words, biomes); ok {
		return b
	}
	if b, _, ok := subject(w.all, biomes); ok {
		return b
	}
	switch w.look {
	case scifiLook:
		return biomes["moon"]
	case fantasyLook:
		return biomes["island"]
	}
	return biomes["forest"]
}

// environment makes a landscape.
func (w *wish) environment(ctx context.Context, o domain.GenerationOrder, l limits) ([]domain.GeneratedFile, error) {
	kind := w.biome()
	m, err := l.fit(ctx, func(level int) *sculptor { return w.sculptLand(kind, level, l.polygons) })
	if err != nil {
		return nil, err
	}
	return w.modelFiles(ctx, m, l.format, o.Seed, kind.name)
}

func (w *wish) sculptLand(kind biome, level, polygons int) *sculptor {
	s := newSculptor(w, level)
	s.level = level // also where the look wants few triangles there have to be enough hills
	s.bones[0].name = kind.name
	e := &land{sculptor: s, biome: kind, half: float64(9 * w.size), seed: w.random.fork("land").state, most: mostFaces}
	e.cells = max(1, min(70, int(math.Sqrt(float64(float64(polygons)*0.15))))) // a third of what is allowed is for the ground
	if level == 1 {
		e.most = polygons * 9 / 10
	}
	e.ground()
	if kind.water != 0 {
		e.lake()
	}
	e.sculptor.level = max(1, level*3/4)
	kind.dress(e)
	return s
}

// at is the height of a place in metres.
func (e *land) at(x, z float64) float64 { return e.height(e, x/e.half, z/e.half) }

func (e *land) fractal(x, z, scale float64, octaves int) float64 {
	return clouds(e.seed, float64((x+8)*scale), float64((z+8)*scale), 1<<20, 1<<20, octaves)
}

// ground is the surface, and below it a block as of earth that was cut out.
func (e *land) ground() {
	n, base := e.cells, -1.6
	place := func(i, j int) vec {
		x, z := mix(-e.half, e.half, float64(i)/float64(n)), mix(-e.half, e.half, float64(j)/float64(n))
		return vec{x, e.at(x, z), z}
	}
	e.paint = func(p vec) rgb {
		d := float64(e.half * 0.02)
		slope := math.Sqrt(pow(abs(e.at(p.x+d, p.z)-e.at(p.x-d, p.z))/(2*d), 2) + pow(abs(e.at(p.x, p.z+d)-e.at(p.x, p.z-d))/(2*d), 2))
		return e.tint(e, p.y, slope, e.fractal(p.x/e.half, p.z/e.half, 9, 3))
	}
	e.use(material{name: "ground", colour: rgb{1, 1, 1}, roughness: 0.95, alpha: 1})
	e.begin()
	for i := range n {
		for j := range n {
			e.quad(place(i, j), place(i, j+1), place(i+1, j+1), place(i+1, j))
		}
	}
	e.paint = nil
	e.use(dull("earth", 0x5b4331, 1))
	e.crisp(func() {
		e.begin()
		for i := range n {
			for _, side := range [][2]vec{
				{place(i, n), place(i+1, n)}, {place(i+1, 0), place(i, 0)}, {place(n, i+1), place(n, i)}, {place(0, i), place(0, i+1)},
			} {
				a, b := side[0], side[1]
				e.quad(vec{a.x, base, a.z}, vec{b.x, base, b.z}, b, a)
			}
		}
		h := e.half
		e.quad(vec{-h, base, -h}, vec{h, base, -h}, vec{h, base, h}, vec{-h, base, h})
	})
}

// lake is a sheet of water, or of what is there instead, in height zero.
func (e *land) lake() {
	m := clear("water", e.water, 0.82)
	if e.name == "volcano" {
		m = material{name: "lava", colour: hex(e.water), roughness: 0.6, alpha: 1, glow: hex(e.water)}
	}
	e.use(m)
	e.within(at(0, -0.04, 0), func() {
		e.begin()
		e.plainBox(e.half*0.999, 0.04, e.half*0.999)
	})
}

// scatter does something at so many places at random that suit, far enough from each other and from the rim.
func (e *land) scatter(count int, apart float64, suits func(p vec) bool, do func(p vec, r *random)) {
	var taken []vec
	r := e.wish.random.fork("scatter").fork(e.name)
	for range count * 8 {
		x, z := float64(r.between(-0.92, 0.92)*e.half), float64(r.between(-0.92, 0.92)*e.half)
		p := vec{x, e.at(x, z), z}
		good := e.count < e.most && (suits == nil || suits(p))
		for _, t := range taken {
			good = good && t.sub(vec{x, 0, z}).length() >= apart
		}
		if !good {
			r.next()
			continue
		}
		taken = append(taken, vec{x, 0, z})
		e.within(at(p.x, p.y-0.05, p.z).turnY(r.between(0, tau)), func() { do(p, r) })
		if len(taken) == count {
			return
		}
	}
}

// coarse does something in less detail, for things of which there are many.
func (e *land) coarse(k float64, do func()) {
	before := e.sculptor.level
	e.sculptor.level = max(1, int(float64(before)*k))
	do()
	e.sculptor.level = before
}

func (e *land) scaled(k float64, build func(s *sculptor)) {
	e.within(still().stretch(k, k, k), func() { build(e.sculptor) })
}

// many is a number of things that grows with the detail.
func (e *land) many(usual int) int { return max(3, min(usual*2, usual*(2+e.sculptor.level)/6)) }

func hills(e *land, x, z float64) float64 { return float64(2.6 * (e.fractal(x, z, 1.6, 4) - 0.45)) }

func flat(*land, float64, float64) float64 { return 0 }

func dunes(e *land, x, z float64) float64 {
	bend := e.fractal(x, z, 1.2, 3)
	w := fraction(float64(x*1.6) + float64(bend*2.2))
	return float64(1.5*smooth(0, 0.72, w)*smooth(1, 0.72, w)) + float64(1.2*bend)
}

func craters(e *land, x, z float64) float64 {
	h := float64(0.8 * e.fractal(x, z, 2.5, 4))
	for i, n := range []float64{2.2, 5} {
		near, _, id := cell(e.seed+uint64(i), float64((x+8)*n), float64((z+8)*n), 1<<20, 1<<20) //nolint:gosec // small
		size := 0.2 + float64(0.2*id)
		depth := 1.7 / n
		h += float64(depth * (smooth(float64(size*1.7), size, near)*0.5 - float64(smooth(size, float64(size*0.3), near)*1.3)))
	}
	return h
}

func peaks(e *land, x, z float64) float64 {
	ridge := 1 - abs(2*e.fractal(x, z, 1.7, 5)-1)
	away := smooth(0.05, 0.8, math.Sqrt(float64(x*x*0.6)+float64((z-0.5)*(z-0.5))))
	return float64(8.5*ridge*ridge*ridge*away) - 0.9 + 0.5*e.fractal(x, z, 4, 3)
}

func isle(e *land, x, z float64) float64 {
	d := math.Sqrt(float64(x*x)+float64(z*z)) + float64(0.35*(e.fractal(x, z, 2, 4)-0.5))
	return float64(2.6*smooth(0.85, 0.1, d)) - 0.75 + float64(0.7*(e.fractal(x, z, 3, 4)-0.4)*smooth(0.9, 0.4, d))
}

func volcano(e *land, x, z float64) float64 {
	d := math.Sqrt(float64(x*x) + float64(z*z))
	cone := float64(6.5 * pow(max(0, 1-float64(d*1.15)), 1.4))
	if d < 0.16 {
		cone = min(cone, 3.7+float64(d*6))
	}
	return cone + float64(1.3*(e.fractal(x, z, 3, 4)-0.5)) - 0.15
}

func greenTint(e *land, y, steep, n float64) rgb {
	c := hex(0x5f9440).mix(hex(0x88a948), n)
	if e.wish.has("autumn", "fall") {
		c = hex(0x9a8a3c).mix(hex(0xb5772f), n)
	}
	if e.wish.has("swamp") {
		c = hex(0x4c5a2e).mix(hex(0x6a6a3a), n)
	}
	return c.mix(hex(0x7d6a4c), smooth(0.5, 0.9, steep)).shade(0.9 + float64(0.1*y))
}

func sandTint(_ *land, y, _, n float64) rgb {
	return hex(0xd9b06c).mix(hex(0xecd19a), n).shade(0.9 + float64(0.06*y))
}

func streetTint(_ *land, _, _, n float64) rgb { return hex(0x4a4c50).shade(0.85 + float64(0.3*n)) }
func floorTint(_ *land, _, _, n float64) rgb  { return hex(0x55524e).shade(0.7 + float64(0.6*n)) }

func moonTint(e *land, y, _, n float64) rgb {
	c := hex(0x9b9a98)
	if e.wish.has("mars", "red") {
		c = hex(0xb5623a)
	}
	if e.wish.has("alien") {
		c = wheel(e.wish.random.fork("alien").unit(), 0.5, 0.5)
	}
	return c.shade(0.7 + float64(0.3*n) + float64(0.15*y))
}

func mountainTint(_ *land, y, steep, n float64) rgb {
	c := hex(0x5d8a3f).mix(hex(0x7d7568), smooth(0.55, 1.1, steep+float64(y*0.12)))
	return c.mix(hex(0xf4f7fa), smooth(3.1, 3.9, y+float64(1.2*n)-float64(0.35*steep))).shade(0.85 + 0.25*n)
}

func islandTint(_ *land, y, steep, n float64) rgb {
	c := hex(0xe8d5a0).mix(hex(0x5f9a45), smooth(0.3, 0.6, y+float64(0.3*n)))
	return c.mix(hex(0x80705a), smooth(0.8, 1.3, steep))
}

func snowTint(_ *land, y, steep, n float64) rgb {
	return hex(0xeef3f8).mix(hex(0xb9cfe2), float64(n*0.7)).mix(hex(0x8a8f98), smooth(0.7, 1.1, steep)).shade(0.95 + float64(0.05*y))
}

func ashTint(_ *land, y, _, n float64) rgb {
	return hex(0x3a322f).mix(hex(0x5a4a40), n).mix(hex(0x8c3a1c), smooth(3.2, 4.6, y)*0.5)
}
