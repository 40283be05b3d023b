package procedural

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gaia/domain"
)

// polygonsOf bounds the triangles of a model whose request names no number.
var polygonsOf = map[domain.AssetQuality]int{
	domain.AssetLow: 1000, domain.AssetMedium: 5000, domain.AssetHigh: 15000, domain.AssetUltra: 50000,
}

const boxPolygons = 12

// limits are what a model may have.
type limits struct {
	polygons int
	bytes    int64 // 0: any
	format   string
}

func limitsOf(r domain.AssetRequest, format string) limits {
	l := limits{polygons: polygonsOf[r.Quality], bytes: r.MaxBytes, format: format}
	if l.polygons == 0 {
		l.polygons = polygonsOf[domain.AssetMedium]
	}
	if r.MaxPolygons > 0 {
		l.polygons = min(l.polygons, r.MaxPolygons)
	}
	return l
}

// made is a model with its file.
type made struct {
	model *model
	data  []byte
}

// fit makes a model in the finest detail that the limits allow, and out of plain boxes when they allow none.
func (l limits) fit(ctx context.Context, sculpt func(level int) *sculptor) (made, error) {
	best, low, high := made{}, 1, maxLevel
	for low <= high {
		if ctx.Err() != nil {
			return made{}, ctx.Err()
		}
		level := (low + high) / 2
		if low == 1 && high == maxLevel {
			level = 4 // most requests end near the usual level
		}
		s := sculpt(level)
		if s.count > 2*l.polygons+64 { // before the work of welding; a few of them may yet turn out to be nothing
			high = level - 1
			continue
		}
		tried, ok, err := l.accepts(s.finish())
		if err != nil {
			return made{}, err
		}
		if !ok {
			high = level - 1
			continue
		}
		best, low = tried, level+1
		if s.level < level {
			break // the look wants no more detail
		}
	}
	if best.model != nil {
		return best, nil
	}
	return l.fitBoxes(sculpt(1))
}

func (l limits) accepts(m *model) (made, bool, error) {
	if m.polygons() > l.polygons {
		return made{}, false, nil
	}
	data, err := m.file(l.format)
	if err != nil {
		return made{}, false, err
	}
	return made{m, data}, l.bytes == 0 || int64(len(data)) <= l.bytes, nil
}

// fitBoxes makes a model of the boxes around the largest parts.
func (l limits) fitBoxes(s *sculptor) (made, error) {
	type piece struct {
		bone int
		block
	}
	var pieces []piece
	for i, b := range s.bones {
		for _, k := range b.blocks {
			pieces = append(pieces, piece{i, k})
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(b.volume(), a.volume()) })
	for n := min(l.polygons/boxPolygons, len(pieces)); n > 0; n /= 2 {
		boxes := &sculptor{wish: s.wish, random: s.random, level: 1, frame: still(), soft: s.soft, materials: s.materials, moves: s.moves}
		for _, b := range s.bones {
			boxes.bones = append(boxes.bones, bone{name: b.name, parent: b.parent, origin: b.origin})
		}
		for _, p := range pieces[:n] {
			boxes.bone, boxes.material = p.bone, p.material
			boxes.block(p.block)
		}
		m, ok, err := l.accepts(boxes.finish())
		if err != nil || ok {
			return m, err
		}
	}
	if l.polygons < boxPolygons {
		return made{}, tooFew(boxPolygons)
	}
	return made{}, domain.NewError(domain.BadRequest, "No model fits into so few bytes: allow a larger file.")
}

// volume is that of the box, where what is flat counts by its area.
func (b block) volume() float64 {
	size := b.frame.x.scale(b.high.x - b.low.x).length()
	depth := b.frame.z.scale(b.high.z - b.low.z).length()
	height := b.frame.y.scale(b.high.y - b.low.y).length()
	return mul(mul(size+0.01, depth+0.01), height+0.01)
}

// block makes the box that stands for a part.
func (s *sculptor) block(b block) {
	s.paint = nil
	if b.tint != (rgb{}) {
		s.paint = func(vec) rgb { return b.tint }
	}
	s.within(b.frame, func() {
		middle, half := b.low.mix(b.high, 0.5), b.high.sub(b.low).scale(0.5)
		s.within(at(middle.x, middle.y, middle.z), func() {
			s.begin()
			s.plainBox(max(half.x, 0.002), max(half.y, 0.002), max(half.z, 0.002))
		})
	})
}

func tooFew(smallest int) *domain.Error {
	return domain.NewError(domain.BadRequest,
		fmt.Sprintf("The smallest model that can be made has %d polygons: allow at least so many.", smallest))
}
