package main

import (
	"context"
	"log/slog"
	"time"

	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// embeddedKeyTTL is how long a key is cached at most when the database is a file: gaia keys changes it in a process of its own, and there is
// no bus on which the server could hear of that. A look-up takes a fraction of a millisecond.
const embeddedKeyTTL = time.Second

// keyTTL is how long a key that nobody has said anything about is not looked up again.
func (c *config) keyTTL() time.Duration {
	if c.DatabaseURL == "" {
		return min(c.APIKeyTTL.duration(), embeddedKeyTTL)
	}
	return c.APIKeyTTL.duration()
}

func newAPIKeys(c config, store ports.APIKeyStore, cache ports.Cache, stored func(), changed func(error)) *app.APIKeys {
	environment := domain.KeyEnvironment(c.Environment)
	return app.NewAPIKeys(app.APIKeyDeps{
		Store: store, Cache: cache, TTL: c.keyTTL(), Now: time.Now, NewID: newID, NewKey: func() string { return newKey(environment) },
		Stored: stored, Changed: changed,
	})
}

// startAPIKeys stores in the background when keys were last used. It stops before the cache and the database.
func (s *system) startAPIKeys(c config, db database, cache ports.Cache, relay *app.Relay, log *slog.Logger) *app.APIKeys {
	keys := newAPIKeys(c, db.apiKeys, cache, relay.Wake, func(err error) {
		if err != nil {
			log.Warn("when API keys were last used can't be stored at the moment; it waits in memory", "error", err.Error())
			return
		}
		log.Info("when API keys were last used is stored again")
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		keys.Run(ctx)
	}()
	s.onClose(func() { cancel(); <-done })
	return keys
}

// keptKeys is for how long keys stay that nobody can use any more.
func keptKeys(c config, store ports.APIKeyStore, log *slog.Logger) app.Kept {
	return app.Kept{For: time.Duration(c.APIKeyDays) * 24 * time.Hour, Expire: func(ctx context.Context, before time.Time) (int, error) {
		n, err := store.Expire(ctx, before)
		if n > 0 {
			log.Info("API keys are removed that were revoked or have expired for API_KEY_RETENTION_DAYS", "keys", n)
		}
		return n, err
	}}
}
