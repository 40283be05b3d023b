package faultproxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"
)

const limit = 20 * time.Second // for anything, on a busy machine

// pair is a client and a server with a proxy between them.
type pair struct {
	t     *testing.T
	proxy *Proxy
	inbox chan *net.TCPConn
}

func newPair(t *testing.T, seed uint64) *pair {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, inbox: make(chan *net.TCPConn, 64)}
	if p.proxy, err = New(listener.Addr().String(), seed); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.inbox <- conn.(*net.TCPConn)
		}
	}()
	t.Cleanup(func() {
		p.proxy.Close()
		_ = listener.Close()
		<-accepted
		if n := p.proxy.Links(); n != 0 {
			t.Errorf("%d links are left", n)
		}
	})
	return p
}

func (p *pair) connect() (client, server *net.TCPConn) {
	p.t.Helper()
	conn, err := net.DialTimeout("tcp", p.proxy.Address(), limit)
	if err != nil {
		p.t.Fatal(err)
	}
	client, server = conn.(*net.TCPConn), <-p.inbox
	for _, c := range []*net.TCPConn{client, server} {
		_ = c.SetDeadline(time.Now().Add(limit))
		p.t.Cleanup(func() { _ = c.Close() })
	}
	return client, server
}

func (p *pair) set(f Fault) {
	p.t.Helper()
	if err := p.proxy.Set(f); err != nil {
		p.t.Fatal(err)
	}
}

func noise(n int) []byte {
	data, r := make([]byte, n), rand.NewChaCha8([32]byte{})
	_, _ = r.Read(data)
	return data
}

// send says something and finishes; what the other side reads comes back.
func send(t *testing.T, from, to *net.TCPConn, data []byte) []byte {
	t.Helper()
	go func() {
		_, _ = from.Write(data)
		_ = from.CloseWrite()
	}()
	got, err := io.ReadAll(to)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEverythingPasses(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]Fault{
		"nothing": {}, "latency": {Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}, "slices": {Slice: 700}, "slow": {Bandwidth: 2 << 20},
		"all": {Latency: time.Millisecond, Slice: 1000, Bandwidth: 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 1)
			p.set(f)
			client, server := p.connect()
			up, down := noise(600_000), noise(300_000)
			if got := send(t, client, server, up); !bytes.Equal(got, up) {
				t.Errorf("%d bytes of %d came, or others", len(got), len(up))
			}
			// One side has finished, the other has not: that is nothing special.
			if got := send(t, server, client, down); !bytes.Equal(got, down) {
				t.Errorf("%d bytes of %d came back, or others", len(got), len(down))
			}
		})
	}
}

func TestLatencyAndBandwidthTakeTheirTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault Fault
		bytes int
		least time.Duration
	}{
		"latency":   {Fault{Latency: 100 * time.Millisecond}, 10, 200 * time.Millisecond},
		"bandwidth": {Fault{Bandwidth: 100_000}, 30_000, 450 * time.Millisecond}, // both ways, and the last piece is not waited for
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 1)
			p.set(c.fault)
			client, server := p.connect()
			data := noise(c.bytes)
			begun := time.Now()
			send(t, client, server, data)
			send(t, server, client, data)
			if took := time.Since(begun); took < c.least {
				t.Errorf("it took %s, at least %s was to be expected", took, c.least)
			}
		})
	}
}

// TestLatencyIsNoLimit: what waits does not keep from coming what is behind it.
func TestLatencyIsNoLimit(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1)
	p.set(Fault{Latency: 500 * time.Millisecond})
	client, server := p.connect()
	begun := time.Now()
	for range 20 {
		if _, err := client.Write([]byte("word")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // so that they are pieces of their own
	}
	_ = client.CloseWrite()
	if got, err := io.ReadAll(server); err != nil || len(got) != 80 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("20 words took %s, each waited for the one before", took)
	}
}

