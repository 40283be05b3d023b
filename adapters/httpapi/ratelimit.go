package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// RateDecision is what a limiter says about one request.
type RateDecision struct {
	Allowed    bool
	Limit      int       // requests in a period
	Remaining  int       // of them, after this one
	Reset      time.Time // when the period ends
	RetryAfter time.Duration
	Rule       string // for people: "60 per 1 minute"
}

// RateLimiter counts a request of somebody and decides about it. It must not wait for anything that can be away.
type RateLimiter func(ctx context.Context, id string) RateDecision

// limitRate counts requests of an operation by caller, or by address when the caller is unknown. A nil limiter limits nothing.
func limitRate(op *intake.Operation, take RateLimiter, trusted proxies, fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if take == nil || !op.Limited {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d := take(r.Context(), limitedID(r, trusted))
			h := w.Header()
			h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit))
			h.Set("X-RateLimit-Remaining", strconv.Itoa(max(d.Remaining, 0)))
			h.Set("X-RateLimit-Reset", strconv.FormatInt(d.Reset.Unix(), 10))
			if !d.Allowed {
				fail(w, r, &domain.Error{Kind: domain.Limited, Message: "Rate limit exceeded: " + d.Rule, RetryAfter: d.RetryAfter})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// limitedID names whose requests are counted together.
func limitedID(r *http.Request, trusted proxies) string {
	if id, known := r.Context().Value(identityKey{}).(identity); known && id.err == nil {
		return "owner:" + id.who.OwnerID()
	}
	addr := trusted.client(r)
	if addr.Is6() { // whoever has one address has the 2^64 of its network
		return "net:" + netip.PrefixFrom(addr, 64).Masked().String()
	}
	return "addr:" + addr.String()
}
