package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

const (
	// requestLimit is for any one request, whatever is broken: it has its answer by then.
	requestLimit = 45 * time.Second
	// staleLimit is how long something old may be shown after it was changed: 5 s are promised to who can't be told, the rest is for a
	// busy machine.
	staleLimit = 10 * time.Second
	// maxStories are told of one run: what comes after them has the same reason.
	maxStories = 12
)

// load is clients that do what clients do until they are told to stop, and judge every answer.
type load struct {
	world   *world
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	actors  []*actor

	mu      sync.Mutex
	stories []string
	phase   phase
	changed chan struct{} // closed when an answer has come
	total   map[verdict]int
}

// phase is what has come in since a moment.
type phase struct {
	begun    time.Time
	ended    map[*actor]time.Time // last good round of each client: when it began
	there    time.Time            // when what is wrong had become so
	any      map[*actor]bool      // clients with an answer to something that was asked since then
	lastAway time.Time            // when the last answer came that was no right one
	counts   map[verdict]int
	examples map[verdict]string // the first answer of each kind that was no right one
	worst    time.Duration
	slowest  string
}

// verdict is what becomes of a request.
type verdict string

const (
	right   verdict = "right"
	refused verdict = "503"
	broken  verdict = "a typed error in the stream"
	paused  verdict = "a feed is interrupted" // which it says, and goes on when it is asked for again
	cut     verdict = "a feed breaks off"     // likewise, without a word
	torn    verdict = "a download breaks off" // and can be taken up with Range
	gone    verdict = "no connection"         // to a process that was dead
	wrong   verdict = "wrong"
)

// actor is one client with a user of its own.
type actor struct {
	load   *load
	name   string
	chance *rand.Rand
	user   string
	token  string
	round  int
	life   func() bool // one round, and whether all of it was right
	books  account
}

// account is what a client knows for sure, or not.
type account struct {
	conversations []string
	asked         []string        // questions, names of files, what work is about
	answered      map[string]bool // those whose right answer came
	invited       map[string]bool // those whose 503 says when to ask again: they were not carried out
	keyed         map[string]bool // those that may be sent again
}

// newLoad starts clients.
func newLoad(w *world) *load {
	l := &load{world: w, changed: make(chan struct{}), total: map[verdict]int{}}
	l.ctx, l.stop = context.WithCancel(w.t.Context())
	l.begin()
	for _, s := range scenarios {
		for i := range s.clients {
			a := newActor(l, s.name, i)
			a.life = s.live(a)
			l.actors = append(l.actors, a)
		}
	}
	for _, a := range l.actors {
		l.running.Go(a.live)
	}
	return l
}

func newActor(l *load, name string, i int) *actor {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, name, i)
	chance := rand.New(rand.NewPCG(l.world.seed, h.Sum64())) //nolint:gosec // chances that can be repeated
	a := &actor{load: l, name: name, chance: chance, user: uuid.NewString()}
	a.token = gaiatest.Token(l.world.t, a.user)
	a.books = account{answered: map[string]bool{}, invited: map[string]bool{}, keyed: map[string]bool{}}
	return a
}

// live repeats a round until the load ends.
func (a *actor) live() {
	for a.load.ctx.Err() == nil {
		begun := time.Now()
		a.round++
		if a.life() {
			a.load.good(a, begun)
		}
		a.rest()
	}
}

// rest is what a client takes before it asks again: without it the machine would have nothing left for who has to heal.
func (a *actor) rest() {
	timer := time.NewTimer(time.Duration(20+a.chance.IntN(80)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.load.ctx.Done():
	}
}

// begin begins a phase.
func (l *load) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = phase{begun: time.Now(), there: time.Now(), ended: map[*actor]time.Time{}, any: map[*actor]bool{}, counts: map[verdict]int{}, examples: map[verdict]string{}}
}

// begun says that what is to be wrong is so from now on.
func (l *load) begun() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase.there, l.phase.any = time.Now(), map[*actor]bool{}
}

// mark says that from now on everything should be well again.
func (l *load) mark() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase.ended = map[*actor]time.Time{}
	return time.Now()
}

func (l *load) good(a *actor, begun time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase.ended[a] = begun
	l.tell()
}

