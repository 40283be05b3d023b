package natsbus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gaia/ports"
)

// Config says where the bus is. Everything has a default except DataDir, which an embedded server needs.
type Config struct {
	URL           string        // of one or more servers, with commas between; empty runs one inside the process
	DataDir       string        // where the embedded server keeps its data, in a folder of its own
	SubjectPrefix string        // stands before every subject as it is
	Name          string        // of this process in the server's lists; "gaia" when empty
	MaxReconnects int           // attempts before the bus is given up for good; unlimited when zero or less
	Timeout       time.Duration // of stopping; 5 s when zero
	Logger        *slog.Logger
	Observe       Observe       // of what is published; nil: nobody does
	Receive       Receive       // of work that is received; nil: nobody does
	WorkWait      time.Duration // after that a process that shows no sign of life has died, and its work is offered again; 15 s when zero

	enqueueWait time.Duration // that offering work takes at the most
}

const (
	connectTimeout = time.Second
	pingInterval   = time.Second // with two unanswered pings a server that hangs is noticed after about 3 s
	reconnectWait  = 250 * time.Millisecond
	reconnectBytes = -1   // nothing waits for a server that is away: what comes late could come after what it was to announce
	queueLength    = 4096 // of events that wait for the goroutine that sends them
	confirmWait    = time.Second
)

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "gaia"
	}
	if c.MaxReconnects <= 0 {
		c.MaxReconnects = -1
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.WorkWait <= 0 {
		c.WorkWait = workAckWait
	}
	if c.enqueueWait <= 0 {
		c.enqueueWait = enqueueWait
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Bus is one connection to NATS, and the embedded server when there is one.
type Bus struct {
	cfg    Config
	origin string // marks the announcements of this process
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	stream streamState // of events
	sender sender      // of stored events

	workflows, generations *WorkQueue

	queue   chan message
	lost    atomic.Uint64 // events that could not be sent
	failing atomic.Bool   // the last event could not be sent, and that was logged
	garbled atomic.Bool   // the last announcement could not be read, and that was logged

	connected atomic.Bool
	mu        sync.Mutex // guards what follows and changes of connected
	outages   int
	closing   bool
	heard     func(ports.Invalidation)
	missed    func()
	back      func()

	changed chan struct{} // the connection may have come back
	stop    chan struct{}
	running sync.WaitGroup
}

// Start makes a bus. An external server may be away: the bus goes on looking for it in the background.
func Start(ctx context.Context, cfg Config) (*Bus, error) {
	b := &Bus{
		cfg: cfg.withDefaults(), origin: rand.Text(),
		queue: make(chan message, queueLength), changed: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	b.workflows, b.generations = newWorkflowQueue(b), newGenerationQueue(b)
	if err := b.connect(ctx); err != nil {
		b.shutdownServer()
		return nil, fmt.Errorf("start bus: %w", err)
	}
	if _, err := b.conn.Subscribe(b.subject(invalidations), b.hear); err != nil {
		b.conn.Close()
		b.shutdownServer()
		return nil, fmt.Errorf("start bus: subscribe: %w", err)
	}
	b.running.Go(b.watch)
	b.running.Go(b.send)
	return b, nil
}

func (b *Bus) connect(ctx context.Context) (err error) {
	options := b.options()
	address := b.cfg.URL
	if address == "" {
		if b.server, err = startServer(ctx, b.cfg); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(b.server))
	} else if err := checkURL(address); err != nil {
		return err
	}
	if b.conn, err = nats.Connect(address, options...); err != nil {
		return err
	}
	b.js, err = jetstream.New(b.conn, jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		b.conn.Close()
	}
	return err
}

// checkURL comes before the library's own check because that repeats the address, which may hold a password.
func checkURL(addresses string) error {
	for address := range strings.SplitSeq(addresses, ",") {
		if _, err := url.Parse(strings.TrimSpace(address)); err != nil {
			return errors.New("malformed NATS URL, want nats://[user:password@]host:port")
		}
	}
	return nil
}

func (b *Bus) options() []nats.Option {
	return []nats.Option{
		nats.Name(b.cfg.Name),
		nats.Timeout(connectTimeout),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(b.cfg.MaxReconnects),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(reconnectBytes),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(confirmWait),
		nats.NoCallbacksAfterClientClose(),
		nats.ConnectHandler(func(*nats.Conn) { b.signalChange() }),
		nats.ReconnectHandler(func(*nats.Conn) { b.signalChange() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.disconnected(err) }),
		nats.ClosedHandler(func(*nats.Conn) { b.givenUp() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.failed(err) }),
	}
}

func (b *Bus) subject(name string) string { return b.cfg.SubjectPrefix + name }

// Shared tells whether other processes can be on the bus: an embedded server has no door.
func (b *Bus) Shared() bool { return b.server == nil }

// Lost counts the events that could not be sent.
func (b *Bus) Lost() uint64 { return b.lost.Load() }

// Close sends what waits, within Config.Timeout, and stops the embedded server.
func (b *Bus) Close() error {
	b.mu.Lock()
	if b.closing {
		b.mu.Unlock()
		return nil
	}
	b.closing = true
	b.mu.Unlock()
	b.connected.Store(false)
	close(b.stop)
	b.running.Wait()
	var err error
	if b.conn.IsConnected() {
		err = b.conn.FlushTimeout(b.cfg.Timeout)
	} else if waiting, _ := b.conn.Buffered(); waiting > 0 {
		err = errors.New("events were waiting for a server that is away")
	}
	b.sender.mu.Lock()
	b.sender.end()
	b.sender.mu.Unlock()
	b.conn.Close()
	b.shutdownServer()
	if err != nil {
		return fmt.Errorf("close bus: %w", err)
	}
	return nil
}
