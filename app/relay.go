package app

import (
	"context"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// RelayConfig tunes a Relay. Zero values get defaults.
type RelayConfig struct {
	Batch     int           // events that are sent together at most
	Poll      time.Duration // between looks at the outbox that nobody has asked for: other processes store events too
	Gather    time.Duration // from Wake to the look, so that what is stored at the same time goes together
	FirstWait time.Duration // after a first failure; it doubles with each further one
	LastWait  time.Duration // its end
	Drain     time.Duration // for what waits when Run has to stop
}

const (
	defaultRelayBatch     = 256
	defaultRelayPoll      = time.Second
	defaultRelayGather    = 20 * time.Millisecond
	defaultRelayFirstWait = 100 * time.Millisecond
	defaultRelayLastWait  = 5 * time.Second
	defaultRelayDrain     = 2 * time.Second
)

func (c RelayConfig) withDefaults() RelayConfig {
	if c.Batch <= 0 {
		c.Batch = defaultRelayBatch
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&c.Poll, defaultRelayPoll}, {&c.Gather, defaultRelayGather}, {&c.FirstWait, defaultRelayFirstWait},
		{&c.LastWait, defaultRelayLastWait}, {&c.Drain, defaultRelayDrain},
	} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	return c
}

// RelayDeps is what a Relay needs.
type RelayDeps struct {
	Outbox ports.Outbox
	Sender ports.EventSender
	// Changed, which may be nil, is told the error when sending begins to fail, and nil when it goes on.
	Changed func(error)
	Config  RelayConfig
}

// Relay sends what waits in the outbox. Any number of processes may run one on the same outbox.
type Relay struct {
	RelayDeps
	wake chan struct{}

	mu      sync.Mutex
	lastErr error
	sent    int64
}

// NewRelay makes the use case. Nothing is sent before Run.
func NewRelay(d RelayDeps) *Relay {
	d.Config = d.Config.withDefaults()
	if d.Changed == nil {
		d.Changed = func(error) {}
	}
	return &Relay{RelayDeps: d, wake: make(chan struct{}, 1)}
}

// Wake says that an event was stored. It never waits.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// RelayState tells how sending goes.
type RelayState struct {
	Pending int           // events that wait
	Oldest  time.Duration // how long the first of them has
	Err     error         // of the last attempt; nil when it went well
}

// State counts what waits. An outbox that can't be counted is an error.
func (r *Relay) State(ctx context.Context) (s RelayState, err error) {
	if s.Pending, err = r.Outbox.Pending(ctx); err == nil && s.Pending > 0 {
		s.Oldest, err = r.Outbox.Oldest(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Err = r.lastErr
	return s, err
}

// Sent is how many events were sent since the start.
func (r *Relay) Sent() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent
}

// Run sends until ctx ends, and then what still waits, as far as that is possible within Config.Drain.
func (r *Relay) Run(ctx context.Context) {
	wait := r.Config.FirstWait
	for ctx.Err() == nil {
		switch n, err := r.batch(ctx); {
		case err != nil:
			pause(ctx, backoffAround(wait))
			wait = min(2*wait, r.Config.LastWait)
		case n == r.Config.Batch: // there is more
			wait = r.Config.FirstWait
		default:
			wait = r.Config.FirstWait
			r.idle(ctx)
		}
	}
	r.drain(context.WithoutCancel(ctx))
}

// idle waits for a reason to look.
func (r *Relay) idle(ctx context.Context) {
	poll := time.NewTimer(r.Config.Poll)
	defer poll.Stop()
	select {
	case <-r.wake:
		pause(ctx, r.Config.Gather)
	case <-poll.C:
	case <-ctx.Done():
	}
}

func (r *Relay) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.Config.Drain)
	defer cancel()
	for {
		if n, err := r.batch(ctx); err != nil || n == 0 { // one that is not full may be what was in doubt, with more behind
			return
		}
	}
}

// batch sends once and notes how it went.
func (r *Relay) batch(ctx context.Context) (int, error) {
	n, err := r.Outbox.Relay(ctx, r.Config.Batch, r.Sender.Send)
	if err != nil && ctx.Err() != nil {
		return n, err // because of the stop: it says nothing about the bus
	}
	r.mu.Lock()
	changed := (err == nil) != (r.lastErr == nil)
	r.lastErr = err
	r.sent += int64(n)
	r.mu.Unlock()
	if changed {
		r.Changed(err)
	}
	return n, err
}

// Watch returns the store, which wakes the relay after each turn that has events, and after what is told when conversations are cleared.
func (r *Relay) Watch(store ports.ConversationStore) ports.ConversationStore {
	return wakingStore{store, r}
}

type wakingStore struct {
	ports.ConversationStore
	relay *Relay
}

// CommitTurn implements ports.ConversationStore.
func (s wakingStore) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	id, err := s.ConversationStore.CommitTurn(ctx, turn)
	if err == nil && len(turn.Events) > 0 {
		s.relay.Wake()
	}
	return id, err
}

// Clear implements ports.ConversationStore.
func (s wakingStore) Clear(ctx context.Context, owner, conversationID string, tell ...func(string) domain.Event) error {
	err := s.ConversationStore.Clear(ctx, owner, conversationID, tell...)
	if err == nil && len(tell) > 0 {
		s.relay.Wake()
	}
	return err
}
