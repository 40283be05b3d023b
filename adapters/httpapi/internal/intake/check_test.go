package intake

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"gaia/domain"
)

// testSpec is one operation whose body has a property of each kind.
const testSpec = `{"paths":{"/t/{id}":{
 "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string","maxLength":8}}],
 "post":{"operationId":"t","parameters":[
  {"name":"on","in":"query","schema":{"type":"boolean"}},
  {"name":"n","in":"query","schema":{"type":"integer","minimum":1,"maximum":100}},
  {"name":"need","in":"query","required":true,"schema":{"type":"string"}},
  {"name":"X-Key","in":"header","schema":{"type":"string","minLength":1,"maxLength":4}}],
 "requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/T"}}}},
 "responses":{"200":{}}}}},
 "components":{"schemas":{
  "T":{"type":"object","required":["zeta","alpha"],"properties":{
   "alpha":{"type":"string","minLength":1,"maxLength":3},
   "zeta":{"type":"string"},
   "int":{"type":"integer"}, "range":{"type":"integer","minimum":1,"maximum":10}, "over":{"type":"number","minimum":0.5,"exclusiveMinimum":true},
   "num":{"type":"number"}, "flag":{"type":"boolean"},
   "word":{"$ref":"#/components/schemas/Word"}, "class":{"$ref":"#/components/schemas/AssetCategory"},
   "maybe":{"nullable":true,"allOf":[{"$ref":"#/components/schemas/Free"}]},
   "free":{"$ref":"#/components/schemas/Free"},
   "labels":{"type":"object","maxProperties":2,"additionalProperties":{"type":"string","maxLength":2}},
   "list":{"type":"array","minItems":1,"maxItems":3,"items":{"type":"integer"}},
   "set":{"type":"array","uniqueItems":true,"items":{"type":"string"}},
   "sub":{"$ref":"#/components/schemas/Sub"},
   "subs":{"type":"array","items":{"$ref":"#/components/schemas/Sub"}},
   "content":{"nullable":true,"oneOf":[{"$ref":"#/components/schemas/Plain"},{"type":"array","items":{"$ref":"#/components/schemas/Part"}}]},
   "mail":{"type":"string","pattern":"^[^@]+@[^@]+$"},
   "when":{"type":"string","format":"date-time"}, "day":{"type":"string","format":"date"},
   "uid":{"type":"string","format":"uuid"}, "link":{"type":"string","format":"uri"},
   "tree":{"$ref":"#/components/schemas/Tree"}
  }},
  "Word":{"type":"string","enum":["a","b","c"]},
  "AssetCategory":{"type":"string","enum":["one"]},
  "Free":{"type":"object","additionalProperties":true},
  "Sub":{"type":"object","required":["x"],"properties":{"x":{"type":"integer"},"y":{"type":"string"}}},
  "Plain":{"type":"string","maxLength":5},
  "Part":{"oneOf":[{"$ref":"#/components/schemas/TextPart"},{"$ref":"#/components/schemas/ImagePart"}],
    "discriminator":{"propertyName":"type","mapping":{"text":"#/components/schemas/TextPart","image":"#/components/schemas/ImagePart"}}},
  "TextPart":{"type":"object","required":["type","text"],"properties":{"type":{"type":"string","enum":["text"]},"text":{"type":"string"}}},
  "ImagePart":{"type":"object","required":["type","url"],"properties":{"type":{"type":"string","enum":["image"]},"url":{"type":"string"}}},
  "Tree":{"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#/components/schemas/Tree"}}}}
 }}}`

func testOperation(t testing.TB) *Operation {
	t.Helper()
	contract, err := Load([]byte(testSpec))
	if err != nil {
		t.Fatal(err)
	}
	return contract["POST /t/{id}"]
}

