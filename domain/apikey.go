package domain

import (
	"slices"
	"strings"
	"time"
)

// APIKey is a key that stands for its owner, without the key itself: only a hash of that is kept.
type APIKey struct {
	ID    string // UUID
	Owner string // who made it and may change it: Principal.OwnerID
	// Subject is for whom the key speaks: a user id, or "key:<id>" of the key that it has replaced. Empty: for itself, as "key:<ID>".
	Subject    string
	Name       string
	Prefix     string   // how the key begins, to tell keys apart; empty for keys of the old form
	Scopes     []string // empty means everything
	Tools      []string // patterns of tools that it may use, see MatchesTool; nil: it has no list, see MayUseTool
	Active     bool     // false once it is revoked
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // zero: never; written in batches, so it may lag by some seconds
}

// Principal is who calls with this key.
func (k APIKey) Principal() Principal {
	p := Principal{Type: AuthUserAPIKey, KeyID: k.ID, Scopes: k.Scopes, Tools: k.Tools, Expires: k.ExpiresAt}
	if id, ok := strings.CutPrefix(k.Subject, keyPrefix); ok {
		p.KeyID = id
	} else {
		p.UserID = k.Subject
	}
	return p
}

// UsableAt reports whether the key opens anything at a time. One that expires does not at that very moment.
func (k APIKey) UsableAt(now time.Time) bool {
	return k.Active && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Limits of API keys.
const (
	MaxKeyName     = 255                 // characters
	MaxKeyScopes   = 32                  // how many
	MaxKeyTools    = 64                  // patterns of tools
	MaxKeyTool     = 200                 // characters of each
	MaxKeyToolText = 8 << 10             // bytes of all
	MaxKeySubject  = 128                 // bytes of a user id or an owner
	MaxGracePeriod = 30 * 24 * time.Hour // for which a replaced key goes on working
)

// keyScopes is everything that a key can be limited to.
var keyScopes = []string{
	"chat:read", "chat:write", "models:read", "personas:read", "personas:write", "assets:read", "assets:write", "usage:read", "usage:write",
	"performance:read", "performance:write", "filesystem:read", "keys:manage", "workflows:read", "workflows:write",
}

// KeyScopes returns everything that a key can be limited to, in the order of the contract.
func KeyScopes() []string { return slices.Clone(keyScopes) }

// IsKeyScope reports whether a key can be limited to a scope.
func IsKeyScope(scope string) bool { return slices.Contains(keyScopes, scope) }

// MayGrant reports whether a key of these scopes may do no more than the caller.
func (p Principal) MayGrant(scopes []string) bool {
	if len(p.Scopes) == 0 {
		return true
	}
	for _, scope := range scopes {
		if !slices.Contains(p.Scopes, scope) {
			return false
		}
	}
	return len(scopes) > 0
}

// OutlivedBy reports whether a key that expires at a time, or never when that is zero, would work when the caller's own does not any more.
func (p Principal) OutlivedBy(expires time.Time) bool {
	return !p.Expires.IsZero() && (expires.IsZero() || expires.After(p.Expires))
}
