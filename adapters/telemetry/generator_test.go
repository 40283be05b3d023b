package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	"gaia/adapters/telemetry"
	"gaia/domain"
	"gaia/ports"
)

// generator has secrets in all that must not be told.
type generator struct {
	ports.AssetGenerator
	task domain.GeneratorTask
	err  error
}

func (g generator) Begin(context.Context, domain.GenerationOrder) (domain.GeneratorTask, error) {
	return g.task, g.err
}

func (g generator) Find(context.Context, domain.GenerationOrder) (domain.GeneratorTask, error) {
	return g.task, g.err
}

func (g generator) Check(context.Context, domain.GenerationOrder, string) (domain.GeneratorTask, error) {
	return g.task, g.err
}

func (g generator) Fetch(context.Context, domain.GeneratedFile, int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("secret file")), g.err
}

func (g generator) Cancel(context.Context, string) error { return g.err }

func (generator) Model() string { return "m" }

func (g generator) Embed(context.Context, []string) ([][]float32, error) {
	return [][]float32{{1, 2, 3}}, g.err
}

// traced runs do within a request and returns what was told of it.
func traced(t *testing.T, do func(ctx context.Context, tel *telemetry.Telemetry)) (*collector, string) {
	t.Helper()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint = c.URL })
	server, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	ctx := request(t, server, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), false, telemetry.Answer{Operation: "Op", Route: "/op"})
	do(ctx, tel)
	page := scrape(t, tel)
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.spans {
		if text := s.String() + page; strings.Contains(text, "secret") {
			t.Errorf("a secret is told: %s", text)
		}
		if len(s.ParentSpanId) == 0 && s.Name != "POST /op" {
			t.Errorf("%s is in no trace", s.Name)
		}
	}
	return c, page
}

func TestCallsOfGenerators(t *testing.T) {
	t.Parallel()
	order := domain.GenerationOrder{
		Token: "secret", Stage: "preview", Request: domain.AssetRequest{Category: domain.AssetTexture, Description: "secret"},
		Notify: "https://secret", Base: &domain.BaseFile{Data: []byte("secret")},
	}
	done := domain.GeneratorTask{ID: "secret", Status: domain.TaskDone, Message: "secret", Files: []domain.GeneratedFile{{URL: "https://secret/?signature=secret"}}}
	c, page := traced(t, func(ctx context.Context, tel *telemetry.Telemetry) {
		g := tel.Generator(generator{task: done}, telemetry.Outside{Provider: "openai", Model: "gpt-image-1.5", Address: "api.example.com", Makes: true})
		_, _ = g.Begin(ctx, order)
		_, _ = g.Check(ctx, order, "secret")
		file, err := g.Fetch(ctx, done.Files[0], 100)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, file)
		_, _ = file.Close(), file.Close()
		_ = g.Cancel(ctx, "secret")
		_, _ = tel.Generator(generator{err: domain.NewError(domain.NotFound, "secret")}, telemetry.Outside{Provider: "openai"}).Find(ctx, order)
		_, _ = tel.Generator(generator{}, telemetry.Outside{Provider: "freesound"}).Begin(ctx, order)
		_, _ = tel.Generator(generator{}, telemetry.Outside{Provider: "stability_ai", Makes: true}).Begin(ctx, order)
		_, _ = tel.Embedder(generator{}, telemetry.Outside{Provider: "openai", Model: "m"}).Embed(ctx, []string{"secret"})
	})
	root := c.named(t, "POST /op")
	for name, want := range map[string]map[string]any{
		"generate_content gpt-image-1.5": {
			"gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-image-1.5",
			"server.address": "api.example.com", "gen_ai.output.type": "image", "gaia.asset.category": "texture", "gaia.generator.stage": "preview",
			"gaia.generator.task": "done", "error.type": nil,
		},
		"check openai":                  {"gaia.operation": "check", "gen_ai.operation.name": nil, "gen_ai.provider.name": "openai", "gaia.generator.task": "done"},
		"fetch openai":                  {"gaia.operation": "fetch", "http.response.body.size": int64(11), "error.type": nil},
		"cancel openai":                 {"gaia.operation": "cancel"},
		"find openai":                   {"gaia.operation": "find", "error.type": nil},
		"search freesound":              {"gen_ai.operation.name": nil, "gaia.operation": "search", "gen_ai.output.type": nil},
		"generate_content stability_ai": {"gen_ai.operation.name": "generate_content", "gen_ai.request.model": nil},
		"embeddings m":                  {"gen_ai.operation.name": "embeddings", "gen_ai.embeddings.dimension.count": int64(3)},
	} {
		span := c.named(t, name)
		wantParent(t, span, root)
		if span.Kind != tracev1.Span_SPAN_KIND_CLIENT || span.Status.GetCode() == tracev1.Status_STATUS_CODE_ERROR {
			t.Errorf("%s: %v", name, span)
		}
		for attr, value := range want {
			if got := attribute(span, attr); got != value {
				t.Errorf("%s: %s is %v, want %v", name, attr, got, value)
			}
		}
	}
	if len(c.spans) != 9 {
		t.Errorf("%d spans", len(c.spans))
	}
	for _, want := range []string{
		`gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="generate_content",gen_ai_provider_name="openai",gen_ai_request_model="gpt-image-1.5",server_address="api.example.com"} 1`,
		`gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="embeddings",`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing in %s", want, page)
		}
	}
	if n := strings.Count(page, "gen_ai_client_operation_duration_seconds_count{"); n != 3 { // only calls of models are such
		t.Errorf("%d kinds of calls of models", n)
	}
}

