package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"gaia/domain"
)

const (
	// InstanceHeader is where a service names its process in the answer of /readyz: whoever does not is no service.
	InstanceHeader = "X-Gaia-Instance"

	probePath = "/readyz"
	// probeSoon is how often an address is probed while something is wrong, probeGap the shortest time between two probes.
	probeSoon = time.Second
	probeGap  = 200 * time.Millisecond
	maxProbe  = 64 << 10
)

// probeNow asks for a probe before the next one is due.
func (e *endpoint) probeNow() {
	select {
	case e.ask <- struct{}{}:
	default:
	}
}

// watch probes until ctx ends.
func (e *endpoint) watch(ctx context.Context) {
	defer e.transport.CloseIdleConnections()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		e.probe(ctx, time.Now())
		gap := min(probeGap, e.group.config.ProbeInterval)
		if !rest(ctx, timer, gap, nil) || !rest(ctx, timer, e.pause()-gap, e.ask) {
			return
		}
	}
}

func (e *endpoint) pause() time.Duration {
	d := e.group.config.ProbeInterval
	if !e.well() {
		d = min(d, probeSoon)
	}
	return d - time.Duration(rand.Int64N(int64(d)/10+1)) // #nosec G404 -- keeps gateways from probing in step
}

func (e *endpoint) well() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ready && !e.breaker.open && e.stopping.IsZero()
}

// probe asks once and notes what it learns, unless another probe has, which began later than then.
func (e *endpoint) probe(ctx context.Context, then time.Time) {
	e.probing.Lock()
	defer e.probing.Unlock()
	if e.lookedSince(then) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.group.config.ProbeTimeout)
	defer cancel()
	begun := time.Now()
	status, header, err := e.readyz(ctx)
	took := time.Since(begun)
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return // nobody wants to know any more
	}
	before := e.describe()
	e.mu.Lock()
	e.looked = begun
	e.mu.Unlock()
	if err != nil {
		e.unreachable(err)
	} else {
		e.reached(status, header, took)
	}
	if after := e.describe(); after != before {
		level := e.group.config.Logger.InfoContext
		if after != "ready" {
			level = e.group.config.Logger.WarnContext
		}
		level(ctx, "address of a service is "+after, "to", e.group.service, "address", e.dial, "status", status, "error", err)
	}
}

func (e *endpoint) readyz(ctx context.Context) (int, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base.JoinPath(probePath).String(), http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("User-Agent", "gaia")
	resp, err := e.transport.RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.CopyN(io.Discard, resp.Body, maxProbe) // to its end, or the connection can't be used again
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, err
	}
	if resp.Header.Get(InstanceHeader) == "" {
		return resp.StatusCode, nil, fmt.Errorf("status %d from %w", resp.StatusCode, errForeign)
	}
	return resp.StatusCode, resp.Header, nil
}

// unreachable notes a probe without an answer, or with one of something else. A refusal is clear at once; silence is believed the second time, since a machine may be busy.
func (e *endpoint) unreachable(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probed, e.foreign = true, errors.Is(err, errForeign)
	if errors.Is(err, context.DeadlineExceeded) {
		if e.timeouts++; e.timeouts < 2 {
			e.silent = e.group.config.Now()
			e.ready = false // others are better meanwhile
			return
		}
	} else {
		e.timeouts = 0
	}
	e.ready = false
	if now := e.group.config.Now(); !e.breaker.open || !now.Before(e.breaker.until) {
		e.breaker.trip(now, false)
	}
}

func (e *endpoint) reached(status int, header http.Header, took time.Duration) {
	now := e.group.config.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probed, e.foreign, e.timeouts, e.seen, e.took = true, false, 0, now, took
	e.older = header.Get(domain.AnswerHeader) == ""
	e.ready = status == http.StatusOK
	e.breaker.alive(now)
	instance := header.Get(InstanceHeader)
	if !e.stopping.IsZero() && (instance != e.instance || e.ready && now.Sub(e.stopping) > forgetNews) {
		e.stopping = time.Time{}
	}
	e.instance = instance
}

// describe says how the address is, in a word for the log.
func (e *endpoint) describe() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !e.probed:
		return ""
	case e.breaker.open:
		return "away"
	case !e.ready:
		return "not ready"
	default:
		return "ready"
	}
}
