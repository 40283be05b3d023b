package mcpfiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

type readTextIn struct {
	Path string  `json:"path"`
	Head float64 `json:"head,omitempty" jsonschema:"give only so many lines from the beginning"`
	Tail float64 `json:"tail,omitempty" jsonschema:"give only so many lines from the end"`
}

func (f *files) readText(ctx context.Context, in readTextIn) (*mcp.CallToolResult, error) {
	switch {
	case in.Head != 0 && in.Tail != 0:
		return nil, errors.New("head and tail can't be given together")
	case in.Head < 0 || in.Tail < 0:
		return nil, errors.New("head and tail count lines from 1")
	}
	content, err := f.content(ctx, in)
	if err != nil {
		return nil, refusal(err, in.Path)
	}
	return text(strings.ToValidUTF8(string(content), "\uFFFD")), nil
}

// content reads what is wanted of a file. Of one that is too large as a whole, its first and its last lines can still be had.
func (f *files) content(ctx context.Context, in readTextIn) ([]byte, error) {
	switch {
	case in.Head > 0:
		part, _, err := f.lines(ctx, in.Path, in.Head, func(int64) int64 { return 0 })
		return firstLines(part, in.Head), err
	case in.Tail > 0:
		part, whole, err := f.lines(ctx, in.Path, in.Tail+1, func(most int64) int64 { return -most }) // the last line may end, too
		if !whole {                                                                                   // it begins in the middle of a character and a line
			part = bytes.TrimLeftFunc(part, func(r rune) bool { return r == '\uFFFD' })
		}
		return lastLines(part, in.Tail), err
	}
	file, err := f.Files.Read(ctx, f.below(in.Path), f.MaxRead)
	if domain.KindOf(err) == domain.TooLarge {
		return nil, domain.NewError(domain.TooLarge, fmt.Sprintf("The file is larger than %d bytes: ask for its head or tail", f.MaxRead))
	}
	return file.Content, err
}

// firstRead is how much of a file is read for some of its lines, in bytes. Where they are not in it, four times as much is read each time.
const firstRead = 64 << 10

// lines reads so much of a file, from an offset that depends on how much it is, that so many lines end in it. It may be the whole file.
func (f *files) lines(ctx context.Context, named string, ends float64, offset func(most int64) int64) (part []byte, whole bool, err error) {
	for most := min(firstRead, f.MaxRead); ; most = min(4*most, f.MaxRead) {
		part, size, err := f.Files.ReadPart(ctx, f.below(named), offset(most), most)
		whole = size <= int64(len(part))
		if err != nil || whole || most == f.MaxRead || float64(bytes.Count(part, []byte("\n"))) >= ends {
			return part, whole, err
		}
	}
}

func firstLines(content []byte, lines float64) []byte {
	end := 0
	for ; lines >= 1 && end < len(content); lines-- {
		next := bytes.IndexByte(content[end:], '\n')
		if next < 0 {
			return content
		}
		end += next + 1
	}
	return bytes.TrimSuffix(content[:end], []byte("\n"))
}

func lastLines(content []byte, lines float64) []byte {
	content = bytes.TrimSuffix(content, []byte("\n"))
	begin := len(content)
	for ; lines >= 1; lines-- {
		before := bytes.LastIndexByte(content[:begin], '\n')
		if before < 0 {
			return content
		}
		begin = before
	}
	return content[min(begin+1, len(content)):]
}

type pathIn struct {
	Path string `json:"path"`
}

// mimeTypes are those that models and clients know what to do with.
var mimeTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".bmp": "image/bmp",
	".svg": "image/svg+xml", ".mp3": "audio/mpeg", ".wav": "audio/wav", ".ogg": "audio/ogg", ".flac": "audio/flac",
}

func (f *files) readMedia(ctx context.Context, in pathIn) (*mcp.CallToolResult, error) {
	file, err := f.Files.Read(ctx, f.below(in.Path), f.MaxRead)
	if err != nil {
		return nil, refusal(err, in.Path)
	}
	mime := mimeTypes[strings.ToLower(path.Ext(file.Path))]
	var content mcp.Content
	switch {
	case strings.HasPrefix(mime, "image/"):
		content = &mcp.ImageContent{Data: file.Content, MIMEType: mime}
	case strings.HasPrefix(mime, "audio/"):
		content = &mcp.AudioContent{Data: file.Content, MIMEType: mime}
	default:
		where := url.URL{Scheme: "file", Path: path.Join("/", f.shown(file.Path))}
		content = &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: where.String(), MIMEType: "application/octet-stream", Blob: file.Content}}
	}
	return &mcp.CallToolResult{Content: []mcp.Content{content}}, nil
}

type readManyIn struct {
	Paths []string `json:"paths" jsonschema:"which files to read"`
}

func (f *files) readMany(ctx context.Context, in readManyIn) (*mcp.CallToolResult, error) {
	if len(in.Paths) == 0 || len(in.Paths) > maxPaths {
		return nil, fmt.Errorf("from 1 to %d files can be read at once", maxPaths)
	}
	left := f.MaxRead
	parts := make([]string, len(in.Paths))
	for i, named := range in.Paths {
		file, err := f.Files.Read(ctx, f.below(named), left)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			parts[i] = fmt.Sprintf("%s: Error - %v", oneLine(named), refusal(err, named))
			continue
		}
		left -= int64(len(file.Content))
		parts[i] = fmt.Sprintf("%s:\n%s\n", oneLine(named), strings.ToValidUTF8(string(file.Content), "\uFFFD"))
	}
	return text(strings.Join(parts, "\n---\n")), nil
}
