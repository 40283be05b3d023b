package testenv

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
)

func TestPostgresIsEmptyAndItsOwn(t *testing.T) {
	t.Parallel()
	var used string
	t.Run("use", func(t *testing.T) {
		first, second := Postgres(t), Postgres(t)
		if first == second || hostOf(t, first) != hostOf(t, second) {
			t.Errorf("want two databases of one server, got %s and %s", first, second)
		}
		for _, url := range []string{first, second} {
			if err := execSQL(t.Context(), url, "CREATE TABLE mine (id int)"); err != nil {
				t.Error(err)
			}
		}
		used = first
	})
	if err := execSQL(t.Context(), used, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "3D000") {
		t.Errorf("the database outlived its test: %v", err)
	}
}

func TestRedisKeysGoWithTheTest(t *testing.T) {
	t.Parallel()
	url, outer := Redis(t)
	c, err := redisClient(url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var inner string
	t.Run("use", func(t *testing.T) {
		_, inner = Redis(t)
		for _, key := range []string{inner + "a", inner + "b", outer + "a"} {
			if err := c.Set(t.Context(), key, 1, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
	})
	left, err := c.Exists(t.Context(), inner+"a", inner+"b").Result()
	if err != nil || left != 0 {
		t.Errorf("%d keys outlived their test (%v)", left, err)
	}
	if n := c.Exists(t.Context(), outer+"a").Val(); n != 1 || inner == outer {
		t.Errorf("a key of another test was deleted")
	}
}

func TestNATSHasJetStreamAndStreamsGoWithTheTest(t *testing.T) {
	t.Parallel()
	url, _ := NATS(t)
	var name string
	t.Run("use", func(t *testing.T) {
		_, prefix := NATS(t)
		name = strings.TrimSuffix(prefix, ".")
		err := withJetStream(url, func(js jetstream.JetStream) error {
			_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{prefix + ">"}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	err := withJetStream(url, func(js jetstream.JetStream) error {
		_, err := js.Stream(t.Context(), name)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("the stream outlived its test: %v", err)
	}
}

// A private server keeps its address and data over a crash, is gone when Stop
// returns, and hangs rather than refuses while paused.
func TestPrivateServerFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start func(testing.TB) *Server
		ping  func(context.Context, string) error
		write func(*testing.T, string)
		check func(*testing.T, string)
	}{
		"postgres": {StartPostgres, postgres.ready, writeRow, checkRow},
		"redis":    {StartRedis, redisServer.ready, writeKey, checkKey},
		"nats":     {StartNATS, natsServer.ready, writeMessage, checkMessage},
		"small":    {StartSmallNATS, natsServer.ready, writeMessage, checkMessage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.start(t)
			url := s.URL()
			c.write(t, url)
			s.Stop()
			if listens(t, url) {
				t.Error("still listens after Stop")
			}
			s.Stop() // a second Stop is nothing
			s.Start()
			c.check(t, url)
			s.StopAtOnce()
			if listens(t, url) {
				t.Error("still listens after StopAtOnce")
			}
			s.Start()
			c.check(t, url)

			s.Pause()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := c.ping(ctx, url); err == nil {
				t.Error("a paused server answered")
			}
			s.Resume()
			c.check(t, url)

			s.Pause()
			s.Stop() // also out of a pause
			if listens(t, url) {
				t.Error("still listens after Stop out of a pause")
			}
		})
	}
}

func writeRow(t *testing.T, url string) {
	t.Helper()
	if err := execSQL(t.Context(), url, "CREATE TABLE kept AS SELECT 1 AS id"); err != nil {
		t.Fatal(err)
	}
}

func checkRow(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var id int
	if err := conn.QueryRow(t.Context(), "SELECT id FROM kept").Scan(&id); err != nil || id != 1 {
		t.Errorf("row: %d, %v", id, err)
	}
}

func writeKey(t *testing.T, url string) {
	t.Helper()
	c, err := redisClient(url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Set(t.Context(), "kept", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func checkKey(t *testing.T, url string) {
	t.Helper()
	c, err := redisClient(url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Get(t.Context(), "kept").Result(); err != nil || got != "1" {
		t.Errorf("key: %q, %v", got, err)
	}
}

func writeMessage(t *testing.T, url string) {
	t.Helper()
	err := withJetStream(url, func(js jetstream.JetStream) error {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "kept", Subjects: []string{"kept"}}); err != nil {
			return err
		}
		_, err := js.Publish(t.Context(), "kept", []byte("1"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkMessage(t *testing.T, url string) {
	t.Helper()
	err := withJetStream(url, func(js jetstream.JetStream) error {
		s, err := js.Stream(t.Context(), "kept")
		if err != nil {
			return err
		}
		if n := s.CachedInfo().State.Msgs; n != 1 {
			t.Errorf("messages: %d", n)
		}
		return nil
	})
	if err != nil {
		t.Errorf("stream: %v", err)
	}
}

// A server that answers on the port without being ours must not be taken for it.
func TestAForeignServerIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	theirs := StartRedis(t)
	_, port, _ := strings.Cut(hostOf(t, theirs.URL()), ":")
	taken, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProcess(redisServer, taken, newSecret())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.start(); err == nil || !strings.Contains(err.Error(), "exited") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("start on a taken port: %v", err)
	}
}
