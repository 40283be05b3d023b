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
)

// CommitTurn implements ports.ConversationStore.
func (s *ConversationStore) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	t, err := turnToRows(turn)
	if err != nil {
		return "", err
	}
	if err := s.db.writeTexts(ctx, "commit turn", t.size(), t.write); err != nil {
		return "", err
	}
	return t.messages.ConversationID, nil
}

// turnRows is everything that a turn leaves behind, ready to be written.
type turnRows struct {
	begin    *sqlcgen.BeginConversationParams // nil: the turn goes into no conversation
	begun    *domain.Event                    // is stored when the conversation has to be made; nil: nothing is
	messages sqlcgen.InsertTurnParams         // ConversationID is empty until the transaction runs, when the default is meant
	usage    []sqlcgen.InsertUsageRecordParams
	events   []sqlcgen.StoreEventParams
	reserved string // the reservation that ends; empty: none, and no budget pays
	kept     *sqlcgen.KeepTurnParams
}

func turnToRows(turn domain.Turn) (*turnRows, error) {
	t := &turnRows{}
	if err := t.addMessages(turn); err != nil {
		return nil, err
	}
	for _, r := range turn.Usage {
		row, err := usageToRow(r)
		if err != nil {
			return nil, fmt.Errorf("sqlite commit turn: %w", err)
		}
		t.usage = append(t.usage, row)
	}
	for _, e := range turn.Events {
		id, ok := domain.ParseID(e.ID)
		if !ok {
			return nil, fmt.Errorf("sqlite commit turn: event: %q is no id", e.ID)
		}
		data, err := e.Data()
		if err != nil {
			return nil, fmt.Errorf("sqlite commit turn: event: %w", err)
		}
		t.events = append(t.events, sqlcgen.StoreEventParams{ID: id, Subject: e.Subject, Payload: string(data)})
	}
	if turn.ReservationID != "" {
		var ok bool
		if t.reserved, ok = domain.ParseID(turn.ReservationID); !ok {
			return nil, fmt.Errorf("sqlite commit turn: reservation: %q is no id", turn.ReservationID)
		}
	}
	if k := turn.Kept; k != nil {
		run, ok := domain.ParseID(k.RunID)
		if !ok {
			return nil, fmt.Errorf("sqlite commit turn: run: %q is no id", k.RunID)
		}
		answer := string(k.Data)
		t.kept = &sqlcgen.KeepTurnParams{Answer: &answer, Principal: turn.Owner, IdempotencyKey: k.Key, RunID: run}
	}
	return t, nil
}

// size is how many bytes of text there are, about.
func (t *turnRows) size() int {
	n := len(t.messages.Question) + len(t.messages.Answer)
	if t.messages.ToolCalls != nil {
		n += len(*t.messages.ToolCalls)
	}
	if t.kept != nil {
		n += len(*t.kept.Answer)
	}
	return n
}

// addMessages prepares question, answer and their conversation.
func (t *turnRows) addMessages(turn domain.Turn) (err error) {
	if turn.Unstored {
		return nil
	}
	if t.messages, err = messagesToRow(turn); err != nil {
		return fmt.Errorf("sqlite commit turn: %w", err)
	}
	title, preview := turn.Title, turn.Preview()
	t.begun = turn.Begun
	if title == "" {
		title = domain.UntitledConversation
	}
	t.begin = &sqlcgen.BeginConversationParams{
		Principal: turn.Owner, IsDefault: turn.ConversationID == "", Title: title, Preview: &preview, CreatedAt: asStored(turn.At),
	}
	var ok bool
	if t.begin.IsDefault {
		if t.begin.ID, ok = domain.ParseID(turn.NewID); !ok {
			return fmt.Errorf("sqlite commit turn: new conversation: %q is no id", turn.NewID)
		}
		return nil
	}
	if t.begin.ID, ok = domain.ParseID(turn.ConversationID); !ok {
		return errNoConversation(nil)
	}
	return nil
}

// write may run several times, in transactions of which one is committed.
func (t *turnRows) write(ctx context.Context, q *sqlcgen.Queries) (err error) {
	if t.kept != nil {
		n, err := q.KeepTurn(ctx, *t.kept)
		if err != nil {
			return err
		}
		if n == 0 {
			return domain.ClaimLost()
		}
	}
	if t.begin != nil {
		if t.messages.ConversationID, err = t.enter(ctx, q); err != nil {
			return err
		}
		if err := q.InsertTurn(ctx, t.messages); err != nil {
			return err
		}
	}
	if err := t.settle(ctx, q); err != nil {
		return err
	}
	return t.storeEvents(ctx, q)
}

