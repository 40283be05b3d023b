package anthropic

import (
	"encoding/json"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

type wireError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Details struct {
		Code string `json:"error_code"`
	} `json:"details"`
}

func (e wireError) said() upstream.Said {
	return upstream.Said{Type: e.Type, Code: e.Details.Code, Message: e.Message}
}

// ParseError finds the provider's error in the body of a response.
func (d *decoder) ParseError(body []byte) (upstream.Said, bool) {
	var wrapped struct {
		Error *wireError `json:"error"`
	}
	if json.Unmarshal(body, &wrapped) != nil || wrapped.Error == nil {
		return upstream.Said{}, false
	}
	return wrapped.Error.said(), true
}

// Refuse says what a refusal means for Gaia's client. The type of the error decides first: in the middle of an answer there is no
// status. What the format has no type for is known by its text only.
func (d *decoder) Refuse(r upstream.Refusal) *domain.Error {
	switch {
	case r.Is("billing_error", "enforced_spend_limit_reached"),
		r.Is("invalid_request_error") && upstream.HasWord(r.Message, "credit balance is too low", "specified api usage limits"):
		return r.NoQuota()
	case r.Is("authentication_error", "permission_error"):
		return r.RejectedKey()
	case r.Is("not_found_error"):
		return r.NoSuchModel()
	case r.Is("rate_limit_error"):
		return r.Limited()
	case r.Is("overloaded_error"):
		return r.Overloaded()
	case r.Is("invalid_request_error") && upstream.HasWord(r.Message,
		"prompt is too long", "input is too long", "exceed context limit", "exceeds context window", "exceed your context limit"):
		return r.ContextLength()
	case r.Is("invalid_request_error") && upstream.HasWord(r.Message, "content filtering policy"):
		return r.ContentFilter()
	default:
		return r.ByStatus(r.Is("invalid_request_error", "request_too_large"))
	}
}
