package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// APIKeyConfig tunes APIKeys. Zero values get defaults.
type APIKeyConfig struct {
	Unknown      int           // unknown keys that are remembered, each 48 bytes or so
	UnknownFor   time.Duration // how long
	Lookups      int           // keys that are looked up in the store at the same time
	LookupWait   time.Duration // how long a look-up waits for others before it is refused
	Used         int           // keys whose last use can wait to be stored
	FlushEvery   time.Duration // how long the last use of a key may wait
	FlushTimeout time.Duration // of storing it
	KeysOfOwner  int           // how many keys a user can make
}

const (
	defaultUnknown      = 8192
	defaultUnknownFor   = 10 * time.Second
	defaultLookups      = 8
	defaultLookupWait   = 2 * time.Second
	defaultUsed         = 1000
	defaultFlushEvery   = 5 * time.Second
	defaultFlushTimeout = 5 * time.Second
	defaultKeysOfOwner  = 10_000
)

func (c APIKeyConfig) withDefaults() APIKeyConfig {
	for _, n := range []struct {
		value     *int
		otherwise int
	}{
		{&c.Unknown, defaultUnknown}, {&c.Lookups, defaultLookups}, {&c.Used, defaultUsed}, {&c.KeysOfOwner, defaultKeysOfOwner},
	} {
		if *n.value <= 0 {
			*n.value = n.otherwise
		}
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&c.UnknownFor, defaultUnknownFor}, {&c.LookupWait, defaultLookupWait}, {&c.FlushEvery, defaultFlushEvery},
		{&c.FlushTimeout, defaultFlushTimeout},
	} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	return c
}

// APIKeyDeps is what APIKeys needs.
type APIKeyDeps struct {
	Store ports.APIKeyStore
	Cache ports.Cache
	TTL   time.Duration // how long a key that nobody has said anything about is not looked up again
	Now   ports.Clock
	NewID ports.IDs
	// NewKey makes the text of a key that nobody can guess.
	NewKey func() string
	// Stored, which may be nil, is called after an event was stored, which can be sent now.
	Stored func()
	// Changed, which may be nil, is told the error when storing last uses begins to fail, and nil when it goes on.
	Changed func(error)
	Config  APIKeyConfig
}

// APIKeys makes, changes and judges API keys. Run must run for their last use to be stored.
type APIKeys struct {
	APIKeyDeps
	unknown *unknownKeys
	used    *keyUse
	lookups chan struct{}
}

// NewAPIKeys makes the use case.
func NewAPIKeys(d APIKeyDeps) *APIKeys {
	d.Config = d.Config.withDefaults()
	if d.Stored == nil {
		d.Stored = func() {}
	}
	if d.Changed == nil {
		d.Changed = func(error) {}
	}
	return &APIKeys{
		APIKeyDeps: d, unknown: newUnknownKeys(d.Config.Unknown, d.Config.UnknownFor), used: newKeyUse(d.Config.Used),
		lookups: make(chan struct{}, d.Config.Lookups),
	}
}

// SpaceAPIKey is where checked keys are cached, by their hash.
const SpaceAPIKey = "api_key"

// anyOwner asks for the keys of all owners.
const anyOwner = ""

// Create makes a key for the caller: it speaks for who they are, and the keys of the global key for themselves. text is the key itself,
// which nobody can show again.
func (k *APIKeys) Create(ctx context.Context, who domain.Principal, draft domain.APIKeyDraft) (text string, key domain.APIKey, err error) {
	if draft, err = draft.Check(k.Now()); err != nil {
		return "", domain.APIKey{}, err
	}
	if !who.MayGrant(draft.Scopes) {
		return "", domain.APIKey{}, domain.NewError(domain.Forbidden, "A key can't be given more scopes than its maker has, nor be without limits when that is not")
	}
	if !who.MayGrantTools(draft.Scopes, draft.Tools) {
		return "", domain.APIKey{}, domain.NewError(domain.Forbidden, "A key can't be given tools that its maker may not use")
	}
	if who.OutlivedBy(draft.ExpiresAt) {
		return "", domain.APIKey{}, domain.NewError(domain.Forbidden, "A key can't be made to work longer than the key that makes it")
	}
	subject := ""
	if !who.IsService() {
		subject = who.OwnerID()
		if err := k.room(ctx, subject); err != nil {
			return "", domain.APIKey{}, err
		}
	}
	return k.create(ctx, who, who.OwnerID(), subject, draft)
}

