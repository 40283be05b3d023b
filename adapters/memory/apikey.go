package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.APIKeyStore = (*APIKeyStore)(nil)

// APIKeyStore keeps API keys. The zero value is empty and ready.
type APIKeyStore struct {
	failures
	Audit *AuditLog // where audit entries go; nil forgets them. It must not change once the store is in use

	mu   sync.Mutex
	keys []*storedKey
}

type storedKey struct {
	domain.APIKey
	hash     string
	replaced bool
	revoked  time.Time // zero while it is active
}

func (k *storedKey) show() domain.APIKey {
	shown := k.APIKey
	shown.Scopes, shown.Tools = slices.Clone(shown.Scopes), slices.Clone(shown.Tools)
	return shown
}

// ByHash implements ports.APIKeyStore.
func (s *APIKeyStore) ByHash(ctx context.Context, hash string) (domain.APIKey, error) {
	if err := s.enter(ctx, "ByHash"); err != nil {
		return domain.APIKey{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.hash == hash {
			return k.show(), nil
		}
	}
	return domain.APIKey{}, errNoKey()
}

// Get implements ports.APIKeyStore.
func (s *APIKeyStore) Get(ctx context.Context, owner, id string) (domain.APIKey, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return domain.APIKey{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.find(owner, id)
	if err != nil {
		return domain.APIKey{}, err
	}
	return k.show(), nil
}

// List implements ports.APIKeyStore.
func (s *APIKeyStore) List(ctx context.Context, owner string, limit, offset int) ([]domain.APIKey, int, error) {
	if err := s.enter(ctx, "List"); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []domain.APIKey{}
	for _, k := range s.keys {
		if owner == "" || k.Owner == owner {
			list = append(list, k.show())
		}
	}
	slices.SortFunc(list, func(a, b domain.APIKey) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return page(list, limit, offset), len(list), nil
}

// Create implements ports.APIKeyStore.
func (s *APIKeyStore) Create(ctx context.Context, key domain.APIKey, hash string, entry domain.AuditEntry) error {
	if err := s.enter(ctx, "Create"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.room(key, hash)
	if err != nil {
		return err
	}
	return s.commit(ctx, func() { s.keys = append(s.keys, k) }, entry)
}

// Revoke implements ports.APIKeyStore.
func (s *APIKeyStore) Revoke(ctx context.Context, owner, id string, entry domain.AuditEntry) (domain.APIKey, string, error) {
	if err := s.enter(ctx, "Revoke"); err != nil {
		return domain.APIKey{}, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.find(owner, id)
	if err == nil && !k.Active {
		err = errNoKey()
	}
	if err == nil {
		err = s.commit(ctx, func() { k.Active, k.revoked = false, asStored(entry.At) }, entry)
	}
	if err != nil {
		return domain.APIKey{}, "", err
	}
	return k.show(), k.hash, nil
}

// Rotate implements ports.APIKeyStore.
func (s *APIKeyStore) Rotate(
	ctx context.Context, owner, id string, oldExpires, now time.Time, next domain.APIKey, nextHash string, entries ...domain.AuditEntry,
) (domain.APIKey, string, error) {
	if err := s.enter(ctx, "Rotate"); err != nil {
		return domain.APIKey{}, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.find(owner, id)
	if err != nil {
		return domain.APIKey{}, "", err
	}
	if !old.UsableAt(now) || old.replaced {
		return domain.APIKey{}, "", domain.NewError(domain.Conflict, "This API key is not active any more, or has been replaced already")
	}
	k, err := s.room(next, nextHash)
	if err != nil {
		return domain.APIKey{}, "", err
	}
	err = s.commit(ctx, func() {
		s.keys = append(s.keys, k)
		old.replaced = true
		if old.ExpiresAt.IsZero() || oldExpires.Before(old.ExpiresAt) {
			old.ExpiresAt = asStored(oldExpires)
		}
	}, entries...)
	if err != nil {
		return domain.APIKey{}, "", err
	}
	return old.show(), old.hash, nil
}

// Touch implements ports.APIKeyStore.
func (s *APIKeyStore) Touch(ctx context.Context, used map[string]time.Time) error {
	if err := s.enter(ctx, "Touch"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if at := asStored(used[k.ID]); at.After(k.LastUsedAt) {
			k.LastUsedAt = at
		}
	}
	return nil
}

// Expire implements ports.APIKeyStore.
func (s *APIKeyStore) Expire(ctx context.Context, before time.Time) (int, error) {
	if err := s.enter(ctx, "Expire"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := len(s.keys)
	s.keys = slices.DeleteFunc(s.keys, func(k *storedKey) bool {
		return !k.ExpiresAt.IsZero() && k.ExpiresAt.Before(before) || !k.Active && k.revoked.Before(before)
	})
	return all - len(s.keys), nil
}

// find needs the lock.
func (s *APIKeyStore) find(owner, id string) (*storedKey, error) {
	key, ok := domain.ParseID(id)
	i := slices.IndexFunc(s.keys, func(k *storedKey) bool { return k.ID == key && (owner == "" || k.Owner == owner) })
	if !ok || i < 0 {
		return nil, errNoKey()
	}
	return s.keys[i], nil
}

// room returns a key as it can be stored. It needs the lock.
func (s *APIKeyStore) room(k domain.APIKey, hash string) (*storedKey, error) {
	id, ok := domain.ParseID(k.ID)
	if !ok {
		return nil, fmt.Errorf("memory: key: %q is no id", k.ID)
	}
	if slices.ContainsFunc(s.keys, func(other *storedKey) bool { return other.ID == id || other.hash == hash }) {
		return nil, errIDTaken()
	}
	k.ID, k.Scopes, k.Tools = id, append([]string(nil), k.Scopes...), slices.Clone(k.Tools)
	for _, at := range []*time.Time{&k.CreatedAt, &k.ExpiresAt, &k.LastUsedAt} {
		if !at.IsZero() {
			*at = asStored(*at)
		}
	}
	return &storedKey{APIKey: k, hash: hash}, nil
}

// commit makes a change and stores the entries about it, or does neither.
func (s *APIKeyStore) commit(ctx context.Context, change func(), entries ...domain.AuditEntry) error {
	tidy, events, err := auditToStore(entries)
	if err != nil {
		return err
	}
	change()
	if s.Audit != nil {
		s.Audit.add(ctx, tidy, events)
	}
	return nil
}

func errNoKey() error { return domain.NewError(domain.NotFound, "API key not found") }
