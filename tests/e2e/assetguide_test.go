package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image/png"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"gaia/tests/gaiatest"
)

// TestClientGuide makes the calls that the old platform's guide gives its users, as they stand, and opens what they get.
func TestClientGuide(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		s := b.Start(t)
		c := s.Client()

		r := c.Get("/api/v1/assets/search?query=fantasy+sword").Want(http.StatusOK).JSON()
		if r.Number("total_count") != 0 || r.Number("query_time_ms") < 0 {
			t.Errorf("an empty catalogue: %v", r.Fields)
		}
		short := func() gaiatest.Response {
			return c.Post("/api/v1/assets/generate", `{"category": "prop", "style": "fantasy", "description": "A glowing magical sword with runes"}`)
		}
		answer := short()
		if answer.Status == http.StatusAccepted { // it took longer than such a request waits: clients come back
			id := answer.JSON().Text("asset_id")
			gaiatest.Eventually(t, patience, "the sword is made", func() bool {
				return c.Get("/api/v1/assets/"+id).Want(http.StatusOK).JSON().Text("status") == "completed"
			})
			answer = short()
		}
		made := answer.Want(http.StatusOK).JSON()
		model := openGLB(t, download(t, s, made.Text("asset_data", "download_url")))
		if model.triangles == 0 || made.Text("asset_id") == "" || made.Number("cost") != 0 {
			t.Errorf("%d triangles: %v", model.triangles, made.Fields)
		}
		full := c.Post("/api/v1/assets/generate", `{
			"category": "prop", "style": "fantasy", "description": "A glowing magical sword with runes",
			"requirements": {"platform": "mobile_vr", "quality": "medium", "polygon_count_max": 5000},
			"preferences": {"allow_generation": true, "max_cost": 0.5, "max_wait_time_ms": 30000}
		}`).Want(http.StatusOK).JSON()
		if model = openGLB(t, download(t, s, full.Text("asset_data", "download_url"))); model.triangles == 0 || model.triangles > 5000 {
			t.Errorf("%d triangles", model.triangles)
		}
		if full.Text("source") != "database" || full.Text("asset_id") != made.Text("asset_id") {
			t.Errorf("what is there already is made again: %v", full.Fields)
		}
		found := c.Get("/api/v1/assets/search?query=fantasy+sword").Want(http.StatusOK).JSON()
		if found.Number("total_count") != 1 || found.Text("assets", 0, "asset_id") != made.Text("asset_id") {
			t.Errorf("the sword is not found: %v", found.Fields)
		}
		shown := c.Get("/api/v1/assets/" + made.Text("asset_id")).Want(http.StatusOK).JSON()
		if shown.Text("status") != "completed" {
			t.Errorf("it is %s", shown.Text("status"))
		}
	})
}

