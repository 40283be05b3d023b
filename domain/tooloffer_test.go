package domain_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gaia/domain"
)

func spec(server, name string) domain.ToolSpec { return domain.ToolSpec{Server: server, Name: name} }

func namesOf(tools []domain.Tool) []string {
	var names []string
	for _, tool := range tools {
		names = append(names, tool.Name)
	}
	return names
}

var functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func TestOfferedNamesAreFitAndUnique(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 80)
	specs := []domain.ToolSpec{
		spec("z", "last"), spec("files", "read_file"), spec("my files", "read.file"), spec("my_files", "read_file"), spec("my.files", "read_file"),
		spec("a", "b__c"), spec("a__b", "c"), spec("a_", "b"), spec("a", "_b"), spec("a", long+"1"), spec("a", long+"2"), spec(long, "x"),
		spec("世界", "朝"), spec("世界", "夜"), spec("a", "b\x00"), spec("files", "read_file"), spec("", "x"), spec("x", ""),
	}
	tools, byName := domain.OfferTools(specs)
	if len(tools) != 15 || len(byName) != 15 {
		t.Fatalf("%d tools, %d names: %q", len(tools), len(byName), namesOf(tools))
	}
	for _, tool := range tools {
		if !functionName.MatchString(tool.Name) || byName[tool.Name].Name == "" {
			t.Errorf("%q is no name, or stands for %+v", tool.Name, byName[tool.Name])
		}
	}
	for name, id := range map[string]string{"files__read_file": "files/read_file", "my_files__read_file": "my_files/read_file", "a__b__c": "a/b__c", "z__last": "z/last"} {
		if got := byName[name]; got.ID() != id {
			t.Errorf("%s stands for %s", name, got.ID())
		}
	}
	slices.Reverse(specs)
	again, _ := domain.OfferTools(specs)
	if !slices.Equal(namesOf(tools), namesOf(again)) {
		t.Errorf("the order matters:\n%q\n%q", namesOf(tools), namesOf(again))
	}
	for name, s := range byName { // alone, each has the name that it has among others
		if alone, _ := domain.OfferTools([]domain.ToolSpec{s}); len(alone) != 1 || alone[0].Name != name {
			t.Errorf("%s alone is %q, not %s", s.ID(), namesOf(alone), name)
		}
	}
}

func TestAServerCannotTakeTheNameOfAnothersTool(t *testing.T) {
	t.Parallel()
	victim := spec("my.files", "read")
	tools, _ := domain.OfferTools([]domain.ToolSpec{victim})
	thief := spec("my_files", strings.TrimPrefix(tools[0].Name, "my_files__"))
	tools, byName := domain.OfferTools([]domain.ToolSpec{victim, thief})
	if len(tools) != 2 || byName[tools[0].Name].ID() == byName[tools[1].Name].ID() {
		t.Errorf("got %q", namesOf(tools))
	}
}

func TestWhatIsOfferedIsBounded(t *testing.T) {
	t.Parallel()
	words := func(n int) map[string]any {
		return map[string]any{"type": "object", "description": strings.Repeat("w", n)}
	}
	hidden := "Reads a file.\u202e\u200b\U000e0041 \x1b[2J\nThen more." + strings.Repeat("世", 1000)
	specs := []domain.ToolSpec{
		{Server: "s", Name: "hidden", Description: hidden}, {Server: "s", Name: "titled", Title: "Reads"},
		{Server: "s", Name: "huge", Parameters: words(17 << 10)}, {Server: "s", Name: "list", Parameters: map[string]any{"type": "array"}},
		{Server: "s", Name: "odd", Parameters: map[string]any{"properties": func() {}}},
	}
	tools, _ := domain.OfferTools(specs)
	if got := namesOf(tools); !slices.Equal(got, []string{"s__hidden", "s__titled"}) {
		t.Fatalf("offered: %q", got)
	}
	d := tools[0].Description
	if len(d) > 1024 || len(d) < 1020 || !utf8.ValidString(d) || !strings.HasPrefix(d, "Reads a file. [2J\nThen more.世") {
		t.Errorf("%d bytes: %.60q", len(d), d)
	}
	if tools[1].Description != "Reads" {
		t.Errorf("got %q", tools[1].Description)
	}
	if data, err := json.Marshal(tools[1].Parameters); err != nil || string(data) != `{"properties":{},"type":"object"}` || specs[1].Parameters != nil {
		t.Errorf("parameters are %s, %v", data, err)
	}

	var many, large []domain.ToolSpec
	for i := range 1000 {
		many = append(many, spec("s", fmt.Sprintf("t%03d", i)))
		large = append(large, domain.ToolSpec{Server: "s", Name: fmt.Sprintf("t%03d", i), Parameters: words(10 << 10)})
	}
	tools, byName := domain.OfferTools(many)
	if len(tools) != 128 || len(byName) != 128 || tools[127].Name != "s__t127" {
		t.Errorf("%d tools", len(tools))
	}
	if tools, byName = domain.OfferTools(large); len(tools) != 25 || len(byName) != 25 {
		t.Errorf("%d large tools", len(tools))
	}
}

func TestOfferingChangesNoSchema(t *testing.T) {
	t.Parallel()
	parameters := map[string]any{"required": []any{"path"}}
	before := maps.Clone(parameters)
	tools, _ := domain.OfferTools([]domain.ToolSpec{{Server: "s", Name: "t", Parameters: parameters}})
	if !maps.EqualFunc(before, parameters, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) || tools[0].Parameters["type"] != "object" {
		t.Errorf("%v became %v", before, parameters)
	}
}
