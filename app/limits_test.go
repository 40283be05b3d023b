package app_test

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"gaia/adapters/gcra"
	"gaia/app"
	"gaia/domain"
)

// standing is a clock that stands until a test moves it.
type standingClock struct{ at time.Time }

func (c *standingClock) now() time.Time { return c.at }

func newLimits(c app.LimitsConfig) (*app.Limits, *standingClock) {
	clock := &standingClock{noon}
	return app.NewLimits(gcra.NewLocal(clock.now, 0), c, clock.now), clock
}

var (
	here  = netip.MustParseAddr("203.0.113.1")
	there = netip.MustParseAddr("203.0.113.2")
)

// requests counts how many of n go through, and gives the last refusal.
func requests(t *testing.T, l *app.Limits, n int, who app.Caller, s app.Surface) (through int, refusal *app.RateExceeded) {
	t.Helper()
	for range n {
		_, err := l.Request(t.Context(), who, s)
		switch {
		case err == nil:
			through++
		case !errors.As(err, &refusal) || domain.KindOf(err) != domain.Limited:
			t.Fatalf("error %v", err)
		}
	}
	return through, refusal
}

func TestRulesOfRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config  app.LimitsConfig
		atOnce  int
		minute  int // in the minute that follows
		message string
	}{
		"the default":              {app.LimitsConfig{Requests: 60, Period: time.Minute, Burst: 10}, 10, 60 + 60 - 10, "10 per 1 second"},
		"no burst":                 {app.LimitsConfig{Requests: 60, Period: time.Minute}, 60, 60, "60 per 1 minute"},
		"fewer than the burst":     {app.LimitsConfig{Requests: 5, Period: time.Minute, Burst: 10}, 5, 5, "5 per 1 minute"},
		"more than the burst":      {app.LimitsConfig{Requests: 6000, Period: time.Minute, Burst: 10}, 100, 6000, "100 per 1 second"},
		"more in a second":         {app.LimitsConfig{Requests: 50, Period: time.Second, Burst: 10}, 50, 3000, "50 per 1 second"},
		"few in a day, at a speed": {app.LimitsConfig{Requests: 100, Period: 24 * time.Hour, Burst: 2}, 2, 98, "2 per 1 second"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, clock := newLimits(c.config)
			who := app.Caller{Owner: "ada"}
			n, refusal := requests(t, l, 200, who, app.Ordinary)
			if n != c.atOnce || !strings.HasSuffix(refusal.Error(), c.message) {
				t.Errorf("%d at once, %v; want %d, %s", n, refusal, c.atOnce, c.message)
			}
			minute := 0
			for range 600 {
				clock.at = clock.at.Add(100 * time.Millisecond)
				n, _ := requests(t, l, 20, who, app.Ordinary)
				minute += n
			}
			if minute != c.minute {
				t.Errorf("%d in the minute after, want %d", minute, c.minute)
			}
		})
	}
}

func TestWhoCountsTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b     app.Caller
		together bool
	}{
		"a principal at two addresses": {app.Caller{Owner: "u", Address: here}, app.Caller{Owner: "u", Address: there}, true},
		"two principals at one":        {app.Caller{Owner: "u", Address: here}, app.Caller{Owner: "v", Address: here}, false},
		"somebody and nobody":          {app.Caller{Owner: "u", Address: here}, app.Caller{Address: here}, false},
		"one address":                  {app.Caller{Address: here}, app.Caller{Address: here}, true},
		"two addresses":                {app.Caller{Address: here}, app.Caller{Address: there}, false},
		"one network of IPv6":          {app.Caller{Address: netip.MustParseAddr("2001:db8:0:1::7")}, app.Caller{Address: netip.MustParseAddr("2001:db8:0:1:ffff::8")}, true},
		"two networks of IPv6":         {app.Caller{Address: netip.MustParseAddr("2001:db8:0:1::7")}, app.Caller{Address: netip.MustParseAddr("2001:db8:0:2::7")}, false},
		"one address written twice":    {app.Caller{Address: here}, app.Caller{Address: netip.MustParseAddr("::ffff:203.0.113.1")}, true},
		"two of IPv4 written as IPv6":  {app.Caller{Address: netip.MustParseAddr("::ffff:203.0.113.1")}, app.Caller{Address: netip.MustParseAddr("::ffff:203.0.113.2")}, false},
		"a name like an address":       {app.Caller{Owner: "203.0.113.1"}, app.Caller{Address: here}, false},
		"no address at all":            {app.Caller{}, app.Caller{}, true},
	} {
		if got := c.a.ID() == c.b.ID(); got != c.together {
			t.Errorf("%s: %q and %q", name, c.a.ID(), c.b.ID())
		}
	}
}

func TestTightSurfacesAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(app.LimitsConfig{Requests: 1000, Period: time.Minute, SignIns: 3, Refreshes: 4, Validations: 5})
	at := func(i int) app.Caller { return app.Caller{Owner: "u" + strconv.Itoa(i), Address: here} }
	for i := range 3 {
		if n, _ := requests(t, l, 1, at(i), map[bool]app.Surface{true: app.Mail, false: app.SignIn}[i == 1]); n != 1 {
			t.Errorf("sign-in %d is refused", i)
		}
	}
	n, refusal := requests(t, l, 1, at(9), app.Mail)
	if n != 0 || refusal.Standing.Limit != 3 || refusal.Standing.Remaining != 0 || refusal.Standing.Reset != noon.Add(time.Minute) {
		t.Errorf("%d more, %+v", n, refusal)
	}
	for surface, want := range map[app.Surface]int{app.Refresh: 4, app.Validation: 5} {
		if n, _ := requests(t, l, 10, at(9), surface); n != want {
			t.Errorf("surface %d: %d, want %d", surface, n, want)
		}
	}
	standing, err := l.Request(t.Context(), app.Caller{Address: there}, app.SignIn)
	if err != nil || standing != (app.Standing{Limit: 3, Remaining: 2, Reset: noon.Add(20 * time.Second)}) {
		t.Errorf("%+v, %v", standing, err)
	}
	// Refused sign-ins have used up nothing of what counts for everything.
	if standing, err := l.Request(t.Context(), at(9), app.Ordinary); err != nil || standing.Remaining != 1000-1-4-5 {
		t.Errorf("%+v, %v", standing, err)
	}
}

func TestPaceDoesNotHideWhatIsLeft(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(app.LimitsConfig{Requests: 60, Period: time.Minute, Burst: 10})
	_, refusal := requests(t, l, 11, app.Caller{Owner: "ada"}, app.Ordinary)
	if refusal.Standing != (app.Standing{Limit: 60, Remaining: 50, Reset: noon.Add(10 * time.Second)}) {
		t.Errorf("%+v", refusal.Standing)
	}
	var e *domain.Error
	if !errors.As(refusal, &e) || e.RetryAfter != 100*time.Millisecond {
		t.Errorf("%+v", e)
	}
}

func TestAccountsAreLimitedByAddressOfMail(t *testing.T) {
	t.Parallel()
	l, clock := newLimits(app.LimitsConfig{Requests: 1000, Period: time.Minute, Account: 3})
	attempt := func(surface app.Surface, email string) bool {
		err := l.Account(t.Context(), surface, email)
		if err != nil && domain.KindOf(err) != domain.Limited {
			t.Fatal(err)
		}
		return err == nil
	}
	for i, email := range []string{"ada@example.com", " ADA@example.com ", "Ada@Example.Com"} {
		if !attempt(app.SignIn, email) {
			t.Errorf("attempt %d is refused", i)
		}
	}
	if attempt(app.SignIn, "aDa@example.com") {
		t.Error("a fourth attempt at one account")
	}
	if !attempt(app.Mail, "ada@example.com") || !attempt(app.SignIn, "bob@example.com") || !attempt(app.Ordinary, "ada@example.com") {
		t.Error("something else counts, too")
	}
	clock.at = clock.at.Add(5 * time.Minute)
	if !attempt(app.SignIn, "ada@example.com") || attempt(app.SignIn, "ada@example.com") {
		t.Error("after a third of the period one attempt is won back")
	}
}

// gate judges keys, and counts how many it has seen.
type gate struct {
	right string
	err   error
	seen  int
}

func (g *gate) judge(_ context.Context, authorization, apiKey string) (domain.Principal, error) {
	g.seen++
	if g.err != nil {
		return domain.Principal{}, g.err
	}
	if apiKey == g.right || authorization == "Bearer "+g.right {
		return service, nil
	}
	return domain.Principal{}, domain.NewError(domain.Forbidden, "no")
}

