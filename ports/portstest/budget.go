package portstest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// BudgetSetup is one database as two processes see it.
type BudgetSetup struct {
	A, B   ports.BudgetStore
	Ledger ports.Ledger
	// Commit is CommitTurn of the same database.
	Commit func(context.Context, domain.Turn) error
	// Elapse makes all reservations older, as the clock of the database would.
	Elapse func(time.Duration)
}

// BudgetStore checks everything that ports.BudgetStore demands of a database that is there. empty runs once for each test.
func BudgetStore(t *testing.T, empty func(*testing.T) BudgetSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, BudgetSetup){
		"what is set aside is counted, up to the limit":        budgetLimit,
		"of racing reservations as many pass as the limit has": budgetRace,
		"racing first reservations of a day count the ledger":  budgetFirstRace,
		"Release gives back":                                     budgetRelease,
		"a reservation counts until its lease is over":           budgetExpiry,
		"Renew begins the lease anew, and only of its own":       budgetRenew,
		"Renew never shortens a lease":                           budgetRenewLong,
		"Renew sets what is gone aside again, over the limit":    budgetRenewGone,
		"Renew of many and of none":                              budgetRenewMany,
		"Expire forgets what has lapsed, and nothing else":       budgetForgotten,
		"leases are the store's, whatever the time of a caller":  budgetClock,
		"reservations of another release live beside leases":     budgetHour,
		"a commit replaces the reservation by the cost":          budgetSettle,
		"a commit whose reservation is gone counts too":          budgetSettleWithout,
		"a claimed cost counts against no budget":                budgetClaimed,
		"the ledger's records of the day count":                  budgetLedger,
		"days begin at midnight UTC":                             budgetDays,
		"what runs over midnight counts on both days":            budgetOverMidnight,
		"what is spent counts on the day of its record, once":    budgetRecordDays,
		"a day that opens while it is spent of counts all once":  budgetDayRace,
		"turns that are stored over midnight don't block others": budgetMidnightRace,
		"owners have budgets of their own":                       budgetOwners,
		"an id that is taken is Conflict":                        budgetTwice,
		"the greatest amounts don't overflow":                    budgetGreat,
		"a caller who left is told so and nothing is set aside":  budgetCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

// budgetTime is an hour after midnight UTC, and yet another day somewhere.
var budgetTime = time.Date(2001, 2, 3, 2, 0, 0, 0, time.FixedZone("elsewhere", 60*60))

func aReservation(amount domain.Money) domain.Reservation {
	return domain.Reservation{
		ID: newID(), Owner: "owner", At: budgetTime, Amount: amount, Limit: 100, Lease: budgetLease,
	}
}

// budgetLease is longer than any test takes.
const budgetLease = time.Hour

func reserve(t *testing.T, s ports.BudgetStore, r domain.Reservation) domain.Reservation {
	t.Helper()
	if err := s.Reserve(t.Context(), r); err != nil {
		t.Fatalf("Reserve %d of %d: %v", r.Amount, r.Limit, err)
	}
	return r
}

func wantOver(t *testing.T, s ports.BudgetStore, r domain.Reservation) {
	t.Helper()
	err := s.Reserve(t.Context(), r)
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.PaymentRequired || e.Code != domain.CodeQuota {
		t.Errorf("Reserve %d of %d: got %v, want it refused", r.Amount, r.Limit, err)
	}
}

// spend commits a turn that cost something.
func spend(t *testing.T, s BudgetSetup, reservation string, at time.Time, cost domain.Money, claimed bool) {
	t.Helper()
	used := usedAt(at)
	used.Cost, used.Claimed = cost, claimed
	turn := domain.Turn{Owner: "owner", At: at, Unstored: true, Usage: []domain.UsageRecord{used}, ReservationID: reservation, ReservedAt: budgetTime}
	if err := s.Commit(t.Context(), turn); err != nil {
		t.Fatalf("CommitTurn: %v", err)
	}
}

func budgetLimit(t *testing.T, s BudgetSetup) {
	reserve(t, s.A, aReservation(60))
	wantOver(t, s.B, aReservation(41))
	reserve(t, s.B, aReservation(40)) // what was refused is not set aside
	wantOver(t, s.A, aReservation(1))
	reserve(t, s.A, aReservation(0))
	more := aReservation(1)
	more.Limit = 101
	reserve(t, s.A, more)
}

// raceReservations starts many at once on both stores and returns how many passed.
func raceReservations(t *testing.T, s BudgetSetup, amount domain.Money, many int) int {
	t.Helper()
	var (
		mu     sync.Mutex
		all    sync.WaitGroup
		start  = make(chan struct{})
		passed int
	)
	for i := range many {
		store := []ports.BudgetStore{s.A, s.B}[i%2]
		all.Go(func() {
			<-start
			err := store.Reserve(t.Context(), aReservation(amount))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				passed++
			case domain.KindOf(err) != domain.PaymentRequired:
				t.Errorf("Reserve: %v", err)
			}
		})
	}
	close(start)
	all.Wait()
	return passed
}

