package domain

import "time"

// Claim asks to be the one request that is carried out of all that carry the same Idempotency-Key.
type Claim struct {
	Owner       string // Principal.OwnerID
	Key         string
	Fingerprint string // of everything that decides the answer: the same key with another one is a mistake
	RunID       string // UUID of this run
	At          time.Time
	LeaseUntil  time.Time // after that, unless renewed, the run counts as dead and another may take over
}

// ClaimResult says what became of a claim. Either it was won, or Answer or Running tells about the run that has it.
type ClaimResult struct {
	Won     bool
	Answer  []byte // of a finished run
	Running string // the id of a run that goes on
}

// KeyReused says that an Idempotency-Key came with another request than the first one.
func KeyReused() *Error {
	return InvalidInput(Fault{
		Type: "value_error", Loc: []any{"header", "Idempotency-Key"},
		Msg: "Value error, this key was used for another request; take a new one",
	})
}

// ClaimLost says that another run has the claim by now.
func ClaimLost() *Error {
	return NewError(Conflict, "Another request with this Idempotency-Key has taken over")
}
