package app_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gaia/app"
	"gaia/domain"
)

// saying is what a process says of chat.
func saying(id, status string) domain.ServiceHealthEvent {
	return domain.ServiceHealthEvent{ServiceName: "chat", Status: status, Details: domain.ServiceDetails{
		Version: "v1", Instance: id, MicroID: "m-" + id, Heartbeat: 15,
	}}
}

func TestInstancesComeAndGo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	dead := false
	n := app.NewInstances(app.InstancesDeps{Wait: time.Second, Now: func() time.Time { return now }, Ping: func(context.Context, domain.Service, string) (time.Duration, error) {
		if dead {
			return 0, errors.New("nobody is there")
		}
		return time.Millisecond, nil
	}})
	state := func() string {
		s := ""
		for _, i := range n.Of(t.Context(), domain.ServiceChat) {
			s += fmt.Sprintf("%s %s %s;", i.ID, i.Health.Status, i.Health.ResponseTime)
		}
		return s
	}
	want := func(when, want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("%s: %q, not %q", when, got, want)
		}
	}
	want("at first", "")
	e := saying("a", domain.ServiceHealthy)
	e.Timestamp = now.Add(-1000 * time.Hour) // its clock is wrong
	if !n.Hear(e) || n.Hear(e) {
		t.Error("the first word of a process is news and the second is not")
	}
	want("heard", "a healthy 1ms;")
	dead = true
	want("killed", "a unhealthy 0s;")
	now = now.Add(46 * time.Second)
	want("silent", "")
	dead = false
	n.Hear(saying("b", domain.ServiceHealthy))
	n.Hear(saying("b", domain.ServiceStopping))
	want("stopping", "b disabled 0s;")
}

// Events of one process may overtake each other: they come by two subjects.
func TestLateWordsOfAnInstance(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	n := app.NewInstances(app.InstancesDeps{Wait: time.Second, Now: func() time.Time { return now }})
	numbered := func(status string, sequence int64) domain.ServiceHealthEvent {
		e := saying("a", status)
		e.Details.Sequence = sequence
		return e
	}
	want := func(news bool, health domain.Status, e domain.ServiceHealthEvent) {
		t.Helper()
		if got := n.Hear(e); got != news {
			t.Errorf("%s as number %d is news: %t", e.Status, e.Details.Sequence, got)
		}
		if list := n.Of(t.Context(), domain.ServiceChat); len(list) != 1 || list[0].Health.Status != health {
			t.Errorf("after %s as number %d: %+v", e.Status, e.Details.Sequence, list)
		}
	}
	want(true, domain.Healthy, numbered(domain.ServiceHealthy, 7))
	want(true, domain.Disabled, numbered(domain.ServiceStopping, 9))
	want(false, domain.Disabled, numbered(domain.ServiceHealthy, 8))
	want(false, domain.Disabled, numbered(domain.ServiceHealthy, 9))
	want(true, domain.Healthy, numbered(domain.ServiceHealthy, 10))
	// A process that counts nothing is believed as it comes.
	want(true, domain.Disabled, numbered(domain.ServiceStopping, 0))
	want(true, domain.Healthy, numbered(domain.ServiceHealthy, 0))
	want(true, domain.Disabled, numbered(domain.ServiceStopping, 3))
	// Whoever is forgotten begins anew.
	now = now.Add(16 * time.Minute)
	want(true, domain.Healthy, numbered(domain.ServiceHealthy, 1))
}

// recorded keeps what is published.
type recorded struct {
	mu     sync.Mutex
	events []domain.ServiceHealthEvent
}

func (r *recorded) Publish(_ context.Context, e domain.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if said, ok := e.Payload.(domain.ServiceHealthEvent); ok {
		r.events = append(r.events, said)
	}
}

func TestHeartbeatsAreCounted(t *testing.T) {
	t.Parallel()
	var told recorded
	h := app.NewHeartbeat(app.HeartbeatDeps{
		Instance: "a", Services: []domain.Service{domain.ServiceChat, domain.ServiceAsset}, Events: &told, Now: time.Now,
		Load: func() app.ProcessLoad { return app.ProcessLoad{} }, Requests: func() int { return 0 },
	})
	h.Starting(t.Context())
	h.Stopping(t.Context())
	last := map[string]int64{}
	for _, e := range told.events {
		if e.Details.Sequence <= last[e.ServiceName] {
			t.Errorf("%s of %s is number %d after %d", e.Status, e.ServiceName, e.Details.Sequence, last[e.ServiceName])
		}
		last[e.ServiceName] = e.Details.Sequence
	}
	if len(told.events) != 4 {
		t.Errorf("%d events", len(told.events))
	}
}

