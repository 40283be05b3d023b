package forward

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"

	"gaia/domain"
)

// Observe is told of each attempt to hand a request on, before it is made, and of requests for which none can be made. It may add to the
// headers that go with the attempt, and returns what is called when it is over.
type Observe func(ctx context.Context, a Attempt, header http.Header) func(Ending)

// Attempt is one try to hand a request on. Nothing in it comes from a client, but for the method.
type Attempt struct {
	Service domain.Service
	Method  string
	Host    string // of the address that is asked; empty: none can be
	Port    int
	Number  int // from 1
}

// Ending is how an attempt went.
type Ending struct {
	Status int    // of the answer; 0: there was none
	Failed string // why it failed, of a small set; empty: it did not
	Again  int    // how often it was sent once more on another connection, because a kept one was closed
}

// observe tells of an attempt. What comes back is never nil.
func (p *passage) observe(e *endpoint, n int, header http.Header) func(Ending) {
	if p.group.config.Observe == nil {
		return unobserved
	}
	a := Attempt{Service: p.hop.Service, Method: p.request.Method, Number: n + 1}
	if e != nil {
		host, port, _ := net.SplitHostPort(e.dial)
		a.Host = host
		a.Port, _ = strconv.Atoi(port)
	}
	return p.group.config.Observe(p.request.Context(), a, header)
}

func unobserved(Ending) {}

// Why attempts fail.
const (
	reasonAway     = "away"     // no address can be asked: those that there are have failed too often, are busy, or are not known
	reasonTimeout  = "timeout"  // no answer in time
	reasonConnect  = "connect"  // no connection
	reasonRefused  = "refused"  // the service does not believe what this process signs
	reasonForeign  = "foreign"  // something else has answered
	reasonUnheard  = "unheard"  // the process hangs, or has failed meanwhile
	reasonRationed = "rationed" // too many requests are sent again
	reasonLost     = "lost"     // the connection broke before the answer began
	reasonBroken   = "broken"   // and after that
	reasonCanceled = "canceled" // the client has gone, or its body can't be read
	reasonOwnFault = "error"    // of this process
)

// reason names why an attempt has failed.
func (p *passage) reason(f *failure) string {
	var unconnected *connectError
	client := p.client(f)
	switch {
	case client != nil && domain.KindOf(client) == domain.Internal && p.upload.failure() == nil:
		return reasonOwnFault
	case client != nil:
		return reasonCanceled
	case f.late:
		return reasonTimeout
	case errors.Is(f.err, errRefused):
		return reasonRefused
	case errors.Is(f.err, errForeign):
		return reasonForeign
	case errors.Is(f.err, errUnheard), errors.Is(f.err, errMoved):
		return reasonUnheard
	case errors.Is(f.err, errRationed):
		return reasonRationed
	case errors.As(f.err, &unconnected):
		return reasonConnect
	default:
		return reasonLost
	}
}

// brokenBy names why an answer that has begun did not come to its end.
func brokenBy(err error) string {
	switch {
	case err == nil:
		return ""
	case domain.KindOf(err) == domain.Canceled:
		return reasonCanceled
	default:
		return reasonBroken
	}
}