func TestFailuresOfGenerators(t *testing.T) {
	t.Parallel()
	failures := map[string]generator{
		"task_failed":     {task: domain.GeneratorTask{Status: domain.TaskFailed, Failure: domain.NewError(domain.BadRequest, "secret")}},
		"prompt_refused":  {err: domain.NewError(domain.BadRequest, "secret")},
		"rate_limited":    {err: domain.NewError(domain.Limited, "secret")},
		"not_found":       {err: domain.NewError(domain.NotFound, "secret")},
		"unavailable":     {err: domain.NewError(domain.Unavailable, "secret")},
		"outcome_unknown": {err: fmt.Errorf("secret: %w", &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown, Message: "secret"})},
		"timeout":         {err: fmt.Errorf("secret: %w", context.DeadlineExceeded)},
		"error":           {err: errors.New("secret")},
	}
	c, _ := traced(t, func(ctx context.Context, tel *telemetry.Telemetry) {
		for failure, g := range failures {
			_, _ = tel.Generator(g, telemetry.Outside{Provider: "p", Model: failure, Makes: true}).Begin(ctx, domain.GenerationOrder{})
		}
		broken := tel.Generator(generator{err: errors.New("secret")}, telemetry.Outside{Provider: "broken"})
		if _, err := broken.Fetch(ctx, domain.GeneratedFile{}, 1); err == nil {
			t.Error("there is a file")
		}
		if _, err := tel.Embedder(generator{err: errors.New("secret")}, telemetry.Outside{Model: "broken"}).Embed(ctx, nil); err == nil {
			t.Error("there are vectors")
		}
	})
	want := map[string]string{"fetch broken": "error", "embeddings broken": "error"}
	for failure := range failures {
		want["generate_content "+failure] = failure
	}
	for name, failure := range want {
		if span := c.named(t, name); attribute(span, "error.type") != failure || span.Status.GetCode() != tracev1.Status_STATUS_CODE_ERROR {
			t.Errorf("%s: %v", name, span)
		}
	}
}

func TestCallsOfOtherServices(t *testing.T) {
	t.Parallel()
	c, _ := traced(t, func(ctx context.Context, tel *telemetry.Telemetry) {
		s3 := tel.Service("s3", "s3.example.com")
		_, end := s3(ctx, "write")
		end(nil)
		_, end = s3(ctx, "open")
		end(domain.FileNotFound())
		_, end = s3(ctx, "list")
		end(errors.New("secret"))
		_, end = s3(t.Context(), "delete") // of nobody's request
		end(nil)
	})
	for name, want := range map[string]any{"s3 write": nil, "s3 open": nil, "s3 list": "error"} {
		span := c.named(t, name)
		if attribute(span, "error.type") != want || attribute(span, "server.address") != "s3.example.com" || attribute(span, "peer.service") != "s3" {
			t.Errorf("%s: %v", name, span)
		}
	}
	if len(c.spans) != 4 {
		t.Errorf("%d spans", len(c.spans))
	}
	off, err := telemetry.New(telemetry.Config{Scraped: true})
	if err != nil || off.Service("s3", "") != nil {
		t.Errorf("something is traced without a collector: %v", err)
	}
}
