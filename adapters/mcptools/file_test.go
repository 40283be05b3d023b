package mcptools

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

func parse(t *testing.T, text string) (File, error) {
	t.Helper()
	env := map[string]string{"TOKEN": "hunter2", "EMPTY": ""}
	return ParseFile([]byte(text), func(name string) (string, bool) { v, ok := env[name]; return v, ok })
}

func TestFile(t *testing.T) {
	t.Parallel()
	got, err := parse(t, `{
		"mcpServers": {
			"web": {"type": "http", "url": "https://example.com/${PATH_OF_IT:-mcp}?k=${TOKEN}", "headers": {"Authorization": "Bearer ${TOKEN}"},
				"timeout": 1.5, "repeatable": true, "trust_hints": true, "redact": {"login": "*", "send_*": ["body"]}, "redact_results": ["get_*"]},
			"program": {"command": "npx", "args": ["-y", "x@${EMPTY:-1}", "$HOME"], "env": {"T": "${TOKEN}", "E": "${EMPTY}"}, "cwd": "/tmp",
				"timeout": "90s", "max_result_bytes": 1000, "max_concurrent": 2, "tools": ["read_*"], "repeatable": ["read_*"]},
			"off": {"disabled": true, "command": "x", "env": {"A": "${NOBODY_SET_THIS}"}}
		},
		"offer": {"default": ["web/*"], "activities": {"Chat": []}, "personas": {"Ada": ["*"]}}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	want := File{
		Servers: []Server{
			{Name: "off", Command: "x", Env: map[string]string{"A": "${NOBODY_SET_THIS}"}, Disabled: true},
			{
				Name: "program", Command: "npx", Args: []string{"-y", "x@1", "$HOME"}, Env: map[string]string{"T": "hunter2", "E": ""}, Dir: "/tmp",
				Timeout: 90 * time.Second, MaxResultBytes: 1000, Concurrency: 2, Tools: []string{"read_*"}, Repeatable: []string{"read_*"},
				Redact: map[string][]string{}, secrets: []string{"hunter2"},
			},
			{
				Name: "web", URL: "https://example.com/mcp?k=hunter2", Headers: map[string]string{"Authorization": "Bearer hunter2"},
				Timeout: 1500 * time.Millisecond, Repeatable: []string{"*"}, TrustHints: true, Redact: map[string][]string{"login": {"*"}, "send_*": {"body"}},
				RedactResults: []string{"get_*"}, secrets: []string{"hunter2", "hunter2", "Bearer hunter2"},
			},
		},
		Offer: domain.ToolPolicy{
			Default: []string{"web/*"}, Activities: map[string][]string{"chat": {}}, Personas: map[string][]string{"ada": {"*"}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestFaultsOfTheFile(t *testing.T) {
	t.Parallel()
	server := func(text string) string { return `{"mcpServers":{"s":` + text + `}}` }
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"no JSON":         {"{\n\"mcpServers\": {]\n}", []string{"line 2"}},
		"no object":       {`[]`, []string{"the file: must be an object"}},
		"unknown at top":  {`{"servers":{}}`, []string{`the file: unknown key "servers"`, "mcpServers"}},
		"unknown key":     {server(`{"command":"x","comand":"y"}`), []string{`mcpServers.s: unknown key "comand"`}},
		"wrong type":      {server(`{"command":["x"],"disabled":"yes"}`), []string{"mcpServers.s.command: must be a text", "mcpServers.s.disabled: must be true or false"}},
		"neither":         {server(`{}`), []string{"mcpServers.s: needs either command or url"}},
		"both":            {server(`{"command":"x","url":"http://h"}`), []string{"needs either command or url"}},
		"sse":             {server(`{"type":"sse","url":"http://h"}`), []string{"mcpServers.s.type", "http"}},
		"kind":            {server(`{"type":"pipe","command":"x"}`), []string{"mcpServers.s.type"}},
		"stdio with url":  {server(`{"type":"stdio","url":"http://h"}`), []string{"mcpServers.s.type"}},
		"args with url":   {server(`{"url":"http://h","args":["a"]}`), []string{"args, env and cwd are for a command"}},
		"headers":         {server(`{"command":"x","headers":{}}`), []string{"headers are for a url"}},
		"header":          {server(`{"url":"http://h","headers":{"Host":"a","X Y":"b","Z":"c\nd","Mcp-Session-Id":"e"}}`), []string{"headers.Host", "headers.X Y", "headers.Z", "headers.Mcp-Session-Id"}},
		"url":             {server(`{"url":"ftp://hunter2"}`), []string{"mcpServers.s.url"}},
		"user":            {server(`{"url":"http://u:hunter2@h"}`), []string{"mcpServers.s.url", "headers"}},
		"variable":        {server(`{"command":"x","args":["a","${MISSING}"],"env":{"E":"${ALSO}"}}`), []string{"mcpServers.s.args[1]", "MISSING", "mcpServers.s.env.E", "ALSO"}},
		"no variable":     {server(`{"command":"x","args":["${input:token}"]}`), []string{"mcpServers.s.args[0]: ${ begins neither"}},
		"timeout":         {server(`{"command":"x","timeout":0}`), []string{"mcpServers.s.timeout"}},
		"long timeout":    {server(`{"command":"x","timeout":"2h"}`), []string{"mcpServers.s.timeout"}},
		"bounds":          {server(`{"command":"x","max_result_bytes":99999999,"max_concurrent":-1}`), []string{"max_result_bytes", "max_concurrent"}},
		"repeatable":      {server(`{"command":"x","repeatable":"all"}`), []string{"mcpServers.s.repeatable"}},
		"patterns":        {server(`{"command":"x","tools":["a/b"],"redact":{"[":"*","t":"all"},"redact_results":[""]}`), []string{"s.tools", "s.redact", "s.redact.t", "s.redact_results"}},
		"name":            {`{"mcpServers":{"a/b":{"command":"x"}}}`, []string{"mcpServers.a/b"}},
		"offer":           {`{"offer":{"default":["tool"],"activities":{"a":["b/"]},"people":{}}}`, []string{`offer: unknown key "people"`}},
		"offer patterns":  {`{"offer":{"default":["tool"],"activities":{"a":["b/"]},"personas":{"A":[],"a":[]}}}`, []string{"offer.default", "offer.activities.a", "offer.personas.a"}},
		"value is hidden": {server(`{"url":"${TOKEN}"}`), []string{"mcpServers.s.url"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, c.text)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q shows a value", err)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	p, err := newParameters([]byte(`{
		"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["path"], "additionalProperties": false,
		"definitions": {"node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/node"}, "n": {"type": "integer"}}}},
		"properties": {
			"path": {"type": "string", "minLength": 1, "pattern": "^[a-z/]+$"}, "mode": {"enum": ["r", "w"]}, "n": {"type": "integer", "minimum": 1},
			"pair": {"items": [{"type": "string"}, {"type": "integer"}], "additionalItems": false}, "node": {"$ref": "#/definitions/node"}
		}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	for args, says := range map[string]string{
		`{"path":"a/b"}`: "", `{"path":"a","mode":"r","n":3,"pair":["a",1],"node":{"next":{"next":{"n":"anything"}}}}`: "",
		"{\n \"path\" : \"a\"\n}":            "",
		``:                                   "required",
		`null`:                               "required",
		`[]`:                                 "not a JSON object",
		`{"path":"hunter2"}`:                 "/properties/path: pattern",
		`{"path":5}`:                         `/properties/path: type: want "string"`,
		`{"path":"a","hunter2":1}`:           "unexpected additional properties",
		`{"path":"a want hunter2 "}`:         "/properties/path: pattern",
		`{"path":"a","mode":"hunter2"}`:      "does not equal any of: [r w]",
		`{"path":"a","n":0}`:                 "/properties/n: minimum",
		`{"path":"a","pair":["a",1,2]}`:      "/properties/pair",
		`{"path":"a","node":{"n":"hunter"}}`: `want "integer"`,
		`{"path":"` + strings.Repeat("a", maxArguments) + `"}`: "larger than",
	} {
		sent, err := p.check(json.RawMessage(args))
		if says == "" {
			if err != nil || strings.ContainsAny(string(sent), "\n") {
				t.Errorf("%s: %s, %v", args, sent, err)
			}
			continue
		}
		if domain.KindOf(err) != domain.BadRequest || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v, want BadRequest that says %q", args, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") && !strings.Contains(args, `"hunter2":1`) {
			t.Errorf("%s: %v shows a value", args, err)
		}
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	b := newBudget(1<<20, 1)
	now := time.Now()
	b.clock, b.at = func() time.Time { return now }, now
	if !b.spend(unaskedBurst-messageCost, 1) || b.spend(1, 0) {
		t.Error("a server may send its burst and no more")
	}
	now = now.Add(time.Second)
	if !b.spend(unaskedPerSec/2, 0) {
		t.Error("after a second it may send more")
	}
	for range 100 {
		b.grant(1 << 20)
	}
	if b.left > b.most {
		t.Errorf("it may send %d, want %d at most", b.left, b.most)
	}
}
