package domain

import (
	"slices"
	"strings"
	"time"
)

// AssetRequest is what a caller wants. Zero values mean that the caller does not mind.
type AssetRequest struct {
	Category      AssetCategory
	Style         string
	Description   string
	Platform      string
	Quality       AssetQuality // never empty
	MaxPolygons   int
	MaxBytes      int64
	Format        string // in lower case, without a dot
	SessionID     string
	Seed          *int64
	AllowDatabase bool          // an asset of the catalogue as it is
	AllowAdapted  bool          // one of the catalogue, adapted
	AllowMade     bool          // a new one
	MaxCost       Money         // as it stands: 0 allows only what costs nothing
	MaxWait       time.Duration // how long the answer may be held back
}

// What a request for an asset means where it says nothing, beside that everything is allowed.
const (
	DefaultAssetQuality = AssetMedium
	DefaultAssetCost    = 0.5 // US dollars
)

// Normal returns the request with the usual names of formats.
func (r AssetRequest) Normal() AssetRequest {
	r.Format = strings.ToLower(strings.TrimPrefix(r.Format, "."))
	if r.Format == "jpeg" {
		r.Format = "jpg"
	}
	return r
}

// GenerationStatus is the state of the work on an asset.
type GenerationStatus string

// The states.
const (
	GenerationPending    GenerationStatus = "pending"
	GenerationProcessing GenerationStatus = "processing"
	GenerationCompleted  GenerationStatus = "completed"
	GenerationFailed     GenerationStatus = "failed"
	GenerationCancelled  GenerationStatus = "cancelled"
)

// Ended reports whether nothing more will happen.
func (s GenerationStatus) Ended() bool { return s != GenerationPending && s != GenerationProcessing }

// Generation is the work on one request for an asset. When it completes there is an asset: one with the same ID that was made, or one of
// the catalogue that was found. It belongs to one owner.
type Generation struct {
	ID            string // UUID of version 7; of the asset too when one is made
	Principal     Principal
	Status        GenerationStatus
	Request       AssetRequest
	Generators    []GenerationOffer // that may be asked, in this order
	Attempts      []GenerationAttempt
	Version       int         // from 1, one more with each change; the store counts
	Progress      int         // percent
	Message       string      // what goes on, for people
	Error         string      // why it failed; safe for clients
	ErrorCode     string      // one stable word: a code or a kind of Error
	BaseID        string      // asset that is adapted; empty: a new one is made
	AssetID       string      // the result
	Source        AssetSource // of the result
	Cost          Money       // charged
	Reserved      Money       // the most that it can cost
	ReservationID string      // of the budget; empty: the caller has none
	HTTPRequestID string
	Key           string    // Idempotency-Key; may be empty
	Fingerprint   string    // of the request, where Key is set
	Trace         string    // of the request, see TraceOf; it stays as it was at first
	Deadline      time.Time // no generator is asked after this
	CreatedAt     time.Time
	UpdatedAt     time.Time
	CompletedAt   time.Time // zero until it has ended
}

// orphanReserved is how long money stays set aside for work that nobody ends after its deadline.
const orphanReserved = time.Hour

// ReservedFor is for how long money is set aside for the work, at most, from its beginning.
func (g Generation) ReservedFor() time.Duration { return g.Deadline.Sub(g.CreatedAt) + orphanReserved }

// GenerationOffer is a generator that may be asked, for what it cost when the request was made: that is what is charged.
type GenerationOffer struct {
	Generator string       `json:"generator"`
	Prices    string       `json:"prices,omitempty"` // version of the price table
	Stages    []StageOffer `json:"stages,omitempty"`
}

// StageOffer is one of a generator's stages.
type StageOffer struct {
	Stage   string `json:"stage"`
	Cost    Money  `json:"cost,omitempty"`
	Credits int    `json:"credits,omitempty"`
}

// Cost is what all stages cost.
func (o GenerationOffer) Cost() (sum Money) {
	for _, s := range o.Stages {
		sum = sum.Plus(s.Cost)
	}
	return sum
}

// Place is where a stage stands among the others; below zero: it is none of them.
func (o GenerationOffer) Place(stage string) int {
	return slices.IndexFunc(o.Stages, func(s StageOffer) bool { return s.Stage == stage })
}

// Place is where a generator stands among those that may be asked; below zero: it is none of them.
func (g Generation) Place(generator string) int {
	return slices.IndexFunc(g.Generators, func(o GenerationOffer) bool { return o.Generator == generator })
}

// GenerationAttemptStatus says how far a call of a generator is.
type GenerationAttemptStatus string

// The states of an attempt.
const (
	AttemptBegun   GenerationAttemptStatus = "begun"   // written before the generator is called: it may have been, or not
	AttemptRunning GenerationAttemptStatus = "running" // the generator has accepted it, TaskID says as what
	AttemptDone    GenerationAttemptStatus = "done"
	AttemptFailed  GenerationAttemptStatus = "failed"  // refused, or failed at the generator
	AttemptUnknown GenerationAttemptStatus = "unknown" // nobody can tell what became of it; it is never repeated
)

