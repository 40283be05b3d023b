package openai

import (
	"bytes"
	"encoding/json"

	"gaia/adapters/internal/upstream"
)

// providerError is an error as a provider words it.
type providerError upstream.Said

type providerFields struct {
	Message string          `json:"message"`
	Type    json.RawMessage `json:"type"`
	Code    json.RawMessage `json:"code"`
}

func (f providerFields) providerError() providerError {
	return providerError{Message: f.Message, Type: word(f.Type), Code: word(f.Code)}
}

// UnmarshalJSON takes an object, or a text that is the message.
func (e *providerError) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &e.Message) == nil {
		return nil
	}
	var f providerFields
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*e = f.providerError()
	return nil
}

// word reads a JSON string or number; everything else is no word.
func word(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// parseError finds the provider's error in a body. OpenAI wraps it in "error"; others send a list of such objects, a plain text
// in "error", or the fields at the top.
func parseError(body []byte) (said providerError, ok bool) {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("[")) {
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			return said, false
		}
		body = list[0]
	}
	var wrapped struct {
		Error *providerError `json:"error"`
	}
	if json.Unmarshal(body, &wrapped) != nil {
		return said, false
	}
	if wrapped.Error != nil {
		return *wrapped.Error, true
	}
	var bare struct {
		providerFields
		Object string `json:"object"`
	}
	if json.Unmarshal(body, &bare) != nil || bare.Object != "error" {
		return said, false
	}
	return bare.providerError(), true
}
