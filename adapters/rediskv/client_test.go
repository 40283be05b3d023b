package rediskv_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"gaia/adapters/rediskv"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = ports.CacheKey{Space: "persona", Name: "p1"}

func TestMalformedURLIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "http://:secret@host", "redis://:secret@host:port", "redis://:secret@host/x\x7f"} {
		_, err := rediskv.Open(rediskv.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) = %v", url, err)
		}
	}
}

func TestOpenDoesNotNeedTheServer(t *testing.T) {
	t.Parallel()
	c := open(t, rediskv.Config{URL: "redis://" + freeAddress(t)})
	if got := c.Check(t.Context()); got.Status != domain.Unhealthy || got.Detail != "Redis does not answer" {
		t.Errorf("Check = %+v", got)
	}
	if _, ticket, found := c.Get(t.Context(), key); found || ticket != "" {
		t.Errorf("Get found something: ticket %q", ticket)
	}
	if err := c.Drop(t.Context(), key); err == nil {
		t.Error("Drop succeeded without a server")
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was written
	return l.Addr().String()
}

// put stores a value as a loader does.
func put(t *testing.T, c *rediskv.Client, value string) {
	t.Helper()
	_, ticket, _ := c.Get(t.Context(), key)
	if ticket == "" {
		t.Fatal("Get gave no ticket")
	}
	c.Put(t.Context(), key, ticket, []byte(value), time.Hour)
}

func found(c *rediskv.Client) bool {
	_, _, ok := c.Get(context.Background(), key)
	return ok
}

func TestKeysAndTTLInRedis(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.Redis(t)
	c := open(t, rediskv.Config{URL: url, Prefix: prefix, CallTimeout: patient})
	waitUntilHealthy(t, c)
	put(t, c, "value")
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	direct := redis.NewClient(opt)
	defer direct.Close() //nolint:errcheck // only reads
	ttl, err := direct.PTTL(t.Context(), prefix+"persona:p1").Result()
	if err != nil || ttl <= 59*time.Minute || ttl > time.Hour {
		t.Errorf("ttl of %spersona:p1 = %v, %v", prefix, ttl, err)
	}
}

func TestValuesWithoutTheirMarksAreNotTaken(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{"version:persona", "guard:persona"} {
		url, prefix := testenv.Redis(t)
		c := open(t, rediskv.Config{URL: url, Prefix: prefix, CallTimeout: patient})
		waitUntilHealthy(t, c)
		_, overtaken, _ := c.Get(t.Context(), key)
		opt, _ := redis.ParseURL(url)
		direct := redis.NewClient(opt)
		defer direct.Close() //nolint:errcheck // the test is over
		if n, err := direct.Del(t.Context(), prefix+mark).Result(); n != 1 || err != nil {
			t.Fatalf("delete %s: %d, %v", mark, n, err)
		}
		found(c)
		c.Put(t.Context(), key, overtaken, []byte("old"), time.Hour)
		if found(c) {
			t.Errorf("without %s a value was stored under a ticket from before", mark)
		}
	}
}

func callAll(t *testing.T, c *rediskv.Client) {
	t.Helper()
	portstest.Quick(t, "Get", func() {
		if found(c) {
			t.Error("Get found something")
		}
	})
	portstest.Quick(t, "Put", func() { c.Put(t.Context(), key, "a b c", []byte("x"), time.Hour) })
	portstest.Quick(t, "Drop", func() {
		if err := c.Drop(t.Context(), key); err == nil {
			t.Error("Drop succeeded without a server")
		}
	})
	portstest.Quick(t, "Check", func() {
		if got := c.Check(t.Context()); got.Status != domain.Unhealthy {
			t.Errorf("Check = %+v", got)
		}
	})
}

func TestServerThatHangs(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	c := open(t, rediskv.Config{URL: server.URL()})
	waitUntilHealthy(t, c)
	server.Pause()
	callAll(t, c)
	portstest.Quick(t, "1,000 calls of a server known to hang", func() {
		for range 1000 {
			found(c)
		}
	})
	server.Resume()
	waitUntilHealthy(t, c)
	// Other processes may still owe drops: for a moment drops are taken and values are not used.
	if _, ticket, found := c.Get(t.Context(), key); found || ticket != "" {
		t.Error("values are used at once after the return")
	}
	portstest.Within(t, portstest.Patience, "drops are taken", func() bool { return c.Drop(t.Context(), key) == nil })
	portstest.Within(t, portstest.Patience, "values are used again", func() bool {
		_, ticket, _ := c.Get(t.Context(), key)
		return ticket != ""
	})
}

// TestServerThatKeepsWritesWaiting answers pings and reads, as a server does that hands over to another: it is given up once, not again and
// again by every request.
func TestServerThatKeepsWritesWaiting(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	opt, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	direct := redis.NewClient(opt)
	defer direct.Close() //nolint:errcheck // the test is over
	c := open(t, rediskv.Config{URL: server.URL()})
	waitUntilHealthy(t, c)
	if err := direct.Do(t.Context(), "CLIENT", "PAUSE", "600000", "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	portstest.Within(t, portstest.Patience, "the server is given up", func() bool { return c.Drop(t.Context(), key) != nil && !c.Stats().Up })
	before := c.Stats()
	portstest.Within(t, portstest.Patience, "many calls were not made", func() bool {
		callAll(t, c)
		return c.Stats().Skipped >= before.Skipped+1500 // for so long that the watcher has asked several times
	})
	if after := c.Stats(); after.Outages != before.Outages || after.Calls != before.Calls {
		t.Errorf("stats went from %+v to %+v", before, after)
	}
	if err := direct.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
	waitUntilHealthy(t, c)
	portstest.Within(t, portstest.Patience, "drops are taken", func() bool { return c.Drop(t.Context(), key) == nil })
}

func TestServerThatRestartsMayHaveForgottenDrops(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	c := open(t, rediskv.Config{URL: server.URL(), CallTimeout: patient})
	waitUntilHealthy(t, c)
	put(t, c, "value")
	if !found(c) {
		t.Fatal("the value was not stored")
	}
	_, before, _ := c.Get(t.Context(), key)
	server.Stop()
	callAll(t, c)
	server.Start()
	waitUntilHealthy(t, c)
	portstest.Within(t, portstest.Patience, "values are used again", func() bool {
		_, ticket, _ := c.Get(t.Context(), key)
		return ticket != ""
	})
	if found(c) {
		t.Error("a value from before the restart was taken")
	}
	c.Put(t.Context(), key, before, []byte("old"), time.Hour)
	if found(c) {
		t.Error("a value loaded before the restart was taken")
	}
	put(t, c, "new")
	if !found(c) {
		t.Error("nothing is stored after the restart")
	}
}
