package openai_test

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
	"testing/iotest"
	"time"

	"gaia/adapters/internal/upstreamtest"
	"gaia/adapters/openai"
	"gaia/domain"
	"gaia/ports/portstest"
)

const (
	hello = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}` + "\n\n"
	there = `data: {"choices":[{"index":0,"delta":{"content":" there"},"finish_reason":null}]}` + "\n\n"
	stop  = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	cost  = `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}` + "\n\n"
	done  = "data: [DONE]\n\n"

	// long is what must not pass in a test, short what may have to.
	long  = time.Minute
	short = 30 * time.Millisecond
)

func TestContract(t *testing.T) {
	t.Parallel()
	for name, serve := range upstreamtest.Protocols() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			portstest.Completer(t, func(t *testing.T) portstest.CompleterSetup {
				return portstest.CompleterSetup{
					Prompt:  domain.Prompt{Model: "gpt-4o-mini", Messages: []domain.PromptMessage{{Role: domain.RoleUser, Content: "Hi"}}},
					Answers: completer(t, over(t, serve, upstreamtest.Send(hello, there, stop, cost, done))),
					Stalls:  completer(t, over(t, serve, upstreamtest.Then(upstreamtest.Stall(t), hello))),
					Breaks:  completer(t, over(t, serve, upstreamtest.Then(upstreamtest.Abort, hello))),
				}
			})
		})
	}
}

// What the dialects send and accept is different; how they behave is not.
func TestContractOfDialects(t *testing.T) {
	t.Parallel()
	for name, dialect := range map[string]openai.Dialect{"Gemini": openai.Gemini, "Mistral": openai.Mistral} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			speaking := func(h http.Handler) *openai.Completer {
				cfg := plain(t, h)
				cfg.Dialect = dialect
				return completer(t, cfg)
			}
			portstest.Completer(t, func(t *testing.T) portstest.CompleterSetup {
				return portstest.CompleterSetup{
					Prompt:  domain.Prompt{Model: "m", Messages: []domain.PromptMessage{{Role: domain.RoleUser, Content: "Hi"}}},
					Answers: speaking(upstreamtest.Send(hello, there, stop, cost, done)),
					Stalls:  speaking(upstreamtest.Then(upstreamtest.Stall(t), hello)),
					Breaks:  speaking(upstreamtest.Then(upstreamtest.Abort, hello)),
				}
			})
		})
	}
}

// A client that leaves must not cost money: the provider has to see it at once.
func TestProviderSeesTheEndAtOnce(t *testing.T) {
	t.Parallel()
	for name, serve := range upstreamtest.Protocols() {
		for how, end := range map[string]func(context.CancelFunc, io.Closer){
			"cancel": func(cancel context.CancelFunc, _ io.Closer) { cancel() },
			"close":  func(_ context.CancelFunc, st io.Closer) { _ = st.Close() },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				left := make(chan time.Time, 1)
				c := completer(t, over(t, serve, upstreamtest.Then(func(_ http.ResponseWriter, r *http.Request) {
					<-r.Context().Done()
					left <- time.Now()
				}, hello)))
				var took time.Duration
				for range 10 { // a busy machine is late now and then
					start := leave(t, c, end)
					select {
					case at := <-left:
						took = at.Sub(start)
					case <-time.After(portstest.Patience):
						t.Fatal("the provider never saw it")
					}
					if took <= 100*time.Millisecond {
						return
					}
				}
				t.Errorf("the provider saw it after %v", took)
			})
		}
	}
}

// leave ends a stream after its first step, and says when.
func leave(t *testing.T, c *openai.Completer, end func(context.CancelFunc, io.Closer)) time.Time {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	st, err := c.Open(ctx, domain.Prompt{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Recv(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	end(cancel, st)
	return start
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		first, idle time.Duration
		handler     func(*testing.T) http.Handler
		want        string
	}{
		"no status": {
			short, long, func(t *testing.T) http.Handler { return upstreamtest.Stall(t) },
			"The provider openai did not begin to answer in time",
		},
		"no first token": {
			short, long, func(t *testing.T) http.Handler {
				return upstreamtest.Then(upstreamtest.Stall(t), `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`+"\n\n")
			},
			"The provider openai did not begin to answer in time",
		},
		"signs of life are no token": {
			2 * short, long, func(t *testing.T) http.Handler { return upstreamtest.Repeat(": ping\n\n") },
			"The provider openai did not begin to answer in time",
		},
		"idle": {
			long, short, func(t *testing.T) http.Handler { return upstreamtest.Then(upstreamtest.Stall(t), hello) },
			"The provider openai stopped in the middle of its answer",
		},
		"idle while thinking aloud": {
			long, short, func(t *testing.T) http.Handler {
				return upstreamtest.Then(upstreamtest.Stall(t), `data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}`+"\n\n")
			},
			"The provider openai stopped in the middle of its answer",
		},
		"no body of a refusal": {
			short, long, func(t *testing.T) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(http.StatusBadRequest)
					upstreamtest.Then(upstreamtest.Stall(t), "{").ServeHTTP(w, r)
				})
			},
			"The provider openai did not begin to answer in time",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := plain(t, test.handler(t))
			cfg.FirstToken, cfg.Idle = test.first, test.idle
			_, err := answer(t, completer(t, cfg))
			wantUnavailable(t, err, test.want)
		})
	}
}

func TestSlowReaderIsNotIdle(t *testing.T) {
	t.Parallel()
	begun, sent := make(chan struct{}), make(chan struct{})
	cfg := plain(t, upstreamtest.Then(func(w http.ResponseWriter, _ *http.Request) {
		<-begun
		upstreamtest.Write(w, there)
		<-begun
		upstreamtest.Write(w, stop, cost, done)
		close(sent)
	}, hello))
	cfg.FirstToken, cfg.Idle = 10*short, 10*short
	st, err := completer(t, cfg).Open(t.Context(), domain.Prompt{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for range 2 { // the limit holds from the second read on
		if _, err := st.Recv(); err != nil {
			t.Fatal(err)
		}
		begun <- struct{}{}
	}
	<-sent
	<-time.After(2 * cfg.Idle) // not to wait for anything: this is the slow reader
	var b domain.AnswerBuilder
	for {
		d, err := st.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Add(d)
	}
	a := b.Answer()
	if a.Finish != domain.FinishStop || a.Usage.Total() != 5 {
		t.Errorf("got %+v", a)
	}
}

func TestWholeAnswerSurvivesItsTrailer(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.Handler{
		"reset after the finish reason":   upstreamtest.Then(upstreamtest.Abort, hello, stop),
		"reset after the usage":           upstreamtest.Then(upstreamtest.Abort, hello, stop, cost),
		"silence after the finish reason": upstreamtest.Then(upstreamtest.Stall(t), hello, stop),
		"silence after the end mark":      upstreamtest.Then(upstreamtest.Stall(t), hello, stop, cost, done),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := plain(t, handler)
			cfg.Idle = 10 * short // longer than a busy machine takes for an event
			a, err := answer(t, completer(t, cfg))
			if err != nil || a.Content != "Hello" || a.Finish != domain.FinishStop {
				t.Errorf("got %+v, %v", a, err)
			}
			if told := strings.Contains(name, "usage") || strings.Contains(name, "mark"); told != (a.Usage != nil) {
				t.Errorf("usage is %+v", a.Usage)
			}
		})
	}
}

func TestConnectionsStayWarm(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	endsLater := func(http.ResponseWriter, *http.Request) { <-time.After(time.Millisecond) } // after the end mark, as servers do
	server := httptest.NewUnstartedServer(upstreamtest.Then(endsLater, hello, stop, cost, done))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := completer(t, openai.Config{BaseURL: server.URL})
	for range 10 {
		if _, err := answer(t, c); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n > 3 { // one, unless the machine is so busy that an end comes too late
		t.Errorf("10 answers took %d connections", n)
	}
}

func TestHTTP2IsUsed(t *testing.T) {
	t.Parallel()
	protocol := make(chan string, 1)
	c := completer(t, over(t, upstreamtest.Encrypted, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol <- r.Proto
		upstreamtest.Write(w, hello, stop, done)
	})))
	if _, err := answer(t, c); err != nil {
		t.Fatal(err)
	}
	if got := <-protocol; got != "HTTP/2.0" {
		t.Errorf("got %s", got)
	}
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	const failed = "The connection to the provider openai failed"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // it never accepts: a TLS handshake gets no answer
	tests := map[string]openai.Config{
		"nobody listens":         {BaseURL: "http://127.0.0.1:1"},
		"no handshake":           {BaseURL: "https://" + listener.Addr().String(), Connect: short},
		"closed without a word":  plain(t, http.HandlerFunc(upstreamtest.Abort)),
		"address that is none":   {BaseURL: "http://[::1"},
		"scheme that is none":    {BaseURL: "gopher://127.0.0.1:1"},
		"key that is no header":  {BaseURL: "http://127.0.0.1:1", APIKey: key + "\x00"},
		"password in an address": {BaseURL: "http://user:" + key + "@127.0.0.1:1"},
	}
	for name, cfg := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := answer(t, completer(t, cfg))
			wantUnavailable(t, err, failed)
			if strings.Contains(err.Error(), key) {
				t.Errorf("the key is in the error: %v", err)
			}
		})
	}
}

func TestNameOfTheProvider(t *testing.T) {
	t.Parallel()
	_, err := answer(t, completer(t, openai.Config{Provider: "compatible", BaseURL: "http://127.0.0.1:1"}))
	wantUnavailable(t, err, "The connection to the provider compatible failed")
}

func TestEndlessStreamIsBounded(t *testing.T) {
	t.Parallel()
	_, err := answer(t, openai.New(openai.Config{HTTPClient: upstreamtest.Canned(endless{})}))
	wantUnavailable(t, err, "The provider openai answered in a way that Gaia can't read")
}

// Only the bare io.EOF is an end: a caller would take a wrapped one for a whole answer.
func TestWrappedEOFIsNoEnd(t *testing.T) {
	t.Parallel()
	body := io.MultiReader(strings.NewReader(hello), iotest.ErrReader(fmt.Errorf("reset: %w", io.EOF)))
	st, err := openai.New(openai.Config{HTTPClient: upstreamtest.Canned(body)}).Open(t.Context(), domain.Prompt{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Recv(); err != nil {
		t.Fatal(err)
	}
	_, err = st.Recv()
	wantUnavailable(t, err, "The connection to the provider openai failed")
}

// endless is a stream of comments.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ':'
		if i%64 == 63 {
			p[i] = '\n'
		}
	}
	return len(p), nil
}

func wantUnavailable(t *testing.T, err error, message string) {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || errors.Is(err, io.EOF) || e.Kind != domain.Unavailable || e.Message != message {
		t.Errorf("got %v\nwant %s", err, message)
	}
}

func completer(t *testing.T, cfg openai.Config) *openai.Completer {
	t.Helper()
	c := openai.New(cfg)
	t.Cleanup(c.CloseIdle)
	return c
}

func answer(t *testing.T, c *openai.Completer) (domain.Answer, error) {
	t.Helper()
	var b domain.AnswerBuilder
	st, err := c.Open(t.Context(), domain.Prompt{Model: "m"})
	if err != nil {
		return domain.Answer{}, err
	}
	defer st.Close()
	for {
		d, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return b.Answer(), nil
		}
		if err != nil {
			return b.Answer(), err
		}
		b.Add(d)
	}
}

// over serves a handler, and gives the configuration that finds it.
func over(t *testing.T, serve upstreamtest.Serve, h http.Handler) openai.Config {
	t.Helper()
	url, client := serve(t, h)
	return openai.Config{BaseURL: url, HTTPClient: client}
}

func plain(t *testing.T, h http.Handler) openai.Config {
	t.Helper()
	return over(t, upstreamtest.Plain, h)
}