func budgetRace(t *testing.T, s BudgetSetup) {
	reserve(t, s.A, aReservation(20))
	if passed := raceReservations(t, s, 10, 24); passed != 8 {
		t.Errorf("%d of 24 passed, want 8", passed)
	}
}

func budgetFirstRace(t *testing.T, s BudgetSetup) {
	used := usedAt(budgetTime)
	used.Cost = 45
	appendUsage(t, s.Ledger, used)
	if passed := raceReservations(t, s, 10, 24); passed != 5 {
		t.Errorf("%d of 24 passed, want 5", passed)
	}
}

func budgetRelease(t *testing.T, s BudgetSetup) {
	r := reserve(t, s.A, aReservation(100))
	for range 2 { // the second time it is not there any more
		if err := s.B.Release(t.Context(), r.ID); err != nil {
			t.Fatalf("Release: %v", err)
		}
	}
	reserve(t, s.A, aReservation(100))
	wantOver(t, s.A, aReservation(1))
}

func budgetExpiry(t *testing.T, s BudgetSetup) {
	reserve(t, s.A, aReservation(100))
	s.Elapse(budgetLease / 2)
	wantOver(t, s.B, aReservation(1))
	s.Elapse(budgetLease / 2)
	reserve(t, s.B, aReservation(100))
	wantOver(t, s.A, aReservation(1))
}

// renewHeld checks which of some reservations were gone.
func renewHeld(t *testing.T, s ports.BudgetStore, want []domain.Reservation, held ...domain.Reservation) {
	t.Helper()
	gone, err := s.Renew(t.Context(), held)
	ids := make([]string, len(want))
	for i, r := range want {
		ids[i] = r.ID
	}
	slices.Sort(gone)
	slices.Sort(ids)
	if err != nil || !slices.Equal(gone, ids) {
		t.Errorf("Renew: %d were gone, %v; want %d", len(gone), err, len(ids))
	}
}

func budgetRenew(t *testing.T, s BudgetSetup) {
	mine := reserve(t, s.A, aReservation(40))
	reserve(t, s.B, aReservation(60)) // of a process that dies
	s.Elapse(budgetLease * 3 / 4)
	renewHeld(t, s.A, nil, mine)
	s.Elapse(budgetLease * 3 / 4)
	wantOver(t, s.B, aReservation(61))
	reserve(t, s.B, aReservation(60))

	s.Elapse(2 * budgetLease) // nobody has taken it meanwhile: it is there
	renewHeld(t, s.B, nil, mine)
	wantOver(t, s.B, aReservation(61))
}

func budgetRenewLong(t *testing.T, s BudgetSetup) {
	long := aReservation(100)
	long.Lease = 10 * budgetLease
	reserve(t, s.A, long)
	long.Lease = budgetLease
	renewHeld(t, s.A, nil, long)
	s.Elapse(9 * budgetLease)
	wantOver(t, s.B, aReservation(1))
}

