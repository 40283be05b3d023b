package procedural

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/png"
	"math"
	"strings"
	"testing"

	"gaia/domain"
)

// vocabulary is what random descriptions are made of: words that mean something, and some that do not.
var vocabulary = strings.Fields("sword axe shield potion chest barrel tree pine rock crystal table throne house tower castle car ship spaceship key ring crown skull " +
	"golden wooden rusty glowing red blue huge tiny long fat ornate simple old broken with of knight wizard robot orc zombie forest desert city dungeon moon island " +
	"rain laser bell coin wind walking spinning loop 3 seconds brick lava grass marble quux blorb été 剣 🗡")

func describe(r *random) string {
	words := make([]string, 1+r.below(6))
	for i := range words {
		words[i] = pick(r, vocabulary...)
	}
	return strings.Join(words, " ")
}

func TestModelsObeyTheirLimits(t *testing.T) {
	t.Parallel()
	styles := []string{"realistic", "low_poly", "fantasy", "sci-fi", "cartoon"}
	r := &random{2026}
	const requests = 120
	for range requests {
		w := wishFor(domain.AssetProp, pick(r, styles...), describe(r), int64(r.below(1<<30)))
		l := limits{polygons: 12 + r.below(900), format: pick(r, "glb", "glb", "gltf")}
		if r.chance(0.3) {
			l.bytes = int64(3000 + r.below(40000))
		}
		sculpt := func(level int) *sculptor { return w.sculptProp(w.archetype(), level) }
		switch r.below(8) {
		case 0:
			sculpt = func(level int) *sculptor { return w.sculptFigure(w.calling(), level) }
		case 1:
			sculpt = func(level int) *sculptor { return w.sculptLand(w.biome(), level, l.polygons) }
		}
		m, err := l.fit(t.Context(), sculpt)
		if err != nil {
			if l.bytes > 0 && l.bytes < 20000 && domain.KindOf(err) == domain.BadRequest {
				continue // the skeleton of a figure takes some thousand bytes
			}
			t.Fatalf("%q %+v: %v", w.all, l, err)
		}
		n := m.model.polygons()
		if n < 1 || n > l.polygons || l.bytes > 0 && int64(len(m.data)) > l.bytes {
			t.Fatalf("%q %+v: %d polygons, %d bytes", w.all, l, n, len(m.data))
		}
		if l.format == "glb" {
			checkGLB(t, m.data, n)
		}
		if back, err := readModel(m.data); err != nil || back.polygons() != n {
			t.Fatalf("%q: read back: %v", w.all, err)
		}
	}
}

// checkGLB reads the container and the bounds on its own.
func checkGLB(t *testing.T, data []byte, polygons int) {
	t.Helper()
	u32 := binary.LittleEndian.Uint32
	if len(data) < 28 || string(data[:4]) != "glTF" || u32(data[4:]) != 2 || int(u32(data[8:])) != len(data) || string(data[16:20]) != "JSON" {
		t.Fatal("not a GLB")
	}
	size := int(u32(data[12:]))
	var doc struct {
		Meshes []struct {
			Primitives []struct {
				Attributes map[string]int
				Indices    int
			}
		}
		Accessors []struct {
			BufferView, ComponentType, Count int
			Min, Max                         []float32
		}
		BufferViews []struct{ ByteOffset, ByteLength int }
	}
	if err := json.Unmarshal(data[20:20+size], &doc); err != nil {
		t.Fatal(err)
	}
	bin := data[20+size+8:]
	if int(u32(data[20+size:])) != len(bin) || size%4 != 0 || len(bin)%4 != 0 {
		t.Fatal("chunks of wrong length")
	}
	triangles := 0
	for _, m := range doc.Meshes {
		for _, p := range m.Primitives {
			triangles += doc.Accessors[p.Indices].Count / 3
			a := doc.Accessors[p.Attributes["POSITION"]]
			v := doc.BufferViews[a.BufferView]
			low, high := [3]float32{9e9, 9e9, 9e9}, [3]float32{-9e9, -9e9, -9e9}
			for i := range a.Count * 3 {
				x := math.Float32frombits(u32(bin[v.ByteOffset+4*i:]))
				low[i%3], high[i%3] = min(low[i%3], x), max(high[i%3], x)
			}
			if [3]float32(a.Min) != low || [3]float32(a.Max) != high {
				t.Fatalf("bounds %v %v, are %v %v", a.Min, a.Max, low, high)
			}
		}
	}
	if triangles != polygons {
		t.Fatalf("%d triangles, said to be %d", triangles, polygons)
	}
}

func TestPartsAreNotInsideOut(t *testing.T) {
	t.Parallel()
	for word, kind := range archetypes {
		if !strings.HasPrefix(word, kind.name) {
			continue // one word for each
		}
		s := wishFor(domain.AssetProp, "realistic", word, 3).sculptProp(kind, 4)
		volumes := map[int]float64{}
		for _, f := range s.bones[0].faces {
			volumes[f.part] += f.a.dot(f.b.cross(f.c))
		}
		for part, v := range volumes {
			if v < -1e-7 {
				t.Errorf("%s: part %d has its inside outside (%g)", word, part, v)
			}
		}
	}
}

