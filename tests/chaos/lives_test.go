package chaos

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// scenario is one thing that clients do. live makes a client of it: what it returns is one round, and reports whether all of it was right.
type scenario struct {
	name    string
	clients int
	live    func(a *actor) func() bool
}

var scenarios = []scenario{
	{"chats", 2, (*actor).chats},
	{"typed streams", 1, (*actor).typedStreams},
	{"UI streams", 1, (*actor).uiStreams},
	{"OpenAI streams", 2, (*actor).openAIStreams},
	{"reads", 1, (*actor).reads},
	{"personas", 1, (*actor).personas},
	{"API keys", 1, (*actor).keys},
	{"accounts", 1, (*actor).accounts},
	{"files", 1, (*actor).files},
	{"generated assets", 1, (*actor).generations},
	{"usage reports", 1, (*actor).usageReports},
	{"workflows", 1, (*actor).workflows},
}

// What a fault may leave behind that ends by itself later.
const (
	chatters = 7 // clients that have something answered, in a process that is killed
	makers   = 6 // files that are being made: an asset and its preview, in three tries
)

const turnsPerConversation = 15

// ask makes the next question, and the body of a request with it.
func (a *actor) ask() (question string, body map[string]any) {
	if len(a.books.asked)%turnsPerConversation == 0 {
		a.books.conversations = append(a.books.conversations, uuid.NewString())
	}
	question = fmt.Sprintf("%s%s-%d.", questionMark, a.user[:8], len(a.books.asked))
	a.books.asked = append(a.books.asked, question)
	return question, map[string]any{"message": question, "conversation_id": a.books.conversations[len(a.books.conversations)-1]}
}

// persist sends a request with a key until its answer is right, or the client loses patience. What is repeated must not happen twice.
func (a *actor) persist(path string, body any, more http.Header) (r *request, ok bool) {
	header := http.Header{"Idempotency-Key": {uuid.NewString()}}
	for name, values := range more {
		header[name] = values
	}
	patience := 1 + a.chance.IntN(6)
	for i := range patience {
		r = &request{method: http.MethodPost, path: path, body: body, header: header, also: []int{http.StatusAccepted}}
		switch a.do(r) {
		case right:
			return r, i == 0
		case wrong:
			return nil, false
		}
		a.rest()
	}
	return nil, false
}

// heard judges an answer to a question.
func (a *actor) heard(r *request, question, text string) {
	if strings.TrimSpace(text) != strings.TrimSpace(answerTo(question)) || len(r.events) > 0 && !r.finished {
		a.wrong(r, "brought another answer: %.1500s", r.data)
		return
	}
	a.books.answered[question] = true
}

func (a *actor) chats() func() bool {
	return func() bool {
		question, body := a.ask()
		r, ok := a.persist([]string{"/api/v0.2/chat", "/api/v1/chat"}[a.round%2], body, nil)
		if r == nil || r.status != http.StatusOK {
			return false
		}
		a.heard(r, question, r.text("response"))
		if a.round%4 == 0 {
			ok = a.remembered(question) && ok
		}
		return ok
	}
}

// remembered reads what was just said: it is there for whoever asks after the answer.
func (a *actor) remembered(question string) bool {
	r := &request{method: http.MethodGet, path: "/api/v1/conversations/" + a.books.conversations[len(a.books.conversations)-1] + "/messages?order=desc&limit=4"}
	if a.do(r) != right {
		return false
	}
	if !strings.Contains(string(r.data), question) {
		a.wrong(r, "does not know of %q, which was answered: %s", question, r.data)
	}
	return true
}

// streams is a round of a client that reads an answer as events, of which text says what they say.
func (a *actor) streams(path string, more http.Header, text func(event map[string]any) string) func() bool {
	return func() bool {
		question, body := a.ask()
		r, ok := a.persist(path, body, more)
		if r == nil || r.status != http.StatusOK {
			return false
		}
		var all strings.Builder
		for _, e := range r.events {
			all.WriteString(text(e))
		}
		a.heard(r, question, all.String())
		return ok
	}
}

func (a *actor) typedStreams() func() bool {
	return a.streams("/api/v0.2/chat/stream", nil, func(e map[string]any) string {
		text, _ := e["content"].(string)
		return text
	})
}

