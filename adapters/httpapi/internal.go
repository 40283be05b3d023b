package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// internalPrefix is where paths are that only other services may call.
const internalPrefix = "internal"

// NewInternal makes the handler for other services. It serves the same operations, but believes nothing about a caller that no other
// service has signed: neither a key nor a token opens anything. What is signed comes from the gateway, which has limited how often callers
// come and knows where they are and what they call this server; only how often an account is tried is counted here, since that stands in
// the body.
func NewInternal(c Config) (http.Handler, error) {
	if c.VerifyForwarded == nil {
		return nil, errors.New("httpapi: nothing verifies what other services say")
	}
	c.TrustedProxies = everybody
	handler, err := c.handler(func(root chi.Router, _ []byte, fail failFunc) func(*intake.Operation, http.Handler) http.Handler {
		root.Use(readForwarded(c.VerifyForwarded))
		root.With(noteOrigin(c.TrustedProxies), needForwarded(fail)).Post("/"+internalPrefix+"/validate", c.validateForOthers(fail))
		return c.internalEdge(fail)
	})
	if err != nil {
		return nil, err
	}
	return markAnswers(handler), nil
}

// markAnswers has others know every answer, also one that comes from no operation, from that of something that stands in between.
func markAnswers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(domain.AnswerHeader, "1")
		next.ServeHTTP(w, r)
	})
}

func (c Config) internalEdge(fail failFunc) func(*intake.Operation, http.Handler) http.Handler {
	bodies, running := c.gates()
	return func(op *intake.Operation, handler http.Handler) http.Handler {
		if !c.hosts(op) {
			return notHere(op, fail)
		}
		chain := chi.Middlewares{noteOrigin(c.TrustedProxies), noteAddress(c.PublicURL, c.TrustedProxies)}
		if op.Limited || !op.Public { // others are probes, which anybody may ask
			chain = append(chain, needForwarded(fail), identifyForwarded(op))
		}
		chain = append(
			chain, noStore(op), authorize(op, fail), limitBody(c.bodyLimit(op), fail), validate(op, bodies, fail), limitAccount(op, c.Limits, fail),
			checkWebhook(op, c.Webhooks, c.Log, fail),
		)
		chain = append(chain, limitRunning(op, bodies, running, fail)...)
		return append(chain, implemented(op, fail)).Handler(handler)
	}
}

// everybody is trusted about where requests come from: only those that are signed are answered.
var everybody = proxies{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// notHere answers for an operation that another process carries out.
func notHere(op *intake.Operation, fail failFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, domain.NewError(domain.NotFound, "This process does not serve "+string(op.Service)))
	})
}

type forwardedKey struct{}

// forwarded is what another service has said, or why it is not believed.
type forwarded struct {
	domain.Forwarded
	err error
}

// readForwarded reads what another service says about a request, whose id goes on to be that of the client's request.
func readForwarded(verify func(header string) (domain.Forwarded, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var said forwarded
			said.Forwarded, said.err = verify(credential(r.Header, domain.ForwardedHeader))
			ctx := context.WithValue(r.Context(), forwardedKey{}, said)
			if said.err == nil && harmlessID(said.RequestID) {
				w.Header().Set(requestIDHeader, said.RequestID)
				ctx = context.WithValue(ctx, requestIDKey{}, said.RequestID)
			}
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// needForwarded lets through what another service has signed, even if it says that nobody is known. A refusal is marked, so that who has signed
// does not take it for one of its client.
func needForwarded(fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if said, ok := r.Context().Value(forwardedKey{}).(forwarded); !ok || said.err != nil {
				w.Header().Set(domain.RefusedHeader, "signature")
				fail(w, r, said.err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// identifyForwarded takes the caller of an operation from what another service has said. The token, which some operations hand on to the
// identity provider, is the client's: who it is, it does not tell here.
func identifyForwarded(op *intake.Operation) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if op.Public {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if byLink(op, r) {
				next.ServeHTTP(w, r)
				return
			}
			said, _ := r.Context().Value(forwardedKey{}).(forwarded)
			id := identity{who: said.Principal}
			switch said.Principal.Type {
			case "":
				id.err = domain.NewError(domain.Unauthenticated, "Not authenticated. Provide a valid JWT or API Key.")
			case domain.AuthJWT:
				_, token, _ := strings.Cut(credential(r.Header, "Authorization"), " ")
				id.token = strings.TrimSpace(token)
			}
			if rec := recorderFrom(r.Context()); rec != nil && id.err == nil {
				rec.principal = id.who.Type
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
		})
	}
}

// withoutForwarded drops what only other services may say.
func withoutForwarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(domain.ForwardedHeader)
		next.ServeHTTP(w, r)
	})
}

