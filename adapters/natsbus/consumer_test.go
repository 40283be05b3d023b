package natsbus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// private stands in every message that can't be read: it must not get into a log.
const private = "my-unspeakable-payload"

// torn are messages that no release of Gaia has sent, or none that this one knows.
var torn = map[string]string{
	"empty":                "",
	"no JSON":              "\x00\xff\x1b[2J{{" + private,
	"cut off":              `{"origin":"` + private + `","keys":[{"space":"persona"`,
	"null":                 "null",
	"an array":             `["` + private + `"]`,
	"a number too large":   `{"origin":1e999,"workflow_id":1e999,"service_name":1e999,"x":"` + private + `"}`,
	"members of a type":    `{"origin":{"a":"` + private + `"},"keys":"all","workflow_id":7,"service_name":[],"details":"x"}`,
	"a version not known":  `{"version":7,"what":"` + private + `"}`,
	"keys without a space": `{"origin":"` + private + `","keys":[{"name":"x"}]}`,
	"nested":               strings.Repeat("[", 50_000) + private,
	"a megabyte":           `{"origin":["` + strings.Repeat(private, 40_000) + `"],"workflow_id":"` + private + `"}`,
	"a long id":            `{"workflow_id":"` + strings.Repeat(private, 40_000) + `","origin":[]}`,
}

// recorder is a log that tests look into.
type recorder struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *recorder) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// want checks how often a text was logged, and that nothing was of what came.
func (r *recorder) want(t *testing.T, text string, least, most int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.log.String()
	if n := strings.Count(got, text); n < least || n > most {
		t.Errorf("%q is logged %d times, want %d to %d:\n%.2000s", text, n, least, most, got)
	}
	if strings.Contains(got, private) || strings.Contains(got, "1e999") {
		t.Errorf("logged what came:\n%.2000s", got)
	}
}

// stranger publishes what it likes.
func stranger(t *testing.T, url string) func(subject, data string) {
	t.Helper()
	conn := connectTo(t, url)
	return func(subject, data string) {
		t.Helper()
		if err := errors.Join(conn.Publish(subject, []byte(data)), conn.Flush()); err != nil {
			t.Fatalf("publish %d bytes: %v", len(data), err)
		}
	}
}

// repeated returns each message three times, in any order.
func repeated(messages ...string) []string {
	all := slices.Concat(messages, messages, messages)
	rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all
}

// An announcement that can't be read counts as a missed one: what was changed is not known, so everything is forgotten. It is heard as often as it comes,
// which drops what is loaded again.
func TestInvalidationsFromAnybody(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	var log recorder
	b := start(t, natsbus.Config{URL: server.URL(), Logger: log.logger()})
	var missed atomic.Int32
	heard := make(chan string, 100)
	b.Listen(func(i ports.Invalidation) { heard <- fmt.Sprint(i) }, func() { missed.Add(1) })
	connected(t, b)
	send := stranger(t, server.URL())
	for name, data := range torn {
		before := missed.Load()
		send(domain.SubjectCacheInvalid, data)
		portstest.Within(t, portstest.Patience, name+": everything is forgotten", func() bool { return missed.Load() > before })
	}
	log.want(t, "an invalidation can't be read", 1, 1)
	if len(heard) != 0 || !b.Connected() {
		t.Errorf("heard %q, connected: %t", <-heard, b.Connected())
	}
	know := func(name string) (message, want string) {
		return fmt.Sprintf(`{"origin":"another","keys":[{"space":"persona","name":%q}],"remote_owed":false,"of_tomorrow":1}`, name),
			fmt.Sprint(ports.Invalidation{Keys: []ports.CacheKey{{Space: "persona", Name: name}}})
	}
	for _, when := range []string{"before", "after"} {
		one, wantOne := know(when + " 1")
		two, wantTwo := know(when + " 2")
		for _, m := range repeated(one, two) {
			send(domain.SubjectCacheInvalid, m)
		}
		var got []string
		portstest.Within(t, portstest.Patience, "all six are heard", func() bool { return len(heard) >= 6 })
		for range 6 {
			got = append(got, <-heard)
		}
		slices.Sort(got)
		if want := []string{wantOne, wantOne, wantOne, wantTwo, wantTwo, wantTwo}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s an outage: heard %q, want %q", when, got, want)
		}
		server.Stop()
		portstest.Within(t, portstest.Patience, "the outage is noticed", func() bool { return !b.Connected() })
		server.Start()
		connected(t, b)
		send = stranger(t, server.URL())
	}
}

