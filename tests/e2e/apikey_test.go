package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/domain"
	"gaia/tests/gaiatest"
)

const (
	keysRoute = "/api/v1/auth/api-keys"
	// probeRoute is cheap and changes nothing.
	probeRoute = "/api/v0.2/chat/status"
	badKey     = "Could not validate credentials"
)

// newKey makes a key and returns its text and id.
func newKey(t *testing.T, c *gaiatest.Client, draft map[string]any) (text, id string) {
	t.Helper()
	if draft["name"] == nil {
		draft["name"] = "a key"
	}
	made := c.Post(keysRoute, draft).Want(http.StatusOK).JSON()
	return made.Text("api_key"), made.Text("key", "id")
}

func withKey(s *gaiatest.Server, key string) *gaiatest.Client {
	return s.Anonymous().With("X-API-Key", key)
}

func wantRefused(t *testing.T, r gaiatest.Response, about string) {
	t.Helper()
	if r.Status != http.StatusForbidden || r.JSON().At("detail") != badKey {
		t.Errorf("%s: %d %s", about, r.Status, r.Body)
	}
}

func wantDetail(t *testing.T, r gaiatest.Response, status int, part string) {
	t.Helper()
	if detail, _ := r.Want(status).JSON().At("detail").(string); !strings.Contains(detail, part) {
		t.Errorf("detail %q has no %q", detail, part)
	}
}

func TestKeysFromMakingToRevoking(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		user := uuid.NewString()
		owner, other := server.As(user), server.As(uuid.NewString())
		expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		made := owner.Post(keysRoute, map[string]any{
			"name": "Build server", "scopes": []string{"chat:read", "keys:manage"}, "expires_at": expires,
		}).Want(http.StatusOK).JSON()
		key, id := made.Text("api_key"), made.Text("key", "id")
		if !regexp.MustCompile(`^`+domain.KeyPattern+`$`).MatchString(key) || !strings.HasPrefix(key, "gaia_dev_") || domain.IsMistypedKey(key) {
			t.Errorf("key %q", key)
		}
		if prefix := made.Text("key", "prefix"); !strings.HasPrefix(key, prefix) || len(prefix) != len("gaia_dev_")+4 {
			t.Errorf("prefix %q of %q", prefix, key)
		}

		c := withKey(server, key)
		c.Get(probeRoute).Want(http.StatusOK)
		server.Anonymous().With("Authorization", "Bearer "+key).Get(probeRoute).Want(http.StatusOK)
		wantDetail(t, c.Post("/api/v1/chat", message("Hello")), http.StatusForbidden, "lacks the scope chat:write")

		for _, list := range []*gaiatest.Client{owner, c} {
			page := list.Get(keysRoute).Want(http.StatusOK).JSON()
			if page.Number("total") != 1 || page.Text("api_keys", 0, "id") != id || page.Text("api_keys", 0, "expires_at") != expires.Format(time.RFC3339) {
				t.Errorf("list: %v", page.Fields)
			}
		}
		if total := other.Get(keysRoute).Want(http.StatusOK).JSON().Number("total"); total != 0 {
			t.Errorf("another user sees %v keys", total)
		}
		if total := server.Client().Get(keysRoute).Want(http.StatusOK).JSON().Number("total"); total != 0 {
			t.Errorf("the global key sees %v keys of users", total)
		}
		for _, stranger := range []*gaiatest.Client{other, server.Client()} {
			wantDetail(t, stranger.Delete(keysRoute+"/"+id), http.StatusNotFound, "API key not found")
			wantDetail(t, stranger.Post(keysRoute+"/"+id+"/rotate", map[string]any{}), http.StatusNotFound, "API key not found")
		}
		owner.Delete(keysRoute + "/nope").Want(http.StatusNotFound)

		revoked := owner.Delete(keysRoute + "/" + strings.ToUpper(id)).Want(http.StatusOK).JSON()
		if revoked.At("is_active") != false || revoked.Text("id") != id {
			t.Errorf("revoked: %v", revoked.Fields)
		}
		wantRefused(t, c.Get(probeRoute), "a revoked key")
		owner.Delete(keysRoute + "/" + id).Want(http.StatusNotFound)
		owner.Post(keysRoute+"/"+id+"/rotate", map[string]any{}).Want(http.StatusConflict)
		if page := owner.Get(keysRoute).JSON(); page.Number("total") != 1 || page.At("api_keys", 0, "is_active") != false {
			t.Errorf("list after: %v", page.Fields)
		}
		if out := server.Output(); strings.Contains(out, key) {
			t.Error("the log holds the key")
		}
	})
}

