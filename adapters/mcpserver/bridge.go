package mcpserver

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// atOnce bounds how many messages a bridge has on their way. A client that sends more waits.
const atOnce = 64

// Bridge hands on what a client says on standard input to a Gaia elsewhere, and its answers back. It is for one client.
type Bridge struct {
	URL    string // of the Gaia, without /mcp
	APIKey string
	HTTP   *http.Client

	mu      sync.Mutex
	session string                        // as the server named it
	version string                        // that client and server agreed on, in protocols that agree once
	running map[string]context.CancelFunc // by id of the request

	writing sync.Mutex
	out     io.Writer
}

// Run serves the client until in ends or ctx does, and then gives up what is on its way.
func (b *Bridge) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	b.out, b.running = out, map[string]context.CancelFunc{}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	places := make(chan struct{}, atOnce)
	for lines.Scan() {
		line := bytes.Clone(bytes.TrimSpace(lines.Bytes()))
		if len(line) == 0 {
			continue
		}
		m, _, code, err := parse(line)
		if err != nil {
			b.write(errorBody(m.ID, code, err.Error()))
			continue
		}
		if m.Method == "notifications/cancelled" {
			b.cancel(cancelledID(m.Params))
			continue // its request ends, and that tells the server
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		callCtx, end := b.begin(ctx, m)
		send := func() {
			defer func() { end(); <-places }()
			b.send(callCtx, m, line)
		}
		if m.ID == nil || m.Method == "initialize" {
			send() // what comes after it relies on it
			continue
		}
		running.Go(send)
	}
	return lines.Err()
}

func (b *Bridge) begin(ctx context.Context, m message) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	if m.ID == nil {
		return ctx, cancel
	}
	id := string(m.ID)
	b.mu.Lock()
	b.running[id] = cancel
	b.mu.Unlock()
	return ctx, func() {
		cancel()
		b.mu.Lock()
		delete(b.running, id)
		b.mu.Unlock()
	}
}

func (b *Bridge) cancel(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cancel := b.running[id]; cancel != nil {
		cancel()
	}
}

// send has one message answered. A request gets an answer in any case, unless its client has given it up.
func (b *Bridge) send(ctx context.Context, m message, line []byte) {
	answered, err := b.exchange(ctx, m, line)
	if ctx.Err() != nil || answered || m.ID == nil {
		return
	}
	if err == nil {
		err = errors.New("Gaia ended its answer early")
	}
	b.write(errorBody(m.ID, codeFailed, err.Error()))
}

func (b *Bridge) exchange(ctx context.Context, m message, line []byte) (answered bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(b.URL, "/")+"/mcp", bytes.NewReader(line))
	if err != nil {
		return false, errors.New("GAIA_URL is no URL")
	}
	b.setHeaders(req.Header, m)
	resp, err := b.HTTP.Do(req)
	if err != nil {
		return false, fmt.Errorf("Gaia can't be reached at GAIA_URL: %w", cmp.Or(errors.Unwrap(err), err)) // the URL may hold a password
	}
	defer func() { _ = resp.Body.Close() }()
	if session := resp.Header.Get(sessionHeader); session != "" {
		b.mu.Lock()
		b.session = session
		b.mu.Unlock()
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return b.events(resp.Body, m)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxLine))
	if err != nil {
		return false, errors.New("Gaia ended its answer early")
	}
	return b.whole(resp.StatusCode, body, m)
}

// setHeaders says in headers what the protocol wants to be said there.
func (b *Bridge) setHeaders(h http.Header, m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.Set("X-API-Key", b.APIKey)
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	var params struct {
		Name string         `json:"name"`
		URI  string         `json:"uri"`
		Meta map[string]any `json:"_meta"`
	}
	_ = json.Unmarshal(m.Params, &params) // the server judges them
	if version, ok := params.Meta["io.modelcontextprotocol/protocolVersion"].(string); ok {
		h.Set(versionHeader, version)
		h.Set("Mcp-Method", m.Method)
		switch m.Method {
		case "tools/call", "prompts/get":
			h.Set("Mcp-Name", headerValue(params.Name))
		case "resources/read":
			h.Set("Mcp-Name", headerValue(params.URI))
		}
		return
	}
	if m.Method == "initialize" {
		return
	}
	if b.session != "" {
		h.Set(sessionHeader, b.session)
	}
	if b.version != "" {
		h.Set(versionHeader, b.version)
	}
}

// headerValue writes a text so that it can stand in a header.
func headerValue(s string) string {
	const begin, end = "=?base64?", "?="
	plain := s == strings.TrimSpace(s) && !(strings.HasPrefix(s, begin) && strings.HasSuffix(s, end))
	for i := range len(s) {
		plain = plain && s[i] >= ' ' && s[i] <= '~'
	}
	if plain {
		return s
	}
	return begin + base64.StdEncoding.EncodeToString([]byte(s)) + end
}

// events hands on what a stream brings. It has been answered when the answer to the message was among it.
func (b *Bridge) events(body io.Reader, m message) (answered bool, err error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		if more, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(more, []byte(" "))...)
			continue
		}
		if len(line) > 0 || len(data) == 0 {
			continue
		}
		answered = b.deliver(data, m) || answered
		data = nil
	}
	return answered, nil
}

// whole hands on an answer that is no stream, or says why there is none.
func (b *Bridge) whole(status int, body []byte, m message) (answered bool, err error) {
	var said struct {
		Version string `json:"jsonrpc"`
		Detail  any    `json:"detail"`
	}
	_ = json.Unmarshal(body, &said) // what is no JSON says nothing
	switch {
	case said.Version == "2.0":
		return b.deliver(body, m), nil
	case status >= http.StatusBadRequest:
		detail, _ := said.Detail.(string)
		return false, fmt.Errorf("Gaia answered %d: %s", status, cmp.Or(detail, http.StatusText(status)))
	default:
		return m.ID == nil, nil
	}
}

// deliver hands a message on, and reports whether it is the answer to m.
func (b *Bridge) deliver(data []byte, m message) bool {
	var got struct {
		Method string `json:"method"`
		Result struct {
			ProtocolVersion string `json:"protocolVersion"`
		} `json:"result"`
	}
	if json.Unmarshal(data, &got) != nil {
		return false
	}
	if m.Method == "initialize" && got.Method == "" {
		b.mu.Lock()
		b.version = got.Result.ProtocolVersion
		b.mu.Unlock()
	}
	b.write(data)
	return got.Method == ""
}

// write sends one message to the client, on a line of its own.
func (b *Bridge) write(data []byte) {
	var line bytes.Buffer
	if json.Compact(&line, data) != nil {
		return
	}
	line.WriteByte('\n')
	b.writing.Lock()
	defer b.writing.Unlock()
	_, _ = b.out.Write(line.Bytes()) // a client that reads no more closes its end, too
}
