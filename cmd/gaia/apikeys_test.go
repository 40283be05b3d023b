package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/adapters/tiercache"
	"gaia/domain"
)

// slowKeys counts look-ups, each of which takes a while.
type slowKeys struct {
	*memory.APIKeyStore
	lookups atomic.Int64
}

func (s *slowKeys) ByHash(ctx context.Context, hash string) (domain.APIKey, error) {
	s.lookups.Add(1)
	select {
	case <-time.After(50 * time.Millisecond):
	case <-ctx.Done():
	}
	return s.APIKeyStore.ByHash(ctx, hash)
}

// TestManyCallersWithOneKeyCauseOneLookUp: known or not, and also when the first of them leaves.
func TestManyCallersWithOneKeyCauseOneLookUp(t *testing.T) {
	t.Parallel()
	store := &slowKeys{APIKeyStore: &memory.APIKeyStore{}}
	cache, err := tiercache.New(tiercache.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	keys := newAPIKeys(config{APIKeyTTL: seconds(time.Minute)}, store, cache, nil, nil)
	known, _, err := keys.Create(t.Context(), domain.ServicePrincipal(), domain.APIKeyDraft{Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{known, newKey("dev")} {
		store.lookups.Store(0)
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() { _, _ = keys.Verify(impatient, key) })
		for range 100 {
			all.Go(func() {
				if _, err := keys.Verify(t.Context(), key); (err == nil) != (key == known) {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if n := store.lookups.Load(); n != 1 {
			t.Errorf("%d look-ups", n)
		}
	}
}

func TestKeysOfAFileAreCachedForASecond(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url       string
		ttl, want time.Duration
	}{
		{"", 20 * time.Minute, time.Second}, {"", time.Millisecond, time.Millisecond}, {"", 0, 0}, {"postgres://x", 20 * time.Minute, 20 * time.Minute},
	} {
		cfg := config{DatabaseURL: c.url, APIKeyTTL: seconds(c.ttl)}
		if got := cfg.keyTTL(); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func BenchmarkVerifyCachedKey(b *testing.B) {
	cache, err := tiercache.New(tiercache.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cache.Close)
	keys := newAPIKeys(config{APIKeyTTL: seconds(time.Hour), DatabaseURL: "postgres://x"}, &memory.APIKeyStore{}, cache, nil, nil)
	text, _, err := keys.Create(b.Context(), domain.ServicePrincipal(), domain.APIKeyDraft{Name: "n"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Verify(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}

// expiringKeys forgets so many keys each time.
type expiringKeys struct {
	*memory.APIKeyStore
	many []int
}

func (s *expiringKeys) Expire(context.Context, time.Time) (int, error) {
	n := s.many[0]
	s.many = s.many[1:]
	return n, nil
}

// TestKeysThatAreForgottenAreCounted: with one line of the log, and none when there were none.
func TestKeysThatAreForgottenAreCounted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	kept := keptKeys(config{APIKeyDays: 90}, &expiringKeys{many: []int{0, 7, 0}}, slog.New(slog.NewTextHandler(&out, nil)))
	for range 3 {
		if _, err := kept.Expire(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "keys=7") {
		t.Errorf("the log says %q", got)
	}
}
