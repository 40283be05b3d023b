package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// keyStore counts what is asked of it.
type keyStore struct {
	*memory.APIKeyStore
	lookups, touches atomic.Int64
	busy, busiest    atomic.Int64
	hold             chan struct{} // look-ups wait for it to close; nil: they don't
}

func (s *keyStore) ByHash(ctx context.Context, hash string) (domain.APIKey, error) {
	s.lookups.Add(1)
	now := s.busy.Add(1)
	defer s.busy.Add(-1)
	for most := s.busiest.Load(); now > most && !s.busiest.CompareAndSwap(most, now); most = s.busiest.Load() {
	}
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return domain.APIKey{}, ctx.Err()
		}
	}
	return s.APIKeyStore.ByHash(ctx, hash)
}

func (s *keyStore) Touch(ctx context.Context, used map[string]time.Time) error {
	s.touches.Add(1)
	return s.APIKeyStore.Touch(ctx, used)
}

// keyBed is APIKeys with everything around it in reach.
type keyBed struct {
	*app.APIKeys
	store  *keyStore
	cache  *keepingCache
	audit  *memory.AuditLog
	now    atomic.Pointer[time.Time]
	stored atomic.Int64
}

func (b *keyBed) at(t time.Time) { b.now.Store(&t) }

func newKeys(t *testing.T, cfg app.APIKeyConfig) *keyBed {
	t.Helper()
	audit := &memory.AuditLog{Outbox: &memory.Outbox{}}
	b := &keyBed{store: &keyStore{APIKeyStore: &memory.APIKeyStore{Audit: audit}}, cache: newKeepingCache(), audit: audit}
	b.at(noon)
	var n atomic.Int64
	b.APIKeys = app.NewAPIKeys(app.APIKeyDeps{
		Store: b.store, Cache: b.cache, TTL: time.Minute, Now: func() time.Time { return *b.now.Load() }, NewID: ids(),
		NewKey: func() string { return domain.KeyText("test", fmt.Sprintf("Random%026d", n.Add(1))) },
		Stored: func() { b.stored.Add(1) }, Config: cfg,
	})
	return b
}

func (b *keyBed) make(t *testing.T, who domain.Principal, draft domain.APIKeyDraft) (string, domain.APIKey) {
	t.Helper()
	draft.Name = "name"
	text, key, err := b.Create(t.Context(), who, draft)
	if err != nil {
		t.Fatal(err)
	}
	return text, key
}

func (b *keyBed) refuses(t *testing.T, text string) {
	t.Helper()
	who, err := b.Verify(t.Context(), text)
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Forbidden || e.Message != "Could not validate credentials" || who.Type != "" {
		t.Errorf("%q: got %+v, %v", text, who, err)
	}
}

func (b *keyBed) takes(t *testing.T, text, owner string) {
	t.Helper()
	if who, err := b.Verify(t.Context(), text); err != nil || who.OwnerID() != owner || who.Type != domain.AuthUserAPIKey {
		t.Errorf("got %+v, %v, want %s", who, err, owner)
	}
}

func unknownText(n int) string { return domain.KeyText("test", fmt.Sprintf("x%031x", n)) }

func TestAKeyIsLookedUpOnce(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	text, key := b.make(t, ada, domain.APIKeyDraft{Scopes: []string{"chat:read"}, ExpiresAt: noon.Add(time.Hour)})
	for range 5 {
		b.takes(t, text, "ada")
	}
	if n := b.store.lookups.Load(); n != 1 {
		t.Errorf("%d look-ups", n)
	}
	for at, kept := range b.cache.kept {
		if at.Space != "api_key" || len(at.Name) != 64 || b.cache.ttls[at] != time.Minute {
			t.Errorf("cached at %+v for %s", at, b.cache.ttls[at])
		}
		for _, secret := range []string{text, key.Prefix, text[10:20], key.Name} {
			if strings.Contains(string(kept), secret) {
				t.Errorf("the cache holds %q: %s", secret, kept)
			}
		}
	}
	who, err := b.Verify(t.Context(), text)
	if err != nil || len(who.Scopes) != 1 || !who.HasScope("chat:read") || who.HasScope("chat:write") {
		t.Errorf("got %+v, %v", who, err)
	}
}

