package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// exchange is a request to the LLM Platform and what it answered. In an answer, text in angle brackets stands for a value that
// differs from call to call. Where CurrentClients is set, the answer is the one that clients in use today rely on, which newer
// releases of the old platform's framework give; the recording was made with an older one. Where AskedAt is set, a service was asked itself, at a
// path of its own that clients can't reach: here the operation is asked that the service carried out.
type exchange struct {
	Name           string            `json:"name"`
	Method         string            `json:"method"`
	Path           string            `json:"path"`
	AskedAt        string            `json:"asked_at"`
	Auth           string            `json:"auth"`
	Given          given             `json:"given"`
	HeadersSent    map[string]string `json:"headers_sent"`
	Request        any               `json:"request"`
	CurrentClients bool              `json:"current_clients"`
	Status         int               `json:"status"`
	Headers        map[string]string `json:"headers"`
	Body           any               `json:"body"`
}

// given is the state that an exchange needs.
type given struct {
	History  *int           `json:"history"` // messages in the conversation of the caller
	Personas []givenPersona `json:"personas"`
	Chosen   bool           `json:"chosen"` // the caller has chosen the first of the personas

	NoProvider bool `json:"no_provider"` // no identity provider is configured
	Asset      bool `json:"asset"`       // there is one as is asked for
}

type givenPersona struct {
	Name         string         `json:"name"`
	Description  string         `json:"description"`
	SystemPrompt string         `json:"system_prompt"`
	Traits       map[string]any `json:"personality_traits,omitempty"`
	Capabilities map[string]any `json:"capabilities,omitempty"`
	ByUser       bool           `json:"by_user,omitempty"`
	Deleted      bool           `json:"deleted,omitempty"`
}

// differences is the table of what Gaia answers differently, and why.
type differences struct {
	Reasons map[string]string `json:"reasons"`
	Rows    []difference      `json:"rows"`
}

type difference struct {
	Exchange string `json:"exchange"`
	Field    string `json:"field"`
	Reason   string `json:"reason"`
}

// replayed counts over all backends.
var replayed tally

type tally struct {
	mu                      sync.Mutex
	exact, explained, total int
}

func (c *tally) add(differs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	if differs {
		c.explained++
	} else {
		c.exact++
	}
}

func (c *tally) write(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(w, "Recorded exchanges replayed, over all backends: %d exact / %d explained / %d total\n", c.exact, c.explained, c.total)
}

func TestRecordedExchanges(t *testing.T) {
	t.Parallel()
	exchanges := readJSON[[]exchange](t, "testdata/exchanges.json")
	table := readJSON[differences](t, "testdata/differences.json")
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		provider := gaiatest.NewProvider(t)
		r := &replayer{t: t, server: b.Start(t, provider.Settings())}
		// In production nothing stands in for an identity provider.
		bare := &replayer{t: t, server: b.Start(t, provider.Settings(), gaiatest.Settings{"ENVIRONMENT": "production", "GAIA_DATA_DIR": t.TempDir()})}
		var found []difference
		for _, e := range exchanges {
			replayer := r
			if e.Given.NoProvider {
				replayer = bare
			}
			here := replayer.replay(e)
			replayed.add(len(here) > 0)
			found = append(found, here...)
		}
		table.compare(t, found)
	})
}

// compare demands that what was found and the table are the same.
func (d differences) compare(t *testing.T, found []difference) {
	t.Helper()
	reasons := map[difference]string{}
	for _, row := range d.Rows {
		if d.Reasons[row.Reason] == "" {
			t.Errorf("%s %s: the reason %q is not explained", row.Exchange, row.Field, row.Reason)
		}
		reasons[difference{Exchange: row.Exchange, Field: row.Field}] = row.Reason
	}
	if len(reasons) != len(d.Rows) {
		t.Errorf("the table has %d rows twice", len(d.Rows)-len(reasons))
	}
	for _, f := range found {
		key := difference{Exchange: f.Exchange, Field: f.Field}
		if _, ok := reasons[key]; !ok {
			t.Errorf("unexplained: %s %s: %s", f.Exchange, f.Field, f.Reason)
		}
		delete(reasons, key)
	}
	for key, reason := range reasons {
		t.Errorf("unused row: %s %s (%s)", key.Exchange, key.Field, reason)
	}
}

// replayer sends recorded requests to one server.
type replayer struct {
	t       *testing.T
	server  *gaiatest.Server
	user    string // who calls with a token in this exchange
	ids     []string
	service *gaiatest.Client
}

// replay returns how the answer differs from the recorded one; the reason of each difference says what came instead.
func (r *replayer) replay(e exchange) []difference {
	r.t.Helper()
	r.user, r.ids, r.service = uuid.NewString(), nil, r.server.Client()
	r.arrange(e)
	resp := r.server.Anonymous().Do(gaiatest.Request{
		Method: e.Method, Path: r.fill(e.Path), Header: r.headers(e), Body: r.body(e.Request),
	})
	var diff comparison
	diff.status(e.Status, resp.Status)
	diff.headers(r.fillAll(e.Headers), resp.Header)
	diff.body(r.fillIn(e.Body), resp)
	for i := range diff.found {
		diff.found[i].Exchange = e.Name
	}
	return diff.found
}

