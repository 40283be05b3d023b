package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// RateLimiter counts the requests of callers.
type RateLimiter interface {
	// Take counts a request in every limit, MaxRateLimits at most, or in none when one of them refuses it. Deciding and counting must
	// be one step: requests at the same moment, in all processes that share the counters, must not get more than the rules allow.
	// Counters with the same rule name and id are one, and no others may influence each other. When the clock jumps nobody may have
	// to wait longer than the period of the rule, or get more at once than it allows. It must not wait for anything that is away.
	Take(ctx context.Context, limits []domain.RateLimit) domain.RateDecision
}

// SharedRateLimiter counts for many processes. It may be away at any time: no call may wait longer than 20 ms, and while it is known
// to be away no call may wait at all.
type SharedRateLimiter interface {
	// Count is Take, but for what stands here. owed are debts that this process has given by itself, for each limit: whoever is in
	// debt there must be so here from now on, even when the request is refused. After an error nothing is decided; the request may
	// have been counted all the same.
	Count(ctx context.Context, limits []domain.RateLimit, owed [domain.MaxRateLimits]time.Duration) (domain.RateDecision, error)
}
