package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"gaia/api"
)

// eventDoc is asyncapi.yaml. Its keys are checked: one that is misspelt is a fault.
type eventDoc struct {
	AsyncAPI           string `yaml:"asyncapi"`
	Info               struct{ Title, Version, Description string }
	DefaultContentType string `yaml:"defaultContentType"`
	Servers            map[string]struct{ Host, Protocol, Description string }
	Channels           map[string]struct {
		Address, Title, Description string
		Internal                    bool `yaml:"x-gaia-internal"`
		Planned                     bool `yaml:"x-gaia-planned"`
		Messages                    map[string]eventRef
	}
	Operations map[string]struct {
		Action, Summary string
		Channel         eventRef
	}
	Components struct {
		Messages map[string]struct {
			Summary          string
			Headers, Payload eventRef
			Examples         []struct{ Headers, Payload any }
		}
		Schemas map[string]any
	}
}

type eventRef struct {
	Ref string `yaml:"$ref"`
}

func loadEvents(t *testing.T) eventDoc {
	t.Helper()
	var doc eventDoc
	d := yaml.NewDecoder(strings.NewReader(string(api.Events)))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("asyncapi.yaml: %v", err)
	}
	return doc
}

func TestEventDocumentIsWellFormed(t *testing.T) {
	t.Parallel()
	doc := loadEvents(t)
	if doc.AsyncAPI != "3.0.0" || doc.Info.Title == "" || doc.Info.Version == "" || doc.DefaultContentType != "application/json" || len(doc.Servers) != 1 {
		t.Errorf("the head is %q, %+v, %q, %d servers", doc.AsyncAPI, doc.Info, doc.DefaultContentType, len(doc.Servers))
	}
	senders := map[string]int{}
	for name, o := range doc.Operations {
		channel, ok := strings.CutPrefix(o.Channel.Ref, "#/channels/")
		if _, there := doc.Channels[channel]; !ok || !there || o.Summary == "" || o.Action != "send" && o.Action != "receive" {
			t.Errorf("operation %s: %+v", name, o)
		}
		if want := o.Action + strings.ToUpper(channel[:1]) + channel[1:]; name != want {
			t.Errorf("operation %s should be called %s", name, want)
		}
		if o.Action == "send" {
			senders[channel]++
		}
	}
	for name, c := range doc.Channels {
		want := eventRef{"#/components/messages/" + name}
		if c.Title == "" || len(c.Messages) != 1 || c.Messages[name] != want || senders[name] != 1 {
			t.Errorf("channel %s has %d senders and messages %v, not one %s", name, senders[name], c.Messages, want)
		}
		if address := "gaia." + strings.ToLower(strings.NewReplacer(".", "", "_", "").Replace(c.Address)); strings.ToLower("gaia.gaia"+name) != address {
			t.Errorf("channel %s has the address %s", name, c.Address)
		}
		if _, there := doc.Components.Messages[name]; !there {
			t.Errorf("channel %s has no message", name)
		}
	}
	if len(doc.Components.Messages) != len(doc.Channels) {
		t.Errorf("%d messages for %d channels", len(doc.Components.Messages), len(doc.Channels))
	}
}

// TestEventExamples also finds references that lead nowhere and schemas that are none.
func TestEventExamples(t *testing.T) {
	t.Parallel()
	doc := loadEvents(t)
	var raw any
	if err := yaml.Unmarshal(api.Events, &raw); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	if err := c.AddResource("mem:///events", raw); err != nil {
		t.Fatal(err)
	}
	check := func(what string, at eventRef, example any) {
		schema, err := c.Compile("mem:///events" + at.Ref)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if err := schema.Validate(example); err != nil {
			t.Errorf("example of %s: %v", what, err)
		}
	}
	for name, m := range doc.Components.Messages {
		if m.Summary == "" || len(m.Examples) == 0 && !doc.Channels[name].Planned {
			t.Errorf("message %s: no summary, or no example", name)
		}
		for _, e := range m.Examples {
			check("payload of "+name, m.Payload, e.Payload)
			if (m.Headers.Ref == "") != (e.Headers == nil) {
				t.Errorf("message %s: headers in the example or in the message alone", name)
			} else if e.Headers != nil {
				check("headers of "+name, m.Headers, e.Headers)
			}
		}
	}
	for name := range doc.Components.Schemas {
		if n := strings.Count(string(api.Events), "'#/components/schemas/"+name+"'"); n == 0 {
			t.Errorf("nothing uses the schema %s", name)
		}
		if _, err := c.Compile("mem:///events#/components/schemas/" + name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
}

// TestEventObjectsAreClosed: what is published now may not hold a key that the document does not name.
func TestEventObjectsAreClosed(t *testing.T) {
	t.Parallel()
	doc := loadEvents(t)
	var visit func(at string, schema any)
	visit = func(at string, schema any) {
		switch s := schema.(type) {
		case map[string]any:
			if s["properties"] != nil && s["additionalProperties"] != false {
				t.Errorf("%s may have more keys than it names", at)
			}
			for key, inner := range s {
				visit(at+"/"+key, inner)
			}
		case []any:
			for i, inner := range s {
				visit(at+"/"+strconv.Itoa(i), inner)
			}
		}
	}
	for name, schema := range doc.Components.Schemas {
		planned := name == "AssetGeneration"
		if headers := strings.HasSuffix(name, "Headers"); !planned && !headers { // NATS itself adds headers
			visit(name, schema)
		}
	}
}

// TestSubjectsAndChannelsAreTheSame compares the constants of domain/event.go with the channels that are not planned.
func TestSubjectsAndChannelsAreTheSame(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../domain/event.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	subjects := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Subject") {
			subject, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			subjects[subject] = true
		}
		return true
	})
	channels := map[string]bool{}
	for _, c := range loadEvents(t).Channels {
		if !c.Planned {
			channels[c.Address] = true
		} else if subjects[c.Address] {
			t.Errorf("%s is planned and there", c.Address)
		}
	}
	if len(subjects) == 0 || !maps.Equal(subjects, channels) {
		t.Errorf("code %q\ndocument %q", slices.Sorted(maps.Keys(subjects)), slices.Sorted(maps.Keys(channels)))
	}
}
