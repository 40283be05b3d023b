// Package blobsource is how adapters of storages read what they are to write: with a limit, no longer than the caller waits, and so that
// a reader that failed is told from a storage that did. It must not know any storage.
package blobsource

import (
	"context"
	"errors"
	"io"

	"gaia/domain"
)

// Source reads a file that is going to be stored.
type Source struct {
	ctx   context.Context //nolint:containedctx // a reader has no other place for it
	r     io.Reader
	limit int64
	size  int64
	err   error
}

// New makes a Source of at most limit bytes.
func New(ctx context.Context, r io.Reader, limit int64) *Source {
	return &Source{ctx: ctx, r: r, limit: limit}
}

// Read implements io.Reader. Once it has failed it fails for ever.
func (s *Source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if err := s.ctx.Err(); err != nil {
		s.err = err
		return 0, err
	}
	// One byte more than may be there shows that there are too many.
	if room := s.limit - s.size + 1; int64(len(p)) > room {
		p = p[:room]
	}
	n, err := s.r.Read(p)
	s.size += int64(n)
	if s.size > s.limit {
		n, err = n-1, domain.FileTooLarge(s.limit)
	}
	s.err = err
	return n, err
}

// Size is how many bytes were read.
func (s *Source) Size() int64 { return s.size }

// Failure is why reading ended before the end; nil: it did not.
func (s *Source) Failure() error {
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}
