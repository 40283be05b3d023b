package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/sqlite"
	"gaia/domain"
)

// BenchmarkBound shows what no gateway that stores chats as Gaia does can be faster than: a bare reverse proxy, and the same one that
// reads the history and commits the turn on the embedded default, and does nothing else.
func BenchmarkBound(b *testing.B) {
	const users = 64
	store := boundStore(b)
	proxy := boundProxy(b)
	storing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(w, r)
		if err := storeTurn(r.Context(), store, r.Header.Get("X-Conversation")); err != nil {
			b.Error(err)
		}
	})
	prompt := `{"messages":[` + strings.Repeat(`{"role":"user","content":"Is it there? And what about the other one?"},`, domain.MaxHistory) + `{}]}`
	for name, handler := range map[string]http.Handler{"proxy": proxy, "proxy that stores": storing} {
		server := httptest.NewServer(handler)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: users}}
		chat := func(user int64) {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, strings.NewReader(prompt))
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("X-Conversation", fmt.Sprintf("00000000-0000-4000-8000-%012x", user+1))
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		for user := range int64(users) {
			for range domain.MaxHistory / 2 {
				chat(user)
			}
		}
		b.Run(name, func(b *testing.B) {
			defer reportProcessor(b)()
			b.SetParallelism(users / 2)
			var started atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				user := started.Add(1) % users
				for pb.Next() {
					chat(user)
				}
			})
		})
		server.Close()
	}
}

// boundProxy forwards to a provider that answers at once.
func boundProxy(b *testing.B) http.Handler {
	b.Helper()
	answer := []byte(strings.Repeat(`data: {"choices":[{"index":0,"delta":{"content":"word "}}]}`+"\n\n", 16) + "data: [DONE]\n\n")
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(answer)
	}))
	b.Cleanup(provider.Close)
	target, err := url.Parse(provider.URL)
	if err != nil {
		b.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	return proxy
}

func boundStore(b *testing.B) *sqlite.ConversationStore {
	b.Helper()
	path := filepath.Join(b.TempDir(), "gaia.db")
	if err := sqlite.MigrateUp(b.Context(), path); err != nil {
		b.Fatal(err)
	}
	store, err := sqlite.Open(b.Context(), sqlite.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return store.Conversations()
}

// storeTurn leaves behind what a chat does: two messages, a row of the ledger and two events.
func storeTurn(ctx context.Context, s *sqlite.ConversationStore, conversation string) error {
	if _, _, err := s.History(ctx, "owner", conversation, domain.MaxHistory); err != nil {
		return err
	}
	now := time.Now()
	_, err := s.CommitTurn(ctx, domain.Turn{
		Owner: "owner", At: now, ConversationID: conversation, NewID: newID(),
		User: domain.Message{ID: newID(), Role: domain.RoleUser, Content: "Is it there?", CreatedAt: now},
		Assistant: domain.Message{
			ID: newID(), Role: domain.RoleAssistant, Content: "Yes, of course.", Model: "gpt-4o-mini", Provider: domain.ProviderOpenAI, Tokens: 44, CreatedAt: now,
		},
		Usage: []domain.UsageRecord{{
			RequestID: newID(), Attempt: 1, HTTPRequestID: newID(), Owner: "owner", At: now, Operation: domain.OperationCompletion,
			Provider: domain.ProviderOpenAI, Model: "gpt-4o-mini", Outcome: domain.OutcomeCompleted,
		}},
		Events: []domain.Event{
			{ID: newID(), Subject: domain.SubjectUsageRecorded, Payload: domain.UsageRecordedEvent{Timestamp: now}},
			{ID: newID(), Subject: domain.SubjectChatComplete, Payload: domain.ChatMessageEvent{Timestamp: now}},
		},
	})
	return err
}
