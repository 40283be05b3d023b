package mcptools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// Bounds of what a server offers. More tools are left out, larger ones too.
const (
	maxPages       = 64
	maxTools       = 256
	maxSchemaBytes = 64 << 10
	maxDescription = 4 << 10
	maxTitle       = 200
	maxListBytes   = 2 << 20 // descriptions and schemas of all tools together
)

// toolName is what the protocol allows.
var toolName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// tool is one tool that is taken.
type tool struct {
	spec   domain.ToolSpec
	params *parameters
}

// list asks for all tools.
func (s *server) list(l *link) (*catalogue, error) {
	cat := &catalogue{link: l, tools: map[string]*tool{}}
	if caps := l.session.InitializeResult().Capabilities; caps == nil || caps.Tools == nil {
		return cat, nil
	}
	room := maxListBytes
	var cursor string
	for range maxPages {
		page, err := s.page(l, cursor)
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tools {
			if !s.wants(t.Name) {
				continue
			}
			if err := s.take(cat, t, &room); err != nil {
				cat.leftOut++
				s.log.Debug("a tool is left out", "tool", printable(shorten(t.Name, maxNameShown)), "reason", printable(shorten(err.Error(), maxFaultShown)))
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			return cat, nil
		}
	}
	s.log.Warn("tool server lists its tools without end; the rest is left out", "pages", maxPages)
	return cat, nil
}

func (s *server) page(l *link, cursor string) (*mcp.ListToolsResult, error) {
	ctx, cancel := context.WithTimeout(l.life, s.cfg.pace.list)
	defer cancel()
	l.budget.grant(s.messageLimit())
	page, err := ask(ctx, func(ctx context.Context) (*mcp.ListToolsResult, error) {
		return l.session.ListTools(ctx, &mcp.ListToolsParams{Cursor: cursor})
	})
	switch {
	case l.life.Err() != nil:
		return nil, context.Cause(l.life)
	case err != nil:
		return nil, fmt.Errorf("list its tools: %w", err)
	}
	return page, nil
}

// wants reports whether the operator takes a tool of this name.
func (s *server) wants(name string) bool { return s.Tools == nil || matches(s.Tools, name) }

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}

// take adds a tool that can be used.
func (s *server) take(cat *catalogue, t *mcp.Tool, room *int) error {
	switch {
	case !toolName.MatchString(t.Name):
		return errors.New("its name is none")
	case cat.tools[t.Name] != nil:
		return errors.New("there are two of this name")
	case len(cat.tools) == maxTools:
		return fmt.Errorf("the server has more than %d", maxTools)
	}
	schema, err := json.Marshal(t.InputSchema)
	if err != nil {
		return err
	}
	description := clean(shorten(t.Description, maxDescription))
	if len(schema) > maxSchemaBytes {
		return fmt.Errorf("its schema is larger than %d bytes", maxSchemaBytes)
	}
	if *room -= len(schema) + len(description); *room < 0 {
		return fmt.Errorf("descriptions and schemas of all tools are larger than %d bytes", maxListBytes)
	}
	params, err := newParameters(schema)
	if err != nil {
		return err
	}
	spec := domain.ToolSpec{
		Server: s.Name, Name: t.Name, Title: clean(shorten(t.Title, maxTitle)), Description: description, Parameters: params.schema,
		Repeatable: matches(s.Repeatable, t.Name), RedactResult: matches(s.RedactResults, t.Name), Redact: s.redacted(t.Name),
	}
	if hints := t.Annotations; hints != nil {
		spec.Title = cmp.Or(spec.Title, clean(shorten(hints.Title, maxTitle)))
		spec.Repeatable = spec.Repeatable || s.TrustHints && (hints.ReadOnlyHint || hints.IdempotentHint)
	}
	cat.tools[t.Name] = &tool{spec: spec, params: params}
	return nil
}

func (s *server) redacted(name string) []string {
	var names []string
	for pattern, arguments := range s.Redact {
		if matches([]string{pattern}, name) {
			names = append(names, arguments...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// clean removes what databases can't store.
func clean(text string) string { return strings.ReplaceAll(text, "\x00", "\uFFFD") }
