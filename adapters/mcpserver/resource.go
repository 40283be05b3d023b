package mcpserver

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// resource is a kind of thing that callers can read by an address.
type resource struct {
	prefix   string // of its address; what follows names the thing
	variable string // how the template writes what follows
	suffix   string // of its address, behind the name; a name has no slash unless its variable says that it is a path
	title    string
	about    string
	scope    string
	read     func(ctx context.Context, who domain.Principal, name string) (*mcp.ResourceContents, error)
	complete func(ctx context.Context, who domain.Principal, begin string) ([]string, error)
}

func (s *Server) resources() []resource {
	all := []resource{
		{
			prefix: "gaia://personas/", variable: "{id}", title: "Persona", scope: "personas:read", about: "A persona with its system prompt.",
			read: func(ctx context.Context, _ domain.Principal, name string) (*mcp.ResourceContents, error) {
				id, ok := domain.ParseID(name)
				if !ok {
					return nil, domain.NewError(domain.NotFound, "Persona not found: "+name)
				}
				persona, err := s.Personas.Get(ctx, id)
				if err != nil {
					return nil, err
				}
				return asJSON(detailsOf(persona))
			},
			complete: s.personaIDs,
		},
		{
			prefix: "gaia://conversations/", variable: "{id}", title: "Conversation", scope: "chat:read",
			about: "What was said last in one of the caller's conversations, the newest first.",
			read: func(ctx context.Context, who domain.Principal, name string) (*mcp.ResourceContents, error) {
				list, err := s.messages(ctx, who, conversationRef{ID: name, Limit: maxMessages})
				if err != nil {
					return nil, err
				}
				return asJSON(list)
			},
			complete: s.conversationIDs,
		},
	}
	if s.Workflows != nil {
		all = append(all, resource{
			prefix: "gaia://workflows/", variable: "{id}", title: "Workflow", scope: "workflows:read",
			about: "One of the caller's workflows with its steps so far.",
			read: func(ctx context.Context, who domain.Principal, name string) (*mcp.ResourceContents, error) {
				details, err := s.workflow(ctx, who, name)
				if err != nil {
					return nil, err
				}
				return asJSON(details)
			},
			complete: s.workflowIDs,
		})
	}
	if s.Files != nil {
		all = append(all, resource{
			prefix: "gaia://files/", variable: pathVariable, title: "File", scope: "filesystem:read", about: "A file, by its path below the root of files.",
			read: s.file,
		})
	}
	if s.Assets != nil {
		all = append(all, s.assetResources()...)
	}
	return all
}

// template is how the addresses of a kind are written.
func (r resource) template() string { return r.prefix + r.variable + r.suffix }

// nameIn finds the name in an address. ok is false when it is none of this kind.
func (r resource) nameIn(uri string) (name string, ok bool) {
	name, ok = strings.CutPrefix(uri, r.prefix)
	if ok {
		name, ok = strings.CutSuffix(name, r.suffix)
	}
	return name, ok && name != "" && (r.variable == pathVariable || !strings.Contains(name, "/"))
}

// pathVariable is how templates write a name that may have slashes.
const pathVariable = "{+path}"

// asJSON is a resource that shows a value.
func asJSON(v any) (*mcp.ResourceContents, error) {
	text, err := json.Marshal(v)
	return &mcp.ResourceContents{MIMEType: "application/json", Text: string(text)}, err
}

// listTemplates names the addresses of what a caller may read.
func (s *Server) listTemplates(who domain.Principal) *mcp.ListResourceTemplatesResult {
	result := &mcp.ListResourceTemplatesResult{ResourceTemplates: []*mcp.ResourceTemplate{}, Cacheable: private}
	for _, r := range s.resources() {
		if who.HasScope(r.scope) {
			result.ResourceTemplates = append(result.ResourceTemplates, &mcp.ResourceTemplate{
				URITemplate: r.template(), Name: strings.ToLower(r.title), Title: r.title, Description: r.about,
			})
		}
	}
	return result
}

// listResources lists personas. What belongs to callers can be many: tools list that.
func (s *Server) listResources(ctx context.Context, who domain.Principal, cursor string) (*mcp.ListResourcesResult, error) {
	result := &mcp.ListResourcesResult{Resources: []*mcp.Resource{}, Cacheable: private}
	if !who.HasScope("personas:read") {
		return result, nil
	}
	offset, err := offsetOf(cursor)
	if err != nil {
		return nil, err
	}
	all, err := s.Personas.List(ctx, true)
	if err != nil {
		return nil, s.protocolError(ctx, "resources/list", err)
	}
	for _, p := range cut(all, page{maxPage, offset}) {
		result.Resources = append(result.Resources, &mcp.Resource{
			URI: "gaia://personas/" + p.ID, Name: p.Name, Title: p.Name, Description: p.Description, MIMEType: "application/json",
		})
	}
	result.NextCursor = cursorAfter(offset, len(all))
	return result, nil
}

// readResource shows what an address names.
func (s *Server) readResource(ctx context.Context, who domain.Principal, p *mcp.ReadResourceParams) (*mcp.ReadResourceResult, error) {
	for _, r := range s.resources() {
		name, ok := r.nameIn(p.URI)
		if !ok {
			continue
		}
		if !who.HasScope(r.scope) {
			return nil, s.protocolError(ctx, "resources/read", lacks(r.scope))
		}
		contents, err := r.read(ctx, who, name)
		if domain.KindOf(err) == domain.NotFound {
			return nil, mcp.ResourceNotFoundError(p.URI)
		}
		if err != nil {
			return nil, s.protocolError(ctx, "resources/read", err)
		}
		contents.URI = p.URI
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{contents}, Cacheable: private}, nil
	}
	return nil, mcp.ResourceNotFoundError(p.URI)
}

// offsetOf reads a cursor, which is the number of entries that the client has.
func offsetOf(cursor string) (int, error) {
	if cursor == "" {
		return 0, nil
	}
	offset, err := strconv.ParseUint(cursor, 36, 31)
	if err != nil {
		return 0, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "The cursor is none that this server gave"}
	}
	return int(offset), nil
}

// cursorAfter is the cursor of the page behind; empty when there is none.
func cursorAfter(offset, total int) string {
	if offset+maxPage >= total {
		return ""
	}
	return strconv.FormatInt(int64(offset+maxPage), 36)
}
