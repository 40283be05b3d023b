package intake

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScanSaysWhatTheOldDecoderSaid(t *testing.T) {
	t.Parallel()
	const property, value, comma = "Expecting property name enclosed in double quotes", "Expecting value", "Expecting ',' delimiter"
	for _, c := range []struct {
		data string
		at   int // in characters
		msg  string
	}{
		{`{nope`, 1, property},
		{`   `, 3, value},
		{`{"a":1,}`, 7, property},
		{`{"a" 1}`, 5, "Expecting ':' delimiter"},
		{`{"a":}`, 5, value},
		{`{"a":1`, 6, comma},
		{`{"a":1 "b":2}`, 7, comma},
		{`["a",`, 5, value},
		{`["a",]`, 5, value},
		{`["a"`, 4, comma},
		{`["a" "b"]`, 5, comma},
		{`"abc`, 0, "Unterminated string starting at"},
		{`"ab\x"`, 3, `Invalid \escape`},
		{"\"a\nb\"", 2, "Invalid control character at"},
		{`{"a":1}x`, 7, "Extra data"},
		{`nul`, 0, value},
		{`{`, 1, property},
		{`[`, 1, value},
		{`-`, 0, value},
		{`01`, 1, "Extra data"},
		{`1.`, 1, "Extra data"},
		{`1e`, 1, "Extra data"},
		{`+1`, 0, value},
		{`.5`, 0, value},
		{`{"a":"\u12"}`, 7, `Invalid \uXXXX escape`},
		{`{'a':1}`, 1, property},
		{`{"a":1}}`, 7, "Extra data"},
		{`{1:2}`, 1, property},
		{"{\"a\":1,\n", 8, property},
		{`"\`, 0, "Unterminated string starting at"},
		{`"\u`, 2, `Invalid \uXXXX escape`},
		{`{"é":nope}`, 5, value},
		{`{,}`, 1, property},
		{`[,]`, 1, value},
		{`--1`, 0, value},
		{`1 2`, 2, "Extra data"},
		{`{"a":1;}`, 6, comma},
		{"[\"\xff\"]", 2, "Invalid UTF-8"},
		{`NaN`, 0, value},
	} {
		bad, ok := scan([]byte(c.data))
		if ok {
			t.Errorf("%q: no fault", c.data)
			continue
		}
		if at := utf8.RuneCountInString(c.data[:bad.offset]); at != c.at || bad.msg != c.msg {
			t.Errorf("%q: %q at %d, want %q at %d", c.data, bad.msg, at, c.msg, c.at)
		}
	}
}

func TestScanBoundsDepth(t *testing.T) {
	t.Parallel()
	nested := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if bad, ok := scan(nested(maxDepth)); !ok {
		t.Errorf("%d deep: %s", maxDepth, bad.msg)
	}
	for _, n := range []int{maxDepth + 1, 10_000, 1_000_000} {
		if bad, ok := scan(nested(n)); ok || bad.msg != "Nesting too deep" || bad.offset != maxDepth {
			t.Errorf("%d deep: %+v", n, bad)
		}
	}
}

// FuzzJSONInvalid holds the scanner to encoding/json: both accept the same, except for depth and UTF-8, where the scanner is stricter.
func FuzzJSONInvalid(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5e-3,true,false,null,"x\u00e9\n"],"b":{}}`, `[`, `{"a":1,}`, `"\ud800"`, `-0`, `01`, ` 1 `, "\"\xff\"", `{"a":tru}`, `1e5`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		bad, ok := scan(data)
		switch valid := json.Valid(data); {
		case ok && (!valid || !utf8.Valid(data)):
			t.Fatalf("accepted %q", data)
		case !ok && valid && bad.msg != "Invalid UTF-8" && bad.msg != "Nesting too deep":
			t.Fatalf("refused %q: %s at %d", data, bad.msg, bad.offset)
		case !ok && (bad.offset < 0 || bad.offset > len(data)):
			t.Fatalf("offset %d of %d", bad.offset, len(data))
		}
		if !ok {
			return
		}
		start := skipSpace(data, 0)
		if end := skipValue(data, start); skipSpace(data, end) != len(data) {
			t.Fatalf("skipValue(%q) ended at %d", data, end)
		}
		preview := Preview(data)
		if !json.Valid(preview) || len(preview) > 2*maxPreview+maxPreviewText {
			t.Fatalf("preview of %q: %q", data, preview)
		}
		if again := Preview(preview); string(again) != string(preview) {
			t.Fatalf("preview changes %q to %q", preview, again)
		}
	})
}
