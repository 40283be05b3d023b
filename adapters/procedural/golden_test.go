package procedural_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"image"
	_ "image/jpeg"
	"image/png"
	"os"
	"strings"
	"testing"

	"gaia/domain"
)

var update = flag.Bool("update", false, "write what is made now as what must be made")

// goldenFile holds the SHA-256 of what some requests make: of models and sounds the bytes, of pictures the pixels, since the compression
// of pictures is the standard library's and may become another with the version of Go.
const goldenFile = "testdata/golden.json"

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	made := map[string]string{}
	for _, line := range []string{
		"prop|fantasy|a glowing sword|glb", "prop|sci-fi|spaceship|gltf", "prop|realistic|treasure chest|glb",
		"prop|realistic|a thing without a name|glb", "character|sci-fi|robot|glb",
		"environment|realistic|island|glb", "animation|realistic|knight walking|glb",
		"texture|realistic|mossy cobblestone|png", "texture|realistic|lava|jpg", "image|fantasy|castle by the sea at sunset|png",
		"audio|dark|rain and wind 2 seconds|wav", "audio|happy|melody 3 seconds|wav", "audio|x|laser 1 second|wav", "audio|x|ambient loop 2 seconds|wav",
	} {
		p := strings.Split(line, "|")
		o := order(12345, domain.AssetRequest{Category: domain.AssetCategory(p[0]), Style: p[1], Description: p[2], Format: p[3]})
		for i, f := range begin(t, o).Files {
			made[line+"|"+[]string{"asset", "preview"}[i]] = digest(t, f)
		}
	}
	if *update {
		data, err := json.MarshalIndent(made, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFile, append(data, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(made) {
		t.Errorf("%d are kept, %d were made", len(want), len(made))
	}
	for name, sum := range made {
		if want[name] != sum {
			t.Errorf("%s: %s, was %s (go test -run SameSeed -update ./adapters/procedural, when that was meant)", name, sum, want[name])
		}
	}
}

func digest(t *testing.T, f domain.GeneratedFile) string {
	t.Helper()
	data := f.Data
	switch f.Format {
	case "png":
		p, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var pixels bytes.Buffer
		size := p.Bounds()
		for y := range size.Dy() {
			for x := range size.Dx() {
				r, g, b, a := p.At(x, y).RGBA()
				pixels.Write([]byte{byte(r), byte(g), byte(b), byte(a)})
			}
		}
		data = pixels.Bytes()
	case "jpg":
		if _, _, err := image.Decode(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