func TestFaultsOfARunningConnection(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1)
	client, server := p.connect()
	p.set(Fault{Latency: time.Hour})
	if _, err := client.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	p.set(Fault{})
	if _, err := io.ReadFull(server, make([]byte, 4)); err != nil {
		t.Errorf("what had been delayed did not come when the fault was over: %v", err)
	}
	if err := p.proxy.SetNew(Fault{Latency: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := send(t, client, server, []byte("again")); string(got) != "again" {
		t.Errorf("got %q", got)
	}
}

func TestEndsOfConnections(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(p *pair)
		want error
	}{
		"reset": {func(p *pair) { p.proxy.Reset() }, syscall.ECONNRESET},
		"cut":   {func(p *pair) { p.proxy.Cut() }, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 1)
			client, server := p.connect()
			c.do(p)
			for _, conn := range []*net.TCPConn{client, server} {
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, c.want) {
					t.Errorf("a side was told %v, want %v", err, c.want)
				}
			}
			p.connect() // the next one is whole
		})
	}
}

// TestWhoIsResetIsToldByTheProxy: a reset of one side reaches the other as one.
func TestWhoIsResetIsToldByTheProxy(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1)
	client, server := p.connect()
	reset(server)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client was told %v", err)
	}
}

// TestHalfOpen: nothing comes through, nobody is told, and afterwards nobody takes the connection for whole.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	for _, direction := range []Direction{Up, Down, Both} {
		p := newPair(t, 1)
		client, server := p.connect()
		p.set(Fault{Swallow: direction})
		speaker, listener := client, server
		if direction == Down {
			speaker, listener = server, client
		}
		if _, err := speaker.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		_ = speaker.CloseWrite()
		_ = listener.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := listener.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("%d bytes came, or news of the end: %v", n, err)
		}
		if direction != Both { // the way back is open
			if _, err := listener.Write([]byte("back")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(speaker, make([]byte, 4)); err != nil {
				t.Errorf("nothing came back: %v", err)
			}
		}
		p.set(Fault{})
		_ = listener.SetReadDeadline(time.Now().Add(limit))
		if _, err := listener.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after the fault: %v", err)
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestRefusing: nobody listens, and then somebody does at the same address.
func TestRefusing(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1)
	for range 3 {
		p.set(Fault{Refuse: true})
		if conn, err := net.DialTimeout("tcp", p.proxy.Address(), limit); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v, %v", conn, err)
		}
		p.set(Fault{})
		p.connect()
	}
}

// TestBreaksFollowFromTheSeed: connections break off at places that look like chance, and are the same for the same seed.
func TestBreaksFollowFromTheSeed(t *testing.T) {
	t.Parallel()
	places := func(seed uint64) (list []int) {
		p := newPair(t, seed)
		p.set(Fault{BreakEach: 10_000, Slice: 512})
		for range 5 {
			client, server := p.connect()
			got := 0
			go func() { _, _ = client.Write(noise(100_000)) }()
			for buffer := make([]byte, 4096); ; {
				n, err := server.Read(buffer)
				got += n
				if err != nil {
					break
				}
			}
			list = append(list, got)
		}
		return list
	}
	a, again, b := places(7), places(7), places(8)
	same := 0
	for i, n := range a {
		if n != again[i] || n < 10_000 || n >= 20_000 {
			t.Errorf("connection %d broke off after %d and %d bytes", i, n, again[i])
		}
		if n == b[i] {
			same++
		}
	}
	if same == len(a) {
		t.Errorf("another seed brings the same places: %v", a)
	}
}

// TestATargetThatIsAway: the client learns of it, and the next target is used.
func TestATargetThatIsAway(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1)
	target := p.proxy.target
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	p.proxy.Retarget(gone.Addr().String())
	conn, err := net.DialTimeout("tcp", p.proxy.Address(), limit)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(limit))
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	p.proxy.Retarget(target)
	p.connect()
}

// BenchmarkProxy is how much passes when nothing is set.
func BenchmarkProxy(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the benchmark is over
	p, err := New(listener.Addr().String(), 1)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	client, err := net.Dial("tcp", p.Address())
	if err != nil {
		b.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	data := noise(chunkSize)
	b.SetBytes(chunkSize)
	go func() {
		for range b.N {
			if _, err := client.Write(data); err != nil {
				return
			}
		}
		_ = client.Close()
	}()
	if n, err := io.Copy(io.Discard, server); err != nil || n != int64(b.N)*chunkSize {
		b.Errorf("%d bytes, %v", n, err)
	}
}
