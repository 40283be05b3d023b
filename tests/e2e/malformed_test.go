package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"gaia/tests/gaiatest"
)

const deep = 10_000

// notJSON is refused whatever an operation reads.
var notJSON = map[string]string{
	"empty": "", "space": "  \n", "word": "nope", "brace": "{", "bracket": "[", "closing brace": "}", "key without quotes": "{nope",
	"key without value": `{"message"}`, "no value": `{"message":}`, "no colon": `{"message" "x"}`, "no comma": `{"message":"x" "a":1}`,
	"trailing comma": `{"message":"x",}`, "leading comma": `{,"message":"x"}`, "single quotes": `{'message':'x'}`, "two objects": `{"message":"x"}{}`,
	"text after": `{"message":"x"} nope`, "open string": `{"message":"x`, "open object": `{"message":"x"`, "open list": `{"message":["x"`,
	"line break in string": "{\"message\":\"a\nb\"}", "tab in string": "{\"message\":\"a\tb\"}", "NUL in string": "{\"message\":\"a\x00b\"}",
	"NUL before": "\x00{\"message\":\"x\"}", "NUL after": "{\"message\":\"x\"}\x00", "bad escape": `{"message":"\x41"}`, "short escape": `{"message":"\u12"}`,
	"bad hex": `{"message":"\uZZZZ"}`, "NaN": `{"message":NaN}`, "Infinity": `{"message":-Infinity}`, "hex number": `{"message":0x10}`,
	"leading zero": `{"message":01}`, "plus": `{"message":+1}`, "bare point": `{"message":.5}`, "point at the end": `{"message":5.}`, "bare exponent": `{"message":1e}`,
	"comment": `{"message":"x" /* y */}`, "Python literals": `{"message":None}`, "upper case": `{"message":TRUE}`, "form": "message=x&b=y",
	"XML": "<message>x</message>", "bad UTF-8": "{\"message\":\"\xff\xfe\"}", "cut UTF-8": "{\"message\":\"\xe2\x82\"}", "overlong UTF-8": "{\"message\":\"\xc0\xaf\"}",
	"bad UTF-8 in a key": "{\"\xff\":1,\"message\":\"x\"}", "UTF-16": "{\x00}\x00", "gzip": "\x1f\x8b\x08\x00\x00\x00\x00\x00",
	"deep lists": strings.Repeat("[", deep) + strings.Repeat("]", deep), "deep objects": strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep),
	"deep and open": strings.Repeat("[", deep), "deep lists in a field": `{"message":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + `}`,
	"deep objects in a field": `{"personality_traits":` + strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep) + `}`,
}

// noObject is JSON that no operation takes for its body.
var noObject = map[string]string{
	"null": "null", "true": "true", "number": "1", "huge number": "1e999", "string": `"x"`, "list": "[]", "list of objects": `[{"message":"x"}]`,
}

// oddJSON may be taken or refused, but must not upset anything.
var oddJSON = map[string]string{
	"duplicate keys": `{"message":"a","message":"b","name":"a","name":"b"}`, "BOM": "\ufeff" + `{"message":"x","name":"x"}`,
	"lone surrogate": `{"message":"\ud800","name":"\ud800","description":"\udfff","system_prompt":"x"}`, "surrogates swapped": `{"message":"\udc00\ud800"}`,
	"escaped NUL":         `{"message":"a\u0000b","name":"a\u0000b","description":"\u0000","system_prompt":"\u0000","personality_traits":{"\u0000":"\u0000"}}`,
	"NUL in traits":       `{"name":"odd","description":"x","system_prompt":"x","personality_traits":{"a\u0000":["\u0000"]}}`,
	"surrogate in traits": `{"name":"odd","description":"x","system_prompt":"x","personality_traits":{"\ud800":"\udfff"}}`,
	"huge exponent":       `{"message":"x","name":"x","description":"x","system_prompt":"x","personality_traits":{"n":1e999},"a":1e999,"b":-1e999}`,
	"huge integer":        `{"message":"x","max_response_time_ms":123456789012345678901234567890,"capabilities":{"n":123456789012345678901234567890}}`,
	"nested traits":       `{"name":"odd","description":"x","system_prompt":"x","capabilities":` + strings.Repeat(`{"a":`, deep-1000) + "1" + strings.Repeat("}", deep-1000) + `}`,
	"empty keys":          `{"":"","message":"x"}`, "all control characters": `{"message":"\u0001\u001f\u007f\u0080\u2028\ufffe\uffff"}`,
}

// wrong values by what a schema asks for, none of which today's clients get accepted by coercion.
var wrongValues = []any{"zzz", 1.5, -7, []any{1}, []any{}, map[string]any{"a": 1}, true, strings.Repeat("x", 40_000)}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, gaiatest.Settings{"MAX_REQUEST_BODY_MB": "1", "LOCAL_ACCOUNTS": "on"}, newsSecrets())
		for _, op := range gaiatest.Operations(t) {
			if !op.Finished || op.BodyType != "application/json" {
				continue
			}
			t.Run(op.ID, func(t *testing.T) {
				m := malformed{t, server, op, http.StatusUnprocessableEntity}
				if m.op.Path += newsSecret(op); op.Scope == webhookScope {
					m.bad = http.StatusBadRequest // the old platform's word for it
				}
				m.documents()
				m.fields()
				m.sizes()
				m.types()
				m.alive()
			})
		}
	})
}

// malformed sends bad bodies to one operation.
type malformed struct {
	t      *testing.T
	server *gaiatest.Server
	op     gaiatest.Operation
	bad    int // the status of a body that says nothing that can be understood
}

func (m malformed) send(body any, header http.Header) gaiatest.Response {
	m.t.Helper()
	return m.server.Client().Do(gaiatest.Request{Method: m.op.Method, Path: m.op.Path, Body: body, Header: header})
}

// refused demands a status of a list. That the body is the error of the contract was checked by the client.
func (m malformed) refused(what string, body any, header http.Header, statuses ...int) {
	m.t.Helper()
	r := m.send(body, header)
	for _, status := range statuses {
		if r.Status == status {
			return
		}
	}
	m.t.Errorf("%s %s with %s: status %d, want %v: %.500s", m.op.Method, m.op.Template, what, r.Status, statuses, r.Body)
}

func (m malformed) noFault(what string, body any) {
	m.t.Helper()
	if r := m.send(body, nil); r.Status >= 500 {
		m.t.Errorf("%s %s with %s: status %d: %.500s", m.op.Method, m.op.Template, what, r.Status, r.Body)
	}
}

func (m malformed) documents() {
	m.t.Helper()
	for what, body := range notJSON {
		m.refused(what, body, nil, m.bad)
	}
	for what, body := range noObject {
		m.refused(what, body, nil, m.bad)
	}
	for what, body := range oddJSON {
		m.noFault(what, body)
	}
}

// fields puts wrong values into each field of a good request and takes each required one away. The contract says which of these
// requests are bad.
func (m malformed) fields() {
	m.t.Helper()
	good := m.good()
	for name := range m.op.Schema.Properties {
		for _, value := range wrongValues {
			body := maps.Clone(good)
			body[name] = value
			m.judged("a wrong "+name, body)
		}
	}
	for _, name := range m.op.Schema.Required {
		body := maps.Clone(good)
		delete(body, name)
		m.refused("no "+name, body, nil, http.StatusUnprocessableEntity)
		body[name] = nil
		m.refused("null as "+name, body, nil, http.StatusUnprocessableEntity)
	}
}

func (m malformed) judged(what string, body map[string]any) {
	m.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		m.t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		m.t.Fatal(err)
	}
	if m.op.Schema.VisitJSON(plain, openapi3.VisitAsRequest()) == nil || coerced(m.op.Schema, body) {
		m.noFault(what, data)
		return
	}
	m.refused(what+" "+string(data[:min(len(data), 300)]), data, nil, http.StatusUnprocessableEntity)
}

// coerced reports whether a value is among those that clients may send in another type: numbers for booleans and the like.
func coerced(schema *openapi3.Schema, body map[string]any) bool {
	for name, value := range body {
		p := schema.Properties[name]
		if p == nil {
			continue
		}
		if b, ok := value.(bool); ok && b && (p.Value.Type.Is("integer") || p.Value.Type.Is("number")) {
			return true
		}
	}
	return false
}

// good is the example of the contract, without what a server on the embedded model can't do.
func (m malformed) good() map[string]any {
	m.t.Helper()
	var body map[string]any
	if err := json.Unmarshal(m.op.Body, &body); err != nil {
		m.t.Fatal(err)
	}
	delete(body, "provider")
	delete(body, "model")
	return body
}

func (m malformed) sizes() {
	m.t.Helper()
	huge := []byte(`{"message":"` + strings.Repeat("x", 1<<20) + `"}`)
	m.refused("too large a body", huge, nil, http.StatusRequestEntityTooLarge)
	m.refused("too large a body of unknown length", io.MultiReader(bytes.NewReader(huge)), nil, http.StatusRequestEntityTooLarge)
	m.refused("too many spaces", strings.Repeat(" ", 1<<20)+`{"message":"x"}`, nil, http.StatusRequestEntityTooLarge)
	long := strings.Repeat("x", 200<<10)
	m.judged("long texts", map[string]any{"message": long, "name": long, "persona_id": long, "token": long, "a": long}) // of which some know none
}

func (m malformed) types() {
	m.t.Helper()
	for _, kind := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense", "application/jsonx"} {
		m.refused("content type "+kind, m.op.Body, http.Header{"Content-Type": {kind}}, http.StatusUnsupportedMediaType)
	}
	if r := m.send(m.op.Body, http.Header{"Content-Type": nil}); r.Status >= 500 && r.Status != http.StatusServiceUnavailable {
		m.t.Errorf("without a content type: status %d: %.500s", r.Status, r.Body)
	}
}

func (m malformed) alive() {
	m.t.Helper()
	m.server.Anonymous().Get("/livez").Want(http.StatusOK)
}

// badIDs are path segments, already escaped.
var badIDs = []string{
	"not-a-uuid", "0", "-1", "null", "undefined", "%00", "a%00b", "%ff%fe", "%F0%9F%98%80", "%7B%7D", "..%2f..%2fetc%2fpasswd", "%2e%2e", "a%2Fb", "a%20b", "%25",
	"'%20OR%201=1--", "%3Cscript%3E", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000", "urn:uuid:00000000-0000-4000-8000-000000000000",
	"%7B00000000-0000-4000-8000-000000000000%7D", "0000000000004000800000000000000", "00000000-0000-4000-8000-00000000000g", "00000000-0000-4000-8000-000000000000", strings.Repeat("a", 5000),
}

func TestMalformedIDs(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		client := server.Client()
		for _, op := range gaiatest.Operations(t) {
			if !op.Finished || !strings.Contains(op.Template, "{persona_id}") {
				continue
			}
			for _, id := range badIDs {
				r := client.Do(gaiatest.Request{Method: op.Method, Path: strings.ReplaceAll(op.Template, "{persona_id}", id), Body: bodyFor(op)})
				if r.Status != http.StatusNotFound && r.Status != http.StatusUnprocessableEntity {
					t.Errorf("%s %s: status %d: %.300s", op.Method, id, r.Status, r.Body)
				}
			}
		}
		for _, path := range []string{"/api/v0.2/personas/set", "/api/v1/chat/personas/set"} {
			for _, id := range badIDs {
				plain, err := url.PathUnescape(id)
				if err != nil {
					plain = id
				}
				r := client.Post(path, map[string]any{"persona_id": strings.ToValidUTF8(plain, "?")})
				if r.Status != http.StatusNotFound && r.Status != http.StatusUnprocessableEntity {
					t.Errorf("%s %s: status %d: %.300s", path, id, r.Status, r.Body)
				}
			}
		}
		client.Get("/livez").Want(http.StatusOK)
	})
}

func bodyFor(op gaiatest.Operation) any {
	if op.Body == nil {
		return nil
	}
	return op.Body
}

func TestMalformedConversationIDs(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		client := b.Start(t).Client()
		for _, path := range []string{"/api/v0.2/chat", "/api/v0.2/chat/stream", "/api/v1/chat", "/api/v1/chat/completions"} {
			for _, id := range []string{"x", "00000000-0000-4000-8000-00000000000g", "\u0000", "{00000000-0000-4000-8000-000000000000}", strings.Repeat("a", 64), strings.Repeat("a", 5000)} {
				client.Post(path, map[string]any{"message": "x", "conversation_id": id}).Want(http.StatusUnprocessableEntity)
			}
			client.Post(path, map[string]any{"message": "x", "persona_id": "nobody"}).Want(http.StatusNotFound)
			client.Post(path, map[string]any{"message": "x", "persona_id": "\u0000"}).Want(http.StatusNotFound)
		}
	})
}

func TestMalformedQueries(t *testing.T) {
	t.Parallel()
	client := gaiatest.Start(t).Client()
	bad := []string{
		"active_only=zzz", "active_only=2", "limit=abc", "limit=0", "limit=-1", "limit=101", "limit=1.5", "limit=1e3", "limit=99999999999999999999", "limit=%00", "limit=%ff",
		"offset=abc", "offset=-1", "offset=1000001", "offset=99999999999999999999", "limit=abc&offset=abc&active_only=zzz",
	}
	odd := []string{
		"active_only=", "limit=", "offset=", "limit=1&limit=abc", "%zz", "limit=%zz", "a=%zz&limit=1", ";", "limit=1;offset=2", "=", "&&&", "limit[]=1", "limit=+1", "%00=%00", "%ff=%ff",
		"unknown=" + strings.Repeat("x", 8000), "active_only=TRUE", "active_only=0", "active_only=off",
	}
	for _, path := range []string{"/api/v0.2/personas", "/api/v1/chat/personas"} {
		for _, query := range bad {
			client.Get(path + "?" + query).Want(http.StatusUnprocessableEntity)
		}
		for _, query := range odd {
			if r := client.Get(path + "?" + query); r.Status >= 500 {
				t.Errorf("%s?%.100s: status %d: %.300s", path, query, r.Status, r.Body)
			}
		}
	}
	faults, _ := client.Get("/api/v0.2/personas?limit=abc&offset=abc&active_only=zzz").Want(422).JSON().At("detail").([]any)
	if len(faults) != 3 {
		t.Errorf("three bad parameters give %d faults: %v", len(faults), faults)
	}
}

func TestMalformedHeadersAndURLs(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	client := server.Client()
	long := strings.Repeat("a", 200<<10)
	for what, r := range map[string]gaiatest.Request{
		"header":            {Method: "GET", Path: "/api/v0.2/personas", Header: http.Header{"X-Long": {long}}},
		"URL":               {Method: "GET", Path: "/api/v0.2/personas/" + long},
		"query":             {Method: "GET", Path: "/api/v0.2/personas?limit=" + long},
		"token":             {Method: "GET", Path: "/api/v0.2/personas", Header: http.Header{"Authorization": {"Bearer " + long}}},
		"API key":           {Method: "GET", Path: "/api/v0.2/personas", Header: http.Header{"X-Api-Key": {long[:30<<10]}}},
		"token of dots":     {Method: "GET", Path: "/api/v0.2/personas", Header: http.Header{"X-Api-Key": nil, "Authorization": {"Bearer " + strings.Repeat(".", 30<<10)}}},
		"Idempotency-Key":   {Method: "POST", Path: "/api/v0.2/chat", Body: `{"message":"x"}`, Header: http.Header{"Idempotency-Key": {long[:256]}}},
		"If-None-Match":     {Method: "GET", Path: "/api/v0.2/personas", Header: http.Header{"If-None-Match": {long[:1025]}}},
		"method":            {Method: "NONSENSE", Path: "/api/v0.2/personas"},
		"method in a chat":  {Method: "PATCH", Path: "/api/v0.2/chat"},
		"path with escapes": {Method: "GET", Path: "/api/v0.2/%00%ff"},
		"path upwards":      {Method: "GET", Path: "/api/v0.2/../../etc/passwd"},
		"double slash":      {Method: "GET", Path: "//api//v0.2//personas"},
	} {
		resp, err := client.Try(r)
		if err != nil { // the server may close the connection on a header that it does not even read
			t.Logf("%s: %v", what, err)
			continue
		}
		if resp.Status < 400 || resp.Status > 499 {
			if what == "path upwards" && resp.Status == http.StatusTemporaryRedirect {
				continue
			}
			t.Errorf("long or odd %s: status %d: %.300s", what, resp.Status, resp.Body)
		}
	}
	client.Get("/livez").Want(http.StatusOK)
	if !server.Running() {
		t.Error("the server is gone")
	}
}
