package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	eventSamples = 300  // chats whose event is waited for
	queuedChats  = 2000 // with two stored events each, while the bus is away
	eventWorkers = 8
	rawBatch     = 256 // as many as the relay sends together
	eventWait    = 30 * time.Second
)

// eventRow is how events of one database reach the bus.
type eventRow struct {
	database string
	p50, p99 time.Duration // from the last byte of a chat's answer to its event at a subscriber
	queued   int
	relayed  float64 // events a second, out of the outbox into the stream
	raw      float64 // events a second by a publisher that does nothing else
}

// measureEvents needs a NATS server on the path: nobody outside can listen to the embedded one. Without, there are no rows.
func measureEvents(ctx context.Context, o options, dir string) ([]eventRow, error) {
	program, err := exec.LookPath("nats-server")
	if err != nil {
		progress("no nats-server: events are not measured")
		return nil, nil
	}
	databases := []struct{ name, url string }{{"SQLite", ""}}
	if o.database != "" {
		databases = append(databases, struct{ name, url string }{"PostgreSQL", o.database})
	}
	var rows []eventRow
	for i, database := range databases {
		progress("events: %s", database.name)
		row, err := measureEventsOf(ctx, o, program, filepath.Join(dir, fmt.Sprintf("events-%d", i)), database.url)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", database.name, err)
		}
		row.database = database.name
		rows = append(rows, row)
	}
	return rows, nil
}

func measureEventsOf(ctx context.Context, o options, program, dir, database string) (row eventRow, err error) {
	bus, err := startNATS(program, filepath.Join(dir, "nats"))
	if err != nil {
		return row, err
	}
	defer func() { bus.kill() }()
	settings := []string{"NATS_URL=" + bus.url}
	if database != "" {
		settings = append(settings, "DATABASE_URL="+database)
		up := exec.CommandContext(ctx, o.gaia, "migrate", "up") //nolint:gosec // the program to measure
		up.Env = append(cleanEnvironment(), "DATABASE_URL="+database)
		up.Dir = dir
		if out, err := up.CombinedOutput(); err != nil {
			return row, fmt.Errorf("migrate: %w: %s", err, out)
		}
	}
	server, err := startGaia(ctx, o.gaia, dir, settings...)
	if err != nil {
		return row, err
	}
	defer server.kill()
	if _, err := server.awaitReady(ctx); err != nil {
		return row, err
	}
	c := newClient(server.url, eventWorkers)
	defer c.close()
	if row.p50, row.p99, err = eventDelays(ctx, c, bus.url); err != nil {
		return row, err
	}
	if err := bus.restart(func() error { return chatAlone(ctx, c) }); err != nil {
		return row, err
	}
	if row.queued, row.relayed, row.raw, err = throughputs(ctx, bus.url); err != nil {
		return row, err
	}
	return row, server.stop()
}

func chat() request {
	return request{method: http.MethodPost, path: "/api/v0.2/chat", body: []byte(`{"message":"hello","model":"echo"}`)}
}

// eventDelays measures how long after an answer its event is heard.
func eventDelays(ctx context.Context, c *client, url string) (p50, p99 time.Duration, err error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	heard := make(chan time.Time, eventSamples)
	if _, err := conn.Subscribe("gaia.chat.message.complete", func(*nats.Msg) { heard <- time.Now() }); err != nil {
		return 0, 0, err
	}
	if err := conn.Flush(); err != nil {
		return 0, 0, err
	}
	var delays []time.Duration
	for range eventSamples {
		if _, err := c.expect(ctx, chat(), http.StatusOK); err != nil {
			return 0, 0, err
		}
		answered := time.Now()
		select {
		case at := <-heard:
			delays = append(delays, max(at.Sub(answered), 0))
		case <-time.After(eventWait):
			return 0, 0, fmt.Errorf("%w: an answer has no event", errWrong)
		}
	}
	return percentile(delays, 50), percentile(delays, 99), nil
}

