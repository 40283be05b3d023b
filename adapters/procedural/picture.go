package procedural

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"image/png"

	"gaia/domain"
)

// smallestSide is that of the smallest picture that is worth a file.
const smallestSide = 16

// pictureFiles paints a picture and writes it, smaller and smaller until it fits.
func pictureFiles(
	ctx context.Context, paint func(side int) (*image.NRGBA, error), side int, o domain.GenerationOrder, format, name string,
) ([]domain.GeneratedFile, error) {
	for ; side >= smallestSide; side /= 2 {
		if o.Request.MaxBytes > 0 && hopeless(side, o.Request.MaxBytes) {
			continue
		}
		picture, err := paint(side)
		if err != nil {
			return nil, err
		}
		data, err := encode(ctx, picture, format, o.Request.MaxBytes)
		if err != nil {
			return nil, err
		}
		if data == nil {
			continue
		}
		size := picture.Bounds().Size()
		return []domain.GeneratedFile{{Format: format, Data: data, Attributes: map[string]any{
			"seed": o.Seed, "archetype": name, "width": size.X, "height": size.Y,
		}}}, nil
	}
	return nil, domain.NewError(domain.BadRequest, "No picture fits into so few bytes: allow a larger file.")
}

// hopeless reports that a picture of that size is sure not to fit: no compression makes a sixtieth of it.
func hopeless(side int, limit int64) bool { return int64(side)*int64(side)/20 > limit }

// encode writes a picture; nil when it takes more bytes than the limit, if there is one.
func encode(ctx context.Context, picture image.Image, format string, limit int64) ([]byte, error) {
	if format == "png" {
		return within(limit, func(b *bytes.Buffer) error {
			return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(b, picture)
		})
	}
	for _, quality := range []int{92, 80, 60, 40} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := within(limit, func(b *bytes.Buffer) error { return jpeg.Encode(b, picture, &jpeg.Options{Quality: quality}) })
		if data != nil || err != nil {
			return data, err
		}
	}
	return nil, nil
}

func within(limit int64, write func(*bytes.Buffer) error) ([]byte, error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return nil, err
	}
	if limit > 0 && int64(b.Len()) > limit {
		return nil, nil
	}
	return b.Bytes(), nil
}
