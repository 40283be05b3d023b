package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gaia/adapters/httpapi"
	"gaia/adapters/internalauth"
	"gaia/internal/logging"
)

// checkInternal finds secrets that are too short before anything is opened.
func (c *config) checkInternal() error {
	if c.InternalAddress == "" && c.InternalSecret == "" && c.InternalBefore == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.InternalAddress); c.InternalAddress != "" && err != nil {
		return errors.New("INTERNAL_ADDRESS: not host:port")
	}
	for name, secret := range map[string]string{"INTERNAL_AUTH_SECRET": c.InternalSecret, "INTERNAL_AUTH_SECRET_PREVIOUS": c.InternalBefore} {
		if secret != "" && len(secret) < internalauth.MinSecret {
			return fmt.Errorf("%s: shorter than %d bytes", name, internalauth.MinSecret)
		}
	}
	if c.InternalSecret == "" && c.InternalAddress+c.InternalBefore != "" {
		return errors.New("INTERNAL_AUTH_SECRET: must be set when INTERNAL_ADDRESS or the secret before it is")
	}
	return nil
}

// internalHandler answers other services at INTERNAL_ADDRESS; nil when none are to be answered.
func internalHandler(c config, api httpapi.Config) (http.Handler, error) {
	if c.InternalAddress == "" {
		return nil, nil
	}
	return newInternalHandler(c, []string{c.ServiceName}, api)
}

// newInternalHandler believes what is signed for one of these names.
func newInternalHandler(c config, audiences []string, api httpapi.Config) (http.Handler, error) {
	verifier, err := internalauth.NewVerifier(c.InternalSecret, c.InternalBefore, audiences, time.Now)
	if err != nil {
		return nil, err
	}
	api.VerifyForwarded = verifier.Verify
	return httpapi.NewInternal(api)
}

// serveInternal answers other services until the server is drained; there is none, and nil, when none are to be answered. What ends it
// before goes to failed.
func serveInternal(c config, handler http.Handler, from *sockets, log *slog.Logger, failed chan<- error) (*httpServer, error) {
	if handler == nil {
		return nil, nil
	}
	listener, err := from.listen(internalSocket, c.InternalAddress)
	if err != nil {
		return nil, fmt.Errorf("can't serve at INTERNAL_ADDRESS: %w", err)
	}
	server := newHTTPServer(handler, c.connections(), func(net.Conn, http.ConnState) {}, log)
	server.MaxHeaderBytes = maxForwardedBytes
	server.serve(listener, failed)
	logging.Lifecycle(log, "answering other services", "internal_address", listener.Addr().String())
	return server, nil
}

// drainAll drains servers at the same time; those that are nil are not there.
func drainAll(patience time.Duration, servers ...*httpServer) bool {
	var (
		running sync.WaitGroup
		cut     atomic.Bool
	)
	for _, s := range servers {
		if s == nil {
			continue
		}
		running.Go(func() {
			if !s.drain(patience) {
				cut.Store(true)
			}
		})
	}
	running.Wait()
	return !cut.Load()
}
