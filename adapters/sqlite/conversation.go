package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.ConversationStore = (*ConversationStore)(nil)

// ConversationStore keeps what was said.
type ConversationStore struct{ db *Store }

// History implements ports.ConversationStore.
func (s *ConversationStore) History(ctx context.Context, owner, conversationID string, limit int) ([]domain.Message, error) {
	if limit <= 0 {
		limit = math.MaxInt64
	}
	var messages []domain.Message
	err := s.inConversation(ctx, s.db.read, "read history", owner, conversationID,
		func(ctx context.Context, q *sqlcgen.Queries, id string) error {
			rows, err := q.ListLastMessages(ctx, sqlcgen.ListLastMessagesParams{
				ConversationID: id, MaxMessages: int64(limit),
			})
			messages = make([]domain.Message, len(rows))
			for i, row := range rows {
				messages[i] = messageFromRow(row)
			}
			slices.Reverse(messages)
			return err
		})
	if err != nil {
		return nil, err
	}
	return messages, nil
}

// Count implements ports.ConversationStore.
func (s *ConversationStore) Count(ctx context.Context, owner, conversationID string) (int, error) {
	var count int64
	err := s.inConversation(ctx, s.db.read, "count messages", owner, conversationID,
		func(ctx context.Context, q *sqlcgen.Queries, id string) (err error) {
			count, err = q.CountMessages(ctx, id)
			return err
		})
	return int(count), err
}

// Clear implements ports.ConversationStore.
func (s *ConversationStore) Clear(ctx context.Context, owner, conversationID string) error {
	return s.inConversation(ctx, s.db.write, "clear conversation", owner, conversationID,
		func(ctx context.Context, q *sqlcgen.Queries, id string) error { return q.DeleteMessages(ctx, id) })
}

// access is Store.read or Store.write.
type access func(ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) error) error

// inConversation runs work on a conversation of the owner, and does nothing when there is none yet.
func (s *ConversationStore) inConversation(
	ctx context.Context, access access, op, owner, id string, work func(context.Context, *sqlcgen.Queries, string) error,
) error {
	lookup := byDefault(owner)
	if id != "" {
		key, ok := domain.ParseID(id)
		if !ok {
			return errNoConversation(nil)
		}
		lookup = byID(owner, key)
	}
	return access(ctx, op, func(ctx context.Context, q *sqlcgen.Queries) error {
		key, err := lookup(ctx, q)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return work(ctx, q, key)
	})
}

// finder returns the id of a conversation.
type finder func(context.Context, *sqlcgen.Queries) (string, error)

func byDefault(owner string) finder {
	return func(ctx context.Context, q *sqlcgen.Queries) (string, error) {
		return q.GetDefaultConversation(ctx, owner)
	}
}

func byID(owner string, id string) finder {
	return func(ctx context.Context, q *sqlcgen.Queries) (string, error) {
		principal, err := q.GetConversationPrincipal(ctx, id)
		if err == nil && principal != owner {
			err = errNoConversation(nil)
		}
		return id, err
	}
}

// CommitTurn implements ports.ConversationStore.
func (s *ConversationStore) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	if turn.Unstored {
		return "", nil
	}
	enter, err := entrance(turn)
	if err != nil {
		return "", err
	}
	var id string
	err = s.db.write(ctx, "append turn", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if id, err = enter(ctx, q); err != nil {
			return err
		}
		for _, m := range []domain.Message{turn.User, turn.Assistant} {
			row, err := messageToRow(m, turn.Owner, id)
			if err != nil {
				return err
			}
			if err := q.InsertMessage(ctx, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// entrance returns the query that makes or locks the turn's conversation and returns its id.
func entrance(turn domain.Turn) (finder, error) {
	at := asStored(turn.At)
	if turn.ConversationID == "" {
		newID, ok := domain.ParseID(turn.NewID)
		if !ok {
			return nil, fmt.Errorf("sqlite append turn: new conversation: %q is no id", turn.NewID)
		}
		return func(ctx context.Context, q *sqlcgen.Queries) (string, error) {
			return q.EnterDefaultConversation(ctx, sqlcgen.EnterDefaultConversationParams{
				ID: newID, Principal: turn.Owner, CreatedAt: at,
			})
		}, nil
	}
	id, ok := domain.ParseID(turn.ConversationID)
	if !ok {
		return nil, errNoConversation(nil)
	}
	return func(ctx context.Context, q *sqlcgen.Queries) (string, error) {
		_, err := q.EnterConversation(ctx, sqlcgen.EnterConversationParams{ID: id, Principal: turn.Owner, CreatedAt: at})
		if errors.Is(err, sql.ErrNoRows) {
			return "", errNoConversation(err)
		}
		return id, err
	}, nil
}

func messageToRow(m domain.Message, owner string, conversation string) (sqlcgen.InsertMessageParams, error) {
	id, ok := domain.ParseID(m.ID)
	if !ok {
		return sqlcgen.InsertMessageParams{}, fmt.Errorf("message: %q is no id", m.ID)
	}
	row := sqlcgen.InsertMessageParams{
		ID: id, Principal: owner, ConversationID: conversation, Role: string(m.Role), Content: m.Content,
		Model: orNull(m.Model), Provider: orNull(m.Provider), CreatedAt: asStored(m.CreatedAt),
	}
	if m.Tokens > 0 {
		tokens := int64(m.Tokens)
		row.TokensUsed = &tokens
	}
	return row, nil
}

func messageFromRow(r sqlcgen.ListLastMessagesRow) domain.Message {
	m := domain.Message{
		ID: r.ID, Role: domain.Role(r.Role), Content: r.Content,
		Model: orEmpty(r.Model), Provider: orEmpty(r.Provider), CreatedAt: timeFrom(r.CreatedAt),
	}
	if r.TokensUsed != nil {
		m.Tokens = int(*r.TokensUsed)
	}
	return m
}

func errNoConversation(cause error) error {
	return &domain.Error{Kind: domain.NotFound, Message: "Conversation not found", Cause: cause}
}
