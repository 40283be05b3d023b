package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
	"gaia/tests/gotrue"
)

var updateOutages = flag.Bool("update-outages", false, "write the table of outages in docs/operations.md anew")

const (
	outagePage  = "../../docs/operations.md"
	outageBegin = "<!-- what goes on during an outage: written by `go test ./tests/e2e -run TestOutages -update-outages` -->\n"
	outageEnd   = "<!-- end -->\n"
	// outageLimit is for any answer while something is stopped. A part that refuses connections costs nothing; what is above a few
	// milliseconds is a busy machine.
	outageLimit   = 4 * time.Second
	heardWithin   = 3 * time.Second  // a revocation that other processes are told of, on a busy machine
	revokedWithin = 10 * time.Second // any that does not have to wait until the time of a copy is over
)

// outage is everything that is at hand while something is stopped: two processes on one backend, who has used one of them before, and
// who has not.
type outage struct {
	t          *testing.T
	here       *gaiatest.Server // where the requests go
	other      *gaiatest.Server // another process
	fresh      *gaiatest.Server // a process that was started after something was stopped
	provider   *gotrue.Server
	user       string // a user with a token that everybody can verify
	email      string // of an account
	refresh    string
	seen, anew string // access tokens of the account, ES256: verified here before, and never
	seenHS     string // HS256, verified here before
	keyHere    string // used here before
	keyOther   string // used at the other process before
	keyNever   string
	keyToEnd   string // used at the other process before, to be revoked here
	keyToEndID string
	revoked    bool // it was
	persona    string
	worst      time.Duration
}

// prepare makes everything anew while all is well.
func (o *outage) prepare() {
	o.t.Helper()
	o.user, o.email = uuid.NewString(), uuid.NewString()+"@example.com"
	signUp(o.here, o.email)
	login := func() (access, refresh string) {
		s := o.here.Anonymous().Post("/api/v1/auth/login", credentials(o.email, userPassword)).Want(http.StatusOK).JSON()
		return s.Text("session", "access_token"), s.Text("session", "refresh_token")
	}
	o.seen, _ = login()
	bearer(o.here, o.seen).Get(probeOfNothing).Want(http.StatusOK)
	o.anew, o.refresh = login()
	o.seenHS = gaiatest.Token(o.t, o.user)
	bearer(o.here, o.seenHS).Get(probeOfNothing).Want(http.StatusOK)
	owner := o.here.As(o.user)
	o.keyHere, _ = newKey(o.t, owner, map[string]any{"name": "here"})
	o.keyOther, _ = newKey(o.t, owner, map[string]any{"name": "other"})
	o.keyNever, _ = newKey(o.t, owner, map[string]any{"name": "never"})
	o.keyToEnd, o.keyToEndID = newKey(o.t, owner, map[string]any{"name": "to end"})
	withKey(o.here, o.keyHere).Get(probeOfNothing).Want(http.StatusOK)
	withKey(o.other, o.keyOther).Get(probeOfNothing).Want(http.StatusOK)
	withKey(o.other, o.keyToEnd).Get(probeOfNothing).Want(http.StatusOK)
	o.persona = create(o.t, o.here.Client(), "/api/v0.2/personas", "P "+uuid.NewString())
	o.here.Client().Get("/api/v0.2/personas").Want(http.StatusOK)
	o.here.Client().Get("/api/v0.2/personas/" + o.persona).Want(http.StatusOK)
	o.worst = 0
}

// probeOfNothing asks for credentials and for nothing that is stored.
const probeOfNothing = "/api/v0.2/models"

// Cells of the table.
const works = "works"

// cell is what one answer comes to.
func (o *outage) cell(c *gaiatest.Client, method, path string, body any) string {
	o.t.Helper()
	begun := time.Now()
	r, err := c.Try(gaiatest.Request{Method: method, Path: path, Body: body})
	took := time.Since(begun)
	if err != nil {
		o.t.Errorf("%s %s: %v", method, path, err)
		return "no answer"
	}
	o.worst = max(o.worst, took)
	if took > outageLimit {
		o.t.Errorf("%s %s took %s", method, path, took)
	}
	switch {
	case r.Status < 300:
		return works
	case r.Status == http.StatusServiceUnavailable:
		return "503"
	default:
		o.t.Errorf("%s %s: %d %s", method, path, r.Status, r.Body)
		return fmt.Sprint(r.Status)
	}
}