// chatAlone makes events that have to wait.
func chatAlone(ctx context.Context, c *client) error {
	var next atomic.Int32
	group, ctx := errgroup.WithContext(ctx)
	for range eventWorkers {
		group.Go(func() error {
			for next.Add(1) <= queuedChats {
				if _, err := c.expect(ctx, chat(), http.StatusOK); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// throughputs waits until the stream has all events and takes the speed from the times at which it took them; then it publishes the same into
// another stream.
func throughputs(ctx context.Context, url string) (queued int, relayed, raw float64, err error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return 0, 0, 0, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return 0, 0, 0, err
	}
	const before = 2 * eventSamples // of the delays; announcements come on top
	events, err := takenAfter(ctx, js, before)
	if err != nil {
		return 0, 0, 0, err
	}
	queued = len(events)
	relayed = takenSpeed(events)
	copied, err := publishAll(ctx, js, events)
	return queued, relayed, takenSpeed(copied), err
}

func takenSpeed(events []*jetstream.RawStreamMsg) float64 {
	took := events[len(events)-1].Time.Sub(events[0].Time)
	return float64(len(events)-1) / took.Seconds()
}

// takenAfter returns the stored events of the stream but for so many at its beginning, once it has all.
func takenAfter(ctx context.Context, js jetstream.JetStream, before int) ([]*jetstream.RawStreamMsg, error) {
	end := time.Now().Add(eventWait)
	for {
		events, err := storedIn(ctx, js, "GAIA_EVENTS")
		if err != nil && !errors.Is(err, nats.ErrTimeout) {
			return nil, err
		}
		events = slices.DeleteFunc(events, func(m *jetstream.RawStreamMsg) bool { return !ofTurn(m.Subject) })
		if len(events) == before+2*queuedChats {
			return events[before:], nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%w: the stream has %d events, not %d", errWrong, len(events), before+2*queuedChats)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// ofTurn tells the two events of each chat from those of the conversation and the persona that are made once.
func ofTurn(subject string) bool {
	return subject == "gaia.chat.message.complete" || subject == "gaia.usage.recorded"
}

// storedIn reads what a stream held when it was asked for. The consumer is one that notices when something is lost on the way.
func storedIn(ctx context.Context, js jetstream.JetStream, name string) (events []*jetstream.RawStreamMsg, err error) {
	consumer, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	if consumer.CachedInfo().NumPending == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, eventWait)
	defer cancel()
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if m.Headers().Get(nats.MsgIdHdr) != "" {
			events = append(events, &jetstream.RawStreamMsg{Subject: m.Subject(), Data: m.Data(), Header: m.Headers(), Time: meta.Timestamp})
		}
		if meta.NumPending == 0 {
			return events, nil
		}
	}
}

// publishAll publishes the same events, as many at once as the relay does, and returns them as the stream took them.
func publishAll(ctx context.Context, js jetstream.JetStream, events []*jetstream.RawStreamMsg) ([]*jetstream.RawStreamMsg, error) {
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "RAW", Subjects: []string{"raw.>"}, Duplicates: 10 * time.Minute}); err != nil {
		return nil, err
	}
	for first := 0; first < len(events); first += rawBatch {
		var acks []jetstream.PubAckFuture
		for _, e := range events[first:min(first+rawBatch, len(events))] {
			ack, err := js.PublishMsgAsync(&nats.Msg{Subject: "raw." + e.Subject, Data: e.Data, Header: nats.Header{nats.MsgIdHdr: e.Header[nats.MsgIdHdr]}})
			if err != nil {
				return nil, err
			}
			acks = append(acks, ack)
		}
		for _, ack := range acks {
			select {
			case <-ack.Ok():
			case err := <-ack.Err():
				return nil, err
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	return storedIn(ctx, js, "RAW")
}

// natsServer is a server of NATS that the run has for itself.
type natsServer struct {
	program, dir, url string
	port              int
	cmd               *exec.Cmd
}

func startNATS(program, dir string) (*natsServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close() // its port is wanted
	s := &natsServer{program: program, dir: dir, url: fmt.Sprintf("nats://127.0.0.1:%d", port), port: port}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return s, s.start()
}

// start returns when the server answers.
func (s *natsServer) start() error {
	s.cmd = exec.Command(s.program, "-a", "127.0.0.1", "-p", strconv.Itoa(s.port), "-js", "-sd", s.dir) //nolint:gosec // found on the path
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(eventWait); ; time.Sleep(20 * time.Millisecond) {
		conn, err := nats.Connect(s.url)
		if err == nil {
			conn.Close()
			return nil
		}
		if time.Now().After(end) {
			s.kill()
			return fmt.Errorf("nats-server does not answer: %w", err)
		}
	}
}

// restart does something while the server is away.
func (s *natsServer) restart(meanwhile func() error) error {
	s.kill()
	if err := meanwhile(); err != nil {
		return err
	}
	return s.start()
}

func (s *natsServer) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
}

func (r report) eventTable() table {
	t := table{head: []string{"database", "p50", "p99", "events that waited", "relay, events/s", "raw publish, events/s", "ratio"}}
	for _, row := range r.events {
		t.add(row.database, ms(row.p50), ms(row.p99), strconv.Itoa(row.queued), fmt.Sprintf("%.0f", row.relayed), fmt.Sprintf("%.0f", row.raw),
			factor(row.relayed/row.raw))
	}
	return t
}
