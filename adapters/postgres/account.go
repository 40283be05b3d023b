package postgres

import (
	"context"
	"fmt"
	"time"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.AccountStore = (*AccountStore)(nil)

// AccountStore keeps local accounts.
type AccountStore struct{ db *Store }

// Accounts returns the store of local accounts.
func (s *Store) Accounts() *AccountStore { return &AccountStore{db: s} }

// Create implements ports.AccountStore.
func (s *AccountStore) Create(ctx context.Context, a domain.StoredAccount) error {
	id, err := parseID(a.ID)
	if err != nil {
		return fmt.Errorf("postgres create account: %w", err)
	}
	metadata, err := encodeMap(a.UserMetadata)
	if err != nil {
		return fmt.Errorf("postgres create account: %w", err)
	}
	return s.db.once(ctx, "create account", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.InsertAccount(ctx, sqlcgen.InsertAccountParams{
			ID: id, Email: a.Email, PasswordHash: a.PasswordHash, UserMetadata: metadata,
			CreatedAt: asStored(a.CreatedAt), UpdatedAt: asStored(a.UpdatedAt), LastSignInAt: timeOrNull(a.LastSignInAt),
		})
	})
}

// ByEmail implements ports.AccountStore.
func (s *AccountStore) ByEmail(ctx context.Context, email string) (domain.StoredAccount, error) {
	return s.one(ctx, "get account by address", func(ctx context.Context, q *sqlcgen.Queries) (sqlcgen.Account, error) {
		return q.GetAccountByEmail(ctx, email)
	})
}

// Get implements ports.AccountStore.
func (s *AccountStore) Get(ctx context.Context, id string) (domain.StoredAccount, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.StoredAccount{}, errNotFound()
	}
	return s.one(ctx, "get account", func(ctx context.Context, q *sqlcgen.Queries) (sqlcgen.Account, error) {
		return q.GetAccount(ctx, key)
	})
}

func (s *AccountStore) one(
	ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) (sqlcgen.Account, error),
) (a domain.StoredAccount, err error) {
	err = s.db.read(ctx, op, func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := query(ctx, q)
		if err != nil {
			return err
		}
		a, err = accountFromRow(row)
		return err
	})
	return a, err
}

// SetPasswordHash implements ports.AccountStore.
func (s *AccountStore) SetPasswordHash(ctx context.Context, accountID, old, hash string, now time.Time) error {
	id, err := parseID(accountID)
	if err != nil {
		return errOtherHash()
	}
	return s.db.once(ctx, "set password hash", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.SetPasswordHash(ctx, sqlcgen.SetPasswordHashParams{ID: id, PasswordHash: hash, Old: old, UpdatedAt: asStored(now)})
		if err == nil && rows == 0 {
			err = errOtherHash()
		}
		return err
	})
}

func accountFromRow(row sqlcgen.Account) (domain.StoredAccount, error) {
	metadata, err := decodeMap(row.UserMetadata)
	if err != nil {
		return domain.StoredAccount{}, fmt.Errorf("user metadata of account %s: %w", row.ID, err)
	}
	return domain.StoredAccount{
		ID: row.ID.String(), Email: row.Email, PasswordHash: row.PasswordHash, UserMetadata: metadata,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), LastSignInAt: timeOrZero(row.LastSignInAt),
	}, nil
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = asStored(t)
	return &t
}

func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func errNotFound() error { return domain.NewError(domain.NotFound, "Not found") }

func errOtherHash() error {
	return domain.NewError(domain.Conflict, "The password was changed meanwhile")
}
