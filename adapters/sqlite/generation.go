package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.GenerationStore = (*GenerationStore)(nil)

// GenerationStore keeps the work on assets.
type GenerationStore struct{ db *Store }

// Generations returns the store of the work on assets.
func (s *Store) Generations() *GenerationStore { return &GenerationStore{db: s} }

// Create implements ports.GenerationStore.
func (s *GenerationStore) Create(ctx context.Context, g domain.Generation, events ...domain.GenerationEvent) (domain.Generation, error) {
	c, err := domain.GenerationChange{Generation: g, Events: events}.Tidy()
	if err != nil {
		return domain.Generation{}, err
	}
	row, err := generationToRow(c.Generation, len(events))
	if err != nil {
		return domain.Generation{}, fmt.Errorf("sqlite create generation: %w", err)
	}
	var made sqlcgen.Generation
	err = s.db.writeTexts(ctx, "create generation", len(row.Request), func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		made, err = createGeneration(ctx, q, row, c)
		return err
	})
	if err != nil {
		return domain.Generation{}, err
	}
	return generationFromRow(made)
}

func createGeneration(
	ctx context.Context, q *sqlcgen.Queries, row sqlcgen.InsertGenerationParams, c domain.GenerationChange,
) (sqlcgen.Generation, error) {
	n, err := q.InsertGeneration(ctx, row)
	if err != nil {
		return sqlcgen.Generation{}, err
	}
	if n == 0 {
		made, err := q.GetGenerationByKey(ctx, sqlcgen.GetGenerationByKeyParams{Owner: row.Owner, IdempotencyKey: row.IdempotencyKey})
		if err == nil && made.Fingerprint != row.Fingerprint {
			err = domain.GenerationKeyReused()
		}
		return made, err
	}
	if err := holdReservation(ctx, q, c.Generation); err != nil {
		return sqlcgen.Generation{}, err
	}
	if err := putGenerationTasks(ctx, q, row.ID, c.Generation.Tasks()); err != nil {
		return sqlcgen.Generation{}, err
	}
	err = putGenerationEvents(ctx, q, generationEvents{
		row.ID, row.Owner, c.Generation.Request.Category, row.AssetID, int64(len(c.Events)), c.Events,
	})
	if err != nil {
		return sqlcgen.Generation{}, err
	}
	return q.GetGeneration(ctx, row.ID)
}

// holdReservation has what is set aside for the work need nobody who renews it.
func holdReservation(ctx context.Context, q *sqlcgen.Queries, g domain.Generation) error {
	if g.ReservationID == "" || g.Status.Ended() {
		return nil
	}
	id, ok := domain.ParseID(g.ReservationID)
	if !ok {
		return fmt.Errorf("reservation: %q is no id", g.ReservationID)
	}
	n, err := q.HoldReservation(ctx, sqlcgen.HoldReservationParams{ID: id, ExpiresAt: asStored(time.Now().Add(g.ReservedFor()))})
	if err == nil && n == 0 {
		err = domain.ReservationLapsed()
	}
	return err
}

// Get implements ports.GenerationStore.
func (s *GenerationStore) Get(ctx context.Context, owner, id string) (domain.Generation, error) {
	key, _ := domain.ParseID(id)
	var row sqlcgen.Generation
	err := s.db.read(ctx, "get generation", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = ownedGeneration(ctx, q, owner, key)
		return err
	})
	if err != nil {
		return domain.Generation{}, err
	}
	return generationFromRow(row)
}

func ownedGeneration(ctx context.Context, q *sqlcgen.Queries, owner string, id string) (sqlcgen.Generation, error) {
	row, err := q.GetGeneration(ctx, id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && row.Owner != owner {
		err = domain.GenerationNotFound()
	}
	return row, err
}

// ByKey implements ports.GenerationStore.
func (s *GenerationStore) ByKey(ctx context.Context, owner, key string) (domain.Generation, error) {
	var row sqlcgen.Generation
	err := s.db.read(ctx, "get generation by key", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.GetGenerationByKey(ctx, sqlcgen.GetGenerationByKeyParams{Owner: owner, IdempotencyKey: orNull(key)})
		if errors.Is(err, sql.ErrNoRows) {
			err = domain.GenerationNotFound()
		}
		return err
	})
	if err != nil {
		return domain.Generation{}, err
	}
	return generationFromRow(row)
}

// Open implements ports.GenerationStore.
func (s *GenerationStore) Open(ctx context.Context, owner string) (int, error) {
	var open int64
	err := s.db.read(ctx, "count open generations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		open, err = q.CountOpenGenerations(ctx, owner)
		return err
	})
	return int(open), err
}

// Events implements ports.GenerationStore.
func (s *GenerationStore) Events(
	ctx context.Context, owner, id string, after, limit int,
) ([]domain.GenerationEvent, domain.Generation, error) {
	key, _ := domain.ParseID(id)
	var (
		row  sqlcgen.Generation
		rows []sqlcgen.GenerationEvent
	)
	err := s.db.read(ctx, "list generation events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		// The work first: what has ended has all its events.
		if row, err = ownedGeneration(ctx, q, owner, key); err != nil {
			return err
		}
		rows, err = q.ListGenerationEvents(ctx, sqlcgen.ListGenerationEventsParams{
			GenerationID: key, After: int64(after), MaxEvents: int64(max(limit, 0)),
		})
		return err
	})
	if err != nil {
		return nil, domain.Generation{}, err
	}
	list := make([]domain.GenerationEvent, len(rows))
	for i, r := range rows {
		list[i] = domain.GenerationEvent{
			ID: r.ID, GenerationID: r.GenerationID, Sequence: int(r.Sequence), Type: domain.GenerationEventType(r.Type),
			Status: domain.GenerationStatus(r.Status), Progress: int(r.Progress), Message: r.Message, At: timeFrom(r.At),
		}
		if list[i].Details, err = domain.MapFromStored([]byte(r.Details)); err != nil {
			return nil, domain.Generation{}, fmt.Errorf("sqlite list generation events: %s: %w", r.ID, err)
		}
	}
	g, err := generationFromRow(row)
	return list, g, err
}

