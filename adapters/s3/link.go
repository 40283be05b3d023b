package s3

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// longestLink is what S3 allows.
const longestLink = 7 * 24 * time.Hour

// contentTypes are what links serve files as: what they were stored as may have been a guess. Nothing in them runs in a browser.
var contentTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".mp3": "audio/mpeg", ".wav": "audio/wav",
	".ogg": "audio/ogg", ".flac": "audio/flac", ".gltf": "model/gltf+json", ".glb": "model/gltf-binary", ".zip": "application/zip",
}

// Link implements ports.BlobStore.
func (s *Store) Link(ctx context.Context, key, name string, until time.Time) (string, error) {
	if err := enter(ctx, key); err != nil {
		return "", err
	}
	ttl := min(time.Until(until).Truncate(time.Second), longestLink)
	if ttl < time.Second {
		ttl = time.Second
	}
	query := url.Values{
		"response-content-disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": name})},
		"response-content-type":        {"application/octet-stream"},
	}
	if known, ok := contentTypes[strings.ToLower(path.Ext(name))]; ok {
		query.Set("response-content-type", known)
	}
	if s.options.Mount != "" {
		return s.mountedLink(ctx, key, query, ttl)
	}
	link, err := s.client.PresignedGetObject(ctx, s.options.Bucket, key, ttl, query)
	if err != nil {
		return "", translate(ctx, "link", err)
	}
	return link.String(), nil
}

func (s *Store) mountedLink(ctx context.Context, key string, query url.Values, ttl time.Duration) (string, error) {
	scheme := "https"
	if s.options.Insecure {
		scheme = "http"
	}
	u := url.URL{Scheme: scheme, Host: s.options.Endpoint, Path: s.options.Mount + "/" + s.options.Bucket + "/" + key, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", fmt.Errorf("s3: link: %w", err)
	}
	o := s.options
	return signer.PreSignV4(*req, o.AccessKey, o.SecretKey, "", o.Region, int64(ttl/time.Second)).URL.String(), nil
}

// mounted sends requests to a service that is below a path of its host, and signs them for that path: the library knows hosts alone.
type mounted struct {
	next    http.RoundTripper
	options Options
}

// RoundTrip implements http.RoundTripper.
func (m *mounted) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // a RoundTripper may not change what it was given
	r.URL.Path = m.options.Mount + r.URL.Path
	if r.URL.RawPath != "" {
		r.URL.RawPath = m.options.Mount + r.URL.RawPath
	}
	r.Header.Del("Authorization")
	return m.next.RoundTrip(signer.SignV4(*r, m.options.AccessKey, m.options.SecretKey, "", m.options.Region))
}
