package telemetry

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"gaia/domain"
	"gaia/ports"
)

// Outside is a service that works to order.
type Outside struct {
	Provider string // as the conventions name it, where they do
	Model    string // that it is configured for; empty: it has none
	Address  string // of its server; empty: none
	Makes    bool   // what a model makes; a collection only finds what is there
}

func (o Outside) labels() []attribute.KeyValue {
	labels := []attribute.KeyValue{attribute.String("gen_ai.provider.name", o.Provider)}
	if o.Model != "" {
		labels = append(labels, attribute.String("gen_ai.request.model", o.Model))
	}
	if o.Address != "" {
		labels = append(labels, attribute.String("server.address", o.Address))
	}
	return labels
}

// outsideCall is a call of a service outside.
type outsideCall struct {
	telemetry *Telemetry
	ctx       context.Context //nolint:containedctx // of the span
	span      trace.Span
	begun     time.Time
	labels    []attribute.KeyValue
	counts    bool // among the calls of models
}

// call begins a span of a trace that goes on: nobody asks a service outside without a reason that has one.
func (t *Telemetry) call(ctx context.Context, o Outside, name, operation string, counts bool) (context.Context, *outsideCall) {
	c := &outsideCall{telemetry: t, begun: time.Now(), labels: o.labels(), counts: counts}
	if counts {
		c.labels = append(c.labels, attribute.String("gen_ai.operation.name", operation))
	} else {
		c.labels = append(c.labels, attribute.String("gaia.operation", operation))
	}
	ctx, c.span = t.within(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(c.begun))
	c.ctx = context.WithoutCancel(ctx)
	return ctx, c
}

// end tells how a call went; failure is of a small set, empty: well.
func (c *outsideCall) end(failure string, more ...attribute.KeyValue) {
	labels := withFailure(c.labels, failure)
	if c.counts {
		c.telemetry.genAI.duration.Record(c.ctx, time.Since(c.begun).Seconds(), metric.WithAttributes(labels...))
	}
	if c.span.IsRecording() {
		c.span.SetAttributes(more...)
	}
	var err error
	if failure != "" {
		err = errFailed
	}
	end(c.span, err, labels...)
}

// Generator watches calls of a generator of assets. What is to be made is in nothing that it tells, and neither is where files are.
func (t *Telemetry) Generator(next ports.AssetGenerator, o Outside) ports.AssetGenerator {
	return watchedGenerator{next, t, o}
}

type watchedGenerator struct {
	ports.AssetGenerator
	telemetry *Telemetry
	outside   Outside
}

// Begin implements ports.AssetGenerator.
func (g watchedGenerator) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	operation, name := "generate_content", g.outside.Model
	if !g.outside.Makes {
		operation = "search"
	}
	if name == "" {
		name = g.outside.Provider
	}
	ctx, call := g.telemetry.call(ctx, g.outside, operation+" "+name, operation, g.outside.Makes)
	task, err := g.AssetGenerator.Begin(ctx, o)
	about := append(aboutTask(task), attribute.String("gaia.asset.category", string(o.Request.Category)), attribute.String("gaia.generator.stage", o.Stage))
	if o.Request.Category.Operation() == domain.OperationImage && g.outside.Makes {
		about = append(about, attribute.String("gen_ai.output.type", "image"))
	}
	call.end(taskFailure(task, err), about...)
	return task, err
}

// Find implements ports.AssetGenerator.
func (g watchedGenerator) Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	ctx, call := g.telemetry.call(ctx, g.outside, "find "+g.outside.Provider, "find", false)
	task, err := g.AssetGenerator.Find(ctx, o)
	call.end(answered(taskFailure(task, err)), aboutTask(task)...)
	return task, err
}

// Check implements ports.AssetGenerator.
func (g watchedGenerator) Check(ctx context.Context, o domain.GenerationOrder, taskID string) (domain.GeneratorTask, error) {
	ctx, call := g.telemetry.call(ctx, g.outside, "check "+g.outside.Provider, "check", false)
	task, err := g.AssetGenerator.Check(ctx, o, taskID)
	call.end(taskFailure(task, err), aboutTask(task)...)
	return task, err
}

