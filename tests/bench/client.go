package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

// request is one request of a run. Its headers are shared by everyone who sends it.
type request struct {
	method, path string
	header       http.Header
	body         []byte
}

type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration // from sending to the last byte
}

// client sends requests to one server over connections that stay open. It never decompresses: bytes are those on the wire.
type client struct {
	base string
	http *http.Client
}

func newClient(base string, connections int) *client {
	return &client{base: base, http: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true, ReadBufferSize: 64 << 10,
	}}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// send sends a request and keeps the answer.
func (c *client) send(ctx context.Context, r request) (answer, error) {
	var body bytes.Buffer
	return c.sendInto(ctx, r, &body)
}

// expect is send for requests that can only get one status.
func (c *client) expect(ctx context.Context, r request, status int) (answer, error) {
	var body bytes.Buffer
	return c.expectInto(ctx, r, status, &body)
}

func (c *client) expectInto(ctx context.Context, r request, status int, body *bytes.Buffer) (answer, error) {
	a, err := c.sendInto(ctx, r, body)
	if err == nil && a.status != status {
		err = fmt.Errorf("%w to %s %s: status %d, not %d: %.300s", errWrong, r.method, r.path, a.status, status, a.body)
	}
	return a, err
}

// sendInto is send into a buffer that is used again: the answer's body is good until then.
func (c *client) sendInto(ctx context.Context, r request, body *bytes.Buffer) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	req.Header = r.header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if req.Header["X-Api-Key"] == nil {
		req.Header.Set("X-Api-Key", apiKey)
	}
	if len(r.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	begun := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body.Reset()
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return answer{}, err
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body.Bytes(), took: time.Since(begun)}, nil
}
