package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.APIKeyStore = (*APIKeyStore)(nil)

// APIKeyStore keeps API keys.
type APIKeyStore struct{ db *Store }

// APIKeys returns the store of API keys.
func (s *Store) APIKeys() *APIKeyStore { return &APIKeyStore{db: s} }

// ByHash implements ports.APIKeyStore.
func (s *APIKeyStore) ByHash(ctx context.Context, hash string) (domain.APIKey, error) {
	return s.one(ctx, "find key", func(ctx context.Context, q *sqlcgen.Queries) (sqlcgen.GetKeyRow, error) {
		row, err := q.GetKeyByHash(ctx, hash)
		return sqlcgen.GetKeyRow(row), err
	})
}

// Get implements ports.APIKeyStore.
func (s *APIKeyStore) Get(ctx context.Context, owner, id string) (domain.APIKey, error) {
	key, ok := domain.ParseID(id)
	if !ok {
		return domain.APIKey{}, errNoKey(nil)
	}
	return s.one(ctx, "get key", func(ctx context.Context, q *sqlcgen.Queries) (sqlcgen.GetKeyRow, error) {
		return q.GetKey(ctx, sqlcgen.GetKeyParams{ID: key, Owner: owner})
	})
}

func (s *APIKeyStore) one(
	ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) (sqlcgen.GetKeyRow, error),
) (domain.APIKey, error) {
	var row sqlcgen.GetKeyRow
	err := s.db.readFew(ctx, op, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if row, err = query(ctx, q); errors.Is(err, sql.ErrNoRows) {
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
		if list, err = listKeys(ctx, q, owner, int64(limit), int64(offset)); err != nil {
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

func listKeys(ctx context.Context, q *sqlcgen.Queries, owner string, limit, offset int64) ([]domain.APIKey, error) {
	list := []domain.APIKey{}
	if owner == "" {
		rows, err := q.ListAllKeys(ctx, sqlcgen.ListAllKeysParams{MaxKeys: limit, Skip: offset})
		for _, row := range rows {
			list = append(list, apiKeyFromRow(sqlcgen.GetKeyRow(row)))
		}
		return list, err
	}
	rows, err := q.ListKeys(ctx, sqlcgen.ListKeysParams{Owner: owner, MaxKeys: limit, Skip: offset})
	for _, row := range rows {
		list = append(list, apiKeyFromRow(sqlcgen.GetKeyRow(row)))
	}
	return list, err
}

// Create implements ports.APIKeyStore.
func (s *APIKeyStore) Create(ctx context.Context, key domain.APIKey, hash string, entry domain.AuditEntry) error {
	row, err := apiKeyToRow(key, hash)
	if err != nil {
		return fmt.Errorf("sqlite create key: %w", err)
	}
	return s.db.write(ctx, "create key", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.InsertKey(ctx, row); err != nil {
			return err
		}
		return recordAudit(ctx, q, entry)
	})
}

// Revoke implements ports.APIKeyStore.
func (s *APIKeyStore) Revoke(ctx context.Context, owner, id string, entry domain.AuditEntry) (key domain.APIKey, hash string, err error) {
	err = s.db.write(ctx, "revoke key", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := keyToChange(ctx, q, owner, id)
		if err != nil {
			return err
		}
		if !row.IsActive {
			return errNoKey(nil)
		}
		row.IsActive = false
		key, hash = apiKeyFromChanging(row), row.KeyHash
		if err := q.RevokeKey(ctx, sqlcgen.RevokeKeyParams{ID: row.ID, RevokedAt: new(asStored(entry.At))}); err != nil {
			return err
		}
		return recordAudit(ctx, q, entry)
	})
	if err != nil {
		return domain.APIKey{}, "", err
	}
	return key, hash, nil
}

// Rotate implements ports.APIKeyStore.
func (s *APIKeyStore) Rotate(
	ctx context.Context, owner, id string, oldExpires, now time.Time, next domain.APIKey, nextHash string, entries ...domain.AuditEntry,
) (old domain.APIKey, oldHash string, err error) {
	nextRow, err := apiKeyToRow(next, nextHash)
	if err != nil {
		return domain.APIKey{}, "", fmt.Errorf("sqlite rotate key: %w", err)
	}
	err = s.db.write(ctx, "rotate key", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := keyToChange(ctx, q, owner, id)
		if err != nil {
			return err
		}
		old, oldHash = apiKeyFromChanging(row), row.KeyHash
		if !old.UsableAt(now) || row.RevokedAt != nil {
			return errKeyUsedUp()
		}
		if old.ExpiresAt.IsZero() || oldExpires.Before(old.ExpiresAt) {
			old.ExpiresAt = timeFrom(asStored(oldExpires))
		}
		replaced := sqlcgen.ReplaceKeyParams{ID: row.ID, ExpiresAt: timeOrNull(old.ExpiresAt), UpdatedAt: asStored(now)}
		if err := q.ReplaceKey(ctx, replaced); err != nil {
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

func keyToChange(ctx context.Context, q *sqlcgen.Queries, owner, id string) (sqlcgen.GetKeyToChangeRow, error) {
	key, ok := domain.ParseID(id)
	if !ok {
		return sqlcgen.GetKeyToChangeRow{}, errNoKey(nil)
	}
	row, err := q.GetKeyToChange(ctx, sqlcgen.GetKeyToChangeParams{ID: key, Owner: owner})
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoKey(err)
	}
	return row, err
}

// Touch implements ports.APIKeyStore. Its time grows with the square of the number of keys.
func (s *APIKeyStore) Touch(ctx context.Context, used map[string]time.Time) error {
	times := make(map[string]int64, len(used))
	for id, at := range used {
		if key, ok := domain.ParseID(id); ok {
			times[key] = asStored(at)
		}
	}
	if len(times) == 0 {
		return ctx.Err()
	}
	encoded, err := json.Marshal(times)
	if err != nil {
		return fmt.Errorf("sqlite touch keys: %w", err)
	}
	return s.db.writeTogether(ctx, "touch keys", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.TouchKeys(ctx, string(encoded))
	})
}

// Expire implements ports.APIKeyStore.
func (s *APIKeyStore) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var rows int64
		err := s.db.write(ctx, "expire keys", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			rows, err = q.ExpireKeys(ctx, sqlcgen.ExpireKeysParams{Before: asStored(before), MaxKeys: expireBatch})
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
	id, ok := domain.ParseID(k.ID)
	if !ok {
		return sqlcgen.InsertKeyParams{}, fmt.Errorf("%q is no id", k.ID)
	}
	permissions := "[]"
	if len(k.Scopes) > 0 {
		encoded, err := json.Marshal(k.Scopes)
		if err != nil {
			return sqlcgen.InsertKeyParams{}, err
		}
		permissions = string(encoded)
	}
	return sqlcgen.InsertKeyParams{
		ID: id, Owner: k.Owner, Subject: orNull(k.Subject), KeyHash: hash, Name: &k.Name, Prefix: k.Prefix, Permissions: permissions,
		Tools: orNull(string(k.StoredTools())), IsActive: k.Active, ExpiresAt: timeOrNull(k.ExpiresAt), LastUsedAt: timeOrNull(k.LastUsedAt), CreatedAt: asStored(k.CreatedAt),
	}, nil
}

func apiKeyFromRow(r sqlcgen.GetKeyRow) domain.APIKey {
	return domain.APIKey{
		ID: r.ID, Owner: r.Owner, Subject: orEmpty(r.Subject), Name: orEmpty(r.Name), Prefix: r.Prefix,
		Scopes: domain.ScopesFromPermissions([]byte(r.Permissions)), Tools: domain.ToolsFromStored([]byte(orEmpty(r.Tools))), Active: r.IsActive,
		CreatedAt: timeFrom(r.CreatedAt), ExpiresAt: timeOrZero(r.ExpiresAt), LastUsedAt: timeOrZero(r.LastUsedAt),
	}
}

func apiKeyFromChanging(r sqlcgen.GetKeyToChangeRow) domain.APIKey {
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
