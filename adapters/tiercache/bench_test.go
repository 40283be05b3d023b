package tiercache_test

import (
	"context"
	"net"
	"testing"
	"time"

	"gaia/adapters/rediskv"
	"gaia/adapters/tiercache"
	"gaia/internal/testenv"
	"gaia/ports"
)

func loadNothing(context.Context) (any, error) { return "value", nil }

func benchFetch(b *testing.B, c ports.Cache, ttl time.Duration) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.Fetch(context.Background(), list, ttl, loadNothing, decode); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFetchWarm(b *testing.B) {
	b.Run("alone", func(b *testing.B) {
		benchFetch(b, newCache(b, tiercache.Config{}), time.Hour)
	})
	b.Run("with a bus", func(b *testing.B) {
		url, subjects := testenv.NATS(b)
		bus := openBus(b, url, subjects)
		healthy(b, bus)
		benchFetch(b, newCache(b, tiercache.Config{Bus: bus}), time.Hour)
	})
	b.Run("parallel", func(b *testing.B) {
		c := newCache(b, tiercache.Config{})
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, _, err := c.Fetch(context.Background(), list, time.Hour, loadNothing, decode); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkFetchCold loads always: every entry is old as soon as it is there.
func BenchmarkFetchCold(b *testing.B) {
	b.Run("alone", func(b *testing.B) {
		benchFetch(b, newCache(b, tiercache.Config{}), time.Nanosecond)
	})
	b.Run("Redis down", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		address := l.Addr().String()
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		benchFetch(b, newCache(b, tiercache.Config{Remote: openRedis(b, rediskv.Config{URL: "redis://" + address})}), time.Nanosecond)
	})
	b.Run("Redis hangs", func(b *testing.B) {
		server := testenv.StartRedis(b)
		remote := openRedis(b, rediskv.Config{URL: server.URL()})
		healthy(b, remote)
		server.Pause()
		benchFetch(b, newCache(b, tiercache.Config{Remote: remote}), time.Nanosecond)
	})
}

// BenchmarkFetchRemote takes the value from Redis: every entry in memory is too old.
func BenchmarkFetchRemote(b *testing.B) {
	url, keys := testenv.Redis(b)
	benchFetch(b, newCache(b, tiercache.Config{Remote: patientRedis(b, url, keys), MaxAge: time.Nanosecond}), time.Hour)
}
