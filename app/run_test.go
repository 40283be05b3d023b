package app_test

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// newKept makes a Chat that keeps answers. replica makes another one on the same stores: another process, or this one after a restart.
func newKept(t *testing.T, p *provider) (b *chatBed, replica func() *app.Chat) {
	t.Helper()
	b = newChat(t, p)
	b.turns.answers = &memory.AnswerStore{}
	deps := b.chat.ChatDeps
	deps.Answers = b.turns.answers
	replica = func() *app.Chat {
		c := app.NewChat(deps)
		t.Cleanup(func() { c.Close(context.Background()) })
		return c
	}
	b.chat = replica()
	return b, replica
}

func repeatable(key, fingerprint string) app.ChatRequest {
	r := message("hi")
	r.Repeat = &app.Repeat{Key: key, Fingerprint: fingerprint}
	return r
}

func TestRepeatedRequestsGetOneAnswer(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b, replica := newKept(t, says("one", " answer").then(step{delta: domain.Delta{Usage: &domain.Usage{Input: 3, Output: 2}}}))
		info, first, err := ask(b.chat, t.Context(), ada, repeatable("k", "f"))
		if err != nil || first.Content != "one answer" {
			t.Fatalf("got %+v, %v", first, err)
		}
		for name, chat := range map[string]*app.Chat{"same process": b.chat, "other process": replica()} {
			again, second, err := ask(chat, t.Context(), ada, repeatable("k", "f"))
			second.CommitTime = first.CommitTime
			if err != nil || !reflect.DeepEqual(first, second) || again.MessageID != info.MessageID || !again.Created.Equal(info.Created) {
				t.Errorf("%s: got %+v, %+v, %v\nwant %+v, %+v", name, again, second, err, info, first)
			}
		}
		if n := b.provider.calls(); n != 1 {
			t.Errorf("the provider was asked %d times", n)
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:one answer"})
		if rows := b.turns.usage(); len(rows) != 1 {
			t.Errorf("ledger: %+v", rows)
		}
		_, _, err = ask(b.chat, t.Context(), ada, repeatable("k", "another"))
		wantKind(t, err, domain.Invalid)
		if _, _, err := ask(b.chat, t.Context(), bob, repeatable("k", "another")); err != nil { // keys of others are other keys
			t.Error(err)
		}
	})
}

func TestRepeatedWhileTheFirstIsRunning(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		for _, elsewhere := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				b, replica := newKept(t, live("one"))
				other := b.chat
				if elsewhere {
					other = replica()
				}
				answers := make(chan app.ChatResult, 2)
				for _, chat := range []*app.Chat{b.chat, other} {
					go func() {
						_, result, err := ask(chat, t.Context(), ada, repeatable("k", "f"))
						if err != nil {
							t.Error(err)
						}
						answers <- result
					}()
					synctest.Wait()
				}
				time.Sleep(time.Minute) // longer than a lease: the run has to show that it lives
				close(b.provider.live)
				if x, y := <-answers, <-answers; x.Content != "one" || y.Content != "one" {
					t.Errorf("got %+v and %+v", x, y)
				}
				if n := b.provider.calls(); n != 1 {
					t.Errorf("the provider was asked %d times", n)
				}
			})
		}
	})
}

// TestStreamIsTakenUpAgain: with a key the answer goes on when the client leaves, and the same request finds all of it.
func TestStreamIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := newKept(t, live("one"))
		s := stream(t.Context(), t, b, repeatable("k", "f"))
		wantContent(t, s, "one")
		s.Close()
		b.provider.live <- step{delta: domain.Delta{Content: "two"}}
		again := stream(t.Context(), t, b, repeatable("k", "f"))
		if again.Info.MessageID == "" || again.Info.MessageID != s.Info.MessageID {
			t.Errorf("got %+v, want %+v", again.Info, s.Info)
		}
		wantContent(t, again, "one")
		wantContent(t, again, "two")
		b.provider.live <- step{delta: domain.Delta{Content: "three"}}
		wantContent(t, again, "three")
		close(b.provider.live)
		if st := <-again.Steps(); st.Result == nil || st.Result.Content != "onetwothree" {
			t.Errorf("got %+v", st)
		}
		again.Close()
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:onetwothree"})
	})
}

func TestAnswerWithoutAListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := newKept(t, live("one"))
		s := stream(t.Context(), t, b, repeatable("k", "f"))
		wantContent(t, s, "one")
		s.Close()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if b.provider.closed.Load() != 0 {
			t.Fatal("given up within the minute")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if b.provider.closed.Load() == 0 {
			t.Fatal("goes on although nobody listens")
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:one"})
		wantWords(t, "ledger", b.rows(), []string{"openai canceled partial "})
		again := stream(t.Context(), t, b, repeatable("k", "f"))
		wantContent(t, again, "one")
		if st := <-again.Steps(); st.Err == nil {
			t.Errorf("got %+v, want the end of what there is", st)
		}
		if n := b.provider.calls(); n != 1 {
			t.Errorf("the provider was asked %d times", n)
		}
	})
}

func TestFailureFreesTheKey(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b, _ := newKept(t, &provider{openErr: errTooLong})
		_, _, err := ask(b.chat, t.Context(), ada, repeatable("k", "f"))
		wantKind(t, err, domain.BadRequest)
		b.provider.mu.Lock()
		b.provider.openErr = nil
		b.provider.steps = says("now").steps
		b.provider.mu.Unlock()
		if _, result, err := ask(b.chat, t.Context(), ada, repeatable("k", "f")); err != nil || result.Content != "now" {
			t.Errorf("got %+v, %v", result, err)
		}
	})
}

func TestDeadRunIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := newKept(t, says("one"))
		now := time.Now()
		dead := domain.Claim{Owner: "ada", Key: "k", Fingerprint: "f", RunID: unknownID, At: now, LeaseUntil: now.Add(15 * time.Second)}
		if result, err := b.turns.answers.Claim(t.Context(), dead); err != nil || !result.Won {
			t.Fatal(result, err)
		}
		_, result, err := b.chat.Complete(t.Context(), ada, repeatable("k", "f"))
		if took := time.Since(now); err != nil || result.Content != "one" || took < 15*time.Second || took > 16*time.Second {
			t.Errorf("got %+v, %v after %v", result, err, took)
		}
	})
}

// TestRunThatLostItsClaim: a process that slept too long must not answer twice, but what it used is paid for.
func TestRunThatLostItsClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := newKept(t, live("one"))
		failed := make(chan error, 1)
		go func() {
			_, _, err := b.chat.Complete(t.Context(), ada, repeatable("k", "f"))
			failed <- err
		}()
		synctest.Wait()
		later := time.Now().Add(time.Hour)
		thief := domain.Claim{Owner: "ada", Key: "k", Fingerprint: "f", RunID: unknownID, At: later, LeaseUntil: later.Add(time.Hour)}
		if result, err := b.turns.answers.Claim(t.Context(), thief); err != nil || !result.Won {
			t.Fatal(result, err)
		}
		close(b.provider.live)
		wantKind(t, <-failed, domain.Conflict)
		wantWords(t, "history", b.history(t, ada, ""), []string{})
		wantWords(t, "ledger", b.rows(), []string{"openai completed estimated "})
	})
}

func TestCloseWaitsForRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, replica := newKept(t, live("one"))
		s := stream(t.Context(), t, b, repeatable("k", "f"))
		wantContent(t, s, "one")
		s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		b.chat.Close(ctx)
		if ctx.Err() == nil {
			t.Error("did not wait")
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:one"})
		_, err := b.chat.Stream(t.Context(), ada, repeatable("new", "f"))
		wantKind(t, err, domain.Unavailable)
		_ = replica
	})
}

// TestAnswerOfAProcessThatStopped: what there was is saved, but it is not what the key stands for. The same request gets an answer of its
// own, and the numbers of its events tell that they are not the rest of the first.
func TestAnswerOfAProcessThatStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, replica := newKept(t, live("one"))
		s := stream(t.Context(), t, b, repeatable("k", "f"))
		wantContent(t, s, "one")
		if s.Info.EventBase != 0 {
			t.Errorf("events begin after %d", s.Info.EventBase)
		}
		s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.chat.Close(ctx)
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:one"})
		close(b.provider.live)
		again := repeatable("k", "f")
		again.Repeat.After = 3
		other := replica()
		for range 2 { // begun anew, and then from the store
			info, result, err := streamed(other, t.Context(), ada, again)
			if err != nil || result.Content != "one" || info.MessageID == s.Info.MessageID || info.EventBase <= 3 {
				t.Errorf("got %+v, %+v, %v", info, result, err)
			}
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:one", "user:hi", "assistant:one"})
		if n := b.provider.calls(); n != 2 {
			t.Errorf("the provider was asked %d times", n)
		}
	})
}

// panickingAnswers is a store that panics: it has no store behind it.
type panickingAnswers struct{ ports.AnswerStore }

func TestPanicOfARunIsAnError(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b := newChat(t, says("one"))
		deps := b.chat.ChatDeps
		deps.Answers = panickingAnswers{}
		chat := app.NewChat(deps)
		_, _, err := ask(chat, t.Context(), ada, repeatable("k", "f"))
		wantKind(t, err, domain.Internal)
	})
}

// TestInterruptedAnswerInOnePieceFreesTheKey: nobody has seen any of it.
func TestInterruptedAnswerInOnePieceFreesTheKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, replica := newKept(t, live("one"))
		failed := make(chan error, 1)
		go func() {
			_, _, err := b.chat.Complete(t.Context(), ada, repeatable("k", "f"))
			failed <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.chat.Close(ctx)
		wantKind(t, <-failed, domain.Unavailable)
		close(b.provider.live)
		if _, result, err := replica().Complete(t.Context(), ada, repeatable("k", "f")); err != nil || result.Content != "one" {
			t.Errorf("got %+v, %v", result, err)
		}
	})
}

// Whoever sends requests with a key and hangs up must not have more answers on their way than whoever waits for them.
func TestAnswersWithoutAListenerCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := newKept(t, live("one"))
		slots := app.NewSlots(1)
		b.chat.Slots = slots
		free := func() bool {
			synctest.Wait()
			if slots.Take("anybody") != nil {
				return false
			}
			slots.Release("anybody")
			return true
		}
		s := stream(t.Context(), t, b, repeatable("k", "f"))
		wantContent(t, s, "one")
		if !free() {
			t.Error("a run with a listener takes a slot beside that of its request")
		}
		s.Close()
		if free() {
			t.Error("a run without a listener takes no slot")
		}
		again := stream(t.Context(), t, b, repeatable("k", "f"))
		if !free() {
			t.Error("the slot stays taken when somebody listens again")
		}
		again.Close()
		if free() {
			t.Error("without a listener for the second time it takes no slot")
		}
		close(b.provider.live)
		if !free() {
			t.Error("the slot stays taken when the answer is complete")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b, _ := newKept(t, live("one"))
		slots := app.NewSlots(1)
		b.chat.Slots = slots
		s := stream(t.Context(), t, b, repeatable("k", "f"))
		wantContent(t, s, "one")
		s.Close()
		time.Sleep(2 * time.Minute) // given up by then
		synctest.Wait()
		if err := slots.Take("anybody"); err != nil {
			t.Errorf("the slot stays taken when the answer is given up: %v", err)
		}
	})
}
