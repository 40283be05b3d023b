package portstest

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Ledger checks everything that ports.Ledger demands, except what calls cost and how a store that is away behaves: only its adapter can
// tell. empty makes a ledger without records and runs once for each test.
func Ledger(t *testing.T, empty func(*testing.T) ports.Ledger) {
	t.Helper()
	tests := map[string]func(*testing.T, ports.Ledger){
		"gives back what was appended":                       ledgerRoundTrip,
		"times come back in UTC with microseconds":           ledgerTimes,
		"a record that is there stays as it is":              ledgerTwice,
		"of racing records one stays":                        ledgerRace,
		"attempts of one request are records of their own":   ledgerAttempts,
		"Append writes all or none":                          ledgerAllOrNone,
		"text is saved as it is or refused":                  ledgerOddText,
		"Totals of nothing are none":                         ledgerNoTotals,
		"Totals sums by day in UTC":                          ledgerDays,
		"Totals includes its start and not its end":          ledgerRange,
		"Totals keeps apart what it groups by, in order":     ledgerGroups,
		"Totals counts what was answered or claimed":         ledgerRequests,
		"Totals are exact":                                   ledgerExact,
		"Totals end at the largest Money":                    ledgerLargest,
		"Totals are of one owner, letter by letter":          ledgerOwners,
		"Recent leaves out claims":                           ledgerRecentClaims,
		"Recent is newest first, at most as many as allowed": ledgerRecentOrder,
		"Recent of everybody is by the age of requests":      ledgerRecentEverybody,
		"Recent includes its start":                          ledgerRecentSince,
		"CountSince counts requests and finds the first":     ledgerCount,
		"a caller who left is told so and nothing is saved":  ledgerCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

// newIDAt makes a UUID of version 7.
func newIDAt(at time.Time) string {
	random := newID()
	return domain.FirstID(at)[:14] + "7" + random[15:]
}

func usedAt(at time.Time) domain.UsageRecord {
	return domain.UsageRecord{
		RequestID: newIDAt(at), Attempt: 1, HTTPRequestID: "http-1", Owner: "owner", At: at, Operation: domain.OperationCompletion,
		Provider: "openai", Model: "gpt-4o", Outcome: domain.OutcomeCompleted, Cost: 7,
		Usage: domain.Usage{Input: 10, Output: 20, Source: domain.UsageFromProvider},
	}
}

func edited(r domain.UsageRecord, edit func(*domain.UsageRecord)) domain.UsageRecord {
	edit(&r)
	return r
}

func appendUsage(t *testing.T, l ports.Ledger, records ...domain.UsageRecord) {
	t.Helper()
	if err := l.Append(t.Context(), records...); err != nil {
		t.Fatalf("append: %v", err)
	}
}

func recentUsage(t *testing.T, l ports.Ledger, owner string, since time.Time, limit int) []domain.UsageRecord {
	t.Helper()
	got, err := l.Recent(t.Context(), owner, since, limit)
	if err != nil {
		t.Fatalf("recent: %v", err)
	}
	return got
}

// wantRecent compares in order, of the owner and of everybody.
func wantRecent(t *testing.T, l ports.Ledger, want ...domain.UsageRecord) {
	t.Helper()
	for _, owner := range []string{"owner", ""} {
		wantRecords(t, recentUsage(t, l, owner, time.Time{}, 100), want...)
	}
}

func wantRecords(t *testing.T, got []domain.UsageRecord, want ...domain.UsageRecord) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

func totals(t *testing.T, l ports.Ledger, owner string, from, to time.Time) []domain.UsageTotal {
	t.Helper()
	got, err := l.Totals(t.Context(), owner, from, to)
	if err != nil {
		t.Fatalf("totals: %v", err)
	}
	return got
}

func wantTotals(t *testing.T, got []domain.UsageTotal, want ...domain.UsageTotal) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d totals, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("total %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

func ledgerRoundTrip(t *testing.T, l ports.Ledger) {
	full := domain.UsageRecord{
		RequestID: newIDAt(someTime), Attempt: 3, HTTPRequestID: "client's \"own\" $1", Owner: "owner", At: someTime,
		Operation: "text_completion", Provider: "claude", Model: "claude-3-haiku", Outcome: domain.OutcomeFailed, Failure: "rate_limited",
		Usage:  domain.Usage{Input: 11, Output: 12, CachedInput: 13, CacheWrite: 14, Reasoning: 15, Source: domain.UsagePartial},
		Images: 16, Models3D: 17, Credits: 18, Quality: "hd", Cost: 1_234_567_890_123, PriceVersion: "2025-03", Streamed: true,
		Timings: domain.Timings{
			Authentication: time.Microsecond, Validation: 2 * time.Microsecond, Selection: 3 * time.Millisecond,
			StreamSetup: 4 * time.Millisecond, FirstToken: 5 * time.Second, Provider: 6 * time.Minute, Processing: 7 * time.Microsecond,
		},
	}
	bare := domain.UsageRecord{RequestID: newIDAt(someTime.Add(-time.Second)), Attempt: 1, Owner: "owner", At: someTime.Add(-time.Second)}
	appendUsage(t, l, full, bare)
	appendUsage(t, l)
	wantRecent(t, l, full, bare)
}

func ledgerTimes(t *testing.T, l ports.Ledger) {
	r := usedAt(time.Date(2024, 2, 29, 23, 59, 59, 999999999, time.FixedZone("away", 7*3600)))
	r.Timings.Provider = 1999 * time.Nanosecond
	appendUsage(t, l, r)
	r.At, r.Timings.Provider = time.Date(2024, 2, 29, 16, 59, 59, 999999000, time.UTC), time.Microsecond
	wantRecent(t, l, r)
}

func ledgerTwice(t *testing.T, l ports.Ledger) {
	first := usedAt(someTime)
	other := edited(first, func(r *domain.UsageRecord) { r.Cost, r.Owner, r.At = 1000, "thief", r.At.Add(time.Hour) })
	appendUsage(t, l, first)
	appendUsage(t, l, other)
	appendUsage(t, l, first, other)
	wantRecent(t, l, first)
	if got := totals(t, l, "thief", someTime, someTime.Add(24*time.Hour)); len(got) > 0 {
		t.Errorf("the second record was counted: %+v", got)
	}
}

func ledgerRace(t *testing.T, l ports.Ledger) {
	r := usedAt(someTime)
	for _, err := range inParallel(8, func(int) error { return l.Append(t.Context(), r) }) {
		if err != nil {
			t.Error(err)
		}
	}
	wantRecent(t, l, r)
}

func ledgerAttempts(t *testing.T, l ports.Ledger) {
	first := edited(usedAt(someTime), func(r *domain.UsageRecord) { r.Outcome = domain.OutcomeFailed })
	second := edited(first, func(r *domain.UsageRecord) { r.Attempt, r.Outcome = 2, domain.OutcomeCompleted })
	appendUsage(t, l, first, second)
	wantRecent(t, l, second, first)
}

func ledgerAllOrNone(t *testing.T, l ports.Ledger) {
	broken := edited(usedAt(someTime), func(r *domain.UsageRecord) { r.RequestID = "no id" })
	if err := l.Append(t.Context(), usedAt(someTime), broken); err == nil {
		t.Error("a record without an id was taken")
	}
	wantRecent(t, l)
}

func ledgerOddText(t *testing.T, l ports.Ledger) {
	for i, text := range oddTexts {
		at := someTime.Add(time.Duration(i) * time.Hour)
		r := edited(usedAt(at), func(r *domain.UsageRecord) { r.HTTPRequestID, r.Model = text, text })
		if err := l.Append(t.Context(), r); err != nil {
			wantRefused(t, err, text)
			continue
		}
		wantRecords(t, recentUsage(t, l, "owner", at, 10), r)
	}
}

func ledgerNoTotals(t *testing.T, l ports.Ledger) {
	if got := totals(t, l, "owner", time.Time{}, someTime); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

func ledgerDays(t *testing.T, l ports.Ledger) {
	midnight := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	away := time.FixedZone("away", 7*3600)
	appendUsage(t, l,
		usedAt(midnight.Add(-24*time.Hour)),
		usedAt(midnight.Add(-time.Microsecond)), // of a leap day
		usedAt(midnight),
		usedAt(midnight.Add(24*time.Hour-time.Microsecond).In(away)), // elsewhere it is tomorrow
		usedAt(midnight.Add(24*time.Hour)),
	)
	two := domain.UsageTotal{
		Provider: "openai", Operation: domain.OperationCompletion, Requests: 2, InputTokens: 20, OutputTokens: 40, Cost: 14,
	}
	one := domain.UsageTotal{
		Provider: "openai", Operation: domain.OperationCompletion, Requests: 1, InputTokens: 10, OutputTokens: 20, Cost: 7,
	}
	first, second, third := two, two, one
	first.Day, second.Day, third.Day = midnight.AddDate(0, 0, -1), midnight, midnight.AddDate(0, 0, 1)
	wantTotals(t, totals(t, l, "owner", midnight.AddDate(0, -1, 0), midnight.AddDate(0, 1, 0)), first, second, third)
	wantTotals(t, totals(t, l, "owner", midnight.In(away), midnight.AddDate(0, 0, 1)), second)
}

func ledgerRange(t *testing.T, l ports.Ledger) {
	appendUsage(t, l, usedAt(someTime))
	for _, c := range []struct {
		from, to time.Time
		want     int
	}{
		{someTime, someTime.Add(time.Microsecond), 1},
		{someTime.Add(-time.Nanosecond), someTime.Add(time.Nanosecond), 1},
		{someTime.Add(-time.Hour), someTime, 0},
		{someTime.Add(time.Nanosecond), someTime.Add(time.Hour), 0},
		{someTime, someTime, 0},
		{someTime.Add(time.Hour), someTime.Add(-time.Hour), 0},
	} {
		if got := totals(t, l, "owner", c.from, c.to); len(got) != c.want {
			t.Errorf("from %v to %v: got %d totals, want %d", c.from, c.to, len(got), c.want)
		}
	}
}

func ledgerGroups(t *testing.T, l ports.Ledger) {
	at := time.Date(2025, 3, 4, 12, 0, 0, 0, time.UTC)
	group := func(provider, operation, quality string, claimed bool) domain.UsageRecord {
		return edited(usedAt(at), func(r *domain.UsageRecord) {
			r.Provider, r.Operation, r.Quality, r.Claimed = provider, operation, quality, claimed
			r.Images, r.Models3D, r.Credits = 1, 2, 3
		})
	}
	// In the order of bytes, which is not that of every language.
	inOrder := []domain.UsageRecord{
		group("Z", "b", "", false), group("a", "A", "", false), group("a", "a", "", false), group("a", "a", "", true),
		group("a", "a", "HD", false), group("a", "a", "hd", false), group("a", "b", "", false), group("ä", "a", "", false),
	}
	var want []domain.UsageTotal
	for _, r := range inOrder {
		want = append(want, domain.UsageTotal{
			Day: at.Truncate(24 * time.Hour), Provider: r.Provider, Operation: r.Operation, Quality: r.Quality, Claimed: r.Claimed,
			Requests: 2, InputTokens: 20, OutputTokens: 40, Images: 2, Models3D: 4, Credits: 6, Cost: 14,
		})
		again := r
		again.RequestID, again.Model = newIDAt(at), "another model"
		appendUsage(t, l, r, again)
	}
	slices.Reverse(inOrder)
	wantTotals(t, totals(t, l, "owner", at, at.Add(time.Hour)), want...)
}

func ledgerRequests(t *testing.T, l ports.Ledger) {
	cases := map[string]struct {
		record domain.UsageRecord
		want   int64
	}{
		"completed":      {domain.UsageRecord{Outcome: domain.OutcomeCompleted}, 1},
		"refused":        {domain.UsageRecord{Outcome: domain.OutcomeFailed, Usage: domain.Usage{Input: 5}}, 0},
		"broken off":     {domain.UsageRecord{Outcome: domain.OutcomeFailed, Usage: domain.Usage{Input: 5, Output: 1}}, 1},
		"left at once":   {domain.UsageRecord{Outcome: domain.OutcomeCanceled, Usage: domain.Usage{Input: 5}}, 0},
		"left in middle": {domain.UsageRecord{Outcome: domain.OutcomeCanceled, Usage: domain.Usage{Output: 1}}, 1},
		"claimed":        {domain.UsageRecord{Claimed: true}, 1},
	}
	for name, c := range cases {
		r := c.record
		r.RequestID, r.Attempt, r.At, r.Owner, r.Cost = newIDAt(someTime), 1, someTime, name, 9
		appendUsage(t, l, r)
		got := totals(t, l, name, someTime, someTime.Add(time.Hour))
		if len(got) != 1 || got[0].Requests != c.want || got[0].Cost != 9 || got[0].InputTokens != int64(r.Usage.Input) {
			t.Errorf("%s: got %+v, want %d requests that cost 9", name, got, c.want)
		}
	}
}

func ledgerExact(t *testing.T, l ports.Ledger) {
	const big = 1<<54 + 1 // which a float64 can't hold
	for range 2 {
		appendUsage(t, l, edited(usedAt(someTime), func(r *domain.UsageRecord) { r.Cost, r.Usage.Input, r.Credits = big, big, big }))
	}
	appendUsage(t, l, edited(usedAt(someTime), func(r *domain.UsageRecord) { r.Cost, r.Usage.Input = -1, 0 }))
	got := totals(t, l, "owner", someTime, someTime.Add(time.Hour))
	if len(got) != 1 || got[0].Cost != 2*big-1 || got[0].InputTokens != 2*big || got[0].Credits != 2*big {
		t.Errorf("got %+v", got)
	}
}

func ledgerLargest(t *testing.T, l ports.Ledger) {
	const most = math.MaxInt64
	for range 3 {
		appendUsage(t, l, edited(usedAt(someTime), func(r *domain.UsageRecord) { r.Cost = most }))
	}
	got := totals(t, l, "owner", someTime, someTime.Add(time.Hour))
	if len(got) != 1 || got[0].Cost != most {
		t.Errorf("got %+v, want a cost of %d", got, most)
	}
}

func ledgerOwners(t *testing.T, l ports.Ledger) {
	owners := []string{"owner", "Owner", "owner ", "key:6ba7b810-9dad-41d1-80b4-00c04fd430c8", "o%", "日本語"}
	for i, owner := range owners {
		for range i + 1 {
			appendUsage(t, l, edited(usedAt(someTime), func(r *domain.UsageRecord) { r.Owner = owner }))
		}
	}
	for i, owner := range owners {
		got := totals(t, l, owner, someTime, someTime.Add(time.Hour))
		if len(got) != 1 || got[0].Requests != int64(i+1) {
			t.Errorf("owner %q: got %+v, want %d requests", owner, got, i+1)
		}
	}
}

func ledgerRecentClaims(t *testing.T, l ports.Ledger) {
	real := usedAt(someTime)
	appendUsage(t, l, real, edited(usedAt(someTime), func(r *domain.UsageRecord) { r.Claimed = true }))
	wantRecent(t, l, real)
}

func ledgerRecentOrder(t *testing.T, l ports.Ledger) {
	var want []domain.UsageRecord
	for _, minutes := range []int{3, 0, 4, 1, 2} {
		r := usedAt(someTime.Add(time.Duration(minutes) * time.Minute))
		appendUsage(t, l, r)
		want = append(want, r)
	}
	appendUsage(t, l, edited(usedAt(someTime.Add(time.Hour)), func(r *domain.UsageRecord) { r.Owner = "someone else" }))
	slices.SortFunc(want, func(a, b domain.UsageRecord) int { return b.At.Compare(a.At) })
	wantRecords(t, recentUsage(t, l, "owner", time.Time{}, 100), want...)
	wantRecords(t, recentUsage(t, l, "owner", time.Time{}, 2), want[:2]...)
	wantRecords(t, recentUsage(t, l, "nobody", time.Time{}, 2))
}

func ledgerRecentEverybody(t *testing.T, l ports.Ledger) {
	var want []domain.UsageRecord
	for i := range 5 {
		at := someTime.Add(time.Duration(i) * time.Minute)
		// Long requests end late; equal owners would not show that all are asked for.
		r := edited(usedAt(at), func(r *domain.UsageRecord) { r.Owner, r.At = fmt.Sprint("owner ", i), at.Add(30*time.Minute) })
		want = slices.Insert(want, 0, r)
		appendUsage(t, l, r)
	}
	wantRecords(t, recentUsage(t, l, "", time.Time{}, 100), want...)
	wantRecords(t, recentUsage(t, l, "", time.Time{}, 3), want[:3]...)
}

func ledgerRecentSince(t *testing.T, l ports.Ledger) {
	old := usedAt(someTime.Add(-time.Microsecond))
	exact := edited(usedAt(someTime), func(r *domain.UsageRecord) { r.RequestID = newIDAt(someTime.Add(-domain.MaxRequestAge)) })
	appendUsage(t, l, old, exact)
	for _, owner := range []string{"owner", ""} {
		wantRecords(t, recentUsage(t, l, owner, someTime, 100), exact)
		wantRecords(t, recentUsage(t, l, owner, someTime.Add(-time.Nanosecond), 100), exact)
		wantRecords(t, recentUsage(t, l, owner, someTime.Add(time.Nanosecond), 100))
		if got := recentUsage(t, l, owner, old.At, 100); len(got) != 2 {
			t.Errorf("owner %q: got %+v, want both", owner, got)
		}
	}
}

func ledgerCount(t *testing.T, l ports.Ledger) {
	before, after := someTime.Add(-time.Hour), someTime.Add(time.Hour)
	again := edited(usedAt(someTime), func(r *domain.UsageRecord) { r.Outcome = domain.OutcomeFailed })
	appendUsage(t, l,
		usedAt(before), again, edited(again, func(r *domain.UsageRecord) { r.Attempt, r.At = 2, r.At.Add(time.Second) }),
		edited(usedAt(after), func(r *domain.UsageRecord) { r.Owner = "someone else" }),
		edited(usedAt(someTime), func(r *domain.UsageRecord) { r.Claimed = true }),
	)
	for _, c := range []struct {
		since       time.Time
		limit, want int
		first       time.Time
	}{
		{time.Time{}, 100, 3, before},
		{someTime, 100, 2, someTime},
		{someTime.Add(time.Microsecond), 100, 1, after},
		{someTime.Add(2 * time.Hour), 100, 0, time.Time{}},
		{time.Time{}, 2, 2, someTime},
	} {
		n, first, err := l.CountSince(t.Context(), c.since, c.limit)
		if err != nil || n != c.want || first != c.first {
			t.Errorf("since %v, at most %d: got %d from %v on, %v; want %d from %v on", c.since, c.limit, n, first, err, c.want, c.first)
		}
	}
}

func ledgerCanceled(t *testing.T, l ports.Ledger) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantCanceled(t, "Append", l.Append(ctx, usedAt(someTime)))
	_, err := l.Totals(ctx, "owner", time.Time{}, someTime)
	wantCanceled(t, "Totals", err)
	_, err = l.Recent(ctx, "", time.Time{}, 10)
	wantCanceled(t, "Recent", err)
	_, _, err = l.CountSince(ctx, time.Time{}, 10)
	wantCanceled(t, "CountSince", err)
	wantRecent(t, l)
}
