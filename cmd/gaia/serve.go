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

	"gaia/domain"
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

// process is what gaia serve makes of its settings, from its first socket to its end.
type process struct {
	config   config
	out      io.Writer
	log      *slog.Logger
	from     *sockets
	listener net.Listener // for clients
	dataDir  string
	key      string
	keyMade  bool
	sys      *system
	end      func()     // closes what sys has open
	failed   chan error // a listener takes no more

	server, internal, admin *httpServer
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
	p := &process{config: c, out: out, log: logging.New(out, c.ServiceName, level), failed: make(chan error, 3)}
	defer p.close()
	if err := p.prepare(); err != nil {
		return err
	}
	asked, ignore := hangups() // from here on: until now a hang-up ends the process
	defer ignore()
	switch err := p.open(ctx); {
	case err != nil && ctx.Err() != nil:
		logging.Lifecycle(p.log, "stopped before it served")
		return nil
	case err != nil:
		return err
	}
	return p.run(ctx, asked)
}

// prepare takes the address of the process, and then makes what the data folder has to hold: a process that finds its port taken must leave the
// key of another alone.
func (p *process) prepare() (err error) {
	if p.dataDir, err = p.config.dataDir(); err != nil {
		return err
	}
	if p.from, err = givenSockets(); err != nil {
		return err
	}
	if p.listener, err = p.from.listen(serviceSocket, net.JoinHostPort(p.config.ServiceHost, strconv.Itoa(p.config.ServicePort))); err != nil {
		return explainListen(err)
	}
	if p.key, p.keyMade, err = globalKey(p.config, p.dataDir); err != nil {
		return err
	}
	return p.config.settleAccounts(p.dataDir)
}

// open has everything ready that answers need, and answers everybody but clients.
func (p *process) open(ctx context.Context) (err error) {
	if p.sys, err = wire(ctx, p.config, p.dataDir, p.key, p.log); err != nil {
		return err
	}
	p.end = sync.OnceFunc(p.sys.close)
	p.from.awaitReady(ctx, func(ctx context.Context) error { _, err := p.sys.health.Ready(ctx); return err })
	if p.admin, err = serveAdmin(p.config, p.sys, p.from, p.log, p.failed); err != nil {
		return err
	}
	p.internal, err = serveInternal(p.config, p.sys.internal, p.from, p.log, p.failed)
	return err
}

// close comes last: who watches wants to see the end.
func (p *process) close() {
	stopAdmin(p.admin)
	if p.end != nil {
		p.end()
	}
	if p.server == nil && p.listener != nil {
		_ = p.listener.Close()
	}
}

// run serves until ctx ends, a listener fails or another process takes over. From here on there may be clients, and each way out lets them go first.
func (p *process) run(ctx context.Context, asked <-chan os.Signal) error {
	p.server = newHTTPServer(p.sys.handler, p.config.connections(), p.sys.load.connection, p.log)
	if !p.config.hosts(domain.ServiceGateway) {
		p.server.MaxHeaderBytes = maxForwardedBytes
	}
	p.server.serve(p.listener, p.failed)
	p.announce()
	if err := p.sys.beat(p.config); err != nil {
		return p.leave(fmt.Errorf("can't tell others of this process: %w", err))
	}
	p.from.tellReady()
	notify("READY=1")
	next := newRestart(p.config, p.from, p.log)
	for {
		select {
		case err := <-p.failed:
			return p.leave(fmt.Errorf("can't take requests any more: %w", err))
		case <-ctx.Done():
			return p.leave(nil)
		case <-asked:
			if next.begin(ctx) {
				return p.giveWay(next)
			}
		}
	}
}

// announce says where the process is.
func (p *process) announce() {
	c, address := p.config, p.listener.Addr().String()
	logging.Lifecycle(p.log, "listening", "address", address, "pid", os.Getpid(), "build", build, "environment", c.Environment, "database", p.sys.databaseKind)
	if c.APIKey == "" && !c.production() {
		greet(p.out, address, p.key, p.keyMade, filepath.Join(p.dataDir, keyFile))
	}
}

// leave ends this process for good: whoever looks for it goes elsewhere, and what it has begun it finishes. It returns why, which is nil when
// the process was asked to.
func (p *process) leave(why error) error {
	if why != nil {
		p.log.Error("this process has to stop", "error", why)
	}
	notify("STOPPING=1")
	p.sys.health.Drain()
	p.sys.leave()
	p.stop(p.config.ShutdownDelay.duration())
	return why
}

// giveWay ends this process for the one that takes its place: beside it already, or in it when everything here has ended. It goes on to call
// itself ready, since who asks there is asking the other one, a moment later. Nobody has to go elsewhere, so nobody is waited for: whoever comes
// back finds the same address.
func (p *process) giveWay(next *restart) error {
	if !next.inPlace {
		for _, s := range []*httpServer{p.server, p.internal} {
			if s != nil {
				s.linger = handOverLinger
			}
		}
		p.stop(0)
		p.sys.leave() // not before: whoever looks for this process has found the other one at its address by now
		return nil
	}
	files, variable, err := next.sockets.files(0)
	if err != nil {
		return p.leave(err)
	}
	p.stop(0)
	p.end()
	return next.replace(files, variable)
}

// explainListen says which setting helps.
func explainListen(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: set SERVICE_PORT to another port, or stop what uses it", err)
	}
	return fmt.Errorf("can't serve at SERVICE_HOST and SERVICE_PORT: %w", err)
}

// stop takes the process out of service. Whoever sends requests here learns it first, for as long as delay, and then no connections are taken;
// requests that run may finish.
func (p *process) stop(delay time.Duration) {
	patience := p.config.ShutdownTimeout.duration()
	logging.Lifecycle(p.log, "stopping", "delay_s", delay.Seconds(), "patience_s", patience.Seconds())
	for _, s := range []*httpServer{p.server, p.internal} {
		if s != nil {
			s.leave()
		}
	}
	time.Sleep(delay)
	close(p.sys.stopping)
	if !drainAll(patience, p.server, p.internal) {
		p.log.Warn("some requests did not finish in time: they were ended, and their clients told")
	}
	logging.Lifecycle(p.log, "stopped")
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
