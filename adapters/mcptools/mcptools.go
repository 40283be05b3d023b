// Package mcptools has tools called that MCP servers offer: programs that talk on standard input and output, servers behind streamable HTTP
// of either generation of the protocol, and servers inside this process. It starts, watches, restarts and stops them, and trusts none of
// them: whatever a server sends is bounded in size, number and time and changes nothing but what the model reads. It must not decide who
// may use which tool.
package mcptools

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// CallIDKey is the key in _meta of each call under which its server finds the call's id: the same one each time this call is made.
const CallIDKey = "gaia/callId"

// Defaults and bounds of a server's settings.
const (
	DefaultTimeout        = 30 * time.Second
	MaxTimeout            = time.Hour
	DefaultMaxResultBytes = 64 << 10
	MaxResultBytes        = 1 << 20
	DefaultConcurrency    = 8
	MaxConcurrency        = 64
)

// Server is one server of tools. Exactly one of Command, URL and InProcess is set.
type Server struct {
	Name string // letters, digits, "_", "-" and "."

	// A program that talks on standard input and output.
	Command string
	Args    []string
	Env     map[string]string // beside PATH, HOME, TMPDIR and LANG; nothing else of this process's environment reaches it
	Dir     string

	// A server behind streamable HTTP. Headers go with each request to the URL's host and nowhere else.
	URL     string
	Headers map[string]string

	// A server inside this process.
	InProcess *mcp.Server

	Disabled       bool
	Timeout        time.Duration       // of one call
	MaxResultBytes int                 // of one result's text
	Concurrency    int                 // calls at once; more wait
	Tools          []string            // patterns of the names of the tools that are taken; nil: all
	Repeatable     []string            // patterns of tools that may be called again with the same id, see domain.ToolSpec
	Redact         map[string][]string // arguments that nobody but the tool may see, by pattern of the tool's name; "*" are all
	RedactResults  []string            // patterns of tools whose results nobody but the model may see

	// TrustHints takes the server's word for which of its tools are read-only or idempotent, and thereby Repeatable. These hints are written
	// by the server: where one lies, or errs, a call whose outcome is unknown is made twice.
	TrustHints bool

	secrets []string // values that must not be logged
}

// Config is what Open needs.
type Config struct {
	Servers []Server
	// Environment looks up what PATH, HOME, TMPDIR and LANG are for programs. Nil: they have none of them.
	Environment func(name string) (string, bool)
	Version     string // of this program, which servers are told
	Log         *slog.Logger
	pace        pace
}

// pace is how patiently servers are treated.
type pace struct {
	connect   time.Duration // until a server has started and said who it is
	discover  time.Duration // until it has said whether it speaks the newer protocol
	list      time.Duration // for one page of tools
	health    time.Duration // between two checks
	answer    time.Duration // to a check
	relist    time.Duration // between two listings that the server wants
	refresh   time.Duration // between two listings that nobody wants, since news of a change can get lost
	retry     time.Duration // the first pause before a server is started again
	retryMax  time.Duration
	steady    time.Duration // a server that has been well for so long begins with the first pause again
	write     time.Duration // until a program must have read what it is told
	closing   time.Duration // for each step of stopping a program: closed input, SIGTERM, SIGKILL
	rpcGrace  time.Duration // for a session to say goodbye
	stderrBps int           // bytes of a program's standard error that are logged in a second
}

func (p pace) withDefaults() pace {
	d := pace{
		connect: time.Minute, discover: 10 * time.Second, list: 20 * time.Second, health: 30 * time.Second, answer: 10 * time.Second,
		relist: 2 * time.Second, refresh: 10 * time.Minute, retry: time.Second / 2, retryMax: time.Minute, steady: time.Minute,
		write: 10 * time.Second, closing: 2 * time.Second, rpcGrace: time.Second, stderrBps: 4 << 10,
	}
	p.connect, p.discover, p.list = cmp.Or(p.connect, d.connect), cmp.Or(p.discover, d.discover), cmp.Or(p.list, d.list)
	p.health, p.answer = cmp.Or(p.health, d.health), cmp.Or(p.answer, d.answer)
	p.relist, p.refresh = cmp.Or(p.relist, d.relist), cmp.Or(p.refresh, d.refresh)
	p.retry, p.retryMax, p.steady = cmp.Or(p.retry, d.retry), cmp.Or(p.retryMax, d.retryMax), cmp.Or(p.steady, d.steady)
	p.write, p.closing, p.rpcGrace = cmp.Or(p.write, d.write), cmp.Or(p.closing, d.closing), cmp.Or(p.rpcGrace, d.rpcGrace)
	p.stderrBps = cmp.Or(p.stderrBps, d.stderrBps)
	return p
}

