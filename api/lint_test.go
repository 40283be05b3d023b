// Package api_test holds the contract, and what is generated from it, to the rules that the rest of Gaia relies on. It looks at
// the document alone: whether the server keeps the contract is tested where the server is.
package api_test

import (
	"os"
	"strings"
	"testing"

	"gaia/api"

	"github.com/getkin/kin-openapi/openapi3"
)

// rule is one thing that holds for the whole document. check returns a sentence for each place where it does not.
type rule struct {
	name  string
	check func(*openapi3.T) []string
}

func rules(table []row) []rule {
	return []rule{
		{"version", version},
		{"valid", valid},
		{"own address", ownAddress},
		{"security", security},
		{"operation table", inTable(table)},
		{"unique ids", uniqueIDs},
		{"one tag", oneTag},
		{"prose", prose},
		{"source", sourceWord},
		{"scope", scopeWord},
		{"service", serviceWord},
		{"public scope", publicScope},
		{"no default", noDefault},
		{"common statuses", commonStatuses},
		{"caller statuses", callerStatuses},
		{"body statuses", bodyStatuses},
		{"parameter statuses", parameterStatuses},
		{"named errors", namedErrors},
		{"named bodies", namedBodies},
		{"examples", examples},
		{"typed", typed},
		{"properties", properties},
		{"free form", freeForm},
		{"required keys", requiredKeys},
		{"answers require", answersRequire},
		{"variants by name", variantsByName},
		{"variants differ", variantsDiffer},
		{"bounded strings", boundedStrings},
		{"bounded lists", boundedLists},
		{"generated names", generatedNames},
		{"no unused", noUnused},
	}
}

func TestContractKeepsItsRules(t *testing.T) {
	t.Parallel()
	doc := load(t, string(api.Spec))
	for _, r := range rules(readTable(t)) {
		t.Run(r.name, func(t *testing.T) {
			for _, finding := range r.check(doc) {
				t.Error(finding)
			}
		})
	}
}

// The table is the second bookkeeping: an operation that old clients use must not leave the contract by an edit in one place.
func TestTableHoldsEveryOperationOfTheOldPlatform(t *testing.T) {
	t.Parallel()
	want := map[string]int{"captured": 56, "declared": 16, "documented": 8}
	got := map[string]int{}
	for _, r := range readTable(t) {
		if r.source != "extension" {
			got[r.source]++
		}
	}
	for source, n := range want {
		if got[source] != n {
			t.Errorf("%s: %d rows, want %d", source, got[source], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("sources are %v, want %v", got, want)
	}
}

func load(t *testing.T, spec string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(spec))
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return doc
}

// row is one line of testdata/operations.txt.
type row struct{ method, path, id, source string }

func readTable(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile("testdata/operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var table []row
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) != 4 {
			t.Fatalf("operations.txt: %q is no row", line)
		}
		table = append(table, row{f[0], f[1], f[2], f[3]})
	}
	return table
}
