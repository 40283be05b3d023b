package forward

import (
	"errors"
	"sync/atomic"

	"gaia/domain"
)

// counts are what became of requests for one service.
type counts struct {
	requests, retries, away, late, lost, refused, rationed, broken atomic.Uint64
}

// failed counts an attempt without an answer.
func (c *counts) failed(f *failure) {
	switch {
	case f.late:
		c.late.Add(1)
	case errors.Is(f, errRefused):
		c.refused.Add(1)
	default:
		c.lost.Add(1)
	}
}

// spend reports whether one more attempt is allowed.
func (g *group) spend() bool {
	allowed := g.budget.spend()
	if !allowed {
		g.counts.rationed.Add(1)
	}
	return allowed
}

// Stats tells of each service what became of requests for it since the process started.
func (f *Forwarder) Stats() map[domain.Service]domain.HopCounts {
	stats := make(map[domain.Service]domain.HopCounts, len(f.groups))
	for service, g := range f.groups {
		c := &g.counts
		stats[service] = domain.HopCounts{
			Requests: c.requests.Load(), Retries: c.retries.Load(), Away: c.away.Load(), Late: c.late.Load(), Lost: c.lost.Load(),
			Refused: c.refused.Load(), Rationed: c.rationed.Load(), Broken: c.broken.Load(),
		}
	}
	return stats
}