// count notes an answer.
func (l *load) count(a *actor, r *request, v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.phase
	l.total[v]++
	p.counts[v]++
	if r.begun.After(p.there) {
		p.any[a] = true
	}
	if v != right {
		p.lastAway = r.ended
		if p.examples[v] == "" {
			p.examples[v] = fmt.Sprintf("%s %s: %s %s: %d %.500s", r.begun.Format("15:04:05.000"), a.name, r.method, r.path, r.status, r.data)
		}
	}
	if took := r.ended.Sub(r.begun); took > p.worst && !r.feed {
		p.worst, p.slowest = took, r.method+" "+r.path+" "+r.answer.Get("X-Request-Id")
	}
	l.tell()
}

func (l *load) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// await waits until something holds.
func (l *load) await(limit time.Duration, holds func(*phase) bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		done, lost, changed := holds(&l.phase), len(l.stories) > 0, l.changed
		l.mu.Unlock()
		if done || lost {
			return done
		}
		select {
		case <-changed:
		case <-deadline.C:
			return false
		}
	}
}

// felt waits until every client has had an answer to something that was asked since all was wrong.
func (l *load) felt(limit time.Duration) bool {
	return l.await(limit, func(p *phase) bool { return len(p.any) == len(l.actors) })
}

// endure waits until all has been wrong for some time.
func (l *load) endure(lasts time.Duration) {
	l.await(lasts-time.Since(l.now().there), func(*phase) bool { return false })
}

// healed waits until every client has had a good round that began after a moment, and after the last answer that was none, and
// returns how long after that moment this answer came.
func (l *load) healed(since time.Time, limit time.Duration) (after time.Duration, ok bool) {
	var missing []string
	ok = l.await(limit, func(p *phase) bool {
		missing = nil
		for _, a := range l.actors {
			if begun, found := p.ended[a]; !found || begun.Before(since) || begun.Before(p.lastAway) {
				missing = append(missing, a.name)
			}
		}
		after = max(0, p.lastAway.Sub(since))
		return len(missing) == 0
	})
	if !ok && !l.failed() {
		l.story("not well again after %s: %s", limit, strings.Join(missing, ", "))
	}
	return after, ok
}

// now returns a copy of what the phase has brought.
func (l *load) now() phase {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.phase
	p.counts, p.examples = maps.Clone(l.phase.counts), maps.Clone(l.phase.examples)
	return p
}

// story keeps what nobody may see.
func (l *load) story(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stories = append(l.stories, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	l.tell()
}

// end stops the clients, and fails the test when something was wrong.
func (l *load) end() {
	l.stop()
	l.running.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.stories {
		if i == maxStories {
			l.world.t.Errorf("and %d more like these", len(l.stories)-i)
			break
		}
		l.world.t.Error(s)
	}
	l.stories = nil
}

// failed reports whether there is something to tell.
func (l *load) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stories) > 0
}

// request is one request, and then its answer.
type request struct {
	method, path string
	header       http.Header // instead of the client's credentials, if it has any
	body         any
	also         []int // statuses besides 200 that are right
	feed         bool  // it follows something that takes its time, and can be taken up where it broke off
	file         bool  // it is a download
	begun, ended time.Time
	entry        *entry
	status       int
	answer       http.Header
	data         []byte
	events       []map[string]any
	finished     bool // the stream ended as streams do
}

// do sends a request and judges it. What is right is for the caller to look into.
func (a *actor) do(r *request) verdict {
	r.entry = a.load.world.entries[a.chance.IntN(len(a.load.world.entries))]
	r.begun = time.Now()
	err := a.send(r)
	r.ended = time.Now()
	v := a.judge(r, err)
	a.load.count(a, r, v)
	return v
}

func (a *actor) send(r *request) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.load.ctx), requestLimit)
	defer cancel()
	req, err := newRequest(ctx, r)
	if err != nil {
		return err
	}
	if _, other := r.header["Authorization"]; !other && r.header["X-Api-Key"] == nil {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := r.entry.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or broken off
	r.status, r.answer = resp.StatusCode, resp.Header
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/event-stream" {
		return r.follow(resp.Body)
	}
	r.data, err = io.ReadAll(resp.Body)
	return err
}

