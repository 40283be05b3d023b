package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/app"
)

// surfaces are the operations, by their paths, with limits of their own.
var surfaces = map[string]app.Surface{
	"/api/v1/auth/login":               app.SignIn,
	"/api/v1/auth/register":            app.Mail,
	"/api/v1/auth/recover":             app.Mail,
	"/api/v1/auth/resend-verification": app.Mail,
	"/api/v1/auth/refresh":             app.Refresh,
	"/api/v1/auth/validate":            app.Validation,
}

// limitRate counts requests of an operation by caller, or by address when the caller is unknown.
func limitRate(op *intake.Operation, limits *app.Limits, trusted proxies, fail failFunc) func(http.Handler) http.Handler {
	surface := surfaces[op.Path]
	return func(next http.Handler) http.Handler {
		if !op.Limited {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			standing, err := limits.Request(r.Context(), callerOf(r, trusted), surface)
			if err != nil {
				fail(w, r, err)
				return
			}
			setStanding(w.Header(), standing)
			next.ServeHTTP(w, r)
		})
	}
}

// limitAccount counts attempts at the account that a request names. It has to come after validate: the address is in the body.
func limitAccount(op *intake.Operation, limits *app.Limits, fail failFunc) func(http.Handler) http.Handler {
	surface := surfaces[op.Path]
	return func(next http.Handler) http.Handler {
		if surface != app.SignIn && surface != app.Mail {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body) // validate has it in memory
			var named struct {
				Email string `json:"email"`
			}
			if err == nil {
				err = json.Unmarshal(body, &named)
			}
			if err == nil {
				err = limits.Account(r.Context(), surface, named.Email)
			}
			if err != nil {
				fail(w, r, err)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
}

// callerOf is whose requests are counted together.
func callerOf(r *http.Request, trusted proxies) app.Caller {
	who := app.Caller{Address: trusted.client(r)}
	if id, known := r.Context().Value(identityKey{}).(identity); known && id.err == nil {
		who.Owner = id.who.OwnerID()
	}
	return who
}

// setStanding tells callers how much they have left. Where nothing is limited there is nothing to tell.
func setStanding(h http.Header, s app.Standing) {
	if s.Limit == 0 {
		return
	}
	h.Set("X-RateLimit-Limit", strconv.Itoa(s.Limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(s.Remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(s.Reset.Add(time.Second-1).Unix(), 10)) // not a moment too early
}
