package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"gaia/adapters/natsbus"
	"gaia/adapters/sqlite"
	"gaia/app"
	"gaia/domain"
)

// promptChat answers at once, so that what is measured is the engine and its journal. Each answer but the last one wants a tool called.
type promptChat struct{ rounds int }

func (c promptChat) Complete(_ context.Context, _ domain.Principal, req app.ChatRequest) (app.ChatInfo, app.ChatResult, error) {
	round := 0
	for _, m := range req.Messages {
		if m.Role == domain.RoleAssistant {
			round++
		}
	}
	answer := domain.Answer{Content: "done"}
	if round < c.rounds {
		answer = domain.Answer{ToolCalls: []domain.ToolCall{{ID: "c" + strconv.Itoa(round), Name: "box__put", Arguments: `{}`}}}
	}
	return app.ChatInfo{}, app.ChatResult{Answer: answer, Usage: domain.Usage{Input: 1, Output: 1}}, nil
}

func (promptChat) ChooseModel(domain.ModelRequest) (c domain.Choice, err error) { return c, nil }

func (promptChat) Window(domain.ModelRequest) int { return 0 }

type promptTools struct{}

func (promptTools) Matching(domain.Principal, []string) []domain.ToolSpec {
	return []domain.ToolSpec{{Server: "box", Name: "put", Repeatable: true}}
}

func (promptTools) Call(context.Context, domain.Principal, domain.ToolInvocation) (domain.ToolResult, error) {
	return domain.ToolResult{Text: "ok"}, nil
}

// openBenchBus is a bus inside the process, as in the embedded default.
func openBenchBus(b *testing.B) *natsbus.Bus {
	b.Helper()
	bus, err := natsbus.Start(b.Context(), natsbus.Config{DataDir: b.TempDir(), Name: "bench", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bus.Close() })
	return bus
}

// BenchmarkWorkflowStep measures what a step costs besides the model or the tool: two transactions with their events, and the signals.
func BenchmarkWorkflowStep(b *testing.B) {
	path := filepath.Join(b.TempDir(), databaseFile)
	if err := sqlite.MigrateUp(b.Context(), path); err != nil {
		b.Fatal(err)
	}
	store, err := sqlite.Open(b.Context(), sqlite.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // a benchmark
	const rounds = 10   // and as many calls of tools
	const steps = 2*rounds + 1
	flows := app.NewWorkflows(app.WorkflowDeps{
		Store: store.Workflows(), Queue: openBenchBus(b).Workflows(), Chat: promptChat{rounds}, Tools: promptTools{},
		Agents: []domain.Agent{{Name: domain.AgentAssistant, Instruction: "Work", Tools: []string{"*"}}}, Now: time.Now, NewID: newID,
		Troubled: func(id string, err error) { b.Errorf("%s: %v", id, err) },
	})
	defer flows.Close()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); flows.Run(ctx) }()
	defer func() { cancel(); <-done }()
	who := domain.Principal{Type: domain.AuthJWT, UserID: "ada"}
	b.ResetTimer()
	for n := 0; n < b.N; n += steps {
		flow, err := flows.Start(ctx, who, domain.WorkflowDraft{
			Kind: domain.WorkflowAgent, Task: "x", Limits: domain.WorkflowLimits{Iterations: rounds + 1},
		}, "")
		if err != nil {
			b.Fatal(err)
		}
		follow(b, ctx, flows, who, flow.ID)
	}
}

func follow(b *testing.B, ctx context.Context, flows *app.Workflows, who domain.Principal, id string) {
	b.Helper()
	f, err := flows.Follow(ctx, who, id, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for {
		e, err := f.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			b.Fatal(err)
		case e.Type == domain.WorkflowEventFailed:
			b.Fatal("the workflow failed")
		}
	}
}
