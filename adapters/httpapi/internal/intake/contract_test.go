package intake_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/adapters/httpapi/internal/oapi"
	"gaia/domain"
)

func load(t testing.TB) intake.Contract {
	t.Helper()
	spec, err := oapi.GetSpecJSON()
	if err != nil {
		t.Fatal(err)
	}
	contract, err := intake.Load(spec)
	if err != nil {
		t.Fatal(err)
	}
	return contract
}

func operation(t testing.TB, key string) *intake.Operation {
	t.Helper()
	op := load(t)[key]
	if op == nil {
		t.Fatalf("no operation %s", key)
	}
	return op
}

// TestCapturedFaults holds the faults to what clients of the old platform read. Where Gaia knows more words, the list of words is longer.
func TestCapturedFaults(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 101)
	const providers = "'claude', 'openai', 'gemini', 'mistral', 'echo' or 'compatible'"
	contract := load(t)
	for _, c := range []struct{ op, body, want string }{
		{"POST /api/v0.2/chat", `{}`, `[{"type":"missing","loc":["body","message"],"msg":"Field required","input":{}}]`},
		{"POST /api/v0.2/chat", `{"message":null}`, `[{"type":"string_type","loc":["body","message"],"msg":"Input should be a valid string","input":null}]`},
		{
			"POST /api/v0.2/chat", `{"message":"x","provider":"zzz"}`,
			`[{"type":"literal_error","loc":["body","provider"],"msg":"Input should be ` + providers + `","input":"zzz","ctx":{"expected":"` + providers + `"}}]`,
		},
		{
			"POST /api/v0.2/chat", `{"message":"x","priority":"zzz"}`,
			`[{"type":"literal_error","loc":["body","priority"],"msg":"Input should be 'speed', 'quality', 'balanced', 'vr' or 'cost'","input":"zzz",` +
				`"ctx":{"expected":"'speed', 'quality', 'balanced', 'vr' or 'cost'"}}]`,
		},
		{
			"POST /api/v0.2/chat", `{"message":"x","max_response_time_ms":"abc"}`,
			`[{"type":"int_parsing","loc":["body","max_response_time_ms"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"abc"}]`,
		},
		{
			"POST /api/v0.2/chat", `{nope`,
			`[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]`,
		},
		{
			"POST /api/v0.2/chat", `["x"]`,
			`[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":["x"]}]`,
		},
		{
			"POST /api/v0.2/personas", `{"name":"x"}`,
			`[{"type":"missing","loc":["body","description"],"msg":"Field required","input":{"name":"x"}},` +
				`{"type":"missing","loc":["body","system_prompt"],"msg":"Field required","input":{"name":"x"}}]`,
		},
		{
			"POST /api/v0.2/personas", `{"name":"` + long + `","description":"A pilot","system_prompt":"You fly."}`,
			`[{"type":"string_too_long","loc":["body","name"],"msg":"String should have at most 100 characters","input":"` + long + `","ctx":{"max_length":100}}]`,
		},
		{
			"POST /api/v0.2/personas", `{"name":"Captain","description":"A pilot","system_prompt":"You fly.","personality_traits":[1]}`,
			`[{"type":"dict_type","loc":["body","personality_traits"],"msg":"Input should be a valid dictionary","input":[1]}]`,
		},
		{
			"POST /api/v1/assets/generate", `{"category":"zzz","style":"fantasy"}`,
			`[{"type":"enum","loc":["body","category"],"msg":"Input should be 'environment', 'character', 'prop', 'audio', 'texture', 'animation' or 'image'",` +
				`"input":"zzz","ctx":{"expected":"'environment', 'character', 'prop', 'audio', 'texture', 'animation' or 'image'"}},` +
				`{"type":"missing","loc":["body","description"],"msg":"Field required","input":{"category":"zzz","style":"fantasy"}}]`,
		},
	} {
		op := contract[c.op]
		if op == nil {
			t.Fatalf("no operation %s", c.op)
		}
		_, faults := op.CheckBody([]byte(c.body))
		if got := rendered(t, faults); got != canonical(t, c.want) {
			t.Errorf("%s %.80s\n got %s\nwant %s", c.op, c.body, got, canonical(t, c.want))
		}
	}
}

