package openai

import (
	"net/http"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// ParseError finds the provider's error in the body of a response.
func (d *decoder) ParseError(body []byte) (upstream.Said, bool) {
	said, ok := parseError(body)
	return upstream.Said(said), ok
}

// Refuse says what a refusal means for Gaia's client. The provider's own code decides first, since it is more exact than its status.
// What a provider has no code for is known by its text only.
func (d *decoder) Refuse(r upstream.Refusal) *domain.Error {
	switch {
	case r.Is("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"):
		return r.NoQuota()
	case r.Is("model_not_found", "invalid_model", "DeploymentNotFound"):
		return r.NoSuchModel()
	case r.Is("context_length_exceeded", "exceed_context_size_error"), badRequest(r) && tooLong(r.Message):
		return r.ContextLength()
	case r.Is("content_filter", "content_policy_violation"):
		return r.ContentFilter()
	case r.Is("invalid_api_key"), d.dialect == Gemini && badRequest(r) && upstream.HasWord(r.Message, "api key not valid", "api key expired", "api key not found"):
		return r.RejectedKey()
	case r.Is("rate_limit_exceeded", "rate_limit_error"):
		return r.Limited()
	case r.Is("overloaded_error", "overloaded"):
		return r.Overloaded()
	case d.dialect == Gemini && r.Is("FAILED_PRECONDITION"): // of Gaia's account or place, not of the prompt
		return r.Unavailable()
	default:
		return r.ByStatus(r.Is("invalid_request_error", "INVALID_ARGUMENT"))
	}
}

func badRequest(r upstream.Refusal) bool {
	return r.Status == http.StatusBadRequest || r.Code == "400" || r.Is("invalid_request_error")
}

// tooLong knows the texts of vLLM and Mistral, and that of Gemini.
func tooLong(message string) bool {
	return upstream.HasWord(message, "maximum context length") ||
		upstream.HasWord(message, "input token count") && upstream.HasWord(message, "exceeds the maximum")
}
