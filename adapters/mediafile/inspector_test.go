package mediafile_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"gaia/adapters/mediafile"
	"gaia/domain"
)

func picture(w, h int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.SetNRGBA(i%w, i/w, color.NRGBA{uint8(i % w), uint8(i / w), 99, 255})
	}
	return img
}

func made(encode func(io.Writer) error) []byte {
	var buf bytes.Buffer
	if err := encode(&buf); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func pngOf(w, h int) []byte {
	return made(func(out io.Writer) error { return png.Encode(out, picture(w, h)) })
}

// pngHeader claims to be so large and has nothing else.
func pngHeader(w, h uint32) []byte {
	ihdr := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), w), h)
	ihdr = append(ihdr, 8, 6, 0, 0, 0)
	out := binary.BigEndian.AppendUint32([]byte("\x89PNG\r\n\x1a\n"), 13)
	return binary.BigEndian.AppendUint32(append(out, ihdr...), crc32.ChecksumIEEE(ihdr))
}

func webp() []byte {
	data, err := base64.StdEncoding.DecodeString("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
	if err != nil {
		panic(err)
	}
	return data
}

// wav has so much sound, and says that it has more.
func wav(sound, claimed int) []byte {
	b := append([]byte("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00fmt "), 16, 0, 0, 0, 1, 0, 1, 0)
	b = binary.LittleEndian.AppendUint32(b, 8000)
	b = binary.LittleEndian.AppendUint32(b, 16_000)
	b = append(b, 2, 0, 16, 0, 'd', 'a', 't', 'a')
	b = binary.LittleEndian.AppendUint32(b, uint32(claimed))
	return append(b, make([]byte, sound)...)
}

func flac(samples uint64) []byte {
	b := append([]byte("fLaC"), 0x80, 0, 0, 34)
	b = append(b, make([]byte, 10)...)
	b = binary.BigEndian.AppendUint64(b, 44_100<<44|1<<41|15<<36|samples)
	return append(b, make([]byte, 16)...)
}

func ogg(granule uint64) []byte {
	b := append([]byte("OggS\x00\x02"), make([]byte, 22)...)
	b = append(b, "\x01vorbis\x00\x00\x00\x00\x02"...)
	b = binary.LittleEndian.AppendUint32(b, 48_000)
	b = append(b, make([]byte, 5000)...)
	b = append(b, "OggS\x00\x04"...)
	return append(binary.LittleEndian.AppendUint64(b, granule), make([]byte, 14)...)
}

func mp3(frames uint32) []byte {
	b := append([]byte("ID3\x04\x00\x00\x00\x00\x01\x00"), make([]byte, 128)...)
	b = append(b, 0xff, 0xfb, 0x90, 0x00) // MPEG 1, 128 kbit/s, 44.1 kHz, stereo
	b = append(b, make([]byte, 32)...)
	if frames > 0 {
		b = binary.BigEndian.AppendUint32(append(b, "Xing\x00\x00\x00\x01"...), frames)
	}
	return append(b, make([]byte, 16_000-len(b)+138)...)
}

func glb(doc string, bin int) []byte {
	for len(doc)%4 != 0 {
		doc += " "
	}
	b := binary.LittleEndian.AppendUint32([]byte("glTF\x02\x00\x00\x00"), uint32(12+8+len(doc)+8+bin))
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(doc))), "JSON"+doc...)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(bin)), "BIN\x00"...)
	return append(b, make([]byte, bin)...)
}

// mesh is a document with one mesh, whose accessor counts so much of a view of so many bytes.
func mesh(count, bytes, mode int) string {
	return fmt.Sprintf(`{"asset":{"version":"2.0"},"meshes":[{"primitives":[{"attributes":{"POSITION":0},"mode":%d}]}],`+
		`"accessors":[{"bufferView":0,"count":%d}],"bufferViews":[{"byteLength":%d}]}`, mode, count, bytes)
}

