package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.AccountStore = (*AccountStore)(nil)

// AccountStore keeps local accounts. The zero value is empty and ready.
type AccountStore struct {
	failures

	mu       sync.Mutex
	accounts map[string]storedAccount
}

// storedAccount holds the metadata as JSON, so that callers share nothing with the store.
type storedAccount struct {
	account  domain.StoredAccount
	metadata []byte
}

// NewAccountStore makes an empty store.
func NewAccountStore() *AccountStore { return &AccountStore{} }

// Create implements ports.AccountStore.
func (s *AccountStore) Create(ctx context.Context, a domain.StoredAccount) error {
	if err := s.enter(ctx, "Create"); err != nil {
		return err
	}
	id, ok := domain.ParseID(a.ID)
	if !ok {
		return fmt.Errorf("memory create account: %q is no id", a.ID)
	}
	if a.UserMetadata == nil {
		a.UserMetadata = map[string]any{}
	}
	metadata, err := json.Marshal(a.UserMetadata)
	if err != nil {
		return fmt.Errorf("memory create account: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for otherID, other := range s.accounts {
		if otherID == id || other.account.Email == a.Email {
			return domain.NewError(domain.Conflict, "This id exists already")
		}
	}
	a.ID, a.UserMetadata = id, nil
	a.CreatedAt, a.UpdatedAt, a.LastSignInAt = asStored(a.CreatedAt), asStored(a.UpdatedAt), asStored(a.LastSignInAt)
	if s.accounts == nil {
		s.accounts = map[string]storedAccount{}
	}
	s.accounts[id] = storedAccount{a, metadata}
	return nil
}

// ByEmail implements ports.AccountStore.
func (s *AccountStore) ByEmail(ctx context.Context, email string) (domain.StoredAccount, error) {
	if err := s.enter(ctx, "ByEmail"); err != nil {
		return domain.StoredAccount{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if a.account.Email == email {
			return a.load()
		}
	}
	return domain.StoredAccount{}, errNotFound()
}

// Get implements ports.AccountStore.
func (s *AccountStore) Get(ctx context.Context, id string) (domain.StoredAccount, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return domain.StoredAccount{}, err
	}
	key, _ := domain.ParseID(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts[key]; ok {
		return a.load()
	}
	return domain.StoredAccount{}, errNotFound()
}

// SetPasswordHash implements ports.AccountStore.
func (s *AccountStore) SetPasswordHash(ctx context.Context, accountID, old, hash string, now time.Time) error {
	if err := s.enter(ctx, "SetPasswordHash"); err != nil {
		return err
	}
	changed := false
	err := s.edit(accountID, func(a *domain.StoredAccount) {
		if changed = a.PasswordHash == old; changed {
			a.PasswordHash, a.UpdatedAt = hash, asStored(now)
		}
	})
	if err != nil || !changed {
		return domain.NewError(domain.Conflict, "The password was changed meanwhile")
	}
	return nil
}

// noteSignIn does what SessionStore.Open of a database does with the account.
func (s *AccountStore) noteSignIn(accountID string, at time.Time) error {
	return s.edit(accountID, func(a *domain.StoredAccount) { a.LastSignInAt, a.UpdatedAt = asStored(at), asStored(at) })
}

func (s *AccountStore) edit(id string, change func(*domain.StoredAccount)) error {
	key, _ := domain.ParseID(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts[key]
	if !ok {
		return errNotFound()
	}
	change(&a.account)
	s.accounts[key] = a
	return nil
}

func (a storedAccount) load() (domain.StoredAccount, error) {
	out := a.account
	err := json.Unmarshal(a.metadata, &out.UserMetadata)
	return out, err
}

func errNotFound() error { return domain.NewError(domain.NotFound, "Not found") }
