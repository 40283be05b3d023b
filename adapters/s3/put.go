package s3

import (
	"bytes"
	"context"
	"crypto/md5" // #nosec G501 -- S3 checks by it that a body arrived as it was sent
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"

	"github.com/minio/minio-go/v7"

	"gaia/adapters/internal/blobsource"
)

// maxParts is how many parts S3 takes for one file.
const maxParts = 10_000

// Put implements ports.BlobStore. What fits one part is sent as it is, all else in parts, of which S3 makes a file at the end.
func (s *Store) Put(ctx context.Context, key, contentType string, r io.Reader, limit int64) (int64, error) {
	if err := enter(ctx, key); err != nil {
		return 0, err
	}
	source := blobsource.New(ctx, r, limit)
	size := max(int64(s.options.Part), limit/maxParts+1)
	part := new(bytes.Buffer)
	last, err := fill(part, source, size)
	if err != nil {
		return 0, err
	}
	if last {
		err = s.call(ctx, "write", func(ctx context.Context) error { return s.putWhole(ctx, key, contentType, part.Bytes()) })
	} else {
		err = s.putParts(ctx, key, contentType, part, source, size)
	}
	if err != nil {
		return 0, err
	}
	return source.Size(), nil
}

// fill reads the next part, and reports whether it is the last.
func fill(part *bytes.Buffer, source *blobsource.Source, size int64) (last bool, err error) {
	part.Reset()
	n, err := io.Copy(part, io.LimitReader(source, size))
	return n < size, err
}

// sums are what a body is checked by. Every service takes these, and none has to read bodies in a form of their own.
func sums(body []byte) (md5Base64, sha256Hex string) {
	m, h := md5.Sum(body), sha256.Sum256(body) // #nosec G401 -- it guards nothing
	return base64.StdEncoding.EncodeToString(m[:]), hex.EncodeToString(h[:])
}

func (s *Store) putWhole(ctx context.Context, key, contentType string, body []byte) error {
	m, h := sums(body)
	_, err := s.client.PutObject(ctx, s.options.Bucket, key, bytes.NewReader(body), int64(len(body)), m, h, minio.PutObjectOptions{
		ContentType: contentType, DisableContentSha256: true, // the sum is there already
	})
	return err
}

func (s *Store) putParts(ctx context.Context, key, contentType string, part *bytes.Buffer, source *blobsource.Source, size int64) (err error) {
	var upload string
	err = s.call(ctx, "write", func(ctx context.Context) (err error) {
		upload, err = s.client.NewMultipartUpload(ctx, s.options.Bucket, key, minio.PutObjectOptions{ContentType: contentType})
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.abort(ctx, key, upload)
		}
	}()
	var done []minio.CompletePart
	for last := false; ; {
		sent, err := s.putPart(ctx, key, upload, len(done)+1, part.Bytes())
		if err != nil {
			return err
		}
		done = append(done, minio.CompletePart{PartNumber: sent.PartNumber, ETag: sent.ETag})
		if last {
			break
		}
		if last, err = fill(part, source, size); err != nil {
			return err
		}
		if last && part.Len() == 0 {
			break
		}
	}
	return s.call(ctx, "write", func(ctx context.Context) error {
		_, err := s.client.CompleteMultipartUpload(ctx, s.options.Bucket, key, upload, done, minio.PutObjectOptions{ContentType: contentType})
		return err
	})
}

func (s *Store) putPart(ctx context.Context, key, upload string, number int, body []byte) (sent minio.ObjectPart, err error) {
	m, h := sums(body)
	err = s.call(ctx, "write", func(ctx context.Context) (err error) {
		sent, err = s.client.PutObjectPart(ctx, s.options.Bucket, key, upload, number, bytes.NewReader(body), int64(len(body)),
			minio.PutObjectPartOptions{Md5Base64: m, Sha256Hex: h, DisableContentSha256: true})
		return err
	})
	return sent, err
}

// abort gives up an upload, whoever has left: its parts cost space that nobody sees. One that can't be reached keeps them; buckets have
// rules that remove those.
func (s *Store) abort(ctx context.Context, key, upload string) {
	_ = s.call(context.WithoutCancel(ctx), "abort", func(ctx context.Context) error {
		return s.client.AbortMultipartUpload(ctx, s.options.Bucket, key, upload)
	})
}
