package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// PricesReread is how long it takes at most until every process has read the prices again.
const PricesReread = 5 * time.Minute

const (
	markPrices     = "prices"
	pricesInterval = time.Minute // with what backoffAround adds, less than half of PricesReread
	pricesTimeout  = 10 * time.Second
)

// PricesDeps is what Prices needs.
type PricesDeps struct {
	Read  func() (*domain.PriceTable, error) // nil: the built-in table, which never changes
	Marks ports.Marks
	Log   *slog.Logger
}

// Prices holds the table that is in force. All processes read it again when somebody has asked for that.
type Prices struct {
	PricesDeps
	table atomic.Pointer[domain.PriceTable]
	asked time.Time // what was read last was read because of this; of the goroutine of Run
}

// NewPrices reads the table.
func NewPrices(d PricesDeps) (*Prices, error) {
	p := &Prices{PricesDeps: d}
	if d.Read == nil {
		p.table.Store(domain.BuiltInPrices())
		return p, nil
	}
	table, err := d.Read()
	if err != nil {
		return nil, err
	}
	p.table.Store(table)
	return p, nil
}

// Table is the table in force.
func (p *Prices) Table() *domain.PriceTable { return p.table.Load() }

// Ask has all processes read the table again.
func (p *Prices) Ask(ctx context.Context, at time.Time) error {
	return p.Marks.SetMark(ctx, markPrices, at)
}

// Run reads the table again whenever somebody has asked for that, until ctx ends.
func (p *Prices) Run(ctx context.Context) {
	if p.Read == nil {
		return
	}
	for pause(ctx, backoffAround(pricesInterval)) {
		p.Refresh(ctx)
	}
}

// Refresh reads the table again if somebody has asked for that since the last time; the first time, whenever that was, since clocks of
// processes differ. A table that is broken, or that can't be read, leaves the old one in force.
func (p *Prices) Refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pricesTimeout)
	defer cancel()
	asked, err := p.Marks.Mark(ctx, markPrices)
	if err != nil || asked.Equal(p.asked) { // without a database nobody can ask
		return
	}
	p.asked = asked
	table, err := p.Read()
	if err != nil {
		p.Log.ErrorContext(ctx, "the prices were to be read again and can't be used: the old ones stay in force", "error", err)
		return
	}
	before := p.table.Swap(table)
	p.Log.InfoContext(ctx, "the prices were read again", "version", table.Version(), "before", before.Version())
}
