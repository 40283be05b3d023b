package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/internal/history"
	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var (
	_ ports.ConversationStore     = (*ConversationStore)(nil)
	_ ports.ConversationDirectory = (*ConversationStore)(nil)
)

// ConversationStore keeps what was said.
type ConversationStore struct{ db *Store }

// History implements ports.ConversationStore.
func (s *ConversationStore) History(ctx context.Context, owner, conversationID string, limit int) ([]domain.Message, string, error) {
	id, err := conversationKey(conversationID)
	if err != nil {
		return nil, "", err
	}
	if limit <= 0 || limit > domain.MaxHistory {
		if limit <= 0 {
			limit = math.MaxInt32
		}
		all, err := s.lastMessages(ctx, owner, id, 0, limit)
		slices.Reverse(all.Messages)
		return all.Messages, all.PersonaID, err
	}
	key := history.Key{Owner: owner}
	if id != nil {
		key.Conversation = id.String()
	}
	return s.db.history.Last(key, limit, func(since int64, limit int) (history.Part, error) {
		return s.lastMessages(ctx, owner, id, since, limit)
	})
}

// lastMessages is a history.Load.
func (s *ConversationStore) lastMessages(
	ctx context.Context, owner string, id *uuid.UUID, since int64, limit int,
) (part history.Part, err error) {
	err = s.db.read(ctx, "read history", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if id != nil && since == 0 {
			if part.PersonaID, err = personaOf(ctx, q, owner, *id); err != nil {
				return err
			}
		}
		rows, err := lastRows(ctx, q, owner, id, since, atMost(limit))
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			part.Newest = rows[0].Seq
		}
		part.Messages, err = messagesFromRows(rows)
		return err
	})
	if err != nil {
		return history.Part{}, err
	}
	return part, nil
}

func lastRows(
	ctx context.Context, q *sqlcgen.Queries, owner string, id *uuid.UUID, since int64, limit int32,
) ([]sqlcgen.ListLastMessagesRow, error) {
	if id != nil {
		return q.ListLastMessages(ctx, sqlcgen.ListLastMessagesParams{ID: *id, Principal: owner, Since: since, MaxMessages: limit})
	}
	found, err := q.ListLastDefaultMessages(ctx, sqlcgen.ListLastDefaultMessagesParams{Principal: owner, Since: since, MaxMessages: limit})
	rows := make([]sqlcgen.ListLastMessagesRow, len(found))
	for i, row := range found {
		rows[i] = sqlcgen.ListLastMessagesRow(row)
	}
	return rows, err
}

// personaOf returns who answers in a conversation, and refuses one that belongs to someone else. Nobody's is no error.
func personaOf(ctx context.Context, q *sqlcgen.Queries, owner string, id uuid.UUID) (string, error) {
	row, err := q.GetConversationOwner(ctx, id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err == nil && row.Principal != owner:
		return "", errNoConversation(nil)
	}
	return orEmpty(row.PersonaID), err
}

// Default implements ports.ConversationStore.
func (s *ConversationStore) Default(ctx context.Context, owner string) (string, error) {
	var id uuid.UUID
	none := false
	err := s.db.read(ctx, "find default conversation", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if id, err = q.GetDefaultConversation(ctx, owner); errors.Is(err, pgx.ErrNoRows) {
			none, err = true, nil
		}
		return err
	})
	if err != nil || none {
		return "", err
	}
	return id.String(), nil
}

// Count implements ports.ConversationStore.
func (s *ConversationStore) Count(ctx context.Context, owner, conversationID string) (int, error) {
	id, err := conversationKey(conversationID)
	if err != nil {
		return 0, err
	}
	var count int64
	err = s.db.read(ctx, "count messages", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if id == nil {
			count, err = q.GetDefaultMessageCount(ctx, owner)
		} else {
			count, err = messageCount(ctx, q, owner, *id)
		}
		if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
		return err
	})
	return int(count), err
}

func messageCount(ctx context.Context, q *sqlcgen.Queries, owner string, id uuid.UUID) (int64, error) {
	row, err := q.GetMessageCount(ctx, id)
	if err == nil && row.Principal != owner {
		err = errNoConversation(nil)
	}
	return row.MessageCount, err
}

// Clear implements ports.ConversationStore.
func (s *ConversationStore) Clear(ctx context.Context, owner, conversationID string, tell ...func(string) domain.Event) error {
	id, err := conversationKey(conversationID)
	if err != nil {
		return err
	}
	return s.db.write(ctx, "clear conversation", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		var key uuid.UUID
		if id == nil {
			key, err = q.GetDefaultConversation(ctx, owner)
		} else {
			key = *id
			_, err = personaOf(ctx, q, owner, key)
		}
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		// First what locks the conversation: a turn that is being saved must be counted and deleted, or neither.
		if n, err := q.EmptyConversation(ctx, key); err != nil || n == 0 {
			return err
		}
		if err := q.DeleteMessages(ctx, key); err != nil {
			return err
		}
		return storeEvents(ctx, q, toldOf(key.String(), tell))
	})
}

// List implements ports.ConversationDirectory.
func (s *ConversationStore) List(ctx context.Context, owner string, limit, offset int) ([]domain.Conversation, int, error) {
	var (
		rows  []sqlcgen.ListConversationsRow
		total int64
	)
	err := s.db.read(ctx, "list conversations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.ListConversations(ctx, sqlcgen.ListConversationsParams{
			Principal: owner, MaxConversations: atMost(limit), Skip: atMost(offset),
		})
		if err != nil {
			return err
		}
		total, err = q.CountConversations(ctx, owner)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	list := make([]domain.Conversation, len(rows))
	for i, row := range rows {
		list[i] = conversationFromRow(sqlcgen.GetConversationRow(row), owner)
	}
	return list, int(total), nil
}

