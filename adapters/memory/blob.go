package memory

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gaia/adapters/internal/blobsource"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.BlobStore = (*BlobStore)(nil)

// BlobStore keeps files. The zero value is empty and ready.
type BlobStore struct {
	failures

	mu    sync.Mutex
	byKey map[string]blob
}

type blob struct {
	domain.Blob
	data []byte // is never changed
}

// Put implements ports.BlobStore.
func (s *BlobStore) Put(ctx context.Context, key, contentType string, r io.Reader, limit int64) (int64, error) {
	if err := s.enterKey(ctx, "Put", key); err != nil {
		return 0, err
	}
	data, err := io.ReadAll(blobsource.New(ctx, r, limit))
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = map[string]blob{}
	}
	size := int64(len(data))
	s.byKey[key] = blob{domain.Blob{Size: size, ContentType: contentType, ModifiedAt: time.Now()}, data}
	return size, nil
}

// Open implements ports.BlobStore.
func (s *BlobStore) Open(ctx context.Context, key string) (io.ReadSeekCloser, domain.Blob, error) {
	if err := s.enterKey(ctx, "Open", key); err != nil {
		return nil, domain.Blob{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.byKey[key]
	if !ok {
		return nil, domain.Blob{}, domain.FileNotFound()
	}
	return &blobReader{bytes.NewReader(b.data), ctx}, b.Blob, nil
}

// blobReader ends with its caller.
type blobReader struct {
	data *bytes.Reader
	ctx  context.Context //nolint:containedctx // a reader has no other place for it
}

func (r *blobReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.data.Read(p)
}

func (r *blobReader) Seek(offset int64, whence int) (int64, error) {
	return r.data.Seek(offset, whence)
}

func (r *blobReader) Close() error { return nil }

// Delete implements ports.BlobStore.
func (s *BlobStore) Delete(ctx context.Context, key string) error {
	if err := s.enterKey(ctx, "Delete", key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byKey, key)
	return nil
}

// Link implements ports.BlobStore: nobody else reaches the files.
func (s *BlobStore) Link(ctx context.Context, key, _ string, _ time.Time) (string, error) {
	return "", s.enterKey(ctx, "Link", key)
}

// List implements ports.BlobStore.
func (s *BlobStore) List(ctx context.Context, prefix string, each func(key string) error) error {
	if err := s.enter(ctx, "List"); err != nil {
		return err
	}
	for _, key := range s.Keys() {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return nil
}

// Keys lists what is there.
func (s *BlobStore) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.byKey))
}

func (s *BlobStore) enterKey(ctx context.Context, method, key string) error {
	if err := s.enter(ctx, method); err != nil {
		return err
	}
	return domain.CheckFileKey(key)
}
