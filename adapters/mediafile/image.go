package mediafile

import (
	"bytes"
	"context"
	"image"
	_ "image/gif"  // decodes
	_ "image/jpeg" // decodes
	"image/png"
	"io"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // decodes

	"gaia/domain"
)

// maxPixels is how large a picture may be of which a preview is drawn: it takes up to 8 bytes of memory for each of them. Larger ones
// simply have none.
const maxPixels = 50_000_000

func readImage(f *file, facts *domain.FileFacts) error {
	config, format, err := image.DecodeConfig(f)
	if err != nil {
		return err
	}
	if format == "jpeg" {
		format = "jpg"
	}
	if format != facts.Format || config.Width <= 0 || config.Height <= 0 {
		return broken("has no size")
	}
	facts.Width, facts.Height = config.Width, config.Height
	return nil
}

// Preview implements ports.MediaInspector. Only pictures have one.
func (i Inspector) Preview(ctx context.Context, r io.ReadSeeker, width, height int) ([]byte, error) {
	facts, err := i.Inspect(ctx, r)
	if err != nil {
		return nil, err
	}
	if facts.Width == 0 || facts.Width > maxPixels/facts.Height {
		return nil, nil
	}
	f, err := newFile(ctx, r)
	if err != nil {
		return nil, err
	}
	picture, _, err := image.Decode(f)
	if err != nil {
		return nil, f.explain(kind{format: facts.Format}, err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, fitted(picture, width, height)); err != nil {
		return nil, domain.MissingPart("The preview could not be drawn", err)
	}
	return out.Bytes(), nil
}

// fitted makes a picture small enough, in its own proportions. Small ones stay as they are.
func fitted(picture image.Image, width, height int) image.Image {
	w, h := picture.Bounds().Dx(), picture.Bounds().Dy()
	if w <= width && h <= height {
		return picture
	}
	if w*height > h*width { // too wide rather than too high
		w, h = width, max(h*width/w, 1)
	} else {
		w, h = max(w*height/h, 1), height
	}
	small := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)
	return small
}
