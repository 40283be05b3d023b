package supabase

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"gaia/domain"
)

const (
	maxAnswer = 1 << 20 // bytes; a user with much metadata takes a few KB
	maxDrain  = 4 << 10 // of a body that is not read, so that its connection can be used again
)

// call is one request to Supabase Auth.
type call struct {
	name   string // for the log
	method string
	path   string // with the query
	token  string // an access token, sent as Bearer; empty for calls that need none
	body   any    // sent as JSON; nil is no body
}

// do makes a call and reads its answer into out; nil is for calls that are answered with nothing. What the server refuses is a refusal.
func (a *Accounts) do(ctx context.Context, c call, out any) (http.Header, error) {
	if a.observe == nil {
		return a.ask(ctx, c, out)
	}
	ctx, ended := a.observe(ctx, c.name)
	header, err := a.ask(ctx, c, out)
	var said *refusal
	if errors.As(err, &said) && said.status < http.StatusInternalServerError {
		ended(nil) // to say no is an answer
	} else {
		ended(err)
	}
	return header, err
}

func (a *Accounts) ask(ctx context.Context, c call, out any) (http.Header, error) {
	waited, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	req, err := a.request(waited, c)
	if err != nil {
		return nil, fmt.Errorf("supabase %s: %w", c.name, err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, broken(ctx, c.name, err)
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
		_ = resp.Body.Close()
	}()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, broken(ctx, c.name, err)
	case len(body) > maxAnswer:
		return nil, unreadable(c.name, errors.New("the answer is too long"))
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, refused(c.name, resp, body)
	case out == nil && resp.StatusCode == http.StatusNoContent:
		return resp.Header, nil
	case out == nil:
		return nil, unreadable(c.name, errors.New("an answer where there is none to be"))
	}
	if err := decode(body, out); err != nil {
		return nil, unreadable(c.name, err)
	}
	return resp.Header, nil
}

// request has no header that comes from a client, but for the token. X-Forwarded-For tells the server whose calls to count together:
// without it, all users of Gaia would share one limit.
func (a *Accounts) request(ctx context.Context, c call) (*http.Request, error) {
	var body io.Reader
	if c.body != nil {
		data, err := json.Marshal(c.body)
		if err != nil {
			return nil, errors.New("the request can't be written") // the error may hold what is in it
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, a.base+c.path, body)
	if err != nil {
		return nil, err
	}
	h := req.Header
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "gaia")
	h.Set("X-Supabase-Api-Version", apiVersion)
	if c.body != nil {
		h.Set("Content-Type", "application/json")
	}
	if a.anonKey != "" {
		h.Set("Apikey", a.anonKey)
	}
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
	if address := domain.OriginFrom(ctx).Address; address != "" {
		h.Set("X-Forwarded-For", address)
	}
	return req, nil
}

// decode reads one JSON value. Its error has nothing of the value, which holds tokens.
func decode(data []byte, out any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // users' metadata goes through as it is
	if err := d.Decode(out); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return fmt.Errorf("bad JSON at byte %d", syntax.Offset)
		case errors.As(err, &kind):
			return fmt.Errorf("wrong type for %s at byte %d", kind.Field, kind.Offset)
		default:
			return errors.New("unexpected JSON")
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}
