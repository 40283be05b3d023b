package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres/internal/sqlcgen"
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
		return domain.Generation{}, fmt.Errorf("postgres create generation: %w", err)
	}
	var made sqlcgen.Generation
	err = s.db.use(ctx, "create generation", func(ctx context.Context, conn *pgx.Conn) error {
		return transaction(ctx, conn, func(tx pgx.Tx) (err error) {
			made, err = createGeneration(ctx, tx, row, c)
			return err
		})
	})
	if err != nil {
		return domain.Generation{}, err
	}
	return generationFromRow(made)
}

func createGeneration(
	ctx context.Context, tx pgx.Tx, row sqlcgen.InsertGenerationParams, c domain.GenerationChange,
) (sqlcgen.Generation, error) {
	q, rest := sqlcgen.New(tx), &batch{}
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
	if err := holdReservation(ctx, rest, c.Generation); err != nil {
		return sqlcgen.Generation{}, err
	}
	queued := sqlcgen.New(rest)
	if err := putGenerationTasks(ctx, queued, row.ID, c.Generation.Tasks()); err != nil {
		return sqlcgen.Generation{}, err
	}
	err = putGenerationEvents(ctx, queued, generationEvents{
		row.ID, row.Owner, c.Generation.Request.Category, row.AssetID, len(c.Events), c.Events,
	})
	if err == nil && rest.queued.Len() > 0 {
		err = rest.run(ctx, tx.Conn())
	}
	if err != nil {
		return sqlcgen.Generation{}, err
	}
	return q.GetGeneration(ctx, row.ID)
}

// holdReservation queues that what is set aside for the work needs nobody who renews it.
func holdReservation(ctx context.Context, rest *batch, g domain.Generation) error {
	if g.ReservationID == "" || g.Status.Ended() {
		return nil
	}
	id, err := parseID(g.ReservationID)
	if err != nil {
		return fmt.Errorf("reservation: %w", err)
	}
	_ = sqlcgen.New(rest).HoldReservation(ctx, sqlcgen.HoldReservationParams{ID: id, Lease: g.ReservedFor().Microseconds()})
	rest.changes(domain.ReservationLapsed())
	return nil
}

// Get implements ports.GenerationStore.
func (s *GenerationStore) Get(ctx context.Context, owner, id string) (domain.Generation, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.Generation{}, domain.GenerationNotFound()
	}
	var row sqlcgen.Generation
	err = s.db.read(ctx, "get generation", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = ownedGeneration(ctx, q, owner, key)
		return err
	})
	if err != nil {
		return domain.Generation{}, err
	}
	return generationFromRow(row)
}

func ownedGeneration(ctx context.Context, q *sqlcgen.Queries, owner string, id uuid.UUID) (sqlcgen.Generation, error) {
	row, err := q.GetGeneration(ctx, id)
	if noRow(err) || err == nil && row.Owner != owner {
		err = domain.GenerationNotFound()
	}
	return row, err
}

