package procedural

import (
	"context"
	"image"
	"math"

	"gaia/domain"
)

// hour is the light and the sky of a time of day.
type hour struct {
	zenith, horizon rgb
	light           light
	sun             vec // as it is seen; below the horizon: there is none
	disc            rgb
	stars           float64
	cloud           rgb
	clouds          float64 // how much of the sky they cover
}

// hours by the words that mean them.
var hours = named([]entry[string]{
	{"night midnight dark moon moonlit starry space stars spooky horror haunted", "night"},
	{"sunset dusk evening twilight golden autumn desert", "sunset"},
	{"dawn sunrise morning pink spring", "dawn"},
	{"storm stormy rain rainy thunder cloudy gloomy fog foggy mist misty winter", "storm"},
	{"day noon sunny summer bright blue happy", "day"},
})

func (w *wish) hour() hour {
	name, _, ok := subject(w.all, hours)
	if !ok {
		name = pick(w.random.fork("hour"), "day", "day", "sunset", "dawn", "night")
		if w.glowing {
			name = "night"
		}
	}
	h := hourOf(name)
	r := w.random.fork("sky")
	h.clouds = clamp(h.clouds+r.between(-0.1, 0.1), 0, 1)
	h.sun.x = r.between(-0.5, 0.5)
	h.sun = h.sun.unit()
	h.light.haze = h.horizon
	h.light.distance = 60
	return h
}

func hourOf(name string) hour {
	warm := vec{-0.5, 0.45, 0.65}.unit()
	switch name {
	case "night":
		return hour{zenith: hex(0x050818), horizon: hex(0x23365c), sun: vec{0, 0.42, -1}, disc: rgb{0.9, 0.93, 1}, stars: 1, cloud: hex(0x33456e), clouds: 0.3,
			light: light{sun: warm, key: rgb{0.42, 0.5, 0.72}, sky: rgb{0.12, 0.16, 0.28}, ground: rgb{0.05, 0.06, 0.09}}}
	case "sunset":
		return hour{zenith: hex(0x2c3f7d), horizon: hex(0xff9a52), sun: vec{0, 0.1, -1}, disc: rgb{1, 0.75, 0.35}, cloud: hex(0xff8f6b), clouds: 0.5,
			light: light{sun: vec{-0.75, 0.3, 0.35}.unit(), key: rgb{1.5, 0.85, 0.45}, sky: rgb{0.36, 0.32, 0.42}, ground: rgb{0.22, 0.15, 0.12}}}
	case "dawn":
		return hour{zenith: hex(0x5f8fd0), horizon: hex(0xffd0c0), sun: vec{0, 0.14, -1}, disc: rgb{1, 0.9, 0.75}, cloud: hex(0xffc9c4), clouds: 0.4,
			light: light{sun: vec{0.7, 0.4, 0.5}.unit(), key: rgb{1.2, 0.95, 0.85}, sky: rgb{0.42, 0.42, 0.52}, ground: rgb{0.2, 0.18, 0.18}}}
	case "storm":
		return hour{zenith: hex(0x3d4a5a), horizon: hex(0x9aa7b0), sun: vec{0, -1, -1}, cloud: hex(0x5d6873), clouds: 0.85,
			light: light{sun: warm, key: rgb{0.5, 0.53, 0.58}, sky: rgb{0.42, 0.46, 0.52}, ground: rgb{0.16, 0.16, 0.17}}}
	}
	return hour{zenith: hex(0x2f74cf), horizon: hex(0xbfdcf2), sun: vec{0, 0.62, -1}, disc: rgb{1, 0.97, 0.85}, cloud: rgb{1, 1, 1}, clouds: 0.42,
		light: light{sun: warm, key: rgb{1.35, 1.25, 1.05}, sky: rgb{0.5, 0.6, 0.75}, ground: rgb{0.2, 0.2, 0.16}}}
}

// place is what the ground of a scene is like, and what stands about on it.
type place struct {
	name      string
	ground    uint32
	rough     uint32 // its other colour
	ridges    float64
	around    []func(s *sculptor)
	crowd     int
	size      float64 // of what stands about
	shoreline bool    // there is water behind the front
}

