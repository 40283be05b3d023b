package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"gaia/tests/gaiatest"
)

// unread stands in messages that nobody can read, and must not get into a log.
const unread = "my-unspeakable-message"

// TestConsumersAtAnEcho: somebody on the bus repeats what processes say among themselves, late and in any order, and says what nobody can read. Changes
// are seen everywhere and stay, work is done once, followers are told of each event once, and who has left does not come back.
func TestConsumersAtAnEcho(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings gaiatest.Settings
		replicas int
	}{
		"two replicas": {nil, 2},
		"split":        {gaiatest.Settings{gaiatest.Apart: "yes", "INTERNAL_AUTH_SECRET": "a-secret-between-services-of-tests"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := gaiatest.FragileCache(t)
			maps.Copy(b.Settings, gaiatest.Settings{"SERVICE_HEARTBEAT_INTERVAL": "1", "DEFAULT_LLM_PROVIDER": "echo", "DEFAULT_LLM_MODEL": "echo"})
			maps.Copy(b.Settings, test.settings)
			e := echoing{makingOf: newMaking(t, b, test.replicas), t: t, echo: echoAt(t, b)}
			gone := ""
			if test.replicas == 1 {
				gone = e.leaver(b)
			}
			e.all()
			b.Faults.NATS.Stop()
			b.Faults.NATS.Start()
			e.echo.wait(t)
			e.all()
			e.makingOf.await()
			e.makingOf.check(0, 0)
			if gone != "" && e.knows(gone) {
				t.Errorf("a process that has left is known again")
			}
			for _, s := range e.makingOf.servers {
				if strings.Contains(s.Output(), unread) {
					t.Error("what nobody can read is in the log")
				}
			}
			t.Logf("%d messages were repeated", e.echo.count())
		})
	}
}

// echoing is servers on a bus with an echo.
type echoing struct {
	t        *testing.T
	makingOf *making
	echo     *echo
}

func (e echoing) all() {
	e.t.Helper()
	var all sync.WaitGroup
	for _, part := range []func(){e.personas, e.keys, e.flows, e.assets} {
		all.Go(part)
	}
	all.Wait()
}

func (e echoing) here() *gaiatest.Server { return e.makingOf.servers[0] }

func (e echoing) there() *gaiatest.Server {
	return e.makingOf.servers[len(e.makingOf.servers)-1]
}

// personas are changed here and read there: an older one never comes after a newer.
func (e echoing) personas() {
	const changes = 15
	id := e.here().Client().Post("/api/v0.2/personas", map[string]any{"name": "P" + uuid.NewString(), "description": "000", "system_prompt": "x"}).
		Want(http.StatusOK).JSON().Text("persona", "id")
	path := "/api/v0.2/personas/" + id
	last := "000"
	for n := 1; n <= changes; n++ {
		want := fmt.Sprintf("%03d", n)
		e.here().Client().Put(path, map[string]any{"description": want}).Want(http.StatusOK)
		gaiatest.Eventually(e.t, patience, "the change "+want+" is seen", func() bool {
			got := e.there().Client().Get(path).Want(http.StatusOK).JSON().Text("persona", "description")
			if got < last {
				e.t.Errorf("persona %s came after %s", got, last)
			}
			last = got
			return got == want
		})
	}
}

// keys are revoked here, and refused there from then on.
func (e echoing) keys() {
	for range 6 {
		key, id := newKey(e.t, e.here().Client(), map[string]any{})
		withKey(e.there(), key).Get(probeRoute).Want(http.StatusOK)
		e.here().Client().Delete(keysRoute + "/" + id).Want(http.StatusOK)
		untilRefused(e.t, withKey(e.there(), key), time.Now())
		for range 5 {
			wantRefused(e.t, withKey(e.there(), key).Get(probeRoute), "after it was refused")
		}
	}
}

// flows are followed there, and done once.
func (e echoing) flows() {
	const count = 6
	user := uuid.NewString()
	here, there := e.here().As(user), e.there().As(user)
	var all sync.WaitGroup
	for n := range count {
		id := startWorkflow(e.t, here, aTask("agent", fmt.Sprintf("Say it\n/say Number %d", n)))
		all.Go(func() {
			if got := followed(e.t, there.Follow(e.t.Context(), workflows+"/"+id+"/events"), 0); got != "started step_started step_completed completed" {
				e.t.Errorf("events %q", got)
			}
		})
	}
	all.Wait()
	if got := here.Get("/api/v0.2/usage/current").Want(http.StatusOK).JSON().Number("total_requests"); got != count {
		e.t.Errorf("the model was asked %v times for %d workflows", got, count)
	}
}