// GenerationAttempt is one paid step at one generator: some take several. It is written before the generator is called.
type GenerationAttempt struct {
	Generator string                  `json:"generator"`
	Stage     string                  `json:"stage"`
	Token     string                  `json:"token"` // UUID that the generator gets, by which a task can be found again
	Status    GenerationAttemptStatus `json:"status"`
	TaskID    string                  `json:"task_id,omitempty"`
	Charged   bool                    `json:"charged,omitempty"` // the generator took money, or may have
	Cost      Money                   `json:"cost,omitempty"`    // as offered when the work was ordered; owed when charged
	Credits   int                     `json:"credits,omitempty"` // that Cost stands for
	Prices    string                  `json:"prices,omitempty"`  // version of the table that Cost comes from
	Failure   string                  `json:"failure,omitempty"` // a code or a kind of Error
	Error     string                  `json:"error,omitempty"`   // safe for clients
	Tries     int                     `json:"tries,omitempty"`   // how often the generator said: not now
	StartedAt time.Time               `json:"started_at"`        // when it was last going to be ordered
	EndedAt   time.Time               `json:"ended_at,omitzero"`
}

// GenerationEventType says what happened.
type GenerationEventType string

// The types. The first never is stored: it tells a stream where things are.
const (
	GenerationEventStatus    GenerationEventType = "status"
	GenerationEventStarted   GenerationEventType = "started"
	GenerationEventProgress  GenerationEventType = "progress"
	GenerationEventCompleted GenerationEventType = "completed"
	GenerationEventFailed    GenerationEventType = "failed"
	GenerationEventCancelled GenerationEventType = "cancelled"
)

// GenerationEvent is something that happened to the work on an asset. It is kept with it for those who follow it.
type GenerationEvent struct {
	ID           string // UUID; of the event on the bus too
	GenerationID string
	Sequence     int // from 1, without gaps; the store gives it
	Type         GenerationEventType
	Status       GenerationStatus // of the work then
	Progress     int
	Message      string
	At           time.Time
	Details      map[string]any // never text of the request
}

// GenerationChange is everything that a store writes in one transaction.
type GenerationChange struct {
	Generation Generation // all but ID, Principal, Request, Key, Fingerprint, Trace, Deadline and CreatedAt is taken over
	Runner     string     // who works on it: refused when another does; empty: nobody in particular
	Events     []GenerationEvent
	Asset      *Asset        // that is ready: its files' leases end with it
	Usage      []UsageRecord // settles the reservation when the work has ended
	Abandoned  []string      // keys of files that nobody needs: their leases end now
}

// Operations in the ledger.
const (
	OperationImage = "image_generation"
	OperationModel = "3d_generation"
	OperationAudio = "audio_generation"
)

// Operation is what making such an asset is called in the ledger.
func (c AssetCategory) Operation() string {
	switch c {
	case AssetImage, AssetTexture:
		return OperationImage
	case AssetAudio:
		return OperationAudio
	default:
		return OperationModel
	}
}

// Charged is what the attempts have cost.
func (g Generation) Charged() (sum Money) {
	for _, a := range g.Attempts {
		if a.Charged {
			sum = sum.Plus(a.Cost)
		}
	}
	return sum
}

// Last is the latest attempt. ok is false when there is none.
func (g Generation) Last() (a GenerationAttempt, ok bool) {
	if len(g.Attempts) == 0 {
		return GenerationAttempt{}, false
	}
	return g.Attempts[len(g.Attempts)-1], true
}

// WithAttempt returns the work with an attempt in the place of the one with its token, or behind all others when there is none.
func (g Generation) WithAttempt(a GenerationAttempt) Generation {
	g.Attempts = slices.Clone(g.Attempts)
	for i, other := range g.Attempts {
		if other.Token == a.Token {
			g.Attempts[i] = a
			return g
		}
	}
	g.Attempts = append(g.Attempts, a)
	return g
}

// End returns the work as it is when it has ended now. What is running at a generator then is charged all the same.
func (g Generation) End(status GenerationStatus, now time.Time) Generation {
	now = now.UTC().Truncate(time.Microsecond)
	g.Attempts = slices.Clone(g.Attempts)
	for i := range g.Attempts {
		a := &g.Attempts[i]
		switch {
		case a.Status == AttemptBegun: // the generator may have taken it
			a.Status, a.Charged, a.Failure, a.EndedAt = AttemptUnknown, true, CodeOutcomeUnknown, now
		case a.Status == AttemptRunning:
			a.Status, a.Charged, a.Failure, a.EndedAt = AttemptFailed, true, string(status), now
		case a.EndedAt.IsZero():
			a.EndedAt = now
		}
	}
	g.Status, g.UpdatedAt, g.CompletedAt, g.Cost = status, now, now, g.Charged()
	return g
}

// Tasks are the attempts whose tasks at generators the work waits for.
func (g Generation) Tasks() []GenerationAttempt {
	return slices.DeleteFunc(slices.Clone(g.Attempts), func(a GenerationAttempt) bool {
		return a.TaskID == "" || a.Status != AttemptRunning || g.Status.Ended()
	})
}

// GenerationNotFound says that the caller has no such work.
func GenerationNotFound() *Error { return AssetNotFound() }

// GenerationEnded says that nothing can be changed any more.
func GenerationEnded() *Error {
	return &Error{Kind: Conflict, Code: CodeEnded, Message: "The making of this asset has ended"}
}

// GenerationClaimed says that somebody else works on it, or has changed it meanwhile.
func GenerationClaimed() *Error {
	return NewError(Conflict, "Another process works on this asset")
}
