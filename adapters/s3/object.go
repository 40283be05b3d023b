package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"gaia/domain"
)

const (
	// Files are read in pieces, a small one first and then ever larger ones: somebody who looks at a few bytes has not asked for all of
	// them, and somebody who reads on needs few requests.
	firstWindow = 256 << 10
	lastWindow  = 32 << 20
	// reconnects is how often in a row a file is asked for again that broke off.
	reconnects = 2
)

// Open implements ports.BlobStore.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, domain.Blob, error) {
	if err := enter(ctx, key); err != nil {
		return nil, domain.Blob{}, err
	}
	var info minio.ObjectInfo
	err := s.call(ctx, "open", func(ctx context.Context) (err error) {
		info, err = s.client.StatObject(ctx, s.options.Bucket, key, minio.StatObjectOptions{})
		if isAbsent(err) {
			return s.explainAbsence(ctx, err)
		}
		return err
	})
	if err != nil {
		return nil, domain.Blob{}, err
	}
	blob := domain.Blob{Size: info.Size, ContentType: info.ContentType, ModifiedAt: info.LastModified}
	return &object{store: s, ctx: ctx, key: key, tag: info.ETag, size: info.Size}, blob, nil
}

// explainAbsence tells a file that is not there from a bucket that is not: the answer about a file has no room for the difference.
func (s *Store) explainAbsence(ctx context.Context, absent error) error {
	there, err := s.client.BucketExists(ctx, s.options.Bucket)
	switch {
	case err == nil && !there:
		return errors.New("there is no such bucket")
	case err != nil && minio.ToErrorResponse(err).Code != minio.AccessDenied: // who may not ask about the bucket may be told about files
		return err
	default:
		return absent
	}
}

// object reads a file at any place. It is for one goroutine.
type object struct {
	store  *Store
	ctx    context.Context //nolint:containedctx // a reader has no other place for it
	key    string
	tag    string
	size   int64
	offset int64 // of the next byte that the caller gets

	body   io.ReadCloser // nil: nothing is on its way
	cancel context.CancelFunc
	next   int64 // of the next byte of body
	end    int64 // of body
	window int64 // how much is asked for next
}

// Seek implements io.Seeker. Nothing is asked for before it is read.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.offset
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("s3: seek before the beginning")
	}
	o.offset = offset
	return offset, nil
}

// Read implements io.Reader.
func (o *object) Read(p []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	if o.offset >= o.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	var err error
	for range reconnects + 1 {
		var n int
		if n, err = o.read(p); n > 0 {
			return n, nil
		}
		if kind := domain.KindOf(err); kind == domain.NotFound || o.ctx.Err() != nil {
			break
		}
	}
	return 0, translate(o.ctx, "read", err)
}

// read reads from what is on its way, or asks for more.
func (o *object) read(p []byte) (int, error) {
	if o.body == nil || o.next != o.offset {
		if err := o.ask(); err != nil {
			return 0, err
		}
	}
	silence := time.AfterFunc(o.store.options.Timeout, o.cancel)
	n, err := o.body.Read(p)
	silence.Stop()
	o.offset += int64(n)
	o.next = o.offset
	if err != nil || o.next == o.end {
		o.drop()
	}
	if n > 0 || err == nil {
		return n, nil
	}
	return 0, fmt.Errorf("it broke off: %w", err)
}

// ask asks for the next piece of this very file.
func (o *object) ask() error {
	if o.body != nil || o.window == 0 || o.next != o.offset {
		o.window = firstWindow
	} else {
		o.window = min(o.window*4, lastWindow)
	}
	o.drop()
	end := min(o.size, o.offset+o.window)
	var get minio.GetObjectOptions
	if err := errors.Join(get.SetRange(o.offset, end-1), get.SetMatchETag(o.tag)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(o.ctx)
	silence := time.AfterFunc(o.store.options.Timeout, cancel)
	observed, ended := o.store.observe(ctx, "read")
	body, info, _, err := o.store.client.GetObject(observed, o.store.options.Bucket, o.key, get)
	silence.Stop()
	ended(err)
	if err != nil {
		cancel()
		return err
	}
	if info.Size != end-o.offset {
		cancel()
		_ = body.Close()
		return fmt.Errorf("%d bytes were asked for, and %d came", end-o.offset, info.Size)
	}
	o.body, o.cancel, o.next, o.end = body, cancel, o.offset, end
	return nil
}

// drop gives up what is on its way.
func (o *object) drop() {
	if o.body != nil {
		o.cancel()
		_ = o.body.Close() // it was only read
		o.body = nil
	}
}

// Close implements io.Closer.
func (o *object) Close() error {
	o.drop()
	return nil
}
