package app

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

const (
	// maxInstances is how many processes of one service are remembered: anybody on the bus can make them up.
	maxInstances = 256
	// maxPinged is how many of them are asked for a sign of life each time when somebody wants to know how they are.
	maxPinged = 64
	// missedBeats is after how many heartbeats that did not come a process is gone.
	missedBeats = 3
	// rememberedFor is how long after its last word a process is remembered, so that nothing that it said before brings it back.
	rememberedFor = missedBeats * longestBeat
	// What processes may say about the time between their heartbeats.
	shortestBeat, longestBeat = time.Second, 5 * time.Minute

	maxInstanceText = 64  // bytes of ids and builds
	maxReason       = 200 // bytes
)

// InstancesDeps is what Instances needs.
type InstancesDeps struct {
	// Ping asks one service of one process, by the id that it has told, for a sign of life and returns how long that took; nil: nobody can be asked.
	Ping func(ctx context.Context, service domain.Service, id string) (time.Duration, error)
	// Probed tells which processes of a service are reached by who sends them requests; nil: nobody does.
	Probed func(domain.Service) []domain.Instance
	// Wait bounds a ping.
	Wait time.Duration
	Now  ports.Clock
}

// Instances knows which processes carry out which service: by what they say on the bus, and by what those have met who send requests to
// them. Their clocks don't matter: what counts is when something was heard here.
type Instances struct {
	InstancesDeps
	mu    sync.Mutex
	heard map[domain.Service]map[string]*heardInstance
}

// heardInstance is a process that has told of itself.
type heardInstance struct {
	domain.Instance
	microID string
	beat    time.Duration
	latest  int64     // number of the last event; 0: it counts none
	since   time.Time // when it was heard of first
}

// NewInstances knows of nobody yet.
func NewInstances(d InstancesDeps) *Instances {
	return &Instances{InstancesDeps: d, heard: map[domain.Service]map[string]*heardInstance{}}
}

