package app

import (
	"context"
	"strconv"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// AuditConfig tunes an Audit. Zero values get defaults.
type AuditConfig struct {
	Patience time.Duration // how long a caller of Record waits for the log
	Interval time.Duration // between two looks at what waits
	Quiet    time.Duration // for which refusals that are alike become one entry
	LastWait time.Duration // between tries while the log is away
	Drain    time.Duration // for what waits when Run has to stop
	Waiting  int           // entries that wait at most; what Begin lets begin has half of the room
	Groups   int           // kinds of refusals that are told apart at a time
}

const (
	defaultAuditPatience = 500 * time.Millisecond
	defaultAuditInterval = time.Second
	defaultAuditQuiet    = time.Minute
	defaultAuditLastWait = 5 * time.Second
	defaultAuditDrain    = 2 * time.Second
	defaultAuditWaiting  = 1024
	defaultAuditGroups   = 1024
	auditBatch           = 256 // entries in one transaction
)

func (c AuditConfig) withDefaults() AuditConfig {
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&c.Patience, defaultAuditPatience}, {&c.Interval, defaultAuditInterval}, {&c.Quiet, defaultAuditQuiet},
		{&c.LastWait, defaultAuditLastWait}, {&c.Drain, defaultAuditDrain},
	} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	if c.Waiting <= 0 {
		c.Waiting = defaultAuditWaiting
	}
	if c.Groups <= 0 {
		c.Groups = defaultAuditGroups
	}
	return c
}

// AuditDeps is what an Audit needs.
type AuditDeps struct {
	Log   ports.AuditLog
	Now   func() time.Time
	NewID func() string
	// Stored, which may be nil, is called after entries were stored, whose events can be sent now.
	Stored func()
	// Changed, which may be nil, is told the error when storing begins to fail, and nil when it goes on.
	Changed func(error)
	// Lost, which may be nil, is told how many entries and refusals could not be kept.
	Lost   func(count int)
	Config AuditConfig
}

// Audit records what happens outside of any transaction: what has one of its own brings its entries along with it. Nobody waits long because
// the log is away; what can't be stored waits in a queue with an end. Nobody fails either, but for what must not happen unrecorded,
// see Begin.
type Audit struct {
	AuditDeps

	mu      sync.Mutex
	waiting []domain.AuditEntry
	groups  map[refusal]*refusals
	lost    int       // of waiting, since Lost was told
	begun   int       // what Begin let begin and has not ended
	awayTo  time.Time // until then nobody waits for the log, which was away

	lastErr error // of Run alone
}

// refusal is what refusals have in common that become one entry.
type refusal struct{ reason, address string }

// refusals are those of one kind that no entry tells about yet.
type refusals struct {
	count       int
	first, last time.Time
	requestID   string    // of the first, as prefix
	prefix      string    // of the key
	told        time.Time // when the entry before was made; zero: there was none
}

// NewAudit makes the use case. What waits is stored by Run alone.
func NewAudit(d AuditDeps) *Audit {
	d.Config = d.Config.withDefaults()
	if d.Stored == nil {
		d.Stored = func() {}
	}
	if d.Changed == nil {
		d.Changed = func(error) {}
	}
	if d.Lost == nil {
		d.Lost = func(int) {}
	}
	return &Audit{AuditDeps: d, groups: map[refusal]*refusals{}}
}

// Record stores what has happened: it gives the entry an id, the time and the origin of the request. It waits for the log for a moment,
// so that an answer comes after what it tells is stored; when the log is away the entry waits in the queue.
func (a *Audit) Record(ctx context.Context, e domain.AuditEntry) {
	e = a.complete(ctx, e)
	if a.write(ctx, e) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= a.Config.Waiting {
		a.lost++
		return
	}
	a.waiting = append(a.waiting, e)
}

// Begin records that something is about to happen that must not happen unrecorded: when the log is away and half of the queue is taken, it is
// domain.Unavailable, and it must not happen. Otherwise end, which must be called once, records how it has ended; there is room for that.
func (a *Audit) Begin(ctx context.Context, e domain.AuditEntry) (end func(context.Context, domain.AuditEntry), err error) {
	e = a.complete(ctx, e)
	written := a.write(ctx, e)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !written {
		if 2*(len(a.waiting)+a.begun+2) > a.Config.Waiting { // this entry, and one for each that is to come
			return nil, domain.MissingPart("What tools do can't be recorded at the moment, so none is called", nil)
		}
		a.waiting = append(a.waiting, e)
	}
	a.begun++
	return a.end, nil
}

func (a *Audit) end(ctx context.Context, e domain.AuditEntry) {
	e = a.complete(ctx, e)
	written := a.write(ctx, e)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun--
	if !written {
		a.waiting = append(a.waiting, e)
	}
}

// complete gives an entry an id, the time and the origin of the request.
func (a *Audit) complete(ctx context.Context, e domain.AuditEntry) domain.AuditEntry {
	from := domain.OriginFrom(ctx)
	e.ID, e.At, e.Address, e.RequestID = a.NewID(), a.Now(), from.Address, from.RequestID
	return e
}

// write stores an entry now, and reports whether it did. While the log is away one caller in each Interval tries; the others need not wait for
// what fails.
func (a *Audit) write(ctx context.Context, e domain.AuditEntry) bool {
	a.mu.Lock()
	away := !a.awayTo.IsZero()
	if away && e.At.Before(a.awayTo) {
		a.mu.Unlock()
		return false
	}
	if away {
		a.awayTo = e.At.Add(a.Config.Interval)
	}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Config.Patience) // also for a caller who leaves now
	defer cancel()
	err := a.Log.Record(ctx, e)
	if away || err != nil {
		a.note(err)
	}
	if err != nil {
		return false
	}
	a.Stored()
	return true
}