// outageRow is one thing that somebody may want.
type outageRow struct {
	what string
	do   func(o *outage) string
}

func get(what, path string, who func(*outage) *gaiatest.Client) outageRow {
	return outageRow{what, func(o *outage) string { return o.cell(who(o), http.MethodGet, path, nil) }}
}

func post(what, path string, who func(*outage) *gaiatest.Client, body func(*outage) any) outageRow {
	return outageRow{what, func(o *outage) string { return o.cell(who(o), http.MethodPost, path, body(o)) }}
}

var outageRows = []outageRow{
	get("The global key", probeOfNothing, global),
	get("An API key that this process has checked lately", probeOfNothing, func(o *outage) *gaiatest.Client { return withKey(o.here, o.keyHere) }),
	get("An API key that another process has checked lately", probeOfNothing, func(o *outage) *gaiatest.Client { return withKey(o.here, o.keyOther) }),
	get("Any other API key", probeOfNothing, func(o *outage) *gaiatest.Client { return withKey(o.here, o.keyNever) }),
	get("An access token with the secret (HS256), seen before", probeOfNothing, func(o *outage) *gaiatest.Client { return bearer(o.here, o.seenHS) }),
	get("An access token with the secret, new", probeOfNothing, func(o *outage) *gaiatest.Client { return o.here.As(o.user) }),
	get("An access token with a published key (ES256), seen before", probeOfNothing, func(o *outage) *gaiatest.Client { return bearer(o.here, o.seen) }),
	get("An access token with a published key, new", probeOfNothing, func(o *outage) *gaiatest.Client { return bearer(o.here, o.anew) }),
	get("The global key, at a process that was started meanwhile", probeOfNothing, func(o *outage) *gaiatest.Client { return o.fresh.Client() }),
	get("An API key that another process has checked lately, there", probeOfNothing, func(o *outage) *gaiatest.Client { return withKey(o.fresh, o.keyOther) }),
	get("An access token with the secret, there", probeOfNothing, func(o *outage) *gaiatest.Client { return o.fresh.As(o.user) }),
	get("An access token with a published key, there", probeOfNothing, func(o *outage) *gaiatest.Client { return bearer(o.fresh, o.anew) }),
	post("Sign in", "/api/v1/auth/login", anonymous, func(o *outage) any { return credentials(o.email, userPassword) }),
	post("Refresh a session", "/api/v1/auth/refresh", anonymous, func(o *outage) any { return map[string]any{"refresh_token": o.refresh} }),
	get("The account of the caller", "/api/v1/auth/user", func(o *outage) *gaiatest.Client { return bearer(o.here, o.seen) }),
	post("Validate an access token", "/api/v1/auth/validate", anonymous, func(o *outage) any { return map[string]any{"token": o.seen} }),
	post("Validate an API key, checked lately", "/api/v1/auth/validate", anonymous, func(o *outage) any { return map[string]any{"api_key": o.keyHere} }),
	post("Sign out", "/api/v1/auth/logout", func(o *outage) *gaiatest.Client { return bearer(o.here, o.anew) }, nothing),
	get("List API keys", keysRoute, owner),
	post("Make an API key", keysRoute, owner, func(*outage) any { return map[string]any{"name": "during"} }),
	{"Revoke an API key", (*outage).revoke},
	{"A revoked key is refused by the other processes", (*outage).refusedElsewhere},
	post("Chat, with a stored conversation", "/api/v0.2/chat", owner, func(*outage) any { return message("Hello") }),
	post("Chat, as an event stream", typedRoute, owner, func(*outage) any { return message("Hello") }),
	post("Chat, with the messages in the request", "/api/v1/chat/completions", owner, func(*outage) any {
		return map[string]any{"messages": []map[string]any{{"role": "user", "content": "Hello"}}}
	}),
	get("List conversations", "/api/v1/conversations", owner),
	get("List personas, read lately", "/api/v0.2/personas", global),
	{"Show a persona, read lately", func(o *outage) string { return o.cell(global(o), http.MethodGet, "/api/v0.2/personas/"+o.persona, nil) }},
	{"Change a persona", func(o *outage) string {
		return o.cell(global(o), http.MethodPut, "/api/v0.2/personas/"+o.persona, map[string]any{"description": uuid.NewString()})
	}},
	get("Show usage", "/api/v0.2/usage/current", owner),
	get("Search assets", "/api/v1/assets/search?query=sword", global),
	{"An asset: made, and fetched by its link", (*outage).asset},
	get("List workflows", workflows, owner),
	{"A workflow: started, worked on and followed to its end", (*outage).workflow},
	{"Rate limits", func(o *outage) string {
		health := o.here.Anonymous().Get("/health").Want(http.StatusOK).JSON()
		r := owner(o).Get(probeOfNothing)
		switch shared := health.At("rate_limit", "shared") == true; {
		case r.Header.Get("X-RateLimit-Remaining") == "":
			return "none"
		case shared:
			return "shared"
		default:
			return "each process alone"
		}
	}},
	{"`/health`", func(o *outage) string {
		return o.here.Anonymous().Get("/health").Want(http.StatusOK).JSON().Text("status")
	}},
	get("`/readyz`", "/readyz", anonymous),
	get("`/livez`", "/livez", anonymous),
}

