package e2e

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// behindProxy makes a client that seems to come from an address, for servers that trust the machine of the test.
func behindProxy(c *gaiatest.Client, address string) *gaiatest.Client {
	return c.With("X-Forwarded-For", address)
}

var trustMe = gaiatest.Settings{"TRUSTED_PROXIES": "127.0.0.1"}

// wantLimit checks the headers of a limit.
func wantLimit(t *testing.T, about string, r gaiatest.Response, limit, remaining int) {
	t.Helper()
	reset, err := strconv.ParseInt(r.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || reset < time.Now().Add(-time.Minute).Unix() || reset > time.Now().Add(25*time.Hour).Unix() {
		t.Errorf("%s: X-RateLimit-Reset is %q", about, r.Header.Get("X-RateLimit-Reset"))
	}
	if r.Header.Get("X-RateLimit-Limit") != strconv.Itoa(limit) || r.Header.Get("X-RateLimit-Remaining") != strconv.Itoa(remaining) {
		t.Errorf("%s: status %d, %s of %s left, want %d of %d", about, r.Status, r.Header.Get("X-RateLimit-Remaining"), r.Header.Get("X-RateLimit-Limit"), remaining, limit)
	}
}

// TestEveryOperationIsLimited: but for probes and pages. Whatever the answer is, it tells what is left.
func TestEveryOperationIsLimited(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, trustMe, gaiatest.Settings{"RATE_LIMIT_REQUESTS": "1", "RATE_LIMIT_PERIOD": "day", "RATE_LIMIT_SIGN_IN": "0", "RATE_LIMIT_REFRESH": "0", "RATE_LIMIT_VALIDATE": "0"})
	for i, op := range gaiatest.Operations(t) {
		request := gaiatest.Request{Method: op.Method, Path: op.Path, Body: bodyFor(op)}
		if op.BodyType == "multipart/form-data" {
			request.Body, request.Header = form(t)
		}
		c := server.As(uuid.NewString())
		if op.Public {
			c = behindProxy(server.Anonymous(), "192.0.2."+strconv.Itoa(i))
		}
		first := c.Do(request)
		switch op.Path {
		case "/health", "/livez", "/readyz":
			if c.Do(request).Status == http.StatusTooManyRequests || first.Header.Get("X-RateLimit-Limit") != "" {
				t.Errorf("%s: status %d, %v", op.ID, first.Status, first.Header)
			}
			continue
		}
		if first.Status == http.StatusTooManyRequests {
			t.Errorf("%s: the first request is refused: %s", op.ID, first.Body)
		}
		wantLimit(t, op.ID, first, 1, 0)
		second := c.Do(request)
		if second.Status != http.StatusTooManyRequests || second.JSON().Text("detail") != "Rate limit exceeded: 1 per 1 day" {
			t.Errorf("%s: status %d: %s", op.ID, second.Status, second.Body)
		}
		wantLimit(t, op.ID, second, 1, 0)
		if wait, err := strconv.Atoi(second.Header.Get("Retry-After")); err != nil || wait < 24*3600-600 || wait > 24*3600 {
			t.Errorf("%s: Retry-After is %q", op.ID, second.Header.Get("Retry-After"))
		}
	}
	for range 5 {
		for _, path := range []string{"/docs", "/openapi.json"} {
			server.Anonymous().Get(path).Want(http.StatusOK)
		}
	}
}

func TestRefusalsTellWhatIsLeft(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, trustMe, gaiatest.Settings{"RATE_LIMIT_REQUESTS": "1000", "RATE_LIMIT_PERIOD": "day"})
	const path = "/api/v0.2/chat/status"
	for name, c := range map[string]*gaiatest.Client{
		"nobody": behindProxy(server.Anonymous(), "192.0.2.1"), "unknown key": behindProxy(server.Anonymous(), "192.0.2.2").With("X-API-Key", "nope"),
		"bad token": behindProxy(server.Anonymous(), "192.0.2.3").With("Authorization", "Bearer nope"),
	} {
		for left := 999; left > 996; left-- {
			wantLimit(t, name, c.Get(path), 1000, left)
		}
	}
	c := server.As(uuid.NewString())
	wantLimit(t, "not found", c.Get("/api/v0.2/personas/"+nobody), 1000, 999)
	wantLimit(t, "invalid", c.Post("/api/v0.2/chat", map[string]any{}), 1000, 998)
	stream := c.Do(gaiatest.Request{Method: http.MethodPost, Path: typedRoute, Body: message("Hello")}).Want(http.StatusOK)
	wantLimit(t, "stream", stream, 1000, 997)
	wantLimit(t, "HEAD", c.Do(gaiatest.Request{Method: http.MethodHead, Path: path}), 1000, 996)
	// A caller is the same under each of its addresses, and nobody else's requests count.
	wantLimit(t, "elsewhere", behindProxy(c, "192.0.2.9").Get(path), 1000, 995)
	wantLimit(t, "key", server.Client().Get(path), 1000, 999)
	// Whoever says so without being trusted has no other address.
	plain := gaiatest.Start(t, gaiatest.Settings{"RATE_LIMIT_REQUESTS": "1000", "RATE_LIMIT_PERIOD": "day"})
	wantLimit(t, "direct", plain.Anonymous().Get("/"), 1000, 999)
	wantLimit(t, "forged", behindProxy(plain.Anonymous(), "192.0.2.4").Get("/"), 1000, 998)
}

