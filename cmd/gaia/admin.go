package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"gaia/domain"
	"gaia/internal/logging"
)

const (
	adminConnections = 64
	adminPatience    = time.Second // of a profile that runs when the process stops: nobody waits for it
)

// adminHandler is what operators see: metrics, probes and profiles.
//
// Metrics and probes have to be there for neighbours, so ADMIN_ADDRESS may be any. Profiles show what is in memory and cost time: they are
// for who is on the machine itself, or comes there by a tunnel such as kubectl port-forward.
func adminHandler(sys *system) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", sys.telemetry)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if _, err := sys.health.Ready(r.Context()); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	for path, profile := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.Handle("/debug/pprof/"+path, onlyLocal(profile))
	}
	return mux
}

// onlyLocal answers who is on the same machine, under a name that no page on the net can have.
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() || !localName(r.Host) {
			http.Error(w, "profiles are for the machine itself: come by localhost, or by a tunnel", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// serveAdmin answers operators until the server is drained; there is none, and nil, when ADMIN_ADDRESS is empty. What ends it before goes
// to failed.
func serveAdmin(c config, sys *system, from *sockets, log *slog.Logger, failed chan<- error) (*httpServer, error) {
	if c.AdminAddress == "" {
		return nil, nil
	}
	listener, err := from.listen(adminSocket, c.AdminAddress)
	if err != nil {
		return nil, fmt.Errorf("can't serve at ADMIN_ADDRESS: %w", err)
	}
	server := newHTTPServer(adminHandler(sys), adminConnections, func(net.Conn, http.ConnState) {}, log)
	server.serve(listener, failed)
	at := listener.Addr().String()
	logging.Lifecycle(log, "answering operators", "admin_address", at, "metrics", "http://"+at+"/metrics")
	return server, nil
}

// stopAdmin comes last: who watches wants to see the end.
func stopAdmin(server *httpServer) {
	if server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminPatience)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
	server.cut(domain.ErrStopping)
}