func global(o *outage) *gaiatest.Client    { return o.here.Client() }
func anonymous(o *outage) *gaiatest.Client { return o.here.Anonymous() }
func owner(o *outage) *gaiatest.Client     { return o.here.As(o.user) }
func nothing(*outage) any                  { return nil }

// revoke takes a key that the other process has just begun to remember, if one can be made: an older one it might forget by itself.
func (o *outage) revoke() string {
	if r := owner(o).Post(keysRoute, map[string]any{"name": "to end"}); r.Status == http.StatusOK {
		o.keyToEnd, o.keyToEndID = r.JSON().Text("api_key"), r.JSON().Text("key", "id")
		withKey(o.other, o.keyToEnd).Get(probeOfNothing).Want(http.StatusOK)
	}
	got := o.cell(owner(o), http.MethodDelete, keysRoute+"/"+o.keyToEndID, nil)
	o.revoked = got == works
	return got
}

// workflow starts one and waits until it has ended.
func (o *outage) workflow() string {
	r := owner(o).Post(workflows, aTask("agent", "Say it\n/say fine"))
	if r.Status != http.StatusOK {
		return fmt.Sprint(r.Status)
	}
	if got := followed(o.t, owner(o).Follow(o.t.Context(), r.Header.Get("Location")+"/events"), 0); !strings.HasSuffix(got, " completed") {
		o.t.Errorf("a workflow: %s", got)
	}
	return works
}

// refusedElsewhere waits until the other process has heard of the key that was revoked here.
func (o *outage) refusedElsewhere() string {
	if !o.revoked {
		return "–"
	}
	for begun := time.Now(); time.Since(begun) < revokedWithin; time.Sleep(20 * time.Millisecond) {
		r, err := withKey(o.other, o.keyToEnd).Try(gaiatest.Request{Method: http.MethodGet, Path: probeOfNothing})
		switch {
		case err != nil:
			o.t.Error(err)
			return "no answer"
		case r.Status == http.StatusForbidden && time.Since(begun) < heardWithin:
			return "at once"
		case r.Status == http.StatusForbidden:
			return "after at most 5 s" // the age of copies that nobody can call back
		case r.Status != http.StatusOK:
			o.t.Errorf("a key that was revoked elsewhere: %d %s", r.Status, r.Body)
		}
	}
	return "after `API_KEY_CACHE_TTL`"
}

