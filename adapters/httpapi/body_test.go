package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
)

const testLimit = 1000

// validated serves one operation of the contract behind limitBody and validate. The handler answers with what reached it.
func validated(t *testing.T, key string) *testEdge {
	t.Helper()
	e := newTestEdge(t)
	op := contractOperation(t, key)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(w, "%s|%s|%d", r.URL.RawQuery, body, r.ContentLength)
	})
	e.router.Method(op.Method, op.Path, limitBody(testLimit, e.errs.writeError)(validate(op, gate{}, e.errs.writeError)(echo)))
	return e
}

func post(t *testing.T, path, contentType, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func TestValidBodiesReachTheHandlerAsTheContractWantsThem(t *testing.T) {
	t.Parallel()
	e := validated(t, "POST /calculator/add")
	for body, want := range map[string]string{
		`{"a": 1, "b": 2.5}`:       `|{"a": 1, "b": 2.5}|18`,
		`{"a": "1", "b": " 2.5 "}`: `|{"a": 1, "b": 2.5}|18`,
		`{"a":1,"A":"x"}`:          `|{"a":1,"":"x"}|14`,
	} {
		for _, contentType := range []string{"", "application/json", "application/json; charset=utf-8"} {
			res := e.serve(post(t, "/calculator/add", contentType, body))
			if got := text(t, res.Body); res.StatusCode != 200 || got != want {
				t.Errorf("%s as %q: %d %s", body, contentType, res.StatusCode, got)
			}
		}
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	e := validated(t, "POST /calculator/add")
	for _, c := range []struct {
		contentType, body string
		status            int
		schema, want      string
	}{
		{"application/json", `{"a":"x","b":[]}`, 422, "ValidationError", "float_parsing"},
		{"application/json", ``, 422, "ValidationError", "missing"},
		{"application/json", `{`, 422, "ValidationError", "json_invalid"},
		{"application/json", "{\"a\":\"\xff\"}", 422, "ValidationError", "json_invalid"},
		{"application/json", strings.Repeat("[", 900), 422, "ValidationError", "Nesting too deep"},
		{"application/json", `{"a":1e999}`, 422, "ValidationError", "finite_number"},
		{"text/plain", `{}`, 415, "Error", "unsupported_media_type"},
		{"application/x-www-form-urlencoded", `a=1`, 415, "Error", "application/json"},
		{"application/json", strings.Repeat(" ", testLimit+1), 413, "Error", "payload_too_large"},
	} {
		res := e.serve(post(t, "/calculator/add", c.contentType, c.body))
		body := failureBody(t, res, c.schema)
		if res.StatusCode != c.status || !strings.Contains(fmt.Sprint(body), c.want) {
			t.Errorf("%.40q as %q: %d %v", c.body, c.contentType, res.StatusCode, body)
		}
	}
	r := post(t, "/calculator/add", "application/json", "{}")
	r.Header.Set("Content-Encoding", "gzip")
	if res := e.serve(r); res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("packed body: %d", res.StatusCode)
	}
}

// unread fails when somebody reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestAnnouncedLengthIsRefusedUnread(t *testing.T) {
	t.Parallel()
	e := validated(t, "POST /calculator/add")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/calculator/add", unread{t})
	r.ContentLength = testLimit + 1
	if res := e.serve(r); res.StatusCode != http.StatusRequestEntityTooLarge || res.Header.Get("Connection") != "close" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

func TestChunkedBodiesStopAtTheLimit(t *testing.T) {
	t.Parallel()
	s := validated(t, "POST /calculator/add").start(t)
	reader, writer := io.Pipe()
	go func() {
		defer writer.Close()
		for {
			if _, err := writer.Write([]byte(strings.Repeat(" ", 64))); err != nil {
				return // the server has stopped reading
			}
		}
	}()
	res, err := s.Client().Post(s.URL+"/calculator/add", "application/json", reader)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	failureBody(t, res, "Error")
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

// A client that announces a body and does not send it must not hold a connection for longer than allowed.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	op := contractOperation(t, "POST /calculator/add")
	e.router.Post("/calculator/add", validateWithin(op, 50*time.Millisecond, gate{}, e.errs.writeError)(http.NotFoundHandler()).ServeHTTP)
	s := e.start(t)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, "POST /calculator/add HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	failureBody(t, res, "Error")
	if res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", res.StatusCode)
	}
}

// After the body is read its deadline must be gone: the server would take it for a client who left, and cancel a long answer.
func TestDeadlineOfTheBodyDoesNotReachTheAnswer(t *testing.T) {
	t.Parallel()
	const deadline = 200 * time.Millisecond
	e := newTestEdge(t)
	op := contractOperation(t, "POST /calculator/add")
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			_, _ = w.Write([]byte("canceled"))
		case <-time.After(5 * deadline):
			_, _ = w.Write([]byte("done"))
		}
	})
	e.router.Post("/calculator/add", validateWithin(op, deadline, gate{}, e.errs.writeError)(slow).ServeHTTP)
	s := e.start(t)
	res, err := s.Client().Post(s.URL+"/calculator/add", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := text(t, res.Body); got != "done" {
		t.Errorf("the answer was %s", got)
	}
}

func TestParametersReachTheHandlerAsTheContractWantsThem(t *testing.T) {
	t.Parallel()
	e := validated(t, "GET /api/v0.2/personas")
	for target, want := range map[string]string{
		"/api/v0.2/personas?active_only=yes&limit=%205.0": "active_only=true&limit=5||0",
		"/api/v0.2/personas?limit=x&limit=7":              "limit=7||0",
		"/api/v0.2/personas?unknown=1":                    "unknown=1||0",
	} {
		if got := text(t, e.serve(request(t, http.MethodGet, target)).Body); got != want {
			t.Errorf("%s: %s", target, got)
		}
	}
	for target, want := range map[string]string{
		"/api/v0.2/personas?active_only=zzz": "bool_parsing",
		"/api/v0.2/personas?limit=0":         "greater_than_equal",
		"/api/v0.2/personas?limit=%zz":       "malformed",
	} {
		res := e.serve(request(t, http.MethodGet, target))
		if body := failureBody(t, res, "ValidationError"); res.StatusCode != 422 || !strings.Contains(fmt.Sprint(body), want) {
			t.Errorf("%s: %d %v", target, res.StatusCode, body)
		}
	}
}

func TestPathsAreJudgedDecoded(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	op := contractOperation(t, "GET /api/v0.2/personas/{persona_id}")
	e.router.Method(op.Method, op.Path, validate(op, gate{}, e.errs.writeError)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(chi.URLParam(r, "persona_id")))
	})))
	for id, want := range map[string]int{
		"x": 200, "a%2Fb": 200, "%25zz": 200, strings.Repeat("%2F", 255): 200,
		strings.Repeat("x", 256): 422, "%ff": 422, "%00": 422, "%2F%ff": 422,
	} {
		if res := e.serve(request(t, http.MethodGet, "/api/v0.2/personas/"+id)); res.StatusCode != want {
			t.Errorf("%.20s: %d, want %d", id, res.StatusCode, want)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	op := loadContract(b)["POST /api/v0.2/chat"]
	fail := func(_ http.ResponseWriter, _ *http.Request, err error) { b.Fatal(err) }
	const body = `{"message":"What is the height of the tower, and who built it?","provider":"openai","model":"gpt-4o-mini","stream":false,"persona_id":"default"}`
	for name, h := range map[string]http.Handler{
		"none": http.HandlerFunc(drain),
		"edge": limitBody(1<<20, fail)(validate(op, gate{}, fail)(http.HandlerFunc(drain))),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/api/v0.2/chat", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}

func drain(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
