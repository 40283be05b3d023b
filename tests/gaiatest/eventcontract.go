package gaiatest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"gaia/api"
)

// eventContract holds what asyncapi.yaml says about each subject that is in use.
type eventContract map[string]*eventMessage

type eventMessage struct {
	payload *jsonschema.Schema
	headers *jsonschema.Schema // nil: the event has none
}

var theEventContract = sync.OnceValues(loadEventContract)

func loadEventContract() (eventContract, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(api.Events, &doc); err != nil {
		return nil, fmt.Errorf("load the contract of events: %w", err)
	}
	const url = "mem:///asyncapi.yaml"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	if err := c.AddResource(url, doc); err != nil {
		return nil, fmt.Errorf("load the contract of events: %w", err)
	}
	contract := eventContract{}
	channels, _ := doc["channels"].(map[string]any)
	for name := range channels {
		channel, _ := channels[name].(map[string]any)
		if channel["x-gaia-planned"] == true {
			continue
		}
		address, _ := channel["address"].(string)
		payload, err := c.Compile(url + "#/components/messages/" + name + "/payload")
		if err != nil {
			return nil, fmt.Errorf("payload of %s: %w", name, err)
		}
		contract[address] = &eventMessage{payload: payload}
		if !hasHeaders(doc, name) {
			continue
		}
		if contract[address].headers, err = c.Compile(url + "#/components/messages/" + name + "/headers"); err != nil {
			return nil, fmt.Errorf("headers of %s: %w", name, err)
		}
	}
	return contract, nil
}

func hasHeaders(doc map[string]any, message string) bool {
	components, _ := doc["components"].(map[string]any)
	messages, _ := components["messages"].(map[string]any)
	m, _ := messages[message].(map[string]any)
	return m["headers"] != nil
}

const traceparent = "traceparent"

// traceOfEvent is what W3C Trace Context says that the header holds.
var traceOfEvent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`)

// CheckEvent judges an event by the contract. The subject is without a prefix.
func CheckEvent(subject string, header nats.Header, data []byte) error {
	contract, err := theEventContract()
	if err != nil {
		return err
	}
	message := contract[subject]
	if message == nil {
		return errors.New("the contract of events has no such subject")
	}
	payload, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	if err := message.payload.Validate(payload); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	if trace := header.Get(traceparent); trace != "" { // any event may have it
		if !traceOfEvent.MatchString(trace) {
			return fmt.Errorf("trace %q", trace)
		}
		header = maps.Clone(header)
		header.Del(traceparent)
	}
	if message.headers == nil {
		if len(header) > 0 {
			return fmt.Errorf("headers %v that the contract does not have", header)
		}
		return nil
	}
	headers := map[string]any{}
	for name := range header {
		headers[name] = header.Get(name)
	}
	if err := message.headers.Validate(headers); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	return nil
}

// Stranger is a header of messages that a test publishes in the place of somebody who is not Gaia: nobody judges them.
const Stranger = "Stranger"

// checkEvents judges everything that Gaia publishes on a bus until the test ends.
func checkEvents(t testing.TB, url, prefix string) {
	t.Helper()
	closed := make(chan struct{})
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		t.Fatalf("gaiatest: %v", err)
	}
	t.Cleanup(func() {
		if conn.Drain() != nil { // the server is away
			conn.Close()
		}
		<-closed
	})
	_, err = conn.Subscribe(prefix+"gaia.>", func(m *nats.Msg) {
		if m.Header.Get(Stranger) != "" {
			return
		}
		if err := CheckEvent(strings.TrimPrefix(m.Subject, prefix), m.Header, m.Data); err != nil {
			t.Errorf("gaiatest: event %s is not as the contract says: %v\n%s", m.Subject, err, m.Data)
		}
	})
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatalf("gaiatest: %v", err)
	}
}
