package rediskv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"gaia/domain"
)

// count is one decision. A counter is the time, in microseconds of the server's clock, when its caller has everything back; one that
// is gone is that of a caller who has everything. For each key come how long one request takes to win back, how long all of them do,
// and what another process has given by itself. It answers which limit refuses, from 1, or 0, and the debt in each.
// A time further ahead than all requests take to win back is one from before the clock went back, and is corrected for good: it would
// lock the caller out. Redis before version 5 does not take it, since it asks for the time before it writes.
var count = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local stored = redis.call('MGET', unpack(KEYS))
local clear, answer, longest = {}, {0}, 0
for i = 1, #KEYS do
	local one, full, owed = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
	stored[i] = tonumber(stored[i] or now) or now
	clear[i] = math.min(math.max(stored[i], now + owed), now + full)
	local wait = clear[i] + one - now - full
	if wait > longest then
		answer[1], longest = i, wait
	end
end
for i = 1, #KEYS do
	if answer[1] == 0 then
		clear[i] = clear[i] + ARGV[3*i-2]
	end
	if clear[i] ~= stored[i] and clear[i] > now then
		redis.call('SET', KEYS[i], string.format('%.0f', clear[i]), 'PX', math.ceil((clear[i] - now) / 1000))
	end
	answer[i+1] = clear[i] - now
end
return answer`)

var errStrangeCount = errors.New("redis: counting gave something else than figures")

// Count implements ports.SharedRateLimiter.
func (c *Client) Count(ctx context.Context, limits []domain.RateLimit, owed [domain.MaxRateLimits]time.Duration) (domain.RateDecision, error) {
	if !c.link.open() {
		return domain.RateDecision{}, errAway
	}
	if len(limits) == 0 || len(limits) > domain.MaxRateLimits {
		return domain.RateDecision{}, fmt.Errorf("redis: count %d limits, want 1 to %d", len(limits), domain.MaxRateLimits)
	}
	keys, args := make([]string, len(limits)), make([]any, 0, 3*len(limits))
	for i, l := range limits {
		keys[i] = c.cfg.Prefix + "rate:" + l.Rule.Name + ":" + l.ID
		args = append(args, l.Rule.Interval().Microseconds(), l.Rule.Full().Microseconds(), owed[i].Microseconds())
	}
	var answer []int64
	err := c.call(ctx, func(ctx context.Context) (err error) {
		answer, err = count.Run(ctx, c.rdb, keys, args...).Int64Slice()
		return err
	})
	if err != nil {
		return domain.RateDecision{}, err
	}
	if len(answer) != len(limits)+1 || answer[0] < 0 || answer[0] > int64(len(limits)) {
		return domain.RateDecision{}, errStrangeCount
	}
	d := domain.RateDecision{Allowed: answer[0] == 0, Refused: max(int(answer[0])-1, 0)}
	for i := range limits {
		d.Debts[i] = time.Duration(answer[i+1]) * time.Microsecond
	}
	return d, nil
}