// TestEveryCategory makes one of everything with the built-in generator, within the limits of the request.
func TestEveryCategory(t *testing.T) {
	t.Parallel()
	s := gaiatest.Embedded(t).Start(t)
	for _, c := range []struct {
		category, description, format string
		polygons, megabytes           int
	}{
		{"prop", "An old wooden treasure chest", "glb", 300, 1},
		{"character", "A knight in blue armour", "glb", 1500, 2},
		{"environment", "A foggy forest clearing", "glb", 4000, 4},
		{"animation", "A robot that walks", "glb", 2000, 2},
		{"texture", "Mossy stone wall", "png", 0, 2},
		{"image", "A castle at sunset", "png", 0, 2},
		{"audio", "Soft rain for 4 seconds", "wav", 0, 2},
	} {
		t.Run(c.category, func(t *testing.T) {
			t.Parallel()
			requirements := map[string]any{"platform": "mobile_vr", "quality": "low", "format": c.format, "file_size_max_mb": c.megabytes}
			if c.polygons > 0 {
				requirements["polygon_count_max"] = c.polygons
			}
			r := s.Client().Post("/api/v1/assets/generate", map[string]any{
				"category": c.category, "style": "low_poly", "description": c.description, "requirements": requirements, "seed": 7,
				"preferences": map[string]any{"allow_database": false, "allow_modifications": false, "max_wait_time_ms": 60_000},
			}).Want(http.StatusOK).JSON()
			if got := r.Text("asset_data", "file_format"); got != c.format {
				t.Fatalf("the format is %s", got)
			}
			data := download(t, s, r.Text("asset_data", "download_url"))
			if len(data) > c.megabytes<<20 {
				t.Errorf("%d bytes", len(data))
			}
			switch c.format {
			case "glb":
				if m := openGLB(t, data); m.triangles == 0 || m.triangles > c.polygons || c.category == "animation" && m.animations == 0 {
					t.Errorf("%+v", m)
				}
			case "png":
				if img, err := png.Decode(bytes.NewReader(data)); err != nil || img.Bounds().Dx() < 64 {
					t.Errorf("the picture: %v", err)
				}
			case "wav":
				if length := openWAV(t, data); length < 3*time.Second || length > 5*time.Second {
					t.Errorf("it takes %s", length)
				}
			}
			if preview := r.Text("asset_data", "preview_image_url"); preview == "" {
				t.Error("there is no preview")
			} else if _, err := png.Decode(bytes.NewReader(download(t, s, preview))); err != nil {
				t.Errorf("the preview: %v", err)
			}
		})
	}
}

// download fetches a link as a client would that has nothing but the link.
func download(t *testing.T, s *gaiatest.Server, link string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %.200s", link, resp.StatusCode, err, data)
	}
	return data
}

// opened is what a viewer finds in a model.
type opened struct{ triangles, animations int }

// openGLB reads binary glTF 2.0 with no help of Gaia's own code.
func openGLB(t *testing.T, data []byte) opened {
	t.Helper()
	if len(data) < 20 || string(data[:4]) != "glTF" || binary.LittleEndian.Uint32(data[4:]) != 2 || int(binary.LittleEndian.Uint32(data[8:])) != len(data) {
		t.Fatalf("no binary glTF: % x", data[:min(len(data), 20)])
	}
	size := int(binary.LittleEndian.Uint32(data[12:]))
	if string(data[16:20]) != "JSON" || 20+size > len(data) {
		t.Fatal("its first chunk is no JSON")
	}
	var doc struct {
		Meshes []struct {
			Primitives []struct {
				Attributes map[string]int
				Indices    *int
				Mode       *int
			}
		}
		Accessors  []struct{ Count int }
		Animations []any
	}
	if err := json.Unmarshal(data[20:20+size], &doc); err != nil {
		t.Fatal(err)
	}
	o := opened{animations: len(doc.Animations)}
	for _, m := range doc.Meshes {
		for _, p := range m.Primitives {
			if p.Mode != nil && *p.Mode != 4 {
				t.Fatalf("mode %d", *p.Mode)
			}
			of := p.Attributes["POSITION"]
			if p.Indices != nil {
				of = *p.Indices
			}
			o.triangles += doc.Accessors[of].Count / 3
		}
	}
	return o
}

// openWAV tells how long 16-bit PCM sounds, and that it can be heard.
func openWAV(t *testing.T, data []byte) time.Duration {
	t.Helper()
	if len(data) < 44 || string(data[:4]) != "RIFF" || string(data[8:16]) != "WAVEfmt " || binary.LittleEndian.Uint16(data[20:]) != 1 ||
		binary.LittleEndian.Uint16(data[34:]) != 16 || string(data[36:40]) != "data" {
		t.Fatalf("no WAV: % x", data[:min(len(data), 44)])
	}
	loudest := 0.0
	for i := 44; i+1 < len(data); i += 2 {
		loudest = max(loudest, math.Abs(float64(int16(binary.LittleEndian.Uint16(data[i:]))))) //nolint:gosec // a sample has a sign
	}
	if loudest < 1000 {
		t.Errorf("the loudest sample is %v", loudest)
	}
	return time.Duration(float64(len(data)-44) / float64(binary.LittleEndian.Uint32(data[28:])) * float64(time.Second))
}
