package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

const (
	streamCacheStatus = "/api/v0.2/chat/stream/cache/status"
	streamCacheDrop   = "/api/v0.2/chat/stream/cache/invalidate"
)

// wantCached compares the keys of a caller's persona in the cache.
func wantCached(t *testing.T, c *gaiatest.Client, want ...any) {
	t.Helper()
	for path, field := range map[string]string{streamCacheStatus: "cache_stats", "/api/v0.2/chat/stream/status": "cache_status"} {
		stats := c.Get(path).Want(http.StatusOK).JSON()
		if got := stats.At(field, "persona_cache_keys").([]any); !slices.Equal(got, want) {
			t.Errorf("%s lists %v, want %v", path, got, want)
		}
		if len(want) > 0 && stats.Number(field, "persona_cache_entries") == 0 {
			t.Errorf("%s counts no entries", path)
		}
		wantFields(t, path, stats, map[string]any{field + ".tools_cache_entries": 0})
	}
}

func TestStreamCache(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		ada, bob := uuid.NewString(), uuid.NewString()
		a, service := server.As(ada), server.Client()
		wantCached(t, a)
		say(t, a, message("Hello"))
		gaiatest.Eventually(t, patience, "the persona is kept", func() bool {
			return len(a.Get(streamCacheStatus).Want(http.StatusOK).JSON().At("cache_stats", "persona_cache_keys").([]any)) == 1
		})
		wantCached(t, a, ada+":default")
		wantCached(t, server.As(bob))
		wantFields(t, "status", a.Get("/api/v0.2/chat/stream/status").Want(http.StatusOK).JSON(), map[string]any{
			"status": "ready", "message_count": 2, "has_history": true, "capabilities.parallel_fetching": true,
		})

		for _, query := range []string{"?cache_type=persona", "?cache_type=all", "?cache_type=tools", "?cache_type=tools&user_id=" + ada, "?cache_type=persona&user_id=" + bob} {
			a.Post(streamCacheDrop+query, nil).Want(http.StatusForbidden)
		}
		a.Post(streamCacheDrop+"?cache_type=zzz", nil).Want(http.StatusUnprocessableEntity)
		a.Post(streamCacheDrop, nil).Want(http.StatusUnprocessableEntity)
		wantCached(t, a, ada+":default")

		for _, drop := range []struct {
			by    *gaiatest.Client
			query string
			user  any
		}{
			{a, "?cache_type=persona&user_id=" + ada, ada},
			{a, "?cache_type=all&user_id=" + ada, ada},
			{service, "?cache_type=persona&user_id=" + ada, ada},
			{service, "?cache_type=all", nil},
		} {
			say(t, a, message("Hello again"))
			wantCached(t, a, ada+":default")
			wantFields(t, drop.query, drop.by.Post(streamCacheDrop+drop.query, nil).Want(http.StatusOK).JSON(), map[string]any{
				"status": "success", "invalidated_user": drop.user, "invalidated_activity": nil,
			})
			wantCached(t, a)
		}
		say(t, a, message("Hello again"))
		wantFields(t, "tools", service.Post(streamCacheDrop+"?cache_type=tools&activity=generic", nil).Want(http.StatusOK).JSON(), map[string]any{
			"cache_type": "tools", "invalidated_activity": "generic",
		})
		wantCached(t, a, ada+":default")
	})
}
