package mcpserver

import (
	"context"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// maxFile bounds a file that is read as a resource, in bytes.
const maxFile = 1 << 20

// file shows a file: as text when it is one.
func (s *Server) file(ctx context.Context, who domain.Principal, name string) (*mcp.ResourceContents, error) {
	path, err := url.PathUnescape(name)
	if err != nil {
		return nil, domain.NewError(domain.BadRequest, "The address of the file is no address")
	}
	f, err := s.Files.ReadUpTo(ctx, who, path, maxFile)
	switch {
	case domain.KindOf(err) == domain.TooLarge:
		return nil, domain.NewError(domain.TooLarge, "The file is too large to be read like this")
	case err != nil:
		return nil, err
	case utf8.Valid(f.Content) && !strings.ContainsRune(string(f.Content), 0):
		return &mcp.ResourceContents{MIMEType: "text/plain", Text: string(f.Content)}, nil
	default:
		return &mcp.ResourceContents{MIMEType: "application/octet-stream", Blob: f.Content}, nil
	}
}
