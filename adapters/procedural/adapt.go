package procedural

import (
	"bytes"
	"context"
	"image"
	"image/draw"
	_ "image/gif"  // may be what is adapted
	_ "image/jpeg" // may be what is adapted
	"math"
	"slices"

	"gaia/domain"
)

// mostPixels is how many a picture may have that is adapted: drawing some of them takes 24 bytes for each.
const mostPixels = 12_000_000

// adapt changes an asset of the catalogue, so that it fits the limits of the request and the colours that its words name.
func (w *wish) adapt(ctx context.Context, o domain.GenerationOrder, format string) ([]domain.GeneratedFile, error) {
	switch o.Request.Category {
	case domain.AssetImage, domain.AssetTexture:
		return w.adaptPicture(ctx, o, format)
	case domain.AssetProp, domain.AssetCharacter, domain.AssetEnvironment:
		return w.adaptModel(ctx, o, limitsOf(o.Request, format))
	}
	return nil, domain.NewError(domain.BadRequest, "The built-in generator cannot change assets of this category.")
}

func unreadable() *domain.Error {
	return domain.NewError(domain.BadRequest, "The file of the asset cannot be read, so that it cannot be changed.")
}

func (w *wish) adaptPicture(ctx context.Context, o domain.GenerationOrder, format string) ([]domain.GeneratedFile, error) {
	header, _, err := image.DecodeConfig(bytes.NewReader(o.Base.Data))
	if err != nil || header.Width < 1 || header.Height < 1 || header.Width > mostPixels/header.Height {
		return nil, unreadable()
	}
	base, _, err := image.Decode(bytes.NewReader(o.Base.Data))
	if err != nil {
		return nil, unreadable()
	}
	source := image.NewNRGBA(image.Rect(0, 0, header.Width, header.Height))
	how := draw.Src
	if format != "png" { // which alone can be transparent
		draw.Draw(source, source.Bounds(), image.White, image.Point{}, draw.Src)
		how = draw.Over
	}
	draw.Draw(source, source.Bounds(), base, base.Bounds().Min, how)
	w.recolour(source)
	longer := max(header.Width, header.Height)
	paint := func(side int) (*image.NRGBA, error) { return shrunk(ctx, source, side) }
	return pictureFiles(ctx, paint, min(longer, sideOf(o.Request.Quality)), o, format, "adapted")
}

// recolour gives a picture the first colour that the words name, where the picture has any colour.
func (w *wish) recolour(p *image.NRGBA) {
	if len(w.colours) == 0 {
		return
	}
	wanted := w.colours[0]
	wanted = wanted.scale(1 / max(wanted.light(), 0.05))
	for i := 0; i < len(p.Pix); i += 4 {
		c := fromBytes(p.Pix[i], p.Pix[i+1], p.Pix[i+2])
		b := c.mix(wanted.scale(c.light()), 0.65).bytes()
		p.Pix[i], p.Pix[i+1], p.Pix[i+2] = b[0], b[1], b[2]
	}
}

func fromBytes(r, g, b uint8) rgb {
	part := func(x uint8) float64 { v := float64(x) / 255; return float64(v * v) }
	return rgb{part(r), part(g), part(b)}
}

// shrunk is a picture whose longer side has so many pixels, each the mean of those that it stands for.
func shrunk(ctx context.Context, p *image.NRGBA, side int) (*image.NRGBA, error) {
	size := p.Bounds().Size()
	longer := max(size.X, size.Y)
	if side >= longer {
		return p, ctx.Err()
	}
	w, h := max(1, size.X*side/longer), max(1, size.Y*side/longer)
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	return out, rows(ctx, h, func(y int) {
		y0, y1 := y*size.Y/h, max((y+1)*size.Y/h, y*size.Y/h+1)
		for x := range w {
			x0, x1 := x*size.X/w, max((x+1)*size.X/w, x*size.X/w+1)
			var sum [4]int
			for sy := y0; sy < y1; sy++ {
				for sx := x0; sx < x1; sx++ {
					at := p.Pix[p.PixOffset(sx, sy):]
					alpha := int(at[3])
					for c := range 3 {
						sum[c] += int(at[c]) * alpha
					}
					sum[3] += alpha
				}
			}
			pixel := out.Pix[out.PixOffset(x, y):]
			for c := range 3 {
				pixel[c] = uint8((sum[c] + sum[3]/2) / max(sum[3], 1)) // #nosec G115 -- a mean of bytes
			}
			pixel[3] = uint8(sum[3] / ((y1 - y0) * (x1 - x0))) // #nosec G115 -- a mean of bytes
		}
	})
}

