package domain

import "time"

// GenerationOrder is what a generator is asked for in one stage of its work.
type GenerationOrder struct {
	Token    string // UUID: the same for every try of this stage, another for each stage
	Stage    string // one of those that the generator named
	Request  AssetRequest
	Model    string    // of the generator; empty: its own default
	Seed     int64     // never negative, below 2^32; the request's, or one that was drawn for it
	Previous string    // task of the stage before; empty in the first
	Base     *BaseFile // what is adapted; nil: something new is made
	Notify   string    // absolute URL for news; empty: there is none
}

// BaseFile is a file that a generator adapts.
type BaseFile struct {
	AssetID string
	Format  string
	Data    []byte
}

// GeneratorTaskStatus says how far a task at a generator is.
type GeneratorTaskStatus string

// The states of a task.
const (
	TaskRunning GeneratorTaskStatus = "running"
	TaskDone    GeneratorTaskStatus = "done"
	TaskFailed  GeneratorTaskStatus = "failed"
)

// GeneratorTask is a task at a generator.
type GeneratorTask struct {
	ID       string // the generator's
	Status   GeneratorTaskStatus
	Progress int             // percent
	Message  string          // for people; may be empty
	Files    []GeneratedFile // when it is done: the asset first, then what belongs to it; may be empty in stages before the last
	Failure  *Error          // why it failed; Message is safe for clients
	Charged  bool            // of a failed one: the generator took money all the same
	Again    time.Duration   // when asking again makes sense; zero: the caller decides
}

// GeneratedFile is a file that a generator made.
type GeneratedFile struct {
	Format              string // as the generator says
	Data                []byte // the file itself, or
	URL                 string // where it is; it may work for a short time only
	Preview             bool   // a picture of the asset, not the asset
	License             AssetLicense
	AttributionRequired bool
	Title               string         // of things that have one already; may be empty
	Attributes          map[string]any // facts for clients, such as seed, author, source_url
}

// Generator tells about a generator: what it can make, and what that is called in the price table.
type Generator struct {
	ID         string                     `json:"id"`
	Setting    string                     `json:"setting"` // the environment variable that configures it; empty: built in
	Pricing    string                     `json:"pricing"` // its provider in the price table
	Model      string                     `json:"model,omitempty"`
	Source     AssetSource                `json:"source"`           // of what it returns
	Adapts     []AssetCategory            `json:"adapts,omitempty"` // categories in which it can change an asset
	Operations map[AssetCategory]string   `json:"operations"`       // of the price table, by category; those it can make
	Formats    map[AssetCategory][]string `json:"formats"`          // the preferred one first
	Qualities  map[AssetQuality]string    `json:"qualities"`        // what they are called in the price table
	Scores     map[AssetQuality]float64   `json:"scores"`           // quality_score of what it makes
	License    AssetLicense               `json:"license"`
	Repeatable bool                       `json:"repeatable,omitempty"` // asking twice costs nothing
}

// Makes reports whether the generator makes such assets, in that format if one is named.
func (g Generator) Makes(category AssetCategory, format string) bool {
	if _, ok := g.Operations[category]; !ok {
		return false
	}
	if format == "" {
		return true
	}
	for _, f := range g.Formats[category] {
		if f == format {
			return true
		}
	}
	return false
}