func TestToolsOfKeys(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	owner := server.As(uuid.NewString())
	if made := owner.Post(keysRoute, map[string]any{"name": "n", "tools": nil}).Want(http.StatusOK).JSON(); made.At("key", "tools") != nil {
		t.Errorf("no list became %v", made.At("key", "tools"))
	}
	for _, tools := range [][]any{{}, {"files/read_*", "mail/send"}} {
		made := owner.Post(keysRoute, map[string]any{"name": "n", "tools": tools}).Want(http.StatusOK).JSON()
		if got := made.At("key", "tools"); !reflect.DeepEqual(got, tools) {
			t.Errorf("%v became %#v", tools, got)
		}
		c := withKey(server, made.Text("api_key"))
		wantDetail(t, c.Post(keysRoute, map[string]any{"name": "n"}), http.StatusForbidden, "tools that its maker may not use")
		wantDetail(t, c.Post(keysRoute, map[string]any{"name": "n", "tools": []string{"*"}}), http.StatusForbidden, "tools that its maker may not use")
		rotated := c.Post(keysRoute+"/"+made.Text("key", "id")+"/rotate", map[string]any{}).Want(http.StatusOK).JSON()
		if got := rotated.At("key", "tools"); !reflect.DeepEqual(got, tools) {
			t.Errorf("%v became %#v when it was replaced", tools, got)
		}
	}
	for _, bad := range []any{[]string{"files"}, []string{""}, []int{1}, "files/*", []string{"a/[b"}} {
		owner.Post(keysRoute, map[string]any{"name": "n", "tools": bad}).Want(http.StatusUnprocessableEntity)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	key, _ := newKey(t, server.Client(), map[string]any{})
	flipped := key[:20] + map[bool]string{true: "b", false: "a"}[key[20] == 'a'] + key[21:]
	for about, bad := range map[string]string{
		"a typo": flipped, "cut off": key[:len(key)-1], "with more": key + "a", "without the checksum": key[:len(key)-7],
		"well formed and unknown": domain.KeyText("dev", strings.Repeat("a", 32)), "in capitals": strings.ToUpper(key), "long": strings.Repeat("x", 5000),
	} {
		wantRefused(t, withKey(server, bad).Get(probeRoute), about)
		wantRefused(t, withKey(server, bad).Get(probeRoute), about+" again")
	}
	withKey(server, key).Get(probeRoute).Want(http.StatusOK)

	short, soon := keyThatEnds(t, server.Client())
	c := withKey(server, short)
	for { // it is cached, and yet it ends on time
		begun := time.Now()
		r := c.Get(probeRoute)
		if r.Status == http.StatusForbidden {
			if time.Now().Before(soon) {
				t.Error("it ended before its time")
			}
			break
		}
		if r.Want(http.StatusOK); begun.After(soon) {
			t.Fatalf("it works %s after its end", time.Since(soon))
		}
	}
}

// keyThatEnds makes a key that ends soon. One whose end has come before it could be made is refused, and is made again with a later one.
func keyThatEnds(t *testing.T, c *gaiatest.Client) (key string, soon time.Time) {
	t.Helper()
	for wait := 1500 * time.Millisecond; ; wait *= 2 {
		soon = time.Now().Add(wait)
		r := c.Post(keysRoute, map[string]any{"name": "short", "expires_at": soon})
		if r.Status == http.StatusUnprocessableEntity && time.Now().After(soon) && wait < patience {
			continue
		}
		return r.Want(http.StatusOK).JSON().Text("api_key"), soon
	}
}

func TestDraftsOfKeys(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	c := server.Client()
	for about, draft := range map[string]map[string]any{
		"no name": {}, "empty name": {"name": ""}, "blank name": {"name": "  "}, "long name": {"name": strings.Repeat("é", 256)},
		"control characters": {"name": "a\u0000b"}, "unknown scope": {"name": "n", "scopes": []string{"chat:everything"}},
		"same scope twice": {"name": "n", "scopes": []string{"chat:read", "chat:read"}}, "past": {"name": "n", "expires_at": "2020-01-01T00:00:00Z"},
		"no time": {"name": "n", "expires_at": "tomorrow"}, "scopes are no list": {"name": "n", "scopes": "chat:read"},
	} {
		if r := c.Post(keysRoute, draft); r.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", about, r.Status, r.Body)
		}
	}
	id := newKeyID(t, c)
	for _, grace := range []any{-1, 2592001, "x", 1.5} {
		if r := c.Post(keysRoute+"/"+id+"/rotate", map[string]any{"grace_period_seconds": grace}); r.Status != http.StatusUnprocessableEntity {
			t.Errorf("grace of %v: %d %s", grace, r.Status, r.Body)
		}
	}
	name := strings.Repeat("世", 253)
	if made := c.Post(keysRoute, map[string]any{"name": " " + name + " ", "expires_at": nil}).Want(http.StatusOK).JSON(); made.Text("key", "name") != name {
		t.Errorf("name %q", made.Text("key", "name"))
	}
}

