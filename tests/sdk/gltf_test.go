package sdk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gaia/adapters/procedural"
	"gaia/domain"
)

// TestModels has the validator of Khronos, `gltf-validator`, check models of each category that the built-in generator makes, from the
// smallest to large ones: no errors, no warnings, nothing unused, and as many triangles as the generator says.
func TestModels(t *testing.T) {
	t.Parallel()
	install(t)
	folder := t.TempDir()
	wanted := makeModels(t, folder)
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", "gltf.js", folder).CombinedOutput()
	if err != nil {
		t.Errorf("node gltf.js: %v\n%s", err, out)
	}
	for _, line := range wanted {
		if !strings.Contains(string(out), line+"\n") {
			t.Errorf("not found: %s\n%s", line, out)
		}
	}
}

// makeModels writes models into a folder and returns what the validator must say of each.
func makeModels(t *testing.T, folder string) (wanted []string) {
	t.Helper()
	generator := procedural.New()
	for i, r := range modelRequests() {
		task, err := generator.Begin(t.Context(), domain.GenerationOrder{Token: "t", Seed: int64(i), Request: r})
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		file, moves := task.Files[0], 0
		if r.Category == domain.AssetAnimation {
			moves = 1
		}
		name := fmt.Sprintf("%03d-%s.%s", i, r.Category, file.Format)
		wanted = append(wanted, fmt.Sprintf("valid %s %v %d", name, file.Attributes["polygon_count"], moves))
		if err := os.WriteFile(filepath.Join(folder, name), file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return wanted
}

func modelRequests() []domain.AssetRequest {
	descriptions := map[domain.AssetCategory]string{
		domain.AssetProp: "glowing sword|battle axe|war hammer|wizard staff|spear|bow|shield|laser gun|potion|mug|vase|barrel|crate|treasure chest|cauldron|" +
			"torch|candle|lantern|lamp|street light|tree|pine|palm|dead tree|bush|rock|crystal|mushroom|flower|cactus|table|throne|chair|bed|bookshelf|book|" +
			"door|house|tower|castle|well|tent|broken pillar|car|truck|cart|ship|spaceship|rocket|key|ring|coin|crown|gem|helmet|skull|something unheard of",
		domain.AssetCharacter:   "knight|viking|wizard|rogue|priest|king|robot|astronaut|zombie|orc|elf|dwarf|pirate|villager girl|angel",
		domain.AssetEnvironment: "forest|desert oasis with pyramid|city at night|village|dungeon|moon base|mountains|island|arctic|volcano",
		domain.AssetAnimation: "knight walking|running robot|jumping elf|waving wizard|dancing king|orc attack|flying angel|idle villager|" +
			"spinning coin|bouncing crate|floating crystal|swinging lantern|pulsing gem|shaking chest",
	}
	var requests []domain.AssetRequest
	styles := []string{"realistic", "low_poly", "fantasy", "sci-fi", "cartoon"}
	for _, category := range domain.AssetCategories() {
		for i, words := range strings.Split(descriptions[category], "|") {
			if words == "" {
				continue
			}
			r := domain.AssetRequest{Category: category, Style: styles[i%len(styles)], Description: words, Quality: domain.AssetMedium}
			if i%7 == 3 {
				r.MaxPolygons = 12 + 40*i
			}
			requests = append(requests, r)
			if i == 0 {
				gltf, least, ultra := r, r, r
				gltf.Format, least.MaxPolygons, ultra.Quality = "gltf", 12, domain.AssetUltra
				requests = append(requests, gltf, least, ultra)
			}
		}
	}
	return requests
}
