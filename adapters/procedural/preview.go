package procedural

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"math"

	"gaia/domain"
)

// previewSide is that of previews, in pixels.
const previewSide = 512

// modelFiles are the files of a model: itself, and a picture of it.
func (w *wish) modelFiles(ctx context.Context, m made, format string, seed int64, name string) ([]domain.GeneratedFile, error) {
	picture, err := w.portrait(ctx, m.model)
	if err != nil {
		return nil, err
	}
	return []domain.GeneratedFile{
		{Format: format, Data: m.data, Attributes: map[string]any{"seed": seed, "archetype": name, "polygon_count": m.model.polygons()}},
		{Format: "png", Data: picture, Preview: true},
	}, nil
}

// portrait is a picture of a model in a studio.
func (w *wish) portrait(ctx context.Context, m *model) ([]byte, error) {
	facets := m.facets(still())
	l := studio()
	shade, err := newShadow(ctx, facets, l.sun, previewSide)
	if err != nil {
		return nil, err
	}
	const fine = 2 // pixels of the film for each of the picture, in both directions
	cam := portraitCamera(facets)
	f := newFilm(fine*previewSide, fine*previewSide)
	if err := f.take(ctx, facets, cam.view(f.w, f.h), l, shade); err != nil {
		return nil, err
	}
	floor := lowest(facets)
	backdrop := w.backdrop()
	small := cam.view(previewSide, previewSide)
	picture, err := f.develop(ctx, fine, func(x, y int) rgb {
		return backdrop(x, y).scale(1 - float64(0.62*shade.onFloor(small, float64(x)+0.5, float64(y)+0.5, floor)))
	})
	if err != nil {
		return nil, err
	}
	return encodePreview(picture)
}

func encodePreview(picture image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, picture); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func studio() light {
	return light{
		sun: vec{-0.55, 0.75, 0.6}.unit(), key: rgb{1.25, 1.18, 1.05}, sky: rgb{0.5, 0.56, 0.66}, ground: rgb{0.2, 0.18, 0.17},
	}
}

// portraitCamera sees the whole from the front on the right, a little from above.
func portraitCamera(facets []facet) camera {
	far := math.Inf(1)
	low, high := vec{far, far, far}, vec{-far, -far, -far}
	for _, t := range facets {
		for _, p := range t.place {
			low, high = low.least(p), high.most(p)
		}
	}
	cam := camera{target: low.mix(high, 0.5), zoom: 3}
	size := high.sub(low).length()
	flat := smooth(0.45, 0.15, (high.y-low.y)/size)
	from := vec{sin(0.5), mix(0.38, 0.85, flat), cos(0.5)}.unit()
	cam.eye = cam.target.add(from.scale(size * 2))
	// The distance at which everything is on the picture, with a margin.
	const margin = 0.84
	for range 4 {
		v := cam.view(2, 2)
		least, most, reach := vec{far, far, 0}, vec{-far, -far, 0}, 0.0
		for _, t := range facets {
			for _, p := range t.place {
				q := v.project(p)
				least, most = least.least(q), most.most(q)
			}
		}
		reach = max(most.x-least.x, most.y-least.y) / 2
		away := cam.eye.sub(cam.target).length()
		unit := away / cam.zoom
		cam.target = cam.target.add(v.right.scale(float64(((least.x+most.x)/2 - 1) * unit))).add(v.up.scale(float64((1 - (least.y+most.y)/2) * unit)))
		cam.eye = cam.target.add(from.scale(away * reach / margin))
	}
	return cam
}

func lowest(facets []facet) float64 {
	y := math.Inf(1)
	for _, t := range facets {
		y = min(y, t.place[0].y, t.place[1].y, t.place[2].y)
	}
	return y
}

// backdrop is a soft colour that goes with the thing, lighter behind it.
func (w *wish) backdrop() func(x, y int) rgb {
	hue := w.random.fork("backdrop").unit()
	middle, edge := wheel(hue, 0.16, 0.5), wheel(hue+0.04, 0.3, 0.13)
	if w.glowing {
		middle, edge = wheel(hue, 0.3, 0.1), wheel(hue, 0.4, 0.02)
	}
	return func(x, y int) rgb {
		dx, dy := (float64(x)/previewSide - 0.5), (float64(y)/previewSide - 0.46)
		return middle.mix(edge, smooth(0.05, 0.75, math.Sqrt(float64(dx*dx)+float64(dy*dy))))
	}
}

// onFloor is how much shadow lies where a pixel shows the floor.
func (s *shadow) onFloor(v view, x, y, floor float64) float64 {
	d := v.ray(x, y)
	if d.y > -0.02 {
		return 0
	}
	k := (floor - v.eye.y) / d.y
	p := v.eye.add(d.scale(k))
	q := s.project(p)
	reach := float64(s.side) / 90
	if q.x < -8*reach || q.y < -8*reach || q.x > float64(s.side)+8*reach || q.y > float64(s.side)+8*reach {
		return 0
	}
	dark := 0.0
	for dy := -2.0; dy <= 2; dy++ {
		for dx := -2.0; dx <= 2; dx++ {
			px, py := int(q.x+float64(dx*reach)), int(q.y+float64(dy*reach))
			if px >= 0 && py >= 0 && px < s.side && py < s.side && float64(s.depth[py*s.side+px]) < q.z {
				dark++
			}
		}
	}
	return dark / 25
}

