package portstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// GeneratorSetup says how to make an AssetGenerator whose service the suite plays.
type GeneratorSetup struct {
	New    func(t *testing.T, url string) ports.AssetGenerator
	Order  domain.GenerationOrder // one of its first stage, that it takes
	TaskID string                 // of a task as the service names them
	Key    string                 // what it shows the service; it must show up nowhere else

	Repeatable  bool // an order may be placed again at any time, because it costs nothing
	CantCancel  bool // it has nothing to ask for
	Inline      bool // it answers an order with the files: there are no tasks, neither to check nor to find
	EmptyIsGone bool // an empty answer says that there is no such task
}

// fault is a service that fails, and what that has to mean.
type fault struct {
	name   string
	answer http.HandlerFunc // nil: nobody listens
	begin  want
	check  want
}

type want struct {
	kind domain.Kind
	code string
}

var (
	unknown     = want{domain.Unavailable, domain.CodeOutcomeUnknown}
	away        = want{domain.Unavailable, ""}
	overloaded  = want{domain.Unavailable, domain.CodeOverloaded}
	credentials = want{domain.Unavailable, domain.CodeCredentials}
	quota       = want{domain.Unavailable, domain.CodeQuota}
	limited     = want{domain.Limited, domain.CodeRateLimit}
	refused     = want{domain.BadRequest, ""}
	gone        = want{domain.NotFound, ""}
)

// faults are what every service does some day. An order that was sent and got no clear answer may have been taken.
func (s GeneratorSetup) faults() []fault {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = fmt.Fprintf(w, `{"message":"no, %s","detail":"no, %s","error":"no, %s"}`, s.Key, s.Key, s.Key)
		}
	}
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, body)
		}
	}
	return []fault{
		{"400", status(http.StatusBadRequest), refused, refused},
		{"401", status(http.StatusUnauthorized), credentials, credentials},
		{"402", status(http.StatusPaymentRequired), quota, quota},
		{"403", status(http.StatusForbidden), credentials, credentials},
		{"422", status(http.StatusUnprocessableEntity), refused, refused},
		{"429", status(http.StatusTooManyRequests), limited, limited},
		{"500", status(http.StatusInternalServerError), unknown, away},
		{"502", status(http.StatusBadGateway), unknown, away},
		{"503", status(http.StatusServiceUnavailable), overloaded, overloaded},
		{"504", status(http.StatusGatewayTimeout), unknown, away},
		{"cut off before the answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unknown, away},
		{"cut off in the answer", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "{")
		}, unknown, away},
		{"an answer that makes no sense", text("<html>"), unknown, away},
		{"an answer of another type", text("[[1]]"), unknown, away},
		{"an answer with values of other types", text(`{"id":{},"result":[],"data":true,"image":1,"code":"x","results":7,"status":3}`), unknown, away},
		{"an empty answer", text(""), unknown, away},
		{"an answer without an end", endless, unknown, away},
		{"nobody listens", nil, away, away},
	}
}

// endless answers until the client leaves. It might be JSON, some day.
func endless(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	spaces := []byte(strings.Repeat(" ", 1<<18))
	for err := error(nil); err == nil && r.Context().Err() == nil; {
		_, err = w.Write(spaces)
	}
}

// AssetGenerator is the suite of every generator at an outside service.
func AssetGenerator(t *testing.T, s GeneratorSetup) {
	t.Run("there are stages", func(t *testing.T) {
		t.Parallel()
		stages := s.New(t, "http://127.0.0.1:0").Stages(s.Order)
		if len(stages) == 0 || stages[0] != s.Order.Stage {
			t.Errorf("got %q", stages)
		}
	})
	for _, f := range s.faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s.testFault(t, f)
		})
	}
	t.Run("404 is a task that the service does not know", func(t *testing.T) {
		t.Parallel()
		g := s.New(t, play(t, http.NotFound))
		_, err := g.Check(t.Context(), s.Order, s.TaskID)
		s.wantError(t, "Check", err, gone)
		if err := g.Cancel(t.Context(), s.TaskID); err != nil {
			t.Errorf("Cancel: %v", err)
		}
		if _, err := g.Find(t.Context(), s.Order); !s.Repeatable && domain.KindOf(err) == domain.NotFound {
			t.Error("what was asked for is not there, and Find took that for an order that was never placed")
		}
	})
	t.Run("a redirect carries nothing away", s.testRedirect)
	t.Run("every call ends when its context does", s.testContext)
	t.Run("files have a limit, and are asked for without the key", s.testFetch)
}