// note remembers whether the log is away.
func (a *Audit) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.awayTo = time.Time{}
	if err != nil {
		a.awayTo = a.Now().Add(a.Config.Interval)
	}
}

// Refused notes that credentials were refused, with the public prefix of a key, if it was one. It never waits. Refusals come in
// floods: those of one address for one reason become one entry a minute, which counts them and shows the first, and when there are too
// many addresses those of the rest become one together.
func (a *Audit) Refused(ctx context.Context, reason, prefix string) {
	from, now := domain.OriginFrom(ctx), a.Now()
	kind := refusal{reason, from.Address}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.groups[kind]
	if g == nil && len(a.groups) >= a.Config.Groups {
		kind = refusal{reason: reason}
		from.RequestID, prefix = "", ""
		g = a.groups[kind] // there are few reasons
	}
	if g == nil {
		g = &refusals{}
		a.groups[kind] = g
	}
	if g.count == 0 {
		g.first, g.requestID, g.prefix = now, from.RequestID, prefix
	}
	g.count, g.last = g.count+1, now
}

// Run stores what waits until ctx ends, and then what still waits, as far as that is possible within Config.Drain.
func (a *Audit) Run(ctx context.Context) {
	var pending []domain.AuditEntry
	wait := a.Config.Interval
	for pause(ctx, wait) {
		if len(pending) == 0 {
			pending = a.take(false)
		}
		if pending = a.store(ctx, pending); len(pending) == 0 {
			wait = a.Config.Interval
		} else {
			wait = min(2*wait, a.Config.LastWait)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Config.Drain)
	defer cancel()
	pending = append(pending, a.take(true)...)
	left := 0
	for _, e := range a.store(ctx, pending) {
		left += standsFor(e)
	}
	a.tellLost(left)
}

// store stores entries and returns those that could not be stored. Those of an attempt whose end nobody knows are tried again: the log
// knows them by their ids.
func (a *Audit) store(ctx context.Context, pending []domain.AuditEntry) []domain.AuditEntry {
	for len(pending) > 0 {
		n := min(auditBatch, len(pending))
		err := a.Log.Record(ctx, pending[:n]...)
		if err != nil && ctx.Err() != nil {
			return pending // because of the stop: it says nothing about the log
		}
		if changed := (err == nil) != (a.lastErr == nil); changed {
			a.Changed(err)
		}
		a.lastErr = err
		a.note(err)
		if err != nil {
			return pending
		}
		a.Stored()
		pending = pending[n:]
	}
	a.tellLost(0)
	return nil
}

func (a *Audit) tellLost(more int) {
	a.mu.Lock()
	lost := a.lost + more
	a.lost = 0
	a.mu.Unlock()
	if lost > 0 {
		a.Lost(lost)
	}
}

// take removes the entries that wait and makes one for each kind of refusals whose time has come, or for all.
func (a *Audit) take(all bool) []domain.AuditEntry {
	now := a.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.waiting
	a.waiting = nil
	for kind, g := range a.groups {
		due := all || g.told.IsZero() || now.Sub(g.told) >= a.Config.Quiet
		switch {
		case due && g.count > 0:
			taken = append(taken, a.entryOf(kind, g))
			*g = refusals{told: now}
		case due:
			delete(a.groups, kind)
		}
	}
	return taken
}

func (a *Audit) entryOf(kind refusal, g *refusals) domain.AuditEntry {
	details := map[string]string{domain.DetailReason: kind.reason, domain.DetailPrefix: g.prefix}
	if g.count > 1 {
		details[domain.DetailCount] = strconv.Itoa(g.count)
		details[domain.DetailSince] = g.first.UTC().Format(time.RFC3339Nano)
	}
	return domain.AuditEntry{
		ID: a.NewID(), At: g.last, Action: domain.AuditValidationFailed, Address: kind.address, RequestID: g.requestID, Details: details,
	}
}

// standsFor is for how many an entry stands.
func standsFor(e domain.AuditEntry) int {
	if n, err := strconv.Atoi(e.Details[domain.DetailCount]); err == nil {
		return n
	}
	return 1
}

// Why credentials are refused, in the words of the audit log.
const (
	RefusedToken    = "bad_token"   // no valid token, and no key beside it
	RefusedKey      = "unknown_key" // or one that is expired or revoked
	RefusedPassword = "bad_password"
	RefusedRefresh  = "bad_refresh_token"
)

// Watch returns authenticate, with its refusals recorded. Callers who bring nothing are refused nothing.
func (a *Audit) Watch(
	authenticate func(ctx context.Context, authorization, apiKey string) (domain.Principal, error),
) func(ctx context.Context, authorization, apiKey string) (domain.Principal, error) {
	return func(ctx context.Context, authorization, apiKey string) (domain.Principal, error) {
		who, err := authenticate(ctx, authorization, apiKey)
		if err == nil || authorization == "" && apiKey == "" {
			return who, err
		}
		switch domain.KindOf(err) {
		case domain.Unauthenticated:
			a.Refused(ctx, RefusedToken, "")
		case domain.Forbidden:
			key := apiKey
			if key == "" {
				key = bearerToken(authorization)
			}
			a.Refused(ctx, RefusedKey, domain.KeyBeginning(key))
		}
		return who, err
	}
}
