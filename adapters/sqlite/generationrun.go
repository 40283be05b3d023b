package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
)

// Claim implements ports.GenerationStore.
func (s *GenerationStore) Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Generation, error) {
	key, _ := domain.ParseID(id)
	var row sqlcgen.Generation
	err := s.db.writeTogether(ctx, "claim generation", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.ClaimGeneration(ctx, sqlcgen.ClaimGenerationParams{
			ID: key, Runner: runner, Now: asStored(now), Until: asStored(until),
		})
		if errors.Is(err, sql.ErrNoRows) {
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
func generationRefusal(ctx context.Context, q *sqlcgen.Queries, id string, missing error) error {
	status, err := q.GetGenerationStatus(ctx, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
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
	key, _ := domain.ParseID(id)
	return s.db.writeTogether(ctx, "renew generation", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.RenewGeneration(ctx, sqlcgen.RenewGenerationParams{ID: key, Runner: runner, Until: asStored(until)})
		if err == nil && n == 0 {
			err = generationRefusal(ctx, q, key, domain.GenerationClaimed())
		}
		return err
	})
}

// Abandon implements ports.GenerationStore.
func (s *GenerationStore) Abandon(ctx context.Context, id, runner string) error {
	key, _ := domain.ParseID(id)
	return s.db.writeTogether(ctx, "abandon generation", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.AbandonGeneration(ctx, sqlcgen.AbandonGenerationParams{ID: key, Runner: runner})
	})
}

// Commit implements ports.GenerationStore.
func (s *GenerationStore) Commit(ctx context.Context, change domain.GenerationChange) (version int, err error) {
	rows, err := generationChangeToRows(change)
	if err != nil {
		return 0, fmt.Errorf("sqlite commit generation: %w", err)
	}
	err = s.db.writeTexts(ctx, "commit generation", rows.size(), func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		version, err = rows.write(ctx, q)
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// generationRows is everything that a change writes.
type generationRows struct {
	change      domain.GenerationChange
	generation  sqlcgen.CommitGenerationParams
	usage       []sqlcgen.InsertUsageRecordParams
	reservation string // that ends; empty: none
}

func generationChangeToRows(change domain.GenerationChange) (*generationRows, error) {
	id, _ := domain.ParseID(change.Generation.ID)
	c, err := change.Tidy()
	if err != nil {
		return nil, err
	}
	g, rows := c.Generation, &generationRows{change: c}
	rows.generation = sqlcgen.CommitGenerationParams{
		ID: id, Version: int64(g.Version), Runner: c.Runner, Status: string(g.Status), Progress: int64(g.Progress), Message: g.Message,
		Error: g.Error, ErrorCode: g.ErrorCode, BaseID: g.BaseID, AssetID: g.AssetID, Source: string(g.Source), Cost: int64(g.Cost),
		Reserved: int64(g.Reserved), ReservationID: g.ReservationID, HttpRequestID: g.HTTPRequestID, UpdatedAt: asStored(g.UpdatedAt),
		CompletedAt: timeOrNull(g.CompletedAt), Events: int64(len(c.Events)),
	}
	generators, err := domain.StoredOffers(g.Generators)
	if err != nil {
		return nil, err
	}
	attempts, err := domain.StoredAttempts(g.Attempts)
	if err != nil {
		return nil, err
	}
	rows.generation.Generators, rows.generation.Attempts = string(generators), string(attempts)
	for _, r := range c.Usage {
		row, err := usageToRow(r)
		if err != nil {
			return nil, err
		}
		rows.usage = append(rows.usage, row)
	}
	if g.Status.Ended() && g.ReservationID != "" {
		var ok bool
		if rows.reservation, ok = domain.ParseID(g.ReservationID); !ok {
			return nil, fmt.Errorf("reservation: %q is no id", g.ReservationID)
		}
	}
	return rows, nil
}

// size is how many bytes of text there are, about.
func (r *generationRows) size() int {
	n := len(r.generation.Attempts) + len(r.generation.Message) + len(r.generation.Error)
	if a := r.change.Asset; a != nil {
		n += len(a.Title) + len(a.Description)
	}
	return n
}

// write may run several times, in transactions of which one is committed.
func (r *generationRows) write(ctx context.Context, q *sqlcgen.Queries) (version int, err error) {
	g, err := q.CommitGeneration(ctx, r.generation)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, generationRefusal(ctx, q, r.generation.ID, domain.GenerationClaimed())
	}
	if err != nil {
		return 0, err
	}
	request, err := domain.AssetRequestFromStored([]byte(g.Request))
	if err != nil {
		return 0, fmt.Errorf("generation %s: %w", r.generation.ID, err)
	}
	if r.change.Asset != nil {
		if err := insertAsset(ctx, q, *r.change.Asset); err != nil {
			return 0, err
		}
	}
	if err := endLeases(ctx, q, r.change.Abandoned, r.change.Generation.UpdatedAt); err != nil {
		return 0, err
	}
	if err := putGenerationTasks(ctx, q, r.generation.ID, r.change.Generation.Tasks()); err != nil {
		return 0, err
	}
	err = putGenerationEvents(ctx, q, generationEvents{
		r.generation.ID, g.Owner, request.Category, r.generation.AssetID, g.LastEvent, r.change.Events,
	})
	if err != nil {
		return 0, err
	}
	return int(g.Version), r.settle(ctx, q, g.Owner, timeFrom(g.CreatedAt))
}

// settle writes the usage down, tells about it and counts what it cost. It ends the reservation of work that has ended.
func (r *generationRows) settle(ctx context.Context, q *sqlcgen.Queries, owner string, created time.Time) error {
	var cost domain.Money
	for i, row := range r.usage {
		n, err := q.InsertUsageRecord(ctx, row)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if !row.Claimed {
			cost = cost.Plus(r.change.Usage[i].Cost)
		}
		if err := storeEvent(ctx, q, r.change.Usage[i].Recorded()); err != nil {
			return err
		}
	}
	if cost != 0 {
		if err := q.SpendBudget(ctx, sqlcgen.SpendBudgetParams{Cost: int64(cost), Principal: owner, Day: dateOf(created)}); err != nil {
			return err
		}
	}
	if r.reservation == "" {
		return nil
	}
	return q.EndReservation(ctx, r.reservation)
}

// putGenerationTasks remembers whose tasks they are.
func putGenerationTasks(ctx context.Context, q *sqlcgen.Queries, id string, attempts []domain.GenerationAttempt) error {
	for _, a := range attempts {
		err := q.PutGenerationTask(ctx, sqlcgen.PutGenerationTaskParams{Generator: a.Generator, TaskID: a.TaskID, GenerationID: id})
		if err != nil {
			return err
		}
	}
	return nil
}

// generationEvents are events of one work, the last of which has the number last.
type generationEvents struct {
	generation string
	owner      string
	category   domain.AssetCategory
	assetID    string
	last       int64
	events     []domain.GenerationEvent
}

// putGenerationEvents writes events, and tells about them.
func putGenerationEvents(ctx context.Context, q *sqlcgen.Queries, r generationEvents) error {
	for i, e := range r.events {
		id, ok := domain.ParseID(e.ID)
		if !ok {
			return fmt.Errorf("event: %q is no id", e.ID)
		}
		e.GenerationID, e.Sequence = r.generation, int(r.last)-len(r.events)+i+1
		details, err := domain.StoredJSON(e.Details)
		if err != nil {
			return err
		}
		err = q.PutGenerationEvent(ctx, sqlcgen.PutGenerationEventParams{
			GenerationID: r.generation, Sequence: int64(e.Sequence), ID: id, Type: string(e.Type), Status: string(e.Status),
			Progress: int64(e.Progress), Message: e.Message, At: asStored(e.At), Details: string(details),
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
	id, ok := domain.ParseID(e.ID)
	if !ok {
		return fmt.Errorf("event: %q is no id", e.ID)
	}
	payload, err := e.Data()
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	return q.StoreEvent(ctx, sqlcgen.StoreEventParams{ID: id, Subject: e.Subject, Payload: string(payload), Traceparent: traceOf(ctx), StoredAt: asStored(time.Now())})
}
