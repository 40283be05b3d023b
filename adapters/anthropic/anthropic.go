// Package anthropic speaks Anthropic's Messages API as a streaming client. It turns a domain.Prompt into a request, the provider's
// event stream into deltas, and refusals into domain errors.
//
// It must not retry (whoever chooses providers does), log, or put a key or a provider's raw answer into an error.
package anthropic

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
	"gaia/ports"
)

// The defaults of Config.
const (
	DefaultBaseURL  = "https://api.anthropic.com"
	defaultProvider = "anthropic"
)

// apiVersion is the version of the format that this package reads and writes.
const apiVersion = "2023-06-01"

// Config says where the provider is and how long to wait for it. Zero values mean the defaults.
type Config struct {
	Provider string // what messages call the provider; "anthropic" unless set
	BaseURL  string // such as https://api.anthropic.com; a version at its end changes nothing
	APIKey   string

	Connect    time.Duration // to connect, and again for the TLS handshake
	FirstToken time.Duration // from sending the prompt to the first piece of the answer
	Idle       time.Duration // between two reads from the connection after that

	// HTTPClient replaces the client that New makes. Its transport then decides about pooling and Connect.
	HTTPClient *http.Client
}

// Completer answers prompts with Claude models.
type Completer struct{ client *upstream.Client }

var _ ports.Completer = (*Completer)(nil)

// New makes a client. It connects on the first prompt.
func New(cfg Config) *Completer {
	key := strings.TrimSpace(cfg.APIKey)
	header := http.Header{}
	header.Set("Anthropic-Version", apiVersion)
	if key != "" {
		header.Set("X-Api-Key", key)
	}
	base := strings.TrimRight(cmp.Or(cfg.BaseURL, DefaultBaseURL), "/")
	return &Completer{client: upstream.New(upstream.Config{
		Provider: cmp.Or(cfg.Provider, defaultProvider), Key: key, Header: header,
		URL:     strings.TrimSuffix(base, "/v1") + "/v1/messages",
		Connect: cfg.Connect, FirstToken: cfg.FirstToken, Idle: cfg.Idle, HTTPClient: cfg.HTTPClient,
	})}
}

// CloseIdle closes the connections that no stream uses.
func (c *Completer) CloseIdle() { c.client.CloseIdle() }

// Open sends the prompt and waits for the provider's status, not for its first word.
func (c *Completer) Open(ctx context.Context, p domain.Prompt) (ports.CompletionStream, error) {
	body, err := encodeRequest(p)
	if err != nil {
		return nil, fmt.Errorf("anthropic: %w", err)
	}
	s, err := c.client.Open(ctx, p.Model, body, &decoder{})
	if err != nil {
		return nil, err // not s: a nil stream in the interface would look like one
	}
	return s, nil
}
