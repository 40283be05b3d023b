package mediafile_test

import (
	"bytes"
	"hash/crc32"
	"image/png"
	"strings"
	"testing"

	"gaia/adapters/mediafile"
	"gaia/domain"
)

func crc(data []byte) uint32 { return crc32.ChecksumIEEE(data) }

// fuzz lets a parser see files of its format, and mutations of them.
func fuzz(f *testing.F, formats ...string) {
	f.Helper()
	for _, format := range formats {
		f.Add(samples[format].data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := mediafile.Inspector{}.Inspect(t.Context(), bytes.NewReader(data))
		if err != nil {
			if domain.KindOf(err) != domain.BadRequest || strings.Contains(err.Error(), "panic") {
				t.Error(err)
			}
			return
		}
		if facts.Format == "" || facts.ContentType == "" || facts.Width < 0 || facts.Height < 0 || facts.Polygons < 0 || facts.Duration < 0 {
			t.Errorf("%+v", facts)
		}
		if strings.HasPrefix(facts.ContentType, "image/") && (facts.Width == 0 || facts.Height == 0) {
			t.Errorf("%+v", facts)
		}
	})
}

func FuzzPicture(f *testing.F) { fuzz(f, "png", "huge", "jpg", "gif", "webp") }
func FuzzSound(f *testing.F)   { fuzz(f, "wav", "stream", "flac", "vorbis", "opus", "mp3", "id3", "vbr") }
func FuzzModel(f *testing.F)   { fuzz(f, "glb", "gltf", "obj", "fbx") }
func FuzzArchive(f *testing.F) { fuzz(f, "zip", "text fbx") }

func FuzzPreview(f *testing.F) {
	for _, format := range []string{"png", "huge", "jpg", "gif", "webp"} {
		f.Add(samples[format].data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		preview, err := mediafile.Inspector{}.Preview(t.Context(), bytes.NewReader(data), 64, 64)
		if err != nil {
			if domain.KindOf(err) != domain.BadRequest || strings.Contains(err.Error(), "panic") {
				t.Error(err)
			}
			return
		}
		if preview == nil {
			return
		}
		size, err := png.DecodeConfig(bytes.NewReader(preview))
		if err != nil || size.Width > 64 || size.Height > 64 || size.Width < 1 || size.Height < 1 {
			t.Errorf("%+v, %v", size, err)
		}
	})
}
