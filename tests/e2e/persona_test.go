package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// personaRoutes are where each version of the API keeps personas.
var personaRoutes = map[string]string{"v0.2": "/api/v0.2/personas", "v1": "/api/v1/chat/personas"}

const nobody = "00000000-0000-4000-8000-000000000000"

func draft(name string) map[string]any {
	return map[string]any{
		"name": name, "description": "A sailor of few words", "system_prompt": "You are " + name + ", a sailor.",
		"personality_traits": map[string]any{"bold": true, "humour": "dry", "age": 61.5, "ships": []any{"Nautilus"}, "rank": nil},
		"capabilities":       map[string]any{"nav": 1.0},
	}
}

// surname is a name that nobody else has, in letters, since the echo model takes nothing else for a name.
func surname() string {
	return "V" + strings.Map(func(r rune) rune { return 'a' + r%26 }, strings.ReplaceAll(uuid.NewString(), "-", ""))
}

func create(t *testing.T, c *gaiatest.Client, path, name string) string {
	t.Helper()
	return c.Post(path, draft(name)).Want(http.StatusOK).JSON().Text("persona", "id")
}

// eachVersion runs a test on both versions of the persona routes, on both backends.
func eachVersion(t *testing.T, test func(t *testing.T, server *gaiatest.Server, path string)) {
	t.Helper()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		for version, path := range personaRoutes {
			t.Run(version, func(t *testing.T) { test(t, server, path) })
		}
	})
}

func TestPersonaLifecycle(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, server *gaiatest.Server, path string) {
		user := uuid.NewString()
		c := server.As(user)
		name := "Nemo " + uuid.NewString()[:8]
		made := c.Post(path, draft(name)).Want(http.StatusOK).JSON()
		if _, hasSuccess := made.Fields["success"]; hasSuccess != strings.Contains(path, "v0.2") {
			t.Errorf("the envelope is %v", made.Fields)
		}
		id := made.Text("persona", "id")
		if made.Text("persona", "created_by") != user || made.At("persona", "is_active") != true {
			t.Errorf("the new persona is %v", made.At("persona"))
		}
		at, err := time.Parse(time.RFC3339Nano, made.Text("persona", "created_at"))
		if err != nil || !strings.HasSuffix(made.Text("persona", "created_at"), "Z") || time.Since(at).Abs() > time.Minute {
			t.Errorf("created at %v", made.At("persona", "created_at"))
		}
		read := c.Get(path + "/" + id).Want(http.StatusOK).JSON()
		if got, want := fmt.Sprint(read.At("persona")), fmt.Sprint(made.At("persona")); got != want {
			t.Errorf("read back: %s\nwas made:  %s", got, want)
		}
		if fmt.Sprint(read.At("persona", "personality_traits")) != fmt.Sprint(draft(name)["personality_traits"]) {
			t.Errorf("traits: %v", read.At("persona", "personality_traits"))
		}
		changed := c.Put(path+"/"+strings.ToUpper(id), map[string]any{"description": "Quiet", "capabilities": map[string]any{}}).Want(http.StatusOK).JSON()
		if changed.Text("persona", "description") != "Quiet" || changed.Text("persona", "name") != name || len(changed.At("persona", "capabilities").(map[string]any)) != 0 {
			t.Errorf("changed to %v", changed.At("persona"))
		}
		same := c.Put(path+"/"+id, map[string]any{}).Want(http.StatusOK).JSON()
		if same.Text("persona", "description") != "Quiet" {
			t.Errorf("an empty change made %v", same.At("persona"))
		}
		c.Delete(path + "/" + id).Want(http.StatusOK)
		c.Get(path + "/" + id).Want(http.StatusNotFound)
		c.Put(path+"/"+id, map[string]any{"description": "x"}).Want(http.StatusNotFound)
		c.Delete(path + "/" + id).Want(http.StatusNotFound)
		wantListed(t, c, path, id, false)
		wantListed(t, c, path+"?active_only=false", id, true)
		c.Put(path+"/"+id, map[string]any{"is_active": true}).Want(http.StatusOK)
		c.Get(path + "/" + id).Want(http.StatusOK)
		wantListed(t, c, path, id, true)
		c.Put(path+"/"+id, map[string]any{"is_active": false}).Want(http.StatusOK)
		c.Get(path + "/" + id).Want(http.StatusNotFound)
	})
}