func TestWhatHasNoChanceIsNotLookedUp(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	text, _ := b.make(t, ada, domain.APIKeyDraft{})
	for _, bad := range []string{"", text[:12] + "x" + text[13:], strings.Repeat("x", 513), strings.Repeat("x", 1<<20)} {
		b.refuses(t, bad)
	}
	if n := b.store.lookups.Load(); n != 0 || b.UnknownKeys() != 0 {
		t.Errorf("%d look-ups, %d remembered", n, b.UnknownKeys())
	}
}

func TestUnknownKeysAreRememberedForAWhile(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{Unknown: 100, UnknownFor: 10 * time.Second})
	for range 5 {
		b.refuses(t, unknownText(1))
	}
	if n := b.store.lookups.Load(); n != 1 {
		t.Errorf("%d look-ups", n)
	}
	b.at(noon.Add(10 * time.Second))
	b.cache.Invalidate(t.Context(), ports.CacheKey{Space: "api_key"}) // a cache remembers for 5 s that there is no such key
	b.refuses(t, unknownText(1))
	if n := b.store.lookups.Load(); n != 2 {
		t.Errorf("%d look-ups after a while", n)
	}
	for n := range 10_000 {
		b.refuses(t, unknownText(n))
	}
	if n := b.UnknownKeys(); n < 50 || n > 100 {
		t.Errorf("%d are remembered, want at most 100", n)
	}
	if n := len(b.cache.kept); n != 0 {
		t.Errorf("the cache holds %d", n)
	}
}

func TestKeysEndOnTimeWhateverIsCached(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	text, _ := b.make(t, ada, domain.APIKeyDraft{ExpiresAt: noon.Add(time.Second)})
	b.takes(t, text, "ada")
	b.at(noon.Add(time.Second - time.Microsecond))
	b.takes(t, text, "ada")
	b.at(noon.Add(time.Second))
	b.refuses(t, text)
	b.refuses(t, text)
	if n := b.store.lookups.Load(); n != 1 {
		t.Errorf("%d look-ups: what is known to be over costs none", n)
	}
}

func TestRevokedKeysAreRefusedAtOnceAndCostNothing(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	text, key := b.make(t, ada, domain.APIKeyDraft{})
	b.takes(t, text, "ada")
	if _, err := b.Revoke(t.Context(), ada, key.ID); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		b.refuses(t, text)
	}
	if n := b.store.lookups.Load(); n != 2 {
		t.Errorf("%d look-ups", n)
	}
}

func TestWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	known, _ := b.make(t, ada, domain.APIKeyDraft{})
	fresh, _ := b.make(t, bob, domain.APIKeyDraft{})
	b.takes(t, known, "ada")
	away := domain.MissingPart("The database is not available", errAny)
	b.store.FailNext("ByHash", away)
	if _, err := b.Verify(t.Context(), fresh); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
	b.store.FailNext("ByHash", away)
	b.takes(t, known, "ada")
	if _, err := b.Verify(t.Context(), unknownText(1)); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
	b.takes(t, fresh, "bob") // nobody has taken it for unknown meanwhile
}

func TestFewKeysAreLookedUpAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newKeys(t, app.APIKeyConfig{Lookups: 3, LookupWait: time.Second})
		b.store.hold = make(chan struct{})
		keys := app.NewAPIKeys(app.APIKeyDeps{ // without a cache that itself lets one in at a time
			Store: b.store, Cache: noCache{}, TTL: time.Minute, Now: time.Now, NewID: ids(), Config: app.APIKeyConfig{Lookups: 3, LookupWait: time.Second},
		})
		var all sync.WaitGroup
		var busy, refused atomic.Int64
		for n := range 20 {
			all.Go(func() {
				_, err := keys.Verify(t.Context(), unknownText(n))
				var e *domain.Error
				switch {
				case errors.As(err, &e) && e.Kind == domain.Unavailable && e.RetryAfter > 0:
					busy.Add(1)
				case domain.KindOf(err) == domain.Forbidden:
					refused.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		time.Sleep(2 * time.Second) // of the bubble's clock
		close(b.store.hold)
		all.Wait()
		if busy.Load() != 17 || refused.Load() != 3 || b.store.busiest.Load() != 3 {
			t.Errorf("%d busy, %d refused, %d at a time", busy.Load(), refused.Load(), b.store.busiest.Load())
		}
	})
}

func TestLastUseIsStoredInOneStatement(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	var texts []string
	for range 10 {
		text, _ := b.make(t, ada, domain.APIKeyDraft{})
		texts = append(texts, text)
	}
	for n, text := range texts {
		b.at(noon.Add(time.Duration(n) * time.Second))
		b.takes(t, text, "ada")
		b.takes(t, text, "ada")
	}
	b.store.FailNext("Touch", errAny)
	if err := b.Flush(t.Context()); !errors.Is(err, errAny) {
		t.Errorf("Flush: %v", err)
	}
	b.at(noon.Add(time.Minute))
	b.takes(t, texts[0], "ada")
	for range 3 { // when there is nothing to store, nothing is asked
		if err := b.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
	}
	if n := b.store.touches.Load(); n != 2 {
		t.Errorf("%d statements", n)
	}
	list, _, err := b.List(t.Context(), ada, 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	for n, k := range list { // all were made at noon: the id decides, newest first
		want := noon.Add(time.Duration(9-n) * time.Second)
		if n == 9 {
			want = noon.Add(time.Minute)
		}
		if !k.LastUsedAt.Equal(want) {
			t.Errorf("key %d was used at %s, want %s", n, k.LastUsedAt, want)
		}
	}
}

func TestLastUseIsStoredNowAndThenAndAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newKeys(t, app.APIKeyConfig{FlushEvery: 5 * time.Second, Used: 2})
		var changes []error
		b.Changed = func(err error) { changes = append(changes, err) }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.Run(ctx)
		}()
		var texts []string
		for range 3 {
			text, _ := b.make(t, ada, domain.APIKeyDraft{})
			texts = append(texts, text)
		}
		wantTouches := func(about string, want int64) {
			t.Helper()
			synctest.Wait()
			if n := b.store.touches.Load(); n != want {
				t.Errorf("%s: %d statements, want %d", about, n, want)
			}
		}
		b.takes(t, texts[0], "ada")
		time.Sleep(4900 * time.Millisecond)
		wantTouches("before the time", 0)
		b.store.FailNext("Touch", errAny)
		time.Sleep(200 * time.Millisecond)
		wantTouches("after it", 1)
		time.Sleep(5 * time.Second)
		wantTouches("again", 2)
		for _, text := range texts { // one more than there is room for
			b.takes(t, text, "ada")
		}
		wantTouches("full", 3)
		b.takes(t, texts[2], "ada")
		cancel()
		<-ended
		wantTouches("at the end", 4)
		if len(changes) != 2 || !errors.Is(changes[0], errAny) || changes[1] != nil {
			t.Errorf("changes %v", changes)
		}
	})
}