func TestMadeUpInstancesTakeNoRoom(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	n := app.NewInstances(app.InstancesDeps{Wait: time.Second, Now: func() time.Time { return now }})
	n.Hear(saying("real", domain.ServiceHealthy))
	now = now.Add(time.Second)
	n.Hear(saying("real", domain.ServiceHealthy))
	for i := range 2_000 {
		now = now.Add(5 * time.Millisecond)
		n.Hear(saying(fmt.Sprint("fake-", i), domain.ServiceHealthy))
	}
	list, found := n.Of(t.Context(), domain.ServiceChat), false
	for _, i := range list {
		found = found || i.ID == "real"
	}
	if len(list) != 256 || !found {
		t.Errorf("%d processes are remembered, the real one: %t", len(list), found)
	}
}

// A process that is about to stop says nothing about its service, whatever those meet who ask it: else each restart were an alarm.
func TestRollingRestartIsNoAlarm(t *testing.T) {
	t.Parallel()
	met := domain.Degraded
	n := app.NewInstances(app.InstancesDeps{Wait: time.Second, Now: time.Now, Probed: func(domain.Service) []domain.Instance {
		return []domain.Instance{
			{Service: domain.ServiceChat, ID: "old", Health: domain.PartHealth{Status: met}},
			{Service: domain.ServiceChat, ID: "new", Health: domain.PartHealth{Status: domain.Healthy}},
		}
	}})
	n.Hear(saying("old", domain.ServiceHealthy))
	n.Hear(saying("new", domain.ServiceHealthy))
	h := app.NewHealth(app.HealthDeps{Elsewhere: []domain.Service{domain.ServiceChat}, Instances: n.Of, Now: func() time.Time { return time.Time{} }})
	if r := h.Report(t.Context()).Service(domain.ServiceChat); r.Status != domain.Degraded {
		t.Errorf("one is not well: %+v", r)
	}
	n.Hear(saying("old", domain.ServiceStopping))
	for _, met = range []domain.Status{domain.Degraded, domain.Unhealthy} {
		h = app.NewHealth(h.HealthDeps)
		if r := h.Report(t.Context()).Service(domain.ServiceChat); r.Status != domain.Healthy {
			t.Errorf("met as %s while it stops: %+v", met, r)
		}
	}
}

// What a process has said counts in its order, however often and however late it is heard.
func TestInstancesDoNotGoBack(t *testing.T) {
	t.Parallel()
	type word struct {
		status string
		number int64
		second int // when it is heard
		news   bool
	}
	const quarter = 15 * 60
	for name, test := range map[string]struct {
		words []word
		want  string // at the moment of the last word
	}{
		"in order":                      {[]word{{"starting", 1, 0, true}, {"healthy", 2, 1, true}, {"healthy", 3, 16, false}, {"stopping", 4, 20, true}}, "disabled"},
		"twice":                         {[]word{{"healthy", 1, 0, true}, {"healthy", 1, 1, false}, {"stopping", 2, 2, true}, {"stopping", 2, 3, false}}, "disabled"},
		"late":                          {[]word{{"stopping", 3, 20, true}, {"healthy", 2, 21, false}, {"starting", 1, 22, false}}, "disabled"},
		"no signs of life":              {[]word{{"healthy", 1, 0, true}, {"healthy", 1, 40, false}, {"healthy", 1, 46, false}}, ""},
		"again when it is gone":         {[]word{{"healthy", 1, 0, true}, {"healthy", 1, 60, false}, {"healthy", 1, quarter, false}}, ""},
		"stopped, and again when gone":  {[]word{{"healthy", 1, 0, true}, {"stopping", 2, 1, true}, {"healthy", 1, 60, false}}, ""},
		"silent for a while":            {[]word{{"healthy", 1, 0, true}, {"healthy", 2, 60, true}}, "healthy"},
		"again when it is forgotten":    {[]word{{"healthy", 7, 0, true}, {"healthy", 1, quarter + 1, true}}, "healthy"},
		"an older build, which is gone": {[]word{{"healthy", 0, 0, true}, {"healthy", 0, 60, true}}, "healthy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			now := start
			n := app.NewInstances(app.InstancesDeps{Wait: time.Second, Now: func() time.Time { return now }})
			for i, w := range test.words {
				now = start.Add(time.Duration(w.second) * time.Second)
				e := saying("a", w.status)
				e.Details.Sequence = w.number
				if got := n.Hear(e); got != w.news {
					t.Errorf("word %d is news: %t", i, got)
				}
			}
			got := ""
			for _, i := range n.Of(t.Context(), domain.ServiceChat) {
				got += string(i.Health.Status)
			}
			if got != test.want {
				t.Errorf("known as %q, want %q", got, test.want)
			}
		})
	}
}
