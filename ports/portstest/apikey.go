package portstest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// APIKeySetup is one database as two processes see it.
type APIKeySetup struct {
	A, B   ports.APIKeyStore
	Audit  ports.AuditLog
	Outbox ports.Outbox
}

// APIKeyStore checks everything that ports.APIKeyStore demands of a database that is there. empty runs once for each test.
func APIKeyStore(t *testing.T, empty func(*testing.T) APIKeySetup) {
	t.Helper()
	tests := map[string]func(*testing.T, APIKeySetup){
		"a key is found by its hash as it was stored":                 apiKeyRoundTrip,
		"an unknown hash is NotFound":                                 apiKeyUnknown,
		"an id or a hash that exists is Conflict":                     apiKeyTwice,
		"keys of others and malformed ids are NotFound":               apiKeyOthers,
		"an empty owner stands for all":                               apiKeyAnyOwner,
		"List pages from the newest, with the total":                  apiKeyList,
		"Revoke makes inactive once, and gives the hash":              apiKeyRevoke,
		"of racing revocations one succeeds":                          apiKeyRevokeRace,
		"Rotate replaces a key, which expires after the grace":        apiKeyRotate,
		"Rotate does not make a key live longer":                      apiKeyRotateNoLonger,
		"what is inactive, expired or replaced can't be rotated":      apiKeyRotateRefused,
		"of racing rotations one succeeds":                            apiKeyRotateRace,
		"a key in its grace period can be revoked":                    apiKeyRevokeInGrace,
		"Touch records the latest use of many keys":                   apiKeyTouch,
		"racing touches keep the latest":                              apiKeyTouchRace,
		"Expire forgets what nobody can use any more, not the audit":  apiKeyExpire,
		"Expire forgets any number, whoever else does":                apiKeyExpireMany,
		"each change stores its audit entry and event":                apiKeyEvents,
		"what can't be stored whole leaves nothing":                   apiKeyAtomic,
		"a caller who left is told so and nothing is saved":           apiKeyCanceled,
		"callers share nothing with the store":                        apiKeyNotShared,
		"names and owners may be any text, compared letter by letter": apiKeyOddText,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

// keyTime has microseconds and another zone than UTC.
var keyTime = time.Date(2026, 3, 1, 12, 30, 15, 123456000, time.FixedZone("elsewhere", 60*60))

func anAPIKey(owner string) domain.APIKey {
	return domain.APIKey{ID: newID(), Owner: owner, Name: "a key", Prefix: "gaia_dev_ABCD", Active: true, CreatedAt: keyTime}
}

func keyEntry(action domain.AuditAction, key string) domain.AuditEntry {
	return domain.AuditEntry{
		ID: newID(), At: keyTime.Add(time.Minute), Action: action, Principal: "owner", Subject: key, Address: "192.0.2.1", RequestID: "r1",
		Details: map[string]string{"name": "a key"},
	}
}

// createKey stores a key and returns its hash.
func createKey(t *testing.T, s ports.APIKeyStore, k domain.APIKey) string {
	t.Helper()
	hash := aHash()
	if err := s.Create(t.Context(), k, hash, keyEntry(domain.AuditKeyCreated, k.ID)); err != nil {
		t.Fatalf("Create: %v", err)
	}
	return hash
}

func byHash(t *testing.T, s ports.APIKeyStore, hash string) domain.APIKey {
	t.Helper()
	k, err := s.ByHash(t.Context(), hash)
	if err != nil {
		t.Fatalf("ByHash: %v", err)
	}
	return k
}

// wantAPIKey compares as the store keeps keys: times in UTC, no scopes as nil.
func wantAPIKey(t *testing.T, got, want domain.APIKey) {
	t.Helper()
	for _, at := range []*time.Time{&want.CreatedAt, &want.ExpiresAt, &want.LastUsedAt} {
		if !at.IsZero() {
			*at = at.UTC().Truncate(time.Microsecond)
		}
	}
	if len(want.Scopes) == 0 {
		want.Scopes = nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func apiKeyRoundTrip(t *testing.T, s APIKeySetup) {
	full := anAPIKey("owner")
	full.Subject, full.Scopes = "owner", []string{"chat:read", "keys:manage"}
	full.ExpiresAt, full.LastUsedAt = keyTime.Add(time.Hour), time.Time{}
	sparse := domain.APIKey{ID: newID(), Owner: "service", Name: "n", Active: true, CreatedAt: keyTime, Scopes: []string{}}
	replaced := anAPIKey("service")
	replaced.Subject = "key:" + sparse.ID
	listed, none := anAPIKey("owner"), anAPIKey("owner")
	listed.Tools = []string{"files/*", `a"b\[/世界`, "*"}
	none.Tools = []string{} // which is not the same as no list
	for _, k := range []domain.APIKey{full, sparse, replaced, listed, none} {
		hash := createKey(t, s.A, k)
		wantAPIKey(t, byHash(t, s.B, hash), k)
		got, err := s.B.Get(t.Context(), k.Owner, strings.ToUpper(k.ID))
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		wantAPIKey(t, got, k)
	}
}

func apiKeyUnknown(t *testing.T, s APIKeySetup) {
	hash := createKey(t, s.A, anAPIKey("owner"))
	for _, unknown := range []string{aHash(), "", strings.ToUpper(hash) + "x", hash[:63], hash + "0"} {
		_, err := s.A.ByHash(t.Context(), unknown)
		wantKind(t, err, domain.NotFound, "hash %s", unknown)
	}
}

func apiKeyTwice(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	hash := createKey(t, s.A, k)
	sameHash := anAPIKey("another")
	wantKind(t, s.B.Create(t.Context(), sameHash, hash, keyEntry(domain.AuditKeyCreated, sameHash.ID)), domain.Conflict, "a hash again")
	sameID := anAPIKey("another")
	sameID.ID = k.ID
	wantKind(t, s.B.Create(t.Context(), sameID, aHash(), keyEntry(domain.AuditKeyCreated, k.ID)), domain.Conflict, "an id again")
	wantAPIKey(t, byHash(t, s.A, hash), k)
	wantStored(t, s, 1)
}

func apiKeyOthers(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	hash := createKey(t, s.A, k)
	for _, not := range []struct{ owner, id string }{
		{"another", k.ID}, {"Owner", k.ID}, {"owner", newID()}, {"owner", "nope"}, {"owner", ""}, {"owner", hash}, {"", newID()}, {"", "nope"},
	} {
		about := fmt.Sprintf("%s of %q", not.id, not.owner)
		_, err := s.A.Get(t.Context(), not.owner, not.id)
		wantKind(t, err, domain.NotFound, "Get %s", about)
		_, _, err = s.A.Revoke(t.Context(), not.owner, not.id, keyEntry(domain.AuditKeyRevoked, not.id))
		wantKind(t, err, domain.NotFound, "Revoke %s", about)
		_, _, err = s.A.Rotate(t.Context(), not.owner, not.id, keyTime, keyTime, anAPIKey("owner"), aHash(), keyEntry(domain.AuditKeyCreated, k.ID))
		wantKind(t, err, domain.NotFound, "Rotate %s", about)
	}
	wantAPIKey(t, byHash(t, s.B, hash), k)
	wantStored(t, s, 1)
}

func apiKeyAnyOwner(t *testing.T, s APIKeySetup) {
	mine, yours := anAPIKey("mine"), anAPIKey("yours")
	yours.CreatedAt = keyTime.Add(time.Second)
	createKey(t, s.A, mine)
	createKey(t, s.A, yours)
	list, total, err := s.B.List(t.Context(), "", 10, 0)
	if err != nil || total != 2 || len(list) != 2 || list[0].ID != yours.ID || list[1].ID != mine.ID {
		t.Errorf("List = %+v, %d, %v", list, total, err)
	}
	got, err := s.B.Get(t.Context(), "", mine.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantAPIKey(t, got, mine)
	next := anAPIKey("mine")
	if _, _, err := s.B.Rotate(t.Context(), "", mine.ID, keyTime, keyTime, next, aHash(), keyEntry(domain.AuditKeyCreated, next.ID)); err != nil {
		t.Errorf("Rotate: %v", err)
	}
	if _, _, err := s.B.Revoke(t.Context(), "", yours.ID, keyEntry(domain.AuditKeyRevoked, yours.ID)); err != nil {
		t.Errorf("Revoke: %v", err)
	}
}

func apiKeyList(t *testing.T, s APIKeySetup) {
	var want []string
	for n := range 5 {
		k := anAPIKey("owner")
		k.CreatedAt = keyTime.Add(time.Duration(n) * time.Second)
		createKey(t, s.A, k)
		want = append(want, k.ID)
	}
	slices.Reverse(want)
	createKey(t, s.A, anAPIKey("another"))
	if _, _, err := s.A.Revoke(t.Context(), "owner", want[1], keyEntry(domain.AuditKeyRevoked, want[1])); err != nil {
		t.Fatal(err)
	}
	for _, page := range []struct{ limit, offset, from, to int }{
		{10, 0, 0, 5}, {2, 0, 0, 2}, {2, 2, 2, 4}, {2, 4, 4, 5}, {2, 5, 5, 5}, {0, 0, 0, 0}, {1 << 40, 1 << 40, 5, 5},
	} {
		list, total, err := s.B.List(t.Context(), "owner", page.limit, page.offset)
		if err != nil || total != 5 {
			t.Fatalf("List %+v: total %d, %v", page, total, err)
		}
		got := []string{}
		for _, k := range list {
			got = append(got, k.ID)
		}
		if !slices.Equal(got, want[page.from:page.to]) {
			t.Errorf("List %+v = %v, want %v", page, got, want[page.from:page.to])
		}
	}
	list, total, err := s.A.List(t.Context(), "nobody", 10, 0)
	if err != nil || len(list) != 0 || total != 0 {
		t.Errorf("List of nobody = %v, %d, %v", list, total, err)
	}
}

func apiKeyRevoke(t *testing.T, s APIKeySetup) {
	k, kept := anAPIKey("owner"), anAPIKey("owner")
	hash, keptHash := createKey(t, s.A, k), createKey(t, s.A, kept)
	got, gotHash, err := s.B.Revoke(t.Context(), "owner", k.ID, keyEntry(domain.AuditKeyRevoked, k.ID))
	if err != nil || gotHash != hash {
		t.Fatalf("Revoke = %s, %v, want %s", gotHash, err, hash)
	}
	k.Active = false
	wantAPIKey(t, got, k)
	wantAPIKey(t, byHash(t, s.A, hash), k)
	wantAPIKey(t, byHash(t, s.A, keptHash), kept)
	_, _, err = s.A.Revoke(t.Context(), "owner", k.ID, keyEntry(domain.AuditKeyRevoked, k.ID))
	wantKind(t, err, domain.NotFound, "Revoke again")
	wantStored(t, s, 3)
}

func apiKeyRevokeRace(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	createKey(t, s.A, k)
	wantOneOf(t, s, domain.NotFound, func(store ports.APIKeyStore) error {
		_, _, err := store.Revoke(t.Context(), "owner", k.ID, keyEntry(domain.AuditKeyRevoked, k.ID))
		return err
	})
	wantStored(t, s, 2)
}

// wantOneOf runs something on both stores many times at once: one may succeed, the others must fail in a certain way.
func wantOneOf(t *testing.T, s APIKeySetup, otherwise domain.Kind, do func(ports.APIKeyStore) error) {
	t.Helper()
	passed := 0
	for _, err := range inParallel(8, func(i int) error { return do([]ports.APIKeyStore{s.A, s.B}[i%2]) }) {
		if err == nil {
			passed++
		} else if domain.KindOf(err) != otherwise {
			t.Errorf("got %v", err)
		}
	}
	if passed != 1 {
		t.Errorf("%d passed, want one", passed)
	}
}

func rotated(t *testing.T, s ports.APIKeyStore, k domain.APIKey, grace time.Duration) (next domain.APIKey, nextHash string, old domain.APIKey) {
	t.Helper()
	next, nextHash = anAPIKey(k.Owner), aHash()
	next.CreatedAt = keyTime.Add(time.Minute)
	old, _, err := s.Rotate(t.Context(), k.Owner, k.ID, keyTime.Add(grace), keyTime, next, nextHash,
		keyEntry(domain.AuditKeyCreated, next.ID), keyEntry(domain.AuditKeyRevoked, k.ID))
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	return next, nextHash, old
}

func apiKeyRotate(t *testing.T, s APIKeySetup) {
	for _, grace := range []time.Duration{0, time.Hour} {
		k := anAPIKey("owner")
		k.Scopes, k.Subject = []string{"chat:read"}, "owner"
		hash := createKey(t, s.A, k)
		next, nextHash, old := rotated(t, s.B, k, grace)
		k.ExpiresAt = keyTime.Add(grace)
		wantAPIKey(t, old, k)
		wantAPIKey(t, byHash(t, s.A, hash), k)
		wantAPIKey(t, byHash(t, s.A, nextHash), next)
		_, gotHash, err := s.A.Revoke(t.Context(), "owner", next.ID, keyEntry(domain.AuditKeyRevoked, next.ID))
		if err != nil || gotHash != nextHash {
			t.Errorf("Revoke of the next: %s, %v", gotHash, err)
		}
	}
	wantStored(t, s, 2*4)
}

func apiKeyRotateNoLonger(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	k.ExpiresAt = keyTime.Add(time.Minute)
	hash := createKey(t, s.A, k)
	_, _, old := rotated(t, s.B, k, time.Hour)
	wantAPIKey(t, old, k)
	wantAPIKey(t, byHash(t, s.A, hash), k)
}

func apiKeyRotateRefused(t *testing.T, s APIKeySetup) {
	inactive, expired, replaced := anAPIKey("owner"), anAPIKey("owner"), anAPIKey("owner")
	expired.ExpiresAt = keyTime
	for _, k := range []domain.APIKey{inactive, expired, replaced} {
		createKey(t, s.A, k)
	}
	if _, _, err := s.A.Revoke(t.Context(), "owner", inactive.ID, keyEntry(domain.AuditKeyRevoked, inactive.ID)); err != nil {
		t.Fatal(err)
	}
	rotated(t, s.A, replaced, time.Hour)
	for about, k := range map[string]domain.APIKey{"inactive": inactive, "expired": expired, "replaced": replaced} {
		next, hash := anAPIKey("owner"), aHash()
		_, _, err := s.B.Rotate(t.Context(), "owner", k.ID, keyTime.Add(time.Hour), keyTime, next, hash, keyEntry(domain.AuditKeyCreated, next.ID))
		wantKind(t, err, domain.Conflict, "%s", about)
		_, err = s.B.ByHash(t.Context(), hash)
		wantKind(t, err, domain.NotFound, "the next of what is %s", about)
	}
	wantStored(t, s, 3+1+2)
}

func apiKeyRotateRace(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	createKey(t, s.A, k)
	wantOneOf(t, s, domain.Conflict, func(store ports.APIKeyStore) error {
		next := anAPIKey("owner")
		_, _, err := store.Rotate(t.Context(), "owner", k.ID, keyTime.Add(time.Hour), keyTime, next, aHash(), keyEntry(domain.AuditKeyCreated, next.ID))
		return err
	})
	if _, total, err := s.A.List(t.Context(), "owner", 1, 0); total != 2 || err != nil {
		t.Errorf("%d keys, %v, want the old and one new", total, err)
	}
	wantStored(t, s, 2)
}

func apiKeyRevokeInGrace(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	hash := createKey(t, s.A, k)
	rotated(t, s.A, k, time.Hour)
	if _, got, err := s.B.Revoke(t.Context(), "owner", k.ID, keyEntry(domain.AuditKeyRevoked, k.ID)); err != nil || got != hash {
		t.Errorf("Revoke = %s, %v", got, err)
	}
	if byHash(t, s.A, hash).Active {
		t.Error("it is active")
	}
}

func apiKeyTouch(t *testing.T, s APIKeySetup) {
	used := map[string]time.Time{newID(): keyTime, "nope": keyTime}
	hashes := map[string]time.Time{}
	for n := range 50 {
		k := anAPIKey("owner")
		at := keyTime.Add(time.Duration(n) * time.Hour)
		used[k.ID], hashes[createKey(t, s.A, k)] = at, at
	}
	touch := func(used map[string]time.Time) {
		t.Helper()
		if err := s.B.Touch(t.Context(), used); err != nil {
			t.Fatalf("Touch: %v", err)
		}
	}
	touch(used)
	for hash, at := range hashes {
		if got := byHash(t, s.A, hash).LastUsedAt; !got.Equal(at) {
			t.Errorf("got %s, want %s", got, at)
		}
	}
	k := anAPIKey("owner")
	hash := createKey(t, s.A, k)
	touch(map[string]time.Time{k.ID: keyTime})
	touch(map[string]time.Time{k.ID: keyTime.Add(-time.Microsecond)})
	touch(nil)
	k.LastUsedAt = keyTime
	wantAPIKey(t, byHash(t, s.A, hash), k)
}

func apiKeyTouchRace(t *testing.T, s APIKeySetup) {
	var ids, hashes []string
	for range 10 {
		k := anAPIKey("owner")
		ids, hashes = append(ids, k.ID), append(hashes, createKey(t, s.A, k))
	}
	for _, err := range inParallel(20, func(i int) error {
		used := map[string]time.Time{}
		for _, id := range ids {
			used[id] = keyTime.Add(time.Duration(i) * time.Second)
		}
		return []ports.APIKeyStore{s.A, s.B}[i%2].Touch(t.Context(), used)
	}) {
		if err != nil {
			t.Errorf("Touch: %v", err)
		}
	}
	for _, hash := range hashes {
		if got := byHash(t, s.A, hash).LastUsedAt; !got.Equal(keyTime.Add(19 * time.Second)) {
			t.Errorf("last use %s", got)
		}
	}
}

// apiKeyEvents compares what the outbox hands out with what the entries say.
func apiKeyEvents(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	created, revoked := keyEntry(domain.AuditKeyCreated, k.ID), keyEntry(domain.AuditKeyRevoked, k.ID)
	if err := s.A.Create(t.Context(), k, aHash(), created); err != nil {
		t.Fatal(err)
	}
	next := anAPIKey("owner")
	nextCreated, replaced := keyEntry(domain.AuditKeyCreated, next.ID), keyEntry(domain.AuditKeyRevoked, k.ID)
	_, _, err := s.A.Rotate(t.Context(), "owner", k.ID, keyTime.Add(time.Hour), keyTime, next, aHash(), nextCreated, replaced)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.A.Revoke(t.Context(), "owner", k.ID, revoked); err != nil {
		t.Fatal(err)
	}
	want := []domain.AuditEntry{created, nextCreated, replaced, revoked}
	relay(t, s.Outbox, 10, len(want), func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		events := batch.Events
		for i, entry := range want {
			event := entry.Event()
			data, err := event.Data()
			if err != nil {
				t.Fatal(err)
			}
			if events[i].ID != entry.ID || events[i].Subject != event.Subject || !sameJSON(events[i].Data, data) {
				t.Errorf("got %s %s %s, want %s", events[i].ID, events[i].Subject, events[i].Data, data)
			}
		}
		return len(events), "", nil
	})
	if n, err := s.Audit.Expire(t.Context(), keyTime.Add(time.Hour)); n != len(want) || err != nil {
		t.Errorf("%d audit entries, %v, want %d", n, err, len(want))
	}
}

func apiKeyExpire(t *testing.T, s APIKeySetup) {
	before := keyTime.Add(2 * time.Minute) // keys are revoked a minute after keyTime
	revoke := func(k domain.APIKey, at time.Time) domain.APIKey {
		createKey(t, s.A, k)
		entry := keyEntry(domain.AuditKeyRevoked, k.ID)
		entry.At = at
		if _, _, err := s.A.Revoke(t.Context(), "owner", k.ID, entry); err != nil {
			t.Fatal(err)
		}
		return k
	}
	expiring := func(at time.Time) domain.APIKey {
		k := anAPIKey("owner")
		k.ExpiresAt = at
		createKey(t, s.A, k)
		return k
	}
	rotated := func(until time.Time) domain.APIKey {
		old, next := anAPIKey("owner"), anAPIKey("next")
		createKey(t, s.A, old)
		_, _, err := s.A.Rotate(t.Context(), "owner", old.ID, until, keyTime, next, aHash(), keyEntry(domain.AuditKeyCreated, next.ID))
		if err != nil {
			t.Fatal(err)
		}
		return old
	}
	long := anAPIKey("owner")
	long.ExpiresAt = before.AddDate(1, 0, 0)
	gone := []domain.APIKey{
		revoke(anAPIKey("owner"), before.Add(-time.Microsecond)), revoke(long, keyTime),
		expiring(before.Add(-time.Microsecond)), rotated(before.Add(-time.Second)),
	}
	active := anAPIKey("owner")
	createKey(t, s.A, active)
	kept := []domain.APIKey{active, revoke(anAPIKey("owner"), before), expiring(before), rotated(before)}
	for _, want := range []int{len(gone), 0} { // the second time there is nothing left
		if n, err := s.B.Expire(t.Context(), before); n != want || err != nil {
			t.Errorf("Expire: got %d, %v, want %d", n, err, want)
		}
	}
	for _, k := range gone {
		_, err := s.A.Get(t.Context(), "owner", k.ID)
		wantKind(t, err, domain.NotFound, "Get")
	}
	for _, k := range kept {
		if _, err := s.A.Get(t.Context(), "owner", k.ID); err != nil {
			t.Errorf("a key is gone: %v", err)
		}
	}
	wantStored(t, s, 13) // of eight keys that were made, two that came of rotations, and three revocations
}

func apiKeyExpireMany(t *testing.T, s APIKeySetup) {
	const many = 1003 // more than are forgotten at once
	for range many {
		k := anAPIKey("owner")
		k.ExpiresAt = keyTime
		createKey(t, s.A, k)
	}
	var total atomic.Int64
	for _, err := range inParallel(4, func(i int) error {
		n, err := []ports.APIKeyStore{s.A, s.B}[i%2].Expire(t.Context(), keyTime.Add(time.Second))
		total.Add(int64(n))
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	left, err := s.A.Expire(t.Context(), keyTime.Add(time.Second))
	if n := int(total.Load()) + left; n != many || err != nil {
		t.Errorf("%d of %d were forgotten: %v", n, many, err)
	}
	wantStored(t, s, many)
}

// wantStored checks how many events and audit entries there are.
func wantStored(t *testing.T, s APIKeySetup, want int) {
	t.Helper()
	wantPending(t, s.Outbox, want)
	if n, err := s.Audit.Expire(t.Context(), keyTime.Add(time.Hour)); n != want || err != nil {
		t.Errorf("%d audit entries, %v, want %d", n, err, want)
	}
}

func apiKeyAtomic(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	hash := createKey(t, s.A, k)
	bad := keyEntry(domain.AuditKeyCreated, k.ID)
	bad.ID = "nope"
	refused := func(about string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s with an entry that can't be stored succeeded", about)
		}
	}
	other, otherHash := anAPIKey("owner"), aHash()
	refused("Create", s.A.Create(t.Context(), other, otherHash, bad))
	_, _, err := s.A.Revoke(t.Context(), "owner", k.ID, bad)
	refused("Revoke", err)
	_, _, err = s.A.Rotate(t.Context(), "owner", k.ID, keyTime, keyTime, other, otherHash, keyEntry(domain.AuditKeyCreated, other.ID), bad)
	refused("Rotate", err)
	_, _, err = s.A.Rotate(t.Context(), "owner", k.ID, keyTime, keyTime, other, hash, keyEntry(domain.AuditKeyCreated, other.ID))
	wantKind(t, err, domain.Conflict, "Rotate to a hash that exists")
	malformed := anAPIKey("owner")
	malformed.ID = "nope"
	refused("Create of a malformed id", s.A.Create(t.Context(), malformed, aHash(), keyEntry(domain.AuditKeyCreated, k.ID)))
	wantAPIKey(t, byHash(t, s.B, hash), k)
	_, err = s.B.ByHash(t.Context(), otherHash)
	wantKind(t, err, domain.NotFound, "the other key")
	wantStored(t, s, 1)
}

func apiKeyCanceled(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	hash := createKey(t, s.A, k)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.A.ByHash(gone, hash)
	wantCanceled(t, "ByHash", err)
	_, err = s.A.Get(gone, "owner", k.ID)
	wantCanceled(t, "Get", err)
	_, _, err = s.A.List(gone, "owner", 10, 0)
	wantCanceled(t, "List", err)
	wantCanceled(t, "Create", s.A.Create(gone, anAPIKey("owner"), aHash(), keyEntry(domain.AuditKeyCreated, k.ID)))
	_, _, err = s.A.Revoke(gone, "owner", k.ID, keyEntry(domain.AuditKeyRevoked, k.ID))
	wantCanceled(t, "Revoke", err)
	_, _, err = s.A.Rotate(gone, "owner", k.ID, keyTime, keyTime, anAPIKey("owner"), aHash(), keyEntry(domain.AuditKeyCreated, k.ID))
	wantCanceled(t, "Rotate", err)
	_, expireErr := s.A.Expire(gone, keyTime)
	wantCanceled(t, "Expire", expireErr)
	wantCanceled(t, "Touch", s.A.Touch(gone, map[string]time.Time{k.ID: keyTime}))
	wantAPIKey(t, byHash(t, s.B, hash), k)
	wantStored(t, s, 1)
}

func apiKeyNotShared(t *testing.T, s APIKeySetup) {
	k := anAPIKey("owner")
	k.Scopes, k.Tools = []string{"chat:read"}, []string{"files/read"}
	hash := createKey(t, s.A, k)
	k.Scopes[0], k.Tools[0] = "changed", "*"
	found := byHash(t, s.A, hash)
	found.Scopes[0], found.Tools[0] = "changed", "*"
	list, _, err := s.A.List(t.Context(), "owner", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	list[0].Scopes[0], list[0].Tools[0] = "changed", "*"
	if got := byHash(t, s.A, hash); !slices.Equal(got.Scopes, []string{"chat:read"}) || !slices.Equal(got.Tools, []string{"files/read"}) {
		t.Errorf("scopes %v, tools %v", got.Scopes, got.Tools)
	}
}

func apiKeyOddText(t *testing.T, s APIKeySetup) {
	for _, text := range []string{"Grüße, 世界 🌍", `'; DROP TABLE api_keys; --`, "key:" + newID(), " ", "OWNER", strings.Repeat("é", 255)} {
		k := anAPIKey(text)
		k.Name, k.Scopes = text, []string{text}
		hash := createKey(t, s.A, k)
		wantAPIKey(t, byHash(t, s.B, hash), k)
		if _, total, err := s.A.List(t.Context(), text, 10, 0); total != 1 || err != nil {
			t.Errorf("List of %q: %d, %v", text, total, err)
		}
	}
	scopes, err := json.Marshal(byHash(t, s.A, createKey(t, s.A, anAPIKey("o"))).Scopes)
	if err != nil || string(scopes) != "null" {
		t.Errorf("no scopes come back as %s", scopes)
	}
}
