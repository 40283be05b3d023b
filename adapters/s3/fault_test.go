package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"gaia/adapters/s3"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// line is a connection to a service that can be cut.
type line struct {
	net.Listener

	target string
	upLeft atomic.Int64 // bytes that still go to the service before everything is cut; negative: no limit
	down   atomic.Int64 // the same the other way
	cuts   atomic.Int64
	open   sync.WaitGroup
}

// through makes a URL that leads through a line.
func through(t *testing.T, raw string) (*line, string) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &line{Listener: l, target: u.Host}
	p.upLeft.Store(-1)
	p.down.Store(-1)
	p.open.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close()
		p.open.Wait()
	})
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *line) serve() {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		cut := func() {
			_ = client.Close()
			_ = server.Close()
		}
		p.open.Go(func() { p.carry(server, client, &p.upLeft, cut) })
		p.open.Go(func() { p.carry(client, server, &p.down, cut) })
	}
}

// carry copies until either side ends, or until no more bytes may pass; then the line is as good as new for the next connection.
func (p *line) carry(to io.Writer, from io.Reader, left *atomic.Int64, cut func()) {
	defer cut()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if limit := left.Load(); limit >= 0 {
			if int64(n) >= limit {
				if left.CompareAndSwap(limit, -1) {
					p.cuts.Add(1)
				}
				_, _ = to.Write(buf[:limit])
				return
			}
			left.Add(-int64(n))
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

const key = "generated/prop/sword.glb"

// calls are all that can be asked of a store, about another file: a service that was frozen does later what it was asked for.
func calls(t *testing.T, s *s3.Store) map[string]error {
	t.Helper()
	const key = "other.glb"
	_, put := s.Put(t.Context(), key, "", strings.NewReader("x"), 10)
	_, large := s.Put(t.Context(), key, "", bytes.NewReader(make([]byte, 6<<20)), 10<<20)
	_, _, open := s.Open(t.Context(), key)
	return map[string]error{
		"Put": put, "Put in parts": large, "Open": open, "Delete": s.Delete(t.Context(), key),
		"List": s.List(t.Context(), "", func(string) error { return nil }),
	}
}

func wantAway(t *testing.T, about string, errs map[string]error) {
	t.Helper()
	for op, err := range errs {
		var e *domain.Error
		if domain.KindOf(err) != domain.Unavailable || !errors.As(err, &e) || e.Message != "The asset storage is not available" {
			t.Errorf("%s: %s: %v", about, op, err)
		}
		if err != nil && strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %s tells the secret: %v", about, op, err)
		}
	}
}

// A service that refuses, fails, talks nonsense, is silent or not there is away, and nobody waits for it longer than the limit.
func TestServicesThatAreAway(t *testing.T) {
	t.Parallel()
	refuse := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>no</Message></Error>")
			}
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"forbidden":      refuse(403, "AccessDenied"),
		"wrong key":      refuse(403, "SignatureDoesNotMatch"),
		"no bucket":      refuse(404, "NoSuchBucket"),
		"internal error": refuse(500, "InternalError"),
		"busy":           refuse(503, "SlowDown"),
		"full":           refuse(507, "InsufficientStorage"),
		"no service":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>It works!</html>") },
		"silent":         func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() },
		"rude":           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(answer)
			t.Cleanup(server.Close)
			host := strings.TrimPrefix(server.URL, "http://")
			s := open(t, "s3://key:topsecret@"+host+"/assets?insecure=true", func(o *s3.Options) { o.Timeout = time.Second })
			began := time.Now()
			errs := calls(t, s)
			if name == "no service" { // it says yes to what has no answer
				delete(errs, "Put")
				delete(errs, "Open")
				delete(errs, "Delete")
				delete(errs, "List")
			}
			wantAway(t, name, errs)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	wantAway(t, "not there", calls(t, open(t, "s3://key:topsecret@"+l.Addr().String()+"/assets?insecure=true", func(o *s3.Options) { o.Timeout = time.Second })))
}

