package openai

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"gaia/domain"
)

const (
	maxStream = 64 << 20              // bytes of one answer, its envelopes included
	tailWait  = 5 * time.Second       // after the finish reason, for the usage and the end mark
	drainWait = 50 * time.Millisecond // after the end mark, for the end of the body, without which HTTP/1 can't reuse the connection
	maxDrain  = 4 << 10
	endMark   = "[DONE]"
)

// stream reads one answer. Recv runs in its caller's goroutine; timeouts and Close work by canceling ctx, which unblocks it.
type stream struct {
	provider   string
	ctx        context.Context //nolint:containedctx // a stream lives as long as the request that opened it
	cancel     context.CancelCauseFunc
	firstToken *time.Timer
	idleTimer  *time.Timer // runs during each read that follows the first token
	idle       time.Duration

	body    io.ReadCloser
	events  *sseReader
	decoder decoder

	received int64
	ended    bool // the answer is whole
	err      error
}

func newStream(ctx context.Context, cfg Config, newID func() string) *stream {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &stream{
		provider: cfg.Provider, ctx: ctx, cancel: cancel, idle: cfg.Idle,
		firstToken: time.AfterFunc(cfg.FirstToken, func() { cancel(errFirstToken) }),
		idleTimer:  time.AfterFunc(cfg.Idle, func() { cancel(errIdle) }),
		decoder:    decoder{calls: callTracker{newID: newID}},
	}
	s.idleTimer.Stop()
	return s
}

// start begins to read the body of the response.
func (s *stream) start(body io.ReadCloser) {
	s.body = body
	s.events = newSSEReader(timedBody{s})
}

// Recv returns the next step.
func (s *stream) Recv() (domain.Delta, error) {
	for s.err == nil {
		d, err := s.step()
		if err != nil {
			s.err = err
			if err != io.EOF { //nolint:errorlint // only the bare one means the end: a wrapped one is a broken connection
				s.err = s.explain(err)
			}
			s.release()
			break
		}
		if s.decoder.begun {
			s.firstToken.Stop()
		}
		if d.Content != "" || d.Refusal != "" || d.Finish != "" || len(d.ToolCalls) > 0 || d.Usage != nil {
			return d, nil
		}
	}
	return domain.Delta{}, s.err
}

// Close ends the stream, whoever waits in Recv.
func (s *stream) Close() error {
	s.release()
	return nil
}

// step reads one event; its delta may be empty.
func (s *stream) step() (domain.Delta, error) {
	if s.ended {
		return domain.Delta{}, io.EOF
	}
	if err := s.ctx.Err(); err != nil {
		return domain.Delta{}, err
	}
	ev, err := s.events.next()
	ev.data = bytes.TrimSpace(ev.data)
	switch {
	case err == io.EOF, err != nil && s.answerIsWhole(): //nolint:errorlint // see Recv
		return s.end()
	case err != nil:
		return domain.Delta{}, err
	case len(ev.data) == 0: // a sign of life
		return domain.Delta{}, nil
	case string(ev.data) == endMark:
		s.drain()
		return s.end()
	}
	d, said, err := s.decoder.decode(ev)
	if said != nil {
		return domain.Delta{}, refused{provider: s.provider, said: *said, readable: true}.err()
	}
	return d, err
}

// answerIsWhole reports whether only the trailer is missing after a failed read. An answer must not be lost to that, but who
// closed or canceled the stream gets to know it.
func (s *stream) answerIsWhole() bool {
	return s.decoder.finished && (s.ctx.Err() == nil || errors.Is(context.Cause(s.ctx), errIdle))
}

// end gives the last step of a whole answer.
func (s *stream) end() (domain.Delta, error) {
	if !s.decoder.finished {
		return domain.Delta{}, errBrokenOff
	}
	s.ended = true
	return domain.Delta{Usage: s.decoder.usage}, nil
}

// explain words an error for clients. It has to come before release, which becomes the reason for everything after it.
func (s *stream) explain(err error) error {
	var known *domain.Error
	if errors.As(err, &known) {
		return err
	}
	return broken(s.ctx, s.provider, err)
}

// release frees what the stream holds.
func (s *stream) release() {
	s.cancel(errClosed)
	s.firstToken.Stop()
	if s.body != nil {
		_ = s.body.Close() // its error says only that there was more to read
	}
}

func (s *stream) drain() {
	s.idleTimer.Reset(drainWait)
	defer s.idleTimer.Stop()
	_, _ = io.CopyN(io.Discard, s.body, maxDrain)
}

// timedBody is the body of the response with a limit for each read and for their sum.
type timedBody struct{ s *stream }

func (b timedBody) Read(p []byte) (int, error) {
	s := b.s
	if s.decoder.begun {
		wait := s.idle
		if s.decoder.finished {
			wait = min(wait, tailWait)
		}
		s.idleTimer.Reset(wait) // not between two calls of Recv: a slow client is no fault of the provider
		defer s.idleTimer.Stop()
	}
	n, err := s.body.Read(p)
	if s.received += int64(n); s.received > maxStream {
		return 0, errTooLong
	}
	return n, err
}
