package postgres_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres"
	"gaia/domain"
)

// lastUse is when the newest of the records was written that fillLedger makes, one each minute.
var lastUse = time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)

const usesOfAll = 100_000 // of a hundred owners, so one owner has 432 in a month

func fillLedger(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	exec(t, conn, `INSERT INTO usage_ledger
		SELECT (substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7' || substr(md5(n::text), 1, 3) || '-8' || substr(md5(n::text), 4, 3)
			|| '-' || substr(md5(n::text), 7, 12))::uuid,
			1, 'http-' || n, 'owner ' || n % 100, at, 'text_completion', 'openai', 'gpt-4o', n % 10 = 0, 'completed', '',
			100, 200, 0, 0, 0, 'provider', 0, 0, 0, '', 1000, '1', false, 1, 1, 1, 1, 1, 1, 1
		FROM (SELECT n, at, lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS ms
			FROM (SELECT n, $1::timestamptz - n * interval '1 minute' AS at FROM generate_series(0, $2::int - 1) AS n) AS times) AS uses`,
		lastUse, usesOfAll)
	exec(t, conn, `VACUUM ANALYZE usage_ledger`)
}

func TestLedgerReadsWhatItNeedsOf100000Records(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	conn := connect(t, url)
	fillLedger(t, conn)
	month := time.Date(2025, 4, 1, 0, 0, 0, 0, time.UTC)
	firstID := func(since time.Time) uuid.UUID {
		return uuid.MustParse(domain.FirstID(since.Add(-domain.MaxRequestAge)))
	}
	hourAgo, ever := lastUse.Add(-time.Hour), time.Time{}
	cases := map[string]struct {
		query func(*postgres.Ledger) error
		args  []any
		index string
		rows  int // that may be read
	}{
		"a month of one owner": {
			func(l *postgres.Ledger) error {
				_, err := l.Totals(t.Context(), "owner 7", month, month.AddDate(0, 1, 0))
				return err
			},
			[]any{"owner 7", month, month.AddDate(0, 1, 0)}, "idx_usage_ledger_principal", 432,
		},
		"the newest of one owner": {
			func(l *postgres.Ledger) error { _, err := l.Recent(t.Context(), "owner 7", ever, 50); return err },
			[]any{"owner 7", ever, 50}, "idx_usage_ledger_principal", 70,
		},
		"the newest of all": {
			func(l *postgres.Ledger) error { _, err := l.Recent(t.Context(), "", ever, 1000); return err },
			[]any{firstID(ever), ever, 1000}, "usage_ledger_pkey", 1200,
		},
		"the newest of all since an hour": {
			func(l *postgres.Ledger) error { _, err := l.Recent(t.Context(), "", hourAgo, 1000); return err },
			[]any{firstID(hourAgo), hourAgo, 1000}, "usage_ledger_pkey", 122,
		},
		"how many of all since an hour": {
			func(l *postgres.Ledger) error { _, _, err := l.CountSince(t.Context(), hourAgo, 100_000); return err },
			[]any{firstID(hourAgo), hourAgo, 100_000}, "usage_ledger_pkey", 122,
		},
	}
	for name, c := range cases {
		statement := traced(t, url, "FROM usage_ledger", func(s *postgres.Store) {
			if err := c.query(s.Ledger()); err != nil {
				t.Fatal(err)
			}
		})
		plan := explain(t, conn, statement, c.args...)
		if !strings.Contains(plan, c.index) || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s: the plan does not use %s:\n%s", name, c.index, plan)
		}
		if got := rowsRead(t, plan); got > c.rows {
			t.Errorf("%s: %d rows are read, want at most %d:\n%s", name, got, c.rows, plan)
		}
	}
}

var (
	scanned = regexp.MustCompile(`Scan .*\bon usage_ledger\b.*\(actual rows=([0-9.]+) loops=1\)`)
	dropped = regexp.MustCompile(`Rows Removed by Filter: ([0-9]+)`)
)

// rowsRead counts the rows that scans of a plan returned or dropped.
func rowsRead(t *testing.T, plan string) int {
	t.Helper()
	total := 0.0
	found := append(scanned.FindAllStringSubmatch(plan, -1), dropped.FindAllStringSubmatch(plan, -1)...)
	for _, match := range found {
		n, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if len(found) == 0 {
		t.Fatalf("no scan in this plan:\n%s", plan)
	}
	return int(total)
}