// Work that can't be read is nobody's, and stands in the way of none. What comes again is handed out again: whoever does it knows that from the store.
func TestWorkFromAnybody(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.NATS(t)
	var log recorder
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix, WorkWait: soon, Logger: log.logger()}.Patient()))
	var done, heard counted
	workOn(t, b.Workflows(), 2, done.do)
	t.Cleanup(b.Workflows().Watch(func(id string) { heard.do(t.Context(), id) }))
	enqueue(t, b.Workflows(), 0, 1)
	send := stranger(t, url)
	messages := []string{`{"workflow_id":"a"}`, `{"workflow_id":"b","of_tomorrow":{}}`, `{"generation_id":"c"}`}
	for _, data := range torn {
		messages = append(messages, data)
	}
	for _, m := range repeated(messages...) {
		send(prefix+domain.SubjectWorkOffered, m)
		send(prefix+domain.SubjectWorkSignal, m)
	}
	portstest.Within(t, portstest.Patience, "what can be read is handed out each time", func() bool { return done.times("a") >= 3 && done.times("b") >= 3 })
	portstest.Within(t, portstest.Patience, "signals are heard each time", func() bool { return heard.times("a") == 3 && heard.times("b") == 3 })
	if done.count() != 3 || heard.count() != 2 {
		t.Errorf("%d are done, %d heard", done.count(), heard.count())
	}
	js, err := jetstream.New(connectTo(t, url))
	if err != nil {
		t.Fatal(err)
	}
	portstest.Within(t, portstest.Patience, "the stream keeps nothing", func() bool {
		stream, err := js.Stream(t.Context(), b.WorkStream())
		return err == nil && stream.CachedInfo().State.Msgs == 0
	})
	log.want(t, "an item of work can't be read", 1, 3*len(messages)/2) // once for each series between those that can
}

// What processes say of themselves is handed on as it comes, in the form of this release or of one that says more; the rest is left out.
func TestServicesFromAnybody(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.NATS(t)
	var log recorder
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix, Logger: log.logger()}))
	var heard counted
	if err := b.HearServices(func(e domain.ServiceHealthEvent) { heard.do(t.Context(), e.Details.Instance) }, func() {}); err != nil {
		t.Fatal(err)
	}
	_, stop, err := b.Serve(natsbus.Described{Service: domain.ServiceChat, Instance: "i1"}, aState(domain.ServiceChat))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	conn, send := connectTo(t, url), stranger(t, url)
	messages := []string{`{"service_name":"chat","details":{"instance":"a"}}`, `{"service_name":"chat","details":{"instance":"b","of_tomorrow":[]},"version":7}`}
	for name, data := range torn {
		messages = append(messages, data)
		var state domain.ServiceHealthEvent
		m, err := conn.Request(prefix+domain.SubjectServiceChatRequest, []byte(data), portstest.Patience)
		if err != nil || json.Unmarshal(m.Data, &state) != nil || state.Details.Instance != "i1" {
			t.Errorf("a question that is %s: %+v, %v", name, state, err)
		}
	}
	for _, m := range repeated(messages...) {
		send(prefix+domain.SubjectServiceHealth, m)
		send(prefix+domain.SubjectServiceReady, m)
	}
	portstest.Within(t, portstest.Patience, "what can be read is heard each time", func() bool { return heard.times("a") == 6 && heard.times("b") == 6 })
	heard.mu.Lock()
	defer heard.mu.Unlock()
	for id := range heard.done {
		if id != "a" && id != "b" && id != "" { // whoever hears it leaves out what names no process
			t.Errorf("heard of %.100q", id)
		}
	}
	log.want(t, "services", 0, 0)
}

