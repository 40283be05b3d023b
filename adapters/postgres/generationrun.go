package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
)

// Claim implements ports.GenerationStore.
func (s *GenerationStore) Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Generation, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.Generation{}, domain.GenerationNotFound()
	}
	var row sqlcgen.Generation
	err = s.db.once(ctx, "claim generation", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.ClaimGeneration(ctx, sqlcgen.ClaimGenerationParams{
			ID: key, Runner: runner, Now: asStored(now), Until: asStored(until),
		})
		if noRow(err) {
			return generationRefusal(ctx, q, key, domain.GenerationNotFound())
		}
		return err
	})
	if err != nil {
		return domain.Generation{}, err
	}
	return generationFromRow(row)
}

// generationRefusal tells why work was not to be had.
func generationRefusal(ctx context.Context, q *sqlcgen.Queries, id uuid.UUID, missing error) error {
	status, err := q.GetGenerationStatus(ctx, id)
	switch {
	case noRow(err):
		return missing
	case err != nil:
		return err
	case domain.GenerationStatus(status).Ended():
		return domain.GenerationEnded()
	default:
		return domain.GenerationClaimed()
	}
}

// Renew implements ports.GenerationStore.
func (s *GenerationStore) Renew(ctx context.Context, id, runner string, until time.Time) error {
	key, err := parseID(id)
	if err != nil {
		return domain.GenerationClaimed()
	}
	return s.db.once(ctx, "renew generation", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.RenewGeneration(ctx, sqlcgen.RenewGenerationParams{ID: key, Runner: runner, Until: asStored(until)})
		if err == nil && n == 0 {
			err = generationRefusal(ctx, q, key, domain.GenerationClaimed())
		}
		return err
	})
}

// Abandon implements ports.GenerationStore.
func (s *GenerationStore) Abandon(ctx context.Context, id, runner string) error {
	key, err := parseID(id)
	if err != nil {
		return ctx.Err()
	}
	return s.db.once(ctx, "abandon generation", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.AbandonGeneration(ctx, sqlcgen.AbandonGenerationParams{ID: key, Runner: runner})
	})
}

// Commit implements ports.GenerationStore.
func (s *GenerationStore) Commit(ctx context.Context, change domain.GenerationChange) (version int, err error) {
	rows, err := generationChangeToRows(change)
	if err != nil {
		return 0, fmt.Errorf("postgres commit generation: %w", err)
	}
	err = s.db.use(ctx, "commit generation", func(ctx context.Context, conn *pgx.Conn) error {
		return transaction(ctx, conn, func(tx pgx.Tx) (err error) {
			version, err = rows.write(ctx, tx)
			return err
		})
	})
	return version, err
}

// generationRows is everything that a change writes.
type generationRows struct {
	change      domain.GenerationChange
	generation  sqlcgen.CommitGenerationParams
	usage       []sqlcgen.InsertUsageRecordParams
	reservation *uuid.UUID // that ends; nil: none
}

func generationChangeToRows(change domain.GenerationChange) (*generationRows, error) {
	id, err := parseID(change.Generation.ID)
	if err != nil {
		return nil, domain.GenerationClaimed()
	}
	c, err := change.Tidy()
	if err != nil {
		return nil, err
	}
	g, rows := c.Generation, &generationRows{change: c}
	rows.generation = sqlcgen.CommitGenerationParams{
		ID: id, Version: atMost(g.Version), Runner: c.Runner, Status: string(g.Status), Progress: atMost(g.Progress), Message: g.Message,
		Error: g.Error, ErrorCode: g.ErrorCode, BaseID: g.BaseID, AssetID: g.AssetID, Source: string(g.Source), Cost: int64(g.Cost),
		Reserved: int64(g.Reserved), ReservationID: g.ReservationID, HttpRequestID: g.HTTPRequestID, UpdatedAt: asStored(g.UpdatedAt),
		CompletedAt: timeOrNull(g.CompletedAt), Events: atMost(len(c.Events)),
	}
	if rows.generation.Generators, err = domain.StoredOffers(g.Generators); err != nil {
		return nil, err
	}
	if rows.generation.Attempts, err = domain.StoredAttempts(g.Attempts); err != nil {
		return nil, err
	}
	for _, r := range c.Usage {
		row, err := usageToRow(r)
		if err != nil {
			return nil, err
		}
		rows.usage = append(rows.usage, row)
	}
	if g.Status.Ended() && g.ReservationID != "" {
		reservation, err := parseID(g.ReservationID)
		if err != nil {
			return nil, fmt.Errorf("reservation: %w", err)
		}
		rows.reservation = &reservation
	}
	return rows, nil
}

