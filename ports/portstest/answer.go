package portstest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// AnswerSetup is one database as two processes see it.
type AnswerSetup struct {
	A, B ports.AnswerStore
	// Commit is CommitTurn of the same database.
	Commit func(context.Context, domain.Turn) error
}

// AnswerStore checks everything that ports.AnswerStore demands of a database that is there. empty runs once for each test.
func AnswerStore(t *testing.T, empty func(*testing.T) AnswerSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, AnswerSetup){
		"one of many racing claims wins":                    claimRace,
		"one of many racing claims takes over":              claimTakeOverRace,
		"a key that goes on says who has it":                claimRunning,
		"an answer comes back byte for byte":                claimAnswered,
		"the key with another fingerprint is Invalid":       claimFingerprint,
		"a lease ends by the time of the caller":            claimLease,
		"Look claims nothing":                               claimLook,
		"Renew moves the end of the lease":                  claimRenew,
		"Renew of a lost claim is Conflict":                 claimRenewLost,
		"an answer of a lost claim is Conflict":             claimAnswerLost,
		"Abandon frees the key":                             claimAbandon,
		"Abandon of a lost or answered claim does nothing":  claimAbandonLost,
		"Expire forgets what is older, answered or not":     claimExpire,
		"Expire forgets more than one batch":                claimExpireMany,
		"keys are each owner's own, letter by letter":       claimOwners,
		"keys are saved as they are or refused":             claimOddKeys,
		"a caller who left is told so and claims nothing":   claimCanceled,
		"a claim that comes and goes is always won by some": claimChurn,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

var claimTime = time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC) // far from the clock of any database

func aClaim() domain.Claim {
	return domain.Claim{Owner: "owner", Key: "key", Fingerprint: "f1", RunID: newID(), At: claimTime, LeaseUntil: claimTime.Add(time.Minute)}
}

func takeClaim(t *testing.T, s ports.AnswerStore, c domain.Claim) domain.ClaimResult {
	t.Helper()
	result, err := s.Claim(t.Context(), c)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return result
}

func winClaim(t *testing.T, s ports.AnswerStore, c domain.Claim) domain.Claim {
	t.Helper()
	wantResult(t, takeClaim(t, s, c), domain.ClaimResult{Won: true})
	return c
}

func wantResult(t *testing.T, got, want domain.ClaimResult) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func wantLook(t *testing.T, s ports.AnswerStore, c domain.Claim, at time.Time, want domain.ClaimResult) {
	t.Helper()
	got, err := s.Look(t.Context(), c.Owner, c.Key, at)
	if err != nil {
		t.Fatalf("Look: %v", err)
	}
	wantResult(t, got, want)
}

func keep(ctx context.Context, s AnswerSetup, c domain.Claim, data string) error {
	return s.Commit(ctx, domain.Turn{
		Owner: c.Owner, At: c.At, Unstored: true, Kept: &domain.KeptAnswer{Key: c.Key, RunID: c.RunID, Data: []byte(data)},
	})
}

func mustKeep(t *testing.T, s AnswerSetup, c domain.Claim, data string) {
	t.Helper()
	if err := keep(t.Context(), s, c, data); err != nil {
		t.Fatalf("CommitTurn: %v", err)
	}
}

// raceClaims lets many claims start at once and returns the run that won and what the others were told.
func raceClaims(t *testing.T, s AnswerSetup, c domain.Claim) (winner string, told []domain.ClaimResult) {
	t.Helper()
	var (
		mu    sync.Mutex
		all   sync.WaitGroup
		start = make(chan struct{})
	)
	for i := range 24 {
		store := []ports.AnswerStore{s.A, s.B}[i%2]
		mine := c
		mine.RunID = newID()
		all.Go(func() {
			<-start
			result, err := store.Claim(t.Context(), mine)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Errorf("Claim: %v", err)
			case !result.Won:
				told = append(told, result)
			case winner != "":
				t.Errorf("both %s and %s won", winner, mine.RunID)
			default:
				winner = mine.RunID
			}
		})
	}
	close(start)
	all.Wait()
	return winner, told
}

