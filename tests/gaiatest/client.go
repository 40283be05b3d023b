package gaiatest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

const requestTimeout = 60 * time.Second

// Client sends requests to a server and fails the test when an answer breaks the contract.
type Client struct {
	t      testing.TB
	server *Server
	header http.Header
}

// Client returns a client with the global API key.
func (s *Server) Client() *Client {
	return &Client{t: s.t, server: s, header: http.Header{"X-Api-Key": {s.settings["API_KEY"]}}}
}

// Anonymous returns a client without credentials.
func (s *Server) Anonymous() *Client { return &Client{t: s.t, server: s, header: http.Header{}} }

// As returns a client with an access token of a user.
func (s *Server) As(userID string) *Client {
	return &Client{t: s.t, server: s, header: http.Header{"Authorization": {"Bearer " + Token(s.t, userID)}}}
}

// With returns a client that sends a header with every request.
func (c *Client) With(name, value string) *Client {
	header := c.header.Clone()
	header.Set(name, value)
	return &Client{t: c.t, server: c.server, header: header}
}

// HTTP returns an HTTP client that checks every answer, for SDKs. It adds no credentials.
func (s *Server) HTTP() *http.Client {
	return &http.Client{
		Transport:     checked{t: s.t, next: s.transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Request is one request. Body is sent as it is when it is a string, []byte or io.Reader, and as JSON otherwise; nil is no body.
type Request struct {
	Method string
	Path   string
	Header http.Header
	Body   any
}

// Response is an answer that was read to its end.
type Response struct {
	t      testing.TB
	about  string
	Status int
	Header http.Header
	Body   []byte
}

// Get reads.
func (c *Client) Get(path string) Response {
	c.t.Helper()
	return c.Do(Request{Method: http.MethodGet, Path: path})
}

// Post sends a body.
func (c *Client) Post(path string, body any) Response {
	c.t.Helper()
	return c.Do(Request{Method: http.MethodPost, Path: path, Body: body})
}

// Put sends a body.
func (c *Client) Put(path string, body any) Response {
	c.t.Helper()
	return c.Do(Request{Method: http.MethodPut, Path: path, Body: body})
}

// Delete deletes.
func (c *Client) Delete(path string) Response {
	c.t.Helper()
	return c.Do(Request{Method: http.MethodDelete, Path: path})
}

// Do sends a request and fails the test when there is no answer.
func (c *Client) Do(r Request) Response {
	c.t.Helper()
	resp, err := c.Try(r)
	if err != nil {
		c.t.Fatalf("gaiatest: %s %.200s: %v", r.Method, r.Path, err)
	}
	return resp
}

// Try is Do for goroutines that are not the test's, and for servers that may be gone.
func (c *Client) Try(r Request) (Response, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), requestTimeout)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	return Response{t: c.t, about: r.Method + " " + r.Path, Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	body, err := bodyOf(r.Body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.server.URL()+r.Path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range []http.Header{c.header, r.Header} {
		for name, values := range h {
			if req.Header[name] = values; values == nil {
				delete(req.Header, name)
			}
		}
	}
	return c.server.HTTP().Do(req)
}

func bodyOf(v any) (io.Reader, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return bytes.NewReader([]byte(v)), nil
	case []byte:
		return bytes.NewReader(v), nil
	case io.Reader:
		return v, nil
	default:
		data, err := json.Marshal(v)
		return bytes.NewReader(data), err
	}
}

// Want fails the test when the status is another one.
func (r Response) Want(status int) Response {
	r.t.Helper()
	if r.Status != status {
		r.t.Fatalf("%.300s: status %d, want %d\n%.2000s", r.about, r.Status, status, r.Body)
	}
	return r
}

// JSON returns the body as a JSON object.
func (r Response) JSON() Object {
	r.t.Helper()
	var o map[string]any
	if err := json.Unmarshal(r.Body, &o); err != nil {
		r.t.Fatalf("%.300s: no JSON object: %v\n%.2000s", r.about, err, r.Body)
	}
	return Object{r.t, o}
}

// Object is a JSON object whose fields can be reached by a path of keys.
type Object struct {
	t      testing.TB
	Fields map[string]any
}

// At returns the value at a path of keys (string) and indices (int), and fails the test when there is none.
func (o Object) At(path ...any) any {
	o.t.Helper()
	var v any = o.Fields
	for _, step := range path {
		var ok bool
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v, ok = m[step]
		case int:
			a, _ := v.([]any)
			if ok = step < len(a); ok {
				v = a[step]
			}
		}
		if !ok {
			o.t.Fatalf("no %v in %v", path, o.Fields)
		}
	}
	return v
}

// Text returns the string at a path.
func (o Object) Text(path ...any) string {
	o.t.Helper()
	s, ok := o.At(path...).(string)
	if !ok {
		o.t.Fatalf("%v is no text in %v", path, o.Fields)
	}
	return s
}

// Number returns the number at a path.
func (o Object) Number(path ...any) float64 {
	o.t.Helper()
	n, ok := o.At(path...).(float64)
	if !ok {
		o.t.Fatalf("%v is no number in %v", path, o.Fields)
	}
	return n
}

// Stream sends a request whose answer is an event stream, and returns when the headers are there. Ending ctx hangs up.
func (c *Client) Stream(ctx context.Context, path string, body any) *Stream {
	c.t.Helper()
	s, err := c.TryStream(ctx, path, body)
	if err != nil {
		c.t.Fatalf("gaiatest: %v", err)
	}
	return s
}

// TryStream is Stream for goroutines that are not the test's.
func (c *Client) TryStream(ctx context.Context, path string, body any) (*Stream, error) {
	return c.stream(ctx, Request{Method: http.MethodPost, Path: path, Body: body})
}

// Follow asks for an event stream, and returns when the headers are there. Ending ctx hangs up.
func (c *Client) Follow(ctx context.Context, path string) *Stream {
	c.t.Helper()
	s, err := c.stream(ctx, Request{Method: http.MethodGet, Path: path})
	if err != nil {
		c.t.Fatalf("gaiatest: %v", err)
	}
	return s
}

func (c *Client) stream(ctx context.Context, r Request) (*Stream, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if !isEventStream(resp.Header) {
		defer resp.Body.Close() //nolint:errcheck // it is an error already
		answer, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%s %s: no event stream but %d %s", r.Method, r.Path, resp.StatusCode, answer)
	}
	return newStream(c.t, resp), nil
}
