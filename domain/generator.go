package domain

import (
	"bytes"
	_ "embed" // the built-in generators
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"time"
)

// Ids of the generators that Gaia knows how to ask.
const (
	GeneratorOpenAI     = "openai"
	GeneratorStability  = "stability"
	GeneratorMidjourney = "midjourney"
	GeneratorMeshy      = "meshy"
	GeneratorFreesound  = "freesound"
	GeneratorMubert     = "mubert"
	GeneratorProcedural = "procedural"
)

// GenerationOrder is what a generator is asked for in one stage of its work.
type GenerationOrder struct {
	Token    string    // UUID: the same for every try of this stage, another for each stage
	Begun    time.Time // when it was last placed, or about to be
	Stage    string    // one of those that the generator named
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
	Setting    string                     `json:"setting"` // the environment variable that switches it on
	Pricing    string                     `json:"pricing"` // its provider in the price table
	Model      string                     `json:"model,omitempty"`
	Source     AssetSource                `json:"source"`           // of what it returns
	Adapts     []AssetCategory            `json:"adapts,omitempty"` // categories in which it can change an asset
	Operations map[AssetCategory]string   `json:"operations"`       // of the price table, by category; those it can make
	Stages     map[string]string          `json:"stages,omitempty"` // operations of the price table, by stage; of stages that have their own
	Formats    map[AssetCategory][]string `json:"formats"`          // the preferred one first
	Qualities  map[AssetQuality]string    `json:"qualities"`        // what they are called in the price table
	Scores     map[AssetQuality]float64   `json:"scores"`           // quality_score of what it makes
	License    AssetLicense               `json:"license"`
	Repeatable bool                       `json:"repeatable,omitempty"` // asking twice costs nothing
	StandsIn   bool                       `json:"stands_in,omitempty"`  // it is asked only for what no other generator is there for
}

// Makes reports whether the generator makes such assets, in that format if one is named.
func (g Generator) Makes(category AssetCategory, format string) bool {
	if _, ok := g.Operations[category]; !ok {
		return false
	}
	return format == "" || slices.Contains(g.Formats[category], format)
}

// CanAdapt reports whether the generator can change such assets, and gives them that format if one is named.
func (g Generator) CanAdapt(category AssetCategory, format string) bool {
	return slices.Contains(g.Adapts, category) && g.Makes(category, format)
}

// GeneratorTable says which generators there are, and in which order they are asked. It does not change after it was made.
type GeneratorTable struct {
	version    string
	generators []Generator
}

// Version names the table.
func (t GeneratorTable) Version() string { return t.version }

// All returns all generators, in the order in which they are asked.
func (t GeneratorTable) All() []Generator { return slices.Clone(t.generators) }

// Find looks a generator up by its id.
func (t GeneratorTable) Find(id string) (Generator, bool) {
	i := slices.IndexFunc(t.generators, func(g Generator) bool { return g.ID == id })
	if i < 0 {
		return Generator{}, false
	}
	return t.generators[i], true
}

// Makers returns the generators that make such assets, in that format if one is named, in the order in which they are asked.
func (t GeneratorTable) Makers(category AssetCategory, format string) []Generator {
	return slices.DeleteFunc(t.All(), func(g Generator) bool { return !g.Makes(category, format) })
}

// WithModel returns the table with another model for a generator. Where the price table has prices for the models, it is asked for those
// of the new one.
func (t GeneratorTable) WithModel(id, model string) GeneratorTable {
	with := GeneratorTable{version: t.version, generators: t.All()}
	for i, g := range with.generators {
		if g.ID != id {
			continue
		}
		operations := maps.Clone(g.Operations)
		for category, operation := range operations {
			if operation == g.Model {
				operations[category] = model
			}
		}
		with.generators[i].Model, with.generators[i].Operations = model, operations
	}
	return with
}

//go:embed generators.json
var builtInGenerators []byte

