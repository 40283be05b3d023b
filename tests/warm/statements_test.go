package warm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// statements stands before PostgreSQL and counts what is executed, by the name that the query has in db/queries, or by its beginning when
// it has none. It reads the protocol and not the statistics of the server, which come late and say nothing about who asked.
type statements struct {
	target string

	mu     sync.Mutex
	counts map[string]int // of those that only read
}

// countStatements returns what counts, and the URL to use instead of the one of the database.
func countStatements(t *testing.T, database string) (*statements, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &statements{target: u.Host, counts: map[string]int{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.pass(t, client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait() // the program has ended before
	})
	query := u.Query()
	query.Set("sslmode", "disable") // there would be nothing to read
	u.Host, u.RawQuery = listener.Addr().String(), query.Encode()
	return s, u.String()
}

func (s *statements) pass(t *testing.T, client net.Conn) {
	defer client.Close() //nolint:errcheck // both sides are done
	server, err := net.Dial("tcp", s.target)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // as above
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	if err := s.follow(bufio.NewReader(client), server); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		t.Logf("a connection to the database ended: %v", err)
	}
}

// follow passes on what a client says and notes what it executes.
func (s *statements) follow(client *bufio.Reader, server io.Writer) error {
	prepared, portals := map[string]string{}, map[string]string{}
	for first := true; ; first = false {
		message, kind, err := readMessage(client, first)
		if err != nil {
			return err
		}
		switch kind {
		case 'P': // Parse: name, query
			name, rest := text(message[5:])
			prepared[name], _ = text(rest)
		case 'B': // Bind: portal, name
			portal, rest := text(message[5:])
			name, _ := text(rest)
			portals[portal] = prepared[name]
		case 'E': // Execute: portal
			portal, _ := text(message[5:])
			s.note(portals[portal])
		case 'Q': // a query without preparation
			query, _ := text(message[5:])
			s.note(query)
		}
		if _, err := server.Write(message); err != nil {
			return err
		}
	}
}

// readMessage reads a message whole; the first of a connection has no kind.
func readMessage(r *bufio.Reader, first bool) (message []byte, kind byte, err error) {
	head := make([]byte, 5)
	if first {
		head = head[:4]
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, err
	}
	if !first {
		kind = head[0]
	}
	size := int(binary.BigEndian.Uint32(head[len(head)-4:])) - 4
	message = append(head, make([]byte, max(size, 0))...)
	_, err = io.ReadFull(r, message[len(head):])
	return message, kind, err
}

func text(b []byte) (s string, rest []byte) {
	before, rest, _ := bytes.Cut(b, []byte{0})
	return string(before), rest
}

var (
	named  = regexp.MustCompile(`^-- name: (\w+)`)
	spaces = regexp.MustCompile(`\s+`)
	writes = regexp.MustCompile(`(?i)\b(INSERT|UPDATE|DELETE)\b`) // FOR UPDATE, too: a write begins with it
)

// note counts a statement that only reads.
func (s *statements) note(query string) {
	name, body := "", query
	if m := named.FindStringSubmatch(query); m != nil {
		name = m[1]
		_, body, _ = strings.Cut(query, "\n")
	}
	body = strings.TrimSpace(spaces.ReplaceAllString(body, " "))
	upper := strings.ToUpper(body)
	if !strings.HasPrefix(upper, "SELECT") && !strings.HasPrefix(upper, "WITH") || writes.MatchString(body) {
		return
	}
	if name == "" {
		name = body[:min(len(body), 60)]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[name]++
}

// take returns the counts and begins anew.
func (s *statements) take() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := maps.Clone(s.counts)
	clear(s.counts)
	return taken
}