// entries returns what the audit log holds, the oldest first.
func (b *keyBed) entries(t *testing.T) []domain.AuditEntry {
	t.Helper()
	list, err := b.audit.Recent(t.Context(), time.Time{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// TestKeysAreMadeForCallersWhoLeave: whether one is stored is not left open, and who has left before gets none.
func TestKeysAreMadeForCallersWhoLeave(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	ctx, leave := context.WithCancel(t.Context())
	newKey := b.NewKey
	b.NewKey = func() string { leave(); return newKey() }
	text, _, err := b.Create(ctx, ada, domain.APIKeyDraft{Name: "n"})
	if err != nil || text == "" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, _, err := b.CreateFor(ctx, "ada", "", domain.APIKeyDraft{Name: "n"}); domain.KindOf(err) != domain.Canceled {
		t.Errorf("who had left before gets %v", err)
	}
}

func TestWhatTheAuditLogSaysAboutKeys(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	ctx := domain.WithOrigin(t.Context(), domain.Origin{Address: "192.0.2.7", RequestID: "r1"})
	text, key, err := b.Create(ctx, ada, domain.APIKeyDraft{Name: "Build server"})
	if err != nil {
		t.Fatal(err)
	}
	b.at(noon.Add(time.Second))
	rotated, err := b.Rotate(ctx, ada, key.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b.at(noon.Add(2 * time.Second))
	if _, err := b.RevokeAny(ctx, rotated.Key.ID); err != nil {
		t.Fatal(err)
	}
	if n := b.stored.Load(); n != 3 {
		t.Errorf("the relay was woken %d times", n)
	}
	var got []string
	for _, e := range b.entries(t) {
		if e.Address != "192.0.2.7" || e.RequestID != "r1" || e.Details["name"] != "Build server" || e.Details["prefix"] == "" {
			t.Errorf("entry %+v", e)
		}
		got = append(got, fmt.Sprintf("%s %s by %s, %s %s", e.Action, e.Subject, e.Principal, e.Details["reason"], e.Details["replaces"]+e.Details["expires_at"]))
		encoded, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{text, rotated.Text, text[len(text)-20:]} {
			if strings.Contains(string(encoded), secret) {
				t.Errorf("the entry holds a key: %s", encoded)
			}
		}
	}
	want := []string{
		"key_created " + key.ID + " by ada,  ",
		"key_created " + rotated.Key.ID + " by ada,  " + key.ID,
		"key_revoked " + key.ID + " by ada, replaced 2026-03-01T13:00:01Z",
		"key_revoked " + rotated.Key.ID + " by service, revoked ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAChangeThatMayHaveBeenStoredDropsEveryCachedKey(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The database is not available", errAny)
	for about, change := range map[string]func(*keyBed, string) error{
		"Revoke": func(b *keyBed, id string) error { _, err := b.Revoke(t.Context(), ada, id); return err },
		"Rotate": func(b *keyBed, id string) error { _, err := b.Rotate(t.Context(), ada, id, 0); return err },
	} {
		b := newKeys(t, app.APIKeyConfig{})
		text, key := b.make(t, ada, domain.APIKeyDraft{})
		b.takes(t, text, "ada")
		b.store.FailNext(about, away)
		if err := change(b, key.ID); !errors.Is(err, away) {
			t.Errorf("%s: %v", about, err)
		}
		if n := b.cache.Len("api_key"); n != 0 {
			t.Errorf("%s: %d keys are cached", about, n)
		}
		b.takes(t, text, "ada")
		if _, err := b.Rotate(t.Context(), bob, key.ID, 0); domain.KindOf(err) != domain.NotFound || b.cache.Len("api_key") != 1 {
			t.Errorf("%s by another: %v, %d cached", about, err, b.cache.Len("api_key"))
		}
	}
}

// leavingStore is a store whose caller leaves as soon as a key is found.
type leavingStore struct {
	*keyStore
	leave func()
}

func (s leavingStore) Get(ctx context.Context, owner, id string) (domain.APIKey, error) {
	defer s.leave()
	return s.keyStore.Get(ctx, owner, id)
}

func TestACallerWhoLeavesDoesNotKeepARevokedKeyAlive(t *testing.T) {
	t.Parallel()
	for about, change := range map[string]func(context.Context, *app.APIKeys, string) error{
		"Revoke": func(ctx context.Context, k *app.APIKeys, id string) error {
			_, err := k.Revoke(ctx, ada, id)
			return err
		},
		"Rotate": func(ctx context.Context, k *app.APIKeys, id string) error {
			_, err := k.Rotate(ctx, ada, id, 0)
			return err
		},
	} {
		b := newKeys(t, app.APIKeyConfig{})
		text, key := b.make(t, ada, domain.APIKeyDraft{})
		other, _ := b.make(t, bob, domain.APIKeyDraft{})
		b.takes(t, text, "ada")
		b.takes(t, other, "bob")
		ctx, leave := context.WithCancel(t.Context())
		b.APIKeys.Store = leavingStore{b.store, leave}
		if err := change(ctx, b.APIKeys, key.ID); err != nil || ctx.Err() == nil {
			t.Errorf("%s: %v", about, err)
		}
		if n := b.cache.Len("api_key"); n != 1 {
			t.Errorf("%s: %d keys are cached, want the other one", about, n)
		}
		b.refuses(t, text)
	}
}

func TestGraceOfRotation(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{0, time.Second, domain.MaxGracePeriod} {
		b := newKeys(t, app.APIKeyConfig{})
		text, key := b.make(t, service, domain.APIKeyDraft{})
		b.takes(t, text, "key:"+key.ID)
		r, err := b.Rotate(t.Context(), service, key.ID, grace)
		if err != nil || !r.Old.ExpiresAt.Equal(noon.Add(grace)) {
			t.Fatalf("%s: %+v, %v", grace, r, err)
		}
		b.takes(t, r.Text, "key:"+key.ID)
		if grace > 0 {
			b.at(noon.Add(grace - time.Microsecond))
			b.takes(t, text, "key:"+key.ID)
		}
		b.at(noon.Add(grace))
		b.refuses(t, text)
		again, err := b.Rotate(t.Context(), service, r.Key.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.takes(t, again.Text, "key:"+key.ID) // however often it is replaced
	}
	b := newKeys(t, app.APIKeyConfig{})
	_, key := b.make(t, ada, domain.APIKeyDraft{ExpiresAt: noon.Add(time.Minute), Scopes: []string{"chat:read"}})
	r, err := b.Rotate(t.Context(), ada, key.ID, time.Hour)
	if err != nil || !r.Key.ExpiresAt.Equal(noon.Add(time.Minute)) || !r.Old.ExpiresAt.Equal(noon.Add(time.Minute)) || len(r.Key.Scopes) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, grace := range []time.Duration{-1, domain.MaxGracePeriod + 1} {
		_, err := b.Rotate(t.Context(), ada, r.Key.ID, grace)
		wantKind(t, err, domain.BadRequest)
	}
}

// TestKeysMakeNoKeysThatOutliveThem: what expires, and what was replaced and works for a grace period, leaves nothing behind.
func TestKeysMakeNoKeysThatOutliveThem(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	text, key := b.make(t, ada, domain.APIKeyDraft{ExpiresAt: noon.Add(time.Hour)})
	_, lasting := b.make(t, ada, domain.APIKeyDraft{})
	for range 2 { // looked up, and cached
		holder, err := b.Verify(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, ends := range []time.Time{{}, noon.Add(time.Hour + time.Microsecond)} {
			_, _, err = b.Create(t.Context(), holder, domain.APIKeyDraft{Name: "n", ExpiresAt: ends})
			wantKind(t, err, domain.Forbidden)
		}
		_, err = b.Rotate(t.Context(), holder, lasting.ID, 0)
		wantKind(t, err, domain.Forbidden)
		b.make(t, holder, domain.APIKeyDraft{ExpiresAt: noon.Add(time.Hour)})
	}
	holder, _ := b.Verify(t.Context(), text)
	if _, err := b.Rotate(t.Context(), holder, key.ID, time.Minute); err != nil { // by itself, for as long
		t.Error(err)
	}
	text, key = b.make(t, ada, domain.APIKeyDraft{})
	holder, _ = b.Verify(t.Context(), text)
	if _, err := b.Rotate(t.Context(), holder, key.ID, time.Minute); err != nil {
		t.Error(err)
	}
	holder, _ = b.Verify(t.Context(), text)
	_, _, err := b.Create(t.Context(), holder, domain.APIKeyDraft{Name: "n"})
	wantKind(t, err, domain.Forbidden)
}

func TestWhoMayHaveHowManyKeys(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{KeysOfOwner: 2})
	for range 2 {
		b.make(t, ada, domain.APIKeyDraft{})
		b.make(t, service, domain.APIKeyDraft{})
	}
	_, _, err := b.Create(t.Context(), ada, domain.APIKeyDraft{Name: "n"})
	wantKind(t, err, domain.Forbidden)
	b.make(t, bob, domain.APIKeyDraft{})
	b.make(t, service, domain.APIKeyDraft{})
}

func TestKeysForOthersAreForNobodyReserved(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	for _, c := range []struct{ owner, subject string }{
		{"ada", "service"}, {"ada", "system"}, {"ada", "key:1"}, {"", "ada"}, {"ada", strings.Repeat("x", 129)}, {strings.Repeat("x", 129), ""},
	} {
		_, _, err := b.CreateFor(t.Context(), c.owner, c.subject, domain.APIKeyDraft{Name: "n"})
		wantKind(t, err, domain.BadRequest)
	}
	_, _, err := b.CreateFor(t.Context(), "ada", "ada", domain.APIKeyDraft{Name: " ", Scopes: []string{"nope"}, ExpiresAt: noon})
	var e *domain.Error
	if !errors.As(err, &e) || len(e.Faults) != 3 {
		t.Errorf("got %v", err)
	}
	text, _, err := b.CreateFor(t.Context(), "service", "ada", domain.APIKeyDraft{Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	b.takes(t, text, "ada")
}

// TestIdentityKnowsKeys: in either header, the global key first, and without keys as before.
func TestIdentityKnowsKeys(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	text, key := b.make(t, service, domain.APIKeyDraft{})
	identity := app.NewIdentity(globalKey, tokens{}).WithKeys(b.APIKeys)
	for _, c := range []struct{ authorization, apiKey, want string }{
		{"", text, "key:" + key.ID}, {"Bearer " + text, "", "key:" + key.ID}, {"bearer " + text, "", "key:" + key.ID},
		{"Bearer " + text, globalKey, "service"}, {"Bearer " + goodToken, text, "ada"}, {"Bearer bad", text, "key:" + key.ID},
		{"Basic " + text, "", "401"}, {"Bearer " + text[:len(text)-1], "", "401"}, {"Bearer " + unknownText(7), "", "403"},
		{"Bearer " + text, unknownText(7), "403"}, {"", text + " ", "403"}, {"", globalKey, "service"}, {"Bearer " + globalKey, "", "service"},
	} {
		who, err := identity.Authenticate(t.Context(), c.authorization, c.apiKey)
		if c.want == "401" || c.want == "403" {
			checkIdentity(t, who, err, c.want)
		} else if err != nil || who.OwnerID() != c.want {
			t.Errorf("%+v: got %+v, %v", c, who, err)
		}
	}
	b.store.FailNext("ByHash", domain.MissingPart("The database is not available", errAny))
	_, err := identity.Authenticate(t.Context(), "", unknownText(8))
	wantKind(t, err, domain.Unavailable)
}

var _ ports.APIKeyStore = (*keyStore)(nil)

func TestToolsOfAKey(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	verified := func(text string) domain.Principal {
		t.Helper()
		var who domain.Principal
		for range 2 { // from the store, and from the cache
			var err error
			if who, err = b.Verify(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		return who
	}
	for _, tools := range [][]string{nil, {}, {"files/*", "mail/send"}} {
		text, key := b.make(t, ada, domain.APIKeyDraft{Tools: tools})
		if who := verified(text); !reflect.DeepEqual(who.Tools, tools) || !reflect.DeepEqual(key.Tools, tools) {
			t.Errorf("%#v became %#v and %#v", tools, key.Tools, who.Tools)
		}
		rotated, err := b.Rotate(t.Context(), ada, key.ID, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if who := verified(rotated.Text); !reflect.DeepEqual(who.Tools, tools) || !reflect.DeepEqual(rotated.Key.Tools, tools) {
			t.Errorf("%#v became %#v and %#v when it was replaced", tools, rotated.Key.Tools, who.Tools)
		}
	}

	own, _ := b.make(t, ada, domain.APIKeyDraft{Tools: []string{"files/*"}})
	_, free := b.make(t, ada, domain.APIKeyDraft{})
	who := verified(own)
	b.make(t, who, domain.APIKeyDraft{Tools: []string{"files/read"}})
	for _, more := range [][]string{nil, {"*"}, {"files/read", "mail/*"}} {
		_, _, err := b.Create(t.Context(), who, domain.APIKeyDraft{Name: "n", Tools: more})
		wantKind(t, err, domain.Forbidden)
	}
	_, err := b.Rotate(t.Context(), who, free.ID, time.Hour)
	wantKind(t, err, domain.Forbidden)
	if _, err = b.Rotate(t.Context(), who, who.KeyID, time.Hour); err != nil {
		t.Errorf("a key can't replace itself: %v", err)
	}
}

// TestACachedKeyOfAnOlderReleaseIsLookedUp: it does not say which tools the key may use.
func TestACachedKeyOfAnOlderReleaseIsLookedUp(t *testing.T) {
	t.Parallel()
	b := newKeys(t, app.APIKeyConfig{})
	text, _ := b.make(t, ada, domain.APIKeyDraft{Tools: []string{}})
	if _, err := b.Verify(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	for at, data := range b.cache.kept {
		var entry map[string]any
		if err := json.Unmarshal(data, &entry); err != nil {
			t.Fatal(err)
		}
		delete(entry, "tools")
		delete(entry, "form")
		b.cache.kept[at], _ = json.Marshal(entry)
	}
	if who, err := b.Verify(t.Context(), text); err == nil && who.MayUseTool("files/read") {
		t.Errorf("it allows tools: %+v", who)
	}
}