// A process that stood still comes back when others have been given its money: what it goes on spending counts all the same.
func budgetRenewGone(t *testing.T, s BudgetSetup) {
	frozen, other := reserve(t, s.A, aReservation(80)), aReservation(20)
	reserve(t, s.A, other)
	s.Elapse(budgetLease)
	taken := reserve(t, s.B, aReservation(100))
	renewHeld(t, s.A, []domain.Reservation{frozen, other}, frozen, other)
	renewHeld(t, s.A, nil, frozen, other)
	roomy := aReservation(1)
	roomy.Limit = 200
	wantOver(t, s.B, roomy)
	spend(t, s, frozen.ID, budgetTime, 80, false)
	spend(t, s, taken.ID, budgetTime, 90, false)
	spend(t, s, other.ID, budgetTime, 10, false)
	roomy.Amount = 21
	wantOver(t, s.B, roomy)
	roomy.Amount = 20
	reserve(t, s.A, roomy)
	wantOver(t, s.A, aReservation(0))
}

func budgetRenewMany(t *testing.T, s BudgetSetup) {
	renewHeld(t, s.A, nil)
	const many = 1000
	held, gone := make([]domain.Reservation, many), []domain.Reservation{}
	for i := range held {
		held[i] = aReservation(domain.Money(1))
		held[i].Owner, held[i].Limit = "owner "+strconv.Itoa(i%7), many
		if i%3 > 0 {
			reserve(t, []ports.BudgetStore{s.A, s.B}[i%2], held[i])
		} else {
			gone = append(gone, held[i])
		}
	}
	renewHeld(t, s.A, gone, held...)
	renewHeld(t, s.B, nil, held...)
	malformed := aReservation(1)
	malformed.ID = "nope"
	if _, err := s.A.Renew(t.Context(), []domain.Reservation{aReservation(1), malformed}); err == nil {
		t.Error("a malformed id was renewed")
	}
	reserve(t, s.A, aReservation(100)) // nothing of that was set aside
}

func budgetForgotten(t *testing.T, s BudgetSetup) {
	const many = 1003 // more than are forgotten at once
	lapsing := make([]domain.Reservation, many)
	for i := range lapsing {
		lapsing[i] = aReservation(1)
		lapsing[i].Owner = "owner " + strconv.Itoa(i%7)
	}
	renewHeld(t, s.A, lapsing, lapsing...)
	long := aReservation(100)
	long.Lease = 10 * budgetLease
	reserve(t, s.A, long)
	s.Elapse(2 * budgetLease)
	for _, step := range []struct {
		before time.Duration // from now
		want   int
	}{{-2 * budgetLease, 0}, {-budgetLease / 2, many}, {100 * budgetLease, 0}} {
		if n, err := s.B.Expire(t.Context(), time.Now().Add(step.before)); n != step.want || err != nil {
			t.Errorf("Expire before %s: got %d, %v, want %d", step.before, n, err, step.want)
		}
	}
	wantOver(t, s.B, aReservation(1))
	renewHeld(t, s.A, nil, long)
	renewHeld(t, s.A, lapsing[:1], lapsing[0])
}

func budgetClock(t *testing.T, s BudgetSetup) {
	for _, skew := range []time.Duration{-23 * time.Hour, 20 * time.Hour} { // of the same day and others
		r := aReservation(100)
		r.Owner, r.At = "owner"+skew.String(), budgetTime.Add(skew)
		reserve(t, s.A, r)
		r.ID, r.Amount = newID(), 1
		wantOver(t, s.B, r)
		s.Elapse(budgetLease)
		reserve(t, s.B, r)
	}
}

func budgetHour(t *testing.T, s BudgetSetup) {
	old := aReservation(60)
	old.Lease = 24 * budgetLease // of a process that never renews
	reserve(t, s.A, old)
	leased := reserve(t, s.B, aReservation(40))
	s.Elapse(budgetLease / 2)
	renewHeld(t, s.B, nil, leased)
	s.Elapse(budgetLease / 2)
	wantOver(t, s.B, aReservation(1))
	s.Elapse(budgetLease / 2)
	wantOver(t, s.A, aReservation(41))
	reserve(t, s.A, aReservation(40))
	s.Elapse(23 * budgetLease)
	reserve(t, s.A, aReservation(100))
}

func budgetSettle(t *testing.T, s BudgetSetup) {
	r := reserve(t, s.A, aReservation(90))
	spend(t, s, r.ID, budgetTime, 30, false)
	wantOver(t, s.B, aReservation(71))
	reserve(t, s.B, aReservation(70))
	dear := aReservation(5)
	dear.Limit = 105
	reserve(t, s.A, dear)
	spend(t, s, dear.ID, budgetTime, 500, false) // more than expected: it is spent all the same
	wantOver(t, s.A, aReservation(0))
}

