package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Outcome says how an attempt at a provider ended.
type Outcome string

// The outcomes.
const (
	OutcomeCompleted Outcome = "completed"
	OutcomeFailed    Outcome = "failed"   // the provider's fault or refusal; UsageRecord.Failure says which
	OutcomeCanceled  Outcome = "canceled" // the client left
)

// Operations that Gaia itself writes into the ledger; clients report others.
const OperationCompletion = "text_completion"

// UsageRecord is a row of the ledger: one attempt at a provider, or a use that a client reports. It is written once and never changed.
// RequestID and Attempt together are unique: a second record with both is no error and changes nothing.
type UsageRecord struct {
	RequestID     string // UUID of version 7 that Gaia gave the request, at most MaxRequestAge before At; the completion's id carries it too
	Attempt       int    // from 1
	HTTPRequestID string // X-Request-ID of the HTTP request, which clients may choose and repeat
	Owner         string // Principal.OwnerID
	At            time.Time
	Operation     string
	Provider      string
	Model         string
	Claimed       bool // reported by a client: its cost is kept as claimed and counts against no budget
	Outcome       Outcome
	Failure       string // of a failed attempt: the error's code or kind
	Usage         Usage  // Source is never empty, except when Claimed
	Images        int
	Models3D      int
	Credits       int
	Quality       string
	Cost          Money
	PriceVersion  string // of the table that Cost comes from
	Streamed      bool
	Timings       Timings
}

// Timings says where the time of a request went. What a request did not need is zero.
type Timings struct {
	Authentication time.Duration
	Validation     time.Duration
	Selection      time.Duration // persona, history and model
	StreamSetup    time.Duration // of a stream: from the prompt to the provider's acceptance
	FirstToken     time.Duration // from the prompt to the first piece of the answer
	Provider       time.Duration // from the prompt to the end of the answer
	Processing     time.Duration // everything after that, without the wait for the commit itself
}

// MaxRequestAge is how old a request may be when its use is written down. The ledger finds the records of a time by their ids, which
// begin with the time of the request.
const MaxRequestAge = time.Hour

// IsRequest reports whether the record counts as a request: completed ones and claims do, and partial answers, but no refusals.
func (r UsageRecord) IsRequest() bool {
	return r.Claimed || r.Outcome == OutcomeCompleted || r.Usage.Output > 0
}

// Total is how long an attempt kept its request busy. StreamSetup lies within the time of the provider.
func (t Timings) Total() time.Duration {
	return t.Authentication + t.Validation + t.Selection + t.Provider + t.Processing
}

// FaultOfProvider reports whether the attempt failed, and not because of what it was asked.
func (r UsageRecord) FaultOfProvider() bool {
	if r.Outcome != OutcomeFailed {
		return false
	}
	switch r.Failure {
	case CodeContextLength, CodeContentFilter, CodeModelNotFound,
		kindNames[BadRequest], kindNames[Invalid], kindNames[NotFound], kindNames[TooLarge]:
		return false
	default:
		return true
	}
}

// Unreachable reports whether the attempt failed because the provider was away, or had too much to do to answer.
func (r UsageRecord) Unreachable() bool {
	return r.Outcome == OutcomeFailed && (r.Failure == CodeOverloaded || r.Failure == kindNames[Unavailable])
}

// UsageTotal sums the records of one owner, day, provider, operation and claim.
type UsageTotal struct {
	Day          time.Time // midnight UTC
	Provider     string
	Operation    string
	Quality      string
	Claimed      bool
	Requests     int64 // completed ones and claims; partial answers count, refusals do not
	InputTokens  int64
	OutputTokens int64
	Images       int64
	Models3D     int64
	Credits      int64
	Cost         Money
}

// Event tells others about the record.
func (r UsageRecord) Event() UsageRecordedEvent {
	return UsageRecordedEvent{
		RequestID: r.RequestID, Attempt: r.Attempt, UserID: r.Owner, Provider: r.Provider, Model: r.Model,
		InputTokens: r.Usage.Input, OutputTokens: r.Usage.Output, CostUSD: r.Cost.Dollars(), UsageSource: r.Usage.Source, Outcome: r.Outcome,
		Timestamp: r.At.UTC().Truncate(time.Microsecond),
	}
}

// Recorded is the event that tells about the record where nobody gives it an id: the same record has the same one, a UUID of version 8.
func (r UsageRecord) Recorded() Event {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", SubjectUsageRecorded, r.RequestID, r.Attempt))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	id := hex.EncodeToString(sum[:16])
	id = id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
	return Event{ID: id, Subject: SubjectUsageRecorded, Payload: r.Event()}
}
