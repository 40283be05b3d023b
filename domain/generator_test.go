package domain_test

import (
	"slices"
	"strings"
	"testing"

	"gaia/domain"
)

func TestBuiltInGenerators(t *testing.T) {
	t.Parallel()
	table, prices := domain.BuiltInGenerators(), domain.BuiltInPrices()
	for _, c := range domain.AssetCategories() {
		makers := table.Makers(c, "")
		if len(makers) == 0 || makers[len(makers)-1].ID != "procedural" {
			t.Errorf("%s is not made without outside services: %v", c, makers)
		}
	}
	for _, g := range table.All() {
		for category := range g.Operations {
			for _, quality := range domain.AssetQualities() {
				quote, err := prices.Quote(prices.QueryFor(g, domain.AssetRequest{Category: category, Quality: quality, Description: "x"}))
				free := g.ID == "freesound" || g.ID == "procedural"
				if err != nil || (quote.Total == 0) != free {
					t.Errorf("%s %s of %s costs %v (%v)", quality, category, g.ID, quote.Total, err)
				}
			}
		}
		if found, ok := table.Find(g.ID); !ok || found.Pricing != g.Pricing {
			t.Errorf("%s: got %+v, %v", g.ID, found, ok)
		}
	}
	if g, ok := table.Find("nobody"); ok {
		t.Errorf("an unknown id gave %+v", g)
	}
}

func TestStagesOfGeneratorsAddUp(t *testing.T) {
	t.Parallel()
	prices := domain.BuiltInPrices()
	meshy, _ := domain.BuiltInGenerators().Find("meshy")
	r := domain.AssetRequest{Category: domain.AssetProp, Quality: domain.AssetMedium}
	whole, err := prices.Quote(prices.QueryFor(meshy, r))
	if err != nil {
		t.Fatal(err)
	}
	var sum domain.Money
	for _, stage := range []string{"preview", "refine"} {
		quote, err := prices.Quote(prices.QueryForStage(meshy, r, stage))
		if err != nil || quote.Total == 0 || quote.Total >= whole.Total {
			t.Errorf("%s costs %v (%v)", stage, quote.Total, err)
		}
		sum += quote.Total
	}
	if sum != whole.Total {
		t.Errorf("the stages cost %v, the whole %v", sum, whole.Total)
	}
}

func TestMakers(t *testing.T) {
	t.Parallel()
	table := domain.BuiltInGenerators()
	for _, c := range []struct {
		category domain.AssetCategory
		format   string
		want     string
	}{
		{domain.AssetImage, "", "openai stability midjourney procedural"},
		{domain.AssetImage, "webp", "openai stability"},
		{domain.AssetProp, "", "meshy procedural"},
		{domain.AssetProp, "fbx", "meshy"},
		{domain.AssetAudio, "", "freesound mubert procedural"},
		{domain.AssetAudio, "wav", "mubert procedural"},
		{domain.AssetAnimation, "", "procedural"},
		{domain.AssetImage, "wav", ""},
	} {
		var ids []string
		for _, g := range table.Makers(c.category, c.format) {
			ids = append(ids, g.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s as %q: got %s, want %s", c.category, c.format, got, c.want)
		}
	}
	procedural, _ := table.Find("procedural")
	if procedural.CanAdapt(domain.AssetAudio, "") || !procedural.CanAdapt(domain.AssetProp, "glb") || procedural.CanAdapt(domain.AssetProp, "obj") {
		t.Error("it adapts something else than it says")
	}
}

func TestGeneratorsWithAnotherModel(t *testing.T) {
	t.Parallel()
	table := domain.BuiltInGenerators()
	with := table.WithModel("openai", "gpt-image-1-mini")
	g, _ := with.Find("openai")
	if g.Model != "gpt-image-1-mini" || g.Operations[domain.AssetImage] != "gpt-image-1-mini" {
		t.Errorf("got %+v", g)
	}
	if g, _ := table.Find("openai"); g.Model != "gpt-image-1.5" || g.Operations[domain.AssetImage] != "gpt-image-1.5" {
		t.Errorf("the table it came from has changed: %+v", g)
	}
	meshy, _ := with.Find("meshy")
	if meshy.Operations[domain.AssetProp] != "meshy-5" || with.Version() != table.Version() {
		t.Errorf("others have changed: %+v", meshy)
	}
}

const goodGenerator = `{"id": "a", "setting": "A", "pricing": "a", "source": "generated", "adapts": ["prop"], "operations": {"prop": "x"},
	"formats": {"prop": ["glb"]}, "qualities": {"low": "l", "medium": "m", "high": "h", "ultra": "u"},
	"scores": {"low": 0, "medium": 0.5, "high": 1, "ultra": 1}, "license": "commercial"}`

func TestParseGenerators(t *testing.T) {
	t.Parallel()
	table, err := domain.ParseGenerators([]byte(`{"generators": [` + goodGenerator + `]}`))
	if err != nil || len(table.All()) != 1 || table.Version() == "" {
		t.Fatalf("got %+v, %v", table, err)
	}
	if named, err := domain.ParseGenerators([]byte(`{"version": "7", "generators": [` + goodGenerator + `]}`)); err != nil || named.Version() != "7" {
		t.Errorf("got %+v, %v", named, err)
	}
	for _, c := range []struct{ json, want string }{
		{`x`, "parse generators"},
		{`{}`, "no generators"},
		{`{"generators": [` + goodGenerator + `]} {}`, "more than one"},
		{`{"generators": [` + goodGenerator + `, ` + goodGenerator + `]}`, "generator a is listed twice"},
		{`{"generators": [` + strings.Replace(goodGenerator, `"id"`, `"ident"`, 1) + `]}`, `unknown field "ident"`},
	} {
		if _, err := domain.ParseGenerators([]byte(c.json)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.json, err, c.want)
		}
	}
}

func TestParseGeneratorsTellsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := domain.ParseGenerators([]byte(`{"generators": [
		{"source": "database", "license": "free", "operations": {"prop": "", "thing": "x"}, "formats": {"prop": [], "thing": [""], "audio": ["wav"]},
		 "adapts": ["image"], "qualities": {"low": "", "best": "x"}, "scores": {"low": 2, "medium": -1, "best": 1}},
		{"id": "b", "setting": "B", "pricing": "b", "source": "external", "license": "custom"}]}`))
	if err == nil {
		t.Fatal("no fault was found")
	}
	want := []string{
		"number 1 has no id", "number 1: setting is missing", "number 1: pricing is missing", `number 1: source is "database"`, `number 1: license is "free"`,
		`number 1: operations names "thing"`, "number 1: operations has an empty one for prop", "number 1: formats needs one or more for prop",
		"number 1: formats needs one or more for thing", "number 1: formats names audio", "number 1: adapts names image",
		"number 1: qualities has no low", "number 1: qualities has no ultra", `number 1: qualities names "best"`,
		"number 1: scores needs a low", "number 1: scores needs a medium", "number 1: scores needs a high", `number 1: scores names "best"`,
		"b: operations is empty", "b: qualities has no high", "b: scores needs a ultra",
	}
	lines := strings.Split(err.Error(), "\n")
	for _, w := range want {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, w) }) {
			t.Errorf("%q is missing in\n%v", w, err)
		}
	}
}
