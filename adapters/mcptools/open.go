package mcptools

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// open prepares the connection to a server of any kind.
func (s *server) open(l *link) (*connection, error) {
	switch {
	case s.Command != "":
		return s.openProgram(l)
	case s.URL != "":
		return s.openHTTP(l)
	default:
		return s.openInProcess(l.life)
	}
}

func (s *server) openProgram(l *link) (*connection, error) {
	p, err := startProgram(s)
	if err != nil {
		return nil, err
	}
	return &connection{
		Transport: &mcp.IOTransport{
			Reader: newLineReader(p.stdout, s.messageLimit(), l.budget, l.end, s.garbage), Writer: p, MaxLineLength: s.messageLimit() + 1,
		},
		release: p.stop, explain: p.reason, noted: true,
	}, nil
}

// garbage notes what a program printed that is no message. Many print a greeting where only messages belong.
func (s *server) garbage(line []byte) {
	s.log.Debug("tool server printed something that is no message", "bytes", len(line))
}

func (s *server) openInProcess(ctx context.Context) (*connection, error) {
	here, there := mcp.NewInMemoryTransports()
	session, err := s.InProcess.Connect(ctx, there, nil)
	if err != nil {
		return nil, err
	}
	return &connection{Transport: here, release: func() { _ = session.Close() }, noted: true}, nil
}
