package mcptools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The first version of the protocol that has neither sessions nor ping, and the last one before.
const (
	statelessVersion = "2026-07-28"
	sessionsVersion  = "2025-11-25"
)

const (
	methodDiscover = "server/discover"
	methodAlive    = "gaia/alive" // never sent: it stands for methodDiscover, for which the SDK has no call
)

var errClosed = errors.New("it has closed the connection")

// link is one connection to a server.
type link struct {
	session     *mcp.ClientSession
	life        context.Context // ends when the connection is of no use any more, with the reason as its cause
	end         context.CancelCauseFunc
	budget      *budget
	listChanged chan struct{} // the server says that it has other tools
	suspect     chan struct{} // calls are not answered
	waited      chan struct{} // closed when the session is over
	farewell    time.Duration
	release     func() // ends the program, or the requests, and closes the connection
}

// connection is what a kind of server brings along.
type connection struct {
	mcp.Transport
	release func()
	explain func(error) error // says why the connection is over, where the transport knows better; may be nil
	noted   bool              // calls are noted when they are written; else the transport does it

	mu     sync.Mutex
	opened mcp.Connection
}

// Connect remembers the connection: one that was refused is not closed otherwise.
func (c *connection) Connect(ctx context.Context) (mcp.Connection, error) {
	opened, err := c.Transport.Connect(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = opened
	if err == nil && c.noted {
		return noted{opened}, nil
	}
	return opened, err
}

// noted notes of calls that they are sent.
type noted struct{ mcp.Connection }

// Write implements mcp.Connection. Once ctx has ended, nothing is written: a call that is not noted by then has not been sent.
func (n noted) Write(ctx context.Context, m jsonrpc.Message) error {
	call, _ := ctx.Value(flightKey{}).(*flight)
	if request, ok := m.(*jsonrpc.Request); ok && request.IsCall() && call != nil && ctx.Err() == nil {
		call.sent.Store(true)
	}
	return n.Connection.Write(ctx, m)
}

// free ends everything, at once: what could still be told has been told.
func (c *connection) free() {
	c.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened != nil {
		_ = c.opened.Close()
	}
}

func (c *connection) reason(err error) error {
	if c.explain != nil {
		return c.explain(err)
	}
	return err
}

// connect starts a server and greets it.
func (s *server) connect(ctx context.Context) (*link, error) {
	life, end := context.WithCancelCause(ctx)
	l := &link{
		life: life, end: end, listChanged: make(chan struct{}, 1), suspect: make(chan struct{}, 1), waited: make(chan struct{}),
		budget: newBudget(s.messageLimit(), s.Concurrency), farewell: s.cfg.pace.rpcGrace,
	}
	conn, err := s.open(l)
	if err != nil {
		end(err)
		return nil, err
	}
	l.release = conn.free
	l.session, err = s.greet(l, conn)
	if err != nil {
		cause := context.Cause(life) // what the transport saw says more than what the SDK made of it
		if err = conn.reason(err); cause != nil && ctx.Err() == nil {
			err = cause
		}
		end(err)
		return nil, err
	}
	go func() {
		defer close(l.waited)
		end(conn.reason(cmp.Or(l.session.Wait(), errClosed)))
	}()
	return l, nil
}

// greet opens the session. A program that does not read what it is told keeps the SDK waiting, whatever the context says.
func (s *server) greet(l *link, conn *connection) (*mcp.ClientSession, error) {
	ctx, cancel := context.WithTimeout(l.life, s.cfg.pace.connect)
	defer cancel()
	client, options := s.client(l), s.sessionOptions()
	l.budget.grant(3 * s.messageLimit())
	var session *mcp.ClientSession
	var err error
	greeted := make(chan struct{})
	go func() {
		defer close(greeted)
		session, err = client.Connect(ctx, conn, options)
	}()
	select {
	case <-greeted:
	case <-ctx.Done():
		conn.free()
		<-greeted
		err = cmp.Or(err, ctx.Err())
	}
	if err == nil {
		return session, nil
	}
	conn.free()
	if session != nil {
		_ = session.Close()
	}
	if options != nil {
		s.oldOnly = false // it was not that
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w within %v", errSilent, s.cfg.pace.connect)
	}
	return nil, err
}

func (s *server) sessionOptions() *mcp.ClientSessionOptions {
	if s.oldOnly {
		return &mcp.ClientSessionOptions{ProtocolVersion: sessionsVersion}
	}
	return nil
}

// client makes a client that offers servers nothing: no sampling, no questions to users, no roots.
func (s *server) client(l *link) *mcp.Client {
	client := mcp.NewClient(&mcp.Implementation{Name: "gaia", Version: cmp.Or(s.cfg.Version, "dev")}, &mcp.ClientOptions{
		Logger:         slog.New(slog.DiscardHandler), // its texts may hold URLs, which may hold credentials
		Capabilities:   &mcp.ClientCapabilities{},
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {
			notify(l.listChanged)
		},
	})
	client.AddReceivingMiddleware(s.refuse)
	client.AddSendingMiddleware(s.greetBriefly)
	if err := mcp.AddSendingCustomMethod[*mcp.DiscoverParams, *mcp.DiscoverResult](client, methodAlive); err != nil {
		panic(err) // the name is of nobody else
	}
	return client
}

// notify never waits.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// refuse answers whatever a server asks for, but for a sign of life, with an error.
func (s *server) refuse(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		switch method {
		case "sampling/createMessage", "elicitation/create", "roots/list":
			s.log.Warn("tool server asked for what it does not get", "method", method)
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "not offered"}
		}
		return next(ctx, method, req)
	}
}

// greetBriefly gives a server of the older protocol, of which some answer nothing that they don't know, the time to be greeted again in its
// own way. And it lets the method of the greeting be used later.
func (s *server) greetBriefly(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		switch method {
		case methodAlive:
			return next(ctx, methodDiscover, req)
		case methodDiscover:
			brief, cancel := context.WithTimeout(ctx, s.cfg.pace.discover)
			defer cancel()
			res, err := next(brief, method, req)
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				s.oldOnly = true // Connect has returned before run looks at it
			}
			return res, err
		}
		return next(ctx, method, req)
	}
}

// protocol is the version in use.
func (l *link) protocol() string { return l.session.InitializeResult().ProtocolVersion }

// ping asks for a sign of life.
func (l *link) ping(ctx context.Context) error {
	_, err := ask(ctx, func(ctx context.Context) (struct{}, error) {
		if l.protocol() < statelessVersion {
			return struct{}{}, l.session.Ping(ctx, nil)
		}
		_, err := mcp.CallCustomMethod[*mcp.DiscoverParams, *mcp.DiscoverResult](ctx, l.session, methodAlive, &mcp.DiscoverParams{})
		return struct{}{}, err
	})
	return err
}

// ask sends a request and returns when ctx ends, at the latest: the SDK waits until a program has read what it is told.
func ask[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		value, err := request(ctx)
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// close says goodbye and frees everything. It returns when no goroutine and no program of the connection is left.
func (l *link) close() {
	l.end(errClosed)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = l.session.Close()
	}()
	select {
	case <-closed:
	case <-time.After(l.farewell):
	}
	l.release()
	<-closed
	<-l.waited
}
