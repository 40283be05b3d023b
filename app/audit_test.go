package app_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// frozenLog does not answer before the caller gives up, as a database that hangs.
type frozenLog struct{ *memory.AuditLog }

func (frozenLog) Record(ctx context.Context, _ ...domain.AuditEntry) error {
	<-ctx.Done()
	return domain.MissingPart("frozen", ctx.Err())
}

// awayLog is memory's log with a switch.
type awayLog struct {
	*memory.AuditLog
	mu    sync.Mutex
	away  bool
	tries []time.Time
}

func (l *awayLog) set(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
}

func (l *awayLog) Record(ctx context.Context, entries ...domain.AuditEntry) error {
	l.mu.Lock()
	away := l.away
	l.tries = append(l.tries, time.Now())
	l.mu.Unlock()
	if away {
		return domain.MissingPart("away", errAny)
	}
	return l.AuditLog.Record(ctx, entries...)
}

// auditBed is an Audit that runs in a bubble of synctest.
type auditBed struct {
	*app.Audit
	stop    func()
	mu      sync.Mutex
	changes []error
	lost    int
	stored  int
}

func auditing(log ports.AuditLog, c app.AuditConfig) *auditBed {
	b := &auditBed{}
	ids := 0
	b.Audit = app.NewAudit(app.AuditDeps{
		Log: log, Now: time.Now, Config: c,
		NewID: func() string {
			b.mu.Lock()
			defer b.mu.Unlock()
			ids++
			return fmt.Sprintf("00000000-0000-7000-8000-%012d", ids)
		},
		Stored:  func() { b.mu.Lock(); b.stored++; b.mu.Unlock() },
		Changed: func(err error) { b.mu.Lock(); b.changes = append(b.changes, err); b.mu.Unlock() },
		Lost:    func(n int) { b.mu.Lock(); b.lost += n; b.mu.Unlock() },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	b.stop = func() { cancel(); running.Wait() }
	return b
}

func from(address, request string) context.Context {
	return domain.WithOrigin(context.Background(), domain.Origin{Address: address, RequestID: request})
}

func entriesOf(t *testing.T, log ports.AuditLog) []domain.AuditEntry {
	t.Helper()
	entries, err := log.Recent(context.Background(), time.Time{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestAuditRecordsBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log memory.AuditLog
		b := auditing(&log, app.AuditConfig{})
		defer b.stop()
		ctx, cancel := context.WithCancel(from("192.0.2.7", "r1"))
		cancel() // the client has left: it happened all the same
		b.Record(ctx, domain.AuditEntry{Action: domain.AuditLogin, Principal: "ada", Subject: "session"})
		got := entriesOf(t, &log)
		if len(got) != 1 {
			t.Fatalf("%d entries", len(got))
		}
		e := got[0]
		if e.Action != domain.AuditLogin || e.Principal != "ada" || e.Address != "192.0.2.7" || e.RequestID != "r1" || !e.At.Equal(time.Now()) || b.stored != 1 {
			t.Errorf("got %+v, told the relay %d times", e, b.stored)
		}
	})
}

func TestAuditWaitsOnlyAMomentForItsLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := auditing(frozenLog{}, app.AuditConfig{})
		begun := time.Now()
		b.Record(from("a", "r"), domain.AuditEntry{Action: domain.AuditLogin})
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("a login waits %v", took)
		}
		begun = time.Now()
		b.Refused(from("a", "r"), app.RefusedToken, "")
		if took := time.Since(begun); took != 0 {
			t.Errorf("a refusal waits %v", took)
		}
		begun = time.Now()
		b.stop()
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("the end waits %v", took)
		}
		if b.lost != 2 {
			t.Errorf("%d are told to be lost, want 2", b.lost)
		}
	})
}

func TestAuditKeepsWhatHappensDuringAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &awayLog{AuditLog: &memory.AuditLog{}, away: true}
		b := auditing(log, app.AuditConfig{})
		for i := range 3 {
			b.Record(from("a", fmt.Sprint("r", i)), domain.AuditEntry{Action: domain.AuditLogin})
		}
		for range 5 {
			b.Refused(from("a", "x"), app.RefusedToken, "")
			time.Sleep(10 * time.Second)
		}
		log.mu.Lock()
		tries := len(log.tries) - 3
		log.mu.Unlock()
		if tries > 15 {
			t.Errorf("%d tries in 50 s", tries)
		}
		log.set(false)
		time.Sleep(6 * time.Second)
		b.stop()
		logins, refused := 0, 0
		for _, e := range entriesOf(t, log) {
			switch e.Action {
			case domain.AuditLogin:
				logins++
			default:
				refused++
			}
		}
		if logins != 3 || refused != 2 { // the first alone, the others together
			t.Errorf("%d logins, %d entries about refusals: %+v", logins, refused, entriesOf(t, log))
		}
		if len(b.changes) != 2 || b.changes[0] == nil || b.changes[1] != nil || b.lost != 0 {
			t.Errorf("told %v, %d lost", b.changes, b.lost)
		}
	})
}

func TestAuditQueueHasAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &awayLog{AuditLog: &memory.AuditLog{}, away: true}
		b := auditing(log, app.AuditConfig{Waiting: 10, Interval: time.Hour})
		for range 13 {
			b.Record(from("a", "r"), domain.AuditEntry{Action: domain.AuditLogin})
		}
		log.set(false)
		b.stop()
		if n := len(entriesOf(t, log)); n != 10 || b.lost != 3 {
			t.Errorf("%d stored, %d lost, want 10 and 3", n, b.lost)
		}
	})
}

// sums adds up for how many refusals entries stand, by address.
func sums(entries []domain.AuditEntry) map[string]int {
	sum := map[string]int{}
	for _, e := range entries {
		n := 1
		if c := e.Details[domain.DetailCount]; c != "" {
			_, _ = fmt.Sscan(c, &n)
		}
		sum[e.Address] += n
	}
	return sum
}

func TestRefusalsBecomeOneEntryAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log memory.AuditLog
		b := auditing(&log, app.AuditConfig{})
		begun := time.Now()
		for i := range 1500 { // 2.5 minutes
			b.Refused(from("192.0.2.7", fmt.Sprint("r", i)), app.RefusedKey, fmt.Sprint("gaia_dev_", i))
			time.Sleep(100 * time.Millisecond)
		}
		b.Refused(from("192.0.2.8", "other"), app.RefusedToken, "")
		b.stop()
		entries := entriesOf(t, &log)
		if sum := sums(entries); sum["192.0.2.7"] != 1500 || sum["192.0.2.8"] != 1 {
			t.Errorf("the entries stand for %v", sum)
		}
		if len(entries) > 6 {
			t.Errorf("%d entries: %+v", len(entries), entries)
		}
		first := entries[len(entries)-1]
		if first.RequestID != "r0" || first.Details[domain.DetailReason] != app.RefusedKey || first.Details[domain.DetailPrefix] != "gaia_dev_0" ||
			first.Details[domain.DetailSince] != begun.UTC().Format(time.RFC3339Nano) || first.At.Sub(begun) > time.Second {
			t.Errorf("the first is %+v", first)
		}
		for _, e := range entries {
			if e.Action != domain.AuditValidationFailed || e.Principal != "" {
				t.Errorf("got %+v", e)
			}
		}
	})
}

func TestRefusalsOfTooManyAddressesAreCountedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log memory.AuditLog
		b := auditing(&log, app.AuditConfig{Groups: 10})
		for i := range 100_000 {
			b.Refused(from(fmt.Sprint("address ", i%1000), "r"), app.RefusedToken, "")
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		entries := entriesOf(t, &log)
		if sum := sums(entries); len(entries) != 11 || sum["address 0"] != 100 || sum[""] != 99_000 {
			t.Errorf("%d entries, %v", len(entries), sum)
		}
		time.Sleep(3 * time.Minute) // all is quiet: there is room for others
		b.Refused(from("somebody", "r"), app.RefusedToken, "")
		b.stop()
		if sum := sums(entriesOf(t, &log)); sum["somebody"] != 1 {
			t.Errorf("after a while: %v", sum)
		}
	})
}

