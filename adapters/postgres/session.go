package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.SessionStore = (*SessionStore)(nil)

// SessionStore keeps sessions of local accounts.
type SessionStore struct{ db *Store }

// Sessions returns the store of sessions.
func (s *Store) Sessions() *SessionStore { return &SessionStore{db: s} }

// Open implements ports.SessionStore.
func (s *SessionStore) Open(ctx context.Context, session domain.StoredSession, tokenHash string, keep int) error {
	id, err := parseID(session.ID)
	if err != nil {
		return fmt.Errorf("postgres open session: %w", err)
	}
	account, err := parseID(session.AccountID)
	if err != nil {
		return fmt.Errorf("postgres open session: %w", err)
	}
	at := asStored(session.CreatedAt)
	return s.db.write(ctx, "open session", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.NoteSignIn(ctx, sqlcgen.NoteSignInParams{ID: account, At: at})
		if err == nil && rows == 0 {
			err = errNotFound()
		}
		if err != nil {
			return err
		}
		row := sqlcgen.InsertSessionParams{ID: id, AccountID: account, CreatedAt: at, EndsAt: asStored(session.EndsAt)}
		if err := q.InsertSession(ctx, row); err != nil {
			return err
		}
		token := sqlcgen.InsertTokenParams{TokenHash: tokenHash, SessionID: id, CreatedAt: at}
		if err := q.InsertToken(ctx, token); err != nil {
			return err
		}
		// #nosec G115 -- keep is a constant of the caller, and small
		beyond := sqlcgen.DeleteSessionsBeyondParams{AccountID: account, NewID: id, KeepOthers: int32(max(keep-1, 0))}
		return q.DeleteSessionsBeyond(ctx, beyond)
	})
}

// Get implements ports.SessionStore.
func (s *SessionStore) Get(ctx context.Context, id string, now time.Time) (session domain.StoredSession, err error) {
	key, err := parseID(id)
	if err != nil {
		return domain.StoredSession{}, errNotFound()
	}
	err = s.db.read(ctx, "get session", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.GetSession(ctx, sqlcgen.GetSessionParams{ID: key, Now: asStored(now)})
		session = sessionFromRow(row)
		return err
	})
	if err != nil {
		return domain.StoredSession{}, err
	}
	return session, nil
}

// Renew implements ports.SessionStore. The session is locked, and only then its tokens are looked at: a statement that waits for a lock
// sees of other tables what was there before the wait.
func (s *SessionStore) Renew(ctx context.Context, r domain.Renewal) (session domain.StoredSession, result domain.RenewalResult, err error) {
	r.At, r.EndsAt = asStored(r.At), asStored(r.EndsAt)
	err = s.db.write(ctx, "renew session", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.LockSessionOfToken(ctx, r.TokenHash)
		if err != nil {
			return err
		}
		if session = sessionFromRow(row); session.Ended(r.At) {
			return errNotFound()
		}
		seen, err := lookAt(ctx, q, row.ID, r)
		if err != nil {
			return err
		}
		var store bool
		switch result, store = r.Judge(seen); {
		case result == domain.RenewalReused:
			return q.DeleteSession(ctx, row.ID)
		case store:
			err = passOn(ctx, q, row.ID, r, seen)
		}
		if err == nil && result == domain.RenewalDone {
			session.EndsAt = r.EndsAt
			err = q.ExtendSession(ctx, sqlcgen.ExtendSessionParams{ID: row.ID, EndsAt: r.EndsAt})
		}
		return err
	})
	if err != nil {
		return domain.StoredSession{}, 0, err
	}
	return session, result, nil
}

// lookAt finds a token of a session and what was made from it. That is next unless the signing key has changed, and then rare enough to look
// through the whole session.
func lookAt(ctx context.Context, q *sqlcgen.Queries, sessionID uuid.UUID, r domain.Renewal) (domain.StoredToken, error) {
	token, err := q.GetToken(ctx, sqlcgen.GetTokenParams{TokenHash: r.TokenHash, Next: r.NextHash})
	if err != nil {
		return domain.StoredToken{}, err
	}
	seen := domain.StoredToken{
		UsedAt: timeOrZero(token.UsedAt), NextHash: orEmpty(token.NextHash), NextUsedAt: timeOrZero(token.NextUsedAt),
	}
	if seen.UsedAt.IsZero() || seen.NextHash != "" {
		return seen, nil
	}
	next, err := q.GetNextToken(ctx, sqlcgen.GetNextTokenParams{SessionID: sessionID, ParentHash: &r.TokenHash})
	if noRow(err) {
		return seen, nil
	}
	seen.NextHash, seen.NextUsedAt = next.TokenHash, timeOrZero(next.UsedAt)
	return seen, err
}

// passOn stores the next token of a session.
func passOn(ctx context.Context, q *sqlcgen.Queries, sessionID uuid.UUID, r domain.Renewal, seen domain.StoredToken) error {
	if err := makeRoom(ctx, q, sessionID, r); err != nil {
		return err
	}
	if seen.NextHash != "" {
		if err := q.DeleteToken(ctx, seen.NextHash); err != nil {
			return err
		}
	}
	if err := q.UseToken(ctx, sqlcgen.UseTokenParams{TokenHash: r.TokenHash, UsedAt: &r.At}); err != nil {
		return err
	}
	return q.InsertToken(ctx, sqlcgen.InsertTokenParams{
		TokenHash: r.NextHash, SessionID: sessionID, ParentHash: &r.TokenHash, CreatedAt: r.At,
	})
}

// makeRoom forgets tokens of a session that has as many as one may have.
func makeRoom(ctx context.Context, q *sqlcgen.Queries, sessionID uuid.UUID, r domain.Renewal) error {
	many, err := q.CountTokens(ctx, sessionID)
	if err != nil || many < int64(r.MaxTokens) {
		return err
	}
	oldest := asStored(r.OldestToken())
	if err := q.ForgetTokens(ctx, sqlcgen.ForgetTokensParams{SessionID: sessionID, Before: &oldest}); err != nil {
		return err
	}
	many, err = q.CountTokens(ctx, sessionID)
	if err == nil && many >= int64(r.MaxTokens) {
		err = domain.RenewedTooOften()
	}
	return err
}

// End implements ports.SessionStore.
func (s *SessionStore) End(ctx context.Context, id string) error {
	key, err := parseID(id)
	if err != nil {
		return ctx.Err()
	}
	return s.db.once(ctx, "end session", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.DeleteSession(ctx, key)
	})
}

// EndAll implements ports.SessionStore.
func (s *SessionStore) EndAll(ctx context.Context, accountID string) error {
	key, err := parseID(accountID)
	if err != nil {
		return ctx.Err()
	}
	return s.db.once(ctx, "end sessions", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.DeleteSessionsOf(ctx, key)
	})
}

// Expire implements ports.SessionStore.
func (s *SessionStore) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var rows int64
		err := s.db.once(ctx, "expire sessions", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			rows, err = q.ExpireSessions(ctx, sqlcgen.ExpireSessionsParams{Before: asStored(before), MaxSessions: expireBatch})
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

func sessionFromRow(row sqlcgen.AccountSession) domain.StoredSession {
	return domain.StoredSession{
		ID: row.ID.String(), AccountID: row.AccountID.String(), CreatedAt: row.CreatedAt.UTC(), EndsAt: row.EndsAt.UTC(),
	}
}
