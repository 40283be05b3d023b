package httpapi

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"
)

// leaving is a client that is gone after so many events.
type leaving struct {
	writeDeadlines
	left, writes int
}

func (c *leaving) Write(b []byte) (int, error) {
	c.writes++
	if c.left--; c.left < 0 {
		return 0, errors.New("write: i/o timeout")
	}
	return c.ResponseWriter.Write(b)
}

func (*leaving) FlushError() error { return nil }

func TestStreamsRenewTheirDeadlineAndEndWithTheClient(t *testing.T) {
	t.Parallel()
	client := &leaving{writeDeadlines: writeDeadlines{ResponseWriter: httptest.NewRecorder()}, left: 2}
	begun := time.Now()
	out := newSSE(client, false, 0)
	out.event("one")
	if out.ping(); out.gone {
		t.Fatal("the client is taken for gone")
	}
	if out.event("two"); !out.gone {
		t.Fatal("the client is taken for present")
	}
	if out.event("three"); client.writes != 3 {
		t.Errorf("%d writes, one of them after the client had left", client.writes)
	}
	if len(client.set) != 3 || client.set[0].Before(begun.Add(frameTimeout)) || client.set[1].Before(client.set[0]) {
		t.Errorf("deadlines %v of a stream that began at %v", client.set, begun)
	}
}
