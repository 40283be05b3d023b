package openai

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"gaia/adapters/internal/upstream"
)

// providerError is an error as a provider words it.
type providerError upstream.Said

type providerFields struct {
	Message looseMessage    `json:"message"`
	Type    json.RawMessage `json:"type"`
	Code    json.RawMessage `json:"code"`
	Status  json.RawMessage `json:"status"` // Google's word beside a code that is the HTTP status
	Details json.RawMessage `json:"details"`
}

func (f providerFields) providerError() providerError {
	e := providerError{Message: string(f.Message), Type: word(f.Type), Code: word(f.Code), RetryAfter: retryDelay(f.Details)}
	if e.Type == "" {
		e.Type = word(f.Status)
	}
	return e
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

// retryDelay finds the wait that Google puts among an error's details, such as "34s".
func retryDelay(raw json.RawMessage) time.Duration {
	var details []struct {
		Delay string `json:"retryDelay"`
	}
	if json.Unmarshal(raw, &details) != nil {
		return 0
	}
	for _, d := range details {
		if wait, err := time.ParseDuration(d.Delay); err == nil {
			return upstream.BoundedWait(wait.Seconds())
		}
	}
	return 0
}

// maxBroken bounds the broken rules that a message names.
const maxBroken = 5

// looseMessage is a text, or what Mistral sends for a request that breaks rules: a list of them, or an object with one. What the
// rules were broken with is left out; it may be the prompt.
type looseMessage string

// UnmarshalJSON takes all three; anything else is no message.
func (m *looseMessage) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*string)(m)) == nil {
		return nil
	}
	var wrapped struct {
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(data, &wrapped) == nil && wrapped.Detail != nil {
		data = wrapped.Detail
	}
	var rules []brokenRule
	if json.Unmarshal(data, &rules) != nil {
		return nil //nolint:nilerr // the rest of the error still says something
	}
	texts := make([]string, 0, maxBroken)
	for _, r := range rules[:min(len(rules), maxBroken)] {
		texts = append(texts, r.String())
	}
	*m = looseMessage(strings.Join(texts, "; "))
	return nil
}

// brokenRule is a fault in the words of FastAPI.
type brokenRule struct {
	Loc []json.RawMessage `json:"loc"`
	Msg string            `json:"msg"`
}

// String is "body.messages.0.role: Field required".
func (r brokenRule) String() string {
	place := make([]string, 0, len(r.Loc))
	for _, step := range r.Loc {
		place = append(place, word(step))
	}
	if len(place) == 0 {
		return r.Msg
	}
	return strings.Join(place, ".") + ": " + r.Msg
}

// parseError finds the provider's error in a body. OpenAI wraps it in "error"; others send a list of such objects, a plain text
// in "error", the fields at the top, or a list of broken rules in "detail".
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
		Object string          `json:"object"`
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &bare) != nil {
		return said, false
	}
	rules := bytes.HasPrefix(bare.Detail, []byte("["))
	if !rules && !strings.EqualFold(bare.Object, "error") {
		return said, false
	}
	said = bare.providerError()
	if said.Message == "" && rules {
		var message looseMessage
		if json.Unmarshal(bare.Detail, &message) == nil {
			said.Message = string(message)
		}
	}
	return said, true
}
