package forward

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gaia/domain"
)

// longestWait is the longest time that clients are told to stay away: probes find out sooner than that.
const longestWait = 5 * time.Second

// lookupGap is the shortest time between two look-ups of a name, however many requests fail.
const lookupGap = time.Second

// group is every address of one service.
type group struct {
	service domain.Service
	names   []*name
	config  *Config
	room    *room // for answers that are held back
	loops   *sync.WaitGroup
	budget  budget
	counts  counts

	endpoints atomic.Pointer[[]*endpoint] // replaced as a whole by settle alone
	looked    chan struct{}               // closed when there is an address, or every name was looked up once

	mu      sync.Mutex
	unasked int                           // names that were not looked up to the end yet
	running map[string]context.CancelFunc // ends what watches an endpoint, by its key
}

// name is a base URL of a service.
type name struct {
	*url.URL
	again chan struct{} // asks for another look-up
	found []string      // by the last look-up that worked; guarded by the mutex of the group
}

func newGroup(service domain.Service, targets []string, c *Config, held *room, loops *sync.WaitGroup) (*group, error) {
	g := &group{
		service: service, config: c, room: held, loops: loops, budget: budget{tokens: budgetSize}, looked: make(chan struct{}), unasked: len(targets),
		running: map[string]context.CancelFunc{},
	}
	for _, target := range targets {
		u, err := parseTarget(target)
		if err != nil {
			return nil, err
		}
		g.names = append(g.names, &name{URL: u, again: make(chan struct{}, 1)})
	}
	if len(g.names) == 0 {
		return nil, errors.New("forward: " + string(service) + " has no address")
	}
	g.endpoints.Store(&[]*endpoint{})
	return g, nil
}

func (g *group) all() []*endpoint { return *g.endpoints.Load() }

