package domain_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"gaia/domain"
)

func TestMapFromStoredReadsWhatIsThere(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]map[string]any{
		`{"a":1.5,"b":[1e999,{"c":-1e200000}],"d":1e-9999}`: {"a": 1.5, "b": []any{"1e999", map[string]any{"c": "-1e200000"}}, "d": 0.0},
		`{}`:   {},
		`null`: nil,
	} {
		if got, err := domain.MapFromStored([]byte(raw)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{``, `[1e999]`, `{"a":`, `"x"`} {
		if got, err := domain.MapFromStored([]byte(raw)); err == nil {
			t.Errorf("%s was read: %v", raw, got)
		}
	}
}

func TestStoredJSONKeepsPlainNumbersAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	got, err := domain.StoredJSON(map[string]any{"a": json.Number("1.50"), "b": json.Number("1e5"), "c": json.Number("-1e999")})
	if want := `{"a":1.50,"b":1e5,"c":"-1e999"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