// room refuses another key to somebody who has too many. Revoked ones count as long as they are kept.
func (k *APIKeys) room(ctx context.Context, owner string) error {
	_, total, err := k.Store.List(ctx, owner, 0, 0)
	if err == nil && total >= k.Config.KeysOfOwner {
		err = domain.NewError(domain.Forbidden, fmt.Sprintf("Nobody can have more than %d API keys", k.Config.KeysOfOwner))
	}
	return err
}

// CreateFor makes a key on behalf of who takes care of the system. Its owner may see and change it; it speaks for subject, a user id, or
// when that is empty for itself.
func (k *APIKeys) CreateFor(
	ctx context.Context, owner, subject string, draft domain.APIKeyDraft,
) (text string, key domain.APIKey, err error) {
	if draft, err = draft.Check(k.Now()); err != nil {
		return "", domain.APIKey{}, err
	}
	if domain.IsReservedOwner(subject) || len(subject) > domain.MaxKeySubject {
		return "", domain.APIKey{}, domain.NewError(domain.BadRequest, fmt.Sprintf("%q can't be a user", subject))
	}
	if owner == "" || len(owner) > domain.MaxKeySubject {
		return "", domain.APIKey{}, domain.NewError(domain.BadRequest, fmt.Sprintf("%q can't be an owner", owner))
	}
	return k.create(ctx, domain.ServicePrincipal(), owner, subject, draft)
}

func (k *APIKeys) create(
	ctx context.Context, maker domain.Principal, owner, subject string, draft domain.APIKeyDraft,
) (string, domain.APIKey, error) {
	if err := ctx.Err(); err != nil {
		return "", domain.APIKey{}, err
	}
	ctx = context.WithoutCancel(ctx) // the text of a key that is stored for a caller who leaves now could never be shown
	text, now := k.NewKey(), k.Now().UTC().Truncate(time.Microsecond)
	key := domain.APIKey{
		ID: k.NewID(), Owner: owner, Subject: subject, Name: draft.Name, Prefix: domain.KeyBeginning(text), Scopes: draft.Scopes, Tools: draft.Tools, Active: true,
		CreatedAt: now, ExpiresAt: draft.ExpiresAt.Truncate(time.Microsecond),
	}
	entry := k.entry(ctx, domain.AuditKeyCreated, maker, key, now)
	noteExpiry(entry, key)
	if err := k.Store.Create(ctx, key, hashOfKey(text), entry); err != nil {
		return "", domain.APIKey{}, err
	}
	k.Stored()
	return text, key, nil
}

// List returns a page of the caller's keys, the newest first, and how many there are in all.
func (k *APIKeys) List(ctx context.Context, who domain.Principal, limit, offset int) ([]domain.APIKey, int, error) {
	return k.Store.List(ctx, who.OwnerID(), limit, offset)
}

// ListOf returns a page of an owner's keys, or of everybody's when owner is empty.
func (k *APIKeys) ListOf(ctx context.Context, owner string, limit, offset int) ([]domain.APIKey, int, error) {
	return k.Store.List(ctx, owner, limit, offset)
}

// Revoke makes a key of the caller useless from now on.
func (k *APIKeys) Revoke(ctx context.Context, who domain.Principal, id string) (domain.APIKey, error) {
	return k.revoke(ctx, who, who.OwnerID(), id)
}

// RevokeAny makes anybody's key useless on behalf of who takes care of the system.
func (k *APIKeys) RevokeAny(ctx context.Context, id string) (domain.APIKey, error) {
	return k.revoke(ctx, domain.ServicePrincipal(), anyOwner, id)
}

func (k *APIKeys) revoke(ctx context.Context, by domain.Principal, owner, id string) (domain.APIKey, error) {
	key, err := k.Store.Get(ctx, owner, id)
	if err != nil {
		return domain.APIKey{}, keyNotFound(err)
	}
	entry := k.entry(ctx, domain.AuditKeyRevoked, by, key, k.Now())
	entry.Details[domain.DetailReason] = "revoked"
	ctx = context.WithoutCancel(ctx) // a caller who leaves now must not leave it open whether others have to be told
	key, hash, err := k.Store.Revoke(ctx, owner, key.ID, entry)
	if err != nil {
		return domain.APIKey{}, keyNotFound(k.unsure(ctx, err))
	}
	k.Cache.Invalidate(ctx, keyAt(hash))
	k.Stored()
	return key, nil
}

// unsure drops all cached keys when a change may have been stored although the store reports that it failed: whose it was is not known
// then, and it could not be found out later, for what is revoked already is not found.
func (k *APIKeys) unsure(ctx context.Context, err error) error {
	switch domain.KindOf(err) {
	case domain.NotFound, domain.Conflict, domain.BadRequest:
	default:
		k.Cache.Invalidate(ctx, ports.CacheKey{Space: SpaceAPIKey})
	}
	return err
}