func claimRace(t *testing.T, s AnswerSetup) {
	winner, told := raceClaims(t, s, aClaim())
	if winner == "" {
		t.Error("nobody won")
	}
	for _, got := range told {
		wantResult(t, got, domain.ClaimResult{Running: winner})
	}
}

func claimTakeOverRace(t *testing.T, s AnswerSetup) {
	dead := winClaim(t, s.A, aClaim())
	late := aClaim()
	late.At, late.LeaseUntil = dead.LeaseUntil, dead.LeaseUntil.Add(time.Minute)
	winner, told := raceClaims(t, s, late)
	if winner == "" || len(told) != 23 {
		t.Errorf("%q won, %d did not", winner, len(told))
	}
	for _, got := range told {
		wantResult(t, got, domain.ClaimResult{Running: winner})
	}
	wantKind(t, s.A.Renew(t.Context(), dead.Owner, dead.Key, dead.RunID, late.LeaseUntil), domain.Conflict, "Renew of the dead run")
}

func claimRunning(t *testing.T, s AnswerSetup) {
	first := winClaim(t, s.A, aClaim())
	wantResult(t, takeClaim(t, s.B, aClaim()), domain.ClaimResult{Running: first.RunID})
	wantLook(t, s.B, first, claimTime, domain.ClaimResult{Running: first.RunID})
}

func claimAnswered(t *testing.T, s AnswerSetup) {
	answer := `{ "b":1,  "a":[1.50,"\u0000 \\ ' é 世界 🌍"],"b":2 }` + "\n"
	c := winClaim(t, s.A, aClaim())
	mustKeep(t, s, c, answer)
	for _, at := range []time.Time{claimTime, claimTime.Add(time.Hour)} { // also when the lease is over
		late := aClaim()
		late.At, late.LeaseUntil = at, at.Add(time.Minute)
		got := takeClaim(t, s.B, late)
		if got.Won || got.Running != "" || !bytes.Equal(got.Answer, []byte(answer)) {
			t.Errorf("got %+v, want the answer %q", got, answer)
		}
		wantLook(t, s.A, c, at, domain.ClaimResult{Answer: []byte(answer)})
	}
	if err := s.A.Renew(t.Context(), c.Owner, c.Key, c.RunID, claimTime.Add(time.Hour)); err != nil {
		t.Errorf("Renew of a run that has just answered: %v", err)
	}
}

func claimFingerprint(t *testing.T, s AnswerSetup) {
	c := winClaim(t, s.A, aClaim())
	other := aClaim()
	other.Fingerprint = "f2"
	refused := func(when string) {
		t.Helper()
		_, err := s.B.Claim(t.Context(), other)
		wantKind(t, err, domain.Invalid, "Claim %s", when)
		var e *domain.Error
		if errors.As(err, &e); e == nil || len(e.Faults) != 1 || !reflect.DeepEqual(e.Faults[0].Loc, []any{"header", "Idempotency-Key"}) || e.Faults[0].Msg == "" {
			t.Errorf("%s: the fault does not lead to the header: %+v", when, e)
		}
	}
	refused("while the first runs")
	other.At, other.LeaseUntil = c.LeaseUntil.Add(time.Hour), c.LeaseUntil.Add(2*time.Hour)
	refused("when its lease is over")
	other.At = claimTime
	mustKeep(t, s, c, "{}")
	refused("when it is answered")
	wantLook(t, s.A, c, claimTime, domain.ClaimResult{Answer: []byte("{}")})
}