// Hear takes what a process says about one of its services, and tells whether that is news: the process was not known, or was otherwise. What
// makes no sense is left out, and so is what comes late, after something that the process has said since.
func (n *Instances) Hear(e domain.ServiceHealthEvent) (news bool) {
	service, id := domain.Service(e.ServiceName), e.Details.Instance
	health, ok := healthTold(e)
	if !ok || !slices.Contains(domain.Services(), service) || id == "" || len(id) > maxInstanceText || len(e.Details.MicroID) > maxInstanceText {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.Now()
	of := n.heard[service]
	if of == nil {
		of = map[string]*heardInstance{}
		n.heard[service] = of
	}
	known := of[id]
	if known != nil && known.forgotten(now) {
		known = nil
		delete(of, id)
	}
	switch {
	case known == nil && len(of) >= maxInstances && !makeRoom(of, now):
		return false
	case known == nil:
		known = &heardInstance{since: now}
		of[id] = known
	case e.Details.Sequence > 0 && e.Details.Sequence <= known.latest:
		return false
	}
	news = known.Health.Status != health.Status || known.gone(now)
	known.Instance = domain.Instance{Service: service, ID: id, Health: health, Build: short(e.Details.Version, maxInstanceText), Seen: now}
	known.microID, known.latest = e.Details.MicroID, e.Details.Sequence
	known.beat = min(max(time.Duration(min(e.Details.Heartbeat, longestBeat.Seconds())*float64(time.Second)), shortestBeat), longestBeat)
	return news
}

// makeRoom forgets who is gone longest, or else one that was heard only once, longest ago. A flood of processes that somebody makes up can't displace
// those that go on telling of themselves.
func makeRoom(of map[string]*heardInstance, now time.Time) bool {
	leaves, rank := "", 0
	for id, i := range of {
		mine := 0
		switch {
		case i.gone(now):
			mine = 2
		case i.since.Equal(i.Seen):
			mine = 1
		}
		if mine > rank || mine == rank && rank > 0 && i.Seen.Before(of[leaves].Seen) {
			leaves, rank = id, mine
		}
	}
	delete(of, leaves)
	return rank > 0
}

func (i *heardInstance) gone(now time.Time) bool { return now.Sub(i.Seen) > missedBeats*i.beat }

func (i *heardInstance) forgotten(now time.Time) bool { return now.Sub(i.Seen) > rememberedFor }

// healthTold reads the state of a service. One that is about to stop or has not started does not count.
func healthTold(e domain.ServiceHealthEvent) (domain.PartHealth, bool) {
	reason := short(e.Details.Reason, maxReason)
	switch e.Status {
	case domain.ServiceHealthy:
		if reason != "" {
			return domain.PartHealth{Status: domain.Degraded, Detail: reason}, true
		}
		return domain.PartHealth{Status: domain.Healthy}, true
	case domain.ServiceUnhealthy:
		return domain.PartHealth{Status: domain.Unhealthy, Detail: reason}, true
	case domain.ServiceStarting:
		return domain.PartHealth{Status: domain.Disabled, Detail: "Is starting"}, true
	case domain.ServiceStopping:
		return domain.PartHealth{Status: domain.Disabled, Detail: "Is stopping"}, true
	default:
		return domain.PartHealth{}, false
	}
}

// short cuts text of strangers, and takes out what a terminal would obey.
func short(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return text
}

// Of returns the processes of a service in the order of their ids, with what is known of each at this moment: those that only tell of themselves
// are asked for a sign of life, all at once.
func (n *Instances) Of(ctx context.Context, service domain.Service) []domain.Instance {
	known := n.live(service)
	byID := map[string]domain.Instance{}
	if n.Probed != nil {
		for _, probed := range n.Probed(service) {
			if i := known[probed.ID]; i != nil {
				probed.Build, probed.Seen = i.Build, latest(i.Seen, probed.Seen)
				probed.Health = both(probed.Health, i.Health)
				delete(known, probed.ID)
			}
			if before, ok := byID[probed.ID]; ok && before.Works() && !probed.Works() { // one process behind two addresses
				continue
			}
			byID[probed.ID] = probed
		}
	}
	for id, i := range n.ping(ctx, known) {
		byID[id] = i
	}
	list := make([]domain.Instance, 0, len(byID))
	for _, i := range byID {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b domain.Instance) int { return strings.Compare(a.ID, b.ID) })
	return list
}

func (n *Instances) live(service domain.Service) map[string]*heardInstance {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, live := n.Now(), map[string]*heardInstance{}
	for id, i := range n.heard[service] {
		switch {
		case i.forgotten(now):
			delete(n.heard[service], id)
			continue
		case i.gone(now):
			continue
		}
		copied := *i
		live[id] = &copied
	}
	return live
}

// both joins what was met and what is told: what does not answer is not well whatever it says, unless it says that it is about to stop.
func both(met, told domain.PartHealth) domain.PartHealth {
	if told.Status != domain.Disabled && (worse(met.Status, told.Status) || met.Status == told.Status) {
		return met
	}
	return domain.PartHealth{Status: told.Status, Detail: told.Detail, ResponseTime: met.ResponseTime}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// ping asks processes for a sign of life. Those that are too many, or can't be asked, are as they say.
func (n *Instances) ping(ctx context.Context, known map[string]*heardInstance) map[string]domain.Instance {
	ctx, cancel := context.WithTimeout(ctx, n.Wait)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		found  = make(map[string]domain.Instance, len(known))
		pinged int
	)
	for id, i := range known {
		if n.Ping == nil || i.microID == "" || pinged == maxPinged || i.Health.Status == domain.Disabled {
			mu.Lock()
			found[id] = i.Instance
			mu.Unlock()
			continue
		}
		pinged++
		wg.Go(func() {
			took, err := n.Ping(ctx, i.Service, i.microID)
			if err != nil {
				i.Health = domain.PartHealth{Status: domain.Unhealthy, Detail: "Does not answer"}
			} else {
				i.Health.ResponseTime = took
			}
			mu.Lock()
			defer mu.Unlock()
			found[id] = i.Instance
		})
	}
	wg.Wait()
	return found
}
