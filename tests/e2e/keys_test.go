package e2e

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/domain"
	"gaia/tests/gaiatest"
)

var madeKey = regexp.MustCompile(`Made ([0-9a-f-]{36})`)

// madeBy returns the key that a command printed, and its id. Nothing else may stand on its standard output.
func madeBy(t *testing.T, o gaiatest.Output) (key, id string) {
	t.Helper()
	key = strings.TrimSuffix(o.Out, "\n")
	found := madeKey.FindStringSubmatch(o.Info)
	if o.Code != 0 || !domain.HasKeyShape(key) || domain.IsMistypedKey(key) || found == nil {
		t.Fatalf("ended with %d\n%s\n%s", o.Code, o.Out, o.Info)
	}
	if strings.Contains(o.Info, key) {
		t.Errorf("the key is printed twice: %s", o.Info)
	}
	return key, found[1]
}

// soon waits until a server refuses a key, and returns how long that took.
func refusedAfter(t *testing.T, server *gaiatest.Server, key string, limit time.Duration) time.Duration {
	t.Helper()
	begun := time.Now()
	gaiatest.Eventually(t, limit, "the key is refused", func() bool {
		return withKey(server, key).Get(probeRoute).Status == http.StatusForbidden
	})
	return time.Since(begun)
}

// TestKeysOnTheCommandLine: beside a server that runs, on the same database.
func TestKeysOnTheCommandLine(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		user := uuid.NewString()
		gaia := func(args ...string) gaiatest.Output {
			t.Helper()
			return b.Run(t, nil, append([]string{"keys"}, args...)...)
		}
		key, id := madeBy(t, gaia("create", "--name", "Build server", "--scopes", "chat:read,keys:manage", "--tools", "files/*, mail/send", "--user", user, "--expires", "90d"))
		withKey(server, key).Get(probeRoute).Want(http.StatusOK)
		page := server.As(user).Get(keysRoute).Want(http.StatusOK).JSON()
		if page.Number("total") != 1 || page.Text("api_keys", 0, "id") != id || page.Text("api_keys", 0, "name") != "Build server" {
			t.Errorf("the user sees %v", page.Fields)
		}
		if tools := page.At("api_keys", 0, "tools"); !reflect.DeepEqual(tools, []any{"files/*", "mail/send"}) {
			t.Errorf("its tools are %v", tools)
		}
		ends, err := time.Parse(time.RFC3339Nano, page.Text("api_keys", 0, "expires_at"))
		if left := time.Until(ends); err != nil || left > 90*24*time.Hour || left < 90*24*time.Hour-time.Minute {
			t.Errorf("it ends at %s, %v", ends, err)
		}
		service, serviceID := madeBy(t, gaia("create", "--name", "Of all"))
		if total := server.Client().Get(keysRoute).Want(http.StatusOK).JSON().Number("total"); total != 1 {
			t.Errorf("the global key sees %v keys", total)
		}
		say(t, withKey(server, service), message("Remember me"))

		list := gaia("list").Out
		for _, part := range []string{id, serviceID, "active", key[:13], "chat:read,keys:manage", "everything", "files/*,mail/send", "all", `"key:` + serviceID + `"`, `"Build server"`} {
			if !strings.Contains(list, part) {
				t.Errorf("no %q in the list:\n%s", part, list)
			}
		}
		if of := gaia("list", "--owner", user).Out; !strings.Contains(of, id) || strings.Contains(of, serviceID) {
			t.Errorf("the list of one owner:\n%s", of)
		}

		next, _ := madeBy(t, gaia("rotate", serviceID, "--grace", "0"))
		wantCount(t, withKey(server, next), 2)
		refusedAfter(t, server, service, 10*time.Second)
		if o := gaia("rotate", serviceID); o.Code != 1 || !strings.Contains(o.Info, "replaced already") || o.Out != "" {
			t.Errorf("again: %+v", o)
		}

		withKey(server, key).Get(probeRoute).Want(http.StatusOK)
		revoked := gaia("revoke", id)
		if revoked.Code != 0 || !strings.Contains(revoked.Info, "Revoked "+id) || revoked.Out != "" {
			t.Errorf("revoked: %+v", revoked)
		}
		// The command has ended after it told the server: what is promised is a second, and the rest is for a busy machine.
		t.Logf("refused %s after the command had ended", refusedAfter(t, server, key, 10*time.Second))
		if o := gaia("revoke", id); o.Code != 1 || !strings.Contains(o.Info, "API key not found") {
			t.Errorf("again: %+v", o)
		}
		if want := map[string]string{"embedded": "A running server knows it within 1s.", "full": "Running servers were told."}[b.Name]; !strings.Contains(revoked.Info, want) {
			t.Errorf("no %q in %s", want, revoked.Info)
		}
	})
}

func TestKeysBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	b := gaiatest.Embedded(t)
	for _, args := range [][]string{{"list"}, {"revoke", uuid.NewString()}, {"rotate", uuid.NewString()}} {
		if o := b.Run(t, nil, append([]string{"keys"}, args...)...); o.Code != 1 || !strings.Contains(o.Info, "GAIA_DATA_DIR") {
			t.Errorf("%v in an empty folder: %+v", args, o)
		}
	}
	key, _ := madeBy(t, b.Run(t, gaiatest.Settings{"ENVIRONMENT": "production"}, "keys", "create", "--name", "first"))
	if !strings.HasPrefix(key, "gaia_live_") {
		t.Errorf("a key of production: %s", key)
	}
	withKey(b.Start(t), key).Get(probeRoute).Want(http.StatusOK)
}

func TestKeysWithoutTheBusAndTheCache(t *testing.T) {
	t.Parallel()
	b := gaiatest.FragileCache(t)
	_, id := madeBy(t, b.Run(t, nil, "keys", "create", "--name", "n"))
	_, other := madeBy(t, b.Run(t, nil, "keys", "create", "--name", "m"))
	b.Faults.NATS.Stop()
	if o := b.Run(t, nil, "keys", "revoke", id); o.Code != 0 || !strings.Contains(o.Info, "NATS could not be reached: it may take up to 20m0s (API_KEY_CACHE_TTL)") {
		t.Errorf("without NATS: %+v", o)
	}
	b.Faults.Redis.Stop()
	if o := b.Run(t, gaiatest.Settings{"NATS_URL": ""}, "keys", "revoke", other); o.Code != 0 || !strings.Contains(o.Info, "Redis could not be reached") {
		t.Errorf("without Redis: %+v", o)
	}
}

func TestCommandLinesOfKeysThatMakeNoSense(t *testing.T) {
	t.Parallel()
	b := gaiatest.Embedded(t)
	for line, want := range map[string]string{
		"forget x": "unknown command", "create": "name", "create --name": "flag needs an argument", "create --name n --scopes chat:fly": `no scope "chat:fly"`,
		"create --name n --scopes ,": "names none", "create --name n --tools ,": `write "none"`, "create --name n --tools files": "no pattern", "create --name n extra": "wrong number", "create --name n --expires tomorrow": "neither a time",
		"create --name n --expires 2001-01-01": "in the future", "create --name n --user service": "can't be a user", "create --name n --user key:1": "can't be a user",
		"revoke": "wrong number", "revoke a b": "wrong number", "revoke x": "API key not found", "rotate x --grace -1h": "no span of time",
		"rotate x --grace 31d": "from 0 to 720h", "list --limit -1": "below 0", "list --nope": "not defined", "list x": "wrong number",
	} {
		if strings.HasPrefix(want, "API key") || strings.HasPrefix(want, "from 0") {
			b.Run(t, nil, "keys", "create", "--name", "so that there is a database")
		}
		o := b.Run(t, nil, append([]string{"keys"}, strings.Fields(line)...)...)
		if o.Code == 0 || !strings.Contains(o.Info, want) || o.Out != "" {
			t.Errorf("%q: no %q in %+v", line, want, o)
		}
	}
	for _, help := range [][]string{{"keys"}, {"keys", "help"}, {"keys", "--help"}, {"keys", "rotate", "--help"}, {"keys", "create", "-h"}} {
		if o := b.Run(t, nil, help...); o.Code != 0 || !strings.Contains(o.Out, "--grace") || !strings.Contains(o.Out, "chat:write") {
			t.Errorf("%v: %+v", help, o)
		}
	}
	help := b.Run(t, nil, "keys", "help").Out
	for _, scope := range domain.KeyScopes() {
		if !strings.Contains(help, scope) {
			t.Errorf("help does not name %s", scope)
		}
	}
	if o := b.Run(t, nil, "help"); !strings.Contains(o.Out, "gaia keys") {
		t.Errorf("gaia help: %s", o.Out)
	}
}
