package main

import (
	"log/slog"
	"time"

	"gaia/adapters/gcra"
	"gaia/adapters/rediskv"
	"gaia/app"
	"gaia/ports"
)

// periods are what RATE_LIMIT_PERIOD may say.
var periods = map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}

// maxRateLimit is more than a process can answer in the shortest period.
const maxRateLimit = 1_000_000

// wireLimits limits requests in this process, and together with others when there is a Redis.
func wireLimits(c config, redis *rediskv.Client, probes map[string]ports.Probe, log *slog.Logger) *app.Limits {
	if c.RateLimit == 0 {
		if c.production() {
			log.Warn("nothing limits how often passwords and keys can be tried: RATE_LIMIT_REQUESTS is 0")
		}
		return app.NewLimits(nil, app.LimitsConfig{}, time.Now)
	}
	local := gcra.NewLocal(time.Now, 0)
	var limiter ports.RateLimiter = local
	probes[app.PartLimiter] = local
	if redis != nil {
		joined := gcra.NewLimiter(local, redis, log)
		limiter, probes[app.PartLimiter] = joined, joined
	}
	return app.NewLimits(limiter, app.LimitsConfig{
		Requests: c.RateLimit, Period: periods[c.RateLimitPeriod], Burst: c.RateBurst,
		SignIns: c.RateSignIn, Refreshes: c.RateRefresh, Validations: c.RateValidate,
		Account: c.RateAccount, Failures: c.RateFailures,
	}, time.Now)
}

// ownFiles is how many files and connections of its own a process may need, beside one to a provider for each request.
const ownFiles = 256

// connections is how many clients may connect: no more than leave the process something to work with.
func (c config) connections() int {
	if files := maxFiles(); files > 0 {
		return min(c.MaxConnections, max(files-ownFiles-c.MaxConcurrent, files/4))
	}
	return c.MaxConnections
}
