package mcpfiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// RemoteConfig is what a Remote needs.
type RemoteConfig struct {
	Servers ports.ToolServers
	Server  string // the name of the server among them
	Root    string // the absolute path of the root, which the server may show
	NewID   ports.IDs
}

// Remote implements ports.Filesystem over a server of tools with the names, arguments and answers of the npm package
// @modelcontextprotocol/server-filesystem. It relies on the server to stay within its root; paths that leave it by their words do not reach
// the server. What the server tells in words is understood by the beginning of these words, since it tells nothing else: an error that is
// not known is domain.Unavailable. Names with line breaks can't be told apart in its lists, and files larger than what the server's results
// may hold are domain.TooLarge.
type Remote struct{ RemoteConfig }

// NewRemote makes a filesystem.
func NewRemote(c RemoteConfig) *Remote { return &Remote{c} }

// asksAtOnce is how many entries of a list are asked about at a time.
const asksAtOnce = 8

// List returns a part of what a directory contains. The server is asked about each entry of that part: its lists tell names alone.
func (r *Remote) List(ctx context.Context, path string, limit, offset int) ([]domain.FileEntry, int, error) {
	clean, err := domain.CleanFilePath(path)
	if err != nil {
		return nil, 0, err
	}
	dir, err := r.stat(ctx, clean)
	if err != nil {
		return nil, 0, err
	}
	if dir.Kind != domain.FileDirectory {
		return nil, 0, domain.NewError(domain.BadRequest, "This is no directory")
	}
	names, err := r.names(ctx, clean)
	if err != nil {
		return nil, 0, err
	}
	total := len(names)
	names = names[min(max(offset, 0), total):]
	if limit > 0 {
		names = names[:min(limit, len(names))]
	}
	entries, err := r.entries(ctx, clean, names)
	return entries, total, err
}

func (r *Remote) names(ctx context.Context, clean string) ([]string, error) {
	result, err := r.call(ctx, "list_directory", clean)
	if err != nil {
		return nil, err
	}
	if result.Truncated {
		return nil, domain.NewError(domain.TooLarge, "The list of the directory is too long for its server")
	}
	var names []string
	for line := range strings.SplitSeq(result.Text, "\n") {
		for _, marker := range []string{"[FILE] ", "[DIR] "} {
			if name, ok := strings.CutPrefix(line, marker); ok && name != "" && !strings.Contains(name, "/") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// entries asks about names, some at a time.
func (r *Remote) entries(ctx context.Context, dir string, names []string) ([]domain.FileEntry, error) {
	entries, faults := make([]domain.FileEntry, len(names)), make([]error, len(names))
	var running sync.WaitGroup
	free := make(chan struct{}, asksAtOnce)
	for i, name := range names {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			entries[i], faults[i] = r.stat(ctx, path.Join(dir, name))
			entries[i].Name, entries[i].Path = name, path.Join(dir, name)
			switch domain.KindOf(faults[i]) {
			case domain.Forbidden, domain.NotFound: // it leads out of the root, or nowhere
				entries[i].Kind, entries[i].ModifiedAt, faults[i] = domain.FileUnknown, time.Unix(0, 0).UTC(), nil
			}
		})
	}
	running.Wait()
	for _, err := range faults {
		if err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// Read returns a whole file. The server is asked first what it is: it would wait for the other end of a pipe.
func (r *Remote) Read(ctx context.Context, path string, limit int64) (domain.File, error) {
	clean, err := domain.CleanFilePath(path)
	if err != nil {
		return domain.File{}, err
	}
	e, err := r.stat(ctx, clean)
	switch {
	case err != nil:
		return domain.File{}, err
	case e.Kind == domain.FileDirectory:
		return domain.File{}, domain.NewError(domain.BadRequest, "This is a directory")
	case e.Kind != domain.FileRegular:
		return domain.File{}, domain.NewError(domain.BadRequest, "This is no regular file")
	case e.Size > limit:
		return domain.File{}, domain.NewError(domain.TooLarge, fmt.Sprintf("The file is larger than %d bytes", limit))
	}
	result, err := r.call(ctx, "read_media_file", clean) // which gives the bytes of any file; read_text_file replaces what is no UTF-8
	switch {
	case err != nil:
		return domain.File{}, err
	case result.Truncated || int64(len(result.Data)) > limit:
		return domain.File{}, domain.NewError(domain.TooLarge, "The file is too large for its server")
	case len(result.Data) == 0 && e.Size > 0:
		return domain.File{}, domain.MissingPart("The server of the filesystem did not give what is in the file", errors.New(oneLine(brief(result.Text))))
	}
	return domain.File{Path: clean, Content: []byte(result.Data)}, nil
}

// stat asks what a path is.
func (r *Remote) stat(ctx context.Context, clean string) (domain.FileEntry, error) {
	result, err := r.call(ctx, "get_file_info", clean)
	if err != nil {
		return domain.FileEntry{}, err
	}
	e := domain.FileEntry{Path: clean, Kind: domain.FileUnknown, ModifiedAt: time.Unix(0, 0).UTC()}
	for line := range strings.SplitSeq(result.Text, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "size":
			e.Size, _ = strconv.ParseInt(value, 10, 64)
		case name == "modified":
			e.ModifiedAt = parseTime(value)
		case name == "isDirectory" && value == "true":
			e.Kind = domain.FileDirectory
		case name == "isFile" && value == "true":
			e.Kind = domain.FileRegular
		}
	}
	if e.Kind != domain.FileRegular || e.Size < 0 {
		e.Size = 0
	}
	return e, nil
}

// parseTime reads a time as JavaScript writes it, in whole seconds: Mon May 06 2024 07:08:09 GMT+0000 (Coordinated Universal Time).
func parseTime(s string) time.Time {
	s, _, _ = strings.Cut(s, " (")
	at, err := time.Parse(timeLayout, s)
	if err != nil {
		return time.Unix(0, 0).UTC()
	}
	return at.UTC()
}

// call has a tool called with a path. That the tool itself is not there is no news about the path.
func (r *Remote) call(ctx context.Context, tool, clean string) (domain.ToolResult, error) {
	arguments, err := json.Marshal(map[string]string{"path": filepath.Join(r.Root, filepath.FromSlash(clean))})
	if err != nil {
		return domain.ToolResult{}, err
	}
	result, err := r.Servers.Call(ctx, domain.ToolInvocation{CallID: r.NewID(), Server: r.Server, Tool: tool, Arguments: arguments})
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return domain.ToolResult{}, err
	case err != nil:
		return domain.ToolResult{}, domain.MissingPart("The server of the filesystem is not available", err)
	case result.Failed:
		return domain.ToolResult{}, understood(result.Text)
	}
	return result, nil
}

// understood is an error that the server told in words.
func understood(words string) error {
	cause := errors.New(oneLine(brief(words)))
	begins := func(beginnings ...string) bool {
		return slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(words, b) })
	}
	switch {
	case begins("Access denied"):
		e := domain.LeavesRoot()
		e.Cause = cause
		return e
	case begins("EACCES", "EPERM"):
		return &domain.Error{Kind: domain.Forbidden, Message: "The file system does not allow this", Cause: cause}
	case begins("ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "Parent directory does not exist", "Ambiguous Unicode path"):
		return &domain.Error{Kind: domain.NotFound, Message: "There is no such file or directory", Cause: cause}
	default:
		return domain.MissingPart("The server of the filesystem can't do this", cause)
	}
}

// brief is the beginning of what a server said.
func brief(s string) string {
	const enough = 300
	if len(s) > enough {
		s = s[:enough]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
