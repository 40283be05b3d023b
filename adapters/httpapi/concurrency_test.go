package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/app"
	"gaia/domain"
)

// byKey tells callers apart by their key.
func byKey(r *http.Request) string { return r.Header.Get("X-Api-Key") }

// occupied is an operation whose requests go on until the test lets them.
type occupied struct {
	*testEdge
	entered chan string
	finish  chan struct{}
	waiting sync.WaitGroup
}

func newOccupied(t *testing.T, slots int) *occupied {
	t.Helper()
	o := &occupied{testEdge: newTestEdge(t), entered: make(chan string, 100), finish: make(chan struct{})}
	g := gate{app.NewSlots(slots), byKey}
	o.router.Get("/x", limitConcurrency(g, o.errs.writeError)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "panic" {
			panic("on purpose")
		}
		o.entered <- byKey(r)
		<-o.finish
	})).ServeHTTP)
	return o
}

// begin starts a request and waits until it runs.
func (o *occupied) begin(t *testing.T, key string) {
	t.Helper()
	r := request(t, http.MethodGet, "/x", "X-Api-Key", key)
	o.waiting.Go(func() { o.serve(r) })
	<-o.entered
}

func (o *occupied) end() {
	close(o.finish)
	o.waiting.Wait()
}

func TestBusyServerRefusesAtOnce(t *testing.T) {
	t.Parallel()
	o := newOccupied(t, 2)
	o.begin(t, "a")
	o.begin(t, "b")
	res := o.serve(request(t, http.MethodGet, "/x", "X-Api-Key", "c"))
	body := failureBody(t, res, "Error")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" || body["error_type"] != "service_unavailable" {
		t.Errorf("%d %v %v", res.StatusCode, res.Header, body)
	}
	o.end()
	for range 5 { // a panic gives its place back, too
		if res := o.serve(request(t, http.MethodGet, "/x?panic", "X-Api-Key", "c")); res.StatusCode != http.StatusInternalServerError {
			t.Errorf("status %d", res.StatusCode)
		}
	}
}

func TestOneCallerLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	o := newOccupied(t, 20)
	for range 18 {
		o.begin(t, "greedy")
	}
	res := o.serve(request(t, http.MethodGet, "/x", "X-Api-Key", "greedy"))
	if body := failureBody(t, res, "Error"); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body["detail"].(string), "your requests") {
		t.Errorf("%d %v", res.StatusCode, body)
	}
	o.begin(t, "modest")
	o.end()
}

// Credentials that take long to judge must not take all places of those that do not.
func TestJudgingHasPlacesOfItsOwn(t *testing.T) {
	t.Parallel()
	judging, finish := make(chan struct{}, 100), make(chan struct{})
	slow := func(_ context.Context, _, apiKey string) (domain.Principal, error) {
		if apiKey == "" {
			return domain.Principal{}, domain.NewError(domain.Unauthenticated, "who are you")
		}
		judging <- struct{}{}
		<-finish
		return domain.ServicePrincipal(), nil
	}
	byAddress := func(r *http.Request) string { return r.RemoteAddr }
	judge := judgeCarefully(slow, unlimited(), gate{app.NewSlots(10), byAddress}, nil)
	op := &intake.Operation{Method: "GET", Path: "/x"}
	e := newTestEdge(t)
	e.router.Get("/x", identify(op, judge)(authorize(op, e.errs.writeError)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))).ServeHTTP)
	var running sync.WaitGroup
	from := func(address string, key string) *http.Request {
		r := request(t, http.MethodGet, "/x", "X-Api-Key", key)
		r.RemoteAddr = address
		return r
	}
	begin := func(address string) {
		r := from(address, "k")
		running.Go(func() {
			if res := e.serve(r); res.StatusCode != http.StatusOK {
				t.Errorf("status %d", res.StatusCode)
			}
		})
		<-judging
	}
	for range 9 {
		begin("203.0.113.1:1")
	}
	if res := e.serve(from("203.0.113.1:1", "k")); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one address over its share: %d", res.StatusCode)
	}
	begin("203.0.113.2:1")
	if res := e.serve(from("203.0.113.1:1", "")); res.StatusCode != http.StatusUnauthorized { // there is nothing to judge
		t.Errorf("without credentials: %d", res.StatusCode)
	}
	close(finish)
	running.Wait()
}

// Bodies on their way hold no place of those that run, and of their own only a share.
func TestSlowBodiesHoldNothingThatRuns(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	op := contractOperation(t, "POST /calculator/add")
	running, bodies := gate{app.NewSlots(1), byKey}, gate{app.NewSlots(10), byKey}
	ran := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	e.router.Post(op.Path, validateWithin(op, time.Minute, bodies, e.errs.writeError)(limitConcurrency(running, e.errs.writeError)(http.HandlerFunc(ran))).ServeHTTP)
	var waiting sync.WaitGroup
	send := func(key string, body *heldBody) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, op.Path, body)
		r.ContentLength = -1
		r.Header.Set("X-Api-Key", key)
		return e.serve(r)
	}
	var held []*heldBody
	for range 9 {
		body := &heldBody{asked: make(chan struct{}), rest: make(chan string)}
		waiting.Go(func() { send("slow", body) })
		<-body.asked
		held = append(held, body)
	}
	if res := send("slow", &heldBody{}); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("one caller over its share: %d", res.StatusCode)
	}
	quick := post(t, op.Path, "application/json", `{"a": 1, "b": 2}`)
	quick.Header.Set("X-Api-Key", "quick")
	if res := e.serve(quick); res.StatusCode != http.StatusOK {
		t.Errorf("a quick body beside slow ones: %d", res.StatusCode)
	}
	for _, body := range held {
		close(body.rest)
	}
	waiting.Wait()
}

// heldBody is a body that does not come before the test says so.
type heldBody struct {
	asked chan struct{}
	rest  chan string
	once  sync.Once
}

func (b *heldBody) Read([]byte) (int, error) {
	b.once.Do(func() { close(b.asked) })
	<-b.rest
	return 0, http.ErrBodyReadAfterClose
}

func TestHeadsThatAreTooLarge(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	e.router.Get("/x", limitHead(e.errs.writeError)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP)
	many := func(n int) []string {
		var h []string
		for i := range n {
			h = append(h, "X-"+strings.Repeat("a", i%50), "v") // the same name counts each time
		}
		return h
	}
	for name, c := range map[string]struct {
		path    string
		headers []string
		status  int
	}{
		"usual":    {"/x?" + strings.Repeat("a", maxURL-3), many(maxHeaderFields), 200},
		"long URL": {"/x?" + strings.Repeat("a", maxURL-2), nil, 414},
		"many":     {"/x", many(maxHeaderFields + 1), 431},
	} {
		res := e.serve(request(t, http.MethodGet, c.path, c.headers...))
		if res.StatusCode != c.status || (c.status != 200) != (res.Header.Get("Connection") == "close") {
			t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
		}
		if c.status != 200 {
			failureBody(t, res, "Error")
		}
	}
}
