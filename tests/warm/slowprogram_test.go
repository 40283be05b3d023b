package warm

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"gaia/tests/faultproxy"
	"gaia/tests/gaiatest"
)

const (
	perDay  = 100 // requests of a caller: none is won back while the test runs
	patient = time.Minute
	// attempts are how often a fault may meet a machine that stands still itself. Who waits for Redis waits in each of them.
	attempts = 3
	// pauseAll is how long a server does nothing for anybody. It does not listen to who wants to end that.
	pauseAll = 8 * time.Second
)

// TestProgramWithASlowRedis has Redis be slow under two processes, in each way in which it can be. Their answers are as before, limits are
// still counted, what one changes the other shows, and Redis is used again when it is fast again.
func TestProgramWithASlowRedis(t *testing.T) {
	t.Parallel()
	backend := gaiatest.FragileCache(t)
	s := &slowParts{t: t, direct: direct(t, backend.Settings["REDIS_URL"]), proxy: through(t, backend.Settings)}
	limits := gaiatest.Settings{
		"RATE_LIMIT_REQUESTS": fmt.Sprint(perDay), "RATE_LIMIT_PERIOD": "day", "RATE_LIMIT_BURST": "0", "ADMIN_ADDRESS": "127.0.0.1:0", "PERSONA_CACHE_TTL": "0.001",
	}
	s.here, s.there = backend.Start(t, limits), backend.Start(t, limits)
	for _, fault := range []struct {
		name       string
		begin, end func()
	}{
		{"150 ms", s.wire(faultproxy.Fault{Latency: 75 * time.Millisecond}), s.wire(faultproxy.Fault{})},
		{"a trickle", s.wire(faultproxy.Fault{Bandwidth: 50}), s.wire(faultproxy.Fault{})},
		{"half open", s.wire(faultproxy.Fault{Swallow: faultproxy.Down}), s.wire(faultproxy.Fault{})},
		{"all commands wait", s.command("PAUSE", pauseAll.Milliseconds(), "ALL"), func() {}},
		{"writes wait", s.command("PAUSE", time.Hour.Milliseconds(), "WRITE"), s.command("UNPAUSE")},
	} {
		t.Run(fault.name, func(t *testing.T) {
			var late []string
			for n := 0; n < attempts && (n == 0 || late != nil); n++ {
				late = s.goesOn(t, fault.begin, fault.end)
			}
			if late != nil {
				t.Errorf("in each of %d attempts something took more than %v, at last %s", attempts, stall, late)
			}
		})
	}
}

// slowParts are two processes, and a Redis that can be made slow for both.
type slowParts struct {
	t           *testing.T
	here, there *gaiatest.Server
	direct      *redis.Client
	proxy       *faultproxy.Proxy
}

func (s *slowParts) wire(f faultproxy.Fault) func() { return func() { set(s.t, s.proxy, f) } }

