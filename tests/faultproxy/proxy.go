package faultproxy

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

// Fault is what happens to connections. The zero value is nothing: everything passes at full speed.
type Fault struct {
	Latency   time.Duration // that everything takes longer, each way
	Jitter    time.Duration // up to this more, by chance
	Bandwidth int           // bytes a second of each connection, each way; 0: no limit
	Slice     int           // pieces of at most so many bytes, each a write of its own; 0: as they come
	Swallow   Direction     // bytes that go this way disappear, ends of connections too: each side believes that the other is there
	BreakEach int           // a connection ends after this many bytes by chance, twice as many at most; 0: none does
	Abrupt    bool          // connections that end by BreakEach do so with a reset, and otherwise as if the other side had closed them
	Refuse    bool          // nobody listens
}

// Direction is a way that bytes go.
type Direction int

// The directions. They can be combined.
const (
	Up   Direction = 1 << iota // from who has connected
	Down                       // to who has connected
	Both = Up | Down
)

const (
	maxLinks  = 1024 // connections at once; more are closed
	dialLimit = 5 * time.Second
	chunkSize = 32 << 10
	maxChunks = 64 // of each connection that wait, each way
)

// Proxy passes on what comes to its address. Close it.
type Proxy struct {
	address string
	seed    uint64

	mu       sync.Mutex
	target   string
	listener net.Listener // nil while nobody listens
	next     Fault        // of connections to come
	links    map[*link]bool
	opened   uint64
	closed   bool
	running  sync.WaitGroup
}

// New starts a proxy on the loopback interface for a target, a host with a port. The same seed and the same order of connections bring
// the same chances.
func New(target string, seed uint64) (*Proxy, error) {
	listener, err := listenBelow()
	if err != nil {
		return nil, err
	}
	p := &Proxy{address: listener.Addr().String(), seed: seed, target: target, links: map[*link]bool{}}
	p.accept(listener)
	return p, nil
}

// listenBelow takes a port below those that the kernel gives to outgoing connections: nobody else gets it while it refuses.
func listenBelow() (net.Listener, error) {
	var last error
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(15000+rand.IntN(15000))))
		if err == nil {
			return l, nil
		}
		last = err
	}
	return nil, fmt.Errorf("faultproxy: no free port: %w", last)
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.address }

// Retarget sends connections to come elsewhere.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Set does this from now on to all connections. Those that have lost something are reset when nothing is swallowed any more: they can't
// go on as if they had not.
func (p *Proxy) Set(f Fault) error {
	if err := p.SetNew(f); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.change(f)
	}
	return nil
}

// SetNew does this from now on to connections to come, and leaves the others as they are.
func (p *Proxy) SetNew(f Fault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	p.next = f
	switch {
	case f.Refuse && p.listener != nil:
		_ = p.listener.Close() // what is accepted already is as good as refused
		p.listener = nil
	case !f.Refuse && p.listener == nil:
		listener, err := net.Listen("tcp", p.address)
		if err != nil {
			return fmt.Errorf("faultproxy: listen again: %w", err)
		}
		p.accept(listener)
	}
	return nil
}

// Reset ends all connections at once with a reset.
func (p *Proxy) Reset() { p.end(true) }

// Cut ends all connections as if each side had closed them, in the middle of what it said.
func (p *Proxy) Cut() { p.end(false) }

func (p *Proxy) end(abrupt bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.finish(abrupt)
	}
}

// Links counts the connections that are open.
func (p *Proxy) Links() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Close ends everything and returns when nothing is left.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	if p.listener != nil {
		_ = p.listener.Close()
	}
	p.mu.Unlock()
	p.Reset()
	p.running.Wait()
}

// accept takes connections of a listener. p.mu is held, or nobody else knows p.
func (p *Proxy) accept(listener net.Listener) {
	p.listener = listener
	p.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it is closed
			}
			if l, target := p.open(conn.(*net.TCPConn)); l != nil {
				p.running.Go(func() { p.serve(l, target) })
			}
		}
	})
}

// open makes a link, unless there are too many.
func (p *Proxy) open(client *net.TCPConn) (l *link, target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.next.Refuse || len(p.links) >= maxLinks {
		reset(client)
		return nil, ""
	}
	p.opened++
	l = newLink(client, p.next, rand.New(rand.NewPCG(p.seed, p.opened))) //nolint:gosec // chances that can be repeated
	p.links[l] = true
	return l, p.target
}

func (p *Proxy) serve(l *link, target string) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	conn, err := net.DialTimeout("tcp", target, dialLimit)
	if err != nil {
		l.finish(true)
		return
	}
	l.run(conn.(*net.TCPConn))
}

// reset closes a connection so that the other side learns of it with an error.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
