package mediafile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"

	"gaia/domain"
)

const (
	maxPixels      = 25_000_000    // that a picture of which a preview is drawn may have: with the deepest colours it takes 200 MB
	maxProgressive = maxPixels / 3 // that a progressive JPEG may have: up to 24 bytes of memory for each
	maxSegments    = 1000          // of a JPEG before its picture
)

// codec reads one format of pictures. The registry of package image is not used: anybody can add to it.
type codec struct {
	name   string
	is     func([]byte) bool
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

var codecs = []codec{
	{"PNG", begins("\x89PNG\r\n\x1a\n"), png.DecodeConfig, png.Decode},
	{"JPEG", begins("\xff\xd8\xff"), jpeg.DecodeConfig, jpeg.Decode},
	{"GIF", begins("GIF87a", "GIF89a"), gif.DecodeConfig, gif.Decode},
	{"WebP", riff("WEBP"), webp.DecodeConfig, webp.Decode},
}

// codecOf finds the codec for a file; nil: it is no picture.
func codecOf(f *file) (*codec, error) {
	head, err := f.upTo(0, headSize)
	if err != nil {
		return nil, err
	}
	for i, c := range codecs {
		if c.is(head) {
			return &codecs[i], nil
		}
	}
	return nil, nil
}

// picture tells the size of a picture by its head.
func picture(f *file) (domain.FileFacts, error) {
	c, err := codecOf(f)
	if err != nil {
		return domain.FileFacts{}, err
	}
	size, err := c.size(f)
	return domain.FileFacts{Width: size.Width, Height: size.Height}, err
}

func (c *codec) size(f *file) (image.Config, error) {
	r, err := f.from(0)
	if err != nil {
		return image.Config{}, err
	}
	size, err := c.config(bufio.NewReader(r))
	if err != nil || size.Width <= 0 || size.Height <= 0 {
		return image.Config{}, broken(c.name, "its head can't be read")
	}
	return size, nil
}

// Preview implements ports.MediaInspector. Pictures that need too much memory, and animated WebP, have none.
func (Inspector) Preview(ctx context.Context, r io.ReadSeeker, width, height int) (preview []byte, err error) {
	f, err := open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = f.explain(recover(), err); err != nil {
			preview = nil
		}
	}()
	c, err := codecOf(f)
	if err != nil || c == nil {
		return nil, err
	}
	if drawable, err := c.drawable(f); err != nil || !drawable {
		return nil, err
	}
	from, err := f.from(0)
	if err != nil {
		return nil, err
	}
	whole, err := c.decode(bufio.NewReader(from))
	if err != nil {
		return nil, broken(c.name, "it can't be drawn")
	}
	var b bytes.Buffer
	if err := png.Encode(&b, fit(whole, width, height)); err != nil {
		return nil, broken(c.name, "it can't be drawn")
	}
	return b.Bytes(), nil
}

// drawable reports whether a preview can be drawn within bounds of memory.
func (c *codec) drawable(f *file) (bool, error) {
	size, err := c.size(f)
	if err != nil {
		return false, err
	}
	pixels := int64(size.Width) * int64(size.Height)
	if c.name == "JPEG" && pixels > maxProgressive {
		baseline, err := baselineJPEG(f)
		return baseline && pixels <= maxPixels, err
	}
	if animated, err := animatedWebP(f); err != nil || animated {
		return false, err
	}
	return pixels <= maxPixels, nil
}

// baselineJPEG reports whether a JPEG is drawn as it is read. A progressive one keeps all of its coefficients until the end, and so may
// one that has anything unusual before its picture.
func baselineJPEG(f *file) (bool, error) {
	const baseline, extended, tables, quantisation, restarts, comment, application = 0xc0, 0xc1, 0xc4, 0xdb, 0xdd, 0xfe, 0xe0
	place := int64(2)
	for range maxSegments {
		head, err := f.upTo(place, 4)
		if err != nil || len(head) < 4 || head[0] != 0xff {
			return false, err
		}
		switch kind := head[1]; {
		case kind == baseline, kind == extended:
			return true, nil
		case kind == tables, kind == quantisation, kind == restarts, kind == comment, kind&0xf0 == application:
			place += 2 + int64(binary.BigEndian.Uint16(head[2:]))
		default:
			return false, nil
		}
	}
	return false, nil
}

// animatedWebP reports whether a file is a WebP of several pictures, which the decoder does not read.
func animatedWebP(f *file) (bool, error) {
	const animation = 0x02
	head, err := f.upTo(0, 21)
	if err != nil || len(head) < 21 {
		return false, err
	}
	return riff("WEBP")(head) && string(head[12:16]) == "VP8X" && head[20]&animation != 0, nil
}

// fit makes a picture small enough and keeps its proportions.
func fit(whole image.Image, width, height int) image.Image {
	size := whole.Bounds().Size()
	if size.X <= width && size.Y <= height {
		return whole
	}
	w, h := width, size.Y*width/size.X
	if h > height {
		w, h = size.X*height/size.Y, height
	}
	// Better ways to scale keep something of each row in memory, and a picture may have very many.
	small := image.NewNRGBA(image.Rect(0, 0, max(w, 1), max(h, 1)))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), whole, whole.Bounds(), draw.Src, nil)
	return small
}