func (s GeneratorSetup) testFault(t *testing.T, f fault) {
	url := nobody(t)
	if f.answer != nil {
		url = play(t, f.answer)
	}
	g := s.New(t, url)
	begin := f.begin
	if s.Repeatable && begin == unknown {
		begin = away
	}
	check := f.check
	if s.Inline || s.EmptyIsGone && f.name == "an empty answer" {
		check = gone
	}
	_, err := g.Begin(t.Context(), s.Order)
	s.wantError(t, "Begin", err, begin)
	if e := (*domain.Error)(nil); errors.As(err, &e) && e.Kind == domain.Limited && e.RetryAfter != 7*time.Second {
		t.Errorf("Begin is to be tried again after %v", e.RetryAfter)
	}
	_, err = g.Check(t.Context(), s.Order, s.TaskID)
	s.wantError(t, "Check", err, check)
	if !s.Repeatable {
		if _, err = g.Find(t.Context(), s.Order); err == nil || domain.KindOf(err) == domain.NotFound {
			t.Errorf("Find of a service that fails gave %v", err)
		}
		s.wantNoKey(t, err)
	}
	if !s.CantCancel {
		err = g.Cancel(t.Context(), s.TaskID)
		if !strings.HasPrefix(f.name, "an ") && err == nil { // what an answer says is not asked for
			t.Error("Cancel gave no error")
		}
		s.wantNoKey(t, err)
	}
}

func (s GeneratorSetup) testRedirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	elsewhere := play(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	g := s.New(t, play(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	}))
	_, err := g.Begin(t.Context(), s.Order)
	s.wantError(t, "Begin", err, away)
	check := away
	if s.Inline {
		check = gone
	}
	_, err = g.Check(t.Context(), s.Order, s.TaskID)
	s.wantError(t, "Check", err, check)
	if n := followed.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// testContext has the service fall silent, before and in the middle of its answer.
func (s GeneratorSetup) testContext(t *testing.T) {
	t.Parallel()
	for _, begun := range []string{"", "{"} {
		s.testSilence(t, begun)
	}
}

func (s GeneratorSetup) testSilence(t *testing.T, begun string) {
	arrived, over := make(chan struct{}, 10), make(chan struct{})
	url := play(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if begun != "" {
			_, _ = io.WriteString(w, begun)
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-over:
		}
	})
	t.Cleanup(func() { close(over) })
	g := s.New(t, url)
	canceled := want{domain.Canceled, ""}
	begin := unknown
	if s.Repeatable {
		begin = canceled
	}
	calls := map[string]struct {
		call func(context.Context) error
		want want
	}{
		"Begin": {func(ctx context.Context) error { _, err := g.Begin(ctx, s.Order); return err }, begin},
		"Check": {func(ctx context.Context) error { _, err := g.Check(ctx, s.Order, s.TaskID); return err }, canceled},
	}
	if s.Inline {
		delete(calls, "Check")
	}
	for name, c := range calls {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		s.wantError(t, name, c.call(ctx), c.want)
		s.wantError(t, name+" with a context that is over", c.call(ctx), canceled)
		cancel()
	}
}

func (s GeneratorSetup) testFetch(t *testing.T) {
	t.Parallel()
	url := play(t, func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), s.Key) {
				t.Errorf("a file was asked for with the key in %s", name)
			}
		}
		_, _ = io.WriteString(w, "ten bytes!")
	})
	g := s.New(t, url)
	for what, f := range map[string]domain.GeneratedFile{"data": {Data: []byte("ten bytes!")}, "an address": {URL: url + "/file"}} {
		if got, err := readFile(t, g, f, 10); err != nil || got != "ten bytes!" {
			t.Errorf("%s: got %q, %v", what, got, err)
		}
		_, err := readFile(t, g, f, 9)
		s.wantError(t, what+" of more than the limit", err, want{domain.TooLarge, ""})
	}
	for _, inside := range []string{nobody(t), "https://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "https://localhost/"} {
		if _, err := readFile(t, g, domain.GeneratedFile{URL: inside}, 100); domain.KindOf(err) != domain.Unavailable {
			t.Errorf("the address %s gave %v", inside, err)
		}
	}
}

func readFile(t *testing.T, g ports.AssetGenerator, f domain.GeneratedFile, limit int64) (string, error) {
	t.Helper()
	r, err := g.Fetch(t.Context(), f, limit)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	return string(data), err
}

// wantError checks what an error means, and that it does not tell the key.
func (s GeneratorSetup) wantError(t *testing.T, call string, err error, w want) {
	t.Helper()
	s.wantNoKey(t, err)
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != w.kind || w.code != "" && e.Code != w.code || w.code == "" && e.Code == domain.CodeOutcomeUnknown {
		t.Errorf("%s gave %v, want kind %d with code %q", call, err, w.kind, w.code)
	}
}

func (s GeneratorSetup) wantNoKey(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), s.Key) {
		t.Errorf("the key is in the error: %v", err)
	}
}

// play serves a handler until the end of the test.
func play(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}