func (a *actor) uiStreams() func() bool {
	return a.streams("/api/v0.2/chat", http.Header{"X-Vercel-Ai-Ui-Message-Stream": {"v1"}}, func(e map[string]any) string {
		text, _ := e["delta"].(string)
		return text
	})
}

// notAKey is a header that means something elsewhere. Here it does not, and nothing on the way may take it for a promise.
func (a *actor) notAKey() http.Header {
	if a.round%4 < 2 {
		return nil
	}
	return http.Header{"X-Idempotency-Key": {uuid.NewString()}}
}

// openAIStreams has the messages in its requests, and no conversation. Every other one has no key either: it is asked once.
func (a *actor) openAIStreams() func() bool {
	return func() bool {
		question := fmt.Sprintf("%s%s-%d.", questionMark, a.user[:8], len(a.books.asked))
		a.books.asked = append(a.books.asked, question)
		body := map[string]any{"messages": []any{map[string]any{"role": "user", "content": question}}, "stream": true}
		r := &request{method: http.MethodPost, path: "/api/v1/chat/completions", body: body, header: a.notAKey()}
		var ok bool
		if a.round%2 == 0 {
			ok = a.do(r) == right
			a.invites(r, question)
		} else {
			a.books.keyed[question] = true
			r, ok = a.persist(r.path, body, nil)
		}
		if r == nil || r.status != http.StatusOK || r.failedInStream() || !r.finished {
			return false
		}
		a.heard(r, question, openAIText(r))
		return ok
	}
}

func openAIText(r *request) string {
	var all strings.Builder
	for _, e := range r.events {
		choices, _ := e["choices"].([]any)
		for _, c := range choices {
			choice, _ := c.(map[string]any)
			delta, _ := choice["delta"].(map[string]any)
			text, _ := delta["content"].(string)
			all.WriteString(text)
		}
	}
	return all.String()
}

func (a *actor) reads() func() bool {
	paths := []string{
		"/api/v0.2/models", "/api/v1/conversations", "/api/v0.2/usage/current", "/api/v0.2/personas", "/api/v1/models", "/api/v1/workflows",
		"/api/v0.2/chat/status", "/api/v1/assets/search?query=crate", "/api/v1/auth/api-keys", "/api/v0.2/personas/current",
	}
	return func() bool { return a.do(&request{method: http.MethodGet, path: paths[a.round%len(paths)]}) == right }
}

// shown is something that changes, and who reads it must not be shown what has long been replaced.
type shown struct{ versions []version }

type version struct {
	value string
	since time.Time // when the change was confirmed; zero: it may have been made, or not
}

// stale reports whether a value that was asked for then was replaced too long ago, or never written.
func (s *shown) stale(value string, asked time.Time) bool {
	known, replaced := false, false
	for _, v := range s.versions {
		switch {
		case v.value == value:
			known, replaced = true, false
			if v.since.IsZero() {
				return false // it may be carried out late
			}
		case known && !v.since.IsZero() && asked.Sub(v.since) > staleLimit:
			replaced = true
		}
	}
	return !known || replaced
}

func (s *shown) wrote(value string, v verdict, ended time.Time) {
	if v != right {
		ended = time.Time{}
	}
	s.versions = append(s.versions, version{value, ended})
}

// personas makes one, changes it, reads it back and takes it away.
func (a *actor) personas() func() bool {
	const path, changes = "/api/v0.2/personas", 6
	var id string
	var seen shown
	write := func(method, path, text string) (*request, verdict) {
		r := &request{method: method, path: path, body: map[string]any{
			"name": "Sailor " + a.user[:8] + uuid.NewString()[:8], "description": text, "system_prompt": "You are a sailor.", "personality_traits": map[string]any{},
			"capabilities": map[string]any{},
		}}
		return r, a.do(r)
	}
	return func() bool {
		text := fmt.Sprintf("Text %d", a.round)
		if id == "" {
			r, v := write(http.MethodPost, path, text)
			if v != right {
				return false
			}
			id, seen = r.text("persona", "id"), shown{}
			seen.wrote(text, v, r.ended)
			return true
		}
		r, v := write(http.MethodPut, path+"/"+id, text)
		seen.wrote(text, v, r.ended)
		read := &request{method: http.MethodGet, path: path + "/" + id}
		if got := a.do(read); got != right {
			return false
		}
		if text := read.text("persona", "description"); seen.stale(text, read.begun) {
			a.wrong(read, "showed %q, after %+v", text, seen.versions)
		}
		if len(seen.versions) > changes && a.do(&request{method: http.MethodDelete, path: path + "/" + id, also: []int{http.StatusNotFound}}) == right {
			id = ""
		}
		return v == right
	}
}