func newRequest(ctx context.Context, r *request) (*http.Request, error) {
	var body io.Reader = http.NoBody
	kind := "application/json"
	switch b := r.body.(type) {
	case nil:
	case form:
		body, kind = bytes.NewReader(b.data), b.kind
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	address := r.path
	if strings.HasPrefix(address, "/") {
		address = r.entry.url + address
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.Header.Set("Content-Type", kind)
	}
	for name, values := range r.header {
		if len(values) > 0 {
			req.Header[name] = values
		}
	}
	return req, nil
}

// follow reads an event stream.
func (r *request) follow(body io.Reader) error {
	data, err := io.ReadAll(body)
	for line := range strings.Lines(string(data)) {
		text, found := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !found {
			continue
		}
		if text == gaiatest.Done {
			r.finished = true
			continue
		}
		var event map[string]any
		if json.Unmarshal([]byte(text), &event) != nil {
			if err == nil {
				return fmt.Errorf("an event that is no JSON: %.200q", text)
			}
			continue // it was broken off
		}
		r.events = append(r.events, event)
	}
	r.data = data
	return err
}

// judge says what a request came to. Whatever is not listed here is wrong, and told.
func (a *actor) judge(r *request, err error) verdict {
	switch took := r.ended.Sub(r.begun); {
	case err != nil && r.entry.excuses(err, r.begun, r.ended) && !errors.Is(err, context.DeadlineExceeded):
		return gone
	case err != nil && r.feed && r.status == http.StatusOK && !errors.Is(err, context.DeadlineExceeded):
		return cut
	case r.file && errors.Is(err, io.ErrUnexpectedEOF):
		return torn
	case err != nil:
		return a.wrong(r, "ended with %v, after the status %d and %d bytes: %.500s", err, r.status, len(r.data), r.data)
	case took > requestLimit:
		return a.wrong(r, "took %s", took)
	case r.status == http.StatusServiceUnavailable:
		return a.judgeRefusal(r)
	case r.feed && r.status == http.StatusOK && r.interrupted():
		return paused
	case r.feed && r.status == http.StatusOK && !r.finished:
		return cut
	case r.status == http.StatusOK && r.failedInStream():
		if !r.finished {
			return a.wrong(r, "had an error in its stream and no end: %.1000s", r.data)
		}
		return broken
	case r.status == http.StatusOK || slices.Contains(r.also, r.status):
		return right
	default:
		return a.wrong(r, "was answered %d: %.1000s", r.status, r.data)
	}
}

// judgeRefusal wants words for people, and for programs.
func (a *actor) judgeRefusal(r *request) verdict {
	var e struct {
		Detail any `json:"detail"`
		Error  any `json:"error"`
	}
	if json.Unmarshal(r.data, &e) != nil || e.Detail == nil && e.Error == nil {
		return a.wrong(r, "was refused without a word: %.500s", r.data)
	}
	after := r.answer.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); after != "" && (err != nil || seconds < 1 || seconds > maxRetryAfter) {
		return a.wrong(r, "was refused, and is told to come back after %q", after)
	}
	if r.method == http.MethodGet && after == "" && awayWords.Match(r.data) {
		return a.wrong(r, "can be repeated, and nobody says when: %.500s", r.data)
	}
	return refused
}

// awayWords are those of the gateway about a service that it can't reach.
var awayWords = regexp.MustCompile(`Service [a-z]+ unavailable`)

// maxRetryAfter is more than anybody needs to heal, in seconds.
const maxRetryAfter = 60

// invites notes that a request was refused with an invitation to ask again.
func (a *actor) invites(r *request, label string) {
	if r.status == http.StatusServiceUnavailable && r.answer.Get("Retry-After") != "" {
		a.books.invited[label] = true
	}
}

// failedInStream reports whether a stream says that there will be no answer. A typed stream goes on when another provider takes over, and
// then says how long the answer was.
func (r *request) failedInStream() bool {
	failed := false
	for _, e := range r.events {
		kind, _ := e["type"].(string)
		length, _ := e["response_length"].(float64)
		switch {
		case kind == "error", e["error"] != nil && kind == "":
			failed = true
		case kind == "complete" && length > 0:
			failed = false
		}
	}
	return failed
}

// interrupted reports whether a feed says that it has not come to its end.
func (r *request) interrupted() bool {
	return len(r.events) > 0 && r.events[len(r.events)-1]["type"] == "interrupted"
}

// wrong tells a story.
func (a *actor) wrong(r *request, format string, args ...any) verdict {
	where := ""
	if r.answer != nil {
		where = ", request " + r.answer.Get("X-Request-Id")
	}
	a.load.story("%s: %s %s at %s%s (asked %s before) %s", a.name, r.method, r.path, r.entry.url, where, time.Since(r.begun).Round(time.Millisecond),
		fmt.Sprintf(format, args...))
	return wrong
}

// field is the value at a path of keys in a JSON answer; nil when there is none.
func (r *request) field(path ...string) any {
	var v any
	if json.Unmarshal(r.data, &v) != nil {
		return nil
	}
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func (r *request) text(path ...string) string {
	s, _ := r.field(path...).(string)
	return s
}