// TestBurst: ten in a second is the pace, whatever the period allows.
func TestBurst(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t, gaiatest.Settings{"RATE_LIMIT_REQUESTS": "60"}).As(uuid.NewString())
	begun := time.Now()
	through, refused := 0, 0
	for range 40 {
		switch r := c.Get("/api/v0.2/chat/status"); r.Status {
		case http.StatusOK:
			through++
		case http.StatusTooManyRequests:
			refused++
			if r.JSON().Text("detail") != "Rate limit exceeded: 10 per 1 second" || r.Header.Get("Retry-After") != "1" || r.Header.Get("X-RateLimit-Limit") != "60" {
				t.Errorf("%v %s", r.Header, r.Body)
			}
		default:
			t.Fatalf("status %d", r.Status)
		}
	}
	most := 10 + int(time.Since(begun)/(100*time.Millisecond))
	if through < 10 || through > most+1 {
		t.Errorf("%d through, %d refused in %s", through, refused, time.Since(begun))
	}
	if refused == 0 && most < 40 {
		t.Error("nothing is refused")
	}
}

// replicas starts two servers on one backend.
func replicas(t *testing.T, b gaiatest.Backend, settings gaiatest.Settings) [2]*gaiatest.Server {
	t.Helper()
	return [2]*gaiatest.Server{b.Start(t, settings, trustMe), b.Start(t, settings, trustMe)}
}

func wantShared(t *testing.T, server *gaiatest.Server, status string, shared bool) {
	t.Helper()
	gaiatest.Eventually(t, patience, "rate_limit is "+status, func() bool {
		limit := server.Anonymous().Get("/health").Want(http.StatusOK).JSON()
		return limit.Text("rate_limit", "status") == status && limit.At("rate_limit", "shared") == shared
	})
}

// storm sends n requests of one caller to both replicas at once and counts those that get through.
func storm(t *testing.T, servers [2]*gaiatest.Server, user string, n int) int {
	t.Helper()
	clients := [2]*gaiatest.Client{servers[0].As(user), servers[1].As(user)}
	statuses := together(t, n, func(i int) (gaiatest.Response, error) {
		return clients[i%2].Try(gaiatest.Request{Method: http.MethodGet, Path: "/api/v0.2/chat/status"})
	})
	if statuses[http.StatusOK]+statuses[http.StatusTooManyRequests] != n {
		t.Errorf("statuses %v", statuses)
	}
	return statuses[http.StatusOK]
}

// TestReplicasCountTogether: exactly, and whatever becomes of Redis nobody gets more than both of them would give alone.
func TestReplicasCountTogether(t *testing.T) {
	t.Parallel()
	backend := gaiatest.FragileCache(t)
	servers := replicas(t, backend, gaiatest.Settings{"RATE_LIMIT_REQUESTS": "30", "RATE_LIMIT_PERIOD": "day", "RATE_LIMIT_BURST": "0"})
	for _, s := range servers {
		wantShared(t, s, "healthy", true)
	}
	// A call that takes Redis longer than a request may wait, on a busy machine, is decided by one of them alone. Not every time.
	user, through := "", 0
	for try := 0; through != 30; try++ {
		user = uuid.NewString()
		through = storm(t, servers, user, 40) + storm(t, servers, user, 10)
		if through < 30 || through > 60 || through != 30 && try == 20 {
			t.Fatalf("%d through, want 30", through)
		}
	}
	half := uuid.NewString()
	storm(t, servers, half, 20)
	backend.Faults.Redis.Stop()
	for _, s := range servers {
		wantShared(t, s, "degraded", false)
	}
	if n := storm(t, servers, user, 20); n > 0 {
		t.Errorf("%d more without Redis", n)
	}
	if n := storm(t, servers, half, 60); n < 10 || n > 40 {
		t.Errorf("%d without Redis, want 10 to 40: what each of them knew was left", n)
	}
	backend.Faults.Redis.Start()
	for _, s := range servers {
		wantShared(t, s, "healthy", true)
	}
	for _, u := range []string{user, half} {
		if n := storm(t, servers, u, 20); n > 0 {
			t.Errorf("%d more when Redis is back", n)
		}
	}
}

// signInWonBack is after how long an address wins a login back: four are allowed in a minute.
const signInWonBack = 15 * time.Second