// BuiltInGenerators are the generators that Gaia can use.
func BuiltInGenerators() GeneratorTable {
	t, err := ParseGenerators(builtInGenerators)
	if err != nil {
		panic("domain: generators.json: " + err.Error()) // embedded, and a test parses it
	}
	return t
}

// ParseGenerators reads a JSON object with "version" and "generators". It reports every fault at once. Without a version, that is a sum of
// its bytes.
func ParseGenerators(data []byte) (GeneratorTable, error) {
	var file struct {
		Version    string      `json:"version"`
		Generators []Generator `json:"generators"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // a setting with a small mistake in its name must not be without effect
	err := d.Decode(&file)
	if _, end := d.Token(); err == nil && !errors.Is(end, io.EOF) {
		err = errors.New("there is more than one JSON value")
	}
	if err == nil && len(file.Generators) == 0 {
		err = errors.New("no generators")
	}
	if err != nil {
		return GeneratorTable{}, fmt.Errorf("parse generators: %w", err)
	}
	if file.Version == "" {
		file.Version = fmt.Sprintf("%08x", crc32.ChecksumIEEE(data))
	}
	var faults []error
	seen := map[string]bool{}
	for i, g := range file.Generators {
		name := g.ID
		switch {
		case name == "":
			name = fmt.Sprintf("number %d", i+1)
			faults = append(faults, fmt.Errorf("generator %s has no id", name))
		case seen[name]:
			faults = append(faults, fmt.Errorf("generator %s is listed twice", name))
		}
		seen[g.ID] = true
		for _, fault := range g.faults() {
			faults = append(faults, fmt.Errorf("generator %s: %w", name, fault))
		}
	}
	if len(faults) > 0 {
		return GeneratorTable{}, errors.Join(faults...)
	}
	return GeneratorTable{version: file.Version, generators: file.Generators}, nil
}

// faults are everything that is wrong with a generator, but for its id.
func (g Generator) faults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if g.Setting == "" {
		fault("setting is missing")
	}
	if g.Pricing == "" {
		fault("pricing is missing")
	}
	if g.Source != AssetFromGenerator && g.Source != AssetFromOutside {
		fault("source is %q; it must be %q or %q", g.Source, AssetFromGenerator, AssetFromOutside)
	}
	if !slices.Contains(AssetLicenses(), g.License) {
		fault("license is %q, which is none", g.License)
	}
	faults = append(faults, g.categoryFaults()...)
	for _, q := range AssetQualities() {
		if g.Qualities[q] == "" {
			fault("qualities has no %s", q)
		}
		if s, ok := g.Scores[q]; !ok || s < 0 || s > 1 {
			fault("scores needs a %s of 0 to 1", q)
		}
	}
	for _, q := range slices.Sorted(maps.Keys(g.Qualities)) {
		if !slices.Contains(AssetQualities(), q) {
			fault("qualities names %q, which is none", q)
		}
	}
	for _, q := range slices.Sorted(maps.Keys(g.Scores)) {
		if !slices.Contains(AssetQualities(), q) {
			fault("scores names %q, which is no quality", q)
		}
	}
	return faults
}

// categoryFaults are everything that is wrong with what a generator makes.
func (g Generator) categoryFaults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(g.Operations) == 0 {
		fault("operations is empty: it makes nothing")
	}
	for _, c := range slices.Sorted(maps.Keys(g.Operations)) {
		if !slices.Contains(AssetCategories(), c) {
			fault("operations names %q, which is no category", c)
		}
		if g.Operations[c] == "" {
			fault("operations has an empty one for %s", c)
		}
		if len(g.Formats[c]) == 0 || slices.Contains(g.Formats[c], "") {
			fault("formats needs one or more for %s", c)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(g.Formats)) {
		if _, ok := g.Operations[c]; !ok {
			fault("formats names %s, which operations lacks", c)
		}
	}
	for _, c := range g.Adapts {
		if _, ok := g.Operations[c]; !ok {
			fault("adapts names %s, which operations lacks", c)
		}
	}
	return faults
}