func rendered(t testing.TB, faults []domain.Fault) string {
	t.Helper()
	list := make([]map[string]any, len(faults))
	for i, f := range faults {
		list[i] = map[string]any{"type": f.Type, "loc": f.Loc, "msg": f.Msg, "input": f.Input}
		if f.Ctx != nil {
			list[i]["ctx"] = f.Ctx
		}
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return canonical(t, string(b))
}

func canonical(t testing.TB, s string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The examples of the contract are what clients start from: each must pass as it is written.
func TestExamplesPassUnchanged(t *testing.T) {
	t.Parallel()
	n := 0
	contract := load(t)
	for key, example := range examples(t) {
		op := contract[key]
		out, faults := op.CheckBody(example)
		if faults != nil {
			t.Errorf("%s: %s", key, rendered(t, faults))
		} else if !bytes.Equal(out, example) {
			t.Errorf("%s: changed to %s", key, out)
		}
		n++
	}
	if n < 20 {
		t.Errorf("only %d examples", n)
	}
}

// TestMutatedExamples drops and retypes each value inside of each example: what another implementation of the contract refuses must be
// refused, and what it accepts must pass.
func TestMutatedExamples(t *testing.T) {
	t.Parallel()
	doc, contract := spec(t), load(t)
	n := 0
	for key, example := range examples(t) {
		op, schema := contract[key], bodySchema(doc, key)
		var body any
		if err := json.Unmarshal(example, &body); err != nil {
			t.Fatal(err)
		}
		mutate(body, func() {
			mutant, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			agree(t, op, schema, mutant)
			n++
		})
	}
	if n < 1000 {
		t.Errorf("only %d mutants", n)
	}
}

// mutate changes each value below v in turn, calls try, and puts the value back.
func mutate(v any, try func()) {
	wrong := []any{nil, []any{[]any{}}, map[string]any{"\x01": 1.0}, "\x01 no such word", "", -12345.5, 1e15, true, strings.Repeat("x", 33_000)}
	switch v := v.(type) {
	case map[string]any:
		for name, old := range v {
			for _, w := range wrong {
				v[name] = w
				try()
			}
			delete(v, name)
			try()
			v[name] = old
			mutate(old, try)
		}
	case []any:
		for i, old := range v {
			for _, w := range wrong {
				v[i] = w
				try()
			}
			v[i] = old
			mutate(old, try)
		}
	}
}

// agree checks that a body which passes obeys the schema by another implementation's judgement, and that one which is refused does not,
// unless it broke a rule that the other one does not know.
func agree(t *testing.T, op *intake.Operation, s *openapi3.Schema, body []byte) {
	t.Helper()
	out, faults := op.CheckBody(body)
	if faults != nil {
		for _, f := range faults {
			if f.Type == "" || f.Msg == "" || len(f.Loc) == 0 || f.Loc[0] != "body" {
				t.Fatalf("%s: odd fault %+v", op.ID, f)
			}
			if raw, ok := f.Input.(json.RawMessage); !ok || !json.Valid(raw) {
				t.Fatalf("%s: input %s", op.ID, f.Input)
			}
		}
		if v, err := decoded(body); err == nil && s.VisitJSON(v) == nil && !stricter(faults) {
			t.Errorf("%s refused %.200q: %+v", op.ID, body, faults[0])
		}
		return
	}
	v, err := decoded(out)
	if err != nil {
		t.Fatalf("%s made %.200q of %.200q: %v", op.ID, out, body, err)
	}
	if err := s.VisitJSON(v); err != nil {
		t.Errorf("%s accepted %.200q as %.200q: %v", op.ID, body, out, err)
	}
}

// decoded keeps numbers as they are written: not all of them fit a float64.
func decoded(body []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// stricter reports whether the faults are of kinds that kin-openapi does not look for.
func stricter(faults []domain.Fault) bool {
	for _, f := range faults {
		switch f.Type {
		case "json_invalid", "string_unicode", "url_parsing", "int_parsing_size", "finite_number", "value_error", "union_tag_not_found", "union_tag_invalid":
			return true
		}
	}
	return false
}

func spec(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := oapi.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func bodySchema(doc *openapi3.T, key string) *openapi3.Schema {
	method, path, _ := strings.Cut(key, " ")
	return doc.Paths.Value(path).GetOperation(method).RequestBody.Value.Content.Get("application/json").Schema.Value
}

// examples gives the example of every body of JSON.
func examples(t testing.TB) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for path, item := range spec(t).Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil || op.RequestBody.Value.Content.Get("application/json") == nil {
				continue
			}
			b, err := json.Marshal(op.RequestBody.Value.Content.Get("application/json").Example)
			if err != nil {
				t.Fatal(err)
			}
			found[method+" "+path] = b
		}
	}
	return found
}

// FuzzDecodeBody holds several operations to another implementation of the contract, and to the generated types.
func FuzzDecodeBody(f *testing.F) {
	doc := spec(f)
	targets := []struct {
		key string
		new func() any
	}{
		{"POST /api/v0.2/chat", func() any { return new(oapi.V02ChatJSONRequestBody) }},
		{"POST /api/v1/chat/completions", func() any { return new(oapi.V1ChatCompletionsJSONRequestBody) }},
		{"POST /api/v0.2/personas", func() any { return new(oapi.V02CreatePersonaJSONRequestBody) }},
		{"POST /calculator/add", func() any { return new(oapi.AddNumbersJSONRequestBody) }},
		{"POST /api/v0.2/usage/log", func() any { return new(oapi.V02LogUsageJSONRequestBody) }},
		{"POST /api/v1/auth/register", func() any { return new(oapi.V1RegisterJSONRequestBody) }},
		{"POST /api/v1/assets/generate", func() any { return new(oapi.V1GenerateAssetJSONRequestBody) }},
	}
	all := examples(f)
	for i, target := range targets {
		f.Add(uint8(i), all[target.key])
	}
	f.Add(uint8(1), []byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:x"}}]}],"stop":["a"],"tool_choice":{"type":"function","function":{"name":"f"}}}`))
	f.Add(uint8(3), []byte(`{"a":"1_0.5","b":true,"A":[],"a":1e999}`))
	f.Add(uint8(0), []byte(`{"message":"\ud83d\ude00","stream":"yes","max_response_time_ms":"5.0","Message":1}`))
	contract := load(f)
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		target := targets[int(which)%len(targets)]
		op := contract[target.key]
		agree(t, op, bodySchema(doc, target.key), body)
		out, faults := op.CheckBody(body)
		if faults != nil {
			return
		}
		if err := json.Unmarshal(out, target.new()); err != nil {
			t.Fatalf("%s passed %q as %q, but: %v", op.ID, body, out, err)
		}
		if again, faults := op.CheckBody(out); faults != nil || !bytes.Equal(again, out) {
			t.Fatalf("%s is not done with %q", op.ID, out)
		}
	})
}

