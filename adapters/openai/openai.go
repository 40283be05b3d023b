// Package openai speaks the Chat Completions format of OpenAI, and of everything that offers the same, as a streaming client. It
// turns a domain.Prompt into a request, the provider's event stream into deltas, and refusals into domain errors.
//
// The client is written by hand because a stream of 100 chunks takes 1,270 allocations and 79 KB this way, 6,640 and 945 KB with the
// official SDK, and a fifth of its time (BenchmarkStream in sdkcompare); the SDK serves as the yardstick in tests.
//
// It must not retry (whoever chooses providers does), log, or put a key or a provider's raw answer into an error.
package openai

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// The defaults of Config.
const (
	DefaultBaseURL    = "https://api.openai.com/v1"
	defaultProvider   = "openai"
	defaultConnect    = 5 * time.Second
	defaultFirstToken = 2 * time.Minute // models that think first are silent for long
	defaultIdle       = 30 * time.Second
)

const (
	maxErrorBody   = 64 << 10
	connsPerHost   = 64 // idle connections kept warm; the default of two would make every third stream shake hands anew
	idleConnection = 90 * time.Second
	pingAfter      = 15 * time.Second // a pooled HTTP/2 connection that died unnoticed must not swallow the next prompt
)

// Config says where the provider is and how long to wait for it. Zero values mean the defaults.
type Config struct {
	Provider     string // what messages call the provider; "openai" unless set
	BaseURL      string // with the version, such as https://api.openai.com/v1
	APIKey       string // sent as a Bearer token; none when empty
	Organization string

	Connect    time.Duration // to connect, and again for the TLS handshake
	FirstToken time.Duration // from sending the prompt to the first piece of the answer
	Idle       time.Duration // between two reads from the connection after that

	// HTTPClient replaces the client that New makes. Its transport then decides about pooling and Connect.
	HTTPClient *http.Client
}

// Completer answers prompts with the models of one provider.
type Completer struct {
	cfg    Config
	url    string
	client *http.Client
	newID  func() string // for tool calls that come without one
}

var _ ports.Completer = (*Completer)(nil)

// New makes a client. It connects on the first prompt.
func New(cfg Config) *Completer {
	cfg = cfg.withDefaults()
	client := &http.Client{}
	if cfg.HTTPClient != nil {
		*client = *cfg.HTTPClient
	} else {
		client.Transport = newTransport(cfg.Connect)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect would carry the prompt to a host that nobody configured
	}
	return &Completer{
		cfg: cfg, url: cfg.BaseURL + "/chat/completions", client: client,
		newID: func() string { return "call_" + rand.Text() },
	}
}

func (cfg Config) withDefaults() Config {
	setDefault(&cfg.Provider, defaultProvider)
	setDefault(&cfg.BaseURL, DefaultBaseURL)
	setDefault(&cfg.Connect, defaultConnect)
	setDefault(&cfg.FirstToken, defaultFirstToken)
	setDefault(&cfg.Idle, defaultIdle)
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	cfg.APIKey = strings.TrimSpace(cfg.APIKey)
	return cfg
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func newTransport(connect time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   connect,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter},
		MaxIdleConns:          connsPerHost,
		MaxIdleConnsPerHost:   connsPerHost,
		IdleConnTimeout:       idleConnection,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // a compressed stream arrives in lumps
	}
}

// CloseIdle closes the connections that no stream uses.
func (c *Completer) CloseIdle() { c.client.CloseIdleConnections() }

// Open sends the prompt and waits for the provider's status, not for its first word.
func (c *Completer) Open(ctx context.Context, p domain.Prompt) (ports.CompletionStream, error) {
	body, err := encodeRequest(p)
	if err != nil {
		return nil, fmt.Errorf("openai: encode the prompt: %w", err)
	}
	s := newStream(ctx, c.cfg, c.newID)
	resp, err := c.send(s.ctx, body) //nolint:bodyclose // the stream closes it: s.start takes it, s.release ends it
	if err == nil {
		s.start(resp.Body)
		err = c.refusal(resp, p.Model)
	}
	if err != nil {
		err = s.explain(err)
		s.release()
		return nil, err
	}
	return s, nil
}

func (c *Completer) send(ctx context.Context, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("User-Agent", "gaia")
	if c.cfg.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.APIKey)
	}
	if c.cfg.Organization != "" {
		req.Header.Set("OpenAI-Organization", c.cfg.Organization)
	}
	return c.client.Do(req)
}

// refusal returns what speaks against reading the response as an event stream, or nil.
func (c *Completer) refusal(resp *http.Response, model string) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && kind != "application/json" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return err
	}
	r := refused{provider: c.cfg.Provider, model: model, key: c.cfg.APIKey, status: resp.StatusCode, retryAfter: retryAfter(resp.Header)}
	r.said, r.readable = parseError(body)
	if resp.StatusCode == http.StatusOK && !r.readable {
		return unreadable(c.cfg.Provider, nil)
	}
	return r.err()
}