// adaptModel takes triangles away until the limits are kept.
func (w *wish) adaptModel(ctx context.Context, o domain.GenerationOrder, l limits) ([]domain.GeneratedFile, error) {
	m, err := readModel(o.Base.Data)
	if err != nil {
		return nil, unreadable()
	}
	w.repaint(m)
	best, err := l.reduce(ctx, m)
	if err != nil {
		return nil, err
	}
	return w.modelFiles(ctx, best, l.format, o.Seed, "adapted")
}

// repaint gives the first materials the colours that the words name.
func (w *wish) repaint(m *model) {
	for i := range m.materials {
		if i < len(w.colours) {
			m.materials[i].colour = w.colours[i]
		}
	}
}

// reduce puts vertices together in ever larger cells of space.
func (l limits) reduce(ctx context.Context, m *model) (made, error) {
	size := m.size()
	fewest := m.polygons()
	for cells := 0.0; cells == 0 || cells >= 1; {
		if ctx.Err() != nil {
			return made{}, ctx.Err()
		}
		reduced := m
		if cells > 0 {
			reduced = m.clustered(size / cells)
		}
		if n := reduced.polygons(); n > 0 {
			fewest = min(fewest, n)
			best, ok, err := l.accepts(reduced)
			if err != nil || ok {
				return best, err
			}
		}
		if cells == 0 {
			cells = 512
		} else {
			cells = math.Floor(cells / 1.2)
		}
	}
	if l.polygons < fewest {
		return made{}, tooFew(fewest)
	}
	return made{}, domain.NewError(domain.BadRequest, "The model does not fit into so few bytes: allow a larger file.")
}

// size is the longest side of the box around everything.
func (m *model) size() float64 {
	facets := m.facets(still())
	far := math.Inf(1)
	low, high := vec{far, far, far}, vec{-far, -far, -far}
	for _, t := range facets {
		for _, p := range t.place {
			low, high = low.least(p), high.most(p)
		}
	}
	d := high.sub(low)
	return max(d.x, d.y, d.z, 1e-6)
}

// clustered is the model with all vertices of a cell of space in their middle; triangles of which less remains are gone.
func (m *model) clustered(cell float64) *model {
	out := &model{materials: slices.Clone(m.materials)}
	for _, n := range m.nodes {
		reduced := node{name: n.name, parent: n.parent, shift: n.shift}
		for _, p := range n.primitives {
			if q := p.clustered(cell); len(q.indices) > 0 {
				reduced.primitives = append(reduced.primitives, q)
			}
		}
		out.nodes = append(out.nodes, reduced)
	}
	out.forget()
	return out
}

func (p primitive) clustered(cell float64) primitive {
	known := map[spot]int{}
	var sums []vec
	var counts []float64
	cellOf := make([]int, len(p.positions))
	for i, at := range p.positions {
		v := vec{float64(at[0]), float64(at[1]), float64(at[2])}
		key := spotOf(v.scale(1 / (cell * grain)))
		k, ok := known[key]
		if !ok {
			k = len(sums)
			known[key] = k
			sums, counts = append(sums, vec{}), append(counts, 0)
		}
		sums[k], counts[k] = sums[k].add(v), counts[k]+1
		cellOf[i] = k
	}
	seen := map[[3]int]bool{}
	var faces []face
	for i := 0; i+2 < len(p.indices); i += 3 {
		a, b, c := cellOf[p.indices[i]], cellOf[p.indices[i+1]], cellOf[p.indices[i+2]]
		key := smallestFirst(a, b, c)
		if a == b || b == c || a == c || seen[key] {
			continue
		}
		seen[key] = true
		f := face{a: sums[a].scale(1 / counts[a]), b: sums[b].scale(1 / counts[b]), c: sums[c].scale(1 / counts[c]), material: p.material}
		for k := range 3 {
			f.tint[k] = rgb{1, 1, 1}
			if p.tints != nil {
				t := p.tints[p.indices[i+k]]
				f.tint[k] = rgb{float64(t[0]) / 255, float64(t[1]) / 255, float64(t[2]) / 255}
			}
		}
		faces = append(faces, f)
	}
	q := weld(faces, vec{}, cos(tau/8))
	q.material = p.material
	return q
}

// smallestFirst turns three numbers around until the smallest is first.
func smallestFirst(a, b, c int) [3]int {
	switch {
	case a <= b && a <= c:
		return [3]int{a, b, c}
	case b <= a && b <= c:
		return [3]int{b, c, a}
	}
	return [3]int{c, a, b}
}
