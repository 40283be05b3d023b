package rediskv

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"gaia/domain"
)

// Config says where Redis is. Only URL is required.
type Config struct {
	URL            string        // redis://, rediss:// or unix://
	Password       string        // replaces the one in URL
	Prefix         string        // of every key; "gaia:" when empty
	PoolSize       int           // connections; ten for each processor when zero
	CallTimeout    time.Duration // of one call on the path of a request; 20 ms when zero
	ConnectTimeout time.Duration // of the watcher's attempts in the background; 1 s when zero
	Observe        Observe       // of commands; nil: nobody does
	Logger         *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = "gaia:"
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = 20 * time.Millisecond
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Client is a connection pool to one Redis server and the watcher that knows whether it answers.
type Client struct {
	cfg  Config
	rdb  *redis.Client
	link *link
	// run is the id of the server process behind the newest connection. A server that was restarted, or a replica that was
	// promoted, may have lost drops that its predecessor confirmed: values from before are not taken.
	run   atomic.Pointer[string]
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// Open makes a client and starts its watcher. It does not wait for the server and fails only when the URL can't be understood.
func Open(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	opt, err := redis.ParseURL(cfg.URL)
	if err != nil {
		// The cause repeats the URL, which may hold a password.
		return nil, errors.New("open redis: malformed URL, want redis://[user:password@]host:port[/database]")
	}
	// The library's own log bypasses slog and writes a line for each failed dial.
	logging.Disable()
	c := &Client{cfg: cfg, link: newLink(cfg.Logger)}
	c.tune(opt)
	c.rdb = redis.NewClient(opt)
	if cfg.Observe != nil {
		c.rdb.AddHook(observer{cfg.Observe})
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.ended.Go(func() { c.link.watch(ctx, c.ping) })
	return c, nil
}

func (c *Client) tune(opt *redis.Options) {
	if c.cfg.Password != "" {
		opt.Password = c.cfg.Password
	}
	if c.cfg.PoolSize > 0 {
		opt.PoolSize = c.cfg.PoolSize
	}
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	opt.DialTimeout = c.cfg.ConnectTimeout
	opt.ReadTimeout = c.cfg.ConnectTimeout
	opt.WriteTimeout = c.cfg.ConnectTimeout
	opt.PoolTimeout = c.cfg.ConnectTimeout
	opt.ContextTimeoutEnabled = true // the deadline of a call is shorter than all of these
	opt.PipelinePoolSize = -1
	opt.Protocol = 2
	opt.DisableIdentity = true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opt.OnConnect = c.readRun
}

// readRun runs on every new connection before anything else does.
func (c *Client) readRun(ctx context.Context, conn *redis.Conn) error {
	info, err := conn.Info(ctx, "server").Result()
	var refused redis.Error
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	run := "unknown" // a server that forbids INFO is used without this protection
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(line, "run_id:"); ok {
			run = strings.TrimSpace(id)
		}
	}
	c.run.Store(&run)
	return nil
}

// slowAfter is how long a call may take before it counts as slow.
func (c *Client) slowAfter() time.Duration { return c.cfg.CallTimeout * 3 / 5 }

// ping tells whether Redis answers as fast as a request may wait, and one that was given up as fast as it should. The first round may have
// to open a connection. The second writes, though nothing: a server that hands over to another answers reads and keeps writes waiting.
func (c *Client) ping(ctx context.Context) error {
	first, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	if err := c.rdb.Ping(first).Err(); err != nil {
		return err
	}
	limit := c.cfg.CallTimeout
	if !c.link.answers() {
		limit = c.slowAfter()
	}
	second, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := c.rdb.Del(second, c.cfg.Prefix+"nothing").Err()
	var refused redis.Error
	if errors.As(err, &refused) {
		return nil
	}
	return err
}

// Check implements ports.Probe.
func (c *Client) Check(ctx context.Context) domain.PartHealth {
	away := domain.PartHealth{Status: domain.Unhealthy, Detail: "Redis does not answer"}
	if !c.link.answers() {
		return away
	}
	began := time.Now()
	err := c.call(ctx, func(ctx context.Context) error { return c.rdb.Ping(ctx).Err() })
	away.ResponseTime = time.Since(began)
	if err != nil {
		return away
	}
	return domain.PartHealth{Status: domain.Healthy, ResponseTime: away.ResponseTime}
}

// call bounds one call and tells the link when there was no answer. A refusal is an answer, and a caller that left says nothing
// about Redis.
func (c *Client) call(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	c.link.calls.Add(1)
	began := time.Now()
	err := do(bounded)
	var refused redis.Error
	switch {
	case err == nil || errors.As(err, &refused):
		c.link.answered(time.Since(began) > c.slowAfter())
	case ctx.Err() == nil:
		c.link.failures.Add(1)
		c.link.lost(err)
	}
	return err
}

// Stats returns how Redis has answered since the client was opened. It asks nobody, and is read for metrics.
func (c *Client) Stats() domain.RemoteCounts {
	l := c.link
	return domain.RemoteCounts{
		Up: l.answers(), Calls: l.calls.Load(), Failures: l.failures.Load(), Slow: l.slow.Load(), Skipped: l.skipped.Load(), Outages: l.outages.Load(),
	}
}

// Close stops the watcher and closes all connections.
func (c *Client) Close() error {
	c.stop()
	err := c.rdb.Close()
	c.ended.Wait()
	return err
}
