package forward

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// upload is the body of a request, for one attempt after the other.
type upload struct {
	again  func() (io.ReadCloser, error) // gives the body once more; nil when it can be read but once
	source io.Reader                     // nil: there is no body
	size   int64
	client *http.ResponseController

	mu      sync.Mutex // held while source is read
	touched atomic.Bool
	taken   atomic.Int64 // bytes
	err     error        // why source can't be read

	interrupted atomic.Bool // a read was made to fail, which net/http takes for the client leaving
}

// context is that of a request, as long as it tells of the client.
func (u *upload) context(of context.Context) (context.Context, context.CancelCauseFunc) {
	if u.source == nil || u.again != nil {
		return context.WithCancelCause(of)
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(of))
	stop := context.AfterFunc(of, func() {
		if !u.interrupted.Load() {
			cancel(context.Cause(of))
		}
	})
	return ctx, func(cause error) {
		stop()
		cancel(cause)
	}
}

// left is why the client has gone, if it has.
func (u *upload) left(ctx context.Context) error {
	if u.interrupted.Load() {
		return nil
	}
	return context.Cause(ctx)
}

// lastBytes is how long, in milliseconds, an answer waits for the end of a body that is still being read: most often it is there already.
const lastBytes = 20

// interruptEvery is how often a read that has to end is told so, at the latest.
const interruptEvery = 50 * time.Millisecond

func newUpload(w http.ResponseWriter, r *http.Request) *upload {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return &upload{}
	}
	return &upload{again: r.GetBody, source: r.Body, size: r.ContentLength, client: http.NewResponseController(w)}
}

// whole reports whether another attempt can send it.
func (u *upload) whole() bool { return u.source == nil || u.again != nil || !u.touched.Load() }

// partial reports whether some of a body has not been read: what is carried out when it has come was not. Of a body of unknown length only its end would
// tell, and that is read after what a service waits for.
func (u *upload) partial() bool {
	return u.source != nil && u.again == nil && u.size >= 0 && u.taken.Load() < u.size
}

// failure is why the client's body could not be read, if so.
func (u *upload) failure() error {
	if !u.mu.TryLock() {
		return nil // somebody waits for the client just now
	}
	defer u.mu.Unlock()
	return u.err
}

// attach makes the body of one attempt. A body that is read from the client as the service takes it is returned as well.
func (u *upload) attach(to *http.Request, v *vigil) (*pass, error) {
	if u.source == nil {
		to.Body = http.NoBody
		return nil, nil
	}
	to.ContentLength = u.size
	if u.again == nil {
		p := &pass{upload: u, vigil: v, over: make(chan struct{})}
		to.Body = p
		return p, nil
	}
	body, err := u.again()
	to.Body, to.GetBody = body, u.again
	return nil, err
}

// settle waits until nobody reads from the client any more.
func (u *upload) settle() {
	u.mu.Lock()
	defer u.mu.Unlock()
}

// pass is the body for one attempt.
type pass struct {
	upload  *upload
	vigil   *vigil
	over    chan struct{} // closed when the attempt has ended
	closed  atomic.Bool
	held    atomic.Bool // an answer has begun: what reads from here has to wait for its end
	reading atomic.Bool
}

var errPassClosed = errors.New("forward: the attempt has ended")

// Read reads from the client. As long as a client takes for the next piece, nobody waits for the service.
func (p *pass) Read(b []byte) (int, error) {
	n, err := p.read(b)
	if err != nil && p.held.Load() && !errors.Is(err, io.EOF) {
		<-p.over // to fail now would have net/http give the answer up
	}
	return n, err
}

func (p *pass) read(b []byte) (int, error) {
	u := p.upload
	u.mu.Lock()
	defer u.mu.Unlock()
	p.reading.Store(true)
	defer p.reading.Store(false)
	if p.closed.Load() {
		return 0, errPassClosed
	}
	u.touched.Store(true)
	p.vigil.rest()
	n, err := u.source.Read(b)
	u.taken.Add(int64(n))
	switch {
	case err == nil || errors.Is(err, io.EOF):
		p.vigil.wait()
	case p.closed.Load():
		err = errPassClosed
	default:
		u.err = err
	}
	return n, err
}

// Close ends the attempt's part in the body. It does not wait for a read.
func (p *pass) Close() error {
	p.closed.Store(true)
	return nil
}

// answered is called when the answer begins. What is left of the body is not wanted any more, if there is anything left.
func (p *pass) answered() {
	p.held.Store(true)
	for waited := 0; waited < lastBytes && p.reading.Load() && !p.whole(); waited++ {
		time.Sleep(time.Millisecond)
	}
	p.interrupt()
	p.upload.settle()
}

// interrupt ends a read that waits for the client, since nobody would take what it brings: net/http does not tell a failure before the read is
// over. The connection to the client can't be used for another request then, and would not be after half a body.
func (p *pass) interrupt() {
	if p.whole() {
		return
	}
	p.closed.Store(true)
	if p.reading.Load() {
		p.upload.interrupted.Store(true)
		go p.insist()
	}
}

// whole reports whether all was read but the end, which does not wait for the client.
func (p *pass) whole() bool { return p.upload.size >= 0 && p.upload.taken.Load() >= p.upload.size }

// insist sets the deadline again and again, for a body may set one of its own before it reads.
func (p *pass) insist() {
	for pause := time.Millisecond; p.reading.Load(); pause = min(2*pause, interruptEvery) {
		_ = p.upload.client.SetReadDeadline(time.Unix(1, 0))
		time.Sleep(pause)
	}
}
