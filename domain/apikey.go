package domain

import "time"

// APIKey is a key that stands for its owner, without the key itself: only a hash of that is kept.
type APIKey struct {
	ID         string // UUID
	Owner      string // who made it: Principal.OwnerID
	UserID     string // the user for whom it speaks; empty for a key that speaks for itself, as "key:<id>"
	Name       string
	Prefix     string   // how the key begins, to tell keys apart; empty for keys of the old form
	Scopes     []string // empty means everything
	Active     bool     // false once it is revoked
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // zero: never; written in batches, so it may lag by some seconds
}

// Principal is who calls with this key.
func (k APIKey) Principal() Principal {
	return Principal{Type: AuthUserAPIKey, UserID: k.UserID, KeyID: k.ID, Scopes: k.Scopes}
}