// TestOutages stops one part after the other under the real program and compares what still works with the table in the documentation.
func TestOutages(t *testing.T) {
	t.Parallel()
	provider, settings := supabase(t, gotrue.Settings{Alg: "ES256"})
	backend := gaiatest.Breakable(t)
	settings["SUPABASE_JWT_SECRET"] = gaiatest.JWTSecret
	for _, limit := range []string{"REQUESTS", "BURST", "SIGN_IN", "ACCOUNT", "REFRESH", "VALIDATE", "FAILURES"} {
		settings["RATE_LIMIT_"+limit] = "1000000"
	}
	here := backend.Start(t, settings)
	columns := []string{"all is well", "Redis", "NATS", "The database", "Supabase"}
	table := make([][]string, len(columns))
	for i, part := range columns {
		wantHealth(t, here, "database", "healthy", "healthy")
		o := &outage{t: t, here: here, other: backend.Start(t, settings), provider: provider}
		o.prepare()
		restore := stopPart(o, backend.Faults, part)
		o.fresh = gaiatest.Launch(t, backend.Settings, settings)
		for _, row := range outageRows {
			table[i] = append(table[i], row.do(o))
		}
		t.Logf("%s: the slowest answer took %s", part, o.worst.Round(time.Millisecond))
		restore()
		for _, s := range []*gaiatest.Server{o.other, o.fresh} {
			s.Terminate()
			if err := s.Wait(); err != nil {
				t.Errorf("a process ended with %v", err)
			}
		}
	}
	for i, row := range outageRows {
		if good := []string{works, "at once", "shared", "healthy"}; !slices.Contains(good, table[0][i]) {
			t.Errorf("%s, while all is well: %s", row.what, table[0][i])
		}
	}
	if !t.Failed() {
		comparePage(t, renderOutages(columns[1:], table[1:]))
	}
}

// stopPart stops one part, waits until the program knows, and returns what brings it back.
func stopPart(o *outage, faults *gaiatest.Faults, part string) (restore func()) {
	o.t.Helper()
	back := func(name string, start func()) func() {
		return func() {
			start()
			wantHealth(o.t, o.here, name, "healthy", "healthy")
		}
	}
	switch part {
	case "Redis":
		faults.Redis.Stop()
		wantHealth(o.t, o.here, "redis", "degraded", "")
		return back("redis", faults.Redis.Start)
	case "NATS":
		faults.NATS.Stop()
		wantHealth(o.t, o.here, "nats", "degraded", "")
		return back("nats", faults.NATS.Start)
	case "The database":
		faults.Postgres.Stop()
		wantHealth(o.t, o.here, "database", "unhealthy", "unhealthy")
		return back("database", faults.Postgres.Start)
	case "Supabase":
		o.provider.Close()                                  // for good: it is the last
		wantHealth(o.t, o.here, "supabase", "degraded", "") // it looks every ten seconds
	}
	return func() {}
}

func renderOutages(columns []string, table [][]string) string {
	var b strings.Builder
	b.WriteString("| | " + strings.Join(columns, " stopped | ") + " stopped |\n|---" + strings.Repeat("|---", len(columns)) + "|\n")
	for i, row := range outageRows {
		b.WriteString("| " + row.what)
		for _, column := range table {
			b.WriteString(" | " + column[i])
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

func comparePage(t *testing.T, want string) {
	t.Helper()
	path := filepath.FromSlash(outagePage)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), outageBegin)
	got, after, ends := strings.Cut(rest, outageEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	if *updateOutages {
		if err := os.WriteFile(path, []byte(before+outageBegin+want+outageEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s says\n%s\nit is\n%s", path, got, want)
	}
}

// asset has something made, and opens it.
func (o *outage) asset() string {
	o.t.Helper()
	r, err := o.here.As(o.user).Try(gaiatest.Request{Method: http.MethodPost, Path: "/api/v1/assets/generate", Body: map[string]any{
		"category": "texture", "style": "plain", "description": "grass", "requirements": map[string]any{"platform": "ar", "quality": "low"},
		"preferences": map[string]any{"allow_database": false, "allow_modifications": false, "max_wait_time_ms": 60_000},
	}})
	switch {
	case err != nil:
		o.t.Error(err)
		return "no answer"
	case r.Status == http.StatusOK && len(download(o.t, o.here, r.JSON().Text("asset_data", "download_url"))) > 0:
		return works
	case r.Status != http.StatusServiceUnavailable:
		o.t.Errorf("an asset: %d %s", r.Status, r.Body)
	}
	return strconv.Itoa(r.Status)
}
