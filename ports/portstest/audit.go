package portstest

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// AuditSetup is one database as two processes see it.
type AuditSetup struct {
	A, B   ports.AuditLog
	Outbox ports.Outbox
}

// AuditLog checks everything that ports.AuditLog demands of a database that is there. empty runs once for each test.
func AuditLog(t *testing.T, empty func(*testing.T) AuditSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, AuditSetup){
		"entries come back as they were recorded":          auditRoundTrip,
		"each entry is told about once, with its id":       auditEvents,
		"an entry that is there stays as it is":            auditTwice,
		"racing records of one entry store it once":        auditRace,
		"all entries of a call are stored or none":         auditAllOrNone,
		"text that can't be stored is tidied":              auditTidied,
		"a call of a tool is told about without arguments": auditTools,
		"secrets are masked in the row and the event":      auditSecrets,
		"Recent has the newest first, within its limit":    auditRecent,
		"Expire forgets what is older":                     auditExpire,
		"Expire forgets more than one batch":               auditExpireMany,
		"a caller who left is told so":                     auditCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

func anEntry(action domain.AuditAction) domain.AuditEntry {
	return domain.AuditEntry{
		ID: newID(), At: someTime, Action: action, Principal: "7e8f5f1e-4f0a-4a52-9f59-0d1f6f4f4d11", Subject: newID(), Address: "192.0.2.7",
		RequestID: "request-1", Details: map[string]string{domain.DetailReason: "because – 世界", domain.DetailCount: "2"},
	}
}

func mustRecord(t *testing.T, a ports.AuditLog, entries ...domain.AuditEntry) {
	t.Helper()
	if err := a.Record(t.Context(), entries...); err != nil {
		t.Fatalf("Record: %v", err)
	}
}

func recent(t *testing.T, a ports.AuditLog) []domain.AuditEntry {
	t.Helper()
	entries, err := a.Recent(t.Context(), time.Time{}, 10_000)
	if err != nil {
		t.Fatalf("Recent: %v", err)
	}
	return entries
}

func wantEntries(t *testing.T, got []domain.AuditEntry, want ...domain.AuditEntry) {
	t.Helper()
	if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) { // the zone of times too
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
}

func auditRoundTrip(t *testing.T, s AuditSetup) {
	full, sparse := anEntry(domain.AuditKeyCreated), domain.AuditEntry{
		ID: newID(), At: someTime.Add(-time.Second + 999*time.Nanosecond).In(time.FixedZone("away", 3600)), Action: domain.AuditLogin,
	}
	mustRecord(t, s.A, full, sparse)
	mustRecord(t, s.A)
	sparse.At, sparse.Details = someTime.Add(-time.Second), map[string]string{}
	wantEntries(t, recent(t, s.B), full, sparse)
}

func auditEvents(t *testing.T, s AuditSetup) {
	entries := []domain.AuditEntry{anEntry(domain.AuditLogin), anEntry(domain.AuditKeyRevoked)}
	mustRecord(t, s.A, entries...)
	relay(t, s.Outbox, 10, 2, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		events := batch.Events
		for i, e := range entries {
			want, err := e.Event().Data()
			if err != nil {
				t.Fatal(err)
			}
			if got := events[i]; got.ID != e.ID || got.Subject != "gaia.auth."+string(e.Action) || !sameJSON(got.Data, want) {
				t.Errorf("got %s %s %s, want %s %s", got.ID, got.Subject, got.Data, e.ID, want)
			}
		}
		return len(events), "", nil
	})
	mustRecord(t, s.B, entries...)
	wantPending(t, s.Outbox, 0)
}

func auditTools(t *testing.T, s AuditSetup) {
	call := anEntry(domain.AuditToolCalled)
	call.Subject, call.Details = "files/read", map[string]string{
		domain.DetailCallID: newID(), domain.DetailAuthType: "jwt", domain.DetailArguments: `{"path":"` + strings.Repeat("p", 1000) + `"}`, domain.DetailArgumentBytes: "1011",
	}
	mustRecord(t, s.A, call)
	wantEntries(t, recent(t, s.B), call)
	relay(t, s.Outbox, 10, 1, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		events := batch.Events
		want, err := call.Event().Data()
		if err != nil {
			t.Fatal(err)
		}
		if got := events[0]; got.ID != call.ID || got.Subject != domain.SubjectToolCalled || !sameJSON(got.Data, want) || strings.Contains(string(got.Data), "ppp") {
			t.Errorf("got %s %s %s, want %s %s", got.ID, got.Subject, got.Data, call.ID, want)
		}
		return len(events), "", nil
	})
}

func auditTwice(t *testing.T, s AuditSetup) {
	first, other := anEntry(domain.AuditLogin), anEntry(domain.AuditLogout)
	mustRecord(t, s.A, first)
	second := first
	second.Action, second.Principal, second.ID = domain.AuditRefresh, "somebody else", strings.ToUpper(first.ID)
	other.At = someTime.Add(time.Second)
	mustRecord(t, s.B, second, other)
	wantEntries(t, recent(t, s.A), other, first)
	wantPending(t, s.Outbox, 2)
}

