// Package mediafile tells by their bytes what files are: pictures, sounds and 3D models.
//
// It must not believe what a file says about its own size, must not need memory in proportion to that, and must not go by names. It finds
// out what a file is, not whether every byte of it is sound.
package mediafile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.MediaInspector = (*Inspector)(nil)

// Inspector looks into files. The zero value is ready for use.
type Inspector struct{}

// headSize is how much of a file is looked at to see what it is.
const headSize = 512

// kind is a kind of file.
type kind struct {
	format, contentType string

	is   func(head []byte) bool
	read func(f *file, facts *domain.FileFacts) error // nil: there is nothing more to say
}

// kinds in the order in which they are tried. What can begin with anything comes last.
var kinds = []kind{
	{"png", "image/png", prefix("\x89PNG\r\n\x1a\n"), readImage},
	{"jpg", "image/jpeg", prefix("\xff\xd8\xff"), readImage},
	{"gif", "image/gif", prefix("GIF8"), readImage},
	{"webp", "image/webp", riff("WEBP"), readImage},
	{"wav", "audio/wav", riff("WAVE"), readWAV},
	{"flac", "audio/flac", prefix("fLaC"), readFLAC},
	{"ogg", "audio/ogg", prefix("OggS"), readOgg},
	{"mp3", "audio/mpeg", isMP3, readMP3},
	{"glb", "model/gltf-binary", prefix("glTF"), readGLB},
	{"fbx", "application/octet-stream", isFBX, nil},
	{"zip", "application/zip", prefix("PK\x03\x04"), readZip},
	{"gltf", "model/gltf+json", isJSON, readGLTF},
	{"obj", "application/octet-stream", isOBJ, readOBJ},
}

func prefix(magic string) func([]byte) bool {
	return func(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
}

func riff(form string) func([]byte) bool {
	return func(head []byte) bool {
		return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == form
	}
}

func isFBX(head []byte) bool {
	return bytes.HasPrefix(head, []byte("Kaydara FBX Binary  \x00")) || bytes.HasPrefix(head, []byte("; FBX "))
}

// Inspect implements ports.MediaInspector.
func (Inspector) Inspect(ctx context.Context, r io.ReadSeeker) (domain.FileFacts, error) {
	f, err := newFile(ctx, r)
	if err != nil {
		return domain.FileFacts{}, err
	}
	head, err := f.head()
	if err != nil {
		return domain.FileFacts{}, err
	}
	for _, k := range kinds {
		if !k.is(head) {
			continue
		}
		facts := domain.FileFacts{Format: k.format, ContentType: k.contentType}
		if k.read == nil {
			return facts, nil
		}
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return domain.FileFacts{}, f.fault(err)
		}
		if err := k.read(f, &facts); err != nil {
			return domain.FileFacts{}, f.explain(k, err)
		}
		return facts, nil
	}
	return domain.FileFacts{}, domain.NewError(domain.BadRequest, "The file is of no kind that is known here")
}

// broken says what is wrong with a file. Its text is for clients.
type broken string

func (b broken) Error() string { return string(b) }

// file is a file that is looked into.
type file struct {
	io.ReadSeeker
	ctx    context.Context //nolint:containedctx // of one call
	size   int64
	failed error // of reading, other than that it ended
}

func newFile(ctx context.Context, r io.ReadSeeker) (*file, error) {
	f := &file{ReadSeeker: r, ctx: ctx}
	size, err := r.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = r.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, f.fault(err)
	}
	f.size = size
	return f, nil
}

// Read implements io.Reader, and ends with the call.
func (f *file) Read(p []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		f.failed = err
		return 0, err
	}
	n, err := f.ReadSeeker.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.failed = err
	}
	return n, err
}

func (f *file) head() ([]byte, error) {
	head, err := io.ReadAll(io.LimitReader(f, headSize))
	if err != nil {
		return nil, f.fault(err)
	}
	return head, nil
}

// from reads so many bytes at an offset, or fewer at the end of the file.
func (f *file) from(offset, n int64) ([]byte, error) {
	if _, err := f.Seek(max(offset, 0), io.SeekStart); err != nil {
		f.failed = err
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, n))
}

// fault is an error of whoever gives the bytes.
func (f *file) fault(err error) error {
	var known *domain.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return domain.MissingPart("The file could not be read", err)
}

// explain tells faults of the file from those of reading it.
func (f *file) explain(k kind, err error) error {
	if f.failed != nil {
		return f.fault(f.failed)
	}
	what := "it is damaged"
	if b := broken(""); errors.As(err, &b) {
		what = string(b)
	}
	return &domain.Error{Kind: domain.BadRequest, Message: fmt.Sprintf("The file begins like %s, but %s", k.format, what), Cause: err}
}
