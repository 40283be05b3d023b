package telemetry

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"gaia/domain"
	"gaia/ports"
)

// genAI are the metrics of the conventions for generative AI.
type genAI struct{ duration, tokens, firstChunk metric.Float64Histogram }

func newGenAI(meter metric.Meter) (genAI, error) {
	make := maker{meter: meter}
	return genAI{
		duration: make.histogram("gen_ai.client.operation.duration", "s", "Time of calls of models.",
			[]float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}),
		tokens: make.histogram("gen_ai.client.token.usage", "{token}", "Tokens of calls of models.",
			[]float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}),
		firstChunk: make.histogram("gen_ai.client.operation.time_to_first_chunk", "s", "Time to the first piece of the answer of a model.",
			[]float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 30}),
	}, make.err
}

// providerNames are those of the conventions, where they differ from Gaia's.
var providerNames = map[string]string{
	domain.ProviderClaude: "anthropic", domain.ProviderGemini: "gcp.gemini", domain.ProviderMistral: "mistral_ai",
}

// Model is where a completer sends prompts.
type Model struct {
	Provider string // one of domain's
	Address  string // of its server; empty: none
	// Known reports whether a model is one that the catalogue has: a client may name any, and only those are labels.
	Known func(model string) bool
}

// Completer watches calls of a provider. What is said in them is in nothing that it tells.
func (t *Telemetry) Completer(next ports.Completer, m Model) ports.Completer {
	name := m.Provider
	if theirs := providerNames[name]; theirs != "" {
		name = theirs
	}
	return watchedCompleter{Completer: next, telemetry: t, model: m, name: attribute.String("gen_ai.provider.name", name)}
}

type watchedCompleter struct {
	ports.Completer
	telemetry *Telemetry
	model     Model
	name      attribute.KeyValue
}

var chatOperation = attribute.String("gen_ai.operation.name", "chat")

// Open implements ports.Completer.
func (w watchedCompleter) Open(ctx context.Context, p domain.Prompt) (ports.CompletionStream, error) {
	label := "other"
	if w.model.Known == nil || w.model.Known(p.Model) {
		label = p.Model
	}
	call := &watchedCall{
		watched: w, begun: time.Now(),
		labels: []attribute.KeyValue{chatOperation, w.name, attribute.String("gen_ai.request.model", label)},
	}
	if w.model.Address != "" {
		call.labels = append(call.labels, attribute.String("server.address", w.model.Address))
	}
	ctx, call.span = w.telemetry.tracer.Start(ctx, "chat "+label, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(call.begun))
	call.ctx = context.WithoutCancel(ctx)
	stream, err := w.Completer.Open(ctx, p)
	if err != nil {
		call.end(err)
		return nil, err
	}
	call.CompletionStream = stream
	return call, nil
}

// watchedCall is an answer on its way.
type watchedCall struct {
	ports.CompletionStream
	watched watchedCompleter
	ctx     context.Context //nolint:containedctx // of the span, which lives as long as the call
	span    trace.Span
	begun   time.Time
	labels  []attribute.KeyValue

	mu     sync.Mutex // Close may come while Recv waits
	first  time.Duration
	usage  *domain.Usage
	finish domain.FinishReason
	ended  bool
}

// Recv implements ports.CompletionStream.
func (c *watchedCall) Recv() (domain.Delta, error) {
	d, err := c.CompletionStream.Recv()
	c.note(d, err)
	if err != nil {
		c.end(err)
	}
	return d, err
}

func (c *watchedCall) note(d domain.Delta, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == 0 && err == nil && (d.Content != "" || d.Refusal != "" || len(d.ToolCalls) > 0) {
		c.first = time.Since(c.begun)
	}
	if d.Usage != nil {
		c.usage = d.Usage
	}
	if d.Finish != "" {
		c.finish = d.Finish
	}
}

// Close implements ports.CompletionStream. Before the end of the answer it gives the rest up.
func (c *watchedCall) Close() error {
	err := c.CompletionStream.Close()
	c.end(context.Canceled)
	return err
}

// end tells how the call went, once.
func (c *watchedCall) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	if err == io.EOF || c.finish != "" && errors.Is(err, context.Canceled) { //nolint:errorlint // only the bare one means the end
		err = nil
	}
	failure := callFailure(err)
	g := c.watched.telemetry.genAI
	withError := withFailure(c.labels, failure)
	g.duration.Record(c.ctx, time.Since(c.begun).Seconds(), metric.WithAttributes(withError...))
	if c.first > 0 {
		g.firstChunk.Record(c.ctx, c.first.Seconds(), metric.WithAttributes(c.labels...))
	}
	if c.usage != nil {
		for kind, n := range map[string]int{"input": c.usage.Input, "output": c.usage.Output} {
			g.tokens.Record(c.ctx, float64(n), metric.WithAttributes(append(slices.Clip(c.labels), attribute.String("gen_ai.token.type", kind))...))
		}
	}
	c.endSpan(err, failure)
}

func (c *watchedCall) endSpan(err error, failure string) {
	if c.span.IsRecording() {
		if c.usage != nil {
			c.span.SetAttributes(attribute.Int("gen_ai.usage.input_tokens", c.usage.Input), attribute.Int("gen_ai.usage.output_tokens", c.usage.Output))
		}
		if c.finish != "" {
			c.span.SetAttributes(attribute.StringSlice("gen_ai.response.finish_reasons", []string{string(c.finish)}))
		}
		if c.first > 0 {
			c.span.SetAttributes(attribute.Float64("gen_ai.response.time_to_first_chunk", c.first.Seconds()))
		}
	}
	end(c.span, err, withFailure(c.labels, failure)...)
}

// callFailure names what went wrong by what it means, never in the words of the provider: they may repeat the prompt.
func callFailure(err error) string {
	if err == nil {
		return ""
	}
	switch domain.KindOf(err) {
	case domain.Canceled:
		return "canceled"
	case domain.Limited:
		return "rate_limited"
	case domain.NotFound:
		return "model_not_found"
	case domain.BadRequest, domain.Invalid:
		return "prompt_refused"
	case domain.Unavailable:
		return "unavailable"
	default:
		return errorType(err)
	}
}