// Servers implements ports.ToolServers.
type Servers struct {
	byName map[string]*server
	names  []string // sorted
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu    sync.Mutex
	specs []domain.ToolSpec // sorted, replaced whole
}

// Open starts the servers and does not wait for them. One that can't be started is tried again and again.
func Open(cfg Config) (*Servers, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.pace = cfg.pace.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Servers{byName: map[string]*server{}, cancel: cancel}
	for _, sc := range cfg.Servers {
		if err := sc.check(); err != nil {
			cancel()
			return nil, err
		}
		if s.byName[sc.Name] != nil {
			cancel()
			return nil, fmt.Errorf("two tool servers have the name %q", sc.Name)
		}
		s.byName[sc.Name] = newServer(sc, cfg, s.changed)
		s.names = append(s.names, sc.Name)
	}
	slices.Sort(s.names)
	for _, srv := range s.byName {
		if !srv.Disabled {
			s.all.Go(func() { srv.run(ctx) })
		}
	}
	return s, nil
}

// check sets defaults, and finds what no server can have.
func (s *Server) check() error {
	s.Timeout = cmp.Or(s.Timeout, DefaultTimeout)
	s.MaxResultBytes = cmp.Or(s.MaxResultBytes, DefaultMaxResultBytes)
	s.Concurrency = cmp.Or(s.Concurrency, DefaultConcurrency)
	kinds := 0
	for _, is := range []bool{s.Command != "", s.URL != "", s.InProcess != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case !serverName.MatchString(s.Name):
		return fmt.Errorf("%q can't be the name of a tool server: letters, digits, _, - and . only, 64 at most", s.Name)
	case kinds != 1:
		return fmt.Errorf("tool server %s: needs a command or a url, and not both", s.Name)
	case s.Timeout < 0 || s.Timeout > MaxTimeout:
		return fmt.Errorf("tool server %s: its timeout is not above 0 and at most %v", s.Name, MaxTimeout)
	case s.MaxResultBytes < 1 || s.MaxResultBytes > MaxResultBytes:
		return fmt.Errorf("tool server %s: max_result_bytes is not between 1 and %d", s.Name, MaxResultBytes)
	case s.Concurrency < 1 || s.Concurrency > MaxConcurrency:
		return fmt.Errorf("tool server %s: max_concurrent is not between 1 and %d", s.Name, MaxConcurrency)
	}
	return nil
}

// Ready waits until every server has been tried once, or until ctx ends.
func (s *Servers) Ready(ctx context.Context) {
	for _, srv := range s.byName {
		select {
		case <-srv.tried:
		case <-ctx.Done():
			return
		}
	}
}

// Close stops all servers and waits until no program of theirs runs any more.
func (s *Servers) Close() {
	s.cancel()
	s.all.Wait()
}

// changed puts the list of tools together anew.
func (s *Servers) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.specs = nil
	for _, name := range s.names {
		if cat := s.byName[name].catalogue(); cat != nil {
			for _, t := range cat.tools {
				s.specs = append(s.specs, t.spec)
			}
		}
	}
	slices.SortFunc(s.specs, func(a, b domain.ToolSpec) int { return strings.Compare(a.ID(), b.ID()) })
}

// Tools returns what the servers that are well offer, in the order of their IDs. It does not wait. Nobody may change what it returns.
func (s *Servers) Tools() []domain.ToolSpec {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.specs)
}

// Call has a tool called, see ports.ToolServers.
func (s *Servers) Call(ctx context.Context, call domain.ToolInvocation) (domain.ToolResult, error) {
	srv := s.byName[call.Server]
	if srv == nil {
		return domain.ToolResult{}, notFound(call)
	}
	return srv.call(ctx, call)
}

// notFound does not tell a server that is away from one that never was: for the model it is the same.
func notFound(call domain.ToolInvocation) error {
	id := domain.ToolSpec{Server: call.Server, Name: call.Tool}.ID()
	return domain.NewError(domain.NotFound, "There is no tool "+shorten(id, maxNameShown)+" at the moment")
}

// State is how a server is, for the operator.
type State struct {
	Name     string
	Kind     string // stdio, http or built in
	Status   Status
	Since    time.Time // of the status
	Tools    int       // that are taken
	LeftOut  int       // that are not, since a setting or a bound says so
	Protocol string    // the version in use; empty when the server is away
	Fault    string    // why it is away; never a secret
}

// Status of a server.
type Status string

// What a server can be.
const (
	Starting Status = "starting"
	Up       Status = "up"
	Down     Status = "down" // and tried again
	Off      Status = "disabled"
)

// States returns how each server is, in the order of their names.
func (s *Servers) States() []State {
	list := make([]State, len(s.names))
	for i, name := range s.names {
		list[i] = s.byName[name].state()
	}
	return list
}
