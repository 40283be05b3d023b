package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.APIKeyStore = (*APIKeyStore)(nil)

// APIKeyStore keeps API keys, those of the old platform among them.
type APIKeyStore struct{ db *Store }

// APIKeys returns the store of API keys.
func (s *Store) APIKeys() *APIKeyStore { return &APIKeyStore{db: s} }

// ByHash implements ports.APIKeyStore.
func (s *APIKeyStore) ByHash(ctx context.Context, hash string) (domain.APIKey, error) {
	var row sqlcgen.GetKeyByHashRow
	err := s.db.read(ctx, "find key", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if row, err = q.GetKeyByHash(ctx, hash); noRow(err) {
			err = errNoKey(err)
		}
		return err
	})
	if err != nil {
		return domain.APIKey{}, err
	}
	return apiKeyFromRow(sqlcgen.GetKeyRow(row)), nil
}

// Get implements ports.APIKeyStore.
func (s *APIKeyStore) Get(ctx context.Context, owner, id string) (domain.APIKey, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.APIKey{}, errNoKey(err)
	}
	var row sqlcgen.GetKeyRow
	err = s.db.read(ctx, "get key", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if row, err = q.GetKey(ctx, sqlcgen.GetKeyParams{ID: key, Owner: owner}); noRow(err) {
			err = errNoKey(err)
		}
		return err
	})
	if err != nil {
		return domain.APIKey{}, err
	}
	return apiKeyFromRow(row), nil
}

// List implements ports.APIKeyStore.
func (s *APIKeyStore) List(ctx context.Context, owner string, limit, offset int) ([]domain.APIKey, int, error) {
	var (
		list  []domain.APIKey
		total int64
	)
	err := s.db.read(ctx, "list keys", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if list, err = listKeys(ctx, q, owner, limit, offset); err != nil {
			return err
		}
		if owner == "" {
			total, err = q.CountAllKeys(ctx)
		} else {
			total, err = q.CountKeys(ctx, owner)
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return list, int(total), nil
}

func listKeys(ctx context.Context, q *sqlcgen.Queries, owner string, limit, offset int) ([]domain.APIKey, error) {
	list := []domain.APIKey{}
	if owner == "" {
		rows, err := q.ListAllKeys(ctx, sqlcgen.ListAllKeysParams{MaxKeys: atMost(limit), Skip: atMost(offset)})
		for _, row := range rows {
			list = append(list, apiKeyFromRow(sqlcgen.GetKeyRow(row)))
		}
		return list, err
	}
	rows, err := q.ListKeys(ctx, sqlcgen.ListKeysParams{Owner: owner, MaxKeys: atMost(limit), Skip: atMost(offset)})
	for _, row := range rows {
		list = append(list, apiKeyFromRow(sqlcgen.GetKeyRow(row)))
	}
	return list, err
}

// Create implements ports.APIKeyStore.
func (s *APIKeyStore) Create(ctx context.Context, key domain.APIKey, hash string, entry domain.AuditEntry) error {
	row, err := apiKeyToRow(key, hash)
	if err != nil {
		return fmt.Errorf("postgres create key: %w", err)
	}
	return s.db.write(ctx, "create key", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.InsertKey(ctx, row); err != nil {
			return err
		}
		return recordAudit(ctx, q, entry)
	})
}

// Revoke implements ports.APIKeyStore.
func (s *APIKeyStore) Revoke(ctx context.Context, owner, id string, entry domain.AuditEntry) (domain.APIKey, string, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.APIKey{}, "", errNoKey(err)
	}
	var row sqlcgen.LockKeyRow
	err = s.db.write(ctx, "revoke key", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if row, err = lockKey(ctx, q, owner, key); err != nil {
			return err
		}
		if !row.IsActive {
			return errNoKey(nil)
		}
		if err := q.RevokeKey(ctx, sqlcgen.RevokeKeyParams{ID: key, At: asStored(entry.At)}); err != nil {
			return err
		}
		return recordAudit(ctx, q, entry)
	})
	if err != nil {
		return domain.APIKey{}, "", err
	}
	row.IsActive = false
	return apiKeyFromLocked(row), row.KeyHash, nil
}

