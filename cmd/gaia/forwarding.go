package main

import (
	"context"
	"log/slog"
	"time"

	"gaia/adapters/forward"
	"gaia/adapters/httpapi"
	"gaia/adapters/internalauth"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// startForwarding hands requests on to services that other processes serve.
func (s *system) startForwarding(c config, p parts, api *httpapi.Config, log *slog.Logger) error {
	signer, err := internalauth.NewSigner(c.InternalSecret, time.Now)
	if err != nil {
		return err
	}
	retries := c.GatewayRetries
	if retries == 0 {
		retries = -1 // none
	}
	s.forwarder, err = forward.New(forward.Config{
		Targets: c.serviceURLs(), Sign: signer.Sign, Wait: c.GatewayTimeout.duration(), Silence: 4 * c.PingInterval.duration(),
		Retries: retries, RetryDelay: c.GatewayDelay.duration(), MaxConns: c.connections(),
		ProbeInterval: c.HealthInterval.duration(), ProbeTimeout: c.HealthTimeout.duration(), Logger: log,
	})
	if err != nil {
		return err
	}
	s.onClose(s.forwarder.Close)
	if c.SupabaseURL != "" && !c.hosts(domain.ServiceAuth) {
		if _, err = openSupabase(c, s, p.probes); err != nil {
			return err
		}
	}
	api.Forward, api.ForwardTimeout, api.ForwardLong = s.forwarder.Forward, c.GatewayTimeout.duration(), c.GatewayLong.duration()
	api.Forwarding = app.NewSlots(c.MaxForwarded)
	api.SignedOut, api.KeysChanged = s.forget, func(certain bool) {
		if p.cache.Forget(app.SpaceAPIKey); !certain { // whoever may have changed a key may have told nobody
			p.cache.Invalidate(context.Background(), ports.CacheKey{Space: app.SpaceAPIKey})
		}
	}
	return nil
}
