package main

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections bounds how many there are. When there are too many, the one goes that nobody serves and that has waited longest: for the
// head of a request that does not come, or for another request. So clients who open many and send little, or nothing, keep nobody out.
type connections struct {
	max int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // in waiting; nil while a request is served
	waiting list.List                  // of waitingConn; whoever has waited longest comes first
}

type waitingConn struct {
	net.Conn
	since time.Time
}

func newConnections(most int) *connections {
	return &connections{max: most, open: map[net.Conn]*list.Element{}}
}

type connectionKey struct{}

// remember is the ConnContext of an http.Server: requests have to know their connection.
func (c *connections) remember(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// state is the ConnState of an http.Server.
func (c *connections) state(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if shed := c.add(conn); shed != nil {
			_ = shed.Close() // its own goroutine finds out
		}
	case http.StateClosed, http.StateHijacked:
		c.remove(conn)
	}
}

// add takes a connection up, and gives the one that has to go for it. That can be the new one itself, when all others are served.
func (c *connections) add(conn net.Conn) (shed net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = c.waiting.PushBack(waitingConn{conn, time.Now()})
	if len(c.open) <= c.max {
		return nil
	}
	longest, _ := c.waiting.Remove(c.waiting.Front()).(waitingConn)
	delete(c.open, longest.Conn)
	return longest.Conn
}

// quiet reports whether nobody is served, and nobody has been for a while: whoever is still connected is not about to send anything.
func (c *connections) quiet(a time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) == 0 {
		return true
	}
	last := c.waiting.Back()
	if last == nil || c.waiting.Len() < len(c.open) {
		return false
	}
	latest, _ := last.Value.(waitingConn)
	return time.Since(latest.since) >= a
}

func (c *connections) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
	}
	delete(c.open, conn)
}

// serving keeps the connections of requests that are served.
func (c *connections) serving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connectionKey{}).(net.Conn); ok {
			c.serve(conn)
			defer c.served(conn)
		}
		next.ServeHTTP(w, r)
	})
}

func (c *connections) serve(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
		c.open[conn] = nil
	}
}

func (c *connections) served(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, open := c.open[conn]; open && e == nil {
		c.open[conn] = c.waiting.PushBack(waitingConn{conn, time.Now()})
	}
}
