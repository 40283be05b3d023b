package portstest

import (
	"context"
	"errors"
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
}

// BudgetStore checks everything that ports.BudgetStore demands of a database that is there. empty runs once for each test.
func BudgetStore(t *testing.T, empty func(*testing.T) BudgetSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, BudgetSetup){
		"what is set aside is counted, up to the limit":        budgetLimit,
		"of racing reservations as many pass as the limit has": budgetRace,
		"racing first reservations of a day count the ledger":  budgetFirstRace,
		"Release gives back":                                    budgetRelease,
		"a reservation counts until it has expired":             budgetExpiry,
		"a commit replaces the reservation by the cost":         budgetSettle,
		"a commit whose reservation is gone counts too":         budgetSettleWithout,
		"a claimed cost counts against no budget":               budgetClaimed,
		"the ledger's records of the day count":                 budgetLedger,
		"days begin at midnight UTC":                            budgetDays,
		"owners have budgets of their own":                      budgetOwners,
		"an id that is taken is Conflict":                       budgetTwice,
		"the greatest amounts don't overflow":                   budgetGreat,
		"a caller who left is told so and nothing is set aside": budgetCanceled,
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
		ID: newID(), Owner: "owner", At: budgetTime, Amount: amount, Limit: 100, Expires: budgetTime.Add(time.Minute),
	}
}

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
	turn := domain.Turn{Owner: "owner", At: at, Unstored: true, Usage: []domain.UsageRecord{used}, ReservationID: reservation}
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
	first := reserve(t, s.A, aReservation(100))
	second := aReservation(100)
	second.At, second.Expires = first.Expires.Add(-time.Microsecond), first.Expires.Add(time.Minute)
	wantOver(t, s.B, second)
	second.At = first.Expires
	reserve(t, s.B, second)
	wantOver(t, s.A, second)
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
	wantCanceled(t, "Release", s.A.Release(gone, r.ID))
	reserve(t, s.A, r)
}