// known waits for the first address, or until names were looked up once.
func (g *group) known(ctx context.Context, patience time.Duration) error {
	select {
	case <-g.looked:
		return nil
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-g.looked:
	case <-timer.C: // nothing is known: the request is answered as when nobody is there
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// watch looks a name up again and again, until ctx ends.
func (g *group) watch(ctx context.Context, n *name) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for first := true; ; first = false {
		addresses := g.lookup(ctx, n.Hostname())
		if ctx.Err() != nil {
			return
		}
		g.learn(ctx, n, addresses, first)
		if isAddress(n.Hostname()) {
			return
		}
		if !rest(ctx, timer, lookupGap, nil) || !rest(ctx, timer, max(g.config.LookupEvery-lookupGap, 0), n.again) {
			return
		}
	}
}

// learn takes what a look-up of a name has found, which is nothing when it could not find out.
func (g *group) learn(ctx context.Context, n *name, addresses []string, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(addresses) > 0 {
		n.found = addresses
		g.settle(ctx)
	}
	if first {
		g.unasked--
	}
	if len(g.all()) == 0 && g.unasked > 0 {
		return
	}
	select {
	case <-g.looked:
	default:
		close(g.looked)
	}
}

// rest waits for a while, or until it is asked not to. It tells whether to go on.
func rest(ctx context.Context, timer *time.Timer, d time.Duration, wake <-chan struct{}) bool {
	timer.Reset(d)
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// lookup finds the addresses of a host. None means that it could not be found out.
func (g *group) lookup(ctx context.Context, host string) []string {
	if isAddress(host) {
		return []string{host}
	}
	ctx, cancel := context.WithTimeout(ctx, max(g.config.LookupEvery, firstLookup))
	defer cancel()
	addresses, err := g.config.Lookup(ctx, host)
	if err != nil && ctx.Err() == nil {
		g.config.Logger.WarnContext(ctx, "name of a service not found", "to", g.service, "name", host, "error", err)
	}
	return addresses
}

// settle keeps what is still there, begins with what is new and lets go of the rest. The mutex is held.
func (g *group) settle(ctx context.Context) {
	before := map[string]*endpoint{}
	for _, e := range g.all() {
		before[e.key] = e
	}
	var now []*endpoint
	kept := map[string]bool{}
	for _, n := range g.names {
		for _, address := range n.found {
			key := n.Scheme + "://" + n.Host + n.Path + "@" + address
			if kept[key] {
				continue
			}
			kept[key] = true
			e := before[key]
			if e == nil {
				e = newEndpoint(g, key, n.URL, address)
				g.running[key] = g.begin(ctx, e)
			}
			now = append(now, e)
		}
	}
	g.endpoints.Store(&now)
	for key, e := range before {
		if !kept[key] {
			g.running[key]()
			delete(g.running, key)
			e.transport.CloseIdleConnections()
			g.config.Logger.InfoContext(ctx, "address of a service gone", "to", g.service, "address", e.dial)
		}
	}
}

func (g *group) begin(ctx context.Context, e *endpoint) context.CancelFunc {
	ctx, cancel := context.WithCancel(ctx)
	g.loops.Go(func() { e.watch(ctx) })
	return cancel
}

// lookAgain asks for another look-up of every name: an address that refuses may have moved.
func (g *group) lookAgain() {
	for _, n := range g.names {
		select {
		case n.again <- struct{}{}:
		default:
		}
	}
}

// pick chooses an address, none of tried if there is another one. The caller gives it back with release.
func (g *group) pick(tried []*endpoint) *endpoint {
	now := g.config.Now()
	if e := g.choose(now, tried); e != nil {
		return e
	}
	if len(tried) == 0 {
		return nil
	}
	return g.choose(now, nil)
}

func (g *group) choose(now time.Time, without []*endpoint) *endpoint {
	var few [16]*endpoint
	best, fits := unusable, few[:0]
	for _, e := range g.all() {
		if slices.Contains(without, e) {
			continue
		}
		switch rank := e.rank(now); {
		case rank == unusable || rank > best:
		case rank < best:
			best, fits = rank, append(fits[:0], e)
		default:
			fits = append(fits, e)
		}
	}
	for len(fits) > 0 {
		i := lessBusy(fits)
		if fits[i].take(now) {
			return fits[i]
		}
		fits = slices.Delete(fits, i, i+1) // somebody else was faster
	}
	return nil
}

// lessBusy picks two at random and of these the one with fewer requests.
func lessBusy(fits []*endpoint) int {
	if len(fits) == 1 {
		return 0
	}
	i := rand.IntN(len(fits))     // #nosec G404 -- spreads load, guards nothing
	j := rand.IntN(len(fits) - 1) // #nosec G404 -- spreads load, guards nothing
	if j >= i {
		j++
	}
	if fits[j].running.Load() < fits[i].running.Load() {
		return j
	}
	return i
}

// another reports whether there is a usable address besides one.
func (g *group) another(than *endpoint) bool {
	now := g.config.Now()
	return slices.ContainsFunc(g.all(), func(e *endpoint) bool { return e != than && e.rank(now) <= ready })
}

// comeBack is when it is worth to ask again: when the first address that is left alone may be tried.
func (g *group) comeBack() time.Duration {
	now, soonest := g.config.Now(), time.Duration(0)
	for _, e := range g.all() {
		if wait := e.opensIn(now); wait > 0 && (soonest == 0 || wait < soonest) {
			soonest = wait
		}
	}
	return min(max(soonest, time.Second), longestWait)
}

func (g *group) heard(instance string, up bool) {
	for _, e := range g.all() {
		if e.heard(instance, up) || up {
			e.probeNow()
		}
	}
	if up {
		g.lookAgain()
	}
}

// instances tells of each process once, by the address where it is best. One that never answered is told of only when its name has no address
// that did: localhost, for one, often stands for an address where nobody listens.
func (g *group) instances() []domain.Instance {
	byID := map[string]domain.Instance{}
	answered := map[*url.URL]bool{}
	endpoints := g.all()
	for _, e := range endpoints {
		if !e.told().Seen.IsZero() {
			answered[e.base] = true
		}
	}
	for _, e := range endpoints {
		i := e.told()
		if i.Seen.IsZero() && answered[e.base] {
			continue
		}
		if other, twice := byID[i.ID]; !twice || i.Health.Status == domain.Healthy && other.Health.Status != domain.Healthy {
			byID[i.ID] = i
		}
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b domain.Instance) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), a.Seen.Compare(b.Seen))
	})
}

func joinPort(u *url.URL, address string) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(address, port)
}
