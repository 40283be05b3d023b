package mcptools

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// result is what the model gets to read of what a tool gave back. Only text is passed on: what else there is, is named.
func (s *server) result(r *mcp.CallToolResult) domain.ToolResult {
	if r.NeedsInput() {
		s.log.Warn("tool server asked for what it does not get", "method", "input of a user or a model")
		return domain.ToolResult{Failed: true, Text: "The tool asked for more input, which it can't have."}
	}
	text := &boundedText{limit: s.MaxResultBytes}
	for _, c := range r.Content {
		text.line(contentText(c))
	}
	if text.empty() && r.StructuredContent != nil {
		if data, err := json.Marshal(r.StructuredContent); err == nil {
			text.line(string(data))
		}
	}
	if text.empty() && r.IsError {
		text.line("The tool failed and did not say why.")
	}
	result := domain.ToolResult{Text: text.String(), Failed: r.IsError, Truncated: text.cut}
	if data := onlyData(r.Content); len(data) <= s.MaxResultBytes {
		result.Data = string(data)
	} else {
		result.Truncated = true
	}
	return result
}

// onlyData returns the bytes of a result that is nothing else.
func onlyData(content []mcp.Content) []byte {
	if len(content) != 1 {
		return nil
	}
	switch c := content[0].(type) {
	case *mcp.ImageContent:
		return c.Data
	case *mcp.AudioContent:
		return c.Data
	case *mcp.EmbeddedResource:
		if c.Resource != nil {
			return c.Resource.Blob
		}
	}
	return nil
}

// refusal is a server's error. The model gets to read it, since it may have asked for the wrong thing.
func (s *server) refusal(e *jsonrpc.Error) domain.ToolResult {
	text := &boundedText{limit: s.MaxResultBytes}
	text.line(fmt.Sprintf("The tool server refused the call: %s (%d)", e.Message, e.Code))
	return domain.ToolResult{Text: text.String(), Failed: true, Truncated: text.cut}
}

// contentText is one part of a result.
func contentText(c mcp.Content) string {
	switch c := c.(type) {
	case *mcp.TextContent:
		return c.Text
	case *mcp.ImageContent:
		return notShown("image", c.MIMEType, len(c.Data))
	case *mcp.AudioContent:
		return notShown("audio", c.MIMEType, len(c.Data))
	case *mcp.EmbeddedResource:
		if c.Resource == nil {
			return ""
		}
		if c.Resource.Blob == nil {
			return c.Resource.Text
		}
		return notShown("resource", c.Resource.MIMEType, len(c.Resource.Blob))
	case *mcp.ResourceLink:
		return fmt.Sprintf("[link to a resource: %s]", shorten(c.URI, maxNameShown))
	default:
		return "[something that is no text]"
	}
}

func notShown(kind, mimeType string, size int) string {
	return fmt.Sprintf("[%s %s of %d bytes, not shown]", kind, shorten(mimeType, maxTitle), size)
}

// boundedText joins lines until there are enough.
type boundedText struct {
	b     strings.Builder
	limit int
	cut   bool
}

func (t *boundedText) empty() bool { return t.b.Len() == 0 }

func (t *boundedText) String() string { return t.b.String() }

func (t *boundedText) line(text string) {
	if text == "" || t.cut {
		return
	}
	room := t.limit - t.b.Len()
	if !t.empty() && room > 0 {
		t.b.WriteByte('\n')
		room--
	}
	whole := clean(strings.ToValidUTF8(text, "\uFFFD"))
	part := shorten(whole, max(room, 0))
	t.cut = len(part) < len(whole)
	t.b.WriteString(part)
}