// RotatedKey is what comes of replacing a key.
type RotatedKey struct {
	Text string // the new key itself
	Key  domain.APIKey
	Old  domain.APIKey // works until Old.ExpiresAt
}

// Rotate replaces a key of the caller by a new one with the same name, scopes, tools and expiry, which speaks for the same. The old one goes on
// working for the grace period.
func (k *APIKeys) Rotate(ctx context.Context, who domain.Principal, id string, grace time.Duration) (RotatedKey, error) {
	return k.rotate(ctx, who, who.OwnerID(), id, grace)
}

// RotateAny replaces anybody's key on behalf of who takes care of the system.
func (k *APIKeys) RotateAny(ctx context.Context, id string, grace time.Duration) (RotatedKey, error) {
	return k.rotate(ctx, domain.ServicePrincipal(), anyOwner, id, grace)
}

func (k *APIKeys) rotate(ctx context.Context, by domain.Principal, owner, id string, grace time.Duration) (RotatedKey, error) {
	if grace < 0 || grace > domain.MaxGracePeriod {
		return RotatedKey{}, domain.NewError(domain.BadRequest, fmt.Sprintf("The grace period must be from 0 to %s", domain.MaxGracePeriod))
	}
	old, err := k.Store.Get(ctx, owner, id)
	if err != nil {
		return RotatedKey{}, keyNotFound(err)
	}
	if !by.MayGrant(old.Scopes) { // they would hold a key then that may do more than they
		return RotatedKey{}, domain.NewError(domain.Forbidden, "A key with more scopes than the caller has can't be replaced by the caller")
	}
	if !by.MayGrantTools(old.Scopes, old.Tools) {
		return RotatedKey{}, domain.NewError(domain.Forbidden, "A key with tools that the caller may not use can't be replaced by the caller")
	}
	if by.OutlivedBy(old.ExpiresAt) {
		return RotatedKey{}, domain.NewError(domain.Forbidden, "A key that works longer than the caller's can't be replaced by the caller")
	}
	text, now := k.NewKey(), k.Now().UTC().Truncate(time.Microsecond)
	next := domain.APIKey{
		ID: k.NewID(), Owner: old.Owner, Subject: old.Principal().OwnerID(), Name: old.Name, Prefix: domain.KeyBeginning(text),
		Scopes: old.Scopes, Tools: old.Tools, Active: true, CreatedAt: now, ExpiresAt: old.ExpiresAt,
	}
	until := now.Add(grace)
	created, replaced := k.entry(ctx, domain.AuditKeyCreated, by, next, now), k.entry(ctx, domain.AuditKeyRevoked, by, old, now)
	created.Details[domain.DetailReplaces] = old.ID
	noteExpiry(created, next)
	replaced.Details[domain.DetailReason] = "replaced"
	replaced.Details[domain.DetailExpiresAt] = until.Format(time.RFC3339Nano)
	ctx = context.WithoutCancel(ctx) // as in revoke
	old, oldHash, err := k.Store.Rotate(ctx, owner, old.ID, until, now, next, hashOfKey(text), created, replaced)
	if err != nil {
		return RotatedKey{}, keyNotFound(k.unsure(ctx, err))
	}
	k.Cache.Invalidate(ctx, keyAt(oldHash))
	k.Stored()
	return RotatedKey{Text: text, Key: next, Old: old}, nil
}

// entry is what the audit log says about something that is done to a key.
func (k *APIKeys) entry(
	ctx context.Context, action domain.AuditAction, by domain.Principal, key domain.APIKey, now time.Time,
) domain.AuditEntry {
	from := domain.OriginFrom(ctx)
	return domain.AuditEntry{
		ID: k.NewID(), At: now, Action: action, Principal: by.OwnerID(), Subject: key.ID, Address: from.Address, RequestID: from.RequestID,
		Details: map[string]string{
			domain.DetailName: key.Name, domain.DetailPrefix: key.Prefix, domain.DetailAuthType: string(by.Type),
		},
	}
}

func noteExpiry(entry domain.AuditEntry, key domain.APIKey) {
	if !key.ExpiresAt.IsZero() {
		entry.Details[domain.DetailExpiresAt] = key.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
}

func hashOfKey(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func keyAt(hash string) ports.CacheKey { return ports.CacheKey{Space: SpaceAPIKey, Name: hash} }

// keyNotFound says in the words of clients what a store reported.
func keyNotFound(err error) error {
	if domain.KindOf(err) != domain.NotFound {
		return err
	}
	return &domain.Error{Kind: domain.NotFound, Message: "API key not found", Cause: err}
}