// TestSignInIsTight: neither one address against many accounts nor many addresses against one, on all replicas together, and with Redis
// away on each of them.
func TestSignInIsTight(t *testing.T) {
	t.Parallel()
	backend := gaiatest.FragileCache(t)
	servers := replicas(t, backend, gaiatest.Settings{"RATE_LIMIT_REQUESTS": "1000", "RATE_LIMIT_SIGN_IN": "4", "RATE_LIMIT_ACCOUNT": "5", "RATE_LIMIT_VALIDATE": "3"})
	for _, s := range servers {
		wantShared(t, s, "healthy", true)
	}
	var turn atomic.Int64
	post := func(path, address string, body any) gaiatest.Response {
		return behindProxy(servers[turn.Add(1)%2].Anonymous(), address).Post("/api/v1/auth/"+path, body)
	}
	login := func(address, email string) bool {
		r := post("login", address, map[string]any{"email": email, "password": "a guess"})
		return r.Status != http.StatusTooManyRequests
	}
	// most is what one address gets through, or one account: what is allowed and what is won back meanwhile, on each of both without Redis.
	most := func(allowed int, wonBack time.Duration, begun time.Time) int {
		return 2 * (allowed + int(time.Since(begun)/wonBack))
	}
	guess := func(round string) {
		t.Helper()
		begun, through := time.Now(), 0
		for i := range 12 {
			if login("192.0.2."+round, "user"+strconv.Itoa(i)+"@round"+round+".example.com") {
				through++
			}
		}
		if through < 4 || through > most(4, signInWonBack, begun) {
			t.Errorf("round %s: one address tried %d accounts", round, through)
		}
		begun, through = time.Now(), 0
		for i := range 24 {
			if login("2001:db8:"+round+":"+strconv.Itoa(i)+"::1", "Ada@round"+round+".Example.com") {
				through++
			}
		}
		if through < 5 || through > most(5, 3*time.Minute, begun) {
			t.Errorf("round %s: many addresses made %d tries at one account", round, through)
		}
		begun, through = time.Now(), 0
		for range 10 {
			if r := post("validate", "198.51.100."+round, map[string]any{"api_key": "a guess"}); r.Status != http.StatusTooManyRequests {
				through++
			}
		}
		if through < 3 || through > most(3, 20*time.Second, begun) {
			t.Errorf("round %s: %d keys were validated", round, through)
		}
	}
	guess("1")
	// held has an address take all its logins and looks whether it gets another one, with Redis and without. It tells whether that was done before
	// the address had won one back; what is done later shows nothing.
	held := func(n int) bool {
		t.Helper()
		begun, address, domain := time.Now(), "203.0.113."+strconv.Itoa(n), "@held"+strconv.Itoa(n)+".example.com"
		inTime := func() bool { return time.Since(begun) < signInWonBack }
		for i := range 12 {
			login(address, "user"+strconv.Itoa(i)+domain)
		}
		if login(address, "zoe"+domain) && inTime() {
			t.Error("another account from an address over its limit")
		}
		backend.Faults.Redis.Pause()
		for _, s := range servers {
			wantShared(t, s, "degraded", false)
		}
		passed := login(address, "zoe"+domain)
		if again := login(address, "zoe"+domain); passed && again && inTime() { // one of the servers may not have known
			t.Error("the limit of an address begins anew without Redis")
		}
		return inTime()
	}
	for n := 1; !held(n); n++ {
		if n == 10 {
			t.Fatalf("fifteen logins, with Redis and without, take more than %s every time", signInWonBack)
		}
		backend.Faults.Redis.Resume()
		for _, s := range servers {
			wantShared(t, s, "healthy", true)
		}
	}
	guess("2")
	backend.Faults.Redis.Resume()
	for _, s := range servers {
		wantShared(t, s, "healthy", true)
	}
	guess("3")
}

// TestKeysCantBeGuessed: and nobody is locked out by a neighbour who tries.
func TestKeysCantBeGuessed(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"RATE_LIMIT_REQUESTS": "100000", "RATE_LIMIT_FAILURES": "5"})
	const path = "/api/v0.2/chat/status"
	server.Client().Get(path).Want(http.StatusOK)
	statuses := map[int]int{}
	for i := range 30 {
		r := server.Anonymous().With("X-API-Key", "guess"+strconv.Itoa(i)).Get(path)
		statuses[r.Status]++
	}
	if statuses[http.StatusForbidden] > 5 || statuses[http.StatusTooManyRequests] < 25 {
		t.Errorf("statuses %v", statuses)
	}
	server.Client().Get(path).Want(http.StatusOK)
	server.As(uuid.NewString()).Get(path).Want(http.StatusOK) // nobody has seen this one before
	server.Anonymous().Get(path).Want(http.StatusUnauthorized)
}
