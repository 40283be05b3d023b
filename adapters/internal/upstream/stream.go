package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"gaia/adapters/internal/eventstream"
	"gaia/domain"
)

const (
	maxStream = 64 << 20              // bytes of one answer, its envelopes included
	tailWait  = 5 * time.Second       // after the finish reason, for the usage and the end mark
	drainWait = 50 * time.Millisecond // after the end mark, for the end of the body, without which HTTP/1 can't reuse the connection
	maxDrain  = 4 << 10
)

// Stream reads one answer. Recv runs in its caller's goroutine; timeouts and Close work by canceling ctx, which unblocks it.
type Stream struct {
	provider, model, key string

	ctx        context.Context //nolint:containedctx // a stream lives as long as the request that opened it
	cancel     context.CancelCauseFunc
	firstToken *time.Timer
	idleTimer  *time.Timer // runs during each read that follows the first token
	idle       time.Duration

	body     io.ReadCloser
	events   *eventstream.Reader
	format   Format
	progress Progress

	received int64
	ended    bool // the answer is whole
	err      error
}

func newStream(ctx context.Context, cfg Config, model string, format Format) *Stream {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &Stream{
		provider: cfg.Provider, model: model, key: cfg.Key, ctx: ctx, cancel: cancel, idle: cfg.Idle, format: format,
		firstToken: time.AfterFunc(cfg.FirstToken, func() { cancel(errFirstToken) }),
		idleTimer:  time.AfterFunc(cfg.Idle, func() { cancel(errIdle) }),
	}
	s.idleTimer.Stop()
	return s
}

// start begins to read the body of the response.
func (s *Stream) start(body io.ReadCloser) {
	s.body = body
	s.events = eventstream.New(timedBody{s})
}

// Recv returns the next step.
func (s *Stream) Recv() (domain.Delta, error) {
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
		if s.progress.Begun {
			s.firstToken.Stop()
		}
		if d.Content != "" || d.Refusal != "" || d.Finish != "" || len(d.ToolCalls) > 0 || d.Usage != nil {
			return d, nil
		}
	}
	return domain.Delta{}, s.err
}

// Close ends the stream, whoever waits in Recv.
func (s *Stream) Close() error {
	s.release()
	return nil
}

// step reads one event; its delta may be empty.
func (s *Stream) step() (domain.Delta, error) {
	if s.ended {
		return domain.Delta{}, io.EOF
	}
	if err := s.ctx.Err(); err != nil {
		return domain.Delta{}, err
	}
	ev, err := s.events.Next()
	ev.Data = bytes.TrimSpace(ev.Data)
	switch {
	case err == io.EOF, err != nil && s.answerIsWhole(): //nolint:errorlint // see Recv
		return s.end()
	case err != nil:
		return domain.Delta{}, err
	case len(ev.Data) == 0: // a sign of life
		return domain.Delta{}, nil
	}
	d, said, err := s.format.Decode(ev.Name, ev.Data, &s.progress)
	switch {
	case said != nil:
		return domain.Delta{}, s.format.Refuse(s.refused(*said))
	case err == nil && s.progress.Ended:
		s.drain()
		return s.end()
	}
	return d, err
}

// refused is a refusal in the middle of the answer.
func (s *Stream) refused(said Said) Refusal {
	return Refusal{Said: said, Provider: s.provider, Model: s.model, Key: s.key, Readable: true}
}

// answerIsWhole reports whether only the trailer is missing after a failed read. An answer must not be lost to that, but who
// closed or canceled the stream gets to know it.
func (s *Stream) answerIsWhole() bool {
	return s.progress.Finished && (s.ctx.Err() == nil || errors.Is(context.Cause(s.ctx), errIdle))
}

// end gives the last step of a whole answer.
func (s *Stream) end() (domain.Delta, error) {
	if !s.progress.Finished {
		return domain.Delta{}, errBrokenOff
	}
	s.ended = true
	return domain.Delta{Usage: s.progress.Usage}, nil
}

// explain words an error for clients. It has to come before release, which becomes the reason for everything after it.
func (s *Stream) explain(err error) error {
	var known *domain.Error
	if errors.As(err, &known) {
		return err
	}
	return broken(s.ctx, s.provider, err)
}

// release frees what the stream holds.
func (s *Stream) release() {
	s.cancel(errClosed)
	s.firstToken.Stop()
	if s.body != nil {
		_ = s.body.Close() // its error says only that there was more to read
	}
}

func (s *Stream) drain() {
	s.idleTimer.Reset(drainWait)
	defer s.idleTimer.Stop()
	_, _ = io.CopyN(io.Discard, s.body, maxDrain)
}

// timedBody is the body of the response with a limit for each read and for their sum.
type timedBody struct{ s *Stream }

func (b timedBody) Read(p []byte) (int, error) {
	s := b.s
	if s.progress.Begun {
		wait := s.idle
		if s.progress.Finished {
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
