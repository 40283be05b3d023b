package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/sqlite"
	"gaia/domain"
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
			before := processTime(b)
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
			b.ReportMetric(float64((processTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// processTime is the processor time that the process has used: on a busy machine it tells more than the clock.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkHistory(b *testing.B) {
	s := openBench(b)
	for range 100 {
		if _, err := s.Conversations().CommitTurn(b.Context(), benchTurn(0)); err != nil {
			b.Fatal(err)
		}
	}
	for _, limit := range []int{6, domain.MaxHistory} {
		b.Run(fmt.Sprintf("messages=%d", limit), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if list, _, err := s.Conversations().History(b.Context(), "owner 0", "", limit); err != nil || len(list) != limit {
					b.Fatal(len(list), err)
				}
			}
		})
	}
}

func openBench(b *testing.B) *sqlite.Store {
	b.Helper()
	path := filepath.Join(b.TempDir(), "gaia.db")
	if err := sqlite.MigrateUp(b.Context(), path); err != nil {
		b.Fatal(err)
	}
	s, err := sqlite.Open(b.Context(), sqlite.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
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
