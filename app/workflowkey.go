package app

import (
	"context"

	"gaia/domain"
)

// StillWorks reports whether the credentials that somebody had when work was begun for them still open anything: domain.Forbidden when a
// key has expired or was revoked since. Other credentials end by themselves, and what they have begun goes on.
//
// A key that belongs to no user and has replaced another one goes by the id of that one, so it is only known whether that was revoked.
func (k *APIKeys) StillWorks(ctx context.Context, who domain.Principal) error {
	if who.Type != domain.AuthUserAPIKey {
		return nil
	}
	if !who.Expires.IsZero() && !k.Now().Before(who.Expires) {
		return unknownKey(nil)
	}
	key, err := k.Store.Get(ctx, "", who.KeyID)
	switch {
	case domain.KindOf(err) == domain.NotFound && err != nil:
		return unknownKey(err)
	case err != nil:
		return err
	case !key.Active:
		return unknownKey(nil)
	}
	return nil
}
