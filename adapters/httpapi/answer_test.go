package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var manyWords = []byte(`{"words":"` + strings.Repeat("many words ", 200) + `"}`)

func TestCompression(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	respond := func(status int, contentType string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("ETag", `W/"1"`)
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}
	}
	e.router.Get("/large", respond(200, "application/json", manyWords))
	e.router.Head("/large", respond(200, "application/json", nil))
	e.router.Get("/failed", respond(404, "application/json", manyWords))
	e.router.Get("/small", respond(200, "application/json", manyWords[:900]))
	e.router.Get("/image", respond(200, "image/png", manyWords))
	e.router.Get("/events", respond(200, "text/event-stream; charset=utf-8", manyWords))
	e.router.Get("/same", respond(304, "application/json", nil))
	for _, c := range []struct {
		method, path, accept string
		packed               bool
	}{
		{"GET", "/large", "gzip", true},
		{"GET", "/large", "br;q=1.0, gzip;q=0.5", true},
		{"GET", "/failed", "gzip", true},
		{"GET", "/large", "", false},
		{"GET", "/large", "gzip;q=0", false},
		{"GET", "/large", "br, zstd", false},
		{"HEAD", "/large", "gzip", false},
		{"GET", "/small", "gzip", false},
		{"GET", "/image", "gzip", false},
		{"GET", "/events", "gzip", false},
		{"GET", "/same", "gzip", false},
	} {
		res := e.serve(request(t, c.method, c.path, "Accept-Encoding", c.accept))
		if packed := res.Header.Get("Content-Encoding") == "gzip"; packed != c.packed {
			t.Errorf("%s %s for %q: packed %t", c.method, c.path, c.accept, packed)
		}
		if res.Header.Get("Vary") != "Accept-Encoding" || res.Header.Get("ETag") != `W/"1"` {
			t.Errorf("%s %s: %v", c.method, c.path, res.Header)
		}
		if c.packed {
			unpacker, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, unpacker); got != string(manyWords) {
				t.Errorf("%s: %.40s", c.path, got)
			}
		}
	}
}

// Each event has to be with the client before the next one is made, whatever the client accepts.
func TestEventsLeaveAtOnce(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	e := newTestEdge(t)
	e.router.Get("/events", func(w http.ResponseWriter, r *http.Request) {
		out := newSSE(w, false, 0)
		for range 3 {
			out.event("tick")
			select {
			case <-seen:
			case <-r.Context().Done():
				return
			}
		}
	})
	e.router.Get("/flusher", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("data: \"tick\"\n\n"))
		w.(http.Flusher).Flush() // as generated code does it
		<-r.Context().Done()
	})
	s := e.start(t)
	get := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip")
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	const event = "data: \"tick\"\n\n"
	res := get("/events")
	defer res.Body.Close()
	for range 3 {
		buffer := make([]byte, len(event))
		if _, err := io.ReadFull(res.Body, buffer); err != nil || string(buffer) != event {
			t.Fatalf("%q, %v", buffer, err)
		}
		seen <- struct{}{}
	}
	direct := get("/flusher")
	buffer := make([]byte, len(event))
	if _, err := io.ReadFull(direct.Body, buffer); err != nil {
		t.Fatal(err)
	}
	direct.Body.Close()
}

func TestPanics(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	e.router.Get("/before", func(http.ResponseWriter, *http.Request) { panic("secret cause") })
	e.router.Get("/header", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", "x")
		w.Header().Set("Content-Length", "3")
		panic(errors.New("secret cause"))
	})
	e.router.Get("/halfway", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"half":`))
		panic("secret cause")
	})
	e.router.Get("/aborts", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	e.router.Get("/fails-late", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"half":`))
		e.errs.writeError(w, r, errors.New("secret cause"))
	})
	s := e.start(t)
	for _, path := range []string{"/before", "/header"} {
		res, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body := failureBody(t, res, "Error")
		if res.StatusCode != 500 || body["detail"] != "Internal server error" || res.Header.Get("ETag") != "" {
			t.Errorf("%s: %d %v %v", path, res.StatusCode, body, res.Header)
		}
		res.Body.Close()
	}
	for _, path := range []string{"/halfway", "/aborts", "/fails-late"} {
		res, err := s.Client().Get(s.URL + path)
		if err == nil { // the headers may have left already: then the body has to break off
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Errorf("%s looks like a whole answer", path)
		}
	}
	contains(t, e.log.String(), "secret cause", "answer_test.go")
}

func TestResponseTime(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	e.router.Get("/x", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusAccepted)
	})
	s := e.start(t) // a recorder takes the early hints for the answer
	res, err := s.Client().Get(s.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := res.Header.Get("X-Response-Time"); !regexp.MustCompile(`^\d+\.\d{3}s$`).MatchString(got) {
		t.Errorf("X-Response-Time %q", got)
	}
	contains(t, e.log.String(), `"status":202`)
}

func TestDocs(t *testing.T) {
	t.Parallel()
	spec := append([]byte(`{"openapi":"3.0.3","x":"`), append(bytes.Repeat([]byte("x"), 2000), `"}`...)...)
	e := newTestEdge(t)
	mountDocs(e.router, "LLM Platform", spec, e.errs.writeError)
	res := e.serve(request(t, http.MethodGet, "/openapi.json"))
	if got := text(t, res.Body); res.StatusCode != 200 || !json.Valid([]byte(got)) || got != string(spec) || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %.40s", res.StatusCode, res.Header, got)
	}
	etag := res.Header.Get("ETag")
	again := e.serve(request(t, http.MethodGet, "/openapi.json", "If-None-Match", etag))
	if !strings.HasPrefix(etag, "W/") || again.StatusCode != http.StatusNotModified || text(t, again.Body) != "" {
		t.Errorf("%s again: %d", etag, again.StatusCode)
	}
	if got := e.serve(request(t, http.MethodGet, "/openapi.json", "Accept-Encoding", "gzip")).Header.Get("Content-Encoding"); got != "gzip" {
		t.Errorf("encoding %q", got)
	}
	for _, path := range []string{"/docs", "/redoc"} {
		page := text(t, e.serve(request(t, http.MethodGet, path)).Body)
		contains(t, page, "LLM Platform", "/openapi.json")
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if !strings.HasPrefix(m[1], "/docs/") {
				t.Errorf("%s loads %s", path, m[1])
			} else if res := e.serve(request(t, http.MethodGet, m[1])); res.StatusCode != 200 {
				t.Errorf("%s: %s is %d", path, m[1], res.StatusCode)
			}
		}
	}
	for _, path := range []string{"/docs/nothing.js", "/docs/..%2Fgo.mod", "/docs/."} {
		res := e.serve(request(t, http.MethodGet, path))
		if failureBody(t, res, "Error"); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
