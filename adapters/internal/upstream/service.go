package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"gaia/domain"
)

const (
	defaultTimeout   = time.Minute
	defaultMaxAnswer = 1 << 20
)

// ServiceConfig says where an outside service is that works to order. Zero values mean the defaults.
type ServiceConfig struct {
	Name   string      // what messages call the service
	URL    string      // what paths are appended to
	Key    string      // removed wherever the service repeats it
	Header http.Header // of every call, with the key where this service wants it

	Timeout   time.Duration // of a call, its answer included
	MaxAnswer int64         // bytes of an answer; what is fetched has limits of its own

	// ParseError finds the service's error in the body of a response, and reports whether there is one.
	ParseError func(body []byte) (Said, bool)
	// Refuse says what a refusal means, where its status does not tell; nil is for those whose status does.
	Refuse func(r Refusal) *domain.Error

	// HTTPClient replaces the client that NewService makes for calls. Its transport then decides about pooling.
	HTTPClient *http.Client
}

// Service calls one outside service. Its errors are those of ports.AssetGenerator.
type Service struct {
	cfg       ServiceConfig
	client    *http.Client
	orders    *http.Client
	downloads *http.Client
}

// NewService makes a service. It connects on the first call.
func NewService(cfg ServiceConfig) *Service {
	setDefault(&cfg.Timeout, defaultTimeout)
	if cfg.MaxAnswer == 0 {
		cfg.MaxAnswer = defaultMaxAnswer
	}
	cfg.Header = cfg.Header.Clone()
	// Each order gets a connection of its own: on one that the service has just closed, it would be sent, and nobody could tell.
	fresh := NewTransport(defaultConnect)
	fresh.DisableKeepAlives = true
	return &Service{
		cfg: cfg, client: calling(cfg.HTTPClient, NewTransport(defaultConnect)), orders: calling(cfg.HTTPClient, fresh),
		downloads: newDownloads(cfg.URL),
	}
}

// calling is a client that follows no redirect: it would carry the order and the key to a host that nobody configured.
func calling(given *http.Client, transport *http.Transport) *http.Client {
	client := &http.Client{Transport: transport}
	if given != nil {
		*client = *given
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// CloseIdle closes the connections that no call uses.
func (s *Service) CloseIdle() {
	s.client.CloseIdleConnections()
	s.orders.CloseIdleConnections()
	s.downloads.CloseIdleConnections()
}

// Call is one request to a service.
type Call struct {
	Method      string
	Path        string // with the query
	Body        []byte // nil: none
	ContentType string
	Accept      string
	Order       bool // it may cost money: once it was sent, a failure leaves open whether it was carried out
}

// Reply is what a service answers when it does not refuse.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON makes a call with a body of JSON, and reads the answer into out. A nil body is none; a nil out takes any answer.
func (s *Service) JSON(ctx context.Context, c Call, body, out any) error {
	c.Accept = "application/json"
	if body != nil {
		data, err := Marshal(body)
		if err != nil {
			return err
		}
		c.Body, c.ContentType = data, "application/json"
	}
	reply, err := s.Do(ctx, c)
	if err != nil || out == nil {
		return err
	}
	if err := Unmarshal(reply.Body, out); err != nil {
		return s.unreadable(c, err)
	}
	return nil
}

// Do makes a call. It does not follow redirects, and what is no success is an error.
func (s *Service) Do(ctx context.Context, c Call) (Reply, error) {
	waited, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	req, err := s.request(httptrace.WithClientTrace(waited, trace), c)
	if err != nil {
		return Reply{}, err
	}
	client := s.client
	if c.Order {
		client = s.orders
	}
	resp, err := client.Do(req)
	if err != nil {
		return Reply{}, s.broken(ctx, c, sent.Load(), err)
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
		_ = resp.Body.Close()
	}()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return Reply{}, s.refusal(c, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, s.cfg.MaxAnswer+1))
	switch {
	case err != nil:
		return Reply{}, s.broken(ctx, c, true, err)
	case int64(len(body)) > s.cfg.MaxAnswer:
		return Reply{}, s.unreadable(c, errTooLong)
	}
	return Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

func (s *Service) request(ctx context.Context, c Call) (*http.Request, error) {
	var body io.Reader
	if c.Body != nil {
		body = bytes.NewReader(c.Body)
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, s.cfg.URL+c.Path, body)
	if err != nil {
		return nil, fmt.Errorf("the address of %s makes no request", s.cfg.Name) // the error may hold what is in it
	}
	for name, values := range s.cfg.Header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "gaia")
	if c.Accept != "" {
		req.Header.Set("Accept", c.Accept)
	}
	if c.ContentType != "" {
		req.Header.Set("Content-Type", c.ContentType)
	}
	return req, nil
}

// refusal says what an answer means that is no success.
func (s *Service) refusal(c Call, resp *http.Response) *domain.Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // the status says enough when the rest is missing
	r := Refusal{Provider: s.cfg.Name, Key: s.cfg.Key, Status: resp.StatusCode}
	if s.cfg.ParseError != nil {
		r.Said, r.Readable = s.cfg.ParseError(body)
	}
	r.RetryAfter = max(retryAfter(resp.Header), r.RetryAfter)
	if s.cfg.Refuse != nil {
		if e := s.cfg.Refuse(r); e != nil {
			return e
		}
	}
	return s.byStatus(c, r)
}

func (s *Service) byStatus(c Call, r Refusal) *domain.Error {
	switch status := r.Status; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return r.RejectedKey()
	case status == http.StatusPaymentRequired:
		return r.NoQuota()
	case status == http.StatusTooManyRequests:
		return r.Limited()
	case status == http.StatusServiceUnavailable, status == StatusOverloaded:
		return r.Overloaded()
	case status == http.StatusNotFound && !c.Order:
		return &domain.Error{Kind: domain.NotFound, Message: fmt.Sprintf("%s does not know this", s.cfg.Name), Cause: r.cause()}
	case status >= 500 && c.Order:
		return s.Unknown(r.cause())
	case status < 400, status == http.StatusRequestTimeout, status >= 500:
		return r.Unavailable()
	default:
		return r.RefusedOrder()
	}
}

// Unknown says that nobody can tell whether the service has taken an order.
func (s *Service) Unknown(cause error) *domain.Error {
	return &domain.Error{
		Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown, Cause: cause,
		Message: fmt.Sprintf("Nobody can tell whether %s took the order", s.cfg.Name),
	}
}

func (s *Service) unreadable(c Call, cause error) *domain.Error {
	if c.Order {
		return s.Unknown(cause)
	}
	return unreadable(s.cfg.Name, cause)
}

// broken says what it means that there is no (whole) answer.
func (s *Service) broken(ctx context.Context, c Call, sent bool, err error) error {
	err = withoutURL(err)
	switch {
	case c.Order && sent:
		return s.Unknown(err)
	case errors.Is(ctx.Err(), context.Canceled):
		return &domain.Error{Kind: domain.Canceled, Message: "The request was canceled", Cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return domain.MissingPart(fmt.Sprintf("%s did not answer in time", s.cfg.Name), err)
	default:
		return domain.MissingPart(fmt.Sprintf("The connection to %s failed", s.cfg.Name), err)
	}
}

// withoutURL takes the address out of an error of a client: a query can be a key.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
