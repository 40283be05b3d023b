// Package s3 implements ports.BlobStore over everything that speaks S3: S3 itself, Google Cloud Storage with keys for interoperability,
// Supabase Storage, MinIO and others.
//
// Every request has a limit of time, and a file that is written needs the memory of one part of it. What was not sent whole is given up at
// the service, too. The package must not tell anybody the keys, and must not make or change buckets.
package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.BlobStore = (*Store)(nil)

// Store is one bucket.
type Store struct {
	options   Options
	client    *minio.Core
	transport *http.Transport
}

// retries is how often a request is sent at most: services ask for that when they are busy.
const retries = 3

// New makes a store. It asks nobody: a service that is away now may be there when it is needed.
func New(o Options) (*Store, error) {
	o = o.withDefaults()
	transport := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: min(o.Timeout, 10*time.Second), KeepAlive: 15 * time.Second}).DialContext,
		// An answer has to begin in time; a request as a whole is bounded by its context.
		ResponseHeaderTimeout: o.Timeout, TLSHandshakeTimeout: min(o.Timeout, 10*time.Second), ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute, DisableCompression: true, ForceAttemptHTTP2: true,
	}
	var through http.RoundTripper = transport
	if o.Mount != "" {
		through = &mounted{next: transport, options: o}
	}
	client, err := minio.NewCore(o.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: !o.Insecure, Transport: through, Region: o.Region,
		BucketLookup: o.lookup(), MaxRetries: retries,
	})
	if err != nil {
		return nil, fmt.Errorf("open the storage of assets: %w", err)
	}
	return &Store{options: o, client: client, transport: transport}, nil
}

func (o Options) lookup() minio.BucketLookupType {
	if o.Mount != "" {
		return minio.BucketLookupPath
	}
	return minio.BucketLookupAuto
}

// Close ends connections that nobody uses.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Delete implements ports.BlobStore.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := enter(ctx, key); err != nil {
		return err
	}
	return s.call(ctx, "delete", func(ctx context.Context) error {
		err := s.client.RemoveObject(ctx, s.options.Bucket, key, minio.RemoveObjectOptions{})
		if isAbsent(err) {
			return nil
		}
		return err
	})
}

// List implements ports.BlobStore.
func (s *Store) List(ctx context.Context, prefix string, each func(key string) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	within, ended := s.observe(within, "list")
	defer func() { ended(err) }()
	silence := time.AfterFunc(s.options.Timeout, cancel)
	defer silence.Stop()
	for info := range s.client.Client.ListObjects(within, s.options.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		silence.Stop()
		if info.Err != nil {
			return translate(ctx, "list", info.Err)
		}
		if domain.CheckFileKey(info.Key) == nil { // others are not Gaia's
			if err := each(info.Key); err != nil {
				return err
			}
		}
		silence.Reset(s.options.Timeout)
	}
	if within.Err() != nil {
		return translate(ctx, "list", context.DeadlineExceeded)
	}
	return nil
}

// call makes a request with a limit of time.
func (s *Store) call(ctx context.Context, op string, request func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	observed, ended := s.observe(bounded, op)
	err := translate(ctx, op, request(observed))
	ended(err)
	return err
}

func (s *Store) observe(ctx context.Context, op string) (context.Context, func(error)) {
	if s.options.Observe == nil {
		return ctx, unobserved
	}
	return s.options.Observe(ctx, op)
}

func unobserved(error) {}

func enter(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return domain.CheckFileKey(key)
}

func isAbsent(err error) bool {
	return err != nil && minio.ToErrorResponse(err).Code == minio.NoSuchKey
}

// translate says in words of the domain what became of a request of a caller.
func translate(ctx context.Context, op string, err error) error {
	var own *domain.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil: // the caller left
		return ctx.Err()
	case isAbsent(err):
		return domain.FileNotFound()
	case errors.As(err, &own):
		return err
	default:
		return domain.MissingPart("The asset storage is not available", fmt.Errorf("s3: %s: %w", op, err))
	}
}
