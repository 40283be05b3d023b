package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Unmarshal reads the data of an event. Its error wraps ErrUnreadable and has nothing of the data, which may be a prompt.
func Unmarshal(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: bad JSON at byte %d", ErrUnreadable, syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("%w: wrong type for %s at byte %d", ErrUnreadable, kind.Field, kind.Offset)
	default:
		return fmt.Errorf("%w: unexpected JSON", ErrUnreadable)
	}
}

// Marshal writes the body of a request.
func Marshal(request any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // nobody shows a request as HTML, and code in prompts is full of < and &
	if err := encoder.Encode(request); err != nil {
		return nil, fmt.Errorf("encode the prompt: %w", err)
	}
	return body.Bytes(), nil
}