func archive() []byte {
	return made(func(out io.Writer) error {
		z := zip.NewWriter(out)
		if _, err := z.Create("a.txt"); err != nil {
			return err
		}
		return z.Close()
	})
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		want domain.FileFacts
	}{
		"png":             {pngOf(30, 20), domain.FileFacts{Format: "png", ContentType: "image/png", Width: 30, Height: 20}},
		"png, very large": {pngHeader(60_000, 60_000), domain.FileFacts{Format: "png", ContentType: "image/png", Width: 60_000, Height: 60_000}},
		"jpg": {made(func(w io.Writer) error { return jpeg.Encode(w, picture(30, 20), nil) }),
			domain.FileFacts{Format: "jpg", ContentType: "image/jpeg", Width: 30, Height: 20}},
		"gif": {made(func(w io.Writer) error { return gif.Encode(w, picture(30, 20), nil) }),
			domain.FileFacts{Format: "gif", ContentType: "image/gif", Width: 30, Height: 20}},
		"webp":                 {webp(), domain.FileFacts{Format: "webp", ContentType: "image/webp", Width: 1, Height: 1}},
		"wav":                  {wav(32_000, 32_000), domain.FileFacts{Format: "wav", ContentType: "audio/wav", Duration: 2 * time.Second}},
		"wav that claims more": {wav(16_000, math.MaxUint32), domain.FileFacts{Format: "wav", ContentType: "audio/wav", Duration: time.Second}},
		"flac":                 {flac(22_050), domain.FileFacts{Format: "flac", ContentType: "audio/flac", Duration: time.Second / 2}},
		"ogg":                  {ogg(96_000), domain.FileFacts{Format: "ogg", ContentType: "audio/ogg", Duration: 2 * time.Second}},
		"mp3 with its length":  {mp3(441), domain.FileFacts{Format: "mp3", ContentType: "audio/mpeg", Duration: 11520 * time.Millisecond}},
		"mp3 without":          {mp3(0), domain.FileFacts{Format: "mp3", ContentType: "audio/mpeg", Duration: time.Second}},
		"glb":                  {glb(mesh(300, 3600, 4), 3600), domain.FileFacts{Format: "glb", ContentType: "model/gltf-binary", Polygons: 100}},
		"glb that shows one mesh twice": {glb(strings.Replace(mesh(300, 3600, 4), "{", `{"nodes":[{"mesh":0},{},{"mesh":0}],`, 1), 3600),
			domain.FileFacts{Format: "glb", ContentType: "model/gltf-binary", Polygons: 200}},
		"glb of a strip": {glb(mesh(300, 3600, 5), 3600), domain.FileFacts{Format: "glb", ContentType: "model/gltf-binary", Polygons: 298}},
		"glb of lines":   {glb(mesh(300, 3600, 1), 3600), domain.FileFacts{Format: "glb", ContentType: "model/gltf-binary"}},
		"gltf":           {[]byte("\xef\xbb\xbf\n" + mesh(300, 3600, 4)), domain.FileFacts{Format: "gltf", ContentType: "model/gltf+json", Polygons: 100}},
		"obj": {[]byte("# a square\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n"),
			domain.FileFacts{Format: "obj", ContentType: "application/octet-stream", Polygons: 2}},
		"fbx": {[]byte("Kaydara FBX Binary  \x00\x1a\x00\x00"), domain.FileFacts{Format: "fbx", ContentType: "application/octet-stream"}},
		"zip": {archive(), domain.FileFacts{Format: "zip", ContentType: "application/zip"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := mediafile.Inspector{}.Inspect(t.Context(), bytes.NewReader(c.data))
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"nothing":                  nil,
		"a page":                   []byte("<!doctype html><script>alert(1)</script>"),
		"a drawing with scripts":   []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`),
		"text":                     []byte("Once upon a time"),
		"a program":                []byte("\x7fELF\x02\x01\x01"),
		"a png of nothing":         []byte("\x89PNG\r\n\x1a\n"),
		"a png that is a page":     []byte("\x89PNG\r\n\x1a\n<html>"),
		"a png without a size":     pngHeader(0, 10),
		"a jpg that ends":          []byte("\xff\xd8\xff\xe0\x00\x10JFIF"),
		"a wav without sound":      wav(0, 0)[:40],
		"a wav of endless parts":   append([]byte("RIFF\x00\x00\x00\x00WAVE"), bytes.Repeat([]byte("junk\x00\x00\x00\x00"), 5000)...),
		"a glb that is longer":     append(glb(mesh(3, 36, 4), 36), 0),
		"a glb that is cut":        glb(mesh(3, 36, 4), 36)[:60],
		"a glb that lies":          glb(mesh(2_000_000_000, 36, 4), 36),
		"a glb with too much":      glb(mesh(3, 1_000_000, 4), 36),
		"a glb of another version": append([]byte("glTF\x01\x00\x00\x00"), make([]byte, 20)...),
		"a glb with no accessor":   glb(`{"asset":{"version":"2.0"},"meshes":[{"primitives":[{"attributes":{"POSITION":7}}]}]}`, 0),
		"a glb with a huge view":   glb(`{"asset":{"version":"2.0"},"bufferViews":[{"byteLength":1e18}]}`, 0),
		"a glb of no such mesh":    glb(`{"asset":{"version":"2.0"},"nodes":[{"mesh":3}]}`, 0),
		"json":                     []byte(`{"a": 1}`),
		"an obj without corners":   []byte("o nothing\nf 1 2 3\n"),
		"an obj of one line":       []byte("v " + strings.Repeat("1", 1<<20)),
		"a zip that is cut":        archive()[:10],
		"an ogg of no codec":       append([]byte("OggS"), make([]byte, 600)...),
		"a flac that ends":         []byte("fLaC\x00"),
		"an mp3 of a tag alone":    []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if facts, err := (mediafile.Inspector{}).Inspect(t.Context(), bytes.NewReader(data)); domain.KindOf(err) != domain.BadRequest {
				t.Errorf("got %+v, %v", facts, err)
			}
		})
	}
}

// failing fails after so many bytes.
type failing struct {
	*bytes.Reader
	left int
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, f.err
	}
	n, err := f.Reader.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

func TestReadingThatFailsIsNoFaultOfTheFile(t *testing.T) {
	t.Parallel()
	for left := range 40 {
		f := &failing{bytes.NewReader(glb(mesh(3, 36, 4), 36)), left * 8, errors.New("the disk is gone")}
		if _, err := (mediafile.Inspector{}).Inspect(t.Context(), f); err != nil && domain.KindOf(err) != domain.Unavailable {
			t.Errorf("after %d bytes: %v", left*8, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (mediafile.Inspector{}).Inspect(ctx, bytes.NewReader(pngOf(1, 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("for someone who left: %v", err)
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	preview := func(data []byte) ([]byte, error) {
		return mediafile.Inspector{}.Preview(t.Context(), bytes.NewReader(data), 64, 64)
	}
	for _, c := range []struct{ w, h, wantW, wantH int }{{640, 320, 64, 32}, {10, 400, 1, 64}, {20, 10, 20, 10}, {1000, 1, 64, 1}} {
		data, err := preview(pngOf(c.w, c.h))
		if err != nil {
			t.Fatal(err)
		}
		config, err := png.DecodeConfig(bytes.NewReader(data))
		if err != nil || config.Width != c.wantW || config.Height != c.wantH {
			t.Errorf("of %d x %d: %d x %d, %v", c.w, c.h, config.Width, config.Height, err)
		}
	}
	for name, data := range map[string][]byte{"a sound": wav(10, 10), "a picture that is too large": pngHeader(60_000, 60_000)} {
		if got, err := preview(data); got != nil || err != nil {
			t.Errorf("of %s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := preview(pngOf(30, 30)[:80]); domain.KindOf(err) != domain.BadRequest {
		t.Errorf("of half a picture: %v", err)
	}
}

// TestInspectNeedsLittleMemory: what a file claims costs nothing.
func TestInspectNeedsLittleMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, data := range [][]byte{pngHeader(math.MaxInt32, 10), wav(10, math.MaxUint32), glb(mesh(2_000_000_000, 2_000_000_000, 4), 8), webp()} {
		_, _ = mediafile.Inspector{}.Inspect(t.Context(), bytes.NewReader(data))
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were used", used)
	}
}

// TestDocumentsThatRepeatThemselves: a mesh of many parts that is shown many times is counted once.
func TestDocumentsThatRepeatThemselves(t *testing.T) {
	t.Parallel()
	doc := `{"asset":{"version":"2.0"},"meshes":[{"primitives":[{}` + strings.Repeat(",{}", 200_000) + `]}],"nodes":[{"mesh":0}` +
		strings.Repeat(`,{"mesh":0}`, 200_000) + `]}`
	began := time.Now()
	if _, err := (mediafile.Inspector{}).Inspect(t.Context(), strings.NewReader(doc)); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 20*time.Second { // 40,000,000,000 parts would take an hour
		t.Errorf("it took %s", took)
	}
}

func FuzzInspect(f *testing.F) {
	for _, data := range [][]byte{pngOf(3, 3), webp(), wav(10, 10), flac(10), ogg(10), mp3(10), glb(mesh(3, 36, 4), 36), archive(), []byte("v 1 1 1\nf 1 1 1")} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := mediafile.Inspector{}.Inspect(t.Context(), bytes.NewReader(data))
		switch {
		case err != nil && domain.KindOf(err) != domain.BadRequest:
			t.Errorf("kind %v: %v", domain.KindOf(err), err)
		case err == nil && (facts.Format == "" || facts.Polygons < 0 || facts.Width < 0 || facts.Height < 0 || facts.Duration < 0):
			t.Errorf("got %+v", facts)
		}
		if _, err := (mediafile.Inspector{}).Preview(t.Context(), bytes.NewReader(data), 16, 16); err != nil && domain.KindOf(err) != domain.BadRequest {
			t.Errorf("preview: kind %v: %v", domain.KindOf(err), err)
		}
	})
}
