package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// LimitsConfig says how often callers may come.
type LimitsConfig struct {
	Requests int           // of one caller in Period; zero turns all limits off, those below too
	Period   time.Duration // at least a second
	Burst    int           // of one caller in a second, but never fewer than Requests come to on average; zero: no such limit

	// Tight limits where credentials can be guessed; zero turns one off.
	SignIns     int // signing in, registering and asking for mail: of one address in a minute
	Refreshes   int // refreshing a session: of one address in a minute
	Validations int // having credentials validated: of one address in a minute
	Account     int // attempts at one account, wherever they come from, in AccountPeriod
	Failures    int // wrong credentials on any operation: of one address in a minute
}

// ruleBurst is the name of the rule about the pace.
const ruleBurst = "burst"

// AccountPeriod is the period of the limit for one account.
const AccountPeriod = 15 * time.Minute

// Surface is what a request wants, as far as limits care.
type Surface uint8

// The surfaces.
const (
	Ordinary   Surface = iota
	SignIn             // begin a session
	Mail               // make an account, or have mail sent
	Refresh            // go on with a session
	Validation         // learn whether credentials are good
)

// Limits decides how often callers may come. With Redis away it goes on in each process alone, on every surface: an outage multiplies
// what somebody may try by the number of processes at the most, it neither opens a door nor closes one.
type Limits struct {
	limiter ports.RateLimiter // nil when nothing is limited
	now     ports.Clock
	rules   []domain.RateRule // for every request
	tight   map[Surface]domain.RateRule
	account map[Surface]domain.RateRule
	failed  domain.RateRule
	proven  provenCredentials
}

// NewLimits makes the use case. limiter may be nil when config limits nothing.
func NewLimits(limiter ports.RateLimiter, config LimitsConfig, now ports.Clock) *Limits {
	l := &Limits{now: now, tight: map[Surface]domain.RateRule{}, account: map[Surface]domain.RateRule{}}
	if config.Requests == 0 {
		return l
	}
	l.limiter = limiter
	l.rules = []domain.RateRule{{Name: "period", Requests: config.Requests, Period: config.Period}}
	seconds := int(config.Period / time.Second)
	burst := max(config.Burst, (config.Requests+seconds-1)/seconds)
	if config.Burst > 0 && burst < config.Requests {
		l.rules = append(l.rules, domain.RateRule{Name: ruleBurst, Requests: burst, Period: time.Second})
	}
	for surface, rule := range map[Surface]domain.RateRule{
		SignIn:     {Name: "sign_in", Requests: config.SignIns, Period: time.Minute},
		Mail:       {Name: "sign_in", Requests: config.SignIns, Period: time.Minute}, // one counter for both
		Refresh:    {Name: "refresh", Requests: config.Refreshes, Period: time.Minute},
		Validation: {Name: "validate", Requests: config.Validations, Period: time.Minute},
	} {
		if rule.Requests > 0 {
			l.tight[surface] = rule
		}
	}
	if config.Account > 0 {
		l.account[SignIn] = domain.RateRule{Name: "account", Requests: config.Account, Period: AccountPeriod}
		l.account[Mail] = domain.RateRule{Name: "mail", Requests: config.Account, Period: AccountPeriod}
	}
	l.failed = domain.RateRule{Name: "failed", Requests: config.Failures, Period: time.Minute}
	return l
}

// Caller is whose requests count together.
type Caller struct {
	Owner   string     // of a verified principal; empty when nobody has proved anything
	Address netip.Addr // of the client
}

// ID tells callers apart.
func (c Caller) ID() string {
	if c.Owner != "" {
		return "owner:" + c.Owner
	}
	return addressID(c.Address)
}

// addressID names an address. Whoever has one address of IPv6 has the 2^64 of its network.
func addressID(addr netip.Addr) string {
	if addr.Is6() && !addr.Is4In6() {
		return "net:" + netip.PrefixFrom(addr, 64).Masked().String()
	}
	return "addr:" + addr.Unmap().String()
}

// Standing is what callers may know of their limit. The zero value says that there is none.
type Standing struct {
	Limit     int // requests in a period
	Remaining int
	Reset     time.Time // when everything is won back
}

// RateExceeded is the error for callers who come too often: a domain.Limited that knows more.
type RateExceeded struct {
	Standing Standing
	refusal  *domain.Error
}

func (e *RateExceeded) Error() string { return e.refusal.Error() }

// Unwrap lets errors.As find the domain.Error.
func (e *RateExceeded) Unwrap() error { return e.refusal }