// places by the words that mean them.
var places = named([]entry[place]{
	{"forest wood woods jungle grove tree trees swamp", place{"forest", 0x4c7a35, 0x6f8a3c, 0.5, []func(*sculptor){grownTree, grownPine, grownTree, bush}, 46, 1, false}},
	{"desert dune dunes egypt canyon sand", place{"desert", 0xdcb272, 0xe9c98f, 0.5, []func(*sculptor){cactus, rock}, 14, 1, false}},
	{"city town street downtown urban metropolis cyberpunk skyscraper", place{"city", 0x4b4d52, 0x5c5e63, 0.15, []func(*sculptor){skyscraper}, 44, 1, false}},
	{"village farm countryside hamlet field", place{"village", 0x6a9a40, 0x93ab4b, 0.5, []func(*sculptor){house, grownTree, grownTree}, 20, 1, false}},
	{"mountain mountains alps peak peaks valley hill hills", place{"mountains", 0x5c8a42, 0x8a9460, 2, []func(*sculptor){grownPine}, 30, 1, false}},
	{"sea ocean beach island lake lagoon coast water river shore harbor harbour", place{"shore", 0xe3cf9c, 0xd2ba80, 0.6, []func(*sculptor){palm, rock}, 7, 1, true}},
	{"snow winter arctic ice snowy frozen glacier", place{"snow", 0xe9f0f6, 0xc9d8e6, 1, []func(*sculptor){grownPine, grownPine, rock}, 26, 1, false}},
	{"space moon planet mars alien galaxy", place{"moon", 0x8d8c8a, 0x6f6e6d, 0.7, []func(*sculptor){rock, rock, crystal}, 16, 1, false}},
	{"volcano lava hell inferno", place{"ashes", 0x382e2b, 0x55342a, 1.6, []func(*sculptor){rock, bareTree}, 18, 1, false}},
	{"cave dungeon crypt ruins ruin temple graveyard", place{"ruins", 0x5a5a50, 0x6d6b60, 0.8, []func(*sculptor){pillar, rock, bareTree}, 18, 1, false}},
})

func grownTree(s *sculptor) { leafy(s, 3.2, true) }
func grownPine(s *sculptor) { pine(s, 3.8) }
func bareTree(s *sculptor)  { leafy(s, 2.8, false) }

// skyscraper is a high building.
func skyscraper(s *sculptor) {
	e := &land{sculptor: s}
	e.highrise(s.random, 2.2, s.random.between(3, 11))
}

// place is where the scene is, in the season that the words name.
func (w *wish) place() place {
	p := w.somewhere()
	if w.has("snow", "snowy", "winter", "frozen") {
		p.ground, p.rough = places["snow"].ground, places["snow"].rough
	}
	return p
}

func (w *wish) somewhere() place {
	if p, _, ok := subject(w.words, places); ok {
		return p
	}
	for _, word := range w.all { // "a castle by the sea": the place comes behind the thing
		if p, ok := places[word]; ok {
			return p
		}
	}
	if w.look == scifiLook {
		return places["moon"]
	}
	return pick(w.random.fork("place"), places["hills"], places["forest"], places["village"], places["lake"])
}

// scene is a picture while it is painted.
type scene struct {
	wish   *wish
	hour   hour
	place  place
	seed   uint64
	facets []facet
	view   view
	shade  *shadow
	side   float64
}

// image makes a picture of a landscape with what the words name.
func (w *wish) image(ctx context.Context, o domain.GenerationOrder, format string) ([]domain.GeneratedFile, error) {
	name, subjects := w.named()
	paint := func(side int) (*image.NRGBA, error) { return w.paintScene(ctx, side, subjects) }
	files, err := pictureFiles(ctx, paint, sideOf(o.Request.Quality), o, format, name)
	if err != nil {
		return nil, err
	}
	return files, nil
}

// model of a thing in the front: at most two are named, each once.
type actor struct {
	name  string
	build func(s *sculptor)
	tall  float64
	above float64 // over the ground
}

// tallThings are larger than those who look at them.
var tallThings = map[string]float64{
	"castle": 2.1, "tower": 2.1, "house": 1.7, "ship": 1.8, "spaceship": 1.5, "tree": 1.6, "rocket": 1.6, "tent": 1.2, "pillar": 1.4, "well": 1.1, "car": 1.2, "cart": 1.1,
}

func (w *wish) named() (string, []actor) {
	var found []actor
	seen := map[string]bool{}
	name := ""
	for _, word := range w.words {
		for _, form := range []string{word, singular(word)} {
			if kind, ok := callings[form]; ok && !seen[kind.name] && !general[form] {
				seen[kind.name] = true
				found = append(found, actor{kind.name, nil, 1, 0})
				break
			}
			if _, isPlace := places[form]; isPlace {
				break
			}
			if kind, ok := archetypes[form]; ok && !seen[kind.name] {
				seen[kind.name] = true
				a := actor{kind.name, kind.build, max(1, tallThings[kind.name]), 0}
				if kind.name == "spaceship" {
					a.above = 1.4
				}
				found = append(found, a)
				break
			}
		}
	}
	if len(found) > 2 {
		found = found[:2]
	}
	if len(found) > 0 {
		name = found[0].name
	} else {
		name = w.place().name
	}
	return name, found
}

