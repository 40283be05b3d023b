// Package upstream sends prompts to providers that answer with an event stream over HTTP, and watches over the answers: connections,
// limits of time and size, and what a refusal means. What a provider's requests and events say is the business of a Format.
//
// It also calls services that work to order and answer at once or later (Service), and fetches what they have made from wherever they say
// that it is.
//
// It must not retry (whoever chooses providers does), log, or put a key or a provider's raw answer into an error.
package upstream

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"gaia/domain"
)

// The defaults of Config.
const (
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

// Config says where a provider is and how long to wait for it. Zero durations mean the defaults.
type Config struct {
	Provider string      // what messages call the provider
	URL      string      // where prompts are sent
	Key      string      // removed wherever the provider repeats it
	Header   http.Header // of every request, with the key where this provider wants it

	Connect    time.Duration // to connect, and again for the TLS handshake
	FirstToken time.Duration // from sending the prompt to the first piece of the answer
	Idle       time.Duration // between two reads from the connection after that

	// HTTPClient replaces the client that New makes. Its transport then decides about pooling and Connect.
	HTTPClient *http.Client
}

// Format reads what a provider says during one answer. A stream uses it from one goroutine.
type Format interface {
	// Decode returns what an event adds to the answer, or what the provider said instead of going on; p is told how far the
	// answer is. data is valid until Decode returns. An event that makes no sense is an error that wraps ErrUnreadable.
	Decode(name string, data []byte, p *Progress) (domain.Delta, *Said, error)
	// ParseError finds the provider's error in the body of a response, and reports whether there is one.
	ParseError(body []byte) (Said, bool)
	// Refuse says what a refusal means for Gaia's client.
	Refuse(r Refusal) *domain.Error
}

// Progress is how far an answer is.
type Progress struct {
	Begun    bool          // the model has begun to answer, or to think aloud
	Finished bool          // the finish reason is out
	Ended    bool          // nothing comes after this event
	Usage    *domain.Usage // told at the end: some providers count in every event, and only the last count is right
}

// Client sends prompts to one provider.
type Client struct {
	cfg    Config
	client *http.Client
}

// New makes a client. It connects on the first prompt.
func New(cfg Config) *Client {
	setDefault(&cfg.Connect, defaultConnect)
	setDefault(&cfg.FirstToken, defaultFirstToken)
	setDefault(&cfg.Idle, defaultIdle)
	cfg.Header = cfg.Header.Clone()
	if cfg.Header == nil {
		cfg.Header = http.Header{}
	}
	cfg.Header.Set("Content-Type", "application/json")
	cfg.Header.Set("Accept", "text/event-stream")
	cfg.Header.Set("User-Agent", "gaia")
	client := &http.Client{}
	if cfg.HTTPClient != nil {
		*client = *cfg.HTTPClient
	} else {
		client.Transport = NewTransport(cfg.Connect)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect would carry the prompt to a host that nobody configured
	}
	return &Client{cfg: cfg, client: client}
}

func setDefault(field *time.Duration, value time.Duration) {
	if *field == 0 {
		*field = value
	}
}

// NewTransport is the transport that New makes: warm connections, HTTP/2 where it is offered, and no compression.
func NewTransport(connect time.Duration) *http.Transport {
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
func (c *Client) CloseIdle() { c.client.CloseIdleConnections() }

// Open sends a request and waits for the provider's status, not for its first word. The model is for messages.
func (c *Client) Open(ctx context.Context, model string, body []byte, format Format) (*Stream, error) {
	s := newStream(ctx, c.cfg, model, format)
	resp, err := c.send(s.ctx, body) //nolint:bodyclose // the stream closes it: s.start takes it, s.release ends it
	if err == nil {
		s.start(resp.Body)
		err = s.refusal(resp)
	}
	if err != nil {
		err = s.explain(err)
		s.release()
		return nil, err
	}
	return s, nil
}

func (c *Client) send(ctx context.Context, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range c.cfg.Header {
		req.Header[name] = values
	}
	return c.client.Do(req)
}

// refusal returns what speaks against reading the response as an event stream, or nil.
func (s *Stream) refusal(resp *http.Response) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && kind != "application/json" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return err
	}
	said, readable := s.format.ParseError(body)
	if resp.StatusCode == http.StatusOK && !readable {
		return unreadable(s.provider, nil)
	}
	r := s.refused(said)
	r.Status, r.Readable, r.RetryAfter = resp.StatusCode, readable, max(retryAfter(resp.Header), said.RetryAfter)
	return s.format.Refuse(r)
}

// HasWord reports whether a text of a provider holds one of the words, whatever their case.
func HasWord(text string, words ...string) bool {
	text = strings.ToLower(text)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