// ByKey implements ports.GenerationStore.
func (s *GenerationStore) ByKey(ctx context.Context, owner, key string) (domain.Generation, error) {
	var row sqlcgen.Generation
	err := s.db.read(ctx, "get generation by key", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.GetGenerationByKey(ctx, sqlcgen.GetGenerationByKeyParams{Owner: owner, IdempotencyKey: orNull(key)})
		if noRow(err) {
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
	key, err := parseID(id)
	if err != nil {
		return nil, domain.Generation{}, domain.GenerationNotFound()
	}
	var (
		row  sqlcgen.Generation
		rows []sqlcgen.GenerationEvent
	)
	err = s.db.read(ctx, "list generation events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		// The work first: what has ended has all its events.
		if row, err = ownedGeneration(ctx, q, owner, key); err != nil {
			return err
		}
		rows, err = q.ListGenerationEvents(ctx, sqlcgen.ListGenerationEventsParams{
			GenerationID: key, After: int64(after), MaxEvents: atMost(max(limit, 0)),
		})
		return err
	})
	if err != nil {
		return nil, domain.Generation{}, err
	}
	list := make([]domain.GenerationEvent, len(rows))
	for i, r := range rows {
		list[i] = domain.GenerationEvent{
			ID: r.ID.String(), GenerationID: r.GenerationID.String(), Sequence: int(r.Sequence), Type: domain.GenerationEventType(r.Type),
			Status: domain.GenerationStatus(r.Status), Progress: int(r.Progress), Message: r.Message, At: r.At.UTC(),
		}
		if list[i].Details, err = domain.MapFromStored(r.Details); err != nil {
			return nil, domain.Generation{}, fmt.Errorf("postgres list generation events: %s: %w", r.ID, err)
		}
	}
	g, err := generationFromRow(row)
	return list, g, err
}

// ByTask implements ports.GenerationStore.
func (s *GenerationStore) ByTask(ctx context.Context, generator, taskID string) (string, error) {
	var id uuid.UUID
	err := s.db.read(ctx, "find generation task", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		id, err = q.FindGenerationTask(ctx, sqlcgen.FindGenerationTaskParams{Generator: generator, TaskID: taskID})
		if noRow(err) {
			return domain.GenerationNotFound()
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// Waiting implements ports.GenerationStore.
func (s *GenerationStore) Waiting(ctx context.Context, now time.Time, limit int) ([]string, error) {
	var rows []uuid.UUID
	err := s.db.read(ctx, "list waiting generations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.ListWaitingGenerations(ctx, sqlcgen.ListWaitingGenerationsParams{
			Now: asStored(now), MaxGenerations: atMost(max(limit, 0)),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, id := range rows {
		ids[i] = id.String()
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
		err := s.db.once(ctx, "expire generations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
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
	id, err := parseID(g.ID)
	if err != nil {
		return row, err
	}
	if !g.Status.Ended() {
		g.Status = domain.GenerationPending
	}
	row = sqlcgen.InsertGenerationParams{
		ID: id, Owner: g.Principal.OwnerID(), Status: string(g.Status), Progress: atMost(g.Progress), Message: g.Message, Error: g.Error,
		ErrorCode: g.ErrorCode, BaseID: g.BaseID, AssetID: g.AssetID, Source: string(g.Source), Cost: int64(g.Cost),
		Reserved: int64(g.Reserved), ReservationID: g.ReservationID, HttpRequestID: g.HTTPRequestID, IdempotencyKey: orNull(g.Key),
		Fingerprint: g.Fingerprint, Deadline: asStored(g.Deadline), CreatedAt: asStored(g.CreatedAt), UpdatedAt: asStored(g.UpdatedAt),
		CompletedAt: timeOrNull(g.CompletedAt), LastEvent: atMost(events), Traceparent: orNull(g.Trace),
	}
	if row.Principal, err = domain.StoredPrincipal(g.Principal); err != nil {
		return row, err
	}
	if row.Request, err = domain.StoredAssetRequest(g.Request); err != nil {
		return row, err
	}
	if row.Generators, err = domain.StoredOffers(g.Generators); err != nil {
		return row, err
	}
	row.Attempts, err = domain.StoredAttempts(g.Attempts)
	return row, err
}

func generationFromRow(r sqlcgen.Generation) (domain.Generation, error) {
	g := domain.Generation{
		ID: r.ID.String(), Status: domain.GenerationStatus(r.Status), Version: int(r.Version), Progress: int(r.Progress),
		Message: r.Message, Error: r.Error, ErrorCode: r.ErrorCode, BaseID: r.BaseID, AssetID: r.AssetID,
		Source: domain.AssetSource(r.Source), Cost: domain.Money(r.Cost), Reserved: domain.Money(r.Reserved),
		ReservationID: r.ReservationID, HTTPRequestID: r.HttpRequestID, Key: orEmpty(r.IdempotencyKey), Fingerprint: r.Fingerprint, Trace: orEmpty(r.Traceparent),
		Deadline: r.Deadline.UTC(), CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), CompletedAt: timeOrZero(r.CompletedAt),
	}
	var err error
	if g.Principal, err = domain.PrincipalFromStored(r.Principal); err == nil {
		g.Request, err = domain.AssetRequestFromStored(r.Request)
	}
	if err == nil {
		g.Generators, err = domain.OffersFromStored(r.Generators)
	}
	if err == nil {
		g.Attempts, err = domain.AttemptsFromStored(r.Attempts)
	}
	if err != nil {
		return domain.Generation{}, fmt.Errorf("postgres: generation %s: %w", r.ID, err)
	}
	return g, nil
}
