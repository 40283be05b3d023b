package forward

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"gaia/domain"
)

// rank says how gladly an address is used; less is better.
type rank uint8

const (
	ready    rank = iota
	trying        // nobody knows yet, or one request may find out
	refusing      // it answers that it is not ready, or is about to stop
	unusable
)

// forgetNews is after how long a process that was said to stop, and still says it is ready, is believed.
const forgetNews = 5 * time.Second

const (
	// freshFor is how long nobody can say that a signature is too old, unless clocks differ.
	freshFor = 10 * time.Second
	// complainEvery is how often it is logged that an address refuses what is signed.
	complainEvery = 10 * time.Second
)

// endpoint is one address of a service.
type endpoint struct {
	key       string
	group     *group
	base      *url.URL
	dial      string // host:port
	nameless  string // names the process as long as it has not told its name; anybody may read it, so it is not the address
	transport *http.Transport
	running   atomic.Int64 // requests
	ask       chan struct{}
	probing   sync.Mutex // held by a probe

	mu       sync.Mutex
	breaker  breaker
	instance string
	ready    bool
	probed   bool          // there is a result of a probe
	timeouts int           // of probes in a row
	silent   time.Time     // when the first of them was over
	stopping time.Time     // when it was said that the process stops; zero: it was not
	seen     time.Time     // when the last probe was answered
	took     time.Duration // by the last probe
	looked   time.Time     // when the last probe began, whatever came of it
	foreign  bool          // the last probe was answered by something else
	older    bool          // the last process that answered a probe is of before answers were marked

	complained time.Time // when it was last logged that it refuses what is signed
}

func newEndpoint(g *group, key string, base *url.URL, address string) *endpoint {
	e := &endpoint{key: key, group: g, base: base, dial: joinPort(base, address), ask: make(chan struct{}, 1)}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(key))
	e.nameless = fmt.Sprintf("unknown-%08x", sum.Sum32())
	dialer := &net.Dialer{
		Timeout: g.config.Connect, Control: giveUpOnSilence,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	e.transport = &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, e.dial)
			if err != nil {
				return nil, &connectError{err}
			}
			return &countedConn{Conn: conn, made: time.Now()}, nil
		},
		TLSHandshakeTimeout: g.config.Connect + time.Second, DisableCompression: true, MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout: idleFor, MaxResponseHeaderBytes: maxHead, ExpectContinueTimeout: g.config.Wait,
	}
	e.transport.Protocols = new(http.Protocols)
	e.transport.Protocols.SetHTTP1(true)
	return e
}

// connectError is why there is no connection: nothing was sent.
type connectError struct{ error }

func (e *connectError) Unwrap() error { return e.error }

// countedConn knows how much was sent, and tells whoever uses it when it is closed.
type countedConn struct {
	net.Conn

	made   time.Time
	sent   atomic.Int64
	closed atomic.Pointer[func()]
}

// Close closes the connection.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	if tell := c.closed.Swap(nil); tell != nil {
		(*tell)()
	}
	return err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

func (e *endpoint) rank(now time.Time) rank {
	if e.running.Load() >= int64(e.group.config.MaxConns) {
		return unusable
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	usable, asTrial := e.breaker.usable(now)
	switch {
	case !usable:
		return unusable
	case asTrial:
		return trying
	case !e.stopping.IsZero() || e.probed && !e.ready:
		return refusing
	case !e.probed:
		return trying
	}
	return ready
}

// take claims the address for a request. It fails when another request has just taken the only trial.
func (e *endpoint) take(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	usable, asTrial := e.breaker.usable(now)
	if !usable {
		return false
	}
	if asTrial {
		e.breaker.trial = now
	}
	e.running.Add(1)
	return true
}

func (e *endpoint) release() { e.running.Add(-1) }

func (e *endpoint) dead() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.breaker.open
}

// unheard reports whether every probe went unanswered for so long that nobody has to be waited for who was asked at begun. A process that
// refuses connections is none: it may be about to stop, and finish what it has begun.
func (e *endpoint) unheard(begun time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, d := e.group.config.Now(), e.group.config.Unheard
	return e.timeouts > 1 && now.Sub(e.silent) >= d && now.Sub(begun) >= d
}

func (e *endpoint) isOlder() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.older
}

// lookedSince reports whether a probe has begun, and is over, since then.
func (e *endpoint) lookedSince(then time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.looked.After(then)
}

func (e *endpoint) opensIn(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.breaker.open {
		return 0
	}
	return e.breaker.until.Sub(now)
}

// failed notes that a request could not be made, or was answered by something that is no service of Gaia.
func (e *endpoint) failed(err error, answer bool) {
	e.mu.Lock()
	opened := e.breaker.failed(e.group.config.Now(), answer)
	e.mu.Unlock()
	if opened {
		e.group.config.Logger.Warn("address of a service left alone", "to", e.group.service, "address", e.dial, "error", err)
	}
	if !answer {
		e.probeNow()
		e.group.lookAgain()
	}
}

// late notes that no answer came in time. That is the fault of what the service waits for, unless the process itself has not been heard of since.
func (e *endpoint) late(since time.Time, err error) {
	e.mu.Lock()
	alive := e.seen.After(since)
	e.mu.Unlock()
	if !alive {
		e.failed(err, false)
	}
}

// refused notes that the service does not believe a signature that was so old when it was answered. A fresh one is refused when secrets or clocks
// differ, which no probe can find; an old one when the service stood still, and it is well again.
func (e *endpoint) refused(age time.Duration) {
	now := e.group.config.Now()
	e.mu.Lock()
	worth := now.Sub(e.complained) >= complainEvery
	if worth {
		e.complained = now
	}
	e.mu.Unlock()
	if worth {
		e.group.config.Logger.Error("a service does not believe what this process signs: secrets or clocks differ, or it stood still",
			"service", e.group.service, "address", e.dial, "after", age)
	}
	if age < freshFor {
		e.failed(errRefused, true)
	}
}

func (e *endpoint) succeeded() {
	e.mu.Lock()
	was := e.breaker.open
	e.breaker.succeeded()
	e.mu.Unlock()
	if was {
		e.group.config.Logger.Info("address of a service is used again", "to", e.group.service, "address", e.dial)
	}
}

// heard takes news of a process, and reports whether it is the one at this address.
func (e *endpoint) heard(instance string, up bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if instance == "" || e.instance != instance {
		return false
	}
	e.stopping = time.Time{}
	if !up {
		e.stopping = e.group.config.Now()
	}
	return true
}

// told is what others may know of the process.
func (e *endpoint) told() domain.Instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := domain.Instance{Service: e.group.service, ID: e.instance, Seen: e.seen, Health: domain.PartHealth{Status: domain.Healthy, ResponseTime: e.took}}
	if i.ID == "" {
		i.ID = e.nameless
	}
	switch {
	case e.foreign:
		i.Health = domain.PartHealth{Status: domain.Unhealthy, Detail: "Something else answers there"}
	case e.breaker.open || !e.probed:
		i.Health = domain.PartHealth{Status: domain.Unhealthy, Detail: "It can't be reached"}
	case !e.stopping.IsZero():
		i.Health.Status, i.Health.Detail = domain.Degraded, "It is about to stop"
	case !e.ready:
		i.Health.Status, i.Health.Detail = domain.Unhealthy, "It is not ready"
	}
	return i
}
