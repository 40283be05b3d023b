package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
)

// CommitTurn implements ports.ConversationStore.
func (s *ConversationStore) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	t := &turnBatch{}
	if err := t.add(ctx, turn); err != nil {
		return "", err
	}
	if t.queued.Len() == 0 {
		return "", nil
	}
	commit := func(ctx context.Context, conn *pgx.Conn) error {
		return atOnce(ctx, conn, func(ctx context.Context) error { return t.run(ctx, conn) })
	}
	if err := s.db.use(ctx, "commit turn", commit); err != nil {
		return "", err
	}
	if turn.Unstored {
		return "", nil
	}
	return t.conversation.String(), nil
}

// turnBatch is everything that a turn leaves behind.
type turnBatch struct {
	batch
	conversation uuid.UUID // known once the batch has run
}

// add queues a turn. What may be locked is locked in one order by all turns: claim, conversation, budget.
func (t *turnBatch) add(ctx context.Context, turn domain.Turn) error {
	q := sqlcgen.New(t)
	for _, part := range []func(context.Context, *sqlcgen.Queries, domain.Turn) error{
		t.addAnswer, t.addConversation, t.addUsage, t.addEvents,
	} {
		if err := part(ctx, q, turn); err != nil {
			return fmt.Errorf("postgres commit turn: %w", err)
		}
	}
	return nil
}

func (t *turnBatch) addAnswer(ctx context.Context, q *sqlcgen.Queries, turn domain.Turn) error {
	if turn.Kept == nil {
		return nil
	}
	run, err := parseID(turn.Kept.RunID)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	answer := string(turn.Kept.Data)
	_ = q.KeepTurn(ctx, sqlcgen.KeepTurnParams{
		Answer: &answer, Principal: turn.Owner, IdempotencyKey: turn.Kept.Key, RunID: run,
	})
	t.refusal(func(err error) error {
		if isRefusal(err, divisionByZero) {
			return domain.ClaimLost()
		}
		return err
	})
	return nil
}

func (t *turnBatch) addConversation(ctx context.Context, q *sqlcgen.Queries, turn domain.Turn) error {
	if turn.Unstored {
		return nil
	}
	messages, err := messagesToRow(turn)
	if err != nil {
		return err
	}
	begun, err := eventToRow(turn.Begun)
	if err != nil {
		return err
	}
	trace := traceOf(ctx)
	title, preview, at := turn.Title, turn.Preview(), asStored(turn.At)
	if title == "" {
		title = domain.UntitledConversation
	}
	if turn.ConversationID == "" {
		newID, err := parseID(turn.NewID)
		if err != nil {
			return fmt.Errorf("new conversation: %w", err)
		}
		_, _ = q.EnterDefaultConversation(ctx, sqlcgen.EnterDefaultConversationParams{
			ID: newID, Principal: turn.Owner, Title: title, Preview: &preview, CreatedAt: at,
			EventID: begun.id, EventSubject: begun.subject, EventPayload: begun.payload, Traceparent: trace,
		})
		t.result(&t.conversation)
	} else {
		if t.conversation, err = parseID(turn.ConversationID); err != nil {
			return errNoConversation(err)
		}
		messages.ConversationID = &t.conversation
		_ = q.EnterConversation(ctx, sqlcgen.EnterConversationParams{
			ID: t.conversation, Principal: turn.Owner, Title: title, Preview: &preview, CreatedAt: at,
			EventID: begun.id, EventSubject: begun.subject, EventPayload: begun.payload, Traceparent: trace,
		})
	}
	_ = q.InsertTurn(ctx, messages)
	t.refusal(func(err error) error {
		if isRefusal(err, notNull) {
			return errNoConversation(err)
		}
		return err
	})
	return nil
}

func (t *turnBatch) addUsage(ctx context.Context, q *sqlcgen.Queries, turn domain.Turn) error {
	if turn.ReservationID != "" {
		openDays(ctx, q, turn)
	}
	requests := make([]uuid.UUID, len(turn.Usage))
	for i, r := range turn.Usage {
		row, err := usageToRow(r)
		if err != nil {
			return err
		}
		requests[i] = row.RequestID
		_, _ = q.InsertUsageRecord(ctx, row)
	}
	if turn.ReservationID == "" {
		return nil
	}
	reservation, err := parseID(turn.ReservationID)
	if err != nil {
		return fmt.Errorf("reservation: %w", err)
	}
	_ = q.SettleBudget(ctx, sqlcgen.SettleBudgetParams{Principal: turn.Owner, Requests: requests})
	_ = q.EndReservation(ctx, reservation)
	return nil
}

// openDays makes the budgets of days that the turn spends something of, unless that is only the day of its reservation, which is there. They
// are made before the records are written: with them, one that is made at the same moment would count the records or not, and nobody could
// tell. What is there is locked, in the order of date: turns that are stored over midnight wait for each other, and never in a ring.
func openDays(ctx context.Context, q *sqlcgen.Queries, turn domain.Turn) {
	var days []time.Time
	for _, r := range turn.Usage {
		days = append(days, domain.DayOf(r.At))
	}
	slices.SortFunc(days, time.Time.Compare)
	days = slices.CompactFunc(days, time.Time.Equal)
	if len(days) == 1 && days[0].Equal(domain.DayOf(turn.ReservedAt)) {
		return
	}
	for _, day := range days {
		_, _ = q.OpenBudget(ctx, openBudget(turn.Owner, day))
	}
}

func (t *turnBatch) addEvents(ctx context.Context, q *sqlcgen.Queries, turn domain.Turn) error {
	return storeEvents(ctx, q, turn.Events)
}

// eventRow is an event that a statement may store. Without one all is null.
type eventRow struct {
	id      *uuid.UUID
	subject *string
	payload json.RawMessage
}

func eventToRow(e *domain.Event) (row eventRow, err error) {
	if e == nil {
		return row, nil
	}
	id, err := parseID(e.ID)
	if err != nil {
		return row, fmt.Errorf("event: %w", err)
	}
	payload, err := e.Data()
	if err != nil {
		return row, fmt.Errorf("event: %w", err)
	}
	return eventRow{&id, &e.Subject, payload}, nil
}

// How statements of a batch fail that must not go on.
const (
	divisionByZero = "22012"
	notNull        = "23502"
)

func isRefusal(err error, state string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == state
}

// messagesToRow leaves the conversation open.
func messagesToRow(turn domain.Turn) (sqlcgen.InsertTurnParams, error) {
	question, err := parseID(turn.User.ID)
	if err != nil {
		return sqlcgen.InsertTurnParams{}, fmt.Errorf("message: %w", err)
	}
	answer, err := parseID(turn.Assistant.ID)
	if err != nil {
		return sqlcgen.InsertTurnParams{}, fmt.Errorf("message: %w", err)
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
		tokens := int32(min(a.Tokens, math.MaxInt32))
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

func encodeCalls(calls []domain.ToolCall) (json.RawMessage, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	stored := make([]storedCall, len(calls))
	for i, c := range calls {
		stored[i] = storedCall(c)
	}
	return json.Marshal(stored)
}

func decodeCalls(raw json.RawMessage) ([]domain.ToolCall, error) {
	if raw == nil {
		return nil, nil
	}
	var stored []storedCall
	if err := json.Unmarshal(raw, &stored); err != nil {
		return nil, err
	}
	calls := make([]domain.ToolCall, len(stored))
	for i, c := range stored {
		calls[i] = domain.ToolCall(c)
	}
	return calls, nil
}
