package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gaia/domain"
	"gaia/internal/logging"
)

// Limits of one connection. Nothing here cuts a stream: a stream renews its write deadline with every event.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 64 << 10
)

// serve runs until ctx ends, then lets running answers finish.
func serve(ctx context.Context, c config, out io.Writer) error {
	level, err := logging.ParseLevel(c.LogLevel)
	if err != nil {
		return err
	}
	if c.Debug {
		level = slog.LevelDebug
	}
	log := logging.New(out, c.ServiceName, level)
	dataDir, err := c.dataDir()
	if err != nil {
		return err
	}
	key, keyMade, err := globalKey(c, dataDir)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(c.ServiceHost, strconv.Itoa(c.ServicePort)))
	if err != nil {
		return fmt.Errorf("%w: set SERVICE_PORT to another port", err)
	}
	sys, err := wire(ctx, c, dataDir, key, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer sys.close()

	server := &http.Server{
		Handler: sys.handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	address := listener.Addr().String()
	logging.Lifecycle(log, "listening", "address", address, "build", build, "environment", c.Environment, "database", sys.databaseKind)
	if c.APIKey == "" && !c.production() {
		greet(out, address, key, keyMade, filepath.Join(dataDir, keyFile))
	}
	sys.announce(ctx, "healthy", domain.SubjectServiceReady)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return stop(server, sys, c, log)
}

// stop takes the process out of service: no new requests, then running answers end, then everything closes.
func stop(server *http.Server, sys *system, c config, log *slog.Logger) error {
	logging.Lifecycle(log, "stopping", "patience_s", c.ShutdownTimeout.duration().Seconds())
	sys.health.Drain()
	ctx, cancel := context.WithTimeout(context.Background(), c.ShutdownTimeout.duration())
	defer cancel()
	sys.announce(ctx, "stopping", domain.SubjectServiceHealth)
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("some requests did not finish in time and were cut off")
		_ = server.Close() // cancels what is left; their answers so far are saved
	}
	logging.Lifecycle(log, "stopped")
	return nil
}

// greet tells a person at the embedded default how to get a first answer.
func greet(out io.Writer, address, key string, made bool, keyPath string) {
	if f, ok := out.(*os.File); !ok || f != os.Stdout {
		return
	}
	text := "\n"
	if made {
		text += "  Your API key, kept in " + keyPath + ":\n    " + key + "\n\n"
	}
	fmt.Fprintf(os.Stderr, `%s  Try it:
    curl http://%s/api/v1/chat -H "X-API-Key: $(cat %s)" -H 'Content-Type: application/json' -d '{"message": "Hello, who are you?"}'
  Word by word: add "stream": true and curl's -N. Documentation: http://%s/docs

`, text, address, keyPath, address)
}
