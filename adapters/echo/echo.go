// Package echo is a model that needs no network and no key, so that every client can be tried at once. It answers in whole
// sentences that show what reached it: the persona's name from the system prompt, the user's words, and how long the
// conversation is. The same prompt always gets the same answer, word by word. A user can tell it what to do instead, see script.go.
//
// It must not try to be clever, keep anything between two prompts, or start goroutines.
package echo

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Model is the only model there is.
const Model = "echo"

// Config says how the model behaves. The zero value answers as fast as it is read.
type Config struct {
	WordDelay time.Duration // pause before each step but the first and the last, so that a person sees words arrive
}

// Completer answers with the echo model.
type Completer struct {
	wordDelay time.Duration
}

var _ ports.Completer = (*Completer)(nil)

// New makes an echo model.
func New(cfg Config) *Completer { return &Completer{wordDelay: cfg.WordDelay} }

// Open starts the answer to a prompt.
func (c *Completer) Open(ctx context.Context, p domain.Prompt) (ports.CompletionStream, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	if p.Model != "" && p.Model != Model {
		return nil, &domain.Error{
			Kind: domain.NotFound, Code: "model_not_found", Message: "The provider echo has no other model than " + Model,
		}
	}
	steps, err := answer(p)
	if err != nil {
		return nil, err
	}
	return &stream{ctx: ctx, delay: c.wordDelay, steps: steps, closed: make(chan struct{})}, nil
}

type stream struct {
	ctx    context.Context //nolint:containedctx // a stream lives as long as the request that opened it
	delay  time.Duration
	steps  []domain.Delta
	next   int
	close  sync.Once
	closed chan struct{}
}

// Recv returns the next step.
func (s *stream) Recv() (domain.Delta, error) {
	if s.next == len(s.steps) {
		return domain.Delta{}, io.EOF
	}
	if err := s.wait(); err != nil {
		return domain.Delta{}, err
	}
	d := s.steps[s.next]
	s.next++
	return d, nil
}

// Close ends the stream.
func (s *stream) Close() error {
	s.close.Do(func() { close(s.closed) })
	return nil
}

// wait lasts until the next step is due or the stream has to end.
func (s *stream) wait() error {
	select {
	case <-s.closed:
		return domain.NewError(domain.Canceled, "The stream was closed")
	case <-s.ctx.Done():
		return ended(s.ctx)
	default:
	}
	if s.delay <= 0 || s.next == 0 || s.next == len(s.steps)-1 {
		return nil
	}
	timer := time.NewTimer(s.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.closed:
		return domain.NewError(domain.Canceled, "The stream was closed")
	case <-s.ctx.Done():
		return ended(s.ctx)
	}
}

func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return domain.MissingPart("The provider echo did not finish in time", ctx.Err())
	}
	return &domain.Error{Kind: domain.Canceled, Message: "The request was canceled", Cause: ctx.Err()}
}