func (w *wish) paintScene(ctx context.Context, side int, actors []actor) (*image.NRGBA, error) {
	s := &scene{wish: w, hour: w.hour(), place: w.place(), seed: w.random.fork("scene").state, side: float64(side)}
	cam := camera{eye: vec{0, 1.5, 6.2}, target: vec{0, 1.62, 0}, zoom: 2.2}
	for i, a := range actors {
		s.cast(a, i, len(actors))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	front := len(s.facets)
	s.crowd(len(actors) == 0)
	shade, err := newShadow(ctx, s.facets[:max(front, min(len(s.facets), 1))], s.hour.light.sun, 1024)
	if err != nil {
		return nil, err
	}
	s.shade = shade
	fine := 1
	if side <= 512 {
		fine = 2
	}
	f := newFilm(side*fine, side*fine)
	if err := f.take(ctx, s.facets, cam.view(f.w, f.h), s.hour.light, s.shade); err != nil {
		return nil, err
	}
	s.view = cam.view(side, side)
	return f.develop(ctx, fine, func(x, y int) rgb { return toned(s.behind(float64(x)+0.5, float64(y)+0.5)) })
}

// cast places a thing in the front.
func (s *scene) cast(a actor, i, n int) {
	var sculpture *sculptor
	if a.build == nil {
		sculpture = s.wish.sculptFigure(s.wish.calling(), 7)
	} else {
		sculpture = s.wish.sculptProp(archetype{a.name, a.build}, 7)
	}
	m := sculpture.finish()
	low, high := sculpture.bounds()
	size := high.sub(low)
	k := 2.35 * a.tall / max(size.y, float64(size.x*0.8), float64(size.z*0.7), 0.01)
	x, z := 0.0, 0.0
	if n > 1 {
		x, z = 1.15, 0.5
		if i == 0 {
			x, z = -0.75, -0.2
		}
	}
	z -= float64((a.tall - 1) * 3.2)
	x = float64(x * (1 + float64((a.tall-1)*0.8)))
	middle := low.mix(high, 0.5)
	s.facets = append(s.facets, m.facets(at(x, a.above, z).turnY(-0.45).stretch(k, k, k).shift(-middle.x, -low.y, -middle.z))...)
}

// crowd places what stands about, from the back to the middle.
func (s *scene) crowd(near bool) {
	r := s.wish.random.fork("crowd")
	usual := *s.wish // what the words say of the thing in the front is not meant for these
	usual.glowing, usual.colours, usual.materials = s.wish.glowing && near, nil, nil
	var kinds []*model
	for i, build := range s.place.around {
		for range 2 {
			sculpture := newSculptor(&usual, 4)
			sculpture.random = s.wish.random.fork("crowd").fork(s.place.name)
			sculpture.random.state += uint64(i) + r.next() //nolint:gosec // a small number
			build(sculpture)
			kinds = append(kinds, sculpture.finish())
		}
	}
	from := 7.0
	if near && s.place.name != "city" {
		from = 2.5
	}
	for range s.place.crowd {
		distance := from + float64(r.between(0, 1)*r.between(0, 1)*34)
		x := float64(r.between(-0.62, 0.62) * (distance + 6.2))
		size, turn, kind := float64(r.between(0.75, 1.35)*s.place.size), r.between(0, tau), kinds[r.below(len(kinds))]
		if abs(x) < 1.6+float64(distance*0.06) {
			x += math.Copysign(1.6+float64(distance*0.06), x)
		}
		if s.place.shoreline && distance > 9 {
			continue
		}
		s.facets = append(s.facets, kind.facets(at(x, -0.05, -distance).turnY(turn).stretch(size, size, size))...)
	}
}

// behind is what is seen where no thing is: sky, mountains, and the ground.
func (s *scene) behind(x, y float64) rgb {
	d := s.view.ray(x, y)
	if d.y >= -0.001 {
		return s.above(d)
	}
	k := -s.view.eye.y / d.y
	p := s.view.eye.add(d.scale(k))
	haze := k / (k + s.hour.light.distance)
	if s.place.shoreline && p.z < -9+float64(2.5*(clouds(s.seed, float64(p.x*0.12)+90, 5, 1<<20, 1<<20, 3)-0.5)) {
		return s.sea(d, p, k).mix(s.hour.horizon, float64(haze*haze))
	}
	return s.ground(p, k).mix(s.hour.horizon, haze)
}

func (s *scene) ground(p vec, distance float64) rgb {
	n := clouds(s.seed+1, float64(p.x*0.55)+900, float64(p.z*0.55)+900, 1<<20, 1<<20, 5)
	detail := smooth(40, 4, distance)
	fine := mix(0.5, clouds(s.seed+2, float64(p.x*7)+9000, float64(p.z*2.6)+9000, 1<<20, 1<<20, 3), detail)
	c := hex(s.place.ground).mix(hex(s.place.rough), n).shade(0.55 + float64(0.75*fine))
	if s.place.name == "city" {
		line := abs(fraction(p.x/3.2+0.5) - 0.5)
		if line < 0.02 && fraction(float64(p.z*0.35)) < 0.55 {
			c = hex(0xd9d2b5)
		}
	}
	l := s.hour.light
	sun := 1 - s.shade.onGround(p)
	return c.times(l.sky.scale(0.9).add(l.key.scale(float64(max(0.15, l.sun.y) * sun))))
}

// onGround is how much shadow lies on a place of the ground.
func (s *shadow) onGround(p vec) float64 {
	q := s.project(p)
	if q.x < 0 || q.y < 0 || q.x > float64(s.side) || q.y > float64(s.side) {
		return 0
	}
	dark := 0.0
	for dy := -1.0; dy <= 1; dy++ {
		for dx := -1.0; dx <= 1; dx++ {
			px, py := int(q.x+float64(dx*2.5)), int(q.y+float64(dy*2.5))
			if px >= 0 && py >= 0 && px < s.side && py < s.side && float64(s.depth[py*s.side+px]) < q.z {
				dark++
			}
		}
	}
	return dark / 9
}

// sea mirrors the sky in waves.
func (s *scene) sea(d, p vec, distance float64) rgb {
	wave := clouds(s.seed+3, float64(p.x*0.8)+900, float64(p.z*2.2)+900, 1<<20, 1<<20, 3) - 0.5
	mirrored := s.above(vec{d.x + float64(wave*0.05), abs(d.y) + 0.02 + float64(abs(wave)*0.22), d.z}.unit())
	deep := hex(0x0f4f6f).times(s.hour.light.sky.scale(1.6))
	c := deep.mix(mirrored, 0.45+0.5*smooth(4, 40, distance))
	return c.shade(1 + float64(wave*0.35))
}

// above is the sky, with mountains before it.
func (s *scene) above(d vec) rgb {
	up := d.y
	angle := atan2(d.x, -d.z)
	h := s.hour
	for i := 2; i >= 0; i-- { // the nearest is asked first
		k := float64(2 - i)
		ridge := float64(s.ridge(angle, i) * s.place.ridges * (0.06 + float64(0.06*k)))
		if up < ridge {
			shade := hex(s.place.ground).mix(hex(0x51606e), 0.5).times(h.light.sky.add(h.light.key.scale(0.4)))
			snow := float64(smooth(0.75, 1, up/(ridge+1e-9)) * smooth(0.9, 1.4, s.place.ridges) * smooth(0.02, 0.08, up))
			return shade.mix(h.light.sky.add(h.light.key.scale(0.6)), float64(snow*0.8)).mix(h.horizon, 0.35+float64(0.22*k))
		}
	}
	c := h.horizon.mix(h.zenith, smooth(-0.05, 0.6, up))
	if h.stars > 0 {
		near, _, id := cell(s.seed+7, float64(angle*60)+400, float64(up*60)+400, 1<<20, 1<<20)
		c = c.add(rgb{1, 0.97, 0.9}.scale(float64(smooth(float64(0.12*id)+0.02, 0, near) * smooth(0.35, 1, id) * smooth(0, 0.2, up))))
	}
	c = s.sunOn(c, d)
	if up > 0 {
		x, y := float64(d.x/(up+0.25)*1.1), float64(d.z/(up+0.25)*1.1)
		n := clouds(s.seed+8, float64(x*1.3)+500, float64(y*1.3)+500, 1<<20, 1<<20, 5)
		cover := float64(smooth(0.78-h.clouds*0.5, 0.95-float64(h.clouds*0.4), n) * smooth(0, 0.12, up))
		c = c.mix(h.cloud.shade(0.65+0.5*n).scale(0.9), float64(cover*0.85))
	}
	return c
}

// sunOn adds the sun, or the moon, and its glare.
func (s *scene) sunOn(c rgb, d vec) rgb {
	h := s.hour
	if h.sun.y < 0 {
		return c
	}
	near := d.dot(h.sun)
	c = c.add(h.disc.scale(float64(0.35 * pow(max(0, near), 60))))
	c = c.add(h.disc.scale(0.25 * pow(max(0, near), 9)))
	disc := smooth(0.9974, 0.9979, near)
	if h.stars > 0 {
		disc = float64(disc * (0.82 + float64(0.3*clouds(s.seed+9, float64(d.x*40)+90, float64(d.y*40)+90, 1<<20, 1<<20, 3))))
	}
	return c.mix(h.disc.scale(1.6), disc)
}

// ridge is the height of a chain of mountains in a direction, from 0 to 1.
func (s *scene) ridge(angle float64, i int) float64 {
	n := clouds(s.seed+uint64(20+i), float64(angle*(2.2+float64(i)))+200, 3, 1<<20, 1<<20, 6) // #nosec G115 -- small
	sharp := 1 - abs(2*n-1)
	return float64(mix(n, sharp, 0.5) * 1.1)
}
