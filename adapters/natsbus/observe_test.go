package natsbus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

// watcher takes down what is published and received. Each message gets a header that tells what has caused it.
type watcher struct {
	mu    sync.Mutex
	begun int // of what is published
	seen  []string
}

const causeHeader = "traceparent"

func (w *watcher) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, fmt.Sprintf(format, args...))
}

func (w *watcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

func (w *watcher) observe(ctx context.Context, subject string, header map[string][]string) func(error) {
	cause := domain.TraceOf(ctx)
	header[causeHeader] = []string{"sent-" + cause}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun++
	return func(err error) { w.note("%s of %s: %v", subject, cause, err) }
}

func (w *watcher) receive(ctx context.Context, subject string, header map[string][]string) (context.Context, func(error)) {
	cause := strings.Join(header[causeHeader], ",")
	return domain.WithTrace(ctx, cause), func(err error) { w.note("done %s of %s: %v", subject, cause, err) }
}

// What caused an event goes with it, and whoever watches learns when the stream has it; of what the stream has already, nothing.
func TestStoredEventsCarryTheirTrace(t *testing.T) {
	t.Parallel()
	var w watcher
	url, prefix := testenv.NATS(t)
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix, Observe: w.observe}))
	events := storedEvents(3)
	events[0].Trace, events[2].Trace = "a", "c"
	send(t, b, events[:1])
	w.take()
	ctx := t.Context()
	if n, _, err := b.Send(ctx, domain.EventBatch{Events: events, Doubt: true}); n != 3 || err != nil {
		t.Fatalf("Send = %d, %v", n, err)
	}
	subject := domain.SubjectChatComplete
	if got, want := w.take(), []string{subject + " of : <nil>", subject + " of c: <nil>"}; !slices.Equal(got, want) {
		t.Errorf("told was %q, want %q", got, want)
	}
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	stream := streamOf(t, conn, prefix+subject)
	for i, e := range events {
		m, err := stream.GetMsg(ctx, uint64(i)+1)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header.Get(causeHeader); got != "sent-"+e.Trace || m.Header.Get(nats.MsgIdHdr) != e.ID {
			t.Errorf("event %d has the headers %v", i, m.Header)
		}
	}
}

func TestEventsThatNoStreamTakesCarryTheirTrace(t *testing.T) {
	t.Parallel()
	var w watcher
	b := connected(t, start(t, natsbus.Config{URL: coreServer(t), Observe: w.observe}))
	events := storedEvents(1)
	events[0].Trace = "a"
	send(t, b, events)
	if got := w.take(); !slices.Equal(got, []string{domain.SubjectChatComplete + " of a: <nil>"}) {
		t.Errorf("told was %q", got)
	}
}

// An event that can't be sent ends, for whoever watches, too.
func TestWhatIsNotSentIsToldAsWell(t *testing.T) {
	t.Parallel()
	var w watcher
	url, prefix := testenv.NATS(t)
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix, Observe: w.observe}))
	send(t, b, storedEvents(1))
	w.take()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	events := storedEvents(4)[1:]
	_, _, _ = b.Send(ctx, domain.EventBatch{Events: events}) // most often it fails at the first
	told := w.take()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun != 1+len(events) || len(told) != len(events) {
		t.Errorf("of %d events %d were begun, and told was %q", 1+len(events), w.begun, told)
	}
}

// Work has the trace of who offered it, whether a stream holds it or not; what is given back is told, too.
func TestWorkCarriesItsTrace(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]func(t *testing.T) natsbus.Config{
		"stream": func(t *testing.T) natsbus.Config {
			url, prefix := testenv.NATS(t)
			return natsbus.Config{URL: url, SubjectPrefix: prefix, WorkWait: soon}.Patient()
		},
		"streamless": func(t *testing.T) natsbus.Config { return natsbus.Config{URL: coreServer(t)}.Patient() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w watcher
			c := config(t)
			c.Observe, c.Receive = w.observe, w.receive
			q := connected(t, start(t, c)).Generations()
			var mu sync.Mutex
			var caused []string
			workOn(t, q, 1, func(ctx context.Context, _ string) bool {
				mu.Lock()
				defer mu.Unlock()
				caused = append(caused, domain.TraceOf(ctx))
				return name == "streamless" || len(caused) > 1
			})
			const offered = domain.SubjectGenerationOffered
			want := []string{offered + " of a: <nil>", "done " + offered + " of sent-a: <nil>"}
			if name == "stream" {
				want = append(want, "done "+offered+" of sent-a: the work is offered again")
			}
			var seen []string
			portstest.Within(t, portstest.Patience, "the work is done", func() bool {
				if len(seen) == 0 || name == "streamless" && !slices.Contains(seen, want[1]) { // without a stream some find nobody
					if err := q.Enqueue(domain.WithTrace(t.Context(), "a"), "one"); err != nil {
						t.Fatal(err)
					}
				}
				seen = append(seen, w.take()...)
				return !slices.ContainsFunc(want, func(told string) bool { return !slices.Contains(seen, told) })
			})
			mu.Lock()
			defer mu.Unlock()
			if slices.ContainsFunc(caused, func(cause string) bool { return cause != "sent-a" }) {
				t.Errorf("work was caused by %q", caused)
			}
		})
	}
}
