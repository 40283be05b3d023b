package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/app"
	"gaia/domain"
)

// authenticateFunc finds out who calls from the two headers that can carry credentials.
type authenticateFunc = func(ctx context.Context, authorization, apiKey string) (domain.Principal, error)

type identityKey struct{}

// identity is what is known about a caller, or why nothing is.
type identity struct {
	who   domain.Principal
	token string // the access token, when that is what told who it is
	err   error
}

// judgeFunc finds out who made a request.
type judgeFunc = func(*http.Request) (domain.Principal, error)

// judgeCarefully lets authenticate judge, but neither one key after the other (limits) nor so many at once that the database has to do
// with nothing else (proving).
func judgeCarefully(authenticate authenticateFunc, limits *app.Limits, proving gate, trusted proxies) judgeFunc {
	return func(r *http.Request) (domain.Principal, error) {
		authorization, apiKey := credential(r.Header, "Authorization"), credential(r.Header, "X-Api-Key")
		if authorization != "" || apiKey != "" {
			caller, err := proving.enter(r)
			if err != nil {
				return domain.Principal{}, err
			}
			defer proving.leave(caller)
		}
		return limits.Authenticate(r.Context(), trusted.client(r), authorization, apiKey, authenticate)
	}
}

// identify finds out who calls an operation, and goes on either way: the rate limiter has to see callers who fail, too. authorize
// decides later.
func identify(op *intake.Operation, judge judgeFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if op.Public {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if byLink(op, r) {
				next.ServeHTTP(w, r)
				return
			}
			begun := time.Now()
			who, err := judge(r)
			if rec := recorderFrom(r.Context()); rec != nil && err == nil {
				rec.principal, rec.authentication = who.Type, time.Since(begun)
			}
			id := identity{who: who, err: err}
			if err == nil && who.Type == domain.AuthJWT {
				_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				id.token = strings.Trim(token, " \t") // as it was judged
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
		})
	}
}

// byLink reports whether a request comes by a signed link, which stands in the place of credentials.
func byLink(op *intake.Operation, r *http.Request) bool {
	return op.Links && r.URL.Query().Has("signature")
}

// credential is the value of a header that holds credentials. One that comes twice is as good as none: a proxy in front may have looked
// at the other one.
func credential(h http.Header, name string) string {
	if values := h[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// authorize lets nobody through to an operation who is unknown or whose key lacks the scope.
func authorize(op *intake.Operation, fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if op.Public {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, known := r.Context().Value(identityKey{}).(identity)
			switch {
			case byLink(op, r):
				next.ServeHTTP(w, r) // the operation judges the link
			case !known:
				fail(w, r, domain.NewError(domain.Unauthenticated, "Not authenticated. Provide a valid JWT or API Key."))
			case id.err != nil:
				fail(w, r, id.err)
			case !op.Opaque && !id.who.HasScope(op.Scope): // what is opaque asks for scopes itself
				fail(w, r, domain.NewError(domain.Forbidden, "This API key lacks the scope "+op.Scope))
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
}

// principalFrom is who made the request that a context belongs to; the zero Principal on public operations.
func principalFrom(ctx context.Context) domain.Principal {
	id, _ := ctx.Value(identityKey{}).(identity)
	return id.who
}

// accessTokenFrom is the token that the caller is known by; empty for callers with a key.
func accessTokenFrom(ctx context.Context) string {
	id, _ := ctx.Value(identityKey{}).(identity)
	return id.token
}

// noStore keeps tokens out of caches: what an operation about accounts answers is for its caller alone, and only now.
func noStore(op *intake.Operation) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if !strings.HasPrefix(op.Path, "/api/v1/auth/") {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			next.ServeHTTP(w, r)
		})
	}
}
