package portstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// BlobStore checks everything that ports.BlobStore demands of a storage that is there. empty runs once for each test.
func BlobStore(t *testing.T, empty func(*testing.T) ports.BlobStore) {
	t.Helper()
	tests := map[string]func(*testing.T, ports.BlobStore){
		"a file comes back as it was written":              blobRoundTrip,
		"a file of many parts comes back as it was":        blobLarge,
		"a file is read at any place":                      blobSeek,
		"what is replaced is replaced whole":               blobReplace,
		"racing writers leave the whole file of one":       blobRace,
		"nothing is there before all of it is":             blobUnfinished,
		"a reader that fails leaves nothing":               blobReaderFails,
		"a reader that fails leaves what was there":        blobReaderFailsReplacing,
		"more than the limit is TooLarge, as much is not":  blobLimit,
		"what is not there is NotFound":                    blobAbsent,
		"Delete removes, also what is not there":           blobDelete,
		"other keys are refused":                           blobKeys,
		"List names what begins with a prefix":             blobList,
		"List ends when its caller wants":                  blobListEnds,
		"a caller who left is told so and nothing is done": blobCanceled,
		"reading ends with its caller":                     blobReadCanceled,
		"a link serves the file to anybody, or is empty":   blobLink,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

const blobKey = "generated/prop/5b0c1f1e-6a51-4d0f-9d53-0f6f2f3a9c11-0a1b2c.glb"

func putBlob(t *testing.T, s ports.BlobStore, key string, data []byte) {
	t.Helper()
	size, err := s.Put(t.Context(), key, "model/gltf-binary", bytes.NewReader(data), int64(len(data)))
	if err != nil || size != int64(len(data)) {
		t.Fatalf("Put %s: %d, %v", key, size, err)
	}
}

func readBlob(t *testing.T, s ports.BlobStore, key string) []byte {
	t.Helper()
	r, blob, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("Open %s: %v", key, err)
	}
	defer closeBlob(t, r)
	data, err := io.ReadAll(r)
	if err != nil || blob.Size != int64(len(data)) {
		t.Fatalf("read %s: %d bytes of %d, %v", key, len(data), blob.Size, err)
	}
	return data
}

func closeBlob(t *testing.T, r io.Closer) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func listBlobs(t *testing.T, s ports.BlobStore, prefix string) []string {
	t.Helper()
	keys := []string{}
	err := s.List(t.Context(), prefix, func(key string) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		t.Fatalf("List %q: %v", prefix, err)
	}
	slices.Sort(keys)
	return keys
}

func wantNoBlob(t *testing.T, s ports.BlobStore, key string) {
	t.Helper()
	if r, _, err := s.Open(t.Context(), key); domain.KindOf(err) != domain.NotFound {
		t.Errorf("Open %s: %v, %v", key, r, err)
	}
	if keys := listBlobs(t, s, ""); slices.Contains(keys, key) {
		t.Errorf("listed: %q", keys)
	}
}

// noise is data that nothing shortens, the same for the same seed.
func noise(seed uint64, size int) []byte {
	data := make([]byte, size)
	var key [32]byte
	key[0] = byte(seed)
	_, _ = rand.NewChaCha8(key).Read(data) // never fails
	return data
}

func blobRoundTrip(t *testing.T, s ports.BlobStore) {
	for i, data := range [][]byte{nil, {0}, []byte("glTF"), noise(1, 100_000)} {
		key := fmt.Sprintf("a/b/c-%d.bin", i)
		before := time.Now().Add(-time.Minute)
		putBlob(t, s, key, data)
		if got := readBlob(t, s, key); !bytes.Equal(got, data) {
			t.Errorf("%d bytes became %d", len(data), len(got))
		}
		r, blob, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		closeBlob(t, r)
		if blob.ModifiedAt.Before(before) || blob.ModifiedAt.After(time.Now().Add(time.Minute)) {
			t.Errorf("modified at %v", blob.ModifiedAt)
		}
		if blob.ContentType != "" && blob.ContentType != "model/gltf-binary" {
			t.Errorf("content type %q", blob.ContentType)
		}
	}
}

// blobLarge has more bytes than a storage takes in one request, and a reader that gives them in odd pieces.
func blobLarge(t *testing.T, s ports.BlobStore) {
	data := noise(2, 11<<20+7)
	size, err := s.Put(t.Context(), blobKey, "application/zip", iotest.HalfReader(bytes.NewReader(data)), 1<<30)
	if err != nil || size != int64(len(data)) {
		t.Fatalf("%d, %v", size, err)
	}
	if !bytes.Equal(readBlob(t, s, blobKey), data) {
		t.Error("it is another file")
	}
}

func blobSeek(t *testing.T, s ports.BlobStore) {
	data := noise(3, 3<<20)
	putBlob(t, s, blobKey, data)
	r, _, err := s.Open(t.Context(), blobKey)
	if err != nil {
		t.Fatal(err)
	}
	defer closeBlob(t, r)
	at := func(offset int64, whence int, want, length int64) {
		t.Helper()
		place, err := r.Seek(offset, whence)
		if err != nil || place != want {
			t.Fatalf("Seek(%d, %d): %d, %v; want %d", offset, whence, place, err, want)
		}
		got := make([]byte, length)
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, data[want:want+length]) {
			t.Fatalf("read at %d: %v", want, err)
		}
	}
	size := int64(len(data))
	at(0, io.SeekEnd, size, 0)
	if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	at(0, io.SeekStart, 0, 100)
	at(1000, io.SeekCurrent, 1100, 5000)
	at(-10, io.SeekEnd, size-10, 10)
	at(2<<20, io.SeekStart, 2<<20, 1<<20)
	at(17, io.SeekStart, 17, 1)
	if place, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Errorf("sought to -1: %d", place)
	}
	at(5, io.SeekStart, 5, 5)
}

