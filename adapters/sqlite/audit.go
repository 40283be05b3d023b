package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
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
	if len(entries) == 0 {
		return ctx.Err()
	}
	return a.db.writeTogether(ctx, "record audit", func(ctx context.Context, q *sqlcgen.Queries) error {
		return recordAudit(ctx, q, entries...)
	})
}

// recordAudit adds entries, and the events that tell about them, to the transaction of q.
func recordAudit(ctx context.Context, q *sqlcgen.Queries, entries ...domain.AuditEntry) error {
	for _, e := range entries {
		row, event, err := auditToRows(e)
		if err != nil {
			return fmt.Errorf("audit entry: %w", err)
		}
		added, err := q.RecordAudit(ctx, row)
		if err == nil && added == 1 {
			event.Traceparent, event.StoredAt = traceOf(ctx), asStored(time.Now())
			err = q.StoreEvent(ctx, event)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func auditToRows(e domain.AuditEntry) (row sqlcgen.RecordAuditParams, event sqlcgen.StoreEventParams, err error) {
	id, ok := domain.ParseID(e.ID)
	if !ok {
		return row, event, fmt.Errorf("%q is no id", e.ID)
	}
	e = e.Tidy()
	details, err := json.Marshal(e.Details)
	if err != nil {
		return row, event, err
	}
	told := e.Event()
	payload, err := told.Data()
	row = sqlcgen.RecordAuditParams{
		ID: id, At: asStored(e.At), Action: string(e.Action), Principal: e.Principal, Subject: e.Subject, Address: e.Address,
		RequestID: e.RequestID, Details: string(details),
	}
	return row, sqlcgen.StoreEventParams{ID: id, Subject: told.Subject, Payload: string(payload)}, err
}

// Recent implements ports.AuditLog.
func (a *AuditLog) Recent(ctx context.Context, since time.Time, limit int) ([]domain.AuditEntry, error) {
	var rows []sqlcgen.AuditLog
	err := a.db.read(ctx, "list audit", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.ListAudit(ctx, sqlcgen.ListAuditParams{Since: asStored(since), MaxEntries: int64(max(limit, 0))})
		return err
	})
	if err != nil {
		return nil, err
	}
	entries := make([]domain.AuditEntry, len(rows))
	for i, row := range rows {
		if entries[i], err = auditFromRow(row); err != nil {
			return nil, fmt.Errorf("sqlite list audit: %s: %w", row.ID, err)
		}
	}
	return entries, nil
}

func auditFromRow(row sqlcgen.AuditLog) (domain.AuditEntry, error) {
	e := domain.AuditEntry{
		ID: row.ID, At: timeFrom(row.At), Action: domain.AuditAction(row.Action), Principal: row.Principal, Subject: row.Subject,
		Address: row.Address, RequestID: row.RequestID,
	}
	return e, json.Unmarshal([]byte(row.Details), &e.Details)
}

// Expire implements ports.AuditLog.
func (a *AuditLog) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var rows int64
		err := a.db.write(ctx, "expire audit", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
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
