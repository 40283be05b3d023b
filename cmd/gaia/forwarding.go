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

const (
	// shortestSilence is how long a stream of another process may always be silent: a machine that is busy sends no pings in time.
	shortestSilence = 15 * time.Second
	// shortestStandstill is the same for answers that have no pings, such as downloads: they wait for a disk or another machine.
	shortestStandstill = time.Minute
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
		Targets: c.serviceURLs(), Sign: signer.Sign, Wait: c.GatewayTimeout.duration(), Silence: max(4*c.PingInterval.duration(), shortestSilence),
		Standstill: max(4*c.PingInterval.duration(), shortestStandstill),
		Retries:    retries, RetryDelay: c.GatewayDelay.duration(), MaxConns: c.connections(),
		ProbeInterval: c.HealthInterval.duration(), ProbeTimeout: c.HealthTimeout.duration(), Observe: s.watchHops(), Logger: log,
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
