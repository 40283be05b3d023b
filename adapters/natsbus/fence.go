package natsbus

import (
	"net"
	"sync/atomic"
	"time"
)

// fence makes connections that let nothing out after a time. A process that was halted, with events in the buffer of its connection, would
// send them as soon as it goes on, while another one has long sent the same. It goes by the clock: timers come late in such a process.
// Connections to an embedded server have none: nobody else sends there.
type fence struct {
	end atomic.Pointer[time.Time] // nil: there is no end
}

// until sets the time. The zero time is none.
func (f *fence) until(end time.Time) {
	if end.IsZero() {
		f.end.Store(nil)
		return
	}
	f.end.Store(&end)
}

// shut lets nothing out any more.
func (f *fence) shut() { f.until(time.Unix(0, 0)) }

// Dial implements nats.CustomDialer.
func (f *fence) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectTimeout}).Dial(network, address)
	if err != nil {
		return nil, err
	}
	return fenced{conn, f}, nil
}

type fenced struct {
	net.Conn
	fence *fence
}

// Write implements net.Conn.
func (c fenced) Write(p []byte) (int, error) {
	if end := c.fence.end.Load(); end != nil && !time.Now().Before(*end) {
		return 0, errSlow
	}
	return c.Conn.Write(p)
}
