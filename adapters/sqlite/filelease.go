package sqlite

import (
	"context"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
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
	return l.db.writeTogether(ctx, "lease file", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.InsertFileLease(ctx, sqlcgen.InsertFileLeaseParams{FileKey: lease.Key, ExpiresAt: asStored(lease.Expires)})
		if err == nil && n == 0 {
			err = domain.FileLeased()
		}
		return err
	})
}

// EndLeases implements ports.FileLeases.
func (l *FileLeases) EndLeases(ctx context.Context, keys []string, at time.Time) error {
	return l.db.writeTogether(ctx, "end leases", func(ctx context.Context, q *sqlcgen.Queries) error { return endLeases(ctx, q, keys, at) })
}

// endLeases makes files ripe for removing that nobody needs.
func endLeases(ctx context.Context, q *sqlcgen.Queries, keys []string, at time.Time) error {
	for _, key := range keys {
		if err := q.EndFileLease(ctx, sqlcgen.EndFileLeaseParams{FileKey: key, ExpiresAt: asStored(at)}); err != nil {
			return err
		}
	}
	return nil
}

// Condemn implements ports.FileLeases.
func (l *FileLeases) Condemn(ctx context.Context, now time.Time, limit int) (keys []string, err error) {
	err = l.db.writeTogether(ctx, "condemn files", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		keys, err = q.ListEndedFileLeases(ctx, sqlcgen.ListEndedFileLeasesParams{Now: asStored(now), MaxFiles: int64(max(limit, 0))})
		for i := 0; i < len(keys) && err == nil; i++ {
			err = q.CondemnFile(ctx, sqlcgen.CondemnFileParams{FileKey: keys[i], Now: asStored(now)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// Forget implements ports.FileLeases.
func (l *FileLeases) Forget(ctx context.Context, key string) error {
	return l.db.writeTogether(ctx, "forget file", func(ctx context.Context, q *sqlcgen.Queries) error { return q.DeleteFileLease(ctx, key) })
}
