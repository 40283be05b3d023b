package app_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// These tests run on a fake clock: time stands still until nobody can go on, so a limit of 100 ms is kept when no time passes at all.

func stream(ctx context.Context, t *testing.T, b *chatBed, r app.ChatRequest) *app.ChatStream {
	t.Helper()
	s, err := b.chat.Stream(ctx, ada, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// wantContent takes the next step, which has to come without anything else happening first.
func wantContent(t *testing.T, s *app.ChatStream, want string) {
	t.Helper()
	synctest.Wait()
	select {
	case st := <-s.Steps():
		if st.Err != nil || st.Result != nil || st.Delta.Content != want {
			t.Fatalf("got %+v, want %q", st, want)
		}
	default:
		t.Fatalf("nothing came, want %q", want)
	}
}

func wantNothing(t *testing.T, s *app.ChatStream) {
	t.Helper()
	synctest.Wait()
	select {
	case st := <-s.Steps():
		t.Fatalf("got %+v", st)
	default:
	}
}

func TestStreamIsAStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChat(t, live("one"))
		s := stream(t.Context(), t, b, message("hi"))
		wantContent(t, s, "one")
		wantNothing(t, s)
		for _, word := range []string{"two", "three"} {
			b.provider.live <- step{delta: domain.Delta{Content: word}}
			wantContent(t, s, word)
			wantNothing(t, s)
		}
		wantWords(t, "history before the end", b.history(t, ada, ""), []string{})
		close(b.provider.live)
		st := <-s.Steps()
		if st.Result == nil || st.Result.Content != "onetwothree" || st.Result.ConversationID == "" {
			t.Fatalf("got %+v", st)
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:onetwothree"})
		wantNothing(t, s)
	})
}

func TestEarlyFailureIsAnErrorOfStream(t *testing.T) {
	t.Parallel()
	refusal := &domain.Error{Kind: domain.Limited, Message: "slow down"}
	for name, p := range map[string]*provider{"at open": {openErr: refusal}, "at the first step": (&provider{}).then(step{err: refusal})} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := newChat(t, p).chat.Stream(t.Context(), ada, message("hi"))
			if s != nil || !errors.Is(err, refusal) {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
}

func TestLateFailureIsAStep(t *testing.T) {
	t.Parallel()
	refusal := &domain.Error{Kind: domain.Unavailable, Message: "broke off"}
	synctest.Test(t, func(t *testing.T) {
		b := newChat(t, live("one").then(step{err: refusal}))
		s := stream(t.Context(), t, b, message("hi"))
		wantContent(t, s, "one")
		if st := <-s.Steps(); !errors.Is(st.Err, refusal) || st.Result != nil {
			t.Errorf("got %+v", st)
		}
		wantNothing(t, s)
		wantWords(t, "history", b.history(t, ada, ""), []string{})
	})
}

func TestUnsavedAnswerHasNoFinishedStream(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The database is not available", errAny)
	b := newChat(t, says("one"))
	b.turns.FailNext("CommitTurn", away)
	s := stream(t.Context(), t, b, message("hi"))
	for st := range s.Steps() {
		if st.Result != nil {
			t.Fatalf("got the result %+v", st.Result)
		}
		if st.Err != nil {
			if !errors.Is(st.Err, away) {
				t.Errorf("got %v", st.Err)
			}
			return
		}
	}
}

func TestEmptyAnswer(t *testing.T) {
	t.Parallel()
	b := newChat(t, &provider{})
	s := stream(t.Context(), t, b, message("hi"))
	if st := <-s.Steps(); st.Result == nil || st.Result.Content != "" {
		t.Errorf("got %+v", st)
	}
}

func TestStreamWaitsForTheFirstStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChat(t, live())
		go func() {
			time.Sleep(4 * time.Second)
			b.provider.live <- step{delta: domain.Delta{Content: "one"}}
			close(b.provider.live)
		}()
		began := time.Now()
		s := stream(t.Context(), t, b, message("hi"))
		if waited := time.Since(began); waited != 4*time.Second {
			t.Errorf("waited %v", waited)
		}
		wantContent(t, s, "one")
	})
}

func TestStreamDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	refusal := &domain.Error{Kind: domain.Unavailable, Message: "away"}
	for name, late := range map[string]step{"and then speaks": {delta: domain.Delta{Content: "one"}}, "and then fails": {err: refusal}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChat(t, live())
				began := time.Now()
				s := stream(t.Context(), t, b, message("hi"))
				if waited := time.Since(began); waited != 5*time.Second {
					t.Errorf("waited %v", waited)
				}
				wantNothing(t, s)
				b.provider.live <- late
				if st := <-s.Steps(); st.Delta.Content != late.delta.Content || !errors.Is(st.Err, late.err) {
					t.Errorf("got %+v", st)
				}
			})
		})
	}
}

func TestProviderIsNotReadAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := says("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
		s := stream(t.Context(), t, newChat(t, p), message("hi"))
		for read := range int64(10) {
			synctest.Wait()
			if ahead := p.reads.Load() - read; ahead > 2 {
				t.Errorf("%d steps ahead after %d were taken", ahead, read)
			}
			wantContent(t, s, string(rune('0'+read)))
		}
	})
}

func TestClientLeavesMidStream(t *testing.T) {
	t.Parallel()
	leave := map[string]func(cancel func(), s *app.ChatStream){
		"by its context":   func(cancel func(), _ *app.ChatStream) { cancel() },
		"by Close":         func(_ func(), s *app.ChatStream) { s.Close() },
		"by both":          func(cancel func(), s *app.ChatStream) { cancel(); s.Close() },
		"by Close, thrice": func(_ func(), s *app.ChatStream) { s.Close(); s.Close(); s.Close() },
		"by Close, many at once": func(_ func(), s *app.ChatStream) {
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(s.Close)
			}
			wg.Wait()
		},
	}
	readers := map[string]func(*testing.T, *app.ChatStream){
		"while it waits for the provider": func(t *testing.T, s *app.ChatStream) {
			wantContent(t, s, "one")
			wantContent(t, s, "two")
			wantNothing(t, s)
		},
		"while the provider waits for it": func(*testing.T, *app.ChatStream) { synctest.Wait() },
	}
	for how, leave := range leave {
		for when, read := range readers {
			t.Run(how+" "+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newChat(t, live("one", "two"))
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					s := stream(ctx, t, b, message("hi"))
					read(t, s)
					leave(cancel, s)
					synctest.Wait()
					if b.provider.closed.Load() != 1 || b.turns.appends.Load() != 1 {
						t.Errorf("the provider was closed %d times, the turn saved %d times", b.provider.closed.Load(), b.turns.appends.Load())
					}
					wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:onetwo"})
					wantWords(t, "events", b.events.subjects(), []string{domain.SubjectChatStart, domain.SubjectChatComplete})
					if b.events.dead != 0 {
						t.Errorf("%d events were published with a dead context, so they may not go out", b.events.dead)
					}
				})
			})
		}
	}
}

// A slow database must not keep a provider working for a client who is gone.
func TestProviderIsStoppedBeforeTheTurnIsSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChat(t, live("one"))
		b.turns.delay = 3 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		s := stream(ctx, t, b, message("hi"))
		wantContent(t, s, "one")
		cancel()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if n := b.provider.closed.Load(); n != 1 {
			t.Errorf("the provider was closed %d times", n)
		}
		s.Close()
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:one"})
	})
}

func TestSavingHasALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChat(t, says("one"))
		b.turns.delay = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		s := stream(ctx, t, b, message("hi"))
		wantContent(t, s, "one")
		wantContent(t, s, "") // the finish reason
		began := time.Now()
		cancel()
		s.Close()
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("closing took %v", waited)
		}
		if n := b.turns.appends.Load(); n != 1 {
			t.Errorf("tried to save %d times", n)
		}
		wantWords(t, "events", b.events.subjects(), []string{domain.SubjectChatStart, domain.SubjectChatFailed})
	})
}

