package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gaia/adapters/natsbus"
	"gaia/adapters/rediskv"
	"gaia/ports"
)

var _ ports.Cache = (*keyNews)(nil)

// keyNews tells running servers what they must forget, and returns when they know. A server leaves that to the background, where it goes on
// until it succeeds; a command ends. It keeps nothing itself.
type keyNews struct {
	config config
	redis  *rediskv.Client // nil: none is configured
	bus    *natsbus.Bus    // nil: as above

	told              bool // there was something to tell
	redisErr, busErr  error
	timeout, tryAgain time.Duration
}

func openNews(ctx context.Context, c config, sys *system) (*keyNews, error) {
	news := &keyNews{config: c, timeout: tellTimeout, tryAgain: tellRetry}
	var err error
	if c.RedisURL != "" {
		news.redis, err = rediskv.Open(rediskv.Config{
			URL: c.RedisURL, Password: c.RedisPassword, Prefix: c.RedisPrefix, ConnectTimeout: c.RedisConnect.duration(),
		})
		if err != nil {
			return nil, err
		}
		sys.onClose(func() { _ = news.redis.Close() })
	}
	if c.NATSURL != "" {
		news.bus, err = natsbus.Start(ctx, natsbus.Config{
			URL: c.NATSURL, SubjectPrefix: c.NATSPrefix, Name: c.ServiceName + "-keys", MaxReconnects: c.NATSReconnects,
			Timeout: c.NATSTimeout.duration(), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return nil, err
		}
		sys.onClose(func() { _ = news.bus.Close() })
	}
	return news, nil
}

// Invalidate implements ports.Cache.
func (n *keyNews) Invalidate(ctx context.Context, keys ...ports.CacheKey) {
	n.told = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.timeout)
	defer cancel()
	redisDone := make(chan error, 1)
	go func() {
		if n.redis == nil {
			redisDone <- nil
			return
		}
		redisDone <- n.until(ctx, func() error { return n.redis.Drop(ctx, keys...) })
	}()
	if n.bus != nil {
		// First the local caches, for Redis may take long. The servers clean Redis up, too: this command need not know where theirs is.
		n.busErr = n.until(ctx, func() error { return n.bus.Announce(ctx, ports.Invalidation{Keys: keys, RemoteOwed: true}) })
	}
	n.redisErr = <-redisDone
}

// until tries again and again: connections are made in the background.
func (n *keyNews) until(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(n.tryAgain):
		}
	}
}

// outcome says in one sentence who knows.
func (n *keyNews) outcome() string {
	longest := n.config.keyTTL()
	switch {
	case n.config.DatabaseURL == "":
		return fmt.Sprintf("A running server knows it within %s.", longest)
	case n.bus != nil && n.busErr == nil:
		return "Running servers were told."
	case n.bus != nil:
		return fmt.Sprintf("NATS could not be reached: it may take up to %s (API_KEY_CACHE_TTL) until running servers know it.", longest)
	case n.redisErr != nil:
		return fmt.Sprintf("Redis could not be reached: it may take up to %s (API_KEY_CACHE_TTL) until running servers know it.", longest)
	default:
		return fmt.Sprintf("Running servers without NATS_URL know it within %s; those with one, which this command has not, within %s (API_KEY_CACHE_TTL).",
			min(longest, sharedAge), longest)
	}
}

// sharedAge is how long servers without a bus between them keep what others may change: the default of tiercache.Config.MaxAge.
const sharedAge = 5 * time.Second

// Fetch implements ports.Cache.
func (*keyNews) Fetch(
	ctx context.Context, _ ports.CacheKey, _ time.Duration, load func(context.Context) (any, error), _ func([]byte) (any, error),
) (any, bool, error) {
	value, err := load(ctx)
	return value, false, err
}

// Peek implements ports.Cache.
func (*keyNews) Peek(ports.CacheKey) (any, bool) { return nil, false }

// Len implements ports.Cache.
func (*keyNews) Len(string) int { return 0 }
