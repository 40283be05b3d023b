package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// APIKeyStore keeps API keys by the SHA-256 of the key, in lower-case hexadecimal. A store that is away must be domain.Unavailable.
//
// An audit entry, and the event that tells about it, must be stored in the transaction of what it is about. An empty owner stands for all
// owners: only who takes care of the whole system may ask so. Keys of others and malformed ids must be domain.NotFound.
type APIKeyStore interface {
	// ByHash returns the key with a hash, also one that is expired or not active; domain.NotFound when there is none.
	ByHash(ctx context.Context, hash string) (domain.APIKey, error)
	// Get returns a key of an owner, also one that is not active.
	Get(ctx context.Context, owner, id string) (domain.APIKey, error)
	// List returns a page of an owner's keys, the newest first, and how many there are in all.
	List(ctx context.Context, owner string, limit, offset int) ([]domain.APIKey, int, error)
	// Create stores a new key. An id or a hash that exists must be domain.Conflict.
	Create(ctx context.Context, key domain.APIKey, hash string, entry domain.AuditEntry) error
	// Revoke makes an active key of an owner inactive at entry.At and returns it with its hash; any other must be domain.NotFound.
	Revoke(ctx context.Context, owner, id string, entry domain.AuditEntry) (key domain.APIKey, hash string, err error)
	// Rotate stores next and makes the key with id expire at oldExpires, unless that expires before, in one transaction. It returns
	// the old key with its hash. One that is not active, is expired at now, or was rotated before must be domain.Conflict, also when
	// two race.
	Rotate(ctx context.Context, owner, id string, oldExpires, now time.Time, next domain.APIKey, nextHash string,
		entries ...domain.AuditEntry) (old domain.APIKey, oldHash string, err error)
	// Touch records when keys, by id, were last used; a time before the one that is stored must change nothing, and neither must a key
	// that is not there.
	Touch(ctx context.Context, used map[string]time.Time) error
	// Expire forgets keys that were revoked or expired before a time, and returns how many. What the audit log says about them stays, and so
	// do keys of the old platform that were neither revoked nor replaced here. A store with a clock of its own must forget nothing that is
	// younger by that clock.
	Expire(ctx context.Context, before time.Time) (int, error)
}
