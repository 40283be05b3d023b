package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
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
	copyAge       = 5 * time.Second  // how old copies get that nobody can call back
	revokedWithin = 10 * time.Second // any revocation that does not have to wait until the time of a copy is over
	// settlesWithin is for what is not as it should be for a moment on a busy machine: Redis is left alone for most of a second after one call
	// of 20 ms, and health gives NATS no more than 40.
	settlesWithin = 30 * time.Second
)

const allIsWell = "all is well"

// outage is everything that is at hand while something is stopped: two processes on one backend, who has used one of them before, and
// who has not.
type outage struct {
	t          *testing.T
	part       string           // what is stopped
	here       *gaiatest.Server // where the requests go
	other      *gaiatest.Server // another process
	third      *gaiatest.Server // another one, which only looks whether something is in Redis
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
	asked      time.Time // before the other process got to know that key
	revoked    bool      // it was
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
	o.keyOther = o.keptInRedis(owner)
	o.keyNever, _ = newKey(o.t, owner, map[string]any{"name": "never"})
	o.keyToEnd, o.keyToEndID = newKey(o.t, owner, map[string]any{"name": "to end"})
	withKey(o.here, o.keyHere).Get(probeOfNothing).Want(http.StatusOK)
	withKey(o.other, o.keyToEnd).Get(probeOfNothing).Want(http.StatusOK)
	o.persona = create(o.t, o.here.Client(), "/api/v0.2/personas", "P "+uuid.NewString())
	o.here.Client().Get("/api/v0.2/personas").Want(http.StatusOK)
	o.here.Client().Get("/api/v0.2/personas/" + o.persona).Want(http.StatusOK)
	o.worst = 0
}

// keptInRedis makes a key that the other process has put into Redis, where a third one has found it. Another key is taken when one was not put
// there, or not found: on a busy machine Redis is left alone for a moment now and then.
func (o *outage) keptInRedis(owner *gaiatest.Client) (key string) {
	o.t.Helper()
	gaiatest.Eventually(o.t, settlesWithin, "a key is in Redis", func() bool {
		key, _ = newKey(o.t, owner, map[string]any{"name": "other"})
		withKey(o.other, key).Get(probeOfNothing).Want(http.StatusOK)
		before := keysFromRedis(o.t, o.third)
		withKey(o.third, key).Get(probeOfNothing).Want(http.StatusOK)
		return keysFromRedis(o.t, o.third) != before
	})
	return key
}

var keysFound = regexp.MustCompile(`(?m)^gaia_cache_requests_total\{[^}]*result="remote",space="api_key"[^}]*\} (\S+)$`)

// keysFromRedis counts the keys that a process has found there.
func keysFromRedis(t *testing.T, s *gaiatest.Server) string {
	t.Helper()
	address := adminAddress.FindStringSubmatch(s.Output())
	if address == nil {
		t.Fatal("nothing answers operators")
	}
	if count := keysFound.FindStringSubmatch(scrape(t, address[1])); count != nil {
		return count[1]
	}
	return "0"
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

// known asks with the key that is in Redis. A process that does not look there is told 503 by a stopped database, as often as it asks.
func (o *outage) known(s *gaiatest.Server) string {
	return settled(works, func() string { return o.cell(withKey(s, o.keyOther), http.MethodGet, probeOfNothing, nil) })
}

// settled asks until the answer is what it should be, and takes the last one when it is never.
func settled(want string, ask func() string) (got string) {
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if got = ask(); got == want || time.Since(begun) > settlesWithin {
			return got
		}
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
	{"An API key that another process has checked lately", func(o *outage) string { return o.known(o.here) }},
	get("Any other API key", probeOfNothing, func(o *outage) *gaiatest.Client { return withKey(o.here, o.keyNever) }),
	get("An access token with the secret (HS256), seen before", probeOfNothing, func(o *outage) *gaiatest.Client { return bearer(o.here, o.seenHS) }),
	get("An access token with the secret, new", probeOfNothing, func(o *outage) *gaiatest.Client { return o.here.As(o.user) }),
	get("An access token with a published key (ES256), seen before", probeOfNothing, func(o *outage) *gaiatest.Client { return bearer(o.here, o.seen) }),
	get("An access token with a published key, new", probeOfNothing, func(o *outage) *gaiatest.Client { return bearer(o.here, o.anew) }),
	get("The global key, at a process that was started meanwhile", probeOfNothing, func(o *outage) *gaiatest.Client { return o.fresh.Client() }),
	{"An API key that another process has checked lately, there", func(o *outage) string { return o.known(o.fresh) }},
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
	{"Rate limits", (*outage).limits},
	{"`/health`", (*outage).health},
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
		o.asked = time.Now()
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

// limits tells who counts requests together. /health tells it, which repeats for a second what it has seen.
func (o *outage) limits() string {
	want := "shared"
	if o.part == "Redis" {
		want = "each process alone"
	}
	return settled(want, func() string {
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
	})
}

// health may find a part away that is only late, but does not find one that is stopped.
func (o *outage) health() string {
	ask := func() string { return o.here.Anonymous().Get("/health").Want(http.StatusOK).JSON().Text("status") }
	if o.part == allIsWell {
		return settled("healthy", ask)
	}
	return ask()
}

// refusedElsewhere waits until the other process refuses the key that was revoked here. Its copy is younger than what was asked, so who refuses
// it earlier than copies get old has heard of it.
func (o *outage) refusedElsewhere() string {
	if !o.revoked {
		return "–"
	}
	for time.Since(o.asked) < revokedWithin {
		r, err := withKey(o.other, o.keyToEnd).Try(gaiatest.Request{Method: http.MethodGet, Path: probeOfNothing})
		switch {
		case err != nil:
			o.t.Error(err)
			return "no answer"
		case r.Status == http.StatusForbidden && time.Since(o.asked) < copyAge:
			return "at once"
		case r.Status == http.StatusForbidden:
			return "after at most 5 s"
		case r.Status != http.StatusOK:
			o.t.Errorf("a key that was revoked elsewhere: %d %s", r.Status, r.Body)
		}
		time.Sleep(20 * time.Millisecond)
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
	here, third := backend.Start(t, settings), backend.Start(t, settings, gaiatest.Settings{"ADMIN_ADDRESS": "127.0.0.1:0"})
	columns := []string{allIsWell, "Redis", "NATS", "The database", "Supabase"}
	table := make([][]string, len(columns))
	for i, part := range columns {
		wantHealth(t, here, "database", "healthy", "healthy")
		o := &outage{t: t, part: part, here: here, third: third, other: backend.Start(t, settings), provider: provider}
		wantHealth(t, o.other, "database", "healthy", "healthy")
		o.prepare()
		restore := stopPart(o, backend.Faults)
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
func stopPart(o *outage, faults *gaiatest.Faults) (restore func()) {
	o.t.Helper()
	back := func(name string, start func()) func() {
		return func() {
			start()
			wantHealth(o.t, o.here, name, "healthy", "healthy")
		}
	}
	switch o.part {
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