// ByTask implements ports.GenerationStore.
func (s *GenerationStore) ByTask(ctx context.Context, generator, taskID string) (string, error) {
	var id string
	err := s.db.read(ctx, "find generation task", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		id, err = q.FindGenerationTask(ctx, sqlcgen.FindGenerationTaskParams{Generator: generator, TaskID: taskID})
		if errors.Is(err, sql.ErrNoRows) {
			return domain.GenerationNotFound()
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// Waiting implements ports.GenerationStore.
func (s *GenerationStore) Waiting(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	err = s.db.read(ctx, "list waiting generations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		ids, err = q.ListWaitingGenerations(ctx, sqlcgen.ListWaitingGenerationsParams{Now: asStored(now), MaxGenerations: int64(max(limit, 0))})
		return err
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// expireGenerations bounds what one transaction forgets: work may have many events.
const expireGenerations = 200

// Expire implements ports.GenerationStore.
func (s *GenerationStore) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var rows int64
		err := s.db.write(ctx, "expire generations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			rows, err = q.ExpireGenerations(ctx, sqlcgen.ExpireGenerationsParams{
				Before: asStored(before), MaxGenerations: expireGenerations,
			})
			return err
		})
		if err != nil {
			return total, err
		}
		total += int(rows)
		if rows < expireGenerations {
			return total, nil
		}
	}
}

// generationToRow makes a row of new, tidy work.
func generationToRow(g domain.Generation, events int) (row sqlcgen.InsertGenerationParams, err error) {
	id, ok := domain.ParseID(g.ID)
	if !ok {
		return row, fmt.Errorf("%q is no id", g.ID)
	}
	if !g.Status.Ended() {
		g.Status = domain.GenerationPending
	}
	row = sqlcgen.InsertGenerationParams{
		ID: id, Owner: g.Principal.OwnerID(), Status: string(g.Status), Progress: int64(g.Progress), Message: g.Message, Error: g.Error,
		ErrorCode: g.ErrorCode, BaseID: g.BaseID, AssetID: g.AssetID, Source: string(g.Source), Cost: int64(g.Cost),
		Reserved: int64(g.Reserved), ReservationID: g.ReservationID, HttpRequestID: g.HTTPRequestID, IdempotencyKey: orNull(g.Key),
		Fingerprint: g.Fingerprint, Deadline: asStored(g.Deadline), CreatedAt: asStored(g.CreatedAt), UpdatedAt: asStored(g.UpdatedAt),
		CompletedAt: timeOrNull(g.CompletedAt), LastEvent: int64(events), Traceparent: orNull(g.Trace),
	}
	var texts [4][]byte
	if texts[0], err = domain.StoredPrincipal(g.Principal); err != nil {
		return row, err
	}
	if texts[1], err = domain.StoredAssetRequest(g.Request); err != nil {
		return row, err
	}
	if texts[2], err = domain.StoredOffers(g.Generators); err != nil {
		return row, err
	}
	texts[3], err = domain.StoredAttempts(g.Attempts)
	row.Principal, row.Request, row.Generators, row.Attempts = string(texts[0]), string(texts[1]), string(texts[2]), string(texts[3])
	return row, err
}

func generationFromRow(r sqlcgen.Generation) (domain.Generation, error) {
	g := domain.Generation{
		ID: r.ID, Status: domain.GenerationStatus(r.Status), Version: int(r.Version), Progress: int(r.Progress),
		Message: r.Message, Error: r.Error, ErrorCode: r.ErrorCode, BaseID: r.BaseID, AssetID: r.AssetID,
		Source: domain.AssetSource(r.Source), Cost: domain.Money(r.Cost), Reserved: domain.Money(r.Reserved),
		ReservationID: r.ReservationID, HTTPRequestID: r.HttpRequestID, Key: orEmpty(r.IdempotencyKey), Fingerprint: r.Fingerprint, Trace: orEmpty(r.Traceparent),
		Deadline: timeFrom(r.Deadline), CreatedAt: timeFrom(r.CreatedAt), UpdatedAt: timeFrom(r.UpdatedAt), CompletedAt: timeOrZero(r.CompletedAt),
	}
	var err error
	if g.Principal, err = domain.PrincipalFromStored([]byte(r.Principal)); err == nil {
		g.Request, err = domain.AssetRequestFromStored([]byte(r.Request))
	}
	if err == nil {
		g.Generators, err = domain.OffersFromStored([]byte(r.Generators))
	}
	if err == nil {
		g.Attempts, err = domain.AttemptsFromStored([]byte(r.Attempts))
	}
	if err != nil {
		return domain.Generation{}, fmt.Errorf("sqlite: generation %s: %w", r.ID, err)
	}
	return g, nil
}
