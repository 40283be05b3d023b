package forward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"gaia/domain"
)

// Config is where services are and how patient to be with them. Zero values have defaults, but for Targets and Sign.
type Config struct {
	Targets map[domain.Service][]string // base URLs; every address behind a name counts
	Sign    func(caller domain.Forwarded, audience string) (string, error)

	Wait       time.Duration // for the head of an answer, when a hop does not say
	Connect    time.Duration // how long it may take to be connected
	Silence    time.Duration // after which a stream of events that sends nothing is given up; they send pings far more often
	Standstill time.Duration // the same for any other answer, which sends no pings
	Unheard    time.Duration // after which nobody waits for an answer of a process that answers nothing else either
	Grace      time.Duration // for which an answer is still waited for when a request ends because this process has to stop
	Retries    int           // attempts after the first one; negative: none
	RetryDelay time.Duration // the longest pause before another attempt; most are far shorter
	MaxConns   int           // to one address; whoever comes when they are all taken goes elsewhere or is refused
	Held       int64         // bytes that may be held back of all answers at once, besides 32 KB of each

	ProbeInterval time.Duration // of /readyz while all is well
	ProbeTimeout  time.Duration
	LookupEvery   time.Duration // of names

	Lookup  func(ctx context.Context, host string) ([]string, error)
	Observe Observe // of attempts; nil: nobody does
	Logger  *slog.Logger
	Now     func() time.Time
}

const (
	defaultWait       = 30 * time.Second
	defaultConnect    = time.Second
	defaultSilence    = time.Minute
	defaultStandstill = time.Minute
	// defaultUnheard is for how long what is signed is good: a process that stood still for longer refuses what it finds then.
	defaultUnheard = 30 * time.Second
	// defaultGrace leaves time to say what became of a request before a server that stops cuts its connections.
	defaultGrace      = 3 * time.Second
	defaultRetries    = 2
	defaultRetryDelay = time.Second
	defaultMaxConns   = 4096
	defaultHeld       = 64 << 20
	defaultProbe      = 5 * time.Second
	defaultTimeout    = 2 * time.Second
	defaultLookup     = 5 * time.Second

	// firstLookup is how long a request waits for names that nobody has looked up yet.
	firstLookup = 2 * time.Second
	// idleFor is how long a connection may wait for the next request: far shorter than a service waits, so that it is not the service that
	// closes one just when a request goes out on it.
	idleFor = 30 * time.Second
	maxIdle = 256
	// largeUpload is from how many bytes on a service is asked before a body is sent: it can refuse, and the body is still whole.
	largeUpload = 1 << 20
	maxHead     = 256 << 10
)

func (c Config) withDefaults() Config {
	c.Wait = cmp.Or(max(c.Wait, 0), defaultWait)
	c.Connect = cmp.Or(max(c.Connect, 0), defaultConnect)
	c.Silence = cmp.Or(max(c.Silence, 0), defaultSilence)
	c.Standstill = cmp.Or(max(c.Standstill, 0), defaultStandstill)
	c.Unheard = cmp.Or(max(c.Unheard, 0), defaultUnheard)
	c.Grace = cmp.Or(max(c.Grace, 0), defaultGrace)
	c.Retries = max(cmp.Or(c.Retries, defaultRetries), 0)
	c.RetryDelay = cmp.Or(max(c.RetryDelay, 0), defaultRetryDelay)
	c.MaxConns = cmp.Or(max(c.MaxConns, 0), defaultMaxConns)
	c.Held = cmp.Or(max(c.Held, 0), defaultHeld)
	c.ProbeInterval = cmp.Or(max(c.ProbeInterval, 0), defaultProbe)
	c.ProbeTimeout = cmp.Or(max(c.ProbeTimeout, 0), defaultTimeout)
	c.LookupEvery = cmp.Or(max(c.LookupEvery, 0), defaultLookup)
	if c.Lookup == nil {
		c.Lookup = net.DefaultResolver.LookupHost
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Forwarder hands requests on.
type Forwarder struct {
	config Config
	groups map[domain.Service]*group
	stop   context.CancelFunc
	loops  sync.WaitGroup
}

// New makes a forwarder and begins to look for the services. It does not fail because one is away.
func New(c Config) (*Forwarder, error) {
	c = c.withDefaults()
	if c.Sign == nil {
		return nil, errors.New("forward: nothing signs requests")
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &Forwarder{config: c, groups: map[domain.Service]*group{}, stop: stop}
	var held room
	held.left.Store(c.Held)
	for service, targets := range c.Targets {
		g, err := newGroup(service, targets, &f.config, &held, &f.loops)
		if err != nil {
			stop()
			return nil, err
		}
		f.groups[service] = g
	}
	for _, g := range f.groups {
		for _, n := range g.names {
			f.loops.Go(func() { g.watch(ctx, n) })
		}
	}
	return f, nil
}

// Close ends the probes and closes idle connections. Requests that are on their way are not waited for.
func (f *Forwarder) Close() {
	f.stop()
	f.loops.Wait()
	for _, g := range f.groups {
		for _, e := range g.all() {
			e.transport.CloseIdleConnections()
		}
	}
}

// Instances tells what is known of the processes of a service, sorted by their ids.
func (f *Forwarder) Instances(service domain.Service) []domain.Instance {
	g := f.groups[service]
	if g == nil {
		return nil
	}
	return g.instances()
}

// Heard takes news of a process: it is about to stop, or it is up. The news may come before or after anything that a probe finds.
func (f *Forwarder) Heard(service domain.Service, instance string, up bool) {
	if g := f.groups[service]; g != nil {
		g.heard(instance, up)
	}
}

// Forward hands a request to a service and its answer to the client. An error that is a *domain.Error is returned before anything was
// written; domain.ErrBrokenOff means that the answer began and can't be finished. A request whose client has gone, or whose body can't be
// read, is reported with that error, and so is one that ends because this process has to stop, unless a service has seen it and must not see it
// twice: then its answer is waited for a little longer, and if there is none, it is said that nobody knows its outcome.
func (f *Forwarder) Forward(w http.ResponseWriter, r *http.Request, hop domain.Hop) error {
	g := f.groups[hop.Service]
	if g == nil {
		return domain.MissingPart(fmt.Sprintf("Service %s not available", hop.Service), errors.New("forward: nobody has said where it is"))
	}
	if hop.Wait <= 0 {
		hop.Wait = f.config.Wait
	}
	if err := g.known(r.Context(), min(hop.Wait, firstLookup)); err != nil {
		return canceled(err)
	}
	p := passage{group: g, request: r, hop: hop, upload: newUpload(w, r), deadline: time.Now().Add(hop.Wait)}
	defer p.upload.settle()
	var leave context.CancelFunc
	p.stay, leave = newStay(r.Context(), p.repeatable(), f.config.Grace)
	defer leave()
	a, err := p.ask()
	if err != nil {
		return err
	}
	return a.relay(w, p.stay)
}

func canceled(cause error) error {
	return &domain.Error{Kind: domain.Canceled, Message: "The client left", Cause: cause}
}

// parseTarget checks a base URL.
func parseTarget(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	if !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("forward: %q is not of the form http://host:port", u.Redacted())
	}
	return u, nil
}
