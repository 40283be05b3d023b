package forward

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	"gaia/domain"
)

const (
	// suspicious is how long an answer may be waited for before somebody looks whether the service still lives, again and again.
	suspicious = time.Second
	// shortPause is the longest pause before the second attempt; it doubles with each.
	shortPause = 25 * time.Millisecond
)

// passage is one request on its way, through as many attempts as it takes.
type passage struct {
	group    *group
	request  *http.Request
	hop      domain.Hop
	upload   *upload
	stay     *stay
	deadline time.Time // for the head of the answer; what the client needs for its body comes on top
	tried    []*endpoint
}

// attempt is a request that was answered, or is about to be.
type attempt struct {
	endpoint *endpoint
	service  domain.Service
	response *http.Response
	held     []*[pieceSize]byte // of the answer, read before it is passed on
	body     *pass              // nil: there is none, or it is not read from the client
	vigil    *vigil
	cancel   context.CancelCauseFunc
	told     func(Ending)
	again    int // how often it was sent once more
}

func (a *attempt) end() {
	a.vigil.stop()
	a.cancel(context.Canceled)
	if a.body != nil {
		a.body.interrupt()
		close(a.body.over)
	}
	for i := range a.held {
		a.letGo(i)
	}
	a.endpoint.release()
}

// How an attempt can fail, by what the service may have seen of it.
type failure struct {
	err    error
	sent   bool // the service may have seen the request
	late   bool // the time is over
	status int  // of an answer that is none of the service
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func (f *failure) cause() error {
	if f == nil {
		return nil
	}
	return f.err
}

var (
	errNobody   = errors.New("no address can be used")
	errLate     = errors.New("no answer in time")
	errSilent   = errors.New("nothing was sent for too long")
	errUnheard  = errors.New("the service hangs")
	errRationed = errors.New("too many requests are sent again")
	errTwice    = errors.New("the connection broke after the request was sent")
	errRefused  = errors.New("the service does not believe what this process signs")
	errMoved    = errors.New("the address has failed meanwhile")
	errForeign  = errors.New("something that is no service of Gaia")
)

// ask sends the request until somebody answers it.
func (p *passage) ask() (*attempt, error) {
	p.group.budget.earn()
	p.group.counts.requests.Add(1)
	var failed *failure
	for n := 0; ; n++ {
		e := p.group.pick(p.tried)
		if e == nil {
			p.group.counts.away.Add(1)
			p.observe(nil, n, nil)(Ending{Failed: reasonAway})
			return nil, p.away(errors.Join(errNobody, failed.cause()), true)
		}
		if n > 0 {
			p.group.counts.retries.Add(1)
		}
		var a *attempt
		a, failed = p.try(e, n)
		if failed == nil {
			return a, nil
		}
		if err := p.client(failed); err != nil {
			return nil, err
		}
		p.group.counts.failed(failed)
		p.tried = append(p.tried, e)
		if !p.may(failed, n) {
			return nil, p.away(failed, !failed.sent || p.repeatable())
		}
		if err := p.pause(n, e); err != nil {
			return nil, err
		}
	}
}

// repeatable reports whether the service may see the request twice.
func (p *passage) repeatable() bool {
	switch p.request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return p.hop.Repeatable
}

// may reports whether there is another attempt after n others failed.
func (p *passage) may(f *failure, n int) bool {
	if f.late || f.sent && !p.repeatable() || !p.upload.whole() || n >= p.group.config.Retries || time.Until(p.deadline) <= 0 {
		return false
	}
	return !f.sent && p.group.another(p.tried[n]) || p.group.spend() // what nobody has seen is no load
}

// pause waits before another attempt, a little longer each time, unless there is another address.
func (p *passage) pause(n int, failed *endpoint) error {
	if p.group.another(failed) && n == 0 {
		return nil
	}
	longest := min(shortPause<<min(n, 10), p.group.config.RetryDelay, time.Until(p.deadline))
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(max(longest, 1))))) // #nosec G404 -- spreads attempts, guards nothing
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.request.Context().Done():
		return canceled(context.Cause(p.request.Context()))
	}
}

