package rediskv

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"gaia/ports"
)

// Each space has two random marks. A value is taken only under the version it was stored with, and stored only while the guard is
// the one that the loader saw: dropping a space changes the version, dropping a key removes it and changes the guard, which turns
// away loads that are on their way. Marks are random, not counted, because Redis may evict one: a count that starts again would
// make old values valid.
func (c *Client) versionOf(space string) string     { return c.cfg.Prefix + "version:" + space }
func (c *Client) guardOf(space string) string       { return c.cfg.Prefix + "guard:" + space }
func (c *Client) valueOf(key ports.CacheKey) string { return c.cfg.Prefix + key.Space + ":" + key.Name }

var errAway = errors.New("redis does not answer")

// Get implements ports.RemoteCache.
func (c *Client) Get(ctx context.Context, key ports.CacheKey) ([]byte, ports.RemoteTicket, bool) {
	if !c.link.trusted() {
		return nil, "", false
	}
	version, guard := c.versionOf(key.Space), c.guardOf(key.Space)
	var got []any
	err := c.call(ctx, func(ctx context.Context) (err error) {
		got, err = c.rdb.MGet(ctx, version, guard, c.valueOf(key)).Result()
		if err == nil && (got[0] == nil || got[1] == nil) {
			got, err = c.mark(ctx, version, guard)
		}
		return err
	})
	if err != nil {
		return nil, "", false
	}
	seen := ticket{run: *c.run.Load()}
	seen.version, _ = got[0].(string)
	seen.guard, _ = got[1].(string)
	if seen.version == "" || seen.guard == "" {
		return nil, "", false
	}
	stored, _ := got[2].(string)
	data, found := strings.CutPrefix(stored, seen.stamp())
	if !found {
		return nil, seen.encode(), false
	}
	return []byte(data), seen.encode(), true
}

// mark gives a space the marks that it lacks. What is stored without them can't be told from old values.
func (c *Client) mark(ctx context.Context, version, guard string) ([]any, error) {
	var marks *redis.SliceCmd
	_, err := c.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.SetNX(ctx, version, rand.Text(), 0)
		p.SetNX(ctx, guard, rand.Text(), 0)
		marks = p.MGet(ctx, version, guard)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(marks.Val(), nil), nil
}

var store = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('GET', KEYS[2]) == ARGV[2] then
	redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
end
return 0`)

// Put implements ports.RemoteCache.
func (c *Client) Put(ctx context.Context, key ports.CacheKey, t ports.RemoteTicket, data []byte, ttl time.Duration) {
	seen, ok := decodeTicket(t)
	if !ok || ttl < time.Millisecond || !c.link.trusted() {
		return
	}
	keys := []string{c.versionOf(key.Space), c.guardOf(key.Space), c.valueOf(key)}
	value := append([]byte(seen.stamp()), data...)
	// A failure opens the link; the value itself is no loss.
	_ = c.call(ctx, func(ctx context.Context) error {
		return store.Run(ctx, c.rdb, keys, seen.version, seen.guard, value, ttl.Milliseconds()).Err()
	})
}

// Drop implements ports.RemoteCache.
func (c *Client) Drop(ctx context.Context, keys ...ports.CacheKey) error {
	if len(keys) == 0 {
		return nil
	}
	if !c.link.open() {
		return errAway
	}
	return c.call(ctx, func(ctx context.Context) error {
		_, err := c.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range keys {
				p.Set(ctx, c.guardOf(key.Space), rand.Text(), 0)
				if key.Name == "" {
					p.Set(ctx, c.versionOf(key.Space), rand.Text(), 0)
				} else {
					p.Del(ctx, c.valueOf(key))
				}
			}
			return nil
		})
		return err
	})
}

// ticket is what Get saw.
type ticket struct{ run, version, guard string }

// stamp stands before every stored value.
func (t ticket) stamp() string { return t.run + " " + t.version + "\n" }

func (t ticket) encode() ports.RemoteTicket {
	return ports.RemoteTicket(t.run + " " + t.version + " " + t.guard)
}

func decodeTicket(t ports.RemoteTicket) (ticket, bool) {
	parts := strings.Fields(string(t))
	if len(parts) != 3 {
		return ticket{}, false
	}
	return ticket{run: parts[0], version: parts[1], guard: parts[2]}, true
}