func blobReplace(t *testing.T, s ports.BlobStore) {
	for i := range 3 {
		data := noise(uint64(10+i), 50_000-i*10_000)
		putBlob(t, s, blobKey, data)
		if !bytes.Equal(readBlob(t, s, blobKey), data) {
			t.Errorf("file %d is another", i)
		}
	}
	if keys := listBlobs(t, s, ""); !slices.Equal(keys, []string{blobKey}) {
		t.Errorf("there are %q", keys)
	}
}

func blobRace(t *testing.T, s ports.BlobStore) {
	const writers = 6
	var done sync.WaitGroup
	for i := range writers {
		done.Go(func() {
			data := bytes.Repeat([]byte{byte(i)}, 200_000)
			if _, err := s.Put(t.Context(), blobKey, "", iotest.HalfReader(bytes.NewReader(data)), 1<<20); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
	}
	done.Wait()
	got := readBlob(t, s, blobKey)
	if len(got) != 200_000 || bytes.Count(got, got[:1]) != len(got) {
		t.Errorf("%d bytes, %d of them like the first", len(got), bytes.Count(got, got[:1]))
	}
}

func blobUnfinished(t *testing.T, s ports.BlobStore) {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := s.Put(t.Context(), blobKey, "", r, 1<<20)
		_ = r.CloseWithError(err) // so that the writer does not wait for a Put that has ended
		done <- err
	}()
	if _, err := w.Write(noise(4, 300_000)); err != nil {
		t.Fatal(err)
	}
	wantNoBlob(t, s, blobKey)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readBlob(t, s, blobKey), noise(4, 300_000)) {
		t.Error("it is another file")
	}
}

var errReader = errors.New("the reader has failed")

// failing gives some bytes, and then an error.
func failing(size int) io.Reader {
	return io.MultiReader(bytes.NewReader(noise(5, size)), iotest.ErrReader(errReader))
}

func blobReaderFails(t *testing.T, s ports.BlobStore) {
	for _, size := range []int{0, 1000, 6 << 20} {
		if n, err := s.Put(t.Context(), blobKey, "", failing(size), 1<<30); !errors.Is(err, errReader) || n != 0 {
			t.Errorf("after %d bytes: %d, %v", size, n, err)
		}
		wantNoBlob(t, s, blobKey)
	}
}

func blobReaderFailsReplacing(t *testing.T, s ports.BlobStore) {
	data := []byte("this stays")
	putBlob(t, s, blobKey, data)
	if _, err := s.Put(t.Context(), blobKey, "", failing(70_000), 1<<20); !errors.Is(err, errReader) {
		t.Errorf("Put: %v", err)
	}
	if got := readBlob(t, s, blobKey); !bytes.Equal(got, data) {
		t.Errorf("it has become %d bytes", len(got))
	}
}

func blobLimit(t *testing.T, s ports.BlobStore) {
	for _, size := range []int{1, 40_000, 6 << 20} {
		data := noise(6, size)
		if n, err := s.Put(t.Context(), blobKey, "", bytes.NewReader(data), int64(size)-1); domain.KindOf(err) != domain.TooLarge || n != 0 {
			t.Errorf("%d bytes, one too many: %d, %v", size, n, err)
		}
		wantNoBlob(t, s, blobKey)
		putBlob(t, s, "other.bin", data)
		if !bytes.Equal(readBlob(t, s, "other.bin"), data) {
			t.Error("it is another file")
		}
	}
}

func blobAbsent(t *testing.T, s ports.BlobStore) {
	putBlob(t, s, "a/b.bin", []byte("x"))
	for _, key := range []string{blobKey, "a", "a/b.bin/c", "a/b", "A/b.bin2"} {
		wantNoBlob(t, s, key)
	}
	if keys := listBlobs(t, s, "generated/"); len(keys) != 0 {
		t.Errorf("there are %q", keys)
	}
}

