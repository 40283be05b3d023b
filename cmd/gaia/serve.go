package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gaia/internal/logging"
)

// runServe serves what the command line says, or else the setting SERVICES.
func runServe(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("gaia serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors come back, too
	services := flags.String("services", "", "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err = io.WriteString(out, usage)
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	environment := os.Environ()
	if *services != "" {
		environment = append(environment, "SERVICES="+*services)
	}
	return withConfigOf(environment, flags.Args(), 0, func(c config) error { return serve(ctx, c, out) })
}

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
	from, err := givenSockets()
	if err != nil {
		return err
	}
	listener, err := from.listen(serviceSocket, net.JoinHostPort(c.ServiceHost, strconv.Itoa(c.ServicePort)))
	if err != nil {
		return explainListen(err)
	}
	key, keyMade, err := globalKey(c, dataDir) // not before: a process that finds the port taken must leave the key of another alone
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if err = c.settleAccounts(dataDir); err != nil {
		return errors.Join(err, listener.Close())
	}
	asked, ignore := hangups() // from here on: until now a hang-up ends the process
	defer ignore()
	sys, err := wire(ctx, c, dataDir, key, log)
	switch {
	case err != nil && ctx.Err() != nil:
		logging.Lifecycle(log, "stopped before it served")
		return listener.Close()
	case err != nil:
		return errors.Join(err, listener.Close())
	}
	end := sync.OnceFunc(sys.close)
	defer end()

	from.awaitReady(ctx, func(ctx context.Context) error { _, err := sys.health.Ready(ctx); return err })
	failed := make(chan error, 3)
	admin, err := serveAdmin(c, sys, from, log, failed)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopAdmin(admin)
	internal, err := serveInternal(c, sys.internal, from, log, failed)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := newHTTPServer(sys.handler, c.connections(), sys.load.connection, log)
	server.serve(listener, failed)
	address := listener.Addr().String()
	logging.Lifecycle(log, "listening", "address", address, "pid", os.Getpid(), "build", build, "environment", c.Environment, "database", sys.databaseKind)
	if c.APIKey == "" && !c.production() {
		greet(out, address, key, keyMade, filepath.Join(dataDir, keyFile))
	}
	if err := sys.beat(c); err != nil {
		return err
	}
	from.tellReady()
	notify("READY=1")
	next := newRestart(c, from, log)
	for {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			notify("STOPPING=1")
			sys.health.Drain()
			sys.leave()
			stop(sys, c, log, server, internal)
			return nil
		case <-asked:
			if next.begin(ctx) {
				return giveWay(next, sys, end, c, log, server, internal)
			}
		}
	}
}

// giveWay ends this process for the one that takes its place: beside it already, or in it when everything here has ended. It goes on to call
// itself ready, since who asks there is asking the other one, a moment later.
func giveWay(next *restart, sys *system, end func(), c config, log *slog.Logger, servers ...*httpServer) error {
	c.ShutdownDelay = 0 // nobody has to go elsewhere: whoever comes back finds the same address
	if !next.inPlace {
		for _, s := range servers {
			if s != nil {
				s.linger = handOverLinger
			}
		}
		stop(sys, c, log, servers...)
		sys.leave() // not before: whoever looks for this process has found the other one at its address by now
		return nil
	}
	files, variable, err := next.sockets.files(0)
	if err != nil {
		return err
	}
	stop(sys, c, log, servers...)
	end()
	return next.replace(files, variable)
}

// explainListen says which setting helps.
func explainListen(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: set SERVICE_PORT to another port, or stop what uses it", err)
	}
	return fmt.Errorf("can't serve at SERVICE_HOST and SERVICE_PORT: %w", err)
}

// stop takes the process out of service. Whoever sends requests here learns it first, and then no connections are taken; requests that run
// may finish.
func stop(sys *system, c config, log *slog.Logger, servers ...*httpServer) {
	delay, patience := c.ShutdownDelay.duration(), c.ShutdownTimeout.duration()
	logging.Lifecycle(log, "stopping", "delay_s", delay.Seconds(), "patience_s", patience.Seconds())
	for _, s := range servers {
		if s != nil {
			s.leave()
		}
	}
	time.Sleep(delay)
	close(sys.stopping)
	if !drainAll(patience, servers...) {
		log.Warn("some requests did not finish in time: they were ended, and their clients told")
	}
	logging.Lifecycle(log, "stopped")
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
    curl http://%s/api/v1/chat -H "X-API-Key: $(cat '%s')" -H 'Content-Type: application/json' -d '{"message": "Hello, who are you?"}'
  Word by word: add "stream": true and curl's -N. Documentation: http://%s/docs

`, text, address, keyPath, address)
}