// Rotate implements ports.APIKeyStore.
func (s *APIKeyStore) Rotate(
	ctx context.Context, owner, id string, oldExpires, now time.Time, next domain.APIKey, nextHash string, entries ...domain.AuditEntry,
) (old domain.APIKey, oldHash string, err error) {
	key, err := parseID(id)
	if err != nil {
		return domain.APIKey{}, "", errNoKey(err)
	}
	nextRow, err := apiKeyToRow(next, nextHash)
	if err != nil {
		return domain.APIKey{}, "", fmt.Errorf("postgres rotate key: %w", err)
	}
	err = s.db.write(ctx, "rotate key", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := lockKey(ctx, q, owner, key)
		if err != nil {
			return err
		}
		old, oldHash = apiKeyFromLocked(row), row.KeyHash
		if !old.UsableAt(now) || row.RevokedAt != nil {
			return errKeyUsedUp()
		}
		if old.ExpiresAt.IsZero() || oldExpires.Before(old.ExpiresAt) {
			old.ExpiresAt = asStored(oldExpires)
		}
		if err := q.ReplaceKey(ctx, sqlcgen.ReplaceKeyParams{ID: key, ExpiresAt: old.ExpiresAt}); err != nil {
			return err
		}
		if err := q.InsertKey(ctx, nextRow); err != nil {
			return err
		}
		return recordAudit(ctx, q, entries...)
	})
	if err != nil {
		return domain.APIKey{}, "", err
	}
	return old, oldHash, nil
}

func lockKey(ctx context.Context, q *sqlcgen.Queries, owner string, id uuid.UUID) (sqlcgen.LockKeyRow, error) {
	row, err := q.LockKey(ctx, sqlcgen.LockKeyParams{ID: id, Owner: owner})
	if noRow(err) {
		err = errNoKey(err)
	}
	return row, err
}

// Touch implements ports.APIKeyStore.
func (s *APIKeyStore) Touch(ctx context.Context, used map[string]time.Time) error {
	var keys sqlcgen.TouchKeysParams
	for id, at := range used {
		if key, err := parseID(id); err == nil {
			keys.Ids, keys.Times = append(keys.Ids, key), append(keys.Times, asStored(at))
		}
	}
	if len(keys.Ids) == 0 {
		return ctx.Err()
	}
	return s.db.once(ctx, "touch keys", func(ctx context.Context, q *sqlcgen.Queries) error { return q.TouchKeys(ctx, keys) })
}

// Expire implements ports.APIKeyStore.
func (s *APIKeyStore) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	kept := max(0, time.Since(before)).Microseconds()
	for {
		var rows int64
		err := s.db.once(ctx, "expire keys", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			rows, err = q.ExpireKeys(ctx, sqlcgen.ExpireKeysParams{Before: asStored(before), Kept: kept, MaxKeys: expireBatch})
			return err
		})
		if err != nil {
			return total, err
		}
		total += int(rows)
		if rows < expireBatch {
			return total, nil
		}
	}
}

func apiKeyToRow(k domain.APIKey, hash string) (sqlcgen.InsertKeyParams, error) {
	id, err := parseID(k.ID)
	if err != nil {
		return sqlcgen.InsertKeyParams{}, err
	}
	permissions := json.RawMessage("[]")
	if len(k.Scopes) > 0 {
		if permissions, err = json.Marshal(k.Scopes); err != nil {
			return sqlcgen.InsertKeyParams{}, err
		}
	}
	return sqlcgen.InsertKeyParams{
		ID: id, Owner: &k.Owner, Subject: orNull(k.Subject), KeyHash: hash, Name: &k.Name, Prefix: k.Prefix, Permissions: permissions,
		Tools: k.StoredTools(), IsActive: &k.Active, ExpiresAt: timeOrNull(k.ExpiresAt), LastUsedAt: timeOrNull(k.LastUsedAt), CreatedAt: timeOrNull(k.CreatedAt),
	}, nil
}

func apiKeyFromRow(r sqlcgen.GetKeyRow) domain.APIKey {
	return domain.APIKey{
		ID: r.ID.String(), Owner: r.Owner, Subject: r.Subject, Name: orEmpty(r.Name), Prefix: r.Prefix,
		Scopes: domain.ScopesFromPermissions(r.Permissions), Tools: domain.ToolsFromStored(r.Tools), Active: r.IsActive,
		CreatedAt: timeOrZero(r.CreatedAt), ExpiresAt: timeOrZero(r.ExpiresAt), LastUsedAt: timeOrZero(r.LastUsedAt),
	}
}

func apiKeyFromLocked(r sqlcgen.LockKeyRow) domain.APIKey {
	return apiKeyFromRow(sqlcgen.GetKeyRow{
		ID: r.ID, Owner: r.Owner, Subject: r.Subject, Name: r.Name, Prefix: r.Prefix, Permissions: r.Permissions, Tools: r.Tools, IsActive: r.IsActive,
		ExpiresAt: r.ExpiresAt, LastUsedAt: r.LastUsedAt, CreatedAt: r.CreatedAt,
	})
}

func errNoKey(cause error) error {
	return &domain.Error{Kind: domain.NotFound, Message: "API key not found", Cause: cause}
}

func errKeyUsedUp() error {
	return domain.NewError(domain.Conflict, "This API key is not active any more, or has been replaced already")
}
