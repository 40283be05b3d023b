package tiercache_test

import (
	"testing"
	"time"

	"gaia/adapters/tiercache"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

func TestContractAlone(t *testing.T) {
	t.Parallel()
	portstest.Cache(t, func(t *testing.T) portstest.CacheSetup {
		var clock clock
		c := newCache(t, tiercache.Config{Now: clock.now})
		return portstest.CacheSetup{A: c, B: c, Advance: clock.advance}
	})
}

func TestContractSharedWithNothingBetween(t *testing.T) {
	t.Parallel()
	portstest.Cache(t, func(t *testing.T) portstest.CacheSetup {
		var clock clock
		cfg := tiercache.Config{Now: clock.now, Shared: true}
		return portstest.CacheSetup{A: newCache(t, cfg), B: newCache(t, cfg), Advance: clock.advance, Staleness: 5 * time.Second}
	})
}

func TestContractRedis(t *testing.T) {
	t.Parallel()
	portstest.Cache(t, func(t *testing.T) portstest.CacheSetup {
		var clock clock
		url, prefix := testenv.Redis(t)
		a := newCache(t, tiercache.Config{Now: clock.now, Remote: patientRedis(t, url, prefix)})
		b := newCache(t, tiercache.Config{Now: clock.now, Remote: patientRedis(t, url, prefix)})
		return portstest.CacheSetup{A: a, B: b, Advance: clock.advance, Staleness: 5 * time.Second}
	})
}

func TestContractNATS(t *testing.T) {
	t.Parallel()
	portstest.Cache(t, func(t *testing.T) portstest.CacheSetup {
		var clock clock
		url, prefix := testenv.NATS(t)
		one, other := openBus(t, url, prefix), openBus(t, url, prefix)
		a := newCache(t, tiercache.Config{Now: clock.now, Bus: one})
		b := newCache(t, tiercache.Config{Now: clock.now, Bus: other})
		portstest.Within(t, portstest.Patience, "both are on the bus", func() bool { return one.Connected() && other.Connected() })
		return portstest.CacheSetup{A: a, B: b, Advance: clock.advance}
	})
}

func TestContractRedisAndNATS(t *testing.T) {
	t.Parallel()
	portstest.Cache(t, func(t *testing.T) portstest.CacheSetup {
		var clock clock
		redisURL, keys := testenv.Redis(t)
		natsURL, subjects := testenv.NATS(t)
		one, other := openBus(t, natsURL, subjects), openBus(t, natsURL, subjects)
		a := newCache(t, tiercache.Config{Now: clock.now, Remote: patientRedis(t, redisURL, keys), Bus: one})
		b := newCache(t, tiercache.Config{Now: clock.now, Remote: patientRedis(t, redisURL, keys), Bus: other})
		portstest.Within(t, portstest.Patience, "both are on the bus", func() bool { return one.Connected() && other.Connected() })
		return portstest.CacheSetup{A: a, B: b, Advance: clock.advance}
	})
}