// write locks the work first, so that changes come one after the other, then leases of files, and the budget last, as turns do. What
// nothing depends on goes to the server in one piece.
func (r *generationRows) write(ctx context.Context, tx pgx.Tx) (version int, err error) {
	q := sqlcgen.New(tx)
	g, err := q.CommitGeneration(ctx, r.generation)
	if noRow(err) {
		return 0, generationRefusal(ctx, q, r.generation.ID, domain.GenerationClaimed())
	}
	if err != nil {
		return 0, err
	}
	request, err := domain.AssetRequestFromStored(g.Request)
	if err != nil {
		return 0, fmt.Errorf("generation %s: %w", r.generation.ID, err)
	}
	if r.change.Asset != nil {
		if err := insertAsset(ctx, q, *r.change.Asset); err != nil {
			return 0, err
		}
	}
	if len(r.change.Abandoned) > 0 {
		if err := endLeases(ctx, q, r.change.Abandoned, r.change.Generation.UpdatedAt); err != nil {
			return 0, err
		}
	}
	cost, told, err := r.insertUsage(ctx, q)
	if err != nil {
		return 0, err
	}
	rest := &batch{}
	err = r.writeRest(ctx, sqlcgen.New(rest), g.Owner, g.CreatedAt, cost, told, generationEvents{
		r.generation.ID, g.Owner, request.Category, r.generation.AssetID, int(g.LastEvent), r.change.Events,
	})
	if err != nil || rest.queued.Len() == 0 {
		return int(g.Version), err
	}
	return int(g.Version), rest.run(ctx, tx.Conn())
}

// insertUsage writes usage down, and returns what the new records cost and the events about them.
func (r *generationRows) insertUsage(ctx context.Context, q *sqlcgen.Queries) (cost domain.Money, told []domain.Event, err error) {
	for i, row := range r.usage {
		n, err := q.InsertUsageRecord(ctx, row)
		if err != nil {
			return 0, nil, err
		}
		if n == 0 {
			continue
		}
		told = append(told, r.change.Usage[i].Recorded())
		if !row.Claimed {
			cost = cost.Plus(r.change.Usage[i].Cost)
		}
	}
	return cost, told, nil
}

// writeRest queues what can't be refused.
func (r *generationRows) writeRest(
	ctx context.Context, q *sqlcgen.Queries, owner string, created time.Time, cost domain.Money, told []domain.Event, events generationEvents,
) error {
	if cost != 0 {
		_ = q.SpendBudget(ctx, sqlcgen.SpendBudgetParams{Cost: int64(cost), Principal: owner, Day: created.UTC().Format(time.DateOnly)})
	}
	if r.reservation != nil {
		_ = q.EndReservation(ctx, *r.reservation)
	}
	if err := putGenerationTasks(ctx, q, r.generation.ID, r.change.Generation.Tasks()); err != nil {
		return err
	}
	if err := putGenerationEvents(ctx, q, events); err != nil {
		return err
	}
	for _, e := range told {
		if err := storeEvent(ctx, q, e); err != nil {
			return err
		}
	}
	return nil
}

// putGenerationTasks remembers whose tasks they are. They are locked in one order by all.
func putGenerationTasks(ctx context.Context, q *sqlcgen.Queries, id uuid.UUID, attempts []domain.GenerationAttempt) error {
	if len(attempts) == 0 {
		return nil
	}
	compare := func(a, b domain.GenerationAttempt) int {
		return cmp.Or(cmp.Compare(a.Generator, b.Generator), cmp.Compare(a.TaskID, b.TaskID))
	}
	slices.SortFunc(attempts, compare)
	tasks := sqlcgen.PutGenerationTasksParams{GenerationID: id}
	for _, a := range slices.CompactFunc(attempts, func(a, b domain.GenerationAttempt) bool { return compare(a, b) == 0 }) {
		tasks.Generators, tasks.Tasks = append(tasks.Generators, a.Generator), append(tasks.Tasks, a.TaskID)
	}
	return q.PutGenerationTasks(ctx, tasks)
}

// generationEvents are events of one work, the last of which has the number last.
type generationEvents struct {
	generation uuid.UUID
	owner      string
	category   domain.AssetCategory
	assetID    string
	last       int
	events     []domain.GenerationEvent
}

// putGenerationEvents writes events, and tells about them.
func putGenerationEvents(ctx context.Context, q *sqlcgen.Queries, r generationEvents) error {
	for i, e := range r.events {
		id, err := parseID(e.ID)
		if err != nil {
			return fmt.Errorf("event: %w", err)
		}
		e.GenerationID, e.Sequence = r.generation.String(), r.last-len(r.events)+i+1
		details, err := domain.StoredJSON(e.Details)
		if err != nil {
			return err
		}
		err = q.PutGenerationEvent(ctx, sqlcgen.PutGenerationEventParams{
			GenerationID: r.generation, Sequence: atMost(e.Sequence), ID: id, Type: string(e.Type), Status: string(e.Status),
			Progress: atMost(e.Progress), Message: e.Message, At: asStored(e.At), Details: details,
		})
		if err == nil {
			err = storeEvent(ctx, q, e.Event(r.owner, r.category, r.assetID))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// storeEvent puts an event into the outbox.
func storeEvent(ctx context.Context, q *sqlcgen.Queries, e domain.Event) error {
	id, err := parseID(e.ID)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	payload, err := e.Data()
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	return q.StoreEvent(ctx, sqlcgen.StoreEventParams{ID: id, Subject: e.Subject, Payload: payload, Traceparent: traceOf(ctx)})
}
