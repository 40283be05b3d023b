package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gaia/domain"
)

// maxKeyBytes is the length of the longest text that is looked up. The keys of neither platform come near it.
const maxKeyBytes = 512

// checkedKey is what is cached of a key. It holds nothing of the key itself, for the cache may be a server that others can read.
type checkedKey struct {
	Form    int       `json:"form"`
	ID      string    `json:"id"`
	Subject string    `json:"subject,omitempty"`
	Scopes  []string  `json:"scopes,omitempty"`
	Tools   []string  `json:"tools"` // null and [] differ
	Active  bool      `json:"active"`
	Expires time.Time `json:"expires,omitzero"`
}

// checkedForm is the form of what is cached, of which readers insist on this one or a later one.
const checkedForm = 1

// decodeCheckedKey reads what another process has cached.
func decodeCheckedKey(data []byte) (any, error) {
	key := &checkedKey{}
	if err := json.Unmarshal(data, key); err != nil {
		return nil, err
	}
	if key.Form < checkedForm { // an older release knows no lists of tools, and a missing list would mean that there is none
		return nil, errors.New("a checked key of an older form")
	}
	return key, nil
}

// Verify returns who calls with a key. One that is unknown, mistyped, expired, replaced or revoked is domain.Forbidden in the same words. A
// key that can't be looked up now is domain.Unavailable.
//
// A key that was seen before costs no look-up: its caller is cached until the key is changed, wherever that happens, and for TTL at most. An
// unknown one costs one look-up in UnknownFor, and few are looked up at the same time, so guessing takes neither memory nor the database
// away from others. Those whose checksum is wrong cost none.
func (k *APIKeys) Verify(ctx context.Context, text string) (domain.Principal, error) {
	if text == "" || len(text) > maxKeyBytes || domain.IsMistypedKey(text) {
		return domain.Principal{}, unknownKey(nil)
	}
	sum := sha256.Sum256([]byte(text))
	if k.unknown.has(sum, k.Now()) {
		return domain.Principal{}, unknownKey(nil)
	}
	hash := hex.EncodeToString(sum[:])
	found, _, err := k.Cache.Fetch(ctx, keyAt(hash), k.TTL, func(ctx context.Context) (any, error) { return k.lookUp(ctx, hash) }, decodeCheckedKey)
	now := k.Now()
	if domain.KindOf(err) == domain.NotFound {
		k.unknown.add(sum, now)
		return domain.Principal{}, unknownKey(err)
	}
	if err != nil {
		return domain.Principal{}, err
	}
	checked, ok := found.(*checkedKey)
	if !ok {
		return domain.Principal{}, fmt.Errorf("cache %s holds a %T", SpaceAPIKey, found)
	}
	key := domain.APIKey{ID: checked.ID, Subject: checked.Subject, Scopes: checked.Scopes, Tools: checked.Tools, Active: checked.Active, ExpiresAt: checked.Expires}
	if !key.UsableAt(now) {
		return domain.Principal{}, unknownKey(nil)
	}
	k.used.note(key.ID, now)
	return key.Principal(), nil
}

// lookUp asks the store, as one of few at a time.
func (k *APIKeys) lookUp(ctx context.Context, hash string) (*checkedKey, error) {
	wait := time.NewTimer(k.Config.LookupWait)
	defer wait.Stop()
	select {
	case k.lookups <- struct{}{}:
		defer func() { <-k.lookups }()
	case <-wait.C:
		busy := domain.MissingPart("Too many API keys are being looked up", nil)
		busy.RetryAfter = time.Second
		return nil, busy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	key, err := k.Store.ByHash(ctx, hash)
	if err != nil {
		return nil, err
	}
	return &checkedKey{
		Form: checkedForm, ID: key.ID, Subject: key.Subject, Scopes: key.Scopes, Tools: key.Tools, Active: key.Active, Expires: key.ExpiresAt,
	}, nil
}

// unknownKey is what everybody reads whose key opens nothing. The cause reaches the log only.
func unknownKey(cause error) error {
	return &domain.Error{Kind: domain.Forbidden, Message: msgUnknownKey, Cause: cause}
}

// unknownKeys remembers keys that nobody has, for a while and as many as it has room for. When it is full it forgets the older half.
type unknownKeys struct {
	half int
	keep time.Duration

	any         atomic.Bool // tells without the lock that there are none, which is the usual case
	mu          sync.RWMutex
	newer, past map[[sha256.Size]byte]time.Time // to when they were looked up
}

func newUnknownKeys(room int, keep time.Duration) *unknownKeys {
	return &unknownKeys{half: max(room/2, 1), keep: keep, newer: map[[sha256.Size]byte]time.Time{}}
}

func (u *unknownKeys) has(sum [sha256.Size]byte, now time.Time) bool {
	if !u.any.Load() {
		return false
	}
	u.mu.RLock()
	defer u.mu.RUnlock()
	at, ok := u.newer[sum]
	if !ok {
		at, ok = u.past[sum]
	}
	return ok && now.Sub(at) < u.keep
}

func (u *unknownKeys) add(sum [sha256.Size]byte, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.newer) >= u.half {
		u.past, u.newer = u.newer, make(map[[sha256.Size]byte]time.Time, u.half)
	}
	u.newer[sum] = now
	u.any.Store(true)
}

func (u *unknownKeys) len() int {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return len(u.newer) + len(u.past)
}

// keyUse collects when keys were last used, by id, until that is stored.
type keyUse struct {
	room int
	full chan struct{} // holds a token when there is no room for another key

	mu    sync.Mutex
	times map[string]time.Time
}

func newKeyUse(room int) *keyUse {
	return &keyUse{room: room, full: make(chan struct{}, 1), times: map[string]time.Time{}}
}

// note never waits. What there is no room for is not noted: the next use will be.
func (u *keyUse) note(id string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at, known := u.times[id]; known || len(u.times) < u.room {
		if now.After(at) {
			u.times[id] = now
		}
		return
	}
	select {
	case u.full <- struct{}{}:
	default:
	}
}

func (u *keyUse) take() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.times
	u.times = make(map[string]time.Time, len(taken))
	return taken
}

// Run stores last uses until ctx ends, and then what is left.
func (k *APIKeys) Run(ctx context.Context) {
	tick := time.NewTicker(k.Config.FlushEvery)
	defer tick.Stop()
	var last error
	flush := func(ctx context.Context) {
		err := k.Flush(ctx)
		if (err == nil) != (last == nil) {
			k.Changed(err)
		}
		last = err
	}
	for {
		select {
		case <-tick.C:
			flush(ctx)
		case <-k.used.full:
			flush(ctx)
			if last != nil { // not again and again while the store is away
				pause(ctx, k.Config.FlushEvery)
			}
		case <-ctx.Done():
			flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// Flush stores the last uses that are not stored yet, in one statement. Those that can't be stored wait for the next time.
func (k *APIKeys) Flush(ctx context.Context) error {
	taken := k.used.take()
	if len(taken) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.Config.FlushTimeout)
	defer cancel()
	err := k.Store.Touch(ctx, taken)
	if err != nil {
		for id, at := range taken {
			k.used.note(id, at)
		}
	}
	if errors.Is(err, context.Canceled) {
		return nil // because of the stop, after which comes another try
	}
	return err
}
