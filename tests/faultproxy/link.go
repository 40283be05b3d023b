package faultproxy

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// link is one connection and the one behind it.
type link struct {
	client *net.TCPConn
	done   chan struct{} // closed when it has to end

	mu      sync.Mutex
	server  *net.TCPConn // nil until it is connected
	fault   Fault
	changed chan struct{} // closed when there is another fault
	chance  *rand.Rand
	left    int // bytes until it breaks, if it does
	lost    bool
	ended   bool
}

func newLink(client *net.TCPConn, f Fault, chance *rand.Rand) *link {
	l := &link{client: client, done: make(chan struct{}), chance: chance}
	l.take(f)
	return l
}

// take makes a fault the one that counts. l.mu is held, or nobody else knows l.
func (l *link) take(f Fault) {
	l.fault, l.changed, l.left = f, make(chan struct{}), 0
	if f.BreakEach > 0 {
		l.left = f.BreakEach + l.chance.IntN(f.BreakEach)
	}
}

func (l *link) change(f Fault) {
	l.mu.Lock()
	changed := l.changed
	l.take(f)
	broken := l.lost && f.Swallow == 0
	l.mu.Unlock()
	close(changed)
	if broken {
		l.finish(true)
	}
}

func (l *link) now() (f Fault, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault, l.changed
}

// finish ends the link.
func (l *link) finish(abrupt bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	close(l.done)
	for _, c := range []*net.TCPConn{l.client, l.server} {
		switch {
		case c == nil:
		case abrupt:
			reset(c)
		default:
			_ = c.Close()
		}
	}
}

// connect takes the other side, unless the link has ended.
func (l *link) connect(server *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		reset(server)
		return false
	}
	l.server = server
	return true
}

// run passes on until both sides have finished or the link has to end.
func (l *link) run(server *net.TCPConn) {
	if !l.connect(server) {
		return
	}
	var running sync.WaitGroup
	for _, w := range []*way{newWay(l, Up, l.client, server), newWay(l, Down, server, l.client)} {
		running.Go(w.read)
		running.Go(w.write)
	}
	running.Wait()
	l.finish(false)
}

// lose notes that something is gone for good.
func (l *link) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = true
}

// spend counts bytes and returns how many of them may still pass, and whether the link breaks after them.
func (l *link) spend(n int) (may int, breaks, abrupt bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault.BreakEach == 0 {
		return n, false, false
	}
	may = min(n, l.left)
	l.left -= may
	return may, l.left == 0, l.fault.Abrupt
}

// way is one direction of a link.
type way struct {
	*link
	direction Direction
	from, to  *net.TCPConn
	chunks    chan chunk
	free      chan []byte
}

// chunk is something on its way. Without data it is the end.
type chunk struct {
	data  []byte
	came  time.Time
	reset bool // the side that spoke was reset
}

func newWay(l *link, d Direction, from, to *net.TCPConn) *way {
	return &way{l, d, from, to, make(chan chunk, maxChunks), make(chan []byte, maxChunks+1)}
}

func (w *way) read() {
	defer close(w.chunks)
	for {
		buffer := w.buffer()
		n, err := w.from.Read(buffer)
		if n > 0 && !w.pass(chunk{data: buffer[:n], came: time.Now()}) {
			return
		}
		if err != nil {
			w.pass(chunk{came: time.Now(), reset: !errors.Is(err, io.EOF)})
			return
		}
	}
}

func (w *way) buffer() []byte {
	select {
	case b := <-w.free:
		return b[:cap(b)]
	default:
		return make([]byte, chunkSize)
	}
}

func (w *way) pass(c chunk) bool {
	select {
	case w.chunks <- c:
		return true
	case <-w.done:
		return false
	}
}

func (w *way) write() {
	for c := range w.chunks {
		if !w.delay(c.came) || !w.deliver(c) {
			return
		}
		if c.data != nil {
			w.free <- c.data // there is room for all that there are
		}
	}
}

// delay waits until what came then is due, by the fault that counts meanwhile.
func (w *way) delay(came time.Time) bool {
	luck := -1.0
	for {
		f, changed := w.now()
		if f.Latency == 0 && f.Jitter == 0 {
			return true
		}
		if luck < 0 {
			luck = w.luck()
		}
		due := came.Add(f.Latency + time.Duration(luck*float64(f.Jitter)))
		if over, goesOn := w.wait(time.Until(due), changed); over || !goesOn {
			return goesOn
		}
	}
}

func (w *way) luck() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chance.Float64()
}

// wait waits for a while. It is over when all of it has passed, and not when the fault has changed.
func (w *way) wait(d time.Duration, changed <-chan struct{}) (over, goesOn bool) {
	if d <= 0 {
		return true, true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, true
	case <-changed:
		return false, true
	case <-w.done:
		return false, false
	}
}

// deliver does with a chunk what the fault says, and reports whether more may come.
func (w *way) deliver(c chunk) bool {
	if c.data == nil {
		return w.end(c.reset)
	}
	for rest := c.data; len(rest) > 0; {
		f, changed := w.now()
		if f.Swallow&w.direction != 0 {
			w.lose()
			return true
		}
		piece := rest[:f.piece(len(rest))]
		may, breaks, abrupt := w.spend(len(piece))
		if _, err := w.to.Write(piece[:may]); err != nil {
			return w.unheard()
		}
		if breaks {
			w.finish(abrupt)
			return false
		}
		rest = rest[may:]
		if f.Bandwidth > 0 {
			if _, goesOn := w.wait(time.Duration(may)*time.Second/time.Duration(f.Bandwidth), changed); !goesOn {
				return false
			}
		}
	}
	return true
}

// piece is how much of so many bytes goes at once.
func (f Fault) piece(n int) int {
	if f.Slice > 0 {
		n = min(n, f.Slice)
	}
	if f.Bandwidth > 0 { // ten times a second is smooth enough
		n = min(n, max(1, f.Bandwidth/10))
	}
	return n
}

// end passes on that a side has finished.
func (w *way) end(abrupt bool) bool {
	switch f, _ := w.now(); {
	case f.Swallow&w.direction != 0:
		w.lose()
	case abrupt:
		w.finish(true)
	default:
		_ = w.to.CloseWrite() // who can't be told has gone
	}
	return false
}

// unheard is for bytes that nobody takes any more. Who sent them learns of that, unless what would tell is swallowed.
func (w *way) unheard() bool {
	if f, _ := w.now(); f.Swallow&(Both&^w.direction) != 0 {
		w.lose()
		return true
	}
	w.finish(true)
	return false
}