func TestPicturesObeyTheirLimits(t *testing.T) {
	t.Parallel()
	r := &random{7}
	for range 25 {
		request := domain.AssetRequest{
			Category: domain.AssetTexture, Description: describe(r), Quality: domain.AssetLow, MaxBytes: int64(1500 + r.below(9000)),
		}
		format := pick(r, "png", "jpg")
		w := understand(request, int64(r.below(1<<30)))
		files, err := w.texture(t.Context(), domain.GenerationOrder{Request: request}, format)
		if err != nil {
			t.Fatalf("%+v: %v", request, err)
		}
		got, kind, err := image.Decode(bytes.NewReader(files[0].Data))
		if err != nil || int64(len(files[0].Data)) > request.MaxBytes || got.Bounds().Dx() != files[0].Attributes["width"] {
			t.Fatalf("%+v: %s, %d bytes: %v", request, kind, len(files[0].Data), err)
		}
	}
}

func TestTexturesContinueAtTheirEdges(t *testing.T) {
	t.Parallel()
	kinds := map[string]weave{"pattern": {"pattern", 1, pattern}}
	for _, k := range weaves {
		kinds[k.name] = k
	}
	for name, kind := range kinds {
		for seed := range int64(1) {
			w := wishFor(domain.AssetTexture, "realistic", name, seed)
			const side = 64
			p, err := kind.paint(t.Context(), side, kind.build(w, w.random.fork("surface")))
			if err != nil {
				t.Fatal(err)
			}
			for _, across := range []bool{true, false} {
				most := 0
				for i := range side - 1 {
					most = max(most, step(p, i, i+1, across))
				}
				if edge := step(p, side-1, 0, across); edge > most*5/4 {
					t.Errorf("%s, seed %d, across %t: %d at the edge, %d inside", name, seed, across, edge, most)
				}
			}
		}
	}
}

// step is how much two columns differ, or two rows.
func step(p *image.NRGBA, i, j int, across bool) int {
	sum, side := 0, p.Bounds().Dx()
	for k := range side {
		a, b := p.NRGBAAt(i, k), p.NRGBAAt(j, k)
		if !across {
			a, b = p.NRGBAAt(k, i), p.NRGBAAt(k, j)
		}
		for _, d := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
			sum += max(d, -d)
		}
	}
	return sum
}

func TestSoundsAreClean(t *testing.T) {
	t.Parallel()
	kinds := map[string]tune{}
	for _, k := range tunes {
		kinds[k.name] = k
	}
	for name, kind := range kinds {
		w := wishFor(domain.AssetAudio, "x", name, 1)
		for _, loop := range []bool{false, true} {
			samples, rate := readWAV(t, w.record(t.Context(), kind, halfRate, 1, loop).wav())
			if rate != halfRate || len(samples) != halfRate {
				t.Fatalf("%s: %d samples at %d", name, len(samples), rate)
			}
			loudest, jump := 0, 0
			for i, x := range samples {
				loudest = max(loudest, abs16(x))
				if i > 0 {
					jump = max(jump, abs16(x-samples[i-1]))
				}
			}
			if loudest < 12000 || loudest > 30000 {
				t.Errorf("%s: the loudest is %d", name, loudest)
			}
			if !loop && (abs16(samples[0]) > 50 || abs16(samples[len(samples)-1]) > 50) {
				t.Errorf("%s: begins with %d, ends with %d", name, samples[0], samples[len(samples)-1])
			}
			if loop && abs16(samples[0]-samples[len(samples)-1]) > jump {
				t.Errorf("%s: jumps from %d to %d where it begins again", name, samples[len(samples)-1], samples[0])
			}
		}
	}
}

func abs16(x int) int { return max(x, -x) }

func readWAV(t *testing.T, b []byte) (samples []int, rate int) {
	t.Helper()
	u32, u16 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint16
	if string(b[:4]) != "RIFF" || int(u32(b[4:])) != len(b)-8 || string(b[8:16]) != "WAVEfmt " || u16(b[20:]) != 1 || u16(b[22:]) != 1 ||
		u16(b[34:]) != 16 || string(b[36:40]) != "data" || int(u32(b[40:])) != len(b)-44 || u32(b[28:]) != 2*u32(b[24:]) {
		t.Fatal("not a WAV file")
	}
	for i := 44; i+1 < len(b); i += 2 {
		samples = append(samples, int(int16(u16(b[i:]))))
	}
	return samples, int(u32(b[24:]))
}

