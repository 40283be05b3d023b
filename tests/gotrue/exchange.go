package gotrue

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
)

//go:embed exchanges.jsonl
var recorded []byte

// Exchange is one request to the real server and what it answered.
type Exchange struct {
	Name            string            `json:"name"`
	Profile         string            `json:"profile"` // the settings of the server
	Given           string            `json:"given"`   // the state before the request
	Method          string            `json:"method"`
	Path            string            `json:"path"`
	Headers         map[string]string `json:"headers"`
	Request         any               `json:"request"` // text when it was no JSON, nil when there was no body
	Status          int               `json:"status"`
	ResponseHeaders map[string]string `json:"response_headers"`
	Body            any               `json:"body"` // text when it is no JSON, nil when it is empty
}

var load = sync.OnceValue(func() []Exchange {
	var all []Exchange
	for d := json.NewDecoder(bytes.NewReader(recorded)); d.More(); {
		var e Exchange
		if err := d.Decode(&e); err != nil {
			panic(fmt.Sprintf("gotrue: exchange %d: %v", len(all)+1, err)) // of this repository itself
		}
		all = append(all, e)
	}
	return all
})

// Exchanges returns everything that was recorded.
func Exchanges() []Exchange { return load() }

// Named returns one recorded exchange. It panics when there is none.
func Named(name string) Exchange {
	for _, e := range load() {
		if e.Name == name {
			return e
		}
	}
	panic("gotrue: no exchange " + name)
}

// Fill puts values in place of the placeholders of a recorded value. value is asked with the key under which a placeholder stands.
func Fill(v any, value func(key, placeholder string) any) any { return fill("", v, value) }

func fill(key string, v any, value func(key, placeholder string) any) any {
	switch v := v.(type) {
	case map[string]any:
		filled := make(map[string]any, len(v))
		for k, inner := range v {
			filled[k] = fill(k, inner, value)
		}
		return filled
	case []any:
		filled := make([]any, len(v))
		for i, inner := range v {
			filled[i] = fill(key, inner, value)
		}
		return filled
	case string:
		if len(v) > 2 && v[0] == '<' && v[len(v)-1] == '>' {
			return value(key, v)
		}
	}
	return v
}