// arrange makes the state that the exchange needs: nothing is left of the exchange before.
func (r *replayer) arrange(e exchange) {
	r.t.Helper()
	caller := r.server.As(r.user)
	if e.Auth == "api_key" {
		caller = r.service
	}
	if strings.HasSuffix(e.Path, "/health") {
		awaitHealthy(r.t, r.server)
	}
	if strings.Contains(e.Name, "Persona") {
		r.removePersonas()
	}
	if strings.Contains(e.Path, "/performance/") { // the recordings are of a platform that measured nothing
		r.service.Delete("/api/v0.2/performance/reset").Want(http.StatusOK)
	}
	if strings.Contains(e.Path, "/chat/stream/") && e.Method == http.MethodGet {
		r.service.Post("/api/v0.2/chat/stream/cache/invalidate?cache_type=all", nil).Want(http.StatusOK)
		caller.Get("/api/v0.2/personas/current").Want(http.StatusOK)
	}
	for _, p := range e.Given.Personas {
		r.addPersona(p)
	}
	if e.Given.Chosen {
		caller.Post("/api/v0.2/personas/set", map[string]any{"persona_id": r.ids[0]}).Want(http.StatusOK)
	}
	if e.Given.Asset {
		gaiatest.Eventually(r.t, patience, "there is an asset", func() bool {
			return r.service.Post(e.Path, e.Request).Status == http.StatusOK
		})
	}
	if n := e.Given.History; n != nil {
		caller.Delete("/api/v0.2/chat/history").Want(http.StatusOK)
		for range *n / 2 {
			caller.Post("/api/v0.2/chat", map[string]any{"message": "Hello"}).Want(http.StatusOK)
		}
	}
}

func (r *replayer) removePersonas() {
	r.t.Helper()
	list, _ := r.service.Get("/api/v0.2/personas").Want(http.StatusOK).JSON().At("personas").([]any)
	for _, p := range list {
		if persona := p.(map[string]any); persona["created_by"] != "system" {
			r.service.Delete("/api/v0.2/personas/" + persona["id"].(string)).Want(http.StatusOK)
		}
	}
}

func (r *replayer) addPersona(p givenPersona) {
	r.t.Helper()
	owner := r.service
	if p.ByUser {
		owner = r.server.As(uuid.NewString())
	}
	id := owner.Post("/api/v0.2/personas", p).Want(http.StatusOK).JSON().Text("persona", "id")
	if p.Deleted {
		owner.Delete("/api/v0.2/personas/" + id).Want(http.StatusOK)
	}
	r.ids = append(r.ids, id)
}

// headers of the recorded request. One that sends credentials of its own gets no others.
func (r *replayer) headers(e exchange) http.Header {
	h := http.Header{"Accept-Encoding": {"gzip, deflate"}}
	for name, value := range e.HeadersSent {
		h.Set(name, r.token(value))
	}
	switch {
	case h.Get("Authorization") != "" || h.Get("X-Api-Key") != "":
	case e.Auth == "api_key":
		h.Set("X-Api-Key", gaiatest.APIKey)
	case e.Auth == "jwt":
		h.Set("Authorization", "Bearer "+gaiatest.Token(r.t, r.user))
	}
	return h
}

// token puts real credentials in place of placeholders.
func (r *replayer) token(header string) string {
	for placeholder, make := range map[string]func() string{
		"<api-key>": func() string { return gaiatest.APIKey },
		"<jwt>":     func() string { return gaiatest.Token(r.t, r.user) },
		"<expired-jwt>": func() string {
			return gaiatest.Token(r.t, r.user, gaiatest.Claims{"exp": time.Now().Add(-time.Hour).Unix()})
		},
		"<jwt-with-aud-anon>": func() string { return gaiatest.Token(r.t, r.user, gaiatest.Claims{"aud": "anon"}) },
		"<jwt-without-exp>":   func() string { return gaiatest.Token(r.t, r.user, gaiatest.Claims{"exp": nil}) },
		"<jwt-without-sub>":   func() string { return gaiatest.Token(r.t, r.user, gaiatest.Claims{"sub": nil}) },
		"<jwt-signed-HS512>": func() string {
			return gaiatest.SignedToken(r.t, jwt.SigningMethodHS512, []byte(gaiatest.JWTSecret), r.user)
		},
	} {
		if strings.Contains(header, placeholder) {
			return strings.ReplaceAll(header, placeholder, make())
		}
	}
	return header
}

// fill puts what the test knows in place of placeholders, in a path or a recorded value.
func (r *replayer) fill(s string) string {
	s = strings.ReplaceAll(s, "<gateway>", r.server.URL())
	s = strings.ReplaceAll(s, "<101 characters>", strings.Repeat("x", 101))
	if len(r.ids) > 0 && !strings.HasPrefix(s, "<") {
		s = strings.ReplaceAll(s, "<uuid>", r.ids[0])
	}
	return s
}

func (r *replayer) fillAll(in map[string]string) map[string]string {
	out := maps.Clone(in)
	for k, v := range out {
		out[k] = r.fill(v)
	}
	return out
}

func (r *replayer) fillIn(v any) any {
	switch v := v.(type) {
	case string:
		return r.fill(v)
	case []any:
		out := slices.Clone(v)
		for i := range out {
			out[i] = r.fillIn(out[i])
		}
		return out
	case map[string]any:
		out := maps.Clone(v)
		for k := range out {
			out[k] = r.fillIn(out[k])
		}
		return out
	default:
		return v
	}
}

// body of the recorded request: a string is sent as it is.
func (r *replayer) body(request any) any {
	switch body := request.(type) {
	case string:
		return r.token(r.fill(body))
	case map[string]any:
		if body["persona_id"] == "<uuid>" {
			return map[string]any{"persona_id": r.ids[0]}
		}
		for _, credential := range []string{"token", "api_key"} {
			if text, ok := body[credential].(string); ok {
				body = maps.Clone(body)
				body[credential] = r.token(text)
			}
		}
		return r.fillIn(body)
	default:
		return r.fillIn(request)
	}
}

func readJSON[T any](t *testing.T, path string) (v T) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}