var benchBody = []byte(`{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the height of the tower, and who built it?"}],` +
	`"model":"gpt-4o-mini","temperature":0.7,"max_tokens":256,"stream":false,"user":"player-4711","metadata":{"scene":"harbour"},"provider":"openai"}`)

func BenchmarkCheckBody(b *testing.B) {
	op := operation(b, "POST /api/v1/chat/completions")
	b.SetBytes(int64(len(benchBody)))
	b.ReportAllocs()
	for b.Loop() {
		if _, faults := op.CheckBody(benchBody); faults != nil {
			b.Fatal(rendered(b, faults))
		}
	}
}

func BenchmarkCheckLargeBody(b *testing.B) {
	op := operation(b, "POST /api/v1/chat/completions")
	body := fmt.Appendf(nil, `{"message":%q,"unknown":[%s1]}`, strings.Repeat("word ", 10_000), strings.Repeat(`{"a":[1,2,{"b":"c"}]},`, 40_000))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, faults := op.CheckBody(body); faults != nil {
			b.Fatal(rendered(b, faults))
		}
	}
}

func BenchmarkKinOpenAPI(b *testing.B) {
	doc := spec(b)
	item := doc.Paths.Value("/api/v1/chat/completions")
	route := &routers.Route{Spec: doc, Path: "/api/v1/chat/completions", PathItem: item, Method: http.MethodPost, Operation: item.Post}
	options := &openapi3filter.Options{MultiError: true, SkipSettingDefaults: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	b.SetBytes(int64(len(benchBody)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/chat/completions", bytes.NewReader(benchBody))
		r.Header.Set("Content-Type", "application/json")
		if err := openapi3filter.ValidateRequest(b.Context(), &openapi3filter.RequestValidationInput{Request: r, Route: route, Options: options}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKinOpenAPISetup is what BenchmarkKinOpenAPI spends on making requests.
func BenchmarkKinOpenAPISetup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/chat/completions", bytes.NewReader(benchBody))
		r.Header.Set("Content-Type", "application/json")
	}
}

func BenchmarkLoad(b *testing.B) {
	spec, err := oapi.GetSpecJSON()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := intake.Load(spec); err != nil {
			b.Fatal(err)
		}
	}
}
