package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gaia/domain"
)

// away is what clients read when the database can't be used.
const away = "The database is not available"

// unmigrated is what clients read when the database has not the tables that this program needs.
const unmigrated = "The database schema is not up to date: run gaia migrate up"

// unreachableError is a failure to get a connection at all.
type unreachableError struct{ cause error }

func (e *unreachableError) Error() string { return "no connection: " + e.cause.Error() }
func (e *unreachableError) Unwrap() error { return e.cause }

// lostError is a failure that broke the connection.
type lostError struct{ cause error }

func (e *lostError) Error() string { return "connection lost: " + e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

// translate is the one place where errors of the driver become errors of the domain. It decides by type, SQLSTATE, table and
// constraint, never by text: texts depend on the server's version and language.
func translate(ctx context.Context, op string, err error) error {
	var (
		known       *domain.Error
		refused     *pgconn.PgError
		unreachable *unreachableError
		lost        *lostError
		open        *inDoubtError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &open): // also for a caller who has left: what was given up may be stored
		return domain.StoreInDoubt(away, fmt.Errorf("postgres %s: %w", op, err))
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("postgres %s: %w", op, context.Canceled)
	case errors.As(err, &known):
		return err
	case errors.As(err, &unreachable), errors.Is(err, context.DeadlineExceeded):
		return domain.StoreAway(away, fmt.Errorf("postgres %s: %w", op, err))
	case errors.As(err, &refused):
		return fromServer(op, refused, err)
	case errors.As(err, &lost):
		return domain.StoreAway(away, fmt.Errorf("postgres %s: %w", op, err))
	case errors.Is(err, pgx.ErrNoRows):
		return &domain.Error{Kind: domain.NotFound, Message: "Not found", Cause: fmt.Errorf("postgres %s: %w", op, err)}
	default:
		return fmt.Errorf("postgres %s: %w", op, err)
	}
}

// fromServer translates what the server answered.
func fromServer(op string, pg *pgconn.PgError, err error) error {
	cause := fmt.Errorf("postgres %s: %w", op, err)
	switch {
	case pg.Code == "23505" && pg.ConstraintName == "personas_active_name_key":
		return &domain.Error{
			Kind: domain.Conflict, Code: domain.CodeNameTaken, Message: "A persona with this name exists already", Cause: cause,
		}
	case pg.Code == "23505":
		return &domain.Error{Kind: domain.Conflict, Message: "This id exists already", Cause: cause}
	case pg.Code == "23503" && pg.TableName == "user_persona_preferences":
		return &domain.Error{Kind: domain.NotFound, Message: "Persona not found", Cause: cause}
	case isUnstorable(pg.Code):
		return &domain.Error{Kind: domain.BadRequest, Message: "The text holds characters that can't be stored", Cause: cause}
	case class(pg.Code) == "54": // beyond a limit of the server: nesting, size of a value or of an index entry
		return &domain.Error{Kind: domain.BadRequest, Message: "The input is too large or nested too deep to be stored", Cause: cause}
	case isUnmigrated(pg.Code):
		return domain.MissingPart(unmigrated, cause)
	case isOutage(pg.Code):
		return domain.StoreAway(away, cause)
	default:
		return cause
	}
}

// isUnstorable knows the states of text that PostgreSQL can't keep: NUL, broken UTF-8, escapes without a character.
func isUnstorable(state string) bool {
	return state == "22021" || state == "22P05" || state == "22P02"
}

// isUnmigrated knows the states of a table, a column or a constraint that is not there.
func isUnmigrated(state string) bool {
	return state == "42P01" || state == "42703" || state == "42P10"
}

// isOutage knows the states in which the statement was right and the server could not or would not carry it out.
func isOutage(state string) bool {
	switch class(state) {
	case "08", "53", "57", "58": // connection, resources, operator, system
		return true
	}
	switch state {
	case "25006", // the server is read-only: a replica, or one that is being replaced
		"55P03",          // a lock was not to be had in time
		"40001", "40P01", // lost against a concurrent transaction
		"25P03": // the transaction was idle for too long
		return true
	}
	return false
}

func class(state string) string {
	if len(state) < 2 {
		return ""
	}
	return state[:2]
}

// errBadURL hides the driver's text, which may quote the URL with its password.
func errBadURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("postgres open: the database URL can't be parsed")
	}
	return fmt.Errorf("postgres open: %w", err)
}
