// Package supabase asks Supabase Auth about accounts and sessions, through its REST API.
//
// It must not keep a session or a token between two calls, follow redirects, retry, log, pass on what a client sent in headers, or put
// a text of Supabase, a password or a token into an error: what a refusal means is decided by its code alone.
package supabase

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"gaia/domain"
	"gaia/ports"
)

// The defaults of Config.
const (
	DefaultPath        = "/auth/v1"
	defaultConnect     = 3 * time.Second
	defaultTimeout     = 12 * time.Second // the server gives up after 10, and its word is worth more than ours
	defaultRefusalTime = 500 * time.Millisecond
)

const (
	// conns bounds how many calls go on at once: the server's own limit is what it takes to hash passwords, some 14 a second for each
	// of its processors.
	conns          = 64
	idleConnection = 90 * time.Second
	maxHeaderBytes = 64 << 10
	pingAfter      = 15 * time.Second // a pooled HTTP/2 connection that died unnoticed must not swallow the next call
	// apiVersion asks for the errors of this version, whose code is a word and never a number.
	apiVersion = "2024-01-01"
)

// Config says where Supabase Auth is. Zero values mean the defaults.
type Config struct {
	URL     string // of the project, such as https://ref.supabase.co, or of a server of Supabase Auth itself
	Path    string // of Supabase Auth below URL: "/auth/v1" unless set; "/" for the server itself, which knows no such prefix
	AnonKey string // sent as apikey, which gateways demand and the server itself ignores

	Connect time.Duration // to connect, and again for the TLS handshake
	Timeout time.Duration // of a whole call

	// RefusalTime is the step in which refusals are answered that would otherwise tell by their time whether an account exists: an
	// unknown address costs the server nothing, a known one a hash of the password, which takes it 60 ms when idle.
	RefusalTime time.Duration

	Now ports.Clock // the system's clock when nil

	// Observe is told of each call before it is made, by its name. It returns the context that the call goes on with, and what is called at
	// its end: with an error when there was no answer, or the server has failed. nil: nobody does.
	Observe func(ctx context.Context, name string) (context.Context, func(error))
}

// Accounts asks one Supabase Auth. It is safe for concurrent use.
type Accounts struct {
	base        string // without a slash at its end
	anonKey     string
	timeout     time.Duration
	refusalTime time.Duration
	now         ports.Clock
	observe     func(ctx context.Context, name string) (context.Context, func(error)) // nil: nobody does
	client      *http.Client

	renewals singleflight.Group
	looks    singleflight.Group
	checked  atomic.Pointer[checked]

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // renewals and looks, which go on when nobody waits for them anymore; grows under mu until closed
}

var _ ports.Accounts = (*Accounts)(nil)

// New makes a client. It connects on the first call.
func New(cfg Config) (*Accounts, error) {
	base, err := baseURL(cfg.URL, cmp.Or(cfg.Path, DefaultPath))
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Accounts{
		base: base, anonKey: strings.TrimSpace(cfg.AnonKey), timeout: cmp.Or(cfg.Timeout, defaultTimeout),
		refusalTime: cmp.Or(cfg.RefusalTime, defaultRefusalTime), now: cfg.Now, observe: cfg.Observe,
		client: &http.Client{
			Transport: newTransport(cmp.Or(cfg.Connect, defaultConnect)),
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // a redirect would carry passwords to a host that nobody configured
			},
		},
	}, nil
}

func baseURL(project, path string) (string, error) {
	u, err := url.Parse(project)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https": // the error would repeat the URL
		return "", errors.New("supabase: the URL is none of http:// or https://")
	case u.User != nil:
		return "", errors.New("supabase: the URL holds a user")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("supabase: the URL holds a query or a fragment")
	}
	joined, err := url.JoinPath(project, path) // #nosec G125 -- both are settings
	if err != nil {
		return "", fmt.Errorf("supabase: the path %q does not go with the URL", path)
	}
	return strings.TrimRight(joined, "/"), nil
}

func newTransport(connect time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    connect,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter},
		MaxIdleConns:           conns,
		MaxIdleConnsPerHost:    conns,
		MaxConnsPerHost:        conns,
		IdleConnTimeout:        idleConnection,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// Close waits for what still goes on by itself, and closes the connections. No call may come after it.
func (a *Accounts) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.running.Wait()
	a.client.CloseIdleConnections()
}

// detached does something that goes on when the caller leaves, and that Close waits for.
func (a *Accounts) detached(do func() (any, error)) func() (any, error) {
	return func() (any, error) {
		a.mu.Lock()
		if a.closed {
			a.mu.Unlock()
			return nil, domain.MissingPart(msgAway, errors.New("supabase: closed"))
		}
		a.running.Add(1)
		a.mu.Unlock()
		defer a.running.Done()
		return do()
	}
}

// level waits until the next multiple of the refusal time has passed since a call began, so that refusals for different reasons take
// the same time.
func (a *Accounts) level(ctx context.Context, begun time.Time) {
	next := time.Since(begun).Truncate(a.refusalTime) + a.refusalTime
	select {
	case <-time.After(time.Until(begun.Add(next))):
	case <-ctx.Done():
	}
}
