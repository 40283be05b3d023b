package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.AuditLog = (*AuditLog)(nil)

// AuditLog keeps what happened about identity.
type AuditLog struct{ db *Store }

// Audit returns the log of what happened about identity.
func (s *Store) Audit() *AuditLog { return &AuditLog{db: s} }

// Record implements ports.AuditLog.
func (a *AuditLog) Record(ctx context.Context, entries ...domain.AuditEntry) error {
	b := &batch{}
	if err := recordAudit(ctx, sqlcgen.New(b), entries...); err != nil {
		return fmt.Errorf("postgres record audit: %w", err)
	}
	if b.queued.Len() == 0 {
		return nil
	}
	return a.db.use(ctx, "record audit", b.run)
}

// recordAudit adds entries, and the events that tell about them, to the transaction or batch of q.
func recordAudit(ctx context.Context, q *sqlcgen.Queries, entries ...domain.AuditEntry) error {
	for _, e := range entries {
		row, err := auditToRow(ctx, e)
		if err != nil {
			return fmt.Errorf("audit entry: %w", err)
		}
		if err := q.RecordAudit(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

func auditToRow(ctx context.Context, e domain.AuditEntry) (sqlcgen.RecordAuditParams, error) {
	id, err := parseID(e.ID)
	if err != nil {
		return sqlcgen.RecordAuditParams{}, err
	}
	e = e.Tidy()
	details, err := json.Marshal(e.Details)
	if err != nil {
		return sqlcgen.RecordAuditParams{}, err
	}
	event := e.Event()
	payload, err := event.Data()
	return sqlcgen.RecordAuditParams{
		ID: id, At: asStored(e.At), Action: string(e.Action), Principal: e.Principal, Subject: e.Subject, Address: e.Address,
		RequestID: e.RequestID, Details: details, EventSubject: event.Subject, EventPayload: payload,
		Traceparent: traceOf(ctx),
	}, err
}

// Recent implements ports.AuditLog.
func (a *AuditLog) Recent(ctx context.Context, since time.Time, limit int) ([]domain.AuditEntry, error) {
	var rows []sqlcgen.AuditLog
	err := a.db.read(ctx, "list audit", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.ListAudit(ctx, sqlcgen.ListAuditParams{Since: asStored(since), MaxEntries: int32(min(max(limit, 0), math.MaxInt32))})
		return err
	})
	if err != nil {
		return nil, err
	}
	entries := make([]domain.AuditEntry, len(rows))
	for i, row := range rows {
		if entries[i], err = auditFromRow(row); err != nil {
			return nil, fmt.Errorf("postgres list audit: %s: %w", row.ID, err)
		}
	}
	return entries, nil
}

func auditFromRow(row sqlcgen.AuditLog) (domain.AuditEntry, error) {
	e := domain.AuditEntry{
		ID: row.ID.String(), At: asStored(row.At), Action: domain.AuditAction(row.Action), Principal: row.Principal, Subject: row.Subject,
		Address: row.Address, RequestID: row.RequestID,
	}
	return e, json.Unmarshal(row.Details, &e.Details)
}

// Expire implements ports.AuditLog.
func (a *AuditLog) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var rows int64
		err := a.db.once(ctx, "expire audit", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			rows, err = q.ExpireAudit(ctx, sqlcgen.ExpireAuditParams{Before: asStored(before), MaxEntries: expireBatch})
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
