package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"gaia/adapters/echo"
	"gaia/domain"
	"gaia/internal/logging"
	"gaia/ports"
)

const saidSecretly = "xylophone"

// scripted answers with a word and then fails, or refuses at once.
type scripted struct{ refusal, failure error }

func (s scripted) Open(context.Context, domain.Prompt) (ports.CompletionStream, error) {
	if s.refusal != nil {
		return nil, s.refusal
	}
	return &scriptedStream{s, false}, nil
}

type scriptedStream struct {
	scripted
	begun bool
}

func (s *scriptedStream) Recv() (domain.Delta, error) {
	if s.begun {
		return domain.Delta{}, s.failure
	}
	s.begun = true
	return domain.Delta{Content: saidSecretly}, nil
}

func (*scriptedStream) Close() error { return nil }

type llmLine struct {
	Level, Msg, Provider, Model, Outcome string
	Duration                             float64 `json:"duration_ms"`
	Input                                *int    `json:"input_tokens"`
	Output                               *int    `json:"output_tokens"`
}

// logged calls a completer, reads at most so many steps, closes twice, and gives the only line of the log.
func logged(t *testing.T, c ports.Completer, steps int) llmLine {
	t.Helper()
	var out bytes.Buffer
	l := llmLog{Completer: c, provider: "p", log: logging.New(&out, "test", logging.LevelLLM)}
	stream, err := l.Open(t.Context(), domain.Prompt{Model: domain.EchoModel, Messages: []domain.PromptMessage{{Role: domain.RoleUser, Content: saidSecretly}}})
	if err == nil {
		for ; steps > 0 && err == nil; steps-- {
			_, err = stream.Recv()
		}
		_, _ = stream.Close(), stream.Close()
	}
	if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), saidSecretly) {
		t.Fatalf("log: %s", out.String())
	}
	var line llmLine
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line.Level != "LLM" || line.Msg != "provider call" || line.Provider != "p" || line.Model != domain.EchoModel || line.Duration < 0 || line.Duration > 10_000 {
		t.Errorf("log: %s", out.String())
	}
	return line
}

func TestCallsOfProvidersAreLogged(t *testing.T) {
	t.Parallel()
	line := logged(t, echo.New(echo.Config{}), 1000)
	if line.Outcome != "complete" || line.Input == nil || *line.Input <= 0 || line.Output == nil || *line.Output <= 0 {
		t.Errorf("%+v", line)
	}
	if line := logged(t, echo.New(echo.Config{}), 2); line.Outcome != "canceled" || line.Input != nil {
		t.Errorf("closed early: %+v", line)
	}
	for want, err := range map[string]error{
		"canceled":       fmt.Errorf("%s: %w", saidSecretly, context.Canceled),
		"rate limited":   domain.NewError(domain.Limited, saidSecretly),
		"no such model":  domain.NewError(domain.NotFound, saidSecretly),
		"prompt refused": domain.NewError(domain.BadRequest, saidSecretly),
		"unavailable":    domain.MissingPart(saidSecretly, nil),
		"too slow":       fmt.Errorf("%s: %w", saidSecretly, context.DeadlineExceeded),
		"failed":         fmt.Errorf("%s: %w", saidSecretly, io.EOF),
	} {
		if line := logged(t, scripted{refusal: err}, 0); line.Outcome != want {
			t.Errorf("refused with %v: %+v", err, line)
		}
		if line := logged(t, scripted{failure: err}, 9); line.Outcome != want {
			t.Errorf("failed with %v: %+v", err, line)
		}
	}
}

func TestEveryCompleterIsLogged(t *testing.T) {
	t.Parallel()
	completers := openCompleters(config{OpenAIKey: "k", OpenAIURL: "http://x", CompatibleURL: "http://x"}, logging.New(io.Discard, "test", 0))
	if len(completers) != 3 {
		t.Errorf("%d completers", len(completers))
	}
	for provider, c := range completers {
		if l, ok := c.(llmLog); !ok || l.provider != provider {
			t.Errorf("%s: %+v", provider, c)
		}
	}
}
