package app

import (
	"context"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// GenerationConfig tunes the making of assets. Zero values mean the defaults named here.
type GenerationConfig struct {
	AtOnce      int           // works that this process does at the same time; 5
	PerOwner    int           // works of one caller that have not ended, about; 200
	Lease       time.Duration // a runner that shows no sign of life for so long is dead; 15 s
	Poll        time.Duration // how often it is looked for work that the queue lost; 5 s
	Patience    time.Duration // how long calls of generators may take when the process stops; 5 s
	SaveTimeout time.Duration // of one attempt to write; 5 s
	MaxWait     time.Duration // the longest that an answer is held back; 60 s
	Timeout     time.Duration // after which no generator is asked any more; 15 min
	FileLease   time.Duration // how long a file may take from its first byte until its asset is stored; 10 min
	MaxCost     domain.Money  // of one asset; $0.50
	DailyBudget domain.Money  // of each caller; 0: no limit
	MaxBytes    int64         // of a file; 100 MiB
	MaxPreview  int64         // bytes of a preview; 10 MiB
	Public      bool          // everybody finds what was made for one caller
}

func (c GenerationConfig) withDefaults() GenerationConfig {
	for value, otherwise := range map[*int]int{&c.AtOnce: 5, &c.PerOwner: 200} {
		if *value <= 0 {
			*value = otherwise
		}
	}
	for value, otherwise := range map[*time.Duration]time.Duration{
		&c.Lease: 15 * time.Second, &c.Poll: 5 * time.Second, &c.Patience: 5 * time.Second, &c.SaveTimeout: 5 * time.Second,
		&c.MaxWait: time.Minute, &c.Timeout: 15 * time.Minute, &c.FileLease: 10 * time.Minute,
	} {
		if *value <= 0 {
			*value = otherwise
		}
	}
	for value, otherwise := range map[*int64]int64{&c.MaxBytes: 100 << 20, &c.MaxPreview: 10 << 20} {
		if *value <= 0 {
			*value = otherwise
		}
	}
	if c.MaxCost <= 0 {
		c.MaxCost = domain.FromDollars(0.5)
	}
	return c
}

// GenerationDeps is what Generations need.
type GenerationDeps struct {
	Store      ports.GenerationStore
	Assets     ports.AssetStore
	Leases     ports.FileLeases
	Blobs      ports.BlobStore
	Inspector  ports.MediaInspector
	Queue      ports.WorkQueue
	Budgets    ports.BudgetStore // needed with a DailyBudget
	Table      domain.GeneratorTable
	Generators map[string]ports.AssetGenerator // that are configured, by their id in Table
	Prices     *domain.PriceTable
	// NewsURL, which may be nil, is where a generator sends news of its tasks; empty: nowhere.
	NewsURL func(generator string) string
	// Stored, which may be nil, is called after an event was stored, which can be sent now.
	Stored func()
	// Troubled, which may be nil, is told what went wrong with work that goes on later.
	Troubled func(id string, err error)
	// Unknown, which may be nil, is told of news about a task that no work waits for.
	Unknown func(generator string)
	Now     ports.Clock
	NewID   ports.IDs
	Config  GenerationConfig
}

// Generations gets assets: from the catalogue, or by having them made. What is to be made is made by processes in which Run runs. Close it.
type Generations struct {
	GenerationDeps
}

// NewGenerations makes the use cases.
func NewGenerations(d GenerationDeps) *Generations {
	d.Config = d.Config.withDefaults()
	return &Generations{GenerationDeps: d}
}

// GenerationResult is an asset, or how far the work on it is.
type GenerationResult struct {
	Generation domain.Generation // of an asset that was found without work: what there is to say, with the asset's ID
	Asset      *domain.Asset     // when it is completed
	Waited     time.Duration     // how long the answer took
}

// Close ends what listens to other replicas. Run must have returned before.
func (g *Generations) Close() {}

// Generate gets an asset. What is not ready after the time that the request allows is returned as it is then; work that has failed by then
// is an error. Requests of one caller with the same key, unless it is empty, get the same asset.
func (g *Generations) Generate(
	ctx context.Context, who domain.Principal, key string, req domain.AssetRequest, httpRequestID string,
) (GenerationResult, error) {
	return GenerationResult{}, errNotYet
}

// Get returns an asset of the catalogue that the caller sees, or work of the caller.
func (g *Generations) Get(ctx context.Context, who domain.Principal, id string) (GenerationResult, error) {
	return GenerationResult{}, errNotYet
}

// Cancel ends work of the caller. What has ended is domain.Conflict.
func (g *Generations) Cancel(ctx context.Context, who domain.Principal, id string) (GenerationResult, error) {
	return GenerationResult{}, errNotYet
}

// Follow calls f with the present state of work of the caller, then with each event after that, until the last one or until f fails. After a
// sequence number above 0 it goes on with the events that come after that one. For an asset without work there is its end alone.
func (g *Generations) Follow(ctx context.Context, who domain.Principal, id string, after int, f func(domain.GenerationEvent) error) error {
	return errNotYet
}

// News has the work looked at that waits for a task at a generator. Nobody needs to wait for a task that is not known.
func (g *Generations) News(ctx context.Context, generator, taskID string) error { return errNotYet }

// Run works on assets until ctx ends.
func (g *Generations) Run(ctx context.Context) { <-ctx.Done() }

var errNotYet = domain.NewError(domain.Unimplemented, "Assets are not made yet")
