package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"gaia/domain"
)

// away is what clients read when the database can't be used.
const away = "The database is not available"

// translate is the one place where errors of the driver become errors of the domain. It decides by result code, never by text.
func translate(ctx context.Context, op string, err error) error {
	var (
		known  *domain.Error
		failed *sqlite.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("sqlite %s: %w", op, context.Canceled)
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return domain.StoreAway(away, fmt.Errorf("sqlite %s: %w", op, err))
	case errors.As(err, &failed):
		return fromFile(op, failed.Code(), err)
	case errors.Is(err, sql.ErrNoRows):
		return &domain.Error{Kind: domain.NotFound, Message: "Not found", Cause: fmt.Errorf("sqlite %s: %w", op, err)}
	default:
		return fmt.Errorf("sqlite %s: %w", op, err)
	}
}

// isBusy reports whether another process has the lock.
func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == lib.SQLITE_BUSY
}

// fromFile translates what SQLite itself reported.
func fromFile(op string, code int, err error) error {
	cause := fmt.Errorf("sqlite %s: %w", op, err)
	switch code {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return &domain.Error{Kind: domain.Conflict, Message: "This id exists already", Cause: cause}
	case lib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return &domain.Error{Kind: domain.NotFound, Message: "Not found", Cause: cause}
	}
	const primary = 0xff // the low byte is the code without its refinements
	switch code & primary {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, // another process writes
		lib.SQLITE_FULL, lib.SQLITE_READONLY, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM, // the disk
		lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_NOMEM,
		lib.SQLITE_INTERRUPT: // our own deadline: a caller who left was told so before
		return domain.StoreAway(away, cause)
	case lib.SQLITE_TOOBIG:
		return &domain.Error{Kind: domain.BadRequest, Message: "The input is too large to be stored", Cause: cause}
	}
	return cause
}