// keys makes a key, uses it and revokes it: from then on it must be refused, within the time that is promised.
func (a *actor) keys() func() bool {
	const path = "/api/v1/auth/api-keys"
	type ended struct {
		key  string
		when time.Time
	}
	var over []ended
	use := func(key string, also ...int) (*request, verdict) {
		r := &request{method: http.MethodGet, path: "/api/v0.2/models", header: http.Header{"X-Api-Key": {key}}, also: also}
		return r, a.do(r)
	}
	return func() bool {
		for _, e := range over {
			if r, v := use(e.key, http.StatusForbidden); v == right && r.status == http.StatusOK && r.begun.Sub(e.when) > staleLimit {
				a.wrong(r, "was answered with a key that was revoked %s before", r.begun.Sub(e.when))
			}
		}
		if len(over) > 2 {
			over = over[1:]
		}
		made := &request{method: http.MethodPost, path: path, body: map[string]any{"name": fmt.Sprint("key ", a.round)}}
		if a.do(made) != right {
			return false
		}
		key := made.text("api_key")
		if _, v := use(key); v != right {
			return false
		}
		revoked := &request{method: http.MethodDelete, path: path + "/" + made.text("key", "id")}
		if a.do(revoked) != right {
			return false
		}
		over = append(over, ended{key, revoked.ended})
		return true
	}
}

// accounts opens an account, signs in and renews the session.
func (a *actor) accounts() func() bool {
	const path, password = "/api/v1/auth/", "Corr3ct-horse-battery" //nolint:gosec // of an account that lives as long as a test
	email, known := "player-"+a.user+"@example.com", false
	nobody := http.Header{"Authorization": nil}
	post := func(path string, body any, also ...int) (*request, verdict) {
		r := &request{method: http.MethodPost, path: path, body: body, header: nobody, also: also}
		return r, a.do(r)
	}
	var refresh string
	return func() bool {
		credentials := map[string]any{"email": email, "password": password}
		if !known { // an account whose answer was lost is there already
			_, v := post(path+"register", credentials, http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity)
			known = v == right
			return known
		}
		var r *request
		var v verdict
		if refresh == "" || a.round%8 == 0 {
			r, v = post(path+"login", credentials)
		} else if r, v = post(path+"refresh", map[string]any{"refresh_token": refresh}); v != right {
			refresh = "" // it may be used up
		}
		if v != right {
			return false
		}
		refresh = r.text("session", "refresh_token")
		who := &request{method: http.MethodGet, path: path + "user", header: http.Header{"Authorization": {"Bearer " + r.text("session", "access_token")}}}
		if a.do(who) != right {
			return false
		}
		if !strings.Contains(string(who.data), email) {
			a.wrong(who, "is about somebody else: %s", who.data)
		}
		return true
	}
}

// files uploads sounds and fetches them again.
func (a *actor) files() func() bool {
	type stored struct {
		link string
		data []byte
	}
	var kept []stored
	return func() bool {
		title, data := fmt.Sprintf("noise-%s-%d", a.user, a.round), noise(a.chance, 20_000+a.chance.IntN(200_000))
		a.books.asked = append(a.books.asked, title)
		r := &request{method: http.MethodPost, path: "/api/v1/assets/upload", body: upload(title, data), header: a.notAKey()}
		uploaded := a.do(r) == right
		a.invites(r, title)
		if uploaded {
			a.books.answered[title] = true
			kept = append(kept, stored{pathOf(r.text("upload_url")), data})
		}
		if len(kept) == 0 {
			return false
		}
		old := kept[a.chance.IntN(len(kept))]
		if a.round%2 == 0 {
			old = kept[len(kept)-1]
		}
		back := &request{method: http.MethodGet, path: old.link, header: http.Header{"Authorization": nil}, file: true}
		if a.do(back) != right {
			return false
		}
		if !slices.Equal(back.data, old.data) {
			a.wrong(back, "brought %d bytes, or others, %d were uploaded", len(back.data), len(old.data))
		}
		if len(kept) > 8 {
			kept = kept[1:]
		}
		return uploaded
	}
}