// assets are followed there. That each is paid once is seen at the generators.
func (e echoing) assets() {
	k := e.makingOf
	k.order()
	jobs := k.jobs[max(0, len(k.jobs)-4):]
	var all sync.WaitGroup
	for _, id := range jobs {
		all.Go(func() {
			events := e.there().As(k.user).Follow(e.t.Context(), "/api/v1/assets/"+id+"/events").All()
			if n := len(events); n < 3 || events[n-1].Data != gaiatest.Done {
				e.t.Errorf("the last of %d events of an asset is not %s", n, gaiatest.Done)
				return
			}
			events = events[:len(events)-1]
			for i, event := range events[1:] {
				if number(event.ID) != number(events[i].ID)+1 {
					e.t.Errorf("event %s came after %s", event.Data, events[i].Data)
				}
			}
		})
	}
	all.Wait()
}

func number(id string) int {
	n, err := strconv.Atoi(id)
	if err != nil {
		return -1
	}
	return n
}

// leaver is a process that has come and gone, and returns its name.
func (e echoing) leaver(b gaiatest.Backend) string {
	e.t.Helper()
	s := b.Start(e.t, gaiatest.Settings{"SERVICES": "chat", gaiatest.Apart: ""})
	name := s.Anonymous().Get("/livez").Want(http.StatusOK).Header.Get("X-Gaia-Instance")
	gaiatest.Eventually(e.t, patience, "it is known", func() bool { return e.knows(name) })
	s.Terminate()
	gaiatest.Eventually(e.t, patience, "it is known no more", func() bool { return !e.knows(name) })
	return name
}

// knows tells whether the gateway counts a process among those of chat, but for one that says that it stops.
func (e echoing) knows(name string) bool {
	e.t.Helper()
	services, _ := e.here().Anonymous().Get("/health").Want(http.StatusOK).JSON().Fields["services"].(map[string]any)
	chat, _ := services["chat"].(map[string]any)
	list, _ := chat["instances"].([]any)
	for _, i := range list {
		if i, _ := i.(map[string]any); i["id"] == name && i["status"] != "disabled" {
			return true
		}
	}
	return false
}

// echo repeats what processes of Gaia say among themselves.
type echo struct {
	conn *nats.Conn

	mu       sync.Mutex
	heard    []*nats.Msg
	repeated int
}

// heardAtOnce is how many messages are remembered, to be repeated.
const heardAtOnce = 300

// unreadable are messages that no release of Gaia sends.
var unreadable = []string{
	"", "{", "null", `"` + unread + `"`, `{"version":7,"x":"` + unread + `"}`,
	`{"origin":7,"keys":"` + unread + `","workflow_id":[],"generation_id":{},"service_name":1e999}`,
	`{"workflow_id":"` + unread + `","generation_id":"` + unread + `"}`,
	`{"workflow_id":"{0195935F-5FA5-7000-8000-000000000001}","generation_id":"urn:uuid:0195935f-5fa5-7000-8000-000000000001"}`,
	`{"origin":"x","remote_owed":true,"keys":[{"space":"` + unread + `"},{"space":"persona","name":"` + unread + `"}]}`,
	`{"service_name":"chat","status":"healthy","details":{"instance":"` + unread + `","heartbeat_seconds":-1e308}}`,
	`["` + strings.Repeat(unread, 40_000) + `"]`,
}

func echoAt(t *testing.T, b gaiatest.Backend) *echo {
	t.Helper()
	conn, err := nats.Connect(b.Settings["NATS_URL"], nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	e := &echo{conn: conn}
	for _, subject := range []string{"gaia.work.>", "gaia.cache.>", "gaia.service.health", "gaia.service.ready"} {
		if _, err := conn.Subscribe(b.Settings["NATS_SUBJECT_PREFIX"]+subject, e.hear); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return e
}

// hear repeats some of what was heard, sometimes with ids in capitals, and now and then adds what can't be read.
func (e *echo) hear(m *nats.Msg) {
	if m.Header.Get(gaiatest.Stranger) != "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.heard) < heardAtOnce {
		e.heard = append(e.heard, m)
	} else {
		e.heard[rand.IntN(heardAtOnce)] = m
	}
	for range 3 {
		old := e.heard[rand.IntN(len(e.heard))]
		data := old.Data
		if strings.Contains(old.Subject, "gaia.work.") && rand.IntN(3) == 0 {
			data = capitals(data)
		}
		e.say(old.Subject, data)
		e.repeated++
	}
	if e.repeated%10 == 0 {
		e.say(m.Subject, []byte(unreadable[rand.IntN(len(unreadable))]))
	}
}

func (e *echo) say(subject string, data []byte) {
	_ = e.conn.PublishMsg(&nats.Msg{Subject: subject, Data: data, Header: nats.Header{gaiatest.Stranger: {"1"}}}) // lost while the bus is away, as everything
}

// capitals writes ids in another form, and leaves the names of members as they are.
func capitals(data []byte) []byte {
	name, id, _ := strings.Cut(string(data), ":")
	return []byte(name + ":" + strings.ToUpper(id))
}

func (e *echo) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.repeated
}

// wait returns when the echo is there again.
func (e *echo) wait(t *testing.T) {
	t.Helper()
	before := e.count()
	gaiatest.Eventually(t, patience, "the echo repeats again", func() bool { return e.count() > before })
}
