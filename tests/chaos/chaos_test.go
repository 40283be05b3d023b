package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"gaia/tests/faultproxy"
)

var (
	chaosTime = flag.Duration("chaos-time", 0, "go on with faults in an order by chance until so much time has passed")
	chaosOnly = flag.String("chaos-only", "", "a regular expression: only the faults that it matches happen")
	chaosSeed = flag.Uint64("chaos-seed", 0, "of all chances; 0: another one each time")
)

const (
	feltLimit = 8 * time.Second  // a fault lasts until every kind of client has felt it, and no longer than this
	healLimit = 90 * time.Second // on a busy machine
	calmLimit = 2 * time.Minute  // until every kind of client has had its first good round
)

// fault is something that goes wrong for a while.
type fault struct {
	name       string
	begin, end func()
	lasts      time.Duration // at least
	notice     notice
	only       []verdict // instead of notice, when it is not nil: what clients may see besides right answers
}

// notice is what clients may see of a fault besides right answers.
type notice int

const (
	much    notice = iota // what nobody can be spared: the only one of its kind is away
	little                // another one is there: what was on its way, or every twentieth answer
	nothing               // what everybody does without, or no more than slow
)

// check fails the test when clients saw more of a fault than they may.
func (o outcome) check(t *testing.T, clients int) {
	t.Helper()
	if o.only != nil {
		for v, n := range o.seen.counts {
			if v != right && n > 0 && !slices.Contains(o.only, v) {
				t.Errorf("%s: clients were to see no %q: %v, such as %s", o.name, v, o.seen.counts, o.seen.examples[v])
			}
		}
		return
	}
	all, bad := 0, 0
	for v, n := range o.seen.counts {
		all += n
		if v != right {
			bad += n
		}
	}
	if o.notice == nothing && bad > 0 || o.notice == little && bad > max(clients, all/20) {
		t.Errorf("%s: clients were to see less: %v, such as %v", o.name, o.seen.counts, o.seen.examples)
	}
}

// outcome is a line of the table.
type outcome struct {
	name   string
	seen   phase
	healed time.Duration
	notice notice
	only   []verdict
}

// TestProcessesAndPartsDie kills and freezes everything that there is, and tells processes to stop, one after the other, under load.
func TestProcessesAndPartsDie(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	w := newServices(t, seed, shape{})
	var faults []fault
	for _, m := range w.machines {
		faults = append(faults,
			fault{name: m.name + " is killed and started again", begin: m.kill, end: m.start, notice: m.notice},
			fault{name: m.name + " stands still", begin: m.pause, end: m.resume, notice: m.notice},
		)
		if m.stop != nil {
			faults = append(faults, fault{name: m.name + " is told to stop and started again", begin: m.stop, end: m.start, only: m.stopped})
		}
	}
	outcomes := run(w, faults)
	publish(t, "dying", outcomes)
}

// kinds are what networks do, in the words of the table.
var kinds = []struct {
	name  string
	fault faultproxy.Fault
	at    func(*faultproxy.Proxy) // besides, when it begins
	slow  bool                    // nothing is lost
}{
	{"is slow to answer (40–80 ms each way)", faultproxy.Fault{Latency: 40 * time.Millisecond, Jitter: 40 * time.Millisecond}, nil, true},
	{"is narrow (64 KiB/s)", faultproxy.Fault{Bandwidth: 64 << 10}, nil, true},
	{"comes in pieces of 7 bytes", faultproxy.Fault{Slice: 7}, nil, true},
	{"is reset again and again", faultproxy.Fault{BreakEach: 30_000, Abrupt: true}, (*faultproxy.Proxy).Reset, false},
	{"is cut off again and again", faultproxy.Fault{BreakEach: 30_000}, (*faultproxy.Proxy).Cut, false},
	{"is half-open", faultproxy.Fault{Swallow: faultproxy.Both}, nil, false},
}

// TestWiresFail does to every connection between processes and parts what networks do.
func TestWiresFail(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	w := newServices(t, seed, shape{wired: true})
	var faults []fault
	for _, wire := range w.wires {
		for _, kind := range kinds {
			set := func(f faultproxy.Fault) {
				if err := wire.proxy.Set(f); err != nil {
					t.Error(err)
				}
			}
			faults = append(faults, fault{
				name: "The way to " + wire.name + " " + kind.name,
				begin: func() {
					set(kind.fault)
					if kind.at != nil {
						kind.at(wire.proxy)
					}
				},
				end:    func() { set(faultproxy.Fault{}) },
				notice: wireNotice(wire, kind.slow),
			})
		}
	}
	publish(t, "wires", run(w, faults))
}

// wireNotice: what is slow loses nothing, and of the way to the database so much hangs that it has to be given time.
func wireNotice(w *wire, slow bool) notice {
	switch {
	case !slow:
		return w.notice
	case w.name == "PostgreSQL":
		return little
	default:
		return nothing
	}
}

func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the seed is %d: -chaos-seed", seed)
	return seed
}

// run has all faults happen under load, one after the other, and checks the books.
func run(w *world, faults []fault) []outcome {
	w.t.Helper()
	only, err := regexp.Compile(*chaosOnly)
	if err != nil {
		w.t.Fatal(err)
	}
	faults = slices.DeleteFunc(faults, func(f fault) bool { return !only.MatchString(f.name) })
	if len(faults) == 0 {
		w.t.Skip("no fault is left")
	}
	l := newLoad(w)
	defer l.end()
	if _, ok := l.healed(time.Now().Add(-time.Hour), calmLimit); !ok || l.failed() {
		l.end()
		w.t.Fatal("there is no load to begin with")
	}
	var outcomes []outcome
	for _, f := range faults {
		outcomes = append(outcomes, happen(l, f))
		if l.failed() {
			break
		}
	}
	chance := rand.New(rand.NewPCG(w.seed, 0)) //nolint:gosec // chances that can be repeated
	all := slices.Clone(outcomes)
	for begun := time.Now(); time.Since(begun) < *chaosTime && !l.failed(); {
		all = append(all, happen(l, faults[chance.IntN(len(faults))]))
	}
	l.end()
	w.t.Logf("answers: %v", l.total)
	for _, o := range all {
		o.check(w.t, len(l.actors))
	}
	checkBooks(l)
	return outcomes
}

// happen has one fault happen and waits until all is well again.
func happen(l *load, f fault) outcome {
	l.begin()
	l.world.faults.Add(1)
	f.begin()
	l.begun()
	l.felt(feltLimit)
	l.endure(f.lasts)
	f.end()
	since := l.mark()
	healed, _ := l.healed(since, healLimit)
	o := outcome{name: f.name, seen: l.now(), healed: healed, notice: f.notice, only: f.only}
	l.world.t.Log(o)
	return o
}

func (o outcome) String() string {
	return fmt.Sprintf("| %s | %s | %s | %s |  %v, %s", o.name, o.clientsSee(), rounded(o.seen.worst), rounded(o.healed), o.seen.counts, o.seen.slowest)
}
