package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"gaia/domain"
)

type ctxKey int

func principalFrom(ctx context.Context) domain.Principal { return domain.ServicePrincipal() }
func requestIDFrom(ctx context.Context) string           { return "temp" }

type oaError struct {
	Message, Type string
	Code, Param   *string
}

func openAIErrorFor(err error) oaError {
	return oaError{Message: clientMessage(err), Type: "api_error"}
}
func clientMessage(err error) string {
	var e *domain.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "Internal server error"
}
func (s *server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(500)
	_ = json.NewEncoder(w).Encode(map[string]any{"detail": err.Error(), "status_code": 500, "error_type": "internal_error", "request_id": "temp"})
}