func newKeyID(t *testing.T, c *gaiatest.Client) string {
	t.Helper()
	_, id := newKey(t, c, map[string]any{})
	return id
}

func TestRotation(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		owner := server.Client()
		scopes := []string{"chat:read", "chat:write"}
		first, firstID := newKey(t, owner, map[string]any{"name": "Game", "scopes": scopes})
		say(t, withKey(server, first), message("Remember me"))

		begun := time.Now()
		rotated := owner.Post(keysRoute+"/"+firstID+"/rotate", map[string]any{"grace_period_seconds": 2}).Want(http.StatusOK).JSON()
		second, secondID := rotated.Text("api_key"), rotated.Text("key", "id")
		until, err := time.Parse(time.RFC3339Nano, rotated.Text("replaced_key_expires_at"))
		if err != nil || until.Before(begun.Add(2*time.Second)) || until.After(time.Now().Add(2*time.Second)) || rotated.Text("replaced_key_id") != firstID {
			t.Errorf("rotated: %v", rotated.Fields)
		}
		if got := rotated.At("key", "scopes").([]any); len(got) != len(scopes) || rotated.Text("key", "name") != "Game" || secondID == firstID {
			t.Errorf("the new key: %v", rotated.Fields)
		}
		wantCount(t, withKey(server, second), 2) // it speaks for the same caller
		owner.Post(keysRoute+"/"+firstID+"/rotate", map[string]any{"grace_period_seconds": 2}).Want(http.StatusConflict)
		for {
			before := time.Now()
			r := withKey(server, first).Get(probeRoute)
			if after := time.Now(); r.Status == http.StatusForbidden {
				if after.Before(until) {
					t.Errorf("it ended %s early", until.Sub(after))
				}
				break
			}
			if r.Want(http.StatusOK); before.After(until) {
				t.Fatalf("it works %s after its end", time.Since(until))
			}
		}

		third := owner.Post(keysRoute+"/"+secondID+"/rotate", map[string]any{"grace_period_seconds": 0}).Want(http.StatusOK).JSON().Text("api_key")
		wantRefused(t, withKey(server, second).Get(probeRoute), "a key that was replaced at once")
		wantCount(t, withKey(server, third), 2)
		if total := owner.Get(keysRoute).JSON().Number("total"); total != 3 {
			t.Errorf("%v keys", total)
		}
	})
}

