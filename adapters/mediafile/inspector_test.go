package mediafile_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"gaia/adapters/mediafile"
	"gaia/domain"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func painted(width, height int) image.Image {
	p := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range p.Pix {
		p.Pix[i] = byte(i * 7 / 4)
	}
	for x := range width {
		p.Set(x, 0, color.NRGBA{R: 255, A: 255})
	}
	return p
}

func encoded(encode func(io.Writer, image.Image) error, width, height int) []byte {
	var b bytes.Buffer
	if err := encode(&b, painted(width, height)); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func pngFile(width, height int) []byte { return encoded(png.Encode, width, height) }

// pngHead is a PNG that says it is so large, and has no pixels.
func pngHead(width, height uint32) []byte {
	data := pngFile(1, 1)
	binary.BigEndian.PutUint32(data[16:], width)
	binary.BigEndian.PutUint32(data[20:], height)
	binary.BigEndian.PutUint32(data[29:], crc(data[12:29]))
	return data
}

// jpgHead is a JPEG that says it is so large, and has no pixels.
func jpgHead(before string, width, height uint16) []byte {
	b := binary.BigEndian.AppendUint16([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"+before+"\x00\x11\x08"), height)
	return append(binary.BigEndian.AppendUint16(b, width), "\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00\xff\xd9"...)
}

// webpFile has one pixel.
func webpFile() []byte {
	return must(base64.StdEncoding.DecodeString("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"))
}

func le32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }

// wavFile has so many bytes of samples, 16 bits in two channels at 8 kHz, and says what it likes about them.
func wavFile(samples int, says uint32) []byte {
	format := "\x01\x00\x02\x00" + le32(8000) + le32(32000) + "\x04\x00\x10\x00"
	return []byte("RIFF" + le32(uint32(36+samples)) + "WAVEfmt " + le32(16) + format + "LIST" + le32(3) + "abc\x00" + "data" + le32(says) +
		strings.Repeat("s", samples))
}

func flacFile(rate, samples uint64) []byte {
	info := make([]byte, 34)
	binary.BigEndian.PutUint64(info[10:], rate<<44|1<<41|15<<36|samples)
	return []byte("fLaC\x80\x00\x00\x22" + string(info))
}

func oggFile(packet string, granule uint64) []byte {
	page := func(granule uint64, data string) string {
		return "OggS\x00\x02" + string(binary.LittleEndian.AppendUint64(nil, granule)) + strings.Repeat("\x00", 12) + "\x01" +
			string(rune(len(data))) + data
	}
	return []byte(page(0, packet) + page(granule, "sound"))
}

func vorbis(rate uint32) string {
	return "\x01vorbis" + le32(0) + "\x02" + le32(rate) + strings.Repeat("\x00", 14)
}

// mp3File has so many frames of 128 kbit/s at 44.1 kHz.
func mp3File(tag string, frames int, xing uint32) []byte {
	frame := "\xff\xfb\x90\x00" + strings.Repeat("\x00", 413)
	first := frame
	if xing > 0 {
		first = frame[:36] + "Xing\x00\x00\x00\x01" + string(binary.BigEndian.AppendUint32(nil, xing)) + frame[48:]
	}
	return []byte(tag + first + strings.Repeat(frame, frames-1))
}

const triangleScene = `{"asset":{"version":"2.0"},"buffers":[{"byteLength":%d}],"bufferViews":[{"buffer":0,"byteLength":%[1]d}],
"accessors":[{"bufferView":0,"componentType":5126,"count":%d,"type":"VEC3","max":[1,1,1]},{"componentType":5126,"count":2,"type":"SCALAR","max":[2.5]}],
"meshes":[{"primitives":[{"attributes":{"POSITION":0}},{"attributes":{"POSITION":0},"mode":5},{"attributes":{"POSITION":0},"mode":1}]}],
"animations":[{"samplers":[{"input":1}]}]}`

func glbFile(description string, data int) []byte {
	description += strings.Repeat(" ", (4-len(description)%4)%4)
	size := 12 + 8 + len(description) + 8 + data
	return []byte("glTF" + le32(2) + le32(uint32(size)) + le32(uint32(len(description))) + "JSON" + description + le32(uint32(data)) + "BIN\x00" +
		strings.Repeat("\x00", data))
}

var scene = fmt.Sprintf(triangleScene, 36*9, 27)

const objFile = "# a quad and two triangles\no thing\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\nf 1 2 \\\n3\nf 1//1 2//1 3//1\n"

// samples are good files, and what is known about them.
var samples = map[string]struct {
	data  []byte
	facts domain.FileFacts
}{
	"png":       {pngFile(40, 30), domain.FileFacts{Format: "png", ContentType: "image/png", Width: 40, Height: 30}},
	"huge":      {pngHead(60_000, 60_000), domain.FileFacts{Format: "png", ContentType: "image/png", Width: 60_000, Height: 60_000}},
	"jpg":       {encoded(func(w io.Writer, p image.Image) error { return jpeg.Encode(w, p, nil) }, 20, 10), domain.FileFacts{Format: "jpg", ContentType: "image/jpeg", Width: 20, Height: 10}},
	"gif":       {encoded(func(w io.Writer, p image.Image) error { return gif.Encode(w, p, nil) }, 20, 10), domain.FileFacts{Format: "gif", ContentType: "image/gif", Width: 20, Height: 10}},
	"webp":      {webpFile(), domain.FileFacts{Format: "webp", ContentType: "image/webp", Width: 1, Height: 1}},
	"wav":       {wavFile(16_000, 16_000), domain.FileFacts{Format: "wav", ContentType: "audio/wav", Duration: time.Second / 2}},
	"stream":    {wavFile(64_000, 0xffffffff), domain.FileFacts{Format: "wav", ContentType: "audio/wav", Duration: 2 * time.Second}},
	"flac":      {flacFile(44_100, 88_200), domain.FileFacts{Format: "flac", ContentType: "audio/flac", Duration: 2 * time.Second}},
	"vorbis":    {oggFile(vorbis(44_100), 44_100*3), domain.FileFacts{Format: "ogg", ContentType: "audio/ogg", Duration: 3 * time.Second}},
	"opus":      {oggFile("OpusHead\x01\x02\xc0\x5d"+le32(48_000)+"\x00\x00\x00", 48_000+24_000), domain.FileFacts{Format: "ogg", ContentType: "audio/ogg", Duration: time.Second}},
	"mp3":       {mp3File("", 40, 0), domain.FileFacts{Format: "mp3", ContentType: "audio/mpeg", Duration: 1042500 * time.Microsecond}},
	"id3":       {mp3File("ID3\x04\x00\x00\x00\x00\x00\x14"+strings.Repeat("t", 20), 40, 0), domain.FileFacts{Format: "mp3", ContentType: "audio/mpeg", Duration: 1042500 * time.Microsecond}},
	"vbr":       {mp3File("", 40, 441), domain.FileFacts{Format: "mp3", ContentType: "audio/mpeg", Duration: 11520 * time.Millisecond}},
	"glb":       {glbFile(scene, 36*9), domain.FileFacts{Format: "glb", ContentType: "model/gltf-binary", Polygons: 9 + 25, Duration: 2500 * time.Millisecond}},
	"gltf":      {[]byte(scene), domain.FileFacts{Format: "gltf", ContentType: "model/gltf+json", Polygons: 9 + 25, Duration: 2500 * time.Millisecond}},
	"twice":     {glbFile(strings.Replace(scene, "{", `{"nodes":[{"mesh":0},{},{"mesh":0}],`, 1), 36*9), domain.FileFacts{Format: "glb", ContentType: "model/gltf-binary", Polygons: 2 * (9 + 25), Duration: 2500 * time.Millisecond}},
	"marked":    {[]byte("\xef\xbb\xbf\n" + scene), domain.FileFacts{Format: "gltf", ContentType: "model/gltf+json", Polygons: 9 + 25, Duration: 2500 * time.Millisecond}},
	"obj":       {[]byte(objFile), domain.FileFacts{Format: "obj", ContentType: "application/octet-stream", Polygons: 4}},
	"fbx":       {[]byte("Kaydara FBX Binary  \x00\x1a\x00" + le32(7400) + "more"), domain.FileFacts{Format: "fbx", ContentType: "application/octet-stream"}},
	"text fbx":  {[]byte("; FBX 7.3.0 project file\n"), domain.FileFacts{Format: "fbx", ContentType: "application/octet-stream"}},
	"empty zip": {[]byte("PK\x05\x06" + strings.Repeat("\x00", 18)), domain.FileFacts{Format: "zip", ContentType: "application/zip"}},
	"zip":       {[]byte("PK\x03\x04xxxxPK\x05\x06" + strings.Repeat("\x00", 18)), domain.FileFacts{Format: "zip", ContentType: "application/zip"}},
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for name, c := range samples {
		got, err := mediafile.Inspector{}.Inspect(t.Context(), bytes.NewReader(c.data))
		got.Duration = got.Duration.Round(100 * time.Microsecond)
		if err != nil || got != c.facts {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, c.facts)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"nothing":                     nil,
		"one byte":                    {0},
		"html":                        []byte("<!DOCTYPE html><script>alert(1)</script>"),
		"svg":                         []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`),
		"text":                        []byte("v is the first word\nbut the rest is a story"),
		"json":                        []byte(`{"a": 1}`),
		"a list":                      []byte(" [1, 2]"),
		"a program":                   []byte("\x7fELF\x02\x01\x01"),
		"fbx and a program":           []byte("; FBX \x00\x01"),
		"wav of endless parts":        append([]byte("RIFF\x00\x00\x00\x00WAVE"), bytes.Repeat([]byte("junk\x00\x00\x00\x00"), 20_000)...),
		"obj without corners":         []byte("o nothing\nf 1 2 3\n"),
		"obj with nulls":              []byte(objFile + strings.Repeat("# more\n", 100) + "v \x00\n"),
		"obj without faces":           []byte("v 0 0 0\nv 1 1 1\n"),
		"obj and a page":              []byte(objFile + "<script>alert(1)</script>\n"),
		"obj with an endless line":    []byte("v 0 0 0 " + strings.Repeat("1", 1<<17)),
		"broken json":                 []byte(`{"asset":`),
		"png without a head":          []byte("\x89PNG\r\n\x1a\n<html>"),
		"png of no size":              pngHead(0, 10),
		"png of a negative size":      pngHead(1<<31, 10),
		"cut jpg":                     samples["jpg"].data[:30],
		"cut gif":                     samples["gif"].data[:9],
		"cut webp":                    webpFile()[:16],
		"wav that ends early":         wavFile(100, 200),
		"wav without samples":         wavFile(100, 100)[:30],
		"wav without a rate":          bytes.Replace(wavFile(100, 100), []byte(le32(32000)), []byte(le32(0)), 1),
		"flac without a rate":         flacFile(0, 10),
		"cut flac":                    flacFile(44_100, 1)[:20],
		"ogg of something else":       oggFile("\x80theora-is-a-picture-that-moves", 10),
		"ogg that sounds for ever":    oggFile(vorbis(1), 1<<62),
		"cut ogg":                     oggFile(vorbis(44_100), 1)[:20],
		"tags longer than the file":   []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"),
		"one mp3 frame and noise":     []byte(string(mp3File("", 1, 0)) + strings.Repeat("noise", 100)),
		"glb of another length":       append(glbFile(scene, 36*9), 0),
		"glb of version 1":            bytes.Replace(glbFile(scene, 36*9), []byte(le32(2)), []byte(le32(1)), 1),
		"glb without its data":        glbFile(scene, 36),
		"glb with a huge count":       glbFile(fmt.Sprintf(triangleScene, 36*9, 1<<30), 36*9),
		"glb with a negative count":   glbFile(fmt.Sprintf(triangleScene, 36*9, -1), 36*9),
		"glb whose sums overflow":     glbFile(strings.Replace(scene, `"count":27`, `"byteOffset":9223372036854775800,"count":27`, 1), 36*9),
		"glb with a view of nothing":  glbFile(strings.Replace(scene, `"bufferView":0`, `"bufferView":7`, 1), 36*9),
		"glb with unknown triangles":  glbFile(strings.Replace(scene, `"POSITION":0`, `"POSITION":-1`, 1), 36*9),
		"glb with millions of lists":  glbFile(`{"asset":{"version":"2.0"},"accessors":[`+strings.Repeat("{},", 1<<20)+"{}]}", 0),
		"glb that animates for years": glbFile(strings.Replace(scene, "[2.5]", "[1e300]", 1), 36*9),
		"glb that shows what is not":  glbFile(`{"asset":{"version":"2.0"},"nodes":[{"mesh":3}]}`, 0),
		"gltf of version 1":           []byte(`{"asset":{"version":"1.0"}}`),
		"gltf with too many triangles": []byte(`{"asset":{"version":"2.0"},"nodes":[` + strings.Repeat(`{"mesh":0},`, 10) + `{"mesh":0}],` +
			`"meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],"accessors":[{"componentType":5126,"count":2000000000,"type":"VEC3"}]}`),
		"fbx of version 0":             []byte("Kaydara FBX Binary  \x00\x1a\x00" + le32(0)),
		"zip without a directory":      []byte("PK\x03\x04xxxx"),
		"zip with a directory outside": []byte("PK\x03\x04PK\x05\x06" + strings.Repeat("\x00", 8) + le32(1000) + le32(1000) + "\x00\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if facts, err := (mediafile.Inspector{}).Inspect(t.Context(), bytes.NewReader(data)); domain.KindOf(err) != domain.BadRequest {
				t.Errorf("%+v, %v", facts, err)
			}
		})
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data          []byte
		width, height int
	}{
		"small": {pngFile(40, 30), 40, 30},
		"wide":  {pngFile(2000, 100), 512, 25},
		"tall":  {pngFile(3, 3000), 1, 512},
		"jpg":   {samples["jpg"].data, 20, 10},
		"gif":   {samples["gif"].data, 20, 10},
		"webp":  {webpFile(), 1, 1},
	} {
		preview, err := mediafile.Inspector{}.Preview(t.Context(), bytes.NewReader(c.data), 512, 512)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p, err := png.Decode(bytes.NewReader(preview)); err != nil || p.Bounds().Dx() != c.width || p.Bounds().Dy() != c.height {
			t.Errorf("%s: %v, %v", name, p.Bounds(), err)
		}
	}
	animated := []byte("RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x09\x00\x00\x09\x00\x00ANIM\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for name, data := range map[string][]byte{
		"no picture": samples["glb"].data, "a huge picture": pngHead(60_000, 60_000), "animated": animated,
		"a huge jpg": jpgHead("\xff\xc0", 8000, 6200), "a progressive jpg": jpgHead("\xff\xc2", 4000, 3000),
		"a jpg with something unusual": jpgHead("\xff\xff\xc0", 4000, 3000),
	} {
		if preview, err := (mediafile.Inspector{}).Preview(t.Context(), bytes.NewReader(data), 512, 512); preview != nil || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(preview), err)
		}
	}
	cut := pngFile(400, 300)
	for name, data := range map[string][]byte{
		"cut": cut[:len(cut)/2], "only a head": pngHead(4000, 4000), "a jpg": jpgHead("\xff\xfe\x00\x04xx\xff\xc0", 4000, 3000),
		"a small progressive jpg": jpgHead("\xff\xc2", 3840, 2160),
	} {
		if preview, err := (mediafile.Inspector{}).Preview(t.Context(), bytes.NewReader(data), 512, 512); domain.KindOf(err) != domain.BadRequest || preview != nil {
			t.Errorf("%s: %d bytes, %v", name, len(preview), err)
		}
	}
}

// What a file says about itself costs no memory.
func TestBombsNeedNoMemory(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	for name, data := range map[string][]byte{
		"png": pngHead(60_000, 60_000), "wav": wavFile(10, 0xfffffff0), "glb": glbFile(fmt.Sprintf(triangleScene, 36, 1<<30), 36),
		"figures": glbFile(`{"asset":{"version":"2.0"},"accessors":[{"max":[`+strings.Repeat("0,", 1<<20)+"0]}]}", 0),
		"lists":   glbFile(`{"asset":{"version":"2.0"},"accessors":[`+strings.Repeat("{},", 1<<20)+"{}]}", 0),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = mediafile.Inspector{}.Inspect(t.Context(), bytes.NewReader(data))
		_, _ = mediafile.Inspector{}.Preview(t.Context(), bytes.NewReader(data), 512, 512)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 {
			t.Errorf("%s: %d MB", name, used>>20)
		}
	}
}

// A mesh of many parts that is shown many times is counted once.
func TestScenesThatRepeatThemselves(t *testing.T) {
	t.Parallel()
	repeated := `{"asset":{"version":"2.0"},"meshes":[{"primitives":[{}` + strings.Repeat(",{}", 90_000) + `]}],"nodes":[{"mesh":0}` +
		strings.Repeat(`,{"mesh":0}`, 90_000) + `]}`
	began := time.Now()
	if _, err := (mediafile.Inspector{}).Inspect(t.Context(), strings.NewReader(repeated)); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 20*time.Second { // 8,000,000,000 parts would take minutes
		t.Errorf("it took %s", took)
	}
}

var errStorage = domain.MissingPart("The asset storage is not available", nil)

// failing fails after some bytes.
type failing struct {
	*bytes.Reader

	left int
}

func (f *failing) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, errStorage
	}
	n, err := f.Reader.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// A storage that fails is no broken file.
func TestStorageFails(t *testing.T) {
	t.Parallel()
	for name, c := range samples {
		for _, left := range []int{0, 10} {
			if _, err := (mediafile.Inspector{}).Inspect(t.Context(), &failing{bytes.NewReader(c.data), left}); !errors.Is(err, errStorage) && len(c.data) > left {
				t.Errorf("%s after %d bytes: %v", name, left, err)
			}
		}
	}
	if _, err := (mediafile.Inspector{}).Preview(t.Context(), &failing{bytes.NewReader(pngFile(300, 300)), 5000}, 512, 512); !errors.Is(err, errStorage) {
		t.Errorf("preview: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (mediafile.Inspector{}).Inspect(ctx, bytes.NewReader(pngFile(1, 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
}

// What a storage says that is not made for clients stays inside.
func TestStorageFailsInItsOwnWords(t *testing.T) {
	t.Parallel()
	for _, left := range []int{0, 10, 100} {
		f := &failingOddly{failing{bytes.NewReader(pngFile(300, 300)), left}}
		if _, err := (mediafile.Inspector{}).Preview(t.Context(), f, 64, 64); domain.KindOf(err) != domain.Unavailable {
			t.Errorf("after %d bytes: %v", left, err)
		}
	}
}

type failingOddly struct{ failing }

func (f *failingOddly) Read(p []byte) (int, error) {
	n, err := f.failing.Read(p)
	if errors.Is(err, errStorage) {
		err = errors.New("the disk is gone")
	}
	return n, err
}