// Fetch implements ports.AssetGenerator. It lasts until the file is closed.
func (g watchedGenerator) Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	ctx, call := g.telemetry.call(ctx, g.outside, "fetch "+g.outside.Provider, "fetch", false)
	file, err := g.AssetGenerator.Fetch(ctx, f, limit)
	if err != nil {
		call.end(outsideFailure(err))
		return nil, err
	}
	return &watchedFile{ReadCloser: file, call: call}, nil
}

// Cancel implements ports.AssetGenerator.
func (g watchedGenerator) Cancel(ctx context.Context, taskID string) error {
	ctx, call := g.telemetry.call(ctx, g.outside, "cancel "+g.outside.Provider, "cancel", false)
	err := g.AssetGenerator.Cancel(ctx, taskID)
	call.end(outsideFailure(err))
	return err
}

// watchedFile is a file on its way.
type watchedFile struct {
	io.ReadCloser
	call *outsideCall
	read int64
	err  error
	once sync.Once
}

// Read implements io.Reader.
func (f *watchedFile) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	f.read += int64(n)
	if err != nil && err != io.EOF { //nolint:errorlint // only the bare one means the end
		f.err = err
	}
	return n, err
}

// Close implements io.Closer.
func (f *watchedFile) Close() error {
	err := f.ReadCloser.Close()
	f.once.Do(func() { f.call.end(outsideFailure(f.err), attribute.Int64("http.response.body.size", f.read)) })
	return err
}

func aboutTask(task domain.GeneratorTask) []attribute.KeyValue {
	if task.Status == "" {
		return nil
	}
	return []attribute.KeyValue{attribute.String("gaia.generator.task", string(task.Status))}
}

func taskFailure(task domain.GeneratorTask, err error) string {
	if err == nil && task.Status == domain.TaskFailed {
		return "task_failed"
	}
	return outsideFailure(err)
}

// answered takes the answer that there is no such task for what it is.
func answered(failure string) string {
	if failure == notFound {
		return ""
	}
	return failure
}

const notFound = "not_found"

// outsideFailure names what went wrong by what it means, never in the words of the service.
func outsideFailure(err error) string {
	var own *domain.Error
	switch {
	case !errors.As(err, &own):
		return callFailure(err)
	case own.Kind == domain.NotFound:
		return notFound
	case own.Code == domain.CodeOutcomeUnknown:
		return own.Code
	default:
		return callFailure(err)
	}
}

// Embedder watches calls of a model that tells what texts mean. The texts are in nothing that it tells.
func (t *Telemetry) Embedder(next ports.Embedder, o Outside) ports.Embedder {
	return watchedEmbedder{next, t, o}
}

type watchedEmbedder struct {
	ports.Embedder
	telemetry *Telemetry
	outside   Outside
}

// Embed implements ports.Embedder.
func (e watchedEmbedder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	ctx, call := e.telemetry.call(ctx, e.outside, "embeddings "+e.outside.Model, "embeddings", true)
	vectors, err := e.Embedder.Embed(ctx, texts)
	var about []attribute.KeyValue
	if len(vectors) > 0 {
		about = append(about, attribute.Int("gen_ai.embeddings.dimension.count", len(vectors[0])))
	}
	call.end(outsideFailure(err), about...)
	return vectors, err
}

// Service traces calls of a service that is no model, such as a storage: by its name and what it is asked to do. nil: nothing is traced.
func (t *Telemetry) Service(name, address string) Hook {
	if t.traces == nil {
		return nil
	}
	labels := []attribute.KeyValue{attribute.String("peer.service", name)}
	if address != "" {
		labels = append(labels, attribute.String("server.address", address))
	}
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		ctx, span := t.within(ctx, name+" "+operation, trace.WithSpanKind(trace.SpanKindClient))
		return ctx, func(err error) {
			failure := outsideFailure(err)
			if failure == notFound {
				failure, err = "", nil
			}
			end(span, err, withFailure(append(labels[:len(labels):len(labels)], attribute.String("gaia.operation", operation)), failure)...)
		}
	}
}
