package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gaia/domain"
	"gaia/ports"
)

const msgKeysAway = "The keys of the identity provider are not available"

// Timing says when keys are fetched. Zero values mean the defaults.
type Timing struct {
	Default time.Duration // how long a JWKS is good when the server does not say: 10 minutes
	Min     time.Duration // bounds of what the server says: 1 minute
	Max     time.Duration // and 1 hour, which bounds how long a withdrawn key goes on verifying
	Retry   time.Duration // pause after a fetch that failed, doubled each time up to Min: 1 second
	Unknown time.Duration // between two fetches for the sake of keys that nobody knows: 10 seconds
	Fetch   time.Duration // of one fetch: 5 seconds
	Wait    time.Duration // how long tokens wait for a fetch, from its beginning: 2 seconds
}

func (t Timing) withDefaults() Timing {
	for _, field := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&t.Default, 10 * time.Minute}, {&t.Min, time.Minute}, {&t.Max, time.Hour}, {&t.Retry, time.Second}, {&t.Unknown, 10 * time.Second},
		{&t.Fetch, 5 * time.Second}, {&t.Wait, 2 * time.Second},
	} {
		if *field.value <= 0 {
			*field.value = field.or
		}
	}
	return t
}

// keyring holds the public keys of the identity provider. They are fetched in the background before they get too old; while the server
// is away, the keys that are there stay. A key that nobody knows has the JWKS fetched once, for all who ask meanwhile.
type keyring struct {
	url    string
	client *http.Client
	timing Timing
	now    ports.Clock
	log    *slog.Logger

	keys atomic.Pointer[map[string]*publicKey] // by kid; never changed in place

	mu      sync.Mutex
	last    *flight // the latest fetch, under way or over; nil before the first
	flying  bool
	failing bool // for the log: only the first failure in a row is told
	closed  bool

	ctx     context.Context // ends with close
	stop    context.CancelFunc
	running sync.WaitGroup
}

// flight is one fetch, for all who wait for it.
type flight struct {
	begun time.Time
	done  chan struct{}

	// Set before done is closed.
	good time.Duration // how long what was fetched is good
	err  error
}

func newKeyring(cfg Config) (*keyring, error) {
	u, err := url.Parse(cfg.KeysURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("jwtauth: the JWKS has no http or https address") // which may hold a password
	}
	timing := cfg.Timing.withDefaults()
	k := &keyring{url: cfg.KeysURL, client: newHTTPClient(timing.Fetch), timing: timing, now: cfg.Now, log: cfg.Logger}
	k.keys.Store(&map[string]*publicKey{})
	k.ctx, k.stop = context.WithCancel(context.Background())
	k.running.Go(k.refresh)
	return k, nil
}

func (k *keyring) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.stop()
	k.running.Wait()
	k.client.CloseIdleConnections()
}

// find returns the key of an id, or nil when nobody publishes it. When that can't be found out, the error is domain.Unavailable.
func (k *keyring) find(ctx context.Context, id string) (*publicKey, error) {
	if key := (*k.keys.Load())[id]; key != nil {
		return key, nil
	}
	f := k.ask()
	if f == nil {
		return nil, k.away(errors.New("jwtauth: closed"))
	}
	timer := time.NewTimer(k.timing.Wait - k.now().Sub(f.begun))
	defer timer.Stop()
	select {
	case <-f.done:
	default: // a flight that is over is always read, even by those whose time is up
		select {
		case <-f.done:
		case <-timer.C:
			return nil, k.away(errors.New("jwtauth: the JWKS takes long"))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	key := (*k.keys.Load())[id]
	if key == nil && f.err != nil {
		return nil, k.away(f.err)
	}
	return key, nil
}

// away is the error for what can't be judged now.
func (k *keyring) away(cause error) error {
	e := domain.MissingPart(msgKeysAway, cause)
	e.RetryAfter = k.timing.Unknown
	return e
}

// ask returns a flight for a key that is not known: the one that is under way, or a new one, unless the last one is so recent that its
// outcome has to do. However many ask, there is one fetch in each Timing.Unknown.
func (k *keyring) ask() *flight {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil && (k.flying || k.now().Sub(k.last.begun) < k.timing.Unknown) {
		return k.last
	}
	return k.start()
}

// fly returns the flight that is under way, or a new one.
func (k *keyring) fly() *flight {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flying {
		return k.last
	}
	return k.start()
}

// start begins a fetch; after close it returns nil. The caller holds mu.
func (k *keyring) start() *flight {
	if k.closed {
		return nil
	}
	f := &flight{begun: k.now(), done: make(chan struct{})}
	k.last, k.flying = f, true
	k.running.Go(func() {
		keys, leftOut, good, err := k.fetch()
		f.good, f.err = good, err
		k.land(f, keys, leftOut)
	})
	return f
}

// land puts what was fetched into use.
func (k *keyring) land(f *flight, keys map[string]*publicKey, leftOut []error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(f.done)
	k.flying = false
	if f.err != nil {
		if !k.failing && k.ctx.Err() == nil {
			k.log.Warn("the identity provider's keys can't be fetched; those that are known stay in use", "known", len(*k.keys.Load()), "error", f.err.Error())
		}
		k.failing = true
		return
	}
	old := *k.keys.Load()
	var added, removed []string
	for id, key := range keys {
		if key.same(old[id]) {
			keys[id] = old[id] // what it verified goes on being verified
		} else {
			added = append(added, id)
		}
	}
	k.keys.Store(&keys)
	for id, key := range old {
		if keys[id] != key {
			key.withdrawn.Store(true)
			removed = append(removed, id)
		}
	}
	if k.failing || len(added)+len(removed) > 0 {
		k.log.Info("the identity provider's keys were fetched", "keys", slices.Sorted(maps.Keys(keys)), "new", added, "gone", removed, "left_out", describe(leftOut))
	}
	k.failing = false
}

// describe is for the log: a JWKS of many unusable keys must not fill it.
func describe(faults []error) []string {
	const most = 5
	var texts []string
	for i, fault := range faults {
		if i == most {
			return append(texts, fmt.Sprintf("and %d more", len(faults)-most))
		}
		texts = append(texts, fault.Error())
	}
	return texts
}

// refresh fetches the keys now and again before they are too old, until close.
func (k *keyring) refresh() {
	pause := k.timing.Retry
	for {
		f := k.fly()
		if f == nil {
			return
		}
		<-f.done // a fetch has its own limit
		next := pause
		if f.err == nil {
			next, pause = k.good(f), k.timing.Retry
		} else {
			pause = min(2*pause, k.timing.Min)
		}
		select {
		case <-time.After(next):
		case <-k.ctx.Done():
			return
		}
	}
}

// good is how long after a fetch the next one begins: before the keys are too old, with time for the fetch itself.
func (k *keyring) good(f *flight) time.Duration {
	return min(max(f.good, k.timing.Min), k.timing.Max) * 9 / 10
}
