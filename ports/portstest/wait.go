package portstest

import (
	"testing"
	"time"
)

// Patience is how long tests wait for what must happen. Only a test that fails waits so long.
const Patience = 30 * time.Second

// Within polls for a state that another process or goroutine brings about.
func Within(t testing.TB, limit time.Duration, what string, reached func() bool) {
	t.Helper()
	deadline := time.After(limit)
	for !reached() {
		select {
		case <-deadline:
			if !reached() { // this goroutine may not have run for a while
				t.Fatalf("not within %v: %s", limit, what)
			}
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

const (
	quickLimit = 50 * time.Millisecond // of a call that meets a part which is away
	quickTries = 5                     // a busy machine makes some calls late
	quickStall = time.Second / 2       // but not as late as this
	mostStalls = 2                     // unless it stood still: what waits is late each time
)

// Quick fails the test when a call waits for a part that is away. call may run several times.
func Quick(t testing.TB, what string, call func()) {
	t.Helper()
	QuickWithin(t, quickLimit, what, call)
}

// QuickWithin is Quick for calls that may wait a little.
func QuickWithin(t testing.TB, limit time.Duration, what string, call func()) {
	t.Helper()
	var took time.Duration
	stalls := 0
	for range quickTries {
		began := time.Now()
		call()
		took = time.Since(began)
		if took <= limit {
			return
		}
		if took > quickStall {
			stalls++
		}
		if stalls == mostStalls {
			break
		}
	}
	t.Errorf("%s took %v", what, took)
}