func claimLease(t *testing.T, s AnswerSetup) {
	first := winClaim(t, s.A, aClaim())
	second := aClaim()
	second.At, second.LeaseUntil = first.LeaseUntil.Add(-time.Microsecond), first.LeaseUntil.Add(time.Minute)
	wantResult(t, takeClaim(t, s.B, second), domain.ClaimResult{Running: first.RunID})
	second.At = first.LeaseUntil
	wantLook(t, s.A, first, second.At, domain.ClaimResult{})
	winClaim(t, s.B, second)
	wantLook(t, s.A, first, second.At, domain.ClaimResult{Running: second.RunID})
}

func claimLook(t *testing.T, s AnswerSetup) {
	c := aClaim()
	wantLook(t, s.A, c, claimTime, domain.ClaimResult{})
	winClaim(t, s.B, c)
}

func claimRenew(t *testing.T, s AnswerSetup) {
	c := winClaim(t, s.A, aClaim())
	until := c.LeaseUntil.Add(time.Hour)
	if err := s.B.Renew(t.Context(), c.Owner, c.Key, c.RunID, until); err != nil {
		t.Fatalf("Renew: %v", err)
	}
	late := aClaim()
	late.At, late.LeaseUntil = until.Add(-time.Microsecond), until.Add(time.Minute)
	wantResult(t, takeClaim(t, s.A, late), domain.ClaimResult{Running: c.RunID})
	late.At = until
	winClaim(t, s.A, late)
}

func claimRenewLost(t *testing.T, s AnswerSetup) {
	first := winClaim(t, s.A, aClaim())
	second := aClaim()
	second.At, second.LeaseUntil = first.LeaseUntil, first.LeaseUntil.Add(time.Minute)
	winClaim(t, s.B, second)
	until := second.LeaseUntil.Add(time.Hour)
	wantKind(t, s.A.Renew(t.Context(), first.Owner, first.Key, first.RunID, until), domain.Conflict, "Renew of what was taken over")
	wantKind(t, s.A.Renew(t.Context(), first.Owner, "nobody's", first.RunID, until), domain.Conflict, "Renew of a key that nobody has")
	wantLook(t, s.A, first, second.LeaseUntil, domain.ClaimResult{}) // the other's lease is as it was
}

func claimAnswerLost(t *testing.T, s AnswerSetup) {
	first := winClaim(t, s.A, aClaim())
	second := aClaim()
	second.At, second.LeaseUntil = first.LeaseUntil, first.LeaseUntil.Add(time.Minute)
	winClaim(t, s.B, second)
	wantKind(t, keep(t.Context(), s, first, `"late"`), domain.Conflict, "the answer of a run that was taken over")
	mustKeep(t, s, second, `"in time"`)
	wantLook(t, s.A, first, second.At, domain.ClaimResult{Answer: []byte(`"in time"`)})
}

func claimAbandon(t *testing.T, s AnswerSetup) {
	c := winClaim(t, s.A, aClaim())
	if err := s.A.Abandon(t.Context(), c.Owner, c.Key, c.RunID); err != nil {
		t.Fatalf("Abandon: %v", err)
	}
	wantLook(t, s.B, c, claimTime, domain.ClaimResult{})
	next := aClaim()
	next.Fingerprint = "f2" // the key is as good as new
	winClaim(t, s.B, next)
}

func claimAbandonLost(t *testing.T, s AnswerSetup) {
	c := winClaim(t, s.A, aClaim())
	if err := s.B.Abandon(t.Context(), c.Owner, c.Key, newID()); err != nil {
		t.Errorf("Abandon by another run: %v", err)
	}
	wantLook(t, s.A, c, claimTime, domain.ClaimResult{Running: c.RunID})
	mustKeep(t, s, c, "{}")
	if err := s.A.Abandon(t.Context(), c.Owner, c.Key, c.RunID); err != nil {
		t.Errorf("Abandon of what is answered: %v", err)
	}
	wantLook(t, s.A, c, claimTime, domain.ClaimResult{Answer: []byte("{}")})
}