// hideInternal answers for internal paths, however they are written, as for any that is not there. No route has them on this side;
// this keeps it so for what is forwarded by its prefix.
func hideInternal(fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isInternalPath(r.URL) {
				fail(w, r, errNoRoute)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// isInternalPath reports whether anybody behind could take a path for an internal one: decoded again and again, with either slash, with
// dots resolved, in any case.
func isInternalPath(u *url.URL) bool {
	p := u.Path
	for range 3 {
		clean := strings.ToLower(path.Clean("/" + strings.ReplaceAll(p, `\`, "/")))
		first, _, _ := strings.Cut(clean[1:], "/")
		name, _, _ := strings.Cut(first, ";") // parameters of a segment
		if strings.TrimSpace(name) == internalPrefix {
			return true
		}
		again := escape.ReplaceAllStringFunc(p, func(hex string) string {
			b, _ := strconv.ParseUint(hex[1:], 16, 8)
			return string([]byte{byte(b)})
		})
		if again == p {
			return false
		}
		p = again
	}
	return true // nobody writes a path like this for a good reason
}

// maxCredentials bounds the body of a request to validate, in bytes.
const maxCredentials = 64 << 10

// validateTimeout bounds how long the body may take: it is small and comes from a neighbour.
const validateTimeout = 5 * time.Second

// validation is the answer to another service. It has the keys of the old platform, of which api_key is never told.
type validation struct {
	Valid    bool     `json:"valid"`
	AuthType string   `json:"auth_type,omitempty"`
	UserID   *string  `json:"user_id"`
	APIKey   *string  `json:"api_key"`
	KeyID    *string  `json:"key_id"`
	Owner    string   `json:"owner,omitempty"`
	Scopes   []string `json:"scopes"`
	Tools    []string `json:"tools"` // patterns of tools; null: no list, so that scopes decide, or the credentials are refused
	Error    string   `json:"error,omitempty"`

	KeyExpiresAt *time.Time `json:"key_expires_at"` // null: never, or there is no key
}

// validateForOthers tells a service that can't judge credentials itself whose they are. A user id in the question is no credential.
func (c Config) validateForOthers(fail failFunc) http.HandlerFunc {
	authenticate := c.Audit.Watch(c.Identity.Authenticate)
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(validateTimeout))
		var asked struct {
			Token  string `json:"token"`
			APIKey string `json:"api_key"`
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCredentials))
		if err == nil {
			err = json.Unmarshal(body, &asked)
		}
		if err != nil {
			fail(w, r, domain.NewError(domain.BadRequest, "The body must be a JSON object with token, api_key or both"))
			return
		}
		authorization := ""
		if asked.Token != "" {
			authorization = "Bearer " + asked.Token
		}
		who, err := authenticate(r.Context(), authorization, asked.APIKey)
		answer := validation{
			Valid: true, AuthType: string(who.Type), UserID: nilIfEmpty(who.UserID), KeyID: nilIfEmpty(who.KeyID), Owner: who.OwnerID(),
			Scopes: append([]string{}, who.Scopes...), Tools: who.Tools, KeyExpiresAt: timeToAPI(who.Expires),
		}
		var known *domain.Error
		switch kind := domain.KindOf(err); {
		case err == nil:
		case (kind == domain.Unauthenticated || kind == domain.Forbidden) && errors.As(err, &known):
			answer = validation{Error: known.Message, Scopes: []string{}}
		default:
			fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(answer) // #nosec G117 -- api_key is always null
	}
}