func listed(t *testing.T, c *gaiatest.Client, path string) (ids []string, total float64) {
	t.Helper()
	list := c.Get(path).Want(http.StatusOK).JSON()
	for _, p := range list.At("personas").([]any) {
		ids = append(ids, p.(map[string]any)["id"].(string))
	}
	return ids, list.Number("total")
}

func wantListed(t *testing.T, c *gaiatest.Client, path, id string, want bool) {
	t.Helper()
	ids, _ := listed(t, c, path)
	for _, other := range ids {
		if other == id {
			if !want {
				t.Errorf("%s lists %s", path, id)
			}
			return
		}
	}
	if want {
		t.Errorf("%s does not list %s", path, id)
	}
}

func TestWhoMayChangeAPersona(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, server *gaiatest.Server, path string) {
		owner, other, service := server.As(uuid.NewString()), server.As(uuid.NewString()), server.Client()
		id := path + "/" + create(t, owner, path, "Owned "+uuid.NewString()[:8])
		other.Get(id).Want(http.StatusOK)
		other.Put(id, map[string]any{"description": "mine"}).Want(http.StatusForbidden)
		other.Delete(id).Want(http.StatusForbidden)
		owner.Put(id, map[string]any{"description": "still mine"}).Want(http.StatusOK)
		service.Put(id, map[string]any{"description": "from above"}).Want(http.StatusOK)
		service.Delete(id).Want(http.StatusOK)
		other.Delete(id).Want(http.StatusNotFound)
		other.Put(id, map[string]any{"is_active": true}).Want(http.StatusNotFound)

		ours := service.Post(path, draft("Ours "+uuid.NewString()[:8])).Want(http.StatusOK).JSON()
		if ours.Text("persona", "created_by") != "service" {
			t.Errorf("made by the global key: %v", ours.At("persona", "created_by"))
		}
		owner.Delete(path + "/" + ours.Text("persona", "id")).Want(http.StatusForbidden)
		for _, anonymous := range []gaiatest.Response{server.Anonymous().Get(path), server.Anonymous().Delete(id), server.Anonymous().Post(path, draft("x"))} {
			anonymous.Want(http.StatusUnauthorized)
			if anonymous.Header.Get("WWW-Authenticate") == "" {
				t.Error("a 401 without WWW-Authenticate")
			}
		}
	})
}

func TestNamesAreUniqueAmongActivePersonas(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, server *gaiatest.Server, path string) {
		c, other := server.As(uuid.NewString()), server.As(uuid.NewString())
		name := "Twin " + uuid.NewString()[:8]
		first := create(t, c, path, name)
		refusal := other.Post(path, draft(name)).Want(http.StatusConflict).JSON()
		wantText(t, refusal.Text("detail"), name)
		second := create(t, other, path, name+" II")
		other.Put(path+"/"+second, map[string]any{"name": name}).Want(http.StatusConflict)
		c.Delete(path + "/" + first).Want(http.StatusOK)
		other.Put(path+"/"+second, map[string]any{"name": name}).Want(http.StatusOK)
		c.Put(path+"/"+first, map[string]any{"is_active": true}).Want(http.StatusConflict)
	})
}

func TestDefaultPersonaIsProtected(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, server *gaiatest.Server, path string) {
		service, user := server.Client(), server.As(uuid.NewString())
		current := user.Get(path + "/current").Want(http.StatusOK).JSON()
		if current.Text("persona", "name") != "Mu" || current.Text("persona", "created_by") != "system" {
			t.Errorf("the current persona is %v", current.At("persona"))
		}
		mu := path + "/" + current.Text("persona", "id")
		user.Delete(mu).Want(http.StatusForbidden)
		service.Delete(mu).Want(http.StatusConflict)
		service.Put(mu, map[string]any{"is_active": false}).Want(http.StatusConflict)
		service.Put(mu, map[string]any{"name": "Nu"}).Want(http.StatusConflict)
		user.Post(path, draft("Mu")).Want(http.StatusConflict)
		again := user.Post(path+"/initialize-default", nil).Want(http.StatusOK).JSON()
		if again.Text("persona", "id") != current.Text("persona", "id") {
			t.Errorf("initialised another default: %v", again.Fields)
		}
	})
}