func TestWrongCredentialsAreLimited(t *testing.T) {
	t.Parallel()
	padding := strings.Repeat("x", 40)
	for name, c := range map[string]struct {
		bearer  bool
		padding string // makes keys so long that nobody guesses them
		long    bool
	}{
		"short keys":           {false, "", false},
		"short keys as tokens": {true, "", false},
		"long keys":            {false, padding, true},
		"long tokens":          {true, padding, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, clock := newLimits(app.LimitsConfig{Requests: 1000, Period: time.Minute, Failures: 3})
			g := &gate{right: "right" + c.padding}
			try := func(address netip.Addr, key string) string {
				authorization, apiKey := "", key+c.padding
				if c.bearer {
					authorization, apiKey = "Bearer "+apiKey, ""
				}
				_, err := l.Authenticate(t.Context(), address, authorization, apiKey, g.judge)
				if err == nil {
					return ""
				}
				return domain.FailureOf(err)
			}
			for i := range 10 {
				want := "forbidden"
				if i >= 3 {
					want = "limited"
				}
				if got := try(here, "wrong"+strconv.Itoa(i)); got != want {
					t.Errorf("try %d: %s, want %s", i, got, want)
				}
			}
			if want := map[bool]int{true: 10, false: 3}[c.long]; g.seen != want {
				t.Errorf("%d keys were looked at, want %d", g.seen, want)
			}
			// A right guess over the limit looks like a wrong one, but nobody who could not have guessed is locked out.
			if got, want := try(here, "right"), map[bool]string{true: "", false: "limited"}[c.long]; got != want {
				t.Errorf("a right key over the limit: %q, want %q", got, want)
			}
			if got := try(there, "right") + try(here, "right"); got != "" {
				t.Errorf("a key that was right elsewhere: %q", got)
			}
			g.right = "another" // and the old one is revoked
			for i, want := range []string{"limited", "limited"} {
				if got := try(here, "right"); got != want {
					t.Errorf("a revoked key, time %d: %s, want %s", i, got, want)
				}
			}
			clock.at = clock.at.Add(20 * time.Second)
			if got := try(here, "wrong"); got != "forbidden" {
				t.Errorf("when a try is won back: %s", got)
			}
		})
	}
}

func TestWhatIsNoTryDoesNotCount(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(app.LimitsConfig{Requests: 1000, Period: time.Minute, Failures: 1})
	g := &gate{right: "right"}
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Basic abc"} {
		for range 3 { // nothing is tried
			if _, err := l.Authenticate(t.Context(), here, authorization, "", g.judge); domain.KindOf(err) != domain.Forbidden {
				t.Errorf("%q: %v", authorization, err)
			}
		}
	}
	long := strings.Repeat("k", 50)
	for _, away := range []error{domain.MissingPart("The database is away", nil), context.Canceled, errAny} {
		g.err = away
		for range 3 { // nothing is judged
			if _, err := l.Authenticate(t.Context(), here, "", long, g.judge); !errors.Is(err, away) {
				t.Errorf("%v, want %v", err, away)
			}
		}
	}
	g.err = nil
	if _, err := l.Authenticate(t.Context(), here, "", long, g.judge); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("the first try: %v", err)
	}
}

func TestNothingIsLimitedWithoutRequests(t *testing.T) {
	t.Parallel()
	l := app.NewLimits(nil, app.LimitsConfig{Burst: 1, SignIns: 1, Account: 1, Failures: 1}, nil)
	g := &gate{right: "right"}
	for range 20 {
		standing, err := l.Request(t.Context(), app.Caller{}, app.SignIn)
		if err != nil || standing != (app.Standing{}) || l.Account(t.Context(), app.SignIn, "ada@example.com") != nil {
			t.Fatalf("%+v, %v", standing, err)
		}
		if _, err := l.Authenticate(t.Context(), here, "", "wrong", g.judge); domain.KindOf(err) != domain.Forbidden {
			t.Fatal(err)
		}
	}
}

func TestZeroTurnsTightLimitsOff(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(app.LimitsConfig{Requests: 1000, Period: time.Minute})
	g := &gate{right: "right"}
	for range 100 {
		if _, err := l.Request(t.Context(), app.Caller{Address: here}, app.SignIn); err != nil {
			t.Fatal(err)
		}
		if err := l.Account(t.Context(), app.SignIn, "ada@example.com"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Authenticate(t.Context(), here, "", "wrong", g.judge); domain.KindOf(err) != domain.Forbidden {
			t.Fatal(err)
		}
	}
}

// Right credentials that can be guessed are remembered, but not without an end.
func TestProvenCredentialsAreBounded(t *testing.T) {
	t.Parallel()
	l, clock := newLimits(app.LimitsConfig{Requests: 1000, Period: time.Minute, Failures: 5})
	anything := func(context.Context, string, string) (domain.Principal, error) { return service, nil }
	for i := range 3000 {
		clock.at = clock.at.Add(time.Minute)
		if _, err := l.Authenticate(t.Context(), here, "", strconv.Itoa(i), anything); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	if _, err := l.Authenticate(t.Context(), here, "", "2999", anything); err != nil {
		t.Error(err)
	}
}
