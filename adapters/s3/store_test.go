package s3_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7/pkg/signer"

	"gaia/adapters/s3"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// open opens the bucket at a URL.
func open(t *testing.T, raw string, edit func(*s3.Options)) *s3.Store {
	t.Helper()
	o, err := s3.ParseURL(raw, "assets")
	if err != nil {
		t.Fatal(err)
	}
	o.Part = 5 << 20
	if edit != nil {
		edit(&o)
	}
	s, err := s3.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestBlobStore(t *testing.T) {
	t.Parallel()
	portstest.BlobStore(t, func(t *testing.T) ports.BlobStore { return open(t, testenv.S3(t), nil) })
}

// Some services are below a path of their host, which the signature covers.
func TestBlobStoreBelowAPath(t *testing.T) {
	t.Parallel()
	portstest.BlobStore(t, func(t *testing.T) ports.BlobStore { return open(t, mountBelow(t, testenv.S3(t)), nil) })
}

// mountBelow puts a front before a service that checks signatures for the path /storage/v1/s3, and signs anew for the service.
func mountBelow(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	key := u.User.Username()
	secret, _ := u.User.Password()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		out := r.Out
		out.URL.Scheme, out.URL.Host, out.Host = "http", u.Host, u.Host
		out.URL.Path, out.URL.RawPath = strings.TrimPrefix(out.URL.Path, "/storage/v1/s3"), ""
		query := out.URL.Query()
		for name := range query {
			if strings.HasPrefix(name, "X-Amz-") {
				query.Del(name)
			}
		}
		out.URL.RawQuery = query.Encode()
		for name := range out.Header {
			switch name {
			case "X-Amz-Content-Sha256", "Content-Md5", "Content-Type", "Content-Length", "Range", "If-Match":
			default:
				out.Header.Del(name)
			}
		}
		if out.Header.Get("X-Amz-Content-Sha256") == "" {
			out.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		}
		*out = *signer.SignV4(*out, key, secret, "", "us-east-1")
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/storage/v1/s3/") || !signed(r, key, secret) {
			http.Error(w, "the signature is not for this path", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return "s3://" + u.User.String() + "@" + strings.TrimPrefix(front.URL, "http://") + "/storage/v1/s3" + u.Path + "?insecure=true"
}

// signed reports whether a request is signed for the path that it came to. It counts the signature itself: what made it must not judge it.
func signed(r *http.Request, key, secret string) bool {
	query := r.URL.Query()
	date, payload := r.Header.Get("X-Amz-Date"), r.Header.Get("X-Amz-Content-Sha256")
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, given, _ := strings.Cut(rest, ", Signature=")
	if linked := query.Get("X-Amz-Signature"); linked != "" {
		date, payload, names, given = query.Get("X-Amz-Date"), "UNSIGNED-PAYLOAD", query.Get("X-Amz-SignedHeaders"), linked
		query.Del("X-Amz-Signature")
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n" + strings.ReplaceAll(query.Encode(), "+", "%20") + "\n"
	for name := range strings.SplitSeq(names, ";") {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		canonical += name + ":" + value + "\n"
	}
	canonical += "\n" + names + "\n" + payload
	scope := date[:min(len(date), 8)] + "/us-east-1/s3/aws4_request"
	sum := sha256.Sum256([]byte(canonical))
	mac := []byte("AWS4" + secret)
	for step := range strings.SplitSeq(scope, "/") {
		mac = hmacOf(mac, step)
	}
	want := hmacOf(mac, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(sum[:]))
	return key != "" && given == hex.EncodeToString(want)
}

func hmacOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, text) // never fails
	return mac.Sum(nil)
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]s3.Options{
		"s3://k:s@play.min.io:9000/files":                              {Endpoint: "play.min.io:9000", Bucket: "files", AccessKey: "k", SecretKey: "s"},
		"s3://k:a%2Fb%2B@s3.eu-west-1.amazonaws.com?region=eu-west-1":  {Endpoint: "s3.eu-west-1.amazonaws.com", Bucket: "assets", AccessKey: "k", SecretKey: "a/b+", Region: "eu-west-1"},
		"s3://k:s@127.0.0.1:1/?insecure=true":                          {Endpoint: "127.0.0.1:1", Bucket: "assets", AccessKey: "k", SecretKey: "s", Insecure: true},
		"s3://k:s@x.supabase.co/storage/v1/s3/files?region=eu-north-1": {Endpoint: "x.supabase.co", Mount: "/storage/v1/s3", Bucket: "files", AccessKey: "k", SecretKey: "s", Region: "eu-north-1"},
		"s3://k:s@x.supabase.co/storage/v1/s3/":                        {Endpoint: "x.supabase.co", Mount: "/storage/v1/s3", Bucket: "assets", AccessKey: "k", SecretKey: "s"},
	} {
		if got, err := s3.ParseURL(raw, "assets"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{
		"", "http://key:topsecret@host/bucket", "s3://host/bucket", "s3://key@host/bucket", "s3://:topsecret@host/bucket", "s3://key:topsecret@/bucket",
		"s3://key:top/secret@host/bucket", "s3://key:top%secret@host/bucket", "s3://key:topsecret@host/Bucket!", "s3://key:topsecret@host/bucket?regoin=x",
		"s3://key:topsecret@host/bucket?insecure=perhaps", "s3://key:topsecret@host/bucket#x", "s3://key:topsecret@ho st/bucket", "s3://key:topsecret@host/bucket?a=%",
	} {
		o, err := s3.ParseURL(raw, "assets")
		if err == nil {
			t.Errorf("%s was taken: %+v", raw, o)
		} else if strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "topsecret") || strings.Contains(err.Error(), "top/") {
			t.Errorf("%s: the error tells the secret: %v", raw, err)
		}
	}
}
