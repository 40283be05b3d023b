package natsbus

import (
	"testing"
	"time"
)

// Stored returns how many events the stream holds, which nobody else can ask an embedded server.
func (b *Bus) Stored(t *testing.T) int {
	t.Helper()
	stream, err := b.js.Stream(t.Context(), b.streamName())
	if err != nil {
		t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}

// Patient returns the configuration with more time for offering work: what was given up may have been stored, so a test that counts can't
// offer it again.
func (c Config) Patient() Config {
	c.enqueueWait = 10 * time.Second
	return c
}

// WorkStream names the stream of workflows.
func (b *Bus) WorkStream() string { return b.workflows.config().Name }

// Fence is what keeps late events from going out.
type Fence struct{ fence }

// Until is until.
func (f *Fence) Until(end time.Time) { f.until(end) }

// Shut is shut.
func (f *Fence) Shut() { f.shut() }

// LookedThrough returns the number up to which a stream was looked through.
func (b *Bus) LookedThrough(stream string) int {
	b.sender.mu.Lock()
	defer b.sender.mu.Unlock()
	if l := b.sender.looks[stream]; l != nil {
		return int(l.next)
	}
	return 0
}
