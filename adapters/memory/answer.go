package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.AnswerStore = (*AnswerStore)(nil)

// AnswerStore keeps answers of requests with an Idempotency-Key, and who is working on one. The zero value is empty and ready.
type AnswerStore struct {
	failures

	mu     sync.Mutex
	claims map[ownerKey]*claim
}

type ownerKey struct{ owner, key string }

type claim struct {
	fingerprint, run string
	lease, made      time.Time
	answer           []byte // nil while the run goes on
}

func (c *claim) result(at time.Time) domain.ClaimResult {
	switch {
	case c.answer != nil:
		return domain.ClaimResult{Answer: slices.Clone(c.answer)}
	case c.lease.After(asStored(at)):
		return domain.ClaimResult{Running: c.run}
	default:
		return domain.ClaimResult{}
	}
}

// Claim implements ports.AnswerStore.
func (s *AnswerStore) Claim(ctx context.Context, c domain.Claim) (domain.ClaimResult, error) {
	if err := s.enter(ctx, "Claim"); err != nil {
		return domain.ClaimResult{}, err
	}
	run, ok := domain.ParseID(c.RunID)
	if !ok {
		return domain.ClaimResult{}, fmt.Errorf("memory claim: %q is no id", c.RunID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.claims[ownerKey{c.Owner, c.Key}]; held != nil {
		if held.fingerprint != c.Fingerprint {
			return domain.ClaimResult{}, domain.KeyReused()
		}
		if result := held.result(c.At); result.Answer != nil || result.Running != "" {
			return result, nil
		}
	}
	if s.claims == nil {
		s.claims = map[ownerKey]*claim{}
	}
	s.claims[ownerKey{c.Owner, c.Key}] = &claim{
		fingerprint: c.Fingerprint, run: run, lease: asStored(c.LeaseUntil), made: asStored(c.At),
	}
	return domain.ClaimResult{Won: true}, nil
}

// Look implements ports.AnswerStore.
func (s *AnswerStore) Look(ctx context.Context, owner, key string, at time.Time) (domain.ClaimResult, error) {
	if err := s.enter(ctx, "Look"); err != nil {
		return domain.ClaimResult{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.claims[ownerKey{owner, key}]; held != nil {
		return held.result(at), nil
	}
	return domain.ClaimResult{}, nil
}

// Renew implements ports.AnswerStore.
func (s *AnswerStore) Renew(ctx context.Context, owner, key, runID string, until time.Time) error {
	if err := s.enter(ctx, "Renew"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	held, err := s.held(owner, key, runID)
	if err != nil {
		return err
	}
	held.lease = asStored(until)
	return nil
}

// Abandon implements ports.AnswerStore.
func (s *AnswerStore) Abandon(ctx context.Context, owner, key, runID string) error {
	if err := s.enter(ctx, "Abandon"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, err := s.held(owner, key, runID); err == nil && held.answer == nil {
		delete(s.claims, ownerKey{owner, key})
	}
	return nil
}

// Expire implements ports.AnswerStore.
func (s *AnswerStore) Expire(ctx context.Context, before time.Time) (int, error) {
	if err := s.enter(ctx, "Expire"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	forgotten := 0
	for key, c := range s.claims {
		if c.made.Before(asStored(before)) {
			delete(s.claims, key)
			forgotten++
		}
	}
	return forgotten, nil
}

// Keep does what ConversationStore.CommitTurn of a database does with a turn's kept answer.
func (s *AnswerStore) Keep(owner string, k domain.KeptAnswer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, err := s.held(owner, k.Key, k.RunID)
	if err != nil {
		return err
	}
	if held.answer != nil {
		return domain.ClaimLost()
	}
	held.answer = append([]byte{}, k.Data...)
	return nil
}

// held finds the claim of a run.
func (s *AnswerStore) held(owner, key, runID string) (*claim, error) {
	run, _ := domain.ParseID(runID)
	c := s.claims[ownerKey{owner, key}]
	if c == nil || c.run != run {
		return nil, domain.ClaimLost()
	}
	return c, nil
}