// Get implements ports.ConversationDirectory.
func (s *ConversationStore) Get(ctx context.Context, owner, id string) (domain.Conversation, error) {
	var row sqlcgen.GetConversationRow
	err := s.db.read(ctx, "get conversation", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = oneConversation(ctx, q, owner, id)
		return err
	})
	if err != nil {
		return domain.Conversation{}, err
	}
	return conversationFromRow(row, owner), nil
}

func oneConversation(ctx context.Context, q *sqlcgen.Queries, owner, id string) (sqlcgen.GetConversationRow, error) {
	key, err := parseID(id)
	if err != nil {
		return sqlcgen.GetConversationRow{}, errNoConversation(err)
	}
	row, err := q.GetConversation(ctx, sqlcgen.GetConversationParams{ID: key, Principal: owner})
	if errors.Is(err, pgx.ErrNoRows) {
		err = errNoConversation(err)
	}
	return row, err
}

// Create implements ports.ConversationDirectory.
func (s *ConversationStore) Create(ctx context.Context, c domain.Conversation, events ...domain.Event) error {
	id, err := parseID(c.ID)
	if err != nil {
		return fmt.Errorf("postgres create conversation: %w", err)
	}
	return s.db.write(ctx, "create conversation", func(ctx context.Context, q *sqlcgen.Queries) error {
		err := q.InsertConversation(ctx, sqlcgen.InsertConversationParams{
			ID: id, Principal: c.Owner, Title: c.Title, PersonaID: orNull(c.PersonaID),
			CreatedAt: asStored(c.CreatedAt), UpdatedAt: asStored(c.UpdatedAt),
		})
		if err != nil {
			return err
		}
		return storeEvents(ctx, q, events)
	})
}

// Delete implements ports.ConversationDirectory.
func (s *ConversationStore) Delete(ctx context.Context, owner, id string, events ...domain.Event) error {
	key, err := parseID(id)
	if err != nil {
		return errNoConversation(err)
	}
	return s.db.write(ctx, "delete conversation", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.DeleteConversation(ctx, sqlcgen.DeleteConversationParams{ID: key, Principal: owner})
		switch {
		case err != nil:
			return err
		case n == 0:
			return errNoConversation(nil)
		}
		return storeEvents(ctx, q, events)
	})
}

// Messages implements ports.ConversationDirectory.
func (s *ConversationStore) Messages(
	ctx context.Context, owner, id string, limit, offset int, newestFirst bool,
) ([]domain.Message, int, error) {
	var (
		messages []domain.Message
		total    int64
	)
	err := s.db.read(ctx, "list messages", func(ctx context.Context, q *sqlcgen.Queries) error {
		c, err := oneConversation(ctx, q, owner, id)
		if err != nil {
			return err
		}
		total = c.MessageCount
		page := sqlcgen.ListMessagesParams{ConversationID: c.ID, MaxMessages: atMost(limit), Skip: atMost(offset)}
		rows, err := pageOfMessages(ctx, q, page, newestFirst)
		if err != nil {
			return err
		}
		messages, err = messagesFromRows(rows)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return messages, int(total), nil
}

func pageOfMessages(
	ctx context.Context, q *sqlcgen.Queries, page sqlcgen.ListMessagesParams, newestFirst bool,
) ([]sqlcgen.ListLastMessagesRow, error) {
	var rows []sqlcgen.ListLastMessagesRow
	if newestFirst {
		found, err := q.ListMessagesDown(ctx, sqlcgen.ListMessagesDownParams(page))
		for _, row := range found {
			rows = append(rows, sqlcgen.ListLastMessagesRow(row))
		}
		return rows, err
	}
	found, err := q.ListMessages(ctx, page)
	for _, row := range found {
		rows = append(rows, sqlcgen.ListLastMessagesRow(row))
	}
	return rows, err
}

// conversationKey is the id as the database has it; nil for the default conversation.
func conversationKey(id string) (*uuid.UUID, error) {
	if id == "" {
		return nil, nil
	}
	key, err := parseID(id)
	if err != nil {
		return nil, errNoConversation(err)
	}
	return &key, nil
}

func conversationFromRow(r sqlcgen.GetConversationRow, owner string) domain.Conversation {
	return domain.Conversation{
		ID: r.ID.String(), Owner: owner, Title: r.Title, Preview: orEmpty(r.Preview), PersonaID: orEmpty(r.PersonaID),
		MessageCount: int(r.MessageCount), Default: r.IsDefault, CreatedAt: asStored(r.CreatedAt), UpdatedAt: asStored(r.UpdatedAt),
	}
}

func messagesFromRows(rows []sqlcgen.ListLastMessagesRow) ([]domain.Message, error) {
	messages := make([]domain.Message, len(rows))
	for i, r := range rows {
		calls, err := decodeCalls(r.ToolCalls)
		if err != nil {
			return nil, fmt.Errorf("message %s: calls: %w", r.ID, err)
		}
		messages[i] = domain.Message{
			ID: r.ID.String(), Role: domain.Role(r.Role), Content: r.Content, PersonaID: orEmpty(r.PersonaID), Model: orEmpty(r.Model),
			Provider: orEmpty(r.Provider), UsageSource: domain.UsageSource(orEmpty(r.UsageSource)), ToolCalls: calls,
			CreatedAt: asStored(r.CreatedAt),
		}
		if r.TokensUsed != nil {
			messages[i].Tokens = int(*r.TokensUsed)
		}
	}
	return messages, nil
}

func errNoConversation(cause error) error {
	return &domain.Error{Kind: domain.NotFound, Message: "Conversation not found", Cause: cause}
}
