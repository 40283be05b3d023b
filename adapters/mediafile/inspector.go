// Package mediafile implements ports.MediaInspector: it tells pictures, sounds and models by their bytes alone, and draws previews of
// pictures.
//
// Files come from anybody. Nothing that a file says about a size is believed before it was compared with what is there, and memory is
// bounded whatever it says. The package must not write, must not open what a file refers to, and must not run anything.
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

var _ ports.MediaInspector = Inspector{}

// Inspector looks into files. The zero value is ready for use.
type Inspector struct{}

// A kind is one format of files.
type kind struct {
	format      string
	contentType string
	is          func(head []byte) bool
	facts       func(*file) (domain.FileFacts, error)
}

// kinds are in the order in which they are tried: those with a mark first, texts last.
var kinds = []kind{
	{"png", "image/png", begins("\x89PNG\r\n\x1a\n"), picture},
	{"jpg", "image/jpeg", begins("\xff\xd8\xff"), picture},
	{"gif", "image/gif", begins("GIF87a", "GIF89a"), picture},
	{"webp", "image/webp", riff("WEBP"), picture},
	{"wav", "audio/wav", riff("WAVE"), wav},
	{"ogg", "audio/ogg", begins("OggS"), ogg},
	{"flac", "audio/flac", begins("fLaC"), flac},
	{"glb", "model/gltf-binary", begins("glTF"), glb},
	{"fbx", "application/octet-stream", begins("Kaydara FBX Binary  \x00\x1a\x00"), fbx},
	{"fbx", "application/octet-stream", textFBX, nothing},
	{"zip", "application/zip", begins("PK\x03\x04", "PK\x05\x06"), zip},
	{"mp3", "audio/mpeg", looksLikeMP3, mp3},
	{"gltf", "model/gltf+json", looksLikeJSON, gltf},
	{"obj", "application/octet-stream", looksLikeText, obj},
}

func begins(marks ...string) func([]byte) bool {
	return func(head []byte) bool {
		for _, mark := range marks {
			if bytes.HasPrefix(head, []byte(mark)) {
				return true
			}
		}
		return false
	}
}

// nothing is to be found out about a file beside its kind.
func nothing(*file) (domain.FileFacts, error) { return domain.FileFacts{}, nil }

func riff(form string) func([]byte) bool {
	return func(head []byte) bool {
		return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == form
	}
}

const headSize = 512

// errOther says that a file is of another kind after all.
var errOther = errors.New("another kind")

// Inspect implements ports.MediaInspector.
func (Inspector) Inspect(ctx context.Context, r io.ReadSeeker) (facts domain.FileFacts, err error) {
	f, err := open(ctx, r)
	if err != nil {
		return facts, err
	}
	defer func() { err = f.explain(recover(), err) }()
	head, err := f.upTo(0, headSize)
	if err != nil {
		return facts, err
	}
	for _, k := range kinds {
		if !k.is(head) {
			continue
		}
		facts, err = k.facts(f)
		if errors.Is(err, errOther) {
			continue
		}
		if err != nil {
			return domain.FileFacts{}, err
		}
		facts.Format, facts.ContentType = k.format, k.contentType
		return facts, nil
	}
	return domain.FileFacts{}, domain.NewError(domain.BadRequest, "This is no kind of file that is known here")
}

// broken says what is wrong with a file.
func broken(format, how string) error {
	return domain.NewError(domain.BadRequest, "The "+format+" file is broken: "+how)
}

// file is read at any place. A storage that fails is told from a file that is broken: what a parser says then does not count.
type file struct {
	ctx  context.Context //nolint:containedctx // a reader has no other place for it
	r    io.ReadSeeker
	size int64
	err  error // of the storage
}

func open(ctx context.Context, r io.ReadSeeker) (*file, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, notRead(err)
	}
	return &file{ctx: ctx, r: r, size: size}, nil
}

// notRead is an error of whoever gives the bytes.
func notRead(err error) error {
	var known *domain.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return domain.MissingPart("The file could not be read", err)
}

// explain says how reading ended: a parser that panics has met something that nobody thought of.
func (f *file) explain(panicked any, err error) error {
	switch {
	case f.err != nil:
		return notRead(f.err)
	case panicked != nil:
		return &domain.Error{Kind: domain.BadRequest, Message: "The file can't be read", Cause: fmt.Errorf("panic: %v", panicked)}
	default:
		return err
	}
}

// Read implements io.Reader.
func (f *file) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.err = f.ctx.Err(); f.err != nil {
		return 0, f.err
	}
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// from is the file from a place on.
func (f *file) from(offset int64) (io.Reader, error) {
	if _, err := f.r.Seek(offset, io.SeekStart); err != nil {
		f.err = err
		return nil, err
	}
	return f, nil
}

// upTo reads at most n bytes at a place; n is small.
func (f *file) upTo(offset int64, n int) ([]byte, error) {
	if offset < 0 || offset > f.size {
		return nil, io.ErrUnexpectedEOF
	}
	r, err := f.from(offset)
	if err != nil {
		return nil, err
	}
	data := make([]byte, min(int64(n), f.size-offset))
	read, err := io.ReadFull(r, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:read], nil
}

// at reads n bytes at a place; n is small.
func (f *file) at(offset int64, n int) ([]byte, error) {
	data, err := f.upTo(offset, n)
	if err == nil && len(data) < n {
		err = io.ErrUnexpectedEOF
	}
	return data, err
}
