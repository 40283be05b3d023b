package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.SessionStore = (*SessionStore)(nil)

// SessionStore keeps sessions of the accounts of another store.
type SessionStore struct {
	failures

	accounts *AccountStore
	mu       sync.Mutex
	sessions map[string]*session
}

type session struct {
	stored domain.StoredSession
	tokens map[string]*refreshToken // by hash
}

type refreshToken struct {
	parent string
	used   time.Time
}

// NewSessionStore makes an empty store.
func NewSessionStore(accounts *AccountStore) *SessionStore {
	return &SessionStore{accounts: accounts, sessions: map[string]*session{}}
}

// Open implements ports.SessionStore.
func (s *SessionStore) Open(ctx context.Context, stored domain.StoredSession, tokenHash string, keep int) error {
	if err := s.enter(ctx, "Open"); err != nil {
		return err
	}
	id, ok := domain.ParseID(stored.ID)
	account, known := domain.ParseID(stored.AccountID)
	if !ok || !known {
		return fmt.Errorf("memory open session: %q or %q is no id", stored.ID, stored.AccountID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[id] != nil || s.ofToken(tokenHash) != nil {
		return domain.NewError(domain.Conflict, "This id exists already")
	}
	if err := s.accounts.noteSignIn(account, stored.CreatedAt); err != nil {
		return err
	}
	stored.ID, stored.AccountID = id, account
	stored.CreatedAt, stored.EndsAt = asStored(stored.CreatedAt), asStored(stored.EndsAt)
	s.sessions[id] = &session{stored, map[string]*refreshToken{tokenHash: {}}}
	s.endBeyond(account, id, keep-1)
	return nil
}

// endBeyond ends those of an account's sessions, but for one, that would end first.
func (s *SessionStore) endBeyond(account, except string, keep int) {
	var others []domain.StoredSession
	for id, other := range s.sessions {
		if id != except && other.stored.AccountID == account {
			others = append(others, other.stored)
		}
	}
	slices.SortFunc(others, func(a, b domain.StoredSession) int {
		return cmp.Or(b.EndsAt.Compare(a.EndsAt), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	for i, other := range others {
		if i >= keep {
			delete(s.sessions, other.ID)
		}
	}
}

// Get implements ports.SessionStore.
func (s *SessionStore) Get(ctx context.Context, id string, now time.Time) (domain.StoredSession, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return domain.StoredSession{}, err
	}
	key, _ := domain.ParseID(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.sessions[key]; found != nil && !found.stored.Ended(asStored(now)) {
		return found.stored, nil
	}
	return domain.StoredSession{}, errNotFound()
}

// Renew implements ports.SessionStore.
func (s *SessionStore) Renew(ctx context.Context, r domain.Renewal) (domain.StoredSession, domain.RenewalResult, error) {
	if err := s.enter(ctx, "Renew"); err != nil {
		return domain.StoredSession{}, 0, err
	}
	r.At, r.EndsAt = asStored(r.At), asStored(r.EndsAt)
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.ofToken(r.TokenHash)
	if found == nil || found.stored.Ended(r.At) {
		return domain.StoredSession{}, 0, errNotFound()
	}
	seen := found.look(r.TokenHash)
	result, store := r.Judge(seen)
	if store {
		if err := found.passOn(r, seen); err != nil {
			return domain.StoredSession{}, 0, err
		}
	}
	switch result {
	case domain.RenewalReused:
		delete(s.sessions, found.stored.ID)
	case domain.RenewalDone:
		found.stored.EndsAt = r.EndsAt
	}
	return found.stored, result, nil
}

// look finds a token and what was made from it.
func (s *session) look(hash string) domain.StoredToken {
	seen := domain.StoredToken{UsedAt: s.tokens[hash].used}
	for nextHash, next := range s.tokens {
		if next.parent == hash {
			seen.NextHash, seen.NextUsedAt = nextHash, next.used
		}
	}
	return seen
}

// passOn keeps the next token.
func (s *session) passOn(r domain.Renewal, seen domain.StoredToken) error {
	if len(s.tokens) >= r.MaxTokens {
		maps.DeleteFunc(s.tokens, func(_ string, token *refreshToken) bool {
			return !token.used.IsZero() && token.used.Before(asStored(r.OldestToken()))
		})
	}
	if len(s.tokens) >= r.MaxTokens {
		return domain.RenewedTooOften()
	}
	delete(s.tokens, seen.NextHash)
	if token := s.tokens[r.TokenHash]; token != nil && token.used.IsZero() {
		token.used = r.At
	}
	s.tokens[r.NextHash] = &refreshToken{parent: r.TokenHash}
	return nil
}

func (s *SessionStore) ofToken(hash string) *session {
	for _, found := range s.sessions {
		if found.tokens[hash] != nil {
			return found
		}
	}
	return nil
}

// End implements ports.SessionStore.
func (s *SessionStore) End(ctx context.Context, id string) error {
	if err := s.enter(ctx, "End"); err != nil {
		return err
	}
	key, _ := domain.ParseID(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, key)
	return nil
}

// EndAll implements ports.SessionStore.
func (s *SessionStore) EndAll(ctx context.Context, accountID string) error {
	if err := s.enter(ctx, "EndAll"); err != nil {
		return err
	}
	key, _ := domain.ParseID(accountID)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, found := range s.sessions {
		if found.stored.AccountID == key {
			delete(s.sessions, id)
		}
	}
	return nil
}

// Expire implements ports.SessionStore.
func (s *SessionStore) Expire(ctx context.Context, before time.Time) (int, error) {
	if err := s.enter(ctx, "Expire"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := 0
	for id, found := range s.sessions {
		if found.stored.EndsAt.Before(asStored(before)) {
			delete(s.sessions, id)
			ended++
		}
	}
	return ended, nil
}
