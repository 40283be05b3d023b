package natsbus

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sender is the connection on which stored events go out. It is never mended: a connection that comes back would deliver what it had
// buffered, however long after another process has sent the same, and could lose events between two that arrive.
type sender struct {
	mu    sync.Mutex // held while events are sent
	conn  *nats.Conn // nil when there is none
	js    jetstream.JetStream
	made  map[string]time.Time // when each stream was made, as far as is known
	fence *fence               // of conn
	looks map[string]*looking  // the last one through each stream
}

// beginSession connects unless there is a connection.
func (b *Bus) beginSession() error {
	s := &b.sender
	if s.conn != nil && s.conn.IsConnected() {
		return nil
	}
	s.end()
	f := &fence{}
	options := []nats.Option{
		nats.SetCustomDialer(f),
		nats.Name(b.cfg.Name + " events"), nats.NoReconnect(), nats.Timeout(connectTimeout), nats.FlusherTimeout(confirmWait),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.cfg.Logger.Warn("bus error", "error", err) }),
	}
	if b.server != nil {
		options = append(options, nats.InProcessServer(b.server))
	}
	conn, err := nats.Connect(b.cfg.URL, options...)
	if err != nil {
		return err
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		conn.Close()
		return err
	}
	s.conn, s.js, s.made, s.fence = conn, js, map[string]time.Time{}, f
	return nil
}

// end closes the connection. What it has not sent is not sent any more.
func (s *sender) end() {
	if s.conn != nil {
		s.fence.shut() // closing would send what is in the buffer
		s.conn.Close()
		s.conn, s.js = nil, nil
	}
}