func TestDescriptionsMakeADifference(t *testing.T) {
	t.Parallel()
	models := map[string]string{}
	for _, text := range strings.Split("sword|a sword|long sword|golden sword|glowing sword|blue sword|broken sword|katana|axe|something|another thing|third thing", "|") {
		w := wishFor(domain.AssetProp, "realistic", text, 1)
		m, err := limits{polygons: 600, format: "glb"}.fit(t.Context(), func(level int) *sculptor { return w.sculptProp(w.archetype(), level) })
		if err != nil {
			t.Fatal(err)
		}
		for other, data := range models {
			if data == string(m.data) {
				t.Errorf("%q and %q are the same", text, other)
			}
		}
		models[text] = string(m.data)
	}
	texts := strings.Split("wooden floor|dark wooden floor|red bricks|grass|blorb|quux|blue marble|white marble", "|")
	var pictures []*image.NRGBA
	for _, text := range texts {
		w := wishFor(domain.AssetTexture, "realistic", text, 1)
		kind := w.weave()
		p, err := kind.paint(t.Context(), 32, kind.build(w, w.random.fork("surface")))
		if err != nil {
			t.Fatal(err)
		}
		for i, other := range pictures {
			far := 0
			for k := range p.Pix {
				d := int(p.Pix[k]) - int(other.Pix[k])
				far += max(d, -d)
			}
			if mean := far / len(p.Pix); mean < 6 {
				t.Errorf("%q and %q differ by %d", text, texts[i], mean)
			}
		}
		pictures = append(pictures, p)
	}
}

func TestAdapting(t *testing.T) {
	t.Parallel()
	w := wishFor(domain.AssetProp, "realistic", "castle", 1)
	base, err := limits{polygons: 5000, format: "glb"}.fit(t.Context(), func(level int) *sculptor { return w.sculptProp(w.archetype(), level) })
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{5000, 1500, 300, 60} {
		request := domain.AssetRequest{Category: domain.AssetProp, Description: "red", MaxPolygons: most}
		files, err := understand(request, 1).adapt(t.Context(), domain.GenerationOrder{Request: request, Base: &domain.BaseFile{Data: base.data}}, "glb")
		if err != nil {
			t.Fatal(most, err)
		}
		n, ok := files[0].Attributes["polygon_count"].(int)
		if !ok || n > most || n < most/6 {
			t.Errorf("%d polygons of %d", n, most)
		}
		checkGLB(t, files[0].Data, n)
	}
	picture := image.NewNRGBA(image.Rect(0, 0, 700, 350))
	for i := range picture.Pix {
		picture.Pix[i] = uint8(i * 7)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	for format, most := range map[string]int64{"png": 40000, "jpg": 5000} {
		request := domain.AssetRequest{Category: domain.AssetImage, Description: "green", Quality: domain.AssetMedium, MaxBytes: most}
		files, err := understand(request, 1).adapt(t.Context(), domain.GenerationOrder{Request: request, Base: &domain.BaseFile{Data: b.Bytes()}}, format)
		if err != nil {
			t.Fatal(err)
		}
		got, kind, err := image.Decode(bytes.NewReader(files[0].Data))
		if err != nil || int64(len(files[0].Data)) > most || got.Bounds().Dx() < 15 || got.Bounds().Dx() != 2*got.Bounds().Dy() {
			t.Errorf("%s: %v, %d bytes: %v", kind, got.Bounds(), len(files[0].Data), err)
		}
	}
}

// TestNobodyWaitsForSounds: no tune goes on for long when nobody wants it any more.
func TestNobodyWaitsForSounds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, kind := range tunes {
		w := wishFor(domain.AssetAudio, "x", kind.name, 1)
		for i, x := range w.record(ctx, kind, halfRate, 3, false).samples {
			if x != 0 {
				t.Errorf("%s was recorded at %d", kind.name, i)
				break
			}
		}
	}
}

func FuzzDescriptions(f *testing.F) {
	for _, text := range []string{"", "a sword", "\xff\x00", strings.Repeat("sword with ", 500), "剣 🗡️ épée", "9e999 seconds -3 s", "with with with", ", , ,"} {
		f.Add(text, "fantasy", int64(1))
	}
	f.Fuzz(func(t *testing.T, text, style string, seed int64) {
		w := wishFor(domain.AssetProp, style, text, seed)
		l := limits{polygons: 200, format: "glb"}
		if _, err := l.fit(t.Context(), func(level int) *sculptor { return w.sculptProp(w.archetype(), level) }); err != nil {
			t.Error(err)
		}
		if _, err := l.fit(t.Context(), func(level int) *sculptor { return w.sculptFigure(w.calling(), level) }); err != nil {
			t.Error(err)
		}
		kind := w.weave()
		if _, err := kind.paint(t.Context(), 8, kind.build(w, w.random.fork("surface"))); err != nil {
			t.Error(err)
		}
		if long := w.duration(3); !(long >= shortest && long <= longest) {
			t.Errorf("%v seconds", long)
		}
		w.record(t.Context(), w.tune(), quarterRate, shortest, seed%2 == 0)
	})
}

func FuzzReadModel(f *testing.F) {
	w := wishFor(domain.AssetProp, "x", "key", 1)
	for _, format := range []string{"glb", "gltf"} {
		data, err := w.sculptProp(w.archetype(), 1).finish().file(format)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		if m, err := readModel(data); err == nil {
			m.clustered(m.size() / 4)
		}
	})
}
