package openai

import (
	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// ParseError finds the provider's error in the body of a response.
func (d *decoder) ParseError(body []byte) (upstream.Said, bool) {
	said, ok := parseError(body)
	return upstream.Said(said), ok
}

// Refuse says what a refusal means for Gaia's client. The provider's own code decides first, since it is more exact than its status.
func (d *decoder) Refuse(r upstream.Refusal) *domain.Error {
	switch {
	case r.Is("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"):
		return r.NoQuota()
	case r.Is("model_not_found", "invalid_model", "DeploymentNotFound"):
		return r.NoSuchModel()
	case r.Is("context_length_exceeded"):
		return r.ContextLength()
	case r.Is("content_filter", "content_policy_violation"):
		return r.ContentFilter()
	case r.Is("invalid_api_key"):
		return r.RejectedKey()
	case r.Is("rate_limit_exceeded", "rate_limit_error"):
		return r.Limited()
	default:
		return r.ByStatus(r.Type == "invalid_request_error")
	}
}