func (s *slowParts) command(args ...any) func() {
	return func() {
		if err := s.direct.Do(s.t.Context(), append([]any{"CLIENT"}, args...)...).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
}

func direct(t *testing.T, at string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(at)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opt)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// through puts a proxy before Redis.
func through(t *testing.T, settings gaiatest.Settings) *faultproxy.Proxy {
	t.Helper()
	u, err := url.Parse(settings["REDIS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := faultproxy.New(u.Host, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	u.Host = proxy.Address()
	settings["REDIS_URL"] = u.String()
	return proxy
}

// user is a caller of one process, and what is left for them as far as they know.
type user struct {
	t *testing.T
	*gaiatest.Client
	left int
	late []string // requests that took longer than even a busy machine needs
}

// ask sends a request that has to be answered well and to be counted.
func (u *user) ask(r gaiatest.Request) (gaiatest.Response, time.Duration) {
	u.t.Helper()
	began := time.Now()
	got := u.Do(r).Want(http.StatusOK)
	took := time.Since(began)
	left, err := strconv.Atoi(got.Header.Get("X-RateLimit-Remaining"))
	if err != nil || left >= u.left {
		u.t.Errorf("%s: %q requests are left after %d", r.Path, got.Header.Get("X-RateLimit-Remaining"), u.left)
	}
	u.left = left
	if took > stall {
		u.late = append(u.late, fmt.Sprintf("%s %v", r.Path, took))
	}
	return got, took
}

// fastest is how long requests take on a machine that does nothing else meanwhile.
func (u *user) fastest(path string) time.Duration {
	u.t.Helper()
	least := stall
	for range 5 {
		_, took := u.ask(get(path))
		least = min(least, took)
	}
	return least
}

// goesOn uses a process while Redis is slow, and says which requests were late.
func (s *slowParts) goesOn(t *testing.T, begin, end func()) (late []string) {
	redisIs(t, s.here, true)
	redisIs(t, s.there, true)
	id := uuid.NewString()
	u := &user{t: t, Client: s.here.As(id), left: perDay}
	persona := s.here.Client().Post("/api/v0.2/personas", map[string]any{
		"name": "Slow " + id, "description": "As it was", "system_prompt": "You are patient.",
	}).Want(http.StatusOK).JSON().Text("persona", "id")
	path := "/api/v0.2/personas/" + persona
	made, _ := u.ask(post("/api/v1/auth/api-keys", map[string]any{"name": "slow"}))
	key := made.JSON().Text("api_key")
	calm := u.fastest(path)
	outages := redisFigure(t, s.here, "outages")
	begin()
	// The first requests are those that meet it.
	busy := u.fastest(path)
	redisIs(t, s.here, false)
	t.Logf("the fastest read took %v before and %v with a slow Redis", calm, busy)
	if busy > calm+budget {
		t.Errorf("reads take %v instead of %v", busy, calm)
	}
	u.ask(post("/api/v0.2/chat", map[string]any{"message": "Is anybody there?"}))
	u.ask(get("/api/v0.2/personas"))
	byKey := &user{t: t, Client: s.here.Anonymous().With("X-Api-Key", key), left: u.left}
	byKey.ask(get("/api/v0.2/chat/status"))
	s.here.Client().Do(gaiatest.Request{Method: http.MethodPut, Path: path, Body: map[string]any{"description": "Changed"}}).Want(http.StatusOK)
	if got, _ := byKey.ask(get(path)); got.JSON().Text("persona", "description") != "Changed" {
		t.Errorf("where it was changed: %s", got.Body)
	}
	gaiatest.Eventually(t, patient, "the other process shows the change", func() bool {
		return strings.Contains(string(s.there.As(uuid.NewString()).Get(path).Want(http.StatusOK).Body), "Changed")
	})
	end()
	redisIs(t, s.here, true)
	redisIs(t, s.there, true)
	byKey.ask(get(path))
	if now := redisFigure(t, s.here, "outages"); now <= outages {
		t.Errorf("%v outages were counted, %v before", now, outages)
	}
	elsewhere := s.there.As(id)
	gaiatest.Eventually(t, patient, "the other process knows what was counted here", func() bool {
		redisIs(t, s.there, true) // a busy machine may make it look slow once more
		left, err := strconv.Atoi(elsewhere.Get(path).Want(http.StatusOK).Header.Get("X-RateLimit-Remaining"))
		return err == nil && left < byKey.left
	})
	return append(u.late, byKey.late...)
}

// redisIs waits until a process says how Redis is. One that nobody asks anything looks at it once a second.
func redisIs(t *testing.T, s *gaiatest.Server, used bool) {
	t.Helper()
	gaiatest.Eventually(t, patient, fmt.Sprintf("Redis is used: %t", used), func() bool {
		health := s.Anonymous().Get("/health").Want(http.StatusOK).JSON()
		healthy := health.Text("redis", "status") == "healthy"
		return healthy == used && health.At("rate_limit", "shared") == used && (used || health.Text("status") == "degraded")
	})
}

var adminAddress = regexp.MustCompile(`"admin_address":"([^"]+)"`)

// redisFigure is a metric about Redis.
func redisFigure(t *testing.T, s *gaiatest.Server, name string) float64 {
	t.Helper()
	found := adminAddress.FindStringSubmatch(s.Output())
	if found == nil {
		t.Fatal("nothing answers operators")
	}
	resp, err := http.Get("http://" + found[1] + "/metrics") //nolint:noctx // of a test, and of this machine
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return figureIn(t, resp.Body, "gaia_redis_"+name+"_total")
}

func figureIn(t *testing.T, page io.Reader, metric string) float64 {
	t.Helper()
	for lines := bufio.NewScanner(page); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if name, _, _ = strings.Cut(name, "{"); name == metric {
			value, _, _ = strings.Cut(value, " ")
			figure, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return figure
		}
	}
	t.Fatalf("no %s", metric)
	return 0
}
