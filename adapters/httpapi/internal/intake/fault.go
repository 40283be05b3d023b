package intake

import (
	"slices"
	"strconv"
	"strings"
)

// enumClasses names the enumerations that were classes in the old platform: it called a wrong value of these "enum", of all others
// "literal_error".
var enumClasses = map[string]bool{"AssetCategory": true}

// finding is a fault without its place and input.
type finding struct {
	kind string
	msg  string
	ctx  map[string]any
}

var (
	notText      = finding{kind: "string_type", msg: "Input should be a valid string"}
	notUnicode   = finding{kind: "string_unicode", msg: "Input should be a valid string, unable to parse raw data as a unicode string"}
	notInteger   = finding{kind: "int_type", msg: "Input should be a valid integer"}
	noInteger    = finding{kind: "int_parsing", msg: "Input should be a valid integer, unable to parse string as an integer"}
	fraction     = finding{kind: "int_from_float", msg: "Input should be a valid integer, got a number with a fractional part"}
	hugeInteger  = finding{kind: "int_parsing_size", msg: "Unable to parse input string as an integer, exceeded maximum size"}
	notNumber    = finding{kind: "float_type", msg: "Input should be a valid number"}
	noNumber     = finding{kind: "float_parsing", msg: "Input should be a valid number, unable to parse string as a number"}
	notFinite    = finding{kind: "finite_number", msg: "Input should be a finite number"}
	notBoolean   = finding{kind: "bool_type", msg: "Input should be a valid boolean"}
	noBoolean    = finding{kind: "bool_parsing", msg: "Input should be a valid boolean, unable to interpret input"}
	notMapping   = finding{kind: "dict_type", msg: "Input should be a valid dictionary"}
	notArray     = finding{kind: "list_type", msg: "Input should be a valid list"}
	notObject    = finding{kind: "model_attributes_type", msg: "Input should be a valid dictionary or object to extract fields from"}
	missing      = finding{kind: "missing", msg: "Field required"}
	notUnique    = valueError("items must be unique")
	hasNull      = valueError("null characters are not allowed")
	tooOdd       = valueError("too many values are repeated or of a type that has to be converted")
	brokenQuery  = valueError("the query string is malformed")
	notTimestamp = finding{kind: "datetime_type", msg: "Input should be a valid datetime"}
)

func valueError(msg string) finding {
	return finding{"value_error", "Value error, " + msg, map[string]any{"error": msg}}
}

func wrongWord(e enumFault) finding {
	return finding{e.kind, "Input should be " + e.expected, map[string]any{"expected": e.expected}}
}

func shortText(limit int) finding {
	return finding{"string_too_short", "String should have at least " + count(limit, "character"), map[string]any{"min_length": limit}}
}

func longText(limit int) finding {
	return finding{"string_too_long", "String should have at most " + count(limit, "character"), map[string]any{"max_length": limit}}
}

func mismatch(pattern string) finding {
	return finding{"string_pattern_mismatch", "String should match pattern '" + pattern + "'", map[string]any{"pattern": pattern}}
}

func tooFew(what string, limit, n int) finding {
	return finding{
		"too_short", what + " should have at least " + count(limit, "item") + " after validation, not " + strconv.Itoa(n),
		map[string]any{"field_type": what, "min_length": limit, "actual_length": n},
	}
}

func tooMany(what string, limit, n int) finding {
	return finding{
		"too_long", what + " should have at most " + count(limit, "item") + " after validation, not " + strconv.Itoa(n),
		map[string]any{"field_type": what, "max_length": limit, "actual_length": n},
	}
}

// outside says how a number breaks a limit: kind is the fault, words how it reads, key where the limit stands.
func outside(kind, words, key string, limit float64) finding {
	return finding{
		kind, "Input should be " + words + " " + strconv.FormatFloat(limit, 'f', -1, 64), map[string]any{key: limit},
	}
}

func noTag(tag string) finding {
	return finding{
		"union_tag_not_found", "Unable to extract tag using discriminator '" + tag + "'", map[string]any{"discriminator": "'" + tag + "'"},
	}
}

func wrongTag(name, tag, tags string) finding {
	return finding{
		"union_tag_invalid", "Input tag '" + tag + "' found using '" + name + "' does not match any of the expected tags: " + tags,
		map[string]any{"discriminator": "'" + name + "'", "tag": tag, "expected_tags": tags},
	}
}

func badJSON(msg string) finding {
	return finding{"json_invalid", "JSON decode error", map[string]any{"error": msg}}
}

// alternatives lists words as prose: 'a', 'b' or 'c'.
func alternatives(words []string) string {
	quoted := slices.Clone(words)
	for i, w := range quoted {
		quoted[i] = "'" + w + "'"
	}
	last := len(quoted) - 1
	if last < 1 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}