// TestNobodyGivesMoreThanTheyHave: by no way does a limited key come to one that may do more.
func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	user := server.As(uuid.NewString())
	_, everything := newKey(t, user, map[string]any{"name": "everything"})
	limited, limitedID := newKey(t, user, map[string]any{"name": "limited", "scopes": []string{"keys:manage", "chat:read"}})
	c := withKey(server, limited)
	for about, draft := range map[string]map[string]any{
		"a scope that it lacks": {"name": "n", "scopes": []string{"chat:read", "chat:write"}}, "no scopes": {"name": "n"},
		"an empty list": {"name": "n", "scopes": []string{}},
	} {
		if r := c.Post(keysRoute, draft); r.Status != http.StatusForbidden {
			t.Errorf("%s: %d %s", about, r.Status, r.Body)
		}
	}
	wantDetail(t, c.Post(keysRoute+"/"+everything+"/rotate", map[string]any{}), http.StatusForbidden, "more scopes")
	less, lessID := newKey(t, c, map[string]any{"scopes": []string{"chat:read"}})
	withKey(server, less).Get(probeRoute).Want(http.StatusOK)
	wantDetail(t, withKey(server, less).Get(keysRoute), http.StatusForbidden, "lacks the scope keys:manage")
	if r := user.Get(keysRoute).JSON(); r.Number("total") != 3 {
		t.Errorf("the user has %v keys", r.Number("total"))
	}
	c.Post(keysRoute+"/"+lessID+"/rotate", map[string]any{}).Want(http.StatusOK)
	c.Post(keysRoute+"/"+limitedID+"/rotate", map[string]any{"grace_period_seconds": 0}).Want(http.StatusOK) // itself
	wantRefused(t, c.Get(keysRoute), "the key that has replaced itself")
}

// TestWhoKeysOfTheGlobalKeySpeakFor: each for itself, and none for what all callers of the global key share.
func TestWhoKeysOfTheGlobalKeySpeakFor(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	a, _ := newKey(t, server.Client(), map[string]any{"name": "a"})
	b, _ := newKey(t, server.Client(), map[string]any{"name": "b"})
	say(t, server.Client(), message("Of all"))
	say(t, withKey(server, a), message("Of a"))
	say(t, withKey(server, a), message("Of a again"))
	wantCount(t, server.Client(), 2)
	wantCount(t, withKey(server, a), 4)
	wantCount(t, withKey(server, b), 0)
	if total := withKey(server, a).Get(keysRoute).JSON().Number("total"); total != 0 {
		t.Errorf("a key sees %v keys of who made it", total)
	}
	child, _ := newKey(t, withKey(server, a), map[string]any{"name": "child"})
	wantCount(t, withKey(server, child), 4) // a key that is made with another speaks for the same
}

func TestListOfKeysPages(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	c := server.As(uuid.NewString())
	var want []string
	for range 5 {
		want = append([]string{newKeyID(t, c)}, want...)
	}
	var got []string
	for _, path := range []string{keysRoute + "?limit=2", keysRoute + "?limit=2&offset=2", keysRoute + "?limit=2&offset=4", keysRoute + "?offset=5"} {
		page := c.Get(path).Want(http.StatusOK).JSON()
		if page.Number("total") != 5 {
			t.Errorf("%s: total %v", path, page.Number("total"))
		}
		for i := range page.At("api_keys").([]any) {
			got = append(got, page.Text("api_keys", i, "id"))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestEveryOperationAsksForItsScope: with every scope but its own an operation is refused, with its own alone it is not.
func TestEveryOperationAsksForItsScope(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"MAX_CONCURRENT_REQUESTS": "1000"})
	maker := server.Client()
	with, without := map[string]string{}, map[string]string{}
	for _, scope := range domain.KeyScopes() {
		others := slices.DeleteFunc(domain.KeyScopes(), func(s string) bool { return s == scope })
		with[scope], _ = newKey(t, maker, map[string]any{"scopes": []string{scope}})
		without[scope], _ = newKey(t, maker, map[string]any{"scopes": others})
	}
	everything, _ := newKey(t, maker, map[string]any{})
	asked := map[string]bool{}
	for _, op := range gaiatest.Operations(t) {
		if op.Public {
			continue
		}
		request := gaiatest.Request{Method: op.Method, Path: op.Path}
		if op.Body != nil {
			request.Body = "{nope" // nothing is carried out: a body is read after the scope is known
		}
		lacks := `This API key lacks the scope ` + op.Scope
		if !domain.IsKeyScope(op.Scope) { // what no key can be limited to is closed to all that are limited
			if op.Scope != "auth" {
				t.Errorf("%s has the scope %s, which is unknown", op.ID, op.Scope)
			}
			for scope, key := range with {
				if r := withKey(server, key).Do(request); r.Status != http.StatusForbidden || r.JSON().At("detail") != lacks {
					t.Errorf("%s with a key for %s: %d %s", op.ID, scope, r.Status, r.Body)
				}
			}
			continue
		}
		asked[op.Scope] = true
		if r := withKey(server, without[op.Scope]).Do(request); r.Status != http.StatusForbidden || r.JSON().At("detail") != lacks {
			t.Errorf("%s without %s: %d %s", op.ID, op.Scope, r.Status, r.Body)
		}
		for _, key := range []string{with[op.Scope], everything} {
			r := withKey(server, key).Do(request)
			refused := r.Status == http.StatusForbidden && !strings.HasPrefix(r.JSON().Text("detail"), "Only the global key may") // an affair of its own
			if refused || r.Status == http.StatusUnauthorized {
				t.Errorf("%s with %s: %d %s", op.ID, op.Scope, r.Status, r.Body)
			}
		}
	}
	for _, scope := range domain.KeyScopes() {
		if !asked[scope] {
			t.Errorf("no operation asks for %s", scope)
		}
	}
}

// TestLastUse: it is stored within seconds, and at the latest when the server stops.
func TestLastUse(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		c := server.Client()
		key, _ := newKey(t, c, map[string]any{})
		begun := time.Now().Truncate(time.Microsecond)
		withKey(server, key).Get(probeRoute).Want(http.StatusOK)
		server.Terminate()
		if err := server.Wait(); err != nil {
			t.Fatal(err)
		}
		server.Restart()
		at, err := time.Parse(time.RFC3339Nano, server.Client().Get(keysRoute).Want(http.StatusOK).JSON().Text("api_keys", 0, "last_used_at"))
		if err != nil || at.Before(begun) || at.After(time.Now()) {
			t.Errorf("last used at %v, %v, want it after %v", at, err, begun)
		}
	})
}