func claimExpire(t *testing.T, s AnswerSetup) {
	at := func(key string, at time.Time) domain.Claim {
		c := aClaim()
		c.Key, c.At, c.LeaseUntil = key, at, at.Add(time.Minute)
		return winClaim(t, s.A, c)
	}
	before := claimTime.Add(time.Hour)
	answered, dead, young := at("answered", claimTime), at("dead", before.Add(-time.Microsecond)), at("young", before)
	mustKeep(t, s, answered, "{}")
	if n, err := s.B.Expire(t.Context(), before); n != 2 || err != nil {
		t.Errorf("Expire = %d, %v, want 2", n, err)
	}
	wantLook(t, s.A, answered, claimTime, domain.ClaimResult{})
	wantLook(t, s.A, dead, claimTime, domain.ClaimResult{})
	wantLook(t, s.A, young, before, domain.ClaimResult{Running: young.RunID})
}

func claimExpireMany(t *testing.T, s AnswerSetup) {
	const many = 1001
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < many; i += 8 {
				c := aClaim()
				c.Key = newID()
				if result, err := s.A.Claim(t.Context(), c); err != nil || !result.Won {
					t.Errorf("Claim: %+v, %v", result, err)
					return
				}
			}
		})
	}
	all.Wait()
	if n, err := s.A.Expire(t.Context(), claimTime.Add(time.Second)); n != many || err != nil {
		t.Errorf("Expire = %d, %v, want %d", n, err, many)
	}
}

func claimOwners(t *testing.T, s AnswerSetup) {
	for _, owner := range []string{"owner", "Owner", "owner "} {
		for _, key := range []string{"key", "KEY", "key "} {
			c := aClaim()
			c.Owner, c.Key = owner, key
			winClaim(t, s.A, c)
		}
	}
}

func claimOddKeys(t *testing.T, s AnswerSetup) {
	for _, text := range oddTexts {
		if len(text) > 1000 {
			continue // the edge bounds keys
		}
		c := aClaim()
		c.Key, c.Fingerprint = text, text
		result, err := s.A.Claim(t.Context(), c)
		if err != nil {
			wantRefused(t, err, text)
			continue
		}
		wantResult(t, result, domain.ClaimResult{Won: true})
		wantLook(t, s.B, c, claimTime, domain.ClaimResult{Running: c.RunID})
	}
}

func claimCanceled(t *testing.T, s AnswerSetup) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	c := aClaim()
	_, err := s.A.Claim(gone, c)
	wantCanceled(t, "Claim", err)
	_, err = s.A.Look(gone, c.Owner, c.Key, claimTime)
	wantCanceled(t, "Look", err)
	wantCanceled(t, "Renew", s.A.Renew(gone, c.Owner, c.Key, c.RunID, claimTime))
	wantCanceled(t, "Abandon", s.A.Abandon(gone, c.Owner, c.Key, c.RunID))
	_, err = s.A.Expire(gone, claimTime)
	wantCanceled(t, "Expire", err)
	wantLook(t, s.A, c, claimTime, domain.ClaimResult{})
}

func claimChurn(t *testing.T, s AnswerSetup) {
	var (
		mu     sync.Mutex
		holder string
		all    sync.WaitGroup
	)
	for i := range 8 {
		store := []ports.AnswerStore{s.A, s.B}[i%2]
		all.Go(func() {
			for range 10 {
				c := aClaim()
				result, err := store.Claim(t.Context(), c)
				if err != nil {
					t.Errorf("Claim: %v", err)
					return
				}
				if !result.Won {
					if result.Running == "" {
						t.Errorf("neither won nor told who has it: %+v", result)
					}
					continue
				}
				mu.Lock()
				if holder != "" {
					t.Errorf("%s won while %s had the key", c.RunID, holder)
				}
				holder = c.RunID
				mu.Unlock()
				mu.Lock()
				holder = ""
				mu.Unlock()
				if err := store.Abandon(t.Context(), c.Owner, c.Key, c.RunID); err != nil {
					t.Errorf("Abandon: %v", err)
				}
			}
		})
	}
	all.Wait()
}
