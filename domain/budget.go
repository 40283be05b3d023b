package domain

import "time"

// Reservation sets a part of a caller's daily budget aside before a provider is asked, so that requests that run at the same time,
// on whichever replica, can't spend the same money.
type Reservation struct {
	ID     string // UUID
	Owner  string // Principal.OwnerID
	At     time.Time
	Amount Money // the most that the request can cost
	Limit  Money // the budget of a day
	// Lease is how long it counts by the clock of the store, unless it is renewed: a process that has died renews nothing.
	Lease time.Duration
}

// Day is the day, in UTC, whose budget is asked.
func (r Reservation) Day() time.Time { return DayOf(r.At) }

// DayOf is the day, in UTC, whose budget a time belongs to.
func DayOf(at time.Time) time.Time { return at.UTC().Truncate(24 * time.Hour) }

// OverBudget says that a budget does not allow a request.
func OverBudget() *Error {
	e := NewError(PaymentRequired, "The daily budget of this caller is used up; it begins anew at midnight UTC")
	e.Code = CodeQuota
	return e
}

// ReservationLapsed says that nobody renewed what was set aside while it was needed, and that others may have been given it.
func ReservationLapsed() *Error {
	e := NewError(Unavailable, "This took too long to begin; try again")
	e.Code = CodeLapsed
	return e
}
