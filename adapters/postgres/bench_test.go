package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/internal/testenv"
)

// BenchmarkCommitTurn stores turns as chats leave them: two messages, a usage record and two events. Each caller has a conversation
// of its own.
func BenchmarkCommitTurn(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openBench(b)
			turns := make(chan domain.Turn, b.N)
			for i := range b.N {
				turns <- benchTurn(i % callers)
			}
			close(turns)
			b.ReportAllocs()
			b.ResetTimer()
			finished := make(chan error, callers)
			for range callers {
				go func() {
					for turn := range turns {
						if _, err := s.Conversations().CommitTurn(context.Background(), turn); err != nil {
							finished <- err
							return
						}
					}
					finished <- nil
				}()
			}
			for range callers {
				if err := <-finished; err != nil {
					b.Error(err)
				}
			}
		})
	}
}

func BenchmarkHistory(b *testing.B) {
	s := openBench(b)
	for range 100 {
		if _, err := s.Conversations().CommitTurn(b.Context(), benchTurn(0)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		list, _, err := s.Conversations().History(b.Context(), "owner 0", "", domain.MaxHistory)
		if err != nil || len(list) != domain.MaxHistory {
			b.Fatal(len(list), err)
		}
	}
}

func openBench(b *testing.B) *postgres.Store {
	b.Helper()
	url := testenv.Postgres(b)
	if err := postgres.MigrateUp(b.Context(), url); err != nil {
		b.Fatal(err)
	}
	s, err := postgres.Open(b.Context(), postgres.Config{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s
}

func benchTurn(caller int) domain.Turn {
	now := time.Now()
	owner, message, request := fmt.Sprint("owner ", caller), newV7(), newV7()
	record := domain.UsageRecord{
		RequestID: request, Attempt: 1, HTTPRequestID: newV7(), Owner: owner, At: now, Operation: domain.OperationCompletion,
		Provider: "openai", Model: "gpt-4o-mini", Outcome: domain.OutcomeCompleted, Cost: 123_456, PriceVersion: "2026-11-01",
		Usage: domain.Usage{Input: 812, Output: 164, Source: domain.UsageFromProvider},
	}
	return domain.Turn{
		Owner: owner, NewID: newV7(), At: now, Title: "What did we say about mirrors?",
		User: domain.Message{ID: newV7(), Role: domain.RoleUser, Content: strings.Repeat("What did we say? ", 12), CreatedAt: now},
		Assistant: domain.Message{
			ID: message, Role: domain.RoleAssistant, Content: strings.Repeat("We said that mirrors turn. ", 30), PersonaID: newV7(),
			Model: record.Model, Provider: record.Provider, Tokens: 976, UsageSource: record.Usage.Source, CreatedAt: now,
		},
		Usage: []domain.UsageRecord{record},
		Events: []domain.Event{
			{ID: newV7(), Subject: domain.SubjectUsageRecorded, Payload: record.Event()},
			{ID: newV7(), Subject: domain.SubjectChatComplete, Payload: domain.ChatMessageEvent{
				MessageID: message, UserID: owner, Status: "completed", Timestamp: now,
				Details: map[string]any{"provider": record.Provider, "model": record.Model, "response_time_ms": 812},
			}},
		},
	}
}

func newV7() string { return uuid.Must(uuid.NewV7()).String() }