// written shows faults on one line each: type, location, message, input, figures.
func written(t testing.TB, faults []domain.Fault) string {
	t.Helper()
	var lines []string
	for _, f := range faults {
		loc, err := json.Marshal(f.Loc)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %s %s %s", f.Type, loc, f.Msg, f.Input)
		if f.Ctx != nil {
			ctx, err := json.Marshal(f.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			line += " " + string(ctx)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// field makes a body that is fine but for one property.
func field(name, value string) string {
	return `{"zeta":"z","alpha":"a","` + name + `":` + value + `}`
}

func TestFaultsOfOneField(t *testing.T) {
	t.Parallel()
	op := testOperation(t)
	for _, c := range []struct{ name, value, want string }{
		{"alpha", `""`, `string_too_short ["body","alpha"] String should have at least 1 character "" {"min_length":1}`},
		{"alpha", `"ab\u00e9d"`, `string_too_long ["body","alpha"] String should have at most 3 characters "ab\u00e9d" {"max_length":3}`},
		{"alpha", `null`, `string_type ["body","alpha"] Input should be a valid string null`},
		{"alpha", `5`, `string_type ["body","alpha"] Input should be a valid string 5`},
		{"zeta", `"\ud800"`, `string_unicode ["body","zeta"] Input should be a valid string, unable to parse raw data as a unicode string "\ud800"`},
		{"int", `"abc"`, `int_parsing ["body","int"] Input should be a valid integer, unable to parse string as an integer "abc"`},
		{"int", `"1e3"`, `int_parsing ["body","int"] Input should be a valid integer, unable to parse string as an integer "1e3"`},
		{"int", `"5."`, `int_parsing ["body","int"] Input should be a valid integer, unable to parse string as an integer "5."`},
		{"int", `"--5"`, `int_parsing ["body","int"] Input should be a valid integer, unable to parse string as an integer "--5"`},
		{"int", `""`, `int_parsing ["body","int"] Input should be a valid integer, unable to parse string as an integer ""`},
		{"int", `5.5`, `int_from_float ["body","int"] Input should be a valid integer, got a number with a fractional part 5.5`},
		{"int", `null`, `int_type ["body","int"] Input should be a valid integer null`},
		{"int", `[]`, `int_type ["body","int"] Input should be a valid integer []`},
		{"int", `1e30`, `int_parsing_size ["body","int"] Unable to parse input string as an integer, exceeded maximum size 1e30`},
		{"int", `9223372036854775808`, `int_parsing_size ["body","int"] Unable to parse input string as an integer, exceeded maximum size 9223372036854775808`},
		{"int", `1e999`, `finite_number ["body","int"] Input should be a finite number "1e999"`},
		{"range", `0`, `greater_than_equal ["body","range"] Input should be greater than or equal to 1 0 {"ge":1}`},
		{"range", `"11"`, `less_than_equal ["body","range"] Input should be less than or equal to 10 "11" {"le":10}`},
		{"over", `0.5`, `greater_than ["body","over"] Input should be greater than 0.5 0.5 {"gt":0.5}`},
		{"num", `"abc"`, `float_parsing ["body","num"] Input should be a valid number, unable to parse string as a number "abc"`},
		{"num", `"0x10"`, `float_parsing ["body","num"] Input should be a valid number, unable to parse string as a number "0x10"`},
		{"num", `{}`, `float_type ["body","num"] Input should be a valid number {}`},
		{"num", `"nan"`, `finite_number ["body","num"] Input should be a finite number "nan"`},
		{"num", `-1e999`, `finite_number ["body","num"] Input should be a finite number "-1e999"`},
		{"flag", `"zzz"`, `bool_parsing ["body","flag"] Input should be a valid boolean, unable to interpret input "zzz"`},
		{"flag", `2`, `bool_parsing ["body","flag"] Input should be a valid boolean, unable to interpret input 2`},
		{"flag", `0.5`, `bool_type ["body","flag"] Input should be a valid boolean 0.5`},
		{"flag", `null`, `bool_type ["body","flag"] Input should be a valid boolean null`},
		{"word", `"d"`, `literal_error ["body","word"] Input should be 'a', 'b' or 'c' "d" {"expected":"'a', 'b' or 'c'"}`},
		{"word", `1`, `literal_error ["body","word"] Input should be 'a', 'b' or 'c' 1 {"expected":"'a', 'b' or 'c'"}`},
		{"class", `"d"`, `enum ["body","class"] Input should be 'one' "d" {"expected":"'one'"}`},
		{"free", `[1]`, `dict_type ["body","free"] Input should be a valid dictionary [1]`},
		{"free", `null`, `dict_type ["body","free"] Input should be a valid dictionary null`},
		{"free", `{"a":["1e999",-1e999]}`, `finite_number ["body","free"] Input should be a finite number "-1e999"`},
		{"maybe", `1`, `dict_type ["body","maybe"] Input should be a valid dictionary 1`},
		{"labels", `{"a":"b","c":"d","e":"f"}`, `too_long ["body","labels"] Dictionary should have at most 2 items after validation, not 3 {"a":"b","c":"d","e":"f"} {"actual_length":3,"field_type":"Dictionary","max_length":2}`},
		{"labels", `{"a":1}`, `string_type ["body","labels","a"] Input should be a valid string 1`},
		{"list", `[]`, `too_short ["body","list"] List should have at least 1 item after validation, not 0 [] {"actual_length":0,"field_type":"List","min_length":1}`},
		{"list", `[1,2,3,"x"]`, `too_long ["body","list"] List should have at most 3 items after validation, not 4 [1,2,3,"x"] {"actual_length":4,"field_type":"List","max_length":3}`},
		{"list", `{}`, `list_type ["body","list"] Input should be a valid list {}`},
		{"set", `["a","\u0061"]`, `value_error ["body","set"] Value error, items must be unique ["a","\u0061"] {"error":"items must be unique"}`},
		{"sub", `[]`, `model_attributes_type ["body","sub"] Input should be a valid dictionary or object to extract fields from []`},
		{"sub", `{"y":"z"}`, `missing ["body","sub","x"] Field required {"y":"z"}`},
		{"content", `"abcdef"`, `string_too_long ["body","content"] String should have at most 5 characters "abcdef" {"max_length":5}`},
		{"content", `[{"type":"text"}]`, `missing ["body","content",0,"text"] Field required {"type":"text"}`},
		{"content", `[{}]`, `union_tag_not_found ["body","content",0] Unable to extract tag using discriminator 'type' {} {"discriminator":"'type'"}`},
		{"content", `[{"type":"x"}]`, `union_tag_invalid ["body","content",0] Input tag 'x' found using 'type' does not match any of the expected tags: 'image', 'text' {"type":"x"} {"discriminator":"'type'","expected_tags":"'image', 'text'","tag":"x"}`},
		{"content", `[5]`, `model_attributes_type ["body","content",0] Input should be a valid dictionary or object to extract fields from 5`},
		{"mail", `"x"`, `string_pattern_mismatch ["body","mail"] String should match pattern '^[^@]+@[^@]+$' "x" {"pattern":"^[^@]+@[^@]+$"}`},
		{"when", `"x"`, `datetime_from_date_parsing ["body","when"] Input should be a valid datetime or date, input is not an ISO 8601 date and time "x" {"error":"input is not an ISO 8601 date and time"}`},
		{"when", `true`, `datetime_type ["body","when"] Input should be a valid datetime true`},
		{"uid", `"x"`, `uuid_parsing ["body","uid"] Input should be a valid UUID, expected 32 hexadecimal digits in groups of 8-4-4-4-12 "x" {"error":"expected 32 hexadecimal digits in groups of 8-4-4-4-12"}`},
		{"link", `"x"`, `url_parsing ["body","link"] Input should be a valid URL, relative URL without a base "x" {"error":"relative URL without a base"}`},
		{"tree", `{"children":[{"children":[{"name":1}]}]}`, `string_type ["body","tree","children",0,"children",0,"name"] Input should be a valid string 1`},
	} {
		body := field(c.name, c.value)
		out, faults := op.CheckBody([]byte(body))
		if got := written(t, faults); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", body, got, c.want)
		}
		if out != nil {
			t.Errorf("%s: refused, but gave a body", body)
		}
	}
}

func TestValuesThatOldClientsSend(t *testing.T) {
	t.Parallel()
	op := testOperation(t)
	for _, c := range []struct{ name, value, want string }{
		{"int", `5`, `5`}, {"int", `"5"`, `5`}, {"int", `"5.00"`, `5`}, {"int", `" 5 "`, `5`}, {"int", `"+5"`, `5`}, {"int", `"1_000"`, `1000`},
		{"int", `5.0`, `5`}, {"int", `1e2`, `100`}, {"int", `true`, `1`}, {"int", `false`, `0`}, {"int", `"-0"`, `0`},
		{"num", `"5"`, `5`}, {"num", `"1e3"`, `1000`}, {"num", `".5"`, `0.5`}, {"num", `"1_000"`, `1000`}, {"num", `true`, `1`}, {"num", `1E2`, `1E2`},
		{"flag", `0`, `false`}, {"flag", `1.0`, `true`}, {"flag", `"yes"`, `true`}, {"flag", `"TRUE"`, `true`}, {"flag", `"Off"`, `false`}, {"flag", `"t"`, `true`},
		{"maybe", `null`, `null`}, {"content", `null`, `null`}, {"content", `"abc"`, `"abc"`},
		{"content", `[{"type":"text","text":"x","extra":1}]`, `[{"type":"text","text":"x","extra":1}]`},
		{"list", `["1",2,3.0]`, `[1,2,3]`},
		{"when", `"2020-01-02T03:04:05Z"`, `"2020-01-02T03:04:05Z"`}, {"when", `"2020-01-02T03:04:05.5"`, `"2020-01-02T03:04:05.5Z"`},
		{"when", `"2020-01-02"`, `"2020-01-02T00:00:00Z"`}, {"when", `5`, `"1970-01-01T00:00:05Z"`}, {"when", `1577934245000`, `"2020-01-02T03:04:05Z"`},
		{"uid", `"0190b3f0aaaa7bbb8cccddddeeeeffff"`, `"0190b3f0-aaaa-7bbb-8ccc-ddddeeeeffff"`},
		{"unknown", `{"anything":[1]}`, `{"anything":[1]}`},
	} {
		body := field(c.name, c.value)
		out, faults := op.CheckBody([]byte(body))
		if len(faults) > 0 {
			t.Errorf("%s: %s", body, written(t, faults))
			continue
		}
		if want := field(c.name, c.want); string(out) != want {
			t.Errorf("%s\n got %s\nwant %s", body, out, want)
		}
	}
}

func TestAllFaultsAtOnceInTheOrderOfTheFields(t *testing.T) {
	t.Parallel()
	_, faults := testOperation(t).CheckBody([]byte(`{"num":"x","flag":[],"alpha":1,"subs":[{"x":1},{},{"x":"q","y":2}]}`))
	want := strings.Join([]string{
		`missing ["body","zeta"] Field required {"num":"x","flag":[],"alpha":1,"subs":[{"x":1},{},{"x":"q","y":2}]}`,
		`string_type ["body","alpha"] Input should be a valid string 1`,
		`bool_type ["body","flag"] Input should be a valid boolean []`,
		`float_parsing ["body","num"] Input should be a valid number, unable to parse string as a number "x"`,
		`missing ["body","subs",1,"x"] Field required {}`,
		`int_parsing ["body","subs",2,"x"] Input should be a valid integer, unable to parse string as an integer "q"`,
		`string_type ["body","subs",2,"y"] Input should be a valid string 2`,
	}, "\n")
	if got := written(t, faults); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBodiesThatAreNoObject(t *testing.T) {
	t.Parallel()
	op := testOperation(t)
	for body, want := range map[string]string{
		``:         `missing ["body"] Field required null`,
		`null`:     `missing ["body"] Field required null`,
		`["x"]`:    `model_attributes_type ["body"] Input should be a valid dictionary or object to extract fields from ["x"]`,
		`"x"`:      `model_attributes_type ["body"] Input should be a valid dictionary or object to extract fields from "x"`,
		`{nope`:    `json_invalid ["body",1] JSON decode error {} {"error":"Expecting property name enclosed in double quotes"}`,
		"\"\xff\"": `json_invalid ["body",1] JSON decode error {} {"error":"Invalid UTF-8"}`,
	} {
		if _, faults := op.CheckBody([]byte(body)); written(t, faults) != want {
			t.Errorf("%q: %s", body, written(t, faults))
		}
	}
	if _, faults := op.CheckBody([]byte("\xEF\xBB\xBF" + field("int", "1"))); faults != nil {
		t.Errorf("byte order mark: %s", written(t, faults))
	}
}

// encoding/json would merge or mix up what the rules tell apart: the body has to leave it no choice.
func TestRepeatedAndSimilarKeysDoNotReachTheDecoder(t *testing.T) {
	t.Parallel()
	op := testOperation(t)
	type sub struct {
		X int    `json:"x"`
		Y string `json:"y"`
	}
	type body struct {
		Zeta  string  `json:"zeta"`
		Alpha *string `json:"alpha"`
		Sub   *sub    `json:"sub"`
	}
	for _, in := range []string{
		`{"zeta":5,"zeta":"z","alpha":"a","sub":{"x":[],"y":"stale"},"sub":{"x":1}}`,
		`{"zeta":"z","ZETA":5,"alpha":"a","Alpha":null,"sub":{"x":1},"\u017fub":{"x":2},"Sub":7}`,
		`{"zeta":"old","zeta":"older" , "z\u0065ta" : "z","alpha":"a","sub":{"X":"no","x":1}}`,
	} {
		out, faults := op.CheckBody([]byte(in))
		if faults != nil {
			t.Errorf("%s: %s", in, written(t, faults))
			continue
		}
		var b body
		if err := json.Unmarshal(out, &b); err != nil {
			t.Errorf("%s: %v", out, err)
			continue
		}
		if b.Zeta != "z" || b.Alpha == nil || *b.Alpha != "a" || b.Sub == nil || *b.Sub != (sub{X: 1}) {
			t.Errorf("%s: read %+v, sub %+v", out, b, b.Sub)
		}
	}
}

func TestFaultsAndInputsAreBounded(t *testing.T) {
	t.Parallel()
	op := testOperation(t)
	_, faults := op.CheckBody([]byte(field("subs", "["+strings.Repeat("{},", 100_000)+"{}]")))
	if len(faults) != maxFaults {
		t.Errorf("%d faults", len(faults))
	}
	_, faults = op.CheckBody([]byte(field("alpha", `"`+strings.Repeat("é", 500_000)+`"`)))
	if n := len(faults[0].Input.(json.RawMessage)); n > maxPreviewText {
		t.Errorf("a long text comes back with %d bytes", n)
	}
	similar := strings.Repeat(`"ZETA":1,`, maxPatches+1)
	if _, faults = op.CheckBody([]byte(`{` + similar + `"zeta":"z","alpha":"a"}`)); len(faults) == 0 || faults[0].Type != "value_error" {
		t.Errorf("many similar keys: %s", written(t, faults))
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for in, want := range map[string]string{
		`{"a":[1,"b",null,{"c":true}]}`:       `{"a":[1,"b",null,{"c":true}]}`,
		`1e999`:                               `"1e999"`,
		`[[[[[[[[[[1]]]]]]]]]]`:               `[[[[[[[["…"]]]]]]]]`,
		`"` + long + `"`:                      `"` + long[:maxPreviewText-5] + `…"`,
		`["` + long + `",1]`:                  `["` + long[:maxPreviewText-5] + `…",1]`,
		strings.Repeat("9", 70):               `"` + strings.Repeat("9", 64) + `"`,
		`"` + strings.Repeat(`\n`, 600) + `"`: `"` + strings.Repeat(`\n`, (maxPreviewText-5)/2) + `…"`,
	} {
		if got := Preview([]byte(in)); string(got) != want {
			t.Errorf("%.80s\n got %s\nwant %s", in, got, want)
		}
	}
	wide := Preview([]byte("[" + strings.Repeat("123456789,", 1000) + "1]"))
	if len(wide) > maxPreview+20 || !strings.HasSuffix(string(wide), `,"…"]`) || !json.Valid(wide) {
		t.Errorf("wide list: %d bytes, ends %s", len(wide), wide[len(wide)-20:])
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	op := testOperation(t)
	for query, want := range map[string]string{
		"need=x&on=zzz":    `bool_parsing ["query","on"] Input should be a valid boolean, unable to interpret input "zzz"`,
		"need=x&n=abc":     `int_parsing ["query","n"] Input should be a valid integer, unable to parse string as an integer "abc"`,
		"need=x&n=":        `int_parsing ["query","n"] Input should be a valid integer, unable to parse string as an integer ""`,
		"need=x&n=0":       `greater_than_equal ["query","n"] Input should be greater than or equal to 1 "0" {"ge":1}`,
		"":                 `missing ["query","need"] Field required null`,
		"need=%ff":         `string_unicode ["query","need"] Input should be a valid string, unable to parse raw data as a unicode string "\ufffd"`,
		"need=%00":         `value_error ["query","need"] Value error, null characters are not allowed "\u0000" {"error":"null characters are not allowed"}`,
		"need=%zz":         `value_error ["query"] Value error, the query string is malformed "need=%zz" {"error":"the query string is malformed"}`,
		"on=x&n=x":         "bool_parsing [\"query\",\"on\"] Input should be a valid boolean, unable to interpret input \"x\"\nint_parsing [\"query\",\"n\"] Input should be a valid integer, unable to parse string as an integer \"x\"\nmissing [\"query\",\"need\"] Field required null",
		"need=x&n=5&n=101": `less_than_equal ["query","n"] Input should be less than or equal to 100 "101" {"le":100}`,
	} {
		if _, faults := op.CheckQuery(query); written(t, faults) != want {
			t.Errorf("%s: %s", query, written(t, faults))
		}
	}
	for query, want := range map[string]string{
		"need=x&on=true&n=5&other=1": "need=x&on=true&n=5&other=1",
		"need=x&on=yes&n=%205.0":     "n=5&need=x&on=true",
		"need=x&n=abc&n=7":           "n=7&need=x",
		"need=%22":                   "need=%22",
	} {
		if got, faults := op.CheckQuery(query); got != want || faults != nil {
			t.Errorf("%s: %s, %s", query, got, written(t, faults))
		}
	}
	faults := op.CheckPath(func(string) string { return "123456789" })
	if got, want := written(t, faults), `string_too_long ["path","id"] String should have at most 8 characters "123456789" {"max_length":8}`; got != want {
		t.Error(got)
	}
	h := map[string][]string{"X-Key": {"ab", "cd"}}
	faults = op.CheckHeader(h)
	if got, want := written(t, faults), `string_too_long ["header","x-key"] String should have at most 4 characters "ab, cd" {"max_length":4}`; got != want {
		t.Error(got)
	}
}

func TestContractMayNotSayMoreThanIsEnforced(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{"type":"string","const":"x"}`, `{"type":"string","format":"ipv4"}`, `{"type":"integer","multipleOf":2}`, `{"type":"integer","enum":[1]}`,
		`{"anyOf":[{"type":"string"}]}`, `{"allOf":[{"type":"object"},{"type":"object"}]}`, `{"type":"object","additionalProperties":false}`,
		`{"type":"array"}`, `{"type":"object","required":["a"],"properties":{"b":{"type":"string"}}}`, `{"$ref":"#/components/schemas/Nope"}`,
	} {
		spec := `{"paths":{"/":{"post":{"requestBody":{"required":true,"content":{"application/json":{"schema":` + schema + `}}},"responses":{}}}}}`
		if _, err := Load([]byte(spec)); err == nil {
			t.Errorf("accepted %s", schema)
		}
	}
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	op := testOperation(t)
	for media, want := range map[string]bool{
		"": true, "application/json": true, "application/json; charset=utf-8": true, "Application/JSON": true, "application/problem+json": true,
		"text/plain": false, "application/x-www-form-urlencoded": false, ";": false, "application/json;": true,
	} {
		if op.Accepts(media) != want {
			t.Errorf("%q: %t", media, !want)
		}
	}
}

func TestNumberPatchesAreExact(t *testing.T) {
	t.Parallel()
	for _, x := range []float64{0, 1, -1.5, 1e21, 1e-7, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		var back float64
		if err := json.Unmarshal([]byte(formatNumber(x)), &back); err != nil || back != x {
			t.Errorf("%v became %s", x, formatNumber(x))
		}
	}
}
