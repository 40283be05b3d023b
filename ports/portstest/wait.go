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
			t.Fatalf("not within %v: %s", limit, what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

const (
	quickLimit = 50 * time.Millisecond // of a call that meets a part which is away
	quickTries = 5                     // a busy machine makes some calls late
	quickStall = time.Second / 2       // but not as late as this
)

// Quick fails the test when a call waits for a part that is away. call may run several times.
func Quick(t testing.TB, what string, call func()) {
	t.Helper()
	var took time.Duration
	for range quickTries {
		began := time.Now()
		call()
		took = time.Since(began)
		if took <= quickLimit {
			return
		}
		if took > quickStall {
			break
		}
	}
	t.Errorf("%s took %v", what, took)
}
