package anthropic_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"gaia/adapters/anthropic"
	"gaia/adapters/internal/upstreamtest"
	"gaia/domain"
	"gaia/ports/portstest"
)

const (
	begin = "event: message_start\n" + `data: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}` + "\n\n"
	block = "event: content_block_start\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n"
	hello = "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}` + "\n\n"
	there = "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" there"}}` + "\n\n"
	think = "event: content_block_start\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}` + "\n\n"
	ping  = "event: ping\n" + `data: {"type":"ping"}` + "\n\n"
	stop  = "event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}` + "\n\n"
	done  = "event: message_stop\n" + `data: {"type":"message_stop"}` + "\n\n"

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
					Prompt:  domain.Prompt{Model: "claude-3-haiku-20240307", Messages: []domain.PromptMessage{{Role: domain.RoleUser, Content: "Hi"}}},
					Answers: completer(t, over(t, serve, upstreamtest.Send(begin, block, hello, there, stop, done))),
					Stalls:  completer(t, over(t, serve, upstreamtest.Then(upstreamtest.Stall(t), begin, block, hello))),
					Breaks:  completer(t, over(t, serve, upstreamtest.Then(upstreamtest.Abort, begin, block, hello))),
				}
			})
		})
	}
}

// Which events start the clock of idleness, and which leave that of the first token running.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	const slow, stuck = "The provider anthropic did not begin to answer in time", "The provider anthropic stopped in the middle of its answer"
	tests := map[string]struct {
		first, idle time.Duration
		handler     func(*testing.T) http.Handler
		want        string
	}{
		"no status":            {short, long, func(t *testing.T) http.Handler { return upstreamtest.Stall(t) }, slow},
		"nothing but a start":  {short, long, func(t *testing.T) http.Handler { return upstreamtest.Then(upstreamtest.Stall(t), begin) }, slow},
		"pings are no token":   {2 * short, long, func(*testing.T) http.Handler { return upstreamtest.Then(upstreamtest.Repeat(ping), begin) }, slow},
		"idle":                 {long, short, func(t *testing.T) http.Handler { return upstreamtest.Then(upstreamtest.Stall(t), begin, block, hello) }, stuck},
		"idle while it thinks": {long, short, func(t *testing.T) http.Handler { return upstreamtest.Then(upstreamtest.Stall(t), begin, think) }, stuck},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := over(t, upstreamtest.Plain, test.handler(t))
			cfg.FirstToken, cfg.Idle = test.first, test.idle
			err := failure(t, cfg)
			var e *domain.Error
			if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.Message != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func failure(t *testing.T, cfg anthropic.Config) error {
	t.Helper()
	st, err := completer(t, cfg).Open(t.Context(), domain.Prompt{})
	if err != nil {
		return err
	}
	defer st.Close()
	for err == nil {
		_, err = st.Recv()
	}
	return err
}

func TestHTTP2IsUsed(t *testing.T) {
	t.Parallel()
	protocol := make(chan string, 1)
	cfg := over(t, upstreamtest.Encrypted, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol <- r.Proto
		upstreamtest.Write(w, begin, block, hello, stop, done)
	}))
	if err := failure(t, cfg); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if got := <-protocol; got != "HTTP/2.0" {
		t.Errorf("got %s", got)
	}
}

func completer(t *testing.T, cfg anthropic.Config) *anthropic.Completer {
	t.Helper()
	c := anthropic.New(cfg)
	t.Cleanup(c.CloseIdle)
	return c
}

// over serves a handler, and gives the configuration that finds it.
func over(t *testing.T, serve upstreamtest.Serve, h http.Handler) anthropic.Config {
	t.Helper()
	url, client := serve(t, h)
	return anthropic.Config{BaseURL: url, HTTPClient: client}
}