func auditRace(t *testing.T, s AuditSetup) {
	e := anEntry(domain.AuditLogin)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if err := []ports.AuditLog{s.A, s.B}[i%2].Record(t.Context(), e); err != nil {
				t.Errorf("Record: %v", err)
			}
		})
	}
	all.Wait()
	wantEntries(t, recent(t, s.A), e)
	wantPending(t, s.Outbox, 1)
}

func auditAllOrNone(t *testing.T, s AuditSetup) {
	bad := anEntry(domain.AuditLogin)
	bad.ID = "no id"
	if err := s.A.Record(t.Context(), anEntry(domain.AuditLogin), bad); err == nil {
		t.Error("an entry without an id was recorded")
	}
	wantEntries(t, recent(t, s.A))
	wantPending(t, s.Outbox, 0)
}

func auditTidied(t *testing.T, s AuditSetup) {
	odd := "a\x00b\xffc" + strings.Repeat("世", 200)
	e := domain.AuditEntry{
		ID: newID(), At: someTime, Action: domain.AuditLogin, Principal: odd, Subject: odd, Address: odd, RequestID: odd,
		Details: map[string]string{odd: odd},
	}
	mustRecord(t, s.A, e)
	wantEntries(t, recent(t, s.A), e.Tidy())
	relay(t, s.Outbox, 1, 1, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		return len(batch.Events), "", nil
	})
}

func auditSecrets(t *testing.T, s AuditSetup) {
	const key = "gaia_test_0123456789abcdefghijklmnopqrstuv_a1b2c3"
	e := anEntry(domain.AuditKeyCreated)
	e.Details = map[string]string{domain.DetailName: "my key " + key, domain.DetailPrefix: "gaia_test_0123"}
	mustRecord(t, s.A, e)
	if got := recent(t, s.A)[0].Details; got[domain.DetailName] != "my key [secret]" || got[domain.DetailPrefix] != "gaia_test_0123" {
		t.Errorf("details are %q", got)
	}
	relay(t, s.Outbox, 1, 1, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		events := batch.Events
		if strings.Contains(string(events[0].Data), "efghij") {
			t.Errorf("the event tells a key: %s", events[0].Data)
		}
		return 1, "", nil
	})
}

func auditRecent(t *testing.T, s AuditSetup) {
	var entries []domain.AuditEntry
	for i := range 5 {
		e := anEntry(domain.AuditLogin)
		e.At = someTime.Add(-time.Duration(i) * time.Minute)
		entries = append(entries, e)
	}
	mustRecord(t, s.A, entries[3], entries[0], entries[4], entries[2], entries[1])
	for _, test := range []struct {
		since time.Time
		limit int
		want  []domain.AuditEntry
	}{
		{time.Time{}, 10, entries}, {time.Time{}, 2, entries[:2]}, {entries[2].At, 10, entries[:3]}, {entries[2].At, 1, entries[:1]},
		{someTime.Add(time.Second), 10, nil}, {time.Time{}, 0, nil}, {time.Time{}, -1, nil},
	} {
		got, err := s.B.Recent(t.Context(), test.since, test.limit)
		if err != nil {
			t.Fatal(err)
		}
		wantEntries(t, got, test.want...)
	}
}

func auditExpire(t *testing.T, s AuditSetup) {
	old, edge := anEntry(domain.AuditLogin), anEntry(domain.AuditLogin)
	old.At = someTime.Add(-time.Microsecond)
	mustRecord(t, s.A, old, edge)
	for _, want := range []int{1, 0} {
		if n, err := s.B.Expire(t.Context(), someTime); n != want || err != nil {
			t.Errorf("Expire = %d, %v, want %d", n, err, want)
		}
	}
	wantEntries(t, recent(t, s.A), edge)
	wantPending(t, s.Outbox, 2) // who waits for an event gets it
}

func auditExpireMany(t *testing.T, s AuditSetup) {
	const count = 2100
	entries := make([]domain.AuditEntry, count)
	for i := range entries {
		entries[i] = anEntry(domain.AuditValidationFailed)
	}
	mustRecord(t, s.A, entries...)
	if n, err := s.A.Expire(t.Context(), someTime.Add(time.Second)); n != count || err != nil {
		t.Errorf("Expire = %d, %v, want %d", n, err, count)
	}
}

func auditCanceled(t *testing.T, s AuditSetup) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantCanceled(t, "Record", s.A.Record(ctx, anEntry(domain.AuditLogin)))
	_, err := s.A.Recent(ctx, time.Time{}, 1)
	wantCanceled(t, "Recent", err)
	_, err = s.A.Expire(ctx, someTime)
	wantCanceled(t, "Expire", err)
	wantEntries(t, recent(t, s.A))
}