// develop makes the picture of a film that is finer by a factor, over a background, with the halo of what glows.
func (f *film) develop(ctx context.Context, fine int, behind func(x, y int) rgb) (*image.NRGBA, error) {
	w, h := f.w/fine, f.h/fine
	halo := f.halo(fine * 4)
	picture := image.NewNRGBA(image.Rect(0, 0, w, h))
	weight := 1 / float64(fine*fine)
	return picture, rows(ctx, h, func(y int) {
		for x := range w {
			var c rgb
			cover := 0.0
			for dy := range fine {
				for dx := range fine {
					i := (y*fine+dy)*f.w + x*fine + dx
					k := float64(f.cover[i])
					if k == 0 {
						continue
					}
					cover += float64(k * weight)
					one := toned(rgb{float64(f.colour[3*i]), float64(f.colour[3*i+1]), float64(f.colour[3*i+2])})
					c = c.add(one.scale(weight))
				}
			}
			if cover < 1 {
				c = c.add(behind(x, y).scale(1 - cover))
			}
			if halo != nil {
				c = c.add(halo.at(float64(x)/4, float64(y)/4))
			}
			set3(picture, y*w+x, c.bytes())
		}
	})
}

// toned brings any light into what a screen can show.
func toned(c rgb) rgb {
	part := func(x float64) float64 { return float64(x * (1 + float64(x*0.12)) / (1 + float64(x*0.55)) * 1.15) }
	return rgb{part(c.r), part(c.g), part(c.b)}
}

// glare is a small blurred picture of what glows.
type glare struct {
	w, h  int
	light []rgb
}

// halo gathers what glows in squares of so many pixels of the film; nil when nothing does.
func (f *film) halo(square int) *glare {
	g := &glare{w: f.w / square, h: f.h / square}
	g.light = make([]rgb, g.w*g.h)
	any := false
	for y := range g.h * square {
		for x := range g.w * square {
			if n := f.glow[y*f.w+x]; n != 0 {
				any = true
				at := y/square*g.w + x/square
				g.light[at] = g.light[at].add(f.glows[n])
			}
		}
	}
	if !any {
		return nil
	}
	for i := range g.light {
		g.light[i] = g.light[i].scale(1 / float64(square*square))
	}
	wide := max(1, g.w/40)
	for range 3 {
		g.blur(wide, 1)
		g.blur(wide, g.w)
	}
	return g
}

// blur takes means of 2n+1 neighbours in steps of so many places.
func (g *glare) blur(n, step int) {
	out := make([]rgb, len(g.light))
	long := g.w
	if step != 1 {
		long = g.h
	}
	for i := range g.light {
		place := i % g.w
		if step != 1 {
			place = i / g.w
		}
		var sum rgb
		for d := -n; d <= n; d++ {
			if place+d >= 0 && place+d < long {
				sum = sum.add(g.light[i+d*step])
			}
		}
		out[i] = sum.scale(1 / float64(2*n+1))
	}
	g.light = out
}

// at is the light at a place, between four.
func (g *glare) at(x, y float64) rgb {
	x, y = clamp(x-0.5, 0, float64(g.w-1)), clamp(y-0.5, 0, float64(g.h-1))
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, g.w-1), min(y0+1, g.h-1)
	tx, ty := x-float64(x0), y-float64(y0)
	top := g.light[y0*g.w+x0].mix(g.light[y0*g.w+x1], tx)
	return top.mix(g.light[y1*g.w+x0].mix(g.light[y1*g.w+x1], tx), ty).scale(1.4)
}

func waveform(_ context.Context, t *tape, w *wish) ([]byte, error) {
	picture := image.NewNRGBA(image.Rect(0, 0, previewSide, previewSide/2))
	hue := w.random.fork("backdrop").unit()
	high := previewSide / 2
	top, bottom := wheel(hue, 0.55, 0.9), wheel(hue+0.12, 0.7, 0.75)
	back, line := wheel(hue, 0.35, 0.015), wheel(hue, 0.3, 0.05)
	n := len(t.samples)
	for x := range previewSide {
		from, to := x*n/previewSide, max((x+1)*n/previewSide, x*n/previewSide+1)
		low, up, power := 0.0, 0.0, 0.0
		for _, s := range t.samples[min(from, n-1):min(to, n)] {
			low, up = min(low, s), max(up, s)
			power += s * s / float64(to-from)
		}
		mean := math.Sqrt(power)
		for y := range high {
			level := 1 - 2*(float64(y)+0.5)/float64(high)
			c := back
			switch {
			case abs(level) < mean*0.92:
				c = top.mix(bottom, abs(level)).shade(1.15)
			case level >= low*0.92 && level <= up*0.92:
				c = top.mix(bottom, abs(level)).scale(0.45)
			case y == high/2 || x%64 == 0:
				c = line
			}
			set3(picture, y*previewSide+x, c.bytes())
		}
	}
	return encodePreview(picture)
}
