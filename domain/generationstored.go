package domain

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"time"
)

// Bounds of what is kept of the work on an asset, in bytes.
const (
	MaxAssetRequest       = 64 << 10 // as JSON; more is TooLarge
	maxGenerationAttempts = 64       // more is TooLarge
	maxGenerationText     = 4 << 10  // of a message or an error; more is cut
	maxGenerationWord     = 200      // of names and tasks; more is TooLarge
)

// Names of details of events about the work on an asset, beside those of workflows. Others are not kept.
const (
	DetailGenerator = "generator" // who is asked
	DetailStage     = "stage"     // for what
	DetailAttempt   = "attempt"   // from 1
	DetailSource    = "source"    // an AssetSource
)

// Tidy makes work fit to be stored. Stores call it. Too large a request is TooLarge. Work that has ended ended when it changed last, unless
// it says when.
func (g Generation) Tidy() (Generation, error) {
	g.Message, g.Error = storable(g.Message, maxGenerationText), storable(g.Error, maxGenerationText)
	switch {
	case !g.Status.Ended():
		g.CompletedAt = time.Time{}
	case g.CompletedAt.IsZero():
		g.CompletedAt = g.UpdatedAt
	}
	tooLarge := len(g.Attempts) > maxGenerationAttempts || len(g.Generators) > maxGenerationAttempts
	g.Generators, g.Attempts = slices.Clone(g.Generators), slices.Clone(g.Attempts)
	words := []*string{&g.ErrorCode, &g.BaseID, &g.AssetID, &g.ReservationID, &g.HTTPRequestID}
	for i := range g.Generators {
		o := &g.Generators[i]
		o.Stages = slices.Clone(o.Stages)
		tooLarge = tooLarge || len(o.Stages) > maxGenerationAttempts
		words = append(words, &o.Generator, &o.Prices)
		for s := range o.Stages {
			words = append(words, &o.Stages[s].Stage)
		}
	}
	for i := range g.Attempts {
		a := &g.Attempts[i]
		a.StartedAt, a.EndedAt = a.StartedAt.UTC().Truncate(time.Microsecond), a.EndedAt.UTC().Truncate(time.Microsecond)
		a.Error = storable(a.Error, maxGenerationText)
		words = append(words, &a.Generator, &a.Stage, &a.Token, &a.TaskID, &a.Failure)
	}
	for _, word := range words {
		*word = storable(*word, math.MaxInt)
		tooLarge = tooLarge || len(*word) > maxGenerationWord
	}
	r := &g.Request
	for _, text := range []*string{&r.Style, &r.Description, &r.Platform, &r.Format, &r.SessionID} {
		*text = storable(*text, math.MaxInt)
		tooLarge = tooLarge || len(*text) > MaxAssetRequest
	}
	if tooLarge {
		return g, NewError(TooLarge, "The request for an asset is too large")
	}
	return g, nil
}

// Tidy makes a change fit to be stored. Stores call it.
func (c GenerationChange) Tidy() (_ GenerationChange, err error) {
	if c.Generation, err = c.Generation.Tidy(); err != nil {
		return c, err
	}
	c.Events = slices.Clone(c.Events)
	for i, e := range c.Events {
		c.Events[i] = e.Tidy()
	}
	return c, nil
}

// Tidy makes an event fit to be stored. Stores call it.
func (e GenerationEvent) Tidy() GenerationEvent {
	e.Message = storable(e.Message, maxGenerationText)
	details := map[string]any{}
	for name, value := range e.Details {
		switch name {
		case DetailGenerator, DetailStage, DetailProvider, DetailModel:
			if s, ok := value.(string); ok && s != "" {
				details[name] = storable(s, maxGenerationWord)
			}
		case DetailReason, DetailSource:
			if s, ok := value.(string); ok && isWord(s) {
				details[name] = s
			}
		case DetailAttempt, DetailDurationMS:
			if n, ok := wholeNumber(value); ok {
				details[name] = n
			}
		case DetailCostUSD:
			if n, ok := value.(float64); ok && n >= 0 && !math.IsInf(n, 0) {
				details[name] = n
			}
		}
	}
	e.Details = details
	return e
}

// storedAssetRequest is an AssetRequest as stores keep it.
type storedAssetRequest struct {
	Category      AssetCategory `json:"category"`
	Style         string        `json:"style"`
	Description   string        `json:"description"`
	Platform      string        `json:"platform"`
	Quality       AssetQuality  `json:"quality"`
	MaxPolygons   int           `json:"max_polygons"`
	MaxBytes      int64         `json:"max_bytes"`
	Format        string        `json:"format"`
	SessionID     string        `json:"session_id"`
	Seed          *int64        `json:"seed"` // null and 0 differ
	AllowDatabase bool          `json:"allow_database"`
	AllowAdapted  bool          `json:"allow_adapted"`
	AllowMade     bool          `json:"allow_made"`
	MaxCost       Money         `json:"max_cost"` // billionths of a US dollar
	MaxWait       time.Duration `json:"max_wait"` // nanoseconds
}

// StoredAssetRequest is a request as stores keep it: JSON.
func StoredAssetRequest(r AssetRequest) ([]byte, error) { return json.Marshal(storedAssetRequest(r)) }

// AssetRequestFromStored reads what StoredAssetRequest made.
func AssetRequestFromStored(raw []byte) (AssetRequest, error) {
	var r storedAssetRequest
	err := json.Unmarshal(raw, &r)
	return AssetRequest(r), err
}

// StoredAttempts are attempts as stores keep them: JSON.
func StoredAttempts(attempts []GenerationAttempt) ([]byte, error) {
	return json.Marshal(append([]GenerationAttempt{}, attempts...))
}

// AttemptsFromStored reads what StoredAttempts made. No attempts are nil.
func AttemptsFromStored(raw []byte) ([]GenerationAttempt, error) {
	var attempts []GenerationAttempt
	err := json.Unmarshal(raw, &attempts)
	if len(attempts) == 0 {
		attempts = nil
	}
	return attempts, err
}

// StoredOffers are offers as stores keep them: JSON.
func StoredOffers(offers []GenerationOffer) ([]byte, error) {
	return json.Marshal(append([]GenerationOffer{}, offers...))
}

// OffersFromStored reads what StoredOffers made. No offers are nil.
func OffersFromStored(raw []byte) ([]GenerationOffer, error) {
	var offers []GenerationOffer
	err := json.Unmarshal(raw, &offers)
	if len(offers) == 0 {
		offers = nil
	}
	return offers, err
}

// subjectGeneration stands before the type of an event.
const subjectGeneration = "gaia.asset.generation."

// Event tells other services about an event of the work on an asset, as it is after that. The event must have its sequence number.
func (e GenerationEvent) Event(owner string, category AssetCategory, assetID string) Event {
	details := map[string]any{"generation_id": e.GenerationID, "sequence": e.Sequence, "progress": e.Progress, "message": e.Message}
	maps.Copy(details, e.Details)
	if assetID == "" {
		assetID = e.GenerationID
	}
	return Event{ID: e.ID, Subject: subjectGeneration + string(e.Type), Payload: AssetGenerationEvent{
		AssetID: assetID, UserID: owner, AssetType: category, Status: e.Type, Timestamp: e.At, Details: details,
	}}
}

// GenerationKeyReused says that an Idempotency-Key came with another request than the first one.
func GenerationKeyReused() *Error {
	return NewError(Conflict, "This Idempotency-Key was used for another asset; take a new one")
}
