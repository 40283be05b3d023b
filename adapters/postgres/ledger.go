package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.Ledger = (*Ledger)(nil)

// Ledger keeps what was used.
type Ledger struct{ db *Store }

// Ledger returns the store of what was used.
func (s *Store) Ledger() *Ledger { return &Ledger{db: s} }

// Append implements ports.Ledger.
func (l *Ledger) Append(ctx context.Context, records ...domain.UsageRecord) error {
	rows := make([]sqlcgen.InsertUsageRecordParams, len(records))
	for i, r := range records {
		row, err := usageToRow(r)
		if err != nil {
			return fmt.Errorf("postgres append usage: %w", err)
		}
		rows[i] = row
	}
	return l.db.write(ctx, "append usage", func(ctx context.Context, q *sqlcgen.Queries) error {
		for _, row := range rows {
			if _, err := q.InsertUsageRecord(ctx, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// Totals implements ports.Ledger.
func (l *Ledger) Totals(ctx context.Context, owner string, from, to time.Time) ([]domain.UsageTotal, error) {
	var rows []sqlcgen.SumUsageRow
	err := l.db.read(ctx, "sum usage", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.SumUsage(ctx, sqlcgen.SumUsageParams{Principal: owner, First: notBefore(from), Past: notBefore(to)})
		return err
	})
	if err != nil {
		return nil, err
	}
	totals := make([]domain.UsageTotal, len(rows))
	for i, r := range rows {
		totals[i] = domain.UsageTotal{
			Day: r.Day.UTC(), Provider: r.Provider, Operation: r.Operation, Quality: r.Quality, Claimed: r.Claimed,
			Requests: r.Requests, InputTokens: r.InputTokens, OutputTokens: r.OutputTokens,
			Images: r.Images, Models3D: r.Models3d, Credits: r.Credits, Cost: domain.Money(r.Cost),
		}
	}
	return totals, nil
}

// Recent implements ports.Ledger.
func (l *Ledger) Recent(ctx context.Context, owner string, since time.Time, limit int) ([]domain.UsageRecord, error) {
	var rows []sqlcgen.UsageLedger
	err := l.db.read(ctx, "list usage", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if owner != "" {
			rows, err = q.ListRecentUsageOf(ctx, sqlcgen.ListRecentUsageOfParams{
				Principal: owner, Since: notBefore(since), MaxRecords: atMost(limit),
			})
			return err
		}
		rows, err = q.ListRecentUsage(ctx, sqlcgen.ListRecentUsageParams{
			FirstID: firstIDSince(since), Since: notBefore(since), MaxRecords: atMost(limit),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	records := make([]domain.UsageRecord, len(rows))
	for i, row := range rows {
		records[i] = usageFromRow(row)
	}
	return records, nil
}

// CountSince implements ports.Ledger.
func (l *Ledger) CountSince(ctx context.Context, since time.Time, limit int) (n int, first time.Time, err error) {
	var row sqlcgen.CountUsageRow
	err = l.db.read(ctx, "count usage", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.CountUsage(ctx, sqlcgen.CountUsageParams{
			FirstID: firstIDSince(since), Since: notBefore(since), MaxRecords: atMost(limit),
		})
		return err
	})
	if err != nil || row.Requests == 0 {
		return 0, time.Time{}, err
	}
	return int(row.Requests), asStored(row.FirstAt), nil
}

// firstIDSince is where records with At >= since begin in the order of ids.
func firstIDSince(since time.Time) uuid.UUID {
	return uuid.MustParse(domain.FirstID(since.Add(-domain.MaxRequestAge)))
}

// notBefore is the first stored time that is not before t, which asStored would round down.
func notBefore(t time.Time) time.Time { return asStored(t.Add(time.Microsecond - time.Nanosecond)) }

func atMost(limit int) int32 { return int32(min(limit, math.MaxInt32)) } // #nosec G115 -- callers have refused what is below 0

func usageToRow(r domain.UsageRecord) (sqlcgen.InsertUsageRecordParams, error) {
	id, err := parseID(r.RequestID)
	if err != nil {
		return sqlcgen.InsertUsageRecordParams{}, fmt.Errorf("usage record: %w", err)
	}
	return sqlcgen.InsertUsageRecordParams{
		// #nosec G115 -- attempts are counted from 1
		RequestID: id, Attempt: int32(min(r.Attempt, math.MaxInt32)), HttpRequestID: r.HTTPRequestID, Principal: r.Owner,
		CreatedAt: asStored(r.At), Operation: r.Operation, Provider: r.Provider, Model: r.Model, Claimed: r.Claimed,
		Outcome: string(r.Outcome), Failure: r.Failure,
		InputTokens: int64(r.Usage.Input), OutputTokens: int64(r.Usage.Output), CachedTokens: int64(r.Usage.CachedInput),
		CacheWriteTokens: int64(r.Usage.CacheWrite), ReasoningTokens: int64(r.Usage.Reasoning), UsageSource: string(r.Usage.Source),
		Images: int64(r.Images), Models3d: int64(r.Models3D), Credits: int64(r.Credits), Quality: r.Quality,
		Cost: int64(r.Cost), PriceVersion: r.PriceVersion, Streamed: r.Streamed,
		Authentication: r.Timings.Authentication.Microseconds(), Validation: r.Timings.Validation.Microseconds(),
		Selection: r.Timings.Selection.Microseconds(), StreamSetup: r.Timings.StreamSetup.Microseconds(),
		FirstToken: r.Timings.FirstToken.Microseconds(), ProviderTime: r.Timings.Provider.Microseconds(),
		Processing: r.Timings.Processing.Microseconds(),
	}, nil
}

func usageFromRow(r sqlcgen.UsageLedger) domain.UsageRecord {
	return domain.UsageRecord{
		RequestID: r.RequestID.String(), Attempt: int(r.Attempt), HTTPRequestID: r.HttpRequestID, Owner: r.Principal,
		At: asStored(r.CreatedAt), Operation: r.Operation, Provider: r.Provider, Model: r.Model, Claimed: r.Claimed,
		Outcome: domain.Outcome(r.Outcome), Failure: r.Failure,
		Usage: domain.Usage{
			Input: int(r.InputTokens), Output: int(r.OutputTokens), CachedInput: int(r.CachedTokens),
			CacheWrite: int(r.CacheWriteTokens), Reasoning: int(r.ReasoningTokens), Source: domain.UsageSource(r.UsageSource),
		},
		Images: int(r.Images), Models3D: int(r.Models3d), Credits: int(r.Credits), Quality: r.Quality,
		Cost: domain.Money(r.Cost), PriceVersion: r.PriceVersion, Streamed: r.Streamed,
		Timings: domain.Timings{
			Authentication: micros(r.Authentication), Validation: micros(r.Validation), Selection: micros(r.Selection),
			StreamSetup: micros(r.StreamSetup), FirstToken: micros(r.FirstToken), Provider: micros(r.ProviderTime),
			Processing: micros(r.Processing),
		},
	}
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