// enter makes the conversation or writes the turn down in it, and returns its id.
func (t *turnRows) enter(ctx context.Context, q *sqlcgen.Queries) (string, error) {
	id := t.begin.ID
	if t.begin.IsDefault {
		existing, err := q.GetDefaultConversation(ctx, t.begin.Principal)
		switch {
		case err == nil:
			id = existing
		case !errors.Is(err, sql.ErrNoRows):
			return "", err
		}
	}
	n, err := q.EnterConversation(ctx, sqlcgen.EnterConversationParams{
		ID: id, Principal: t.begin.Principal, Title: t.begin.Title, Preview: t.begin.Preview, At: t.begin.CreatedAt,
	})
	if err != nil || n > 0 {
		return id, err
	}
	n, err = q.BeginConversation(ctx, *t.begin)
	switch {
	case err != nil:
		return id, err
	case n > 0 && t.begun != nil:
		return id, storeEvent(ctx, q, *t.begun)
	case n > 0:
		return id, nil
	case t.begin.IsDefault:
		return "", domain.NewError(domain.Conflict, "This id exists already")
	default:
		return "", errNoConversation(nil)
	}
}

// storeEvents writes events in their order, two at a time: that is how many a usual turn has.
func (t *turnRows) storeEvents(ctx context.Context, q *sqlcgen.Queries) error {
	if len(t.events) == 0 {
		return nil
	}
	left, trace, at := t.events, traceOf(ctx), asStored(time.Now())
	for ; len(left) > 1; left = left[2:] {
		err := q.StoreTwoEvents(ctx, sqlcgen.StoreTwoEventsParams{
			Traceparent: trace, StoredAt: at,
			ID: left[0].ID, Subject: left[0].Subject, Payload: left[0].Payload,
			SecondID: left[1].ID, SecondSubject: left[1].Subject, SecondPayload: left[1].Payload,
		})
		if err != nil {
			return err
		}
	}
	for _, e := range left {
		e.Traceparent, e.StoredAt = trace, at
		if err := q.StoreEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// settle writes the usage down and puts its cost in the place of the reservation: what each record that is new cost counts on its day.
func (t *turnRows) settle(ctx context.Context, q *sqlcgen.Queries) error {
	for _, row := range t.usage {
		n, err := q.InsertUsageRecord(ctx, row)
		if err != nil {
			return err
		}
		if n == 0 || row.Claimed || row.Cost == 0 || t.reserved == "" {
			continue
		}
		day := dateOf(time.UnixMicro(row.CreatedAt))
		if err := q.SpendBudget(ctx, sqlcgen.SpendBudgetParams{Cost: row.Cost, Principal: row.Principal, Day: day}); err != nil {
			return err
		}
	}
	if t.reserved == "" {
		return nil
	}
	return q.EndReservation(ctx, t.reserved)
}

// messagesToRow leaves the conversation open.
func messagesToRow(turn domain.Turn) (sqlcgen.InsertTurnParams, error) {
	question, ok := domain.ParseID(turn.User.ID)
	if !ok {
		return sqlcgen.InsertTurnParams{}, fmt.Errorf("message: %q is no id", turn.User.ID)
	}
	answer, ok := domain.ParseID(turn.Assistant.ID)
	if !ok {
		return sqlcgen.InsertTurnParams{}, fmt.Errorf("message: %q is no id", turn.Assistant.ID)
	}
	calls, err := encodeCalls(turn.Assistant.ToolCalls)
	if err != nil {
		return sqlcgen.InsertTurnParams{}, fmt.Errorf("message: calls: %w", err)
	}
	a := turn.Assistant
	row := sqlcgen.InsertTurnParams{
		Principal: turn.Owner, UserID: question, Question: turn.User.Content, AskedAt: asStored(turn.User.CreatedAt),
		AssistantID: answer, Answer: a.Content, AnsweredAt: asStored(a.CreatedAt), PersonaID: orNull(a.PersonaID),
		Model: orNull(a.Model), Provider: orNull(a.Provider), UsageSource: orNull(string(a.UsageSource)), ToolCalls: calls,
	}
	if a.Tokens > 0 {
		tokens := int64(a.Tokens)
		row.TokensUsed = &tokens
	}
	return row, nil
}

// storedCall is a call of a tool as the database keeps it. Arguments is text: what a model sends need not be JSON.
type storedCall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

func encodeCalls(calls []domain.ToolCall) (*string, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	stored := make([]storedCall, len(calls))
	for i, c := range calls {
		stored[i] = storedCall(c)
	}
	raw, err := json.Marshal(stored)
	text := string(raw)
	return &text, err
}

func decodeCalls(raw *string) ([]domain.ToolCall, error) {
	if raw == nil {
		return nil, nil
	}
	var stored []storedCall
	if err := json.Unmarshal([]byte(*raw), &stored); err != nil {
		return nil, err
	}
	calls := make([]domain.ToolCall, len(stored))
	for i, c := range stored {
		calls[i] = domain.ToolCall(c)
	}
	return calls, nil
}