func TestChosenPersonaAnswers(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, server *gaiatest.Server, path string) {
		c, other := server.As(uuid.NewString()), server.As(uuid.NewString())
		suffix := surname()
		nemo, ahab := create(t, c, path, "Nemo "+suffix), create(t, other, path, "Ahab "+suffix)
		for range 2 { // the second time from caches
			wantText(t, say(t, c, message("Who?")), "Mu here")
		}
		c.Post(path+"/set", map[string]any{"persona_id": nemo}).Want(http.StatusOK)
		for range 2 {
			wantText(t, say(t, c, message("Who?")), "Nemo "+suffix+" here")
			wantText(t, say(t, other, message("Who?")), "Mu here")
		}
		if current := c.Get(path + "/current").Want(http.StatusOK).JSON(); current.Text("persona", "id") != nemo {
			t.Errorf("the current persona is %v", current.At("persona"))
		}
		wantText(t, say(t, c, with(message("Who?"), "persona_id", ahab)), "Ahab "+suffix+" here")
		wantText(t, say(t, c, with(message("Who?"), "persona_id", "default")), "Nemo "+suffix+" here")
		typed := c.Stream(t.Context(), typedRoute, with(message("Who?"), "persona_id", ahab)).All()
		wantText(t, gaiatest.Text(typed), "Ahab "+suffix+" here")
		v1 := c.Post("/api/v1/chat", with(message("Who?"), "persona_id", ahab)).Want(http.StatusOK).JSON()
		wantText(t, v1.Text("response"), "Ahab "+suffix+" here")

		c.Put(path+"/"+nemo, map[string]any{"system_prompt": "You are Dakkar " + suffix + ", a prince."}).Want(http.StatusOK)
		wantText(t, say(t, c, message("Who?")), "Dakkar "+suffix+" here")
		c.Delete(path + "/" + nemo).Want(http.StatusOK)
		wantText(t, say(t, c, message("Who?")), "Mu here")
		c.Post(path+"/set", map[string]any{"persona_id": nemo}).Want(http.StatusNotFound)
		c.Post(path+"/set", map[string]any{"persona_id": nobody}).Want(http.StatusNotFound)
		c.Post("/api/v0.2/chat", with(message("Who?"), "persona_id", nobody)).Want(http.StatusNotFound)

		service := server.Client()
		service.Post(path+"/set", map[string]any{"persona_id": ahab}).Want(http.StatusOK)
		wantText(t, say(t, service, message("Who?")), "Ahab "+suffix+" here")
	})
}

func TestListIsNewestFirstAndPaged(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).Client()
		var made []string
		for i := range 5 {
			made = append([]string{create(t, c, personaRoutes["v0.2"], fmt.Sprintf("Sailor %d", i))}, made...)
		}
		for _, path := range personaRoutes {
			all, total := listed(t, c, path)
			if len(all) != 6 || total != 6 || strings.Join(all[:5], " ") != strings.Join(made, " ") {
				t.Errorf("%s lists %v of %v, want %v first", path, all, total, made)
			}
			page, total := listed(t, c, path+"?limit=2&offset=1")
			if total != 6 || strings.Join(page, " ") != strings.Join(made[1:3], " ") {
				t.Errorf("%s: the page is %v of %v", path, page, total)
			}
			if rest, _ := listed(t, c, path+"?offset=5"); len(rest) != 1 {
				t.Errorf("%s: the last page is %v", path, rest)
			}
			if none, total := listed(t, c, path+"?offset=60"); len(none) != 0 || total != 6 {
				t.Errorf("%s: beyond the end there are %v of %v", path, none, total)
			}
		}
	})
}

func TestListsHaveETags(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, server *gaiatest.Server, path string) {
		c := server.Client()
		first := c.Get(path).Want(http.StatusOK)
		etag := first.Header.Get("ETag")
		if etag == "" {
			t.Fatal("no ETag")
		}
		unchanged := http.Header{"If-None-Match": {`"other", ` + etag}}
		c.Do(gaiatest.Request{Method: "GET", Path: path, Header: unchanged}).Want(http.StatusNotModified)
		if again := c.Get(path); again.Header.Get("ETag") != etag {
			t.Errorf("the ETag of the same list changed from %s to %s", etag, again.Header.Get("ETag"))
		}
		create(t, c, path, "New "+uuid.NewString()[:8])
		changed := c.Do(gaiatest.Request{Method: "GET", Path: path, Header: unchanged}).Want(http.StatusOK)
		if changed.Header.Get("ETag") == etag {
			t.Error("the ETag of another list is the same")
		}
	})
}