func TestNothingGeneratedNothingSaved(t *testing.T) {
	t.Parallel()
	for name, patience := range map[string]time.Duration{"while Stream waits": time.Second, "after Stream returned": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChat(t, live())
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(patience, cancel)
				s, err := b.chat.Stream(ctx, ada, message("hi"))
				if early := patience < 5*time.Second; early {
					wantKind(t, err, domain.Canceled)
				} else {
					wantKind(t, (<-s.Steps()).Err, domain.Canceled)
					s.Close()
				}
				if b.provider.closed.Load() != 1 || b.turns.appends.Load() != 0 {
					t.Errorf("the provider was closed %d times, the turn saved %d times", b.provider.closed.Load(), b.turns.appends.Load())
				}
				wantWords(t, "events", b.events.subjects(), []string{domain.SubjectChatStart, domain.SubjectChatFailed})
			})
		})
	}
}

func TestRefusalIsKeptWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChat(t, live().then(step{delta: domain.Delta{Refusal: "I can't"}}))
		s := stream(t.Context(), t, b, message("hi"))
		s.Close()
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:I can't"})
	})
}

func TestStatelessClientLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChat(t, live("one"))
		s := stream(t.Context(), t, b, app.ChatRequest{Messages: []domain.PromptMessage{{Role: domain.RoleUser, Content: "q"}}})
		wantContent(t, s, "one")
		s.Close()
		if b.turns.appends.Load() != 0 || b.provider.closed.Load() != 1 {
			t.Errorf("%d turns saved, provider closed %d times", b.turns.appends.Load(), b.provider.closed.Load())
		}
	})
}

func TestClientOfOnePieceLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChat(t, live("one"))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, _, err := b.chat.Complete(ctx, ada, message("hi"))
		wantKind(t, err, domain.Canceled)
		if waited := time.Since(began); waited != time.Second || b.provider.closed.Load() != 1 {
			t.Errorf("it took %v, and the provider was closed %d times", waited, b.provider.closed.Load())
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:one"})
	})
}

// A deadline is nobody leaving: the provider took too long, so the turn failed.
func TestDeadlineIsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, ask := range []way{inOnePiece, streamed} {
			b := newChat(t, live("one"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _, err := ask(b.chat, ctx, ada, message("hi"))
			cancel()
			wantKind(t, err, domain.Unavailable)
			wantWords(t, "history", b.history(t, ada, ""), []string{})
			wantWords(t, "events", b.events.subjects(), []string{domain.SubjectChatStart, domain.SubjectChatFailed})
		}
	})
}

// panicking is a provider with a bug.
type panicking struct{ first bool }

func (p panicking) Open(context.Context, domain.Prompt) (ports.CompletionStream, error) {
	if p.first {
		panic("bug in Open")
	}
	return panickingStream{}, nil
}

type panickingStream struct{ ports.CompletionStream }

func (panickingStream) Recv() (domain.Delta, error) { panic("bug in Recv") }
func (panickingStream) Close() error                { return nil }

func TestPanicOfAProviderIsAnError(t *testing.T) {
	t.Parallel()
	for _, p := range []panicking{{first: true}, {}} {
		b := newChat(t, says())
		b.chat.Completers[domain.ProviderOpenAI] = p
		s, err := b.chat.Stream(t.Context(), ada, message("hi"))
		if s != nil || err == nil || domain.KindOf(err) != domain.Internal || !strings.Contains(err.Error(), "bug in ") || !strings.Contains(err.Error(), "panickingStream") != p.first {
			t.Errorf("got %v, %v", s, err)
		}
		wantWords(t, "events", b.events.subjects(), []string{domain.SubjectChatStart, domain.SubjectChatFailed})
	}
}

func TestCloseAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := newChat(t, says("one"))
	if _, _, err := streamed(b.chat, t.Context(), ada, message("hi")); err != nil {
		t.Fatal(err)
	}
	s := stream(t.Context(), t, b, message("hi"))
	for st := range s.Steps() {
		if st.Result != nil {
			break
		}
	}
	s.Close()
	s.Close()
	if b.turns.appends.Load() != 2 || b.provider.closed.Load() != 2 {
		t.Errorf("%d turns saved, %d provider streams closed", b.turns.appends.Load(), b.provider.closed.Load())
	}
}
