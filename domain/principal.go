package domain

import (
	"slices"
	"strings"
	"time"
)

// AuthType says how a caller proved who they are. The words are part of the HTTP contract.
type AuthType string

// The ways to authenticate.
const (
	AuthJWT        AuthType = "jwt"
	AuthAPIKey     AuthType = "api_key"      // the one global key
	AuthUserAPIKey AuthType = "user_api_key" // a key of a user
)

// serviceID is the owner id that all callers of the global key share.
const serviceID = "service"

// keyPrefix stands before the id of a key that belongs to no user.
const keyPrefix = "key:"

// LinkHolder stands for somebody, whoever it is, who holds a signed link to the one asset that is asked for.
const LinkHolder = "link"

// Principal is an authenticated caller.
type Principal struct {
	Type   AuthType
	UserID string   // subject of the token or owner of the key; empty for the global key
	KeyID  string   // id of the key, for AuthUserAPIKey
	Scopes []string // empty means full access
	Tools  []string // patterns of tools that the key may use; nil: it has no list

	Expires time.Time // of the key, for AuthUserAPIKey; zero: never
}

// ServicePrincipal is who calls with the global API key.
func ServicePrincipal() Principal { return Principal{Type: AuthAPIKey} }

// OwnerID is the text under which conversations, preferences and usage of this caller are kept: a user id, "key:<id>" for a key
// without a user, or "service".
func (p Principal) OwnerID() string {
	switch {
	case p.UserID != "":
		return p.UserID
	case p.KeyID != "":
		return keyPrefix + p.KeyID
	default:
		return serviceID
	}
}

// IsReservedOwner reports whether an owner id stands for something else than a user. Nobody may sign in under such an id: it would
// make them the owner of what belongs to all callers of the global key, to a key or to Gaia itself.
func IsReservedOwner(id string) bool {
	return id == serviceID || id == LinkHolder || id == defaultCreatedBy || strings.HasPrefix(id, keyPrefix)
}

// IsService reports whether the caller used the global API key.
func (p Principal) IsService() bool { return p.Type == AuthAPIKey }

// HasScope reports whether the caller may use operations of a scope. No scopes at all means full access.
func (p Principal) HasScope(scope string) bool {
	return len(p.Scopes) == 0 || slices.Contains(p.Scopes, scope)
}