// unfinished counts uploads in parts that were neither ended nor given up.
func unfinished(t *testing.T, raw string) int {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(u.User.Username(), secret, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for upload := range c.ListIncompleteUploads(t.Context(), u.Path[1:], "", true) {
		if upload.Err != nil {
			t.Fatal(upload.Err)
		}
		n++
	}
	return n
}

// What is given up leaves neither a file nor parts of one.
func TestUploadsThatEndEarlyLeaveNothing(t *testing.T) {
	t.Parallel()
	raw := testenv.S3(t)
	s := open(t, raw, nil)
	broken := errors.New("broken")
	if _, err := s.Put(t.Context(), key, "", io.MultiReader(bytes.NewReader(make([]byte, 11<<20)), errReader{broken}), 1<<30); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	if _, err := s.Put(t.Context(), key, "", bytes.NewReader(make([]byte, 11<<20)), 11<<20-1); domain.KindOf(err) != domain.TooLarge {
		t.Errorf("too much: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Put(ctx, key, "", io.MultiReader(bytes.NewReader(make([]byte, 11<<20)), leaving{cancel}), 1<<30); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who leaves: %v", err)
	}
	if n := unfinished(t, raw); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
	if _, _, err := s.Open(t.Context(), key); domain.KindOf(err) != domain.NotFound {
		t.Errorf("there is a file: %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

type leaving struct{ leave func() }

func (r leaving) Read(p []byte) (int, error) {
	r.leave()
	return copy(p, "x"), nil
}

// A connection that is cut in the middle is made again; where that does not help nobody takes a part for the whole.
func TestConnectionsThatAreCut(t *testing.T) {
	t.Parallel()
	raw := testenv.S3(t)
	cut, cutURL := through(t, raw)
	s := open(t, cutURL, func(o *s3.Options) { o.Timeout = 5 * time.Second })
	data := make([]byte, 12<<20)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	for _, after := range []int64{100_000, 5<<20 + 300_000} {
		cut.upLeft.Store(after)
		n, err := s.Put(t.Context(), key, "", bytes.NewReader(data), 1<<30)
		if err != nil || n != int64(len(data)) || !bytes.Equal(read(t, s), data) {
			t.Errorf("an upload that is cut after %d bytes: %d, %v", after, n, err)
		}
		cut.down.Store(after)
		if !bytes.Equal(read(t, s), data) {
			t.Errorf("a download that is cut after %d bytes is another file", after)
		}
	}
	if n := cut.cuts.Load(); n != 4 {
		t.Errorf("%d connections were cut", n)
	}
	// Nobody is there any more.
	r, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	_ = cut.Close()
	cut.down.Store(0)
	if n, err := io.Copy(io.Discard, r); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("%d more bytes, %v", n, err)
	}
}

func read(t *testing.T, s ports.BlobStore) []byte {
	t.Helper()
	r, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return data
}

// A server that freezes is given up, and used again once it goes on.
func TestServerFreezes(t *testing.T) {
	t.Parallel()
	server, bucket := testenv.StartS3(t)
	s := open(t, bucket, func(o *s3.Options) { o.Timeout = time.Second })
	data := bytes.Repeat([]byte("x"), 2<<20)
	if _, err := open(t, bucket, nil).Put(t.Context(), key, "", bytes.NewReader(data), 4<<20); err != nil {
		t.Fatal(err)
	}
	var r io.ReadCloser
	portstest.Within(t, portstest.Patience, "a file is being read", func() bool {
		opened, _, err := s.Open(t.Context(), key)
		if err != nil {
			return false
		}
		t.Cleanup(func() { _ = opened.Close() })
		r = opened
		_, err = io.ReadFull(r, make([]byte, 1000))
		return err == nil
	})
	server.Pause()
	_, err := io.Copy(io.Discard, r)
	wantAway(t, "frozen", map[string]error{"reading": err})
	wantAway(t, "frozen", calls(t, s))
	server.Resume()
	wantBack(t, s, data)
	server.Stop()
	wantAway(t, "stopped", calls(t, s))
	server.Start()
	wantBack(t, s, data)
}

// wantBack reads a file until all of it comes: within a second of silence a busy server may still be at what was given up. A store that has
// given its server up for good gets nothing, ever.
func wantBack(t *testing.T, s ports.BlobStore, want []byte) {
	t.Helper()
	portstest.Within(t, portstest.Patience, "the file is read again", func() bool {
		r, _, err := s.Open(t.Context(), key)
		if err != nil {
			return false
		}
		defer func() { _ = r.Close() }()
		got, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("afterwards there are %d bytes", len(got))
		}
		return err == nil
	})
}
