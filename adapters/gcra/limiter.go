package gcra

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Limiter counts together with other processes while the shared limiter answers, and alone while it does not. Both know of each
// other's counters: the local ones are as they were shared when that ends, and what was given meanwhile is told when it is back.
type Limiter struct {
	local  *Local
	shared ports.SharedRateLimiter
	log    *slog.Logger
	alone  atomic.Bool
}

// NewLimiter joins the two.
func NewLimiter(local *Local, shared ports.SharedRateLimiter, log *slog.Logger) *Limiter {
	return &Limiter{local: local, shared: shared, log: log}
}

// Take implements ports.RateLimiter.
func (l *Limiter) Take(ctx context.Context, limits []domain.RateLimit) domain.RateDecision {
	d, err := l.shared.Count(ctx, limits, l.local.owed(limits))
	if err != nil {
		if ctx.Err() == nil { // a caller who left says nothing about the shared limiter
			l.note(err)
		}
		return l.local.take(limits, true)
	}
	l.note(nil)
	l.local.learn(limits, d.Debts)
	return d
}

// note logs changes, and not each request.
func (l *Limiter) note(err error) {
	if alone := err != nil; alone != l.alone.Load() && l.alone.CompareAndSwap(!alone, alone) {
		if alone {
			l.log.Warn("requests are limited by this process alone", "error", err)
		} else {
			l.log.Info("requests are limited together with other processes")
		}
	}
}

// probe is a limit that nobody reaches. It makes sure that counting works, not only that somebody answers.
var probe = []domain.RateLimit{{Rule: domain.RateRule{Name: "probe", Requests: domain.MaxRate, Period: time.Second}, ID: "health"}}

// Check implements ports.Probe.
func (l *Limiter) Check(ctx context.Context) domain.PartHealth {
	begun := time.Now()
	_, err := l.shared.Count(ctx, probe, [domain.MaxRateLimits]time.Duration{})
	took := time.Since(begun)
	if err != nil {
		return domain.PartHealth{Status: domain.Degraded, Detail: "Each process limits alone", ResponseTime: took}
	}
	return domain.PartHealth{Status: domain.Healthy, ResponseTime: took}
}

// Check implements ports.Probe.
func (l *Local) Check(context.Context) domain.PartHealth {
	return domain.PartHealth{Status: domain.Healthy}
}