// Whoever asks all processes is told of each once, however often it answers, and comes to an end when somebody answers without one.
func TestAnswersFromAnybody(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t) // questions to all have no prefix
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	_, stop, err := b.Serve(natsbus.Described{Service: domain.ServiceChat, Instance: "i1", Build: "v1"}, aState(domain.ServiceChat))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	conn := connectTo(t, server.URL())
	answer := func(verb string, answers func(m *nats.Msg)) {
		t.Helper()
		sub, err := conn.Subscribe("$SRV."+verb, answers)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Unsubscribe() })
	}
	ping := func(id string) []byte {
		data, _ := json.Marshal(micro.Ping{ServiceIdentity: micro.ServiceIdentity{
			Name: "gaia-chat", ID: id, Version: "0.0.0", Metadata: map[string]string{"instance": id, "subject_prefix": ""},
		}, Type: "io.nats.micro.v1.ping_response"})
		return data
	}
	var many atomic.Int32
	many.Store(3)
	answer("PING", func(m *nats.Msg) {
		for _, data := range torn {
			_ = m.Respond([]byte(data))
		}
		for n := range many.Load() {
			for range 3 {
				_ = m.Respond(ping(fmt.Sprint("fake-", n)))
			}
			if n%50 == 0 {
				_ = conn.FlushTimeout(portstest.Patience) // not more at once than who asks has room for
			}
		}
	})
	answer("STATS", func(m *nats.Msg) {
		for _, data := range torn {
			_ = m.Respond([]byte(data))
			_ = m.Respond(fmt.Appendf(nil, `{"id":"fake-0","endpoints":[{"data":%q}]}`, data))
		}
	})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	ask := func() (ids []string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), portstest.Patience)
		defer cancel()
		told, err := natsbus.AskServices(ctx, natsbus.Config{URL: server.URL()})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range told {
			ids = append(ids, p.Details.Instance)
		}
		slices.Sort(ids)
		return ids
	}
	portstest.Within(t, portstest.Patience, "all answer in time", func() bool {
		ids := ask()
		if once := slices.Compact(slices.Clone(ids)); len(once) < len(ids) {
			t.Fatalf("told of %v, want each once", ids)
		}
		return fmt.Sprint(ids) == "[fake-0 fake-1 fake-2 i1]"
	})
	many.Store(2000)
	portstest.Within(t, portstest.Patience, "all that there is room for answer in time", func() bool {
		n := len(ask())
		if n > 1024 {
			t.Fatalf("told of %d processes, want no more than there is room for", n)
		}
		return n > 100
	})
}

// A reader shows what is on the bus: each message as often as it comes, whatever it holds, and what the stream has kept once.
func TestTailFromAnybody(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	kept := storedEvents(3)
	send(t, b, kept)
	l := listen(t, natsbus.TailConfig{URL: server.URL(), Subject: "gaia.>", Since: 1 << 40})
	want := asTold(kept)
	say := stranger(t, server.URL())
	for _, data := range torn {
		for range 2 {
			say("gaia.chat.message.start", data)
			want = append(want, "gaia.chat.message.start  "+data)
		}
	}
	l.want(t, want...)
	server.Stop()
	portstest.Within(t, portstest.Patience, "the outage is noticed", func() bool { return !b.Connected() })
	server.Start()
	connected(t, b)
	portstest.Within(t, portstest.Patience, "the reader is back", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.notices) >= 3
	})
	stranger(t, server.URL())("gaia.chat.message.start", "again")
	l.want(t, append(want, "gaia.chat.message.start  again")...)
}
