package procedural

import (
	"context"
	"image"
	"math"
	"runtime"
	"sync"

	"gaia/domain"
)

// sidesOf are the pixels of the sides of pictures.
var sidesOf = map[domain.AssetQuality]int{domain.AssetLow: 256, domain.AssetMedium: 512, domain.AssetHigh: 1024, domain.AssetUltra: 2048}

func sideOf(q domain.AssetQuality) int {
	if side, ok := sidesOf[q]; ok {
		return side
	}
	return sidesOf[domain.AssetMedium]
}

// sample is what a surface is like at one place.
type sample struct {
	colour rgb
	height float64 // from 0 to 1
	glow   rgb     // light that it gives itself
	shine  float64 // how much it mirrors the light
}

// surface is what a texture shows, for places from 0 to 1 in both directions. It goes on at one side as it ends at the other.
type surface func(u, v float64) sample

// weave is a kind of surface that is known how to be made.
type weave struct {
	name  string
	depth float64 // how far its height can be seen
	build func(w *wish, r *random) surface
}

// texture makes a picture that can be laid side by side with itself.
func (w *wish) texture(ctx context.Context, o domain.GenerationOrder, format string) ([]domain.GeneratedFile, error) {
	kind := w.weave()
	paint := func(side int) (*image.NRGBA, error) {
		return kind.paint(ctx, side, kind.build(w, w.random.fork("surface")))
	}
	return pictureFiles(ctx, paint, sideOf(o.Request.Quality), o, format, kind.name)
}

// weave is the kind of surface that the words mean; what is not known is some pattern.
func (w *wish) weave() weave {
	if kind, _, ok := subject(w.words, weaves); ok {
		return kind
	}
	if kind, _, ok := subject(w.all, weaves); ok {
		return kind
	}
	return weave{"pattern", 1, pattern}
}

// paint draws a surface with light that falls on it from above on the left.
func (k weave) paint(ctx context.Context, side int, at surface) (*image.NRGBA, error) {
	picture := image.NewNRGBA(image.Rect(0, 0, side, side))
	heights, shines := make([]float32, side*side), make([]uint8, side*side)
	glowing := make([]bool, side*side)
	err := rows(ctx, side, func(y int) {
		for x := range side {
			s := at((float64(x)+0.5)/float64(side), (float64(y)+0.5)/float64(side))
			i := y*side + x
			heights[i] = float32(s.height)
			shines[i] = uint8(clamp(s.shine, 0, 1) * 255)
			glowing[i] = s.glow != (rgb{})
			set3(picture, i, s.colour.add(s.glow).bytes())
		}
	})
	if err != nil {
		return nil, err
	}
	strength := k.depth * float64(side) / 64
	return picture, rows(ctx, side, func(y int) {
		up, down := (y+side-1)%side*side, (y+1)%side*side
		for x := range side {
			i := y*side + x
			if glowing[i] {
				continue
			}
			dx := float64(heights[y*side+(x+1)%side]) - float64(heights[y*side+(x+side-1)%side])
			dy := float64(heights[down+x]) - float64(heights[up+x])
			lit(picture.Pix[4*i:4*i+3], clamp(float64((dx+dy)*strength), -0.75, 1), float64(shines[i])/255)
		}
	})
}

// lit changes the light of a pixel: by the slope towards the light, and by what it mirrors of it.
func lit(pixel []uint8, slope, shine float64) {
	light := math.Sqrt(1 + float64(slope*0.8))
	gloss := float64(shine * max(0, slope-0.1) * 150)
	for c := range pixel {
		pixel[c] = uint8(clamp(float64(float64(pixel[c])*light)+gloss+0.5, 0, 255))
	}
}

func set3(picture *image.NRGBA, i int, c [3]uint8) {
	p := picture.Pix[4*i : 4*i+4 : 4*i+4]
	p[0], p[1], p[2], p[3] = c[0], c[1], c[2], 255
}

// rows does something for every row, on several processors, until ctx ends. Rows know nothing of each other, so that it makes no difference.
func rows(ctx context.Context, n int, do func(y int)) error {
	workers := min(runtime.GOMAXPROCS(0), 4)
	var all sync.WaitGroup
	for k := range workers {
		all.Go(func() {
			for y := k; y < n && ctx.Err() == nil; y += workers {
				do(y)
			}
		})
	}
	all.Wait()
	return ctx.Err()
}