// client is the error of a request that its client gave up or broke, or that this process ends because it has to stop.
func (p *passage) client(f *failure) error {
	left, broken := p.left(f.sent), p.upload.failure()
	if left == nil && errors.Is(f.err, domain.ErrStopping) { // while the body was read
		left = f.err
	}
	switch cause := context.Cause(p.request.Context()); {
	case left == nil && broken == nil: // the service's fault, or one of this process
	case errors.Is(cause, domain.ErrStopping) && f.sent && !p.repeatable() && !p.upload.partial():
		return domain.OutcomeUnknown("The server is shutting down before the answer was complete", cause)
	case left != nil:
		return canceled(left)
	default:
		return fmt.Errorf("forward: body of the request: %w", broken)
	}
	var told *domain.Error
	if errors.As(f.err, &told) {
		return told
	}
	return nil
}

// left is why nobody waits for an answer any more, if so. What nobody has seen is over when its client's context is.
func (p *passage) left(sent bool) error {
	if sent {
		return p.upload.left(p.stay.ctx)
	}
	return p.upload.left(p.request.Context())
}

// away is the error of a service that can't be had. Where a request may have been carried out, nobody is invited to send it again.
func (p *passage) away(cause error, inviting bool) error {
	message := fmt.Sprintf("Service %s unavailable", p.hop.Service)
	if errors.Is(cause, errForeign) {
		message += ": something else answers in its place"
	}
	cause = fmt.Errorf("forward to %s: %w", p.hop.Service, cause)
	if !inviting {
		return domain.OutcomeUnknown(message, cause)
	}
	err := domain.MissingPart(message, cause)
	err.RetryAfter = p.group.comeBack()
	return err
}

// try makes one attempt, after n others. It is given back, and has to be ended, when it was answered.
func (p *passage) try(e *endpoint, n int) (*attempt, *failure) {
	out, used := outgoing(p.request, e), used{}
	told := p.observe(e, n, out.Header)
	a, f := p.send(e, out, &used)
	if f != nil {
		told(Ending{Status: f.status, Failed: p.reason(f), Again: used.times})
		return nil, f
	}
	a.told, a.again = told, used.times
	return a, nil
}

// send sends the request and waits for the head of the answer.
func (p *passage) send(e *endpoint, out *http.Request, used *used) (*attempt, *failure) {
	p.stay.sent.Store(false)
	ctx, cancel := p.upload.context(p.stay.ctx)
	a := &attempt{endpoint: e, service: p.hop.Service, cancel: cancel}
	begun := e.group.config.Now()
	a.vigil = newVigil(max(time.Until(p.deadline), time.Millisecond), suspicious, func() { cancel(errLate) }, func() { p.doubt(e, begun, cancel) })
	used.again = func(sent bool) bool {
		switch {
		case sent && !p.repeatable():
			cancel(errTwice)
		case !p.group.spend():
			cancel(errRationed)
		default:
			p.group.counts.retries.Add(1)
			used.times++
			return true
		}
		return false
	}
	var err error
	if a.body, err = p.upload.attach(out, a.vigil); err == nil {
		err = p.sign(out)
	}
	used.body, used.stay = a.body, p.stay
	if err != nil {
		a.end()
		return nil, &failure{err: &domain.Error{Kind: domain.Internal, Message: "Internal server error", Cause: err}}
	}
	if p.upload.source != nil && (p.upload.size < 0 || p.upload.size >= largeUpload) {
		out.Header["Expect"] = []string{"100-continue"}
	}
	signed := time.Now()
	a.response, err = e.transport.RoundTrip(out.WithContext(httptrace.WithClientTrace(ctx, used.trace()))) //nolint:bodyclose // the relay closes it
	if err == nil && a.response.Header.Get(domain.RefusedHeader) != "" {
		_ = a.response.Body.Close()
		e.refused(time.Since(signed))
		a.end()
		return nil, &failure{err: errRefused}
	}
	if err == nil && p.isForeign(e, a.response, used) {
		_ = a.response.Body.Close()
		err = fmt.Errorf("status %d from %w", a.response.StatusCode, errForeign)
		e.failed(err, true)
		e.probeNow()
		a.end()
		return nil, &failure{err: err, sent: true, status: a.response.StatusCode}
	}
	if err == nil {
		err = a.readAhead()
	}
	if err != nil {
		f := p.judge(e, ctx, used, begun, err)
		a.end()
		return nil, f
	}
	e.succeeded()
	a.vigil.begun(e.patience(a.response.Header))
	if a.body != nil {
		a.body.answered()
	}
	return a, nil
}

