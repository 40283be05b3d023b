package gaiatest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"
)

func newTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second}
}

// checked fails the test when an answer breaks the contract.
type checked struct {
	t    testing.TB
	next http.RoundTripper
}

// RoundTrip sends one request.
func (c checked) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	spec, err := theContract()
	if err != nil {
		return nil, err
	}
	if isEventStream(resp.Header) {
		events, err := spec.checkStream(req, resp)
		c.report(req, resp, err)
		resp.Body = &checkedStream{ReadCloser: resp.Body, events: events, report: func(err error) { c.report(req, resp, err) }}
		return resp, nil
	}
	body, err := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	plain, err := uncompressed(resp, body)
	if err == nil {
		err = spec.check(req, resp, plain)
	}
	c.report(req, resp, err)
	return resp, nil
}

// uncompressed reads bodies whose request asked for gzip by itself; otherwise the transport has done it.
func uncompressed(resp *http.Response, body []byte) ([]byte, error) {
	if resp.Header.Get("Content-Encoding") != "gzip" || len(body) == 0 {
		return body, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func (c checked) report(req *http.Request, resp *http.Response, err error) {
	if err != nil {
		c.t.Errorf("%s %.200s answered %d against the contract: %.3000s", req.Method, req.URL.Path, resp.StatusCode, err.Error())
	}
}

// checkedStream checks the events that pass by.
type checkedStream struct {
	io.ReadCloser
	events  eventChecker
	partial []byte
	done    bool
	report  func(error)
}

// Read reads and checks every line that is complete by then.
func (s *checkedStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.partial = append(s.partial, p[:n]...)
	for {
		line, rest, found := bytes.Cut(s.partial, []byte("\n"))
		if !found {
			break
		}
		s.partial = rest
		s.line(line)
	}
	if errors.Is(err, io.EOF) && !s.done {
		s.report(errors.New("the stream ends without " + Done))
		s.done = true
	}
	return n, err
}

// eventID is the other line that an event may have: only numbers are promised.
var eventID = regexp.MustCompile(`^id: [1-9][0-9]*$`)

func (s *checkedStream) line(line []byte) {
	data, isData := bytes.CutPrefix(line, []byte("data: "))
	switch {
	case len(line) == 0 || line[0] == ':' || eventID.Match(line):
	case !isData:
		s.report(fmt.Errorf("a line that is no data: %q", line))
	case s.done:
		s.report(fmt.Errorf("something comes after %s: %q", Done, line))
	case string(data) == Done:
		s.done = true
	default:
		s.done = bytes.HasPrefix(data, []byte(`{"message":`)) && bytes.HasSuffix(data, []byte(`"type":"interrupted"}`)) // a feed that ends before its subject
		if err := s.events(data); err != nil {
			s.report(fmt.Errorf("event %s: %w", data, err))
		}
	}
}