func budgetSettleWithout(t *testing.T, s BudgetSetup) {
	spend(t, s, "", budgetTime, 10, false)
	spend(t, s, newID(), budgetTime, 20, false) // its reservation has expired and is gone
	wantOver(t, s.A, aReservation(71))
	r := reserve(t, s.A, aReservation(10))
	if err := s.A.Release(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	spend(t, s, r.ID, budgetTime, 10, false)
	wantOver(t, s.B, aReservation(61))
	reserve(t, s.B, aReservation(60))
}

func budgetClaimed(t *testing.T, s BudgetSetup) {
	spend(t, s, "", budgetTime, 1000, true)
	r := reserve(t, s.A, aReservation(100))
	spend(t, s, r.ID, budgetTime, 1000, true)
	reserve(t, s.A, aReservation(100))
}

func budgetLedger(t *testing.T, s BudgetSetup) {
	midnight := aReservation(0).Day()
	record := func(at time.Time, cost domain.Money, owner string, claimed bool) domain.UsageRecord {
		used := usedAt(at)
		used.Cost, used.Owner, used.Claimed = cost, owner, claimed
		return used
	}
	appendUsage(t, s.Ledger,
		record(midnight, 10, "owner", false), record(midnight.AddDate(0, 0, 1).Add(-time.Microsecond), 20, "owner", false),
		record(midnight.Add(-time.Microsecond), 500, "owner", false), record(midnight.AddDate(0, 0, 1), 500, "owner", false),
		record(midnight, 500, "another", false), record(midnight, 500, "owner", true))
	wantOver(t, s.A, aReservation(71))
	reserve(t, s.B, aReservation(70))
}

func budgetDays(t *testing.T, s BudgetSetup) {
	reserve(t, s.A, aReservation(100))
	yesterday := aReservation(100)
	yesterday.At = budgetTime.Add(-61 * time.Minute) // the same day elsewhere
	reserve(t, s.A, yesterday)
	wantOver(t, s.B, yesterday)
	wantOver(t, s.B, aReservation(1))
}

// budgetMidnight ends the day of budgetTime.
var budgetMidnight = domain.DayOf(budgetTime).AddDate(0, 0, 1)

// onDay is a reservation some time after midnight.
func onDay(after time.Duration, amount domain.Money) domain.Reservation {
	r := aReservation(amount)
	r.At = budgetMidnight.Add(after)
	return r
}

func budgetOverMidnight(t *testing.T, s BudgetSetup) {
	evening := reserve(t, s.A, onDay(-time.Second, 70))
	wantOver(t, s.B, onDay(0, 31))
	morning := reserve(t, s.B, onDay(0, 30))
	wantOver(t, s.A, onDay(-time.Second, 31)) // the new day takes nothing from the old one
	if err := s.A.Release(t.Context(), evening.ID); err != nil {
		t.Fatal(err)
	}
	reserve(t, s.A, onDay(0, 70))
	if err := s.A.Release(t.Context(), morning.ID); err != nil {
		t.Fatal(err)
	}
	reserve(t, s.A, onDay(-time.Second, 100))
}

// wantLeftOn checks how much of 100 is left of a day.
func wantLeftOn(t *testing.T, s BudgetSetup, after time.Duration, left domain.Money) {
	t.Helper()
	wantOver(t, s.A, onDay(after, left+1))
	r := reserve(t, s.B, onDay(after, left))
	if err := s.B.Release(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
}

func budgetRecordDays(t *testing.T, s BudgetSetup) {
	for name, opened := range map[string]bool{"the new day has a budget already": true, "it has none yet": false} {
		evening := onDay(-time.Second, 90)
		evening.Owner = name
		reserve(t, s.A, evening)
		before, after, claimed := usedAt(budgetMidnight.Add(-time.Microsecond)), usedAt(budgetMidnight), usedAt(budgetMidnight)
		before.Cost, after.Cost, claimed.Cost, claimed.Claimed = 20, 30, 1000, true
		after.RequestID, after.Attempt = before.RequestID, 2
		records := []domain.UsageRecord{before, after, claimed}
		for i := range records {
			records[i].Owner = name
		}
		if opened {
			r := onDay(time.Minute, 0)
			r.Owner = name
			reserve(t, s.B, r)
		}
		turn := domain.Turn{
			Owner: name, At: budgetMidnight, Unstored: true, Usage: records, ReservationID: evening.ID, ReservedAt: evening.At,
		}
		for range 2 { // the second time all is there already
			if err := s.Commit(t.Context(), turn); err != nil {
				t.Fatalf("%s: CommitTurn: %v", name, err)
			}
		}
		for after, left := range map[time.Duration]domain.Money{-time.Second: 80, time.Minute: 70} {
			r := onDay(after, left+1)
			r.Owner = name
			wantOver(t, s.A, r)
			r.ID, r.Amount = newID(), left
			reserve(t, s.B, r)
			if err := s.B.Release(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func budgetDayRace(t *testing.T, s BudgetSetup) {
	const turns = 10
	evenings := make([]domain.Reservation, turns)
	for i := range evenings {
		evenings[i] = reserve(t, s.A, onDay(-time.Second, 5))
	}
	for _, err := range inParallel(2*turns, func(i int) error {
		if i >= turns {
			return s.B.Reserve(t.Context(), onDay(time.Second, 0))
		}
		used := usedAt(budgetMidnight.Add(time.Second))
		used.Cost = 5
		return s.Commit(t.Context(), domain.Turn{
			Owner: "owner", At: used.At, Unstored: true, Usage: []domain.UsageRecord{used}, ReservationID: evenings[i].ID, ReservedAt: evenings[i].At,
		})
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	wantLeftOn(t, s, -time.Second, 100)
	wantLeftOn(t, s, time.Minute, 50)
}

// Some were reserved again after midnight, and others before it only.
func budgetMidnightRace(t *testing.T, s BudgetSetup) {
	const turns = 60
	reserved := make([]domain.Reservation, turns)
	for i := range reserved {
		reserved[i] = reserve(t, s.A, onDay([]time.Duration{-time.Second, time.Second}[i%2], 0))
	}
	for _, err := range inParallel(turns, func(i int) error {
		before, after := usedAt(budgetMidnight.Add(-time.Second)), usedAt(budgetMidnight.Add(time.Second))
		before.Cost, after.Cost = 1, 1
		after.RequestID, after.Attempt = before.RequestID, 2
		return s.Commit(t.Context(), domain.Turn{
			Owner: "owner", At: after.At, Unstored: true, Usage: []domain.UsageRecord{before, after},
			ReservationID: reserved[i].ID, ReservedAt: reserved[i].At,
		})
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	wantLeftOn(t, s, -time.Second, 100-turns)
	wantLeftOn(t, s, time.Minute, 100-turns)
}

func budgetOwners(t *testing.T, s BudgetSetup) {
	for _, owner := range []string{"owner", "Owner", "owner "} {
		r := aReservation(100)
		r.Owner = owner
		reserve(t, s.A, r)
	}
	wantOver(t, s.A, aReservation(1))
}

func budgetTwice(t *testing.T, s BudgetSetup) {
	r := reserve(t, s.A, aReservation(10))
	wantKind(t, s.B.Reserve(t.Context(), r), domain.Conflict, "the same reservation again")
	reserve(t, s.A, aReservation(90))
}

func budgetGreat(t *testing.T, s BudgetSetup) {
	const most = domain.Money(1<<63 - 1)
	great := aReservation(most)
	great.Limit = most
	reserve(t, s.A, great)
	again := aReservation(most)
	again.Limit = most
	wantOver(t, s.B, again)
	if err := s.A.Release(t.Context(), great.ID); err != nil {
		t.Fatal(err)
	}
	reserve(t, s.B, again)
}

func budgetCanceled(t *testing.T, s BudgetSetup) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r := aReservation(100)
	wantCanceled(t, "Reserve", s.A.Reserve(gone, r))
	_, err := s.A.Renew(gone, []domain.Reservation{r})
	wantCanceled(t, "Renew", err)
	wantCanceled(t, "Release", s.A.Release(gone, r.ID))
	_, err = s.A.Expire(gone, budgetTime)
	wantCanceled(t, "Expire", err)
	reserve(t, s.A, r)
}