// sign says to the service who asks. It is done for each attempt: what is signed is good for a short time only.
func (p *passage) sign(out *http.Request) error {
	signed, err := p.group.config.Sign(p.hop.Caller, string(p.hop.Service))
	out.Header[identityHeader] = []string{signed}
	return err
}

// judge says what became of an attempt without an answer, and lets the address know.
func (p *passage) judge(e *endpoint, ctx context.Context, used *used, begun time.Time, err error) *failure {
	cause := context.Cause(ctx)
	f := &failure{err: err, sent: used.sent(), late: errors.Is(cause, errLate)}
	var unconnected *connectError
	switch {
	case p.left(f.sent) != nil, p.upload.failure() != nil: // not the service's fault
	case f.late:
		f.err = errLate
		e.late(begun, errLate)
	case errors.Is(cause, errUnheard):
		f.err = errUnheard
	case errors.Is(cause, errMoved):
		f.err = errMoved
	case errors.As(err, &unconnected), f.sent:
		e.failed(err, false)
	}
	if used.reused {
		e.transport.CloseIdleConnections() // whoever has closed this one has closed the others too
	}
	return f
}

// doubt is called while an answer is waited for: is there still somebody who could give it? A request that may be sent again does not wait for
// an address that has failed. Any other one does, for the process may go on, or finish what it has begun before it stops; but not for one
// of which nothing is heard for so long that it would refuse the request if it went on.
func (p *passage) doubt(e *endpoint, begun time.Time, cancel context.CancelCauseFunc) {
	if e.unheard(begun) {
		cancel(errUnheard)
		return
	}
	if e.dead() {
		if p.repeatable() && p.upload.whole() && p.group.another(e) {
			cancel(errMoved)
		}
		return
	}
	e.probeNow()
}

// isForeign tells an answer of something that stands before a service, or in its place: a mesh, a proxy, whatever has got the address. One of
// before services marked their answers, which a newer gateway meets while all of them are replaced, is only known by what it says when it
// fails: JSON. What has answered over a connection that is newer than what is known of the process may be such a one, which has taken the place
// of a newer one: that has to be known first, for the request was carried out then.
func (p *passage) isForeign(e *endpoint, r *http.Response, used *used) bool {
	if r.Header.Get(domain.AnswerHeader) != "" {
		return false
	}
	if used.conn != nil && !e.isOlder() && !e.lookedSince(used.conn.made) {
		e.probe(context.WithoutCancel(p.request.Context()), used.conn.made)
	}
	return !e.isOlder() || r.StatusCode >= http.StatusInternalServerError && !isJSON(r.Header)
}

// used is the connection that an attempt has got.
type used struct {
	body   *pass
	stay   *stay
	got    bool
	conn   *countedConn // nil: it is none that counts
	before int64
	reused bool
	times  int                  // that it was sent again
	again  func(sent bool) bool // net/http wants to send once more, as it does when a kept connection was closed: may it?
}

func (u *used) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if u.got && !u.again(u.sent()) {
			_ = i.Conn.Close()
			return
		}
		u.got, u.reused = true, i.Reused
		u.stay.sent.Store(true)
		conn := i.Conn
		if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = secured.NetConn() // what TLS has to say counts as sent: that errs on the safe side
		}
		if u.conn, _ = conn.(*countedConn); u.conn == nil {
			return
		}
		u.before = u.conn.sent.Load()
		if u.body != nil {
			tell := u.body.interrupt
			u.conn.closed.Store(&tell)
		} else {
			u.conn.closed.Store(nil)
		}
	}}
}

// sent reports whether anything may have reached the service.
func (u *used) sent() bool {
	return u.got && (u.conn == nil || u.conn.sent.Load() > u.before)
}