// Request counts a request. The error, when there is one, is a *RateExceeded.
func (l *Limits) Request(ctx context.Context, who Caller, surface Surface) (Standing, error) {
	if l.limiter == nil {
		return Standing{}, nil
	}
	id := who.ID()
	limits := make([]domain.RateLimit, 0, domain.MaxRateLimits)
	for _, rule := range l.rules {
		limits = append(limits, domain.RateLimit{Rule: rule, ID: id})
	}
	shown := 0
	if rule, tight := l.tight[surface]; tight {
		shown = len(limits)
		limits = append(limits, domain.RateLimit{Rule: rule, ID: addressID(who.Address)})
	}
	d := l.limiter.Take(ctx, limits)
	if d.Allowed {
		return l.standing(limits[shown].Rule, d.Debts[shown]), nil
	}
	refused := limits[d.Refused].Rule
	if refused.Name != ruleBurst { // which is about the pace; clients want to know what they have left
		shown = d.Refused
	}
	return Standing{}, l.exceeded(refused, d.Debts[d.Refused], l.standing(limits[shown].Rule, d.Debts[shown]))
}

// Account counts an attempt at an account, so that many addresses together can't do what each of them may not. Which account that is
// the limiter does not learn.
func (l *Limits) Account(ctx context.Context, surface Surface, email string) error {
	rule, limited := l.account[surface]
	if l.limiter == nil || !limited {
		return nil
	}
	hash := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(email))))
	return l.takeOne(ctx, domain.RateLimit{Rule: rule, ID: hex.EncodeToString(hash[:])})
}

func (l *Limits) takeOne(ctx context.Context, limit domain.RateLimit) error {
	d := l.limiter.Take(ctx, []domain.RateLimit{limit})
	if d.Allowed {
		return nil
	}
	return l.exceeded(limit.Rule, d.Debts[0], l.standing(limit.Rule, d.Debts[0]))
}

func (l *Limits) standing(rule domain.RateRule, debt time.Duration) Standing {
	return Standing{Limit: rule.Requests, Remaining: rule.Remaining(debt), Reset: l.now().Add(debt)}
}

func (l *Limits) exceeded(rule domain.RateRule, debt time.Duration, standing Standing) error {
	return &RateExceeded{standing, &domain.Error{
		Kind: domain.Limited, Message: "Rate limit exceeded: " + rule.String(), RetryAfter: rule.Wait(debt),
	}}
}

// guessable is the length, in bytes, below which credentials may be guessed by trying. No token and no key that Gaia makes is shorter;
// an API_KEY that somebody thought up may be.
const guessable = 32

// Authenticate lets judge look at the credentials of a request, and counts what is wrong by address. Over the limit wrong credentials
// are answered with a *RateExceeded. Short ones, which can be guessed, are then not even looked at, so that a right guess looks like a
// wrong one, unless they were right before. Everybody else behind the address comes in as always.
func (l *Limits) Authenticate(
	ctx context.Context, address netip.Addr, authorization, apiKey string,
	judge func(ctx context.Context, authorization, apiKey string) (domain.Principal, error),
) (domain.Principal, error) {
	bearer := bearerToken(authorization)
	if l.limiter == nil || l.failed.Requests == 0 || bearer == "" && apiKey == "" {
		return judge(ctx, authorization, apiKey)
	}
	failure := domain.RateLimit{Rule: l.failed, ID: addressID(address)}
	counted := false
	var mark credentialMark
	short := bearer != "" && len(bearer) < guessable || apiKey != "" && len(apiKey) < guessable
	if short {
		mark = markOf(bearer, apiKey)
		if counted = !l.proven.has(mark); counted {
			if err := l.takeOne(ctx, failure); err != nil {
				return domain.Principal{}, err
			}
		}
	}
	who, err := judge(ctx, authorization, apiKey)
	switch kind := domain.KindOf(err); {
	case err == nil:
		if counted {
			l.proven.add(mark)
		}
	case kind != domain.Unauthenticated && kind != domain.Forbidden: // nothing was judged
	case !counted:
		l.proven.drop(mark)
		if limited := l.takeOne(ctx, failure); limited != nil {
			return domain.Principal{}, limited
		}
	}
	return who, err
}

// mostProven bounds how many short credentials are remembered. Nobody needs more than a few; who is forgotten has to pass once more.
const mostProven = 1024

// provenCredentials are hashes of short credentials that were right the last time.
type provenCredentials struct {
	mu    sync.Mutex
	marks map[credentialMark]struct{}
}

type credentialMark [sha256.Size]byte

func markOf(bearer, apiKey string) credentialMark {
	return sha256.Sum256([]byte(bearer + "\x00" + apiKey))
}

func (p *provenCredentials) has(m credentialMark) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.marks[m]
	return ok
}

func (p *provenCredentials) add(m credentialMark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.marks == nil || len(p.marks) >= mostProven {
		p.marks = map[credentialMark]struct{}{}
	}
	p.marks[m] = struct{}{}
}

func (p *provenCredentials) drop(m credentialMark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.marks, m)
}
