package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"gaia/domain"
	"gaia/internal/logging"
	"gaia/ports"
)

// llmLog writes one line for each call of a provider: who was asked, for how long and with what outcome. What was said is in none.
type llmLog struct {
	ports.Completer
	provider string
	log      *slog.Logger
}

// Open implements ports.Completer.
func (l llmLog) Open(ctx context.Context, p domain.Prompt) (ports.CompletionStream, error) {
	call := &llmCall{llmLog: l, ctx: context.WithoutCancel(ctx), model: p.Model, begun: time.Now()}
	stream, err := l.Completer.Open(ctx, p)
	if err != nil {
		call.end(err)
		return nil, err
	}
	call.CompletionStream = stream
	return call, nil
}

// llmCall is an answer on its way.
type llmCall struct {
	llmLog
	ports.CompletionStream
	ctx   context.Context //nolint:containedctx // belongs to the line that the call ends with
	model string
	begun time.Time

	mu    sync.Mutex // Close may come while Recv waits
	usage *domain.Usage
	ended bool
}

// Recv implements ports.CompletionStream.
func (c *llmCall) Recv() (domain.Delta, error) {
	d, err := c.CompletionStream.Recv()
	if d.Usage != nil {
		c.mu.Lock()
		c.usage = d.Usage
		c.mu.Unlock()
	}
	if err != nil {
		c.end(err)
	}
	return d, err
}

// Close implements ports.CompletionStream. Before the end of the answer it gives the rest up.
func (c *llmCall) Close() error {
	err := c.CompletionStream.Close()
	c.end(context.Canceled)
	return err
}

// end writes the line, once.
func (c *llmCall) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	attrs := []slog.Attr{
		slog.String("provider", c.provider), slog.String("model", c.model),
		slog.Float64("duration_ms", float64(time.Since(c.begun).Microseconds())/1000), slog.String("outcome", outcome(err)),
	}
	if c.usage != nil {
		attrs = append(attrs, slog.Int("input_tokens", c.usage.Input), slog.Int("output_tokens", c.usage.Output))
	}
	c.log.LogAttrs(c.ctx, logging.LevelLLM, "provider call", attrs...)
}

// outcome names how a call ended, without the words of an error: they may repeat the prompt.
func outcome(err error) string {
	if err == io.EOF { //nolint:errorlint // only the bare one means the end: a wrapped one is a broken connection
		return "complete"
	}
	switch domain.KindOf(err) {
	case domain.Canceled:
		return "canceled"
	case domain.Limited:
		return "rate limited"
	case domain.NotFound:
		return "no such model"
	case domain.BadRequest, domain.Invalid:
		return "prompt refused"
	case domain.Unavailable:
		return "unavailable"
	default:
		if errors.Is(err, context.DeadlineExceeded) {
			return "too slow"
		}
		return "failed"
	}
}