// TestKeysOfTheOldPlatformWork: rows as it made them, of any form, with what they were meant to allow.
func TestKeysOfTheOldPlatformWork(t *testing.T) {
	t.Parallel()
	backend := gaiatest.Full(t)
	conn, err := pgx.Connect(t.Context(), backend.Settings["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	user := uuid.NewString()
	if _, err := conn.Exec(t.Context(), `INSERT INTO users (id, email) VALUES ($1, 'ada@example.com')`, user); err != nil {
		t.Fatal(err)
	}
	server := backend.Start(t)
	for _, old := range []struct {
		key, permissions, expires string
		active                    bool
		read, write               int // status of a route for chat:read, and of one for chat:write
	}{
		{"gaia_production_abcdefghijklmnopqrstuvwxyz012345", `{"admin": true}`, "2999-01-01", true, 200, 200},
		{"gaia_dev_ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", `{}`, "2999-01-01", true, 200, 200},
		{"some-other-key", `["chat:read"]`, "2999-01-01", true, 200, 403},
		{"of all chats", `["chat"]`, "2999-01-01", true, 200, 200},
		{"of all assets", `["assets"]`, "2999-01-01", true, 403, 403},
		{"expired", `{}`, "2020-01-01", true, 403, 403},
		{"revoked", `{}`, "2999-01-01", false, 403, 403},
	} {
		sum := sha256.Sum256([]byte(old.key))
		_, err := conn.Exec(t.Context(), `INSERT INTO api_keys (user_id, key_hash, name, permissions, is_active, expires_at) VALUES ($1, $2, 'old', $3, $4, $5)`,
			user, hex.EncodeToString(sum[:]), old.permissions, old.active, old.expires+"T00:00:00Z")
		if err != nil {
			t.Fatal(err)
		}
		c := withKey(server, old.key)
		c.Get(probeRoute).Want(old.read)
		c.Post("/api/v1/chat", message("Hello")).Want(old.write)
		if domain.HasKeyShape(old.key) {
			server.Anonymous().With("Authorization", "Bearer "+old.key).Get(probeRoute).Want(old.read)
		}
	}
	if total := server.As(user).Get(keysRoute).Want(http.StatusOK).JSON().Number("total"); total != 7 {
		t.Errorf("their user sees %v of them", total)
	}
	wantCount(t, server.As(user), 6) // all of them speak for their user
}