// pathOf is a link without the host: another process knows the way as well.
func pathOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	return u.RequestURI()
}

// workLimit is for work that goes on after its request: what a process leaves waits for another one.
const workLimit = 90 * time.Second

// generations has assets made by the built-in generator.
func (a *actor) generations() func() bool {
	return func() bool {
		begun, description := time.Now(), fmt.Sprintf("crate %d %s", a.round, a.user[:8])
		a.books.asked = append(a.books.asked, description)
		r, ok := a.persist("/api/v1/assets/generate", map[string]any{
			"category": "prop", "style": "plain", "description": description,
			"requirements": map[string]any{"platform": "ar", "quality": "low"},
			"preferences":  map[string]any{"allow_database": false, "allow_modifications": false, "max_wait_time_ms": 0},
		}, nil)
		if r == nil || r.status != http.StatusOK && r.status != http.StatusAccepted {
			return false
		}
		id := r.text("asset_id")
		for a.load.ctx.Err() == nil {
			state := &request{method: http.MethodGet, path: "/api/v1/assets/" + id}
			if a.do(state) != right {
				ok = false
				a.rest()
				continue
			}
			switch status := state.text("status"); {
			case status == "completed":
				a.books.answered[description] = true
				back := &request{method: http.MethodGet, path: pathOf(state.text("asset_data", "download_url")), header: http.Header{"Authorization": nil}, file: true}
				return a.do(back) == right && ok
			case status != "pending" && status != "processing":
				a.wrong(state, "tells of work that went wrong: %s", state.data)
				return false
			case time.Since(begun) > workLimit:
				a.wrong(state, "tells of work that is not done after %s: %s", workLimit, state.data)
				return false
			}
			a.rest()
		}
		return false
	}
}

// usageReports tells what somebody says to have used. What is sent twice is stored twice, so nothing is.
func (a *actor) usageReports() func() bool {
	return func() bool {
		label := fmt.Sprintf("r-%d", a.round)
		a.books.asked = append(a.books.asked, label)
		r := &request{method: http.MethodPost, path: "/api/v0.2/usage/log", body: map[string]any{
			"provider": "dalle", "operation": "image_generation", "cost": 0.08, "images": 2, "model": "dall-e-3", "request_id": label,
		}, header: a.notAKey()}
		v := a.do(r)
		a.invites(r, label)
		if v != right {
			return false
		}
		a.books.answered[label] = true
		return true
	}
}

// workflows starts one and follows it to its end, however often the connection breaks.
func (a *actor) workflows() func() bool {
	return func() bool {
		begun, question := time.Now(), fmt.Sprintf("%s%s-%d.", questionMark, a.user[:8], a.round)
		a.books.asked = append(a.books.asked, question)
		r, ok := a.persist("/api/v1/workflows", map[string]any{"kind": "agent", "task": question}, nil)
		if r == nil || r.status != http.StatusOK {
			return false
		}
		id, last := r.text("id"), 0
		for a.load.ctx.Err() == nil {
			f := &request{method: http.MethodGet, path: "/api/v1/workflows/" + id + "/events", feed: true}
			if last > 0 {
				f.header = http.Header{"Last-Event-Id": {fmt.Sprint(last)}}
			}
			v := a.do(f)
			for _, e := range f.events {
				number, is := e["sequence"].(float64)
				if is && int(number) != last+1 {
					a.wrong(f, "goes on with event %v after %d", number, last)
				}
				if is {
					last = int(number)
				}
			}
			if v == right && f.finished {
				return a.workflowEnded(id, question) && ok
			}
			ok = false
			if time.Since(begun) > workLimit {
				a.wrong(f, "has not come to an end after %s", workLimit)
				return false
			}
			a.rest()
		}
		return false
	}
}

func (a *actor) workflowEnded(id, question string) bool {
	r := &request{method: http.MethodGet, path: "/api/v1/workflows/" + id}
	if a.do(r) != right {
		return false
	}
	if r.text("status") != "completed" || strings.TrimSpace(r.text("output")) != strings.TrimSpace(answerTo(question)) {
		a.wrong(r, "tells of a workflow that ended otherwise: %.1500s", r.data)
		return false
	}
	a.books.answered[question] = true
	return true
}