func TestAttemptsWhoseEndNobodyKnowsAreStoredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &lostAnswers{AuditLog: &memory.AuditLog{Outbox: &memory.Outbox{}}}
		b := auditing(log, app.AuditConfig{})
		b.Record(from("a", "r"), domain.AuditEntry{Action: domain.AuditLogin})
		b.Refused(from("a", "r"), app.RefusedToken, "")
		time.Sleep(10 * time.Second)
		b.Refused(from("a", "r"), app.RefusedToken, "")
		b.stop()
		if n, err := log.Outbox.Pending(context.Background()); len(entriesOf(t, log)) != 3 || n != 3 || err != nil {
			t.Errorf("%d entries, %d events (%v), want 3", len(entriesOf(t, log)), n, err)
		}
	})
}

// lostAnswers stores, and says every other time that it could not.
type lostAnswers struct {
	*memory.AuditLog
	mu    sync.Mutex
	calls int
}

func (l *lostAnswers) Record(ctx context.Context, entries ...domain.AuditEntry) error {
	l.mu.Lock()
	l.calls++
	lost := l.calls%2 == 1
	l.mu.Unlock()
	err := l.AuditLog.Record(ctx, entries...)
	if lost {
		return domain.MissingPart("no answer", errAny)
	}
	return err
}

func TestWatchRecordsRefusalsAlone(t *testing.T) {
	t.Parallel()
	refused, forbidden := domain.NewError(domain.Unauthenticated, "no"), domain.NewError(domain.Forbidden, "no")
	for name, test := range map[string]struct {
		authorization, key string
		err                error
		want               []string
	}{
		"nothing brought":   {"", "", refused, nil},
		"welcome":           {"Bearer good", "", nil, nil},
		"bad token":         {"Bearer bad", "", refused, []string{app.RefusedToken}},
		"unknown key":       {"", "bad", forbidden, []string{app.RefusedKey}},
		"the store is away": {"", "key", domain.MissingPart("away", nil), nil},
		"the caller left":   {"", "key", context.Canceled, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log memory.AuditLog
				b := auditing(&log, app.AuditConfig{})
				who := domain.Principal{Type: domain.AuthJWT, UserID: "ada"}
				got, err := b.Watch(func(context.Context, string, string) (domain.Principal, error) { return who, test.err })(
					context.Background(), test.authorization, test.key)
				if !errors.Is(err, test.err) || got.UserID != "ada" {
					t.Errorf("got %+v, %v", got, err)
				}
				b.stop()
				var reasons []string
				for _, e := range entriesOf(t, &log) {
					reasons = append(reasons, e.Details[domain.DetailReason])
				}
				if !slices.Equal(reasons, test.want) {
					t.Errorf("recorded %q, want %q", reasons, test.want)
				}
			})
		})
	}
}

func TestJanitorGoesOnAfterAFailureAndKeepsForEver(t *testing.T) {
	t.Parallel()
	var log memory.AuditLog
	old := domain.AuditEntry{ID: "00000000-0000-7000-8000-000000000001", At: noon.Add(-25 * time.Hour), Action: domain.AuditLogin}
	if err := log.Record(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	broken := app.Kept{For: time.Hour, Expire: func(context.Context, time.Time) (int, error) { return 0, errAny }}
	forEver := app.Kept{Expire: log.Expire}
	if n, err := app.NewJanitor(func() time.Time { return noon }, forEver, broken).Clean(t.Context()); n != 0 || !errors.Is(err, errAny) {
		t.Errorf("Clean = %d, %v", n, err)
	}
	aDay := app.Kept{For: 24 * time.Hour, Expire: log.Expire}
	if n, err := app.NewJanitor(func() time.Time { return noon }, broken, aDay).Clean(t.Context()); n != 1 || !errors.Is(err, errAny) {
		t.Errorf("Clean = %d, %v", n, err)
	}
}

func BenchmarkRefused(b *testing.B) {
	audit := app.NewAudit(app.AuditDeps{Now: time.Now, NewID: func() string { return "" }})
	ctx := from("192.0.2.7", "request")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			audit.Refused(ctx, app.RefusedToken, "")
		}
	})
}
