package postgres

import (
	"context"
	"time"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.FileLeases = (*FileLeases)(nil)

// FileLeases remembers files that no asset has.
type FileLeases struct{ db *Store }

// FileLeases returns the store of leases of files.
func (s *Store) FileLeases() *FileLeases { return &FileLeases{db: s} }

// Lease implements ports.FileLeases.
func (l *FileLeases) Lease(ctx context.Context, lease domain.FileLease) error {
	return l.db.once(ctx, "lease file", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.InsertFileLease(ctx, sqlcgen.InsertFileLeaseParams{FileKey: lease.Key, ExpiresAt: asStored(lease.Expires)})
		if err == nil && n == 0 {
			err = domain.FileLeased()
		}
		return err
	})
}

// EndLeases implements ports.FileLeases.
func (l *FileLeases) EndLeases(ctx context.Context, keys []string, at time.Time) error {
	return l.db.once(ctx, "end leases", func(ctx context.Context, q *sqlcgen.Queries) error { return endLeases(ctx, q, keys, at) })
}

// endLeases makes files ripe for removing that nobody needs.
func endLeases(ctx context.Context, q *sqlcgen.Queries, keys []string, at time.Time) error {
	if len(keys) == 0 {
		return nil
	}
	return q.EndFileLeases(ctx, sqlcgen.EndFileLeasesParams{FileKeys: keys, ExpiresAt: asStored(at)})
}

// Condemn implements ports.FileLeases.
func (l *FileLeases) Condemn(ctx context.Context, now time.Time, limit int) (keys []string, err error) {
	err = l.db.once(ctx, "condemn files", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		keys, err = q.CondemnFiles(ctx, sqlcgen.CondemnFilesParams{Now: asStored(now), MaxFiles: atMost(max(limit, 0))})
		return err
	})
	return keys, err
}

// Forget implements ports.FileLeases.
func (l *FileLeases) Forget(ctx context.Context, key string) error {
	return l.db.once(ctx, "forget file", func(ctx context.Context, q *sqlcgen.Queries) error { return q.DeleteFileLease(ctx, key) })
}