func blobDelete(t *testing.T, s ports.BlobStore) {
	putBlob(t, s, blobKey, []byte("x"))
	putBlob(t, s, blobKey+".json", []byte("y"))
	for range 2 {
		if err := s.Delete(t.Context(), blobKey); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		wantNoBlob(t, s, blobKey)
	}
	for _, key := range []string{"generated", "generated/prop", blobKey + ".json/x"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete %s: %v", key, err)
		}
	}
	if got := readBlob(t, s, blobKey+".json"); string(got) != "y" {
		t.Errorf("its neighbour is %q", got)
	}
}

func blobKeys(t *testing.T, s ports.BlobStore) {
	long := strings.Repeat("k", 200)
	for _, key := range []string{
		"", ".", "..", "/", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a/..", ".a", "a/.b", "a b", "a\\b", "a\x00b", "a?b", "a#b", "a%2fb",
		"ä", "a:b", "a*", "a\n", long + "x", strings.Join([]string{long, long, long}, "/"), "\xff",
	} {
		_, put := s.Put(t.Context(), key, "", strings.NewReader("x"), 10)
		_, _, open := s.Open(t.Context(), key)
		_, link := s.Link(t.Context(), key, "x", time.Now().Add(time.Hour))
		for op, err := range map[string]error{"Put": put, "Open": open, "Link": link, "Delete": s.Delete(t.Context(), key)} {
			if domain.KindOf(err) != domain.BadRequest {
				t.Errorf("%s %q: %v", op, key, err)
			}
		}
	}
	for _, key := range []string{"a", "A-b_c.d", "0/1/2", "a..b", long, "b/" + long} {
		putBlob(t, s, "ok/"+key, []byte("x"))
	}
	if keys := listBlobs(t, s, ""); len(keys) != 6 {
		t.Errorf("there are %q", keys)
	}
}

func blobList(t *testing.T, s ports.BlobStore) {
	all := []string{"a/1.png", "a/10.png", "a/2/3.png", "ab.png", "b/1.png"}
	for _, key := range all {
		putBlob(t, s, key, []byte(key))
	}
	for prefix, want := range map[string][]string{
		"": all, "a": all[:4], "a/": all[:3], "a/1": all[:2], "a/2/": all[2:3], "a/1.png": all[:1], "b/1.png/": {}, "c": {}, "a/2/3.pngx": {},
	} {
		if keys := listBlobs(t, s, prefix); !slices.Equal(keys, want) {
			t.Errorf("%q: %q", prefix, keys)
		}
	}
}

func blobListEnds(t *testing.T, s ports.BlobStore) {
	for _, key := range []string{"a", "b", "c"} {
		putBlob(t, s, key, []byte("x"))
	}
	enough, calls := errors.New("enough"), 0
	err := s.List(t.Context(), "", func(string) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func blobCanceled(t *testing.T, s ports.BlobStore) {
	putBlob(t, s, blobKey, []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, put := s.Put(ctx, blobKey, "", strings.NewReader("other"), 10)
	_, _, open := s.Open(ctx, blobKey)
	list := s.List(ctx, "", func(string) error { return nil })
	for op, err := range map[string]error{"Put": put, "Open": open, "List": list, "Delete": s.Delete(ctx, blobKey)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if got := readBlob(t, s, blobKey); string(got) != "x" {
		t.Errorf("it has become %q", got)
	}
	// Somebody leaves in the middle of writing.
	ctx, cancel = context.WithCancel(t.Context())
	leaving := io.MultiReader(bytes.NewReader(noise(7, 100_000)), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, nil
	}), bytes.NewReader(noise(8, 100_000)))
	if _, err := s.Put(ctx, "other", "", leaving, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	wantNoBlob(t, s, "other")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	n, _ := f(p)
	return n, io.EOF
}

func blobReadCanceled(t *testing.T, s ports.BlobStore) {
	putBlob(t, s, blobKey, noise(9, 12<<20))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _, err := s.Open(ctx, blobKey)
	if err != nil {
		t.Fatal(err)
	}
	defer closeBlob(t, r)
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("read %d more bytes: %v", n, err)
	}
}

func blobLink(t *testing.T, s ports.BlobStore) {
	data := noise(10, 10_000)
	putBlob(t, s, blobKey, data)
	for _, name := range []string{"glowing-sword.glb", "Schwert \u201cder\u201d Mächte; a=b.glb"} {
		link, err := s.Link(t.Context(), blobKey, name, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if link == "" { // it serves nothing itself
			return
		}
		if u, err := url.Parse(link); err != nil || !u.IsAbs() {
			t.Fatalf("the link %q: %v", link, err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !bytes.Equal(got, data) {
			t.Errorf("it serves %d, %d bytes, %v", res.StatusCode, len(got), err)
		}
		wantDisposition(t, res.Header.Get("Content-Disposition"), name)
	}
}

// wantDisposition checks what a browser does with a file.
func wantDisposition(t *testing.T, header, name string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(header)
	if err != nil || kind != "attachment" || !maps.Equal(params, map[string]string{"filename": name}) {
		t.Errorf("disposition %q: %s %q, %v", header, kind, params, err)
	}
}
