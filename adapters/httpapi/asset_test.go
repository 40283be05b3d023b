package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

// pngMark is what a file begins with that the inspector of these tests takes for a PNG.
const pngMark = "\x89PNG"

// marks tells files apart by their first bytes.
type marks struct{}

func (marks) Inspect(_ context.Context, r io.ReadSeeker) (domain.FileFacts, error) {
	head := make([]byte, len(pngMark))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != pngMark {
		return domain.FileFacts{}, domain.NewError(domain.BadRequest, "Nobody knows this kind of file")
	}
	return domain.FileFacts{Format: "png", ContentType: "image/png", Width: 3, Height: 2}, nil
}

func (marks) Preview(context.Context, io.ReadSeeker, int, int) ([]byte, error) {
	return []byte(pngMark + " preview"), nil
}

// assetServer is the whole edge with a catalogue in memory.
type assetServer struct {
	*testEdge

	config Config
	store  *memory.AssetStore
	blobs  *memory.BlobStore
	now    *atomic.Int64
}

func newAssetServer(t *testing.T, edit func(*Config, *app.AssetDeps)) *assetServer {
	t.Helper()
	s := &assetServer{testEdge: newTestEdge(t), store: &memory.AssetStore{}, blobs: &memory.BlobStore{}, now: new(atomic.Int64)}
	s.now.Store(1_800_000_000)
	var ids atomic.Int64
	deps := app.AssetDeps{
		Store: s.store, Leases: s.store, Blobs: s.blobs, Media: marks{},
		Now:    func() time.Time { return time.Unix(s.now.Load(), 0) },
		NewID:  func() string { return fmt.Sprintf("01980000-0000-7000-8000-%012x", ids.Add(1)) },
		Config: app.AssetConfig{MaxFile: 100_000},
	}
	s.config = Config{
		Limits: unlimited(), MaxBodyBytes: 1000, MaxConcurrent: 10, Running: app.NewSlots(10), AssetBucket: "assets",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Log: slog.New(slog.NewJSONHandler(s.log, nil)), Now: deps.Now,
	}
	if edit != nil {
		edit(&s.config, &deps)
	}
	s.config.MaxFileBytes = deps.Config.MaxFile
	assets, err := app.NewAssets(deps)
	if err != nil {
		t.Fatal(err)
	}
	s.config.Assets = assets
	contract := loadContract(t)
	err = mountOperations(s.router, contract, s.config.edgeFor(assetCallers, s.errs.writeError), func(r chi.Router) {
		strict := oapi.NewStrictHandlerWithOptions(newServer(s.config, contract), nil, oapi.StrictHTTPServerOptions{
			RequestErrorHandlerFunc: s.errs.refused, ResponseErrorHandlerFunc: s.errs.writeError,
		})
		oapi.HandlerWithOptions(strict, oapi.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: s.errs.refused})
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// assetCallers knows everybody by a key that is a user id; "good" is the global key.
func assetCallers(_ context.Context, _, apiKey string) (domain.Principal, error) {
	switch apiKey {
	case "":
		return domain.Principal{}, domain.NewError(domain.Unauthenticated, "who are you")
	case "good":
		return domain.ServicePrincipal(), nil
	default:
		return domain.Principal{Type: domain.AuthUserAPIKey, UserID: apiKey}, nil
	}
}

// formPart is a part of a form: a file when its name is "file".
type formPart struct{ name, value string }

func form(t *testing.T, parts ...formPart) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		var part io.Writer
		var err error
		if p.name == "file" {
			part, err = w.CreateFormFile(p.name, "../evil name.html")
		} else {
			part, err = w.CreateFormField(p.name)
		}
		if err == nil {
			_, err = io.WriteString(part, p.value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

func (s *assetServer) upload(t *testing.T, key string, parts ...formPart) *http.Response {
	t.Helper()
	contentType, body := form(t, parts...)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/assets/upload", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-API-Key", key)
	return s.serve(r)
}

// obey gives a body of an answer that has to obey the contract.
func obey(t *testing.T, res *http.Response, schema string) map[string]any {
	t.Helper()
	body := text(t, res.Body)
	var v map[string]any
	if err := json.Unmarshal([]byte(body), &v); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	if err := contractSchema(t, schema).VisitJSON(v); err != nil {
		t.Errorf("%v\nis no %s: %v", v, schema, err)
	}
	return v
}

func (s *assetServer) get(t *testing.T, target string, headers ...string) *http.Response {
	t.Helper()
	return s.serve(request(t, http.MethodGet, target, headers...))
}

// link is the part of an absolute URL that a client sends.
func link(t *testing.T, v any) string {
	t.Helper()
	u, err := url.Parse(fmt.Sprint(v))
	if err != nil || !u.IsAbs() {
		t.Fatalf("no absolute URL: %v, %v", v, err)
	}
	return u.RequestURI()
}

// leftBehind is a catalogue whose callers are gone once it has stored an asset.
type leftBehind struct {
	*memory.AssetStore

	leave func()
}

// Add implements ports.AssetStore.
func (s leftBehind) Add(ctx context.Context, a domain.Asset, events ...domain.Event) error {
	defer s.leave()
	return s.AssetStore.Add(ctx, a, events...)
}

// What was stored as the process began to stop is answered as stored, also where links lead to the storage, which does nothing for who has
// left: with the context of the request the answer would be 503, "send the request again".
func TestUploadsThatAreStoredAsTheProcessStops(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	s := newAssetServer(t, func(_ *Config, d *app.AssetDeps) {
		d.Store = leftBehind{d.Store.(*memory.AssetStore), func() { stop(domain.ErrStopping) }}
		d.Config.DirectLinks = true
	})
	contentType, body := form(t, swordFile, formPart{"title", "Sword"}, formPart{"category", "texture"})
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/assets/upload", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-API-Key", "ada")
	v := obey(t, s.serve(r), "AssetUploaded")
	if ctx.Err() == nil {
		t.Error("nothing was stored")
	}
	if res := s.get(t, link(t, v["upload_url"])); res.StatusCode != http.StatusOK || text(t, res.Body) != swordFile.value {
		t.Errorf("the link leads to %d", res.StatusCode)
	}
}

var swordFile = formPart{"file", pngMark + strings.Repeat("sword ", 100)}

func TestUpload(t *testing.T) {
	t.Parallel()
	s := newAssetServer(t, nil)
	fields := []formPart{
		{"title", "Glowing rune sword!"}, {"category", "texture"}, {"style_tags", " low_poly, fantasy,,low_poly"},
		{"attribution_required", "true"}, {"license_type", "public_domain"}, {"unknown", "x"},
	}
	for i, parts := range [][]formPart{append([]formPart{swordFile}, fields...), append(fields[:6:6], swordFile)} {
		v := obey(t, s.upload(t, "ada", parts...), "AssetUploaded")
		id := fmt.Sprint(v["asset_id"])
		a, err := s.store.Get(t.Context(), "bob", id)
		if err != nil {
			t.Fatal(err)
		}
		if a.Owner != "ada" || !a.Public || a.Title != "Glowing rune sword!" || a.Category != "texture" || len(a.StyleTags) != 2 ||
			!a.AttributionRequired || a.License != "public_domain" || a.File.Format != "png" || a.File.Size != int64(len(swordFile.value)) ||
			a.File.ContentType != "image/png" || a.Metadata["width"] != 3. || a.PreviewKey == "" {
			t.Errorf("order %d: %+v", i, a)
		}
		res := s.get(t, link(t, v["upload_url"]))
		if body := text(t, res.Body); res.StatusCode != http.StatusOK || body != swordFile.value {
			t.Errorf("order %d: %d %q", i, res.StatusCode, body)
		}
		_, params, err := mime.ParseMediaType(res.Header.Get("Content-Disposition"))
		if err != nil || params["filename"] != "Glowing-rune-sword.png" {
			t.Errorf("saved as %v, %v", params, err)
		}
		for name, want := range map[string]string{
			"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Accept-Ranges": "bytes", "Etag": `"` + a.File.SHA256 + `"`,
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		res = s.get(t, link(t, v["preview_url"]))
		if body := text(t, res.Body); body != pngMark+" preview" || res.Header.Get("Content-Type") != "image/png" {
			t.Errorf("the preview: %d %q", res.StatusCode, body)
		}
	}
}

func TestUploadsThatAreRefusedLeaveNothing(t *testing.T) {
	t.Parallel()
	title, category := formPart{"title", "x"}, formPart{"category", "image"}
	many := make([]formPart, 60)
	for i := range many {
		many[i] = formPart{"unknown", "x"}
	}
	for name, c := range map[string]struct {
		parts  []formPart
		status int
		detail string
	}{
		"no file":             {[]formPart{title, category}, 422, "Field required"},
		"no title":            {[]formPart{swordFile, category}, 422, "Field required"},
		"no category":         {[]formPart{swordFile, title}, 422, "Field required"},
		"unknown category":    {[]formPart{{"category", "spell"}, title, swordFile}, 422, "Input should be"},
		"unknown licence":     {[]formPart{title, category, {"license_type", "mine"}, swordFile}, 422, "Input should be"},
		"long title":          {[]formPart{{"title", strings.Repeat("ä", 256)}, category, swordFile}, 422, "at most 255 characters"},
		"long tag":            {[]formPart{title, category, swordFile, {"style_tags", strings.Repeat("x", 65)}}, 422, "at most 64 characters"},
		"no text":             {[]formPart{{"title", "\xff"}, category, swordFile}, 422, "unicode"},
		"null":                {[]formPart{{"title", "a\x00b"}, category, swordFile}, 422, "null characters"},
		"two files":           {[]formPart{title, category, swordFile, swordFile}, 422, "more than one file"},
		"another kind":        {[]formPart{title, category, {"file", "<html>"}}, 415, "Nobody knows"},
		"of another category": {[]formPart{title, {"category", "audio"}, swordFile}, 415, "can be wav, mp3, ogg, flac"},
		"empty":               {[]formPart{title, category, {"file", ""}}, 415, "empty"},
		"too large":           {[]formPart{title, category, {"file", pngMark + strings.Repeat("x", 100_000)}}, 413, "more than 100000 bytes"},
		"a huge field":        {[]formPart{{"title", strings.Repeat("x", 70_000)}, category, swordFile}, 413, "A field of the form"},
		"many fields":         {append(many, title, category, swordFile), 413, "more than 50 fields"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newAssetServer(t, nil)
			res := s.upload(t, "ada", c.parts...)
			body := text(t, res.Body)
			if res.StatusCode != c.status || !strings.Contains(body, c.detail) {
				t.Errorf("%d %s", res.StatusCode, body)
			}
			if _, err := s.config.Assets.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			if keys := s.blobs.Keys(); len(keys) != 0 {
				t.Errorf("left are %q", keys)
			}
		})
	}
}

// What a form has beside its file is bounded as a whole, however large the file may be: all of it would be kept in memory.
func TestFormsWithMuchBesideTheirFile(t *testing.T) {
	t.Parallel()
	title, category := formPart{"title", "x"}, formPart{"category", "image"}
	long := strings.Repeat("n", 200_000)
	parts := make([]formPart, 8)
	for name, part := range map[string]formPart{"names": {long, "x"}, "values": {"unknown", long}} {
		for i := range parts {
			parts[i] = part
		}
		for place, all := range map[string][]formPart{
			"before": append(slices.Clone(parts), title, category, swordFile), "behind": append([]formPart{title, category, swordFile}, parts...),
		} {
			s := newAssetServer(t, func(_ *Config, d *app.AssetDeps) { d.Config.MaxFile = 10 << 20 })
			res := s.upload(t, "ada", all...)
			if body := text(t, res.Body); res.StatusCode != 413 || !strings.Contains(body, "beside its file") {
				t.Errorf("%s %s the file: %d %s", name, place, res.StatusCode, body)
			}
		}
	}
	s := newAssetServer(t, nil)
	obey(t, s.upload(t, "ada", title, formPart{long, "ignored"}, category, swordFile, formPart{"unknown", long}), "AssetUploaded")
}

func TestBodiesThatAreNoForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		contentType, body string
		status            int
	}{
		"json":        {"application/json", "{}", 415},
		"nothing":     {"", "", 415},
		"no boundary": {"multipart/form-data", "x", 422},
		"no form":     {"multipart/form-data; boundary=x", "hello", 422},
		"cut short":   {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhel", 422},
		"too large":   {"multipart/form-data; boundary=x", strings.Repeat("x", 2<<20), 413},
	} {
		s := newAssetServer(t, nil)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/assets/upload", strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.contentType)
		r.Header.Set("X-API-Key", "ada")
		res := s.serve(r)
		if res.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, res.StatusCode, text(t, res.Body))
		}
		if _, err := s.config.Assets.Sweep(t.Context()); err != nil || len(s.blobs.Keys()) != 0 {
			t.Errorf("%s: left are %q, %v", name, s.blobs.Keys(), err)
		}
	}
}

// A file that is longer than what other bodies may have goes to the storage as it comes.
func TestUploadsAreStreamed(t *testing.T) {
	t.Parallel()
	s := newAssetServer(t, nil)
	contentType, body := form(t, formPart{"title", "x"}, formPart{"category", "image"}, formPart{"file", pngMark + strings.Repeat("x", 90_000)})
	server := s.start(t)
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/v1/assets/upload", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-API-Key", "ada")
	answer := make(chan *http.Response, 1)
	go func() {
		res, err := server.Client().Do(req)
		if err != nil {
			t.Error(err)
		}
		answer <- res
	}()
	if _, err := io.WriteString(w, body[:50_000]); err != nil {
		t.Fatal(err)
	}
	// The lease is there before all of the file is.
	for leased := []string(nil); len(leased) == 0; {
		leased, err = s.store.Condemn(t.Context(), time.Unix(2_000_000_000, 0), 10)
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(w, body[50_000:]); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	res := <-answer
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusConflict { // condemned files make no assets
		t.Errorf("%d %s", res.StatusCode, text(t, res.Body))
	}
}

func TestClientsThatStopSendingAreGivenUp(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	defer func() { _ = client.Close() }()
	body := &steadyBody{server, nil, time.Second}
	body.connection = http.NewResponseController(deadlines{httptest.NewRecorder(), server})
	body.timeout = 20 * time.Millisecond
	go func() { _, _ = client.Write([]byte("x")) }()
	if n, err := body.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := body.Read(make([]byte, 10)); !errors.Is(err, errTooSlow) {
		t.Error(err)
	}
}

// Who sends a byte now and then would never be too slow for one read.
func TestFormsHaveOneDeadline(t *testing.T) {
	t.Parallel()
	body := &formBody{ReadCloser: io.NopCloser(strings.NewReader("xxxx")), spare: 10, until: time.Now().Add(time.Hour)}
	if _, err := body.Read(make([]byte, 2)); err != nil {
		t.Error(err)
	}
	body.until = time.Now().Add(-time.Millisecond)
	for _, body.inFile = range []bool{false, true} {
		if _, err := body.Read(make([]byte, 2)); !errors.Is(err, errTooSlow) {
			t.Error(err)
		}
	}
}

type deadlines struct {
	http.ResponseWriter

	net.Conn
}

func (d deadlines) Write(p []byte) (int, error) { return d.ResponseWriter.Write(p) }

// addAsset puts an asset with a file into the catalogue.
func (s *assetServer) addAsset(t *testing.T, edit func(*domain.Asset)) domain.Asset {
	t.Helper()
	a := domain.Asset{
		ID: "5b0c1f1e-6a51-4d0f-9d53-0f6f2f3a9c11", Owner: "ada", Public: true, Source: domain.AssetFromGenerator, SourceName: "procedural",
		Category: domain.AssetProp, Title: "Sword", Quality: 0.9, License: domain.LicenseCreativeCommons, CreatedAt: time.Unix(1_700_000_000, 0),
		File: domain.AssetFile{Key: "generated/prop/sword.gltf", Format: "gltf", ContentType: "model/gltf+json", SHA256: "abc123"},
	}
	if edit != nil {
		edit(&a)
	}
	for _, key := range a.FileKeys() {
		if err := s.store.Lease(t.Context(), domain.FileLease{Key: key, Expires: time.Unix(2_000_000_000, 0)}); err != nil {
			t.Fatal(err)
		}
		n, err := s.blobs.Put(t.Context(), key, "", strings.NewReader(strings.Repeat("0123456789", 300)), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		a.File.Size = n
	}
	if err := s.store.Add(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDownloadRanges(t *testing.T) {
	t.Parallel()
	s := newAssetServer(t, nil)
	a := s.addAsset(t, nil)
	path := "/api/v1/assets/" + a.ID + "/download"
	whole := strings.Repeat("0123456789", 300)
	for _, c := range []struct {
		method, name, value string
		status              int
		body, contentRange  string
		counted             int64
	}{
		{"GET", "Range", "", 200, whole, "", 1},
		{"GET", "Range", "bytes=0-9", 206, "0123456789", "bytes 0-9/3000", 1},
		{"GET", "Range", "bytes=10-11", 206, "01", "bytes 10-11/3000", 0},
		{"GET", "Range", "bytes=-3", 206, "789", "bytes 2997-2999/3000", 0},
		{"GET", "Range", "bytes=2990-", 206, "0123456789", "bytes 2990-2999/3000", 0},
		{"GET", "Range", "bytes=3000-", 416, "", "bytes */3000", 0},
		{"GET", "Range", "lines=1-2", 416, "", "", 0},
		{"GET", "If-None-Match", `"abc123"`, 304, "", "", 0},
		{"GET", "If-None-Match", `"other"`, 200, whole, "", 1},
		{"HEAD", "Range", "", 200, "", "", 0},
		{"GET", "Accept-Encoding", "gzip", 200, whole, "", 1},
	} {
		before, err := s.store.Get(t.Context(), "ada", a.ID)
		if err != nil {
			t.Fatal(err)
		}
		res := s.serve(request(t, c.method, path, "X-API-Key", "ada", c.name, c.value))
		about := c.method + " " + c.name + ": " + c.value
		if res.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			if v := failureBody(t, res, "Error"); v["detail"] != "The file has 3000 bytes" {
				t.Errorf("%s: %v", about, v)
			}
		} else if body := text(t, res.Body); body != c.body {
			t.Errorf("%s: %d %.50q", about, res.StatusCode, body)
		}
		if got := res.Header.Get("Content-Range"); res.StatusCode != c.status || got != c.contentRange {
			t.Errorf("%s: %d, range %q", about, res.StatusCode, got)
		}
		after, err := s.store.Get(t.Context(), "ada", a.ID)
		if err != nil || after.Downloads-before.Downloads != c.counted {
			t.Errorf("%s: counted %d, %v", about, after.Downloads-before.Downloads, err)
		}
	}
	// Only the version that the client has goes on.
	for tag, status := range map[string]int{`"abc123"`: 206, `"other"`: 200} {
		if res := s.get(t, path, "X-API-Key", "ada", "Range", "bytes=5-6", "If-Range", tag); res.StatusCode != status {
			t.Errorf("If-Range %s: %d", tag, res.StatusCode)
		}
	}
	res := s.get(t, path, "X-API-Key", "ada", "Range", "bytes=0-1, 10-12")
	media, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || res.StatusCode != 206 || media != "multipart/byteranges" {
		t.Fatalf("%d %s, %v", res.StatusCode, media, err)
	}
	var parts []string
	for r := multipart.NewReader(res.Body, params["boundary"]); ; {
		part, err := r.NextPart()
		if err != nil {
			break
		}
		parts = append(parts, text(t, part))
	}
	if fmt.Sprint(parts) != "[01 012]" {
		t.Errorf("several parts: %q", parts)
	}
}

func TestWhoMayDownload(t *testing.T) {
	t.Parallel()
	s := newAssetServer(t, nil)
	a := s.addAsset(t, func(a *domain.Asset) { a.Public = false })
	path := "/api/v1/assets/" + a.ID + "/download"
	links, err := s.config.Assets.Link(t.Context(), a, domain.AssetMain)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(links)
	if err != nil {
		t.Fatal(err)
	}
	altered := func(name, value string) string {
		q := u.Query()
		q.Set(name, value)
		return u.Path + "?" + q.Encode()
	}
	for _, c := range []struct {
		target, key string
		status      int
		detail      string
	}{
		{path, "ada", 200, ""},
		{path, "bob", 404, "Asset not found"},
		{path, "", 401, "who are you"},
		{links, "", 200, ""},
		{links, "bob", 200, ""},
		{altered("expires", "1900000000"), "", 403, "altered"},
		{altered("expires", "1900000000"), "ada", 403, "altered"},
		{altered("variant", "preview"), "", 403, "altered"},
		{altered("signature", "AAAA"), "", 403, "altered"},
		{path + "?signature=" + u.Query().Get("signature"), "", 403, "altered"},
		{strings.Replace(links, a.ID, "5b0c1f1e-6a51-4d0f-9d53-0f6f2f3a9c12", 1), "", 403, "altered"},
		{altered("variant", "thumbnail"), "", 422, "Input should be"},
		{path + "?variant=preview", "ada", 404, "no preview"},
		{path + "?expires=5", "", 401, "who are you"},
	} {
		res := s.get(t, c.target, "X-API-Key", c.key)
		if body := text(t, res.Body); res.StatusCode != c.status || !strings.Contains(body, c.detail) {
			t.Errorf("%s with %q: %d %s", c.target, c.key, res.StatusCode, body)
		}
	}
	s.now.Add(3600)
	if res := s.get(t, links); res.StatusCode != http.StatusForbidden || !strings.Contains(text(t, res.Body), "expired") {
		t.Errorf("an old link: %d", res.StatusCode)
	}
}

func TestFilesThatAreElsewhere(t *testing.T) {
	t.Parallel()
	s := newAssetServer(t, nil)
	a := s.addAsset(t, func(a *domain.Asset) { a.File, a.URL = domain.AssetFile{}, "https://files.example/sword.fbx" })
	res := s.get(t, "/api/v1/assets/"+a.ID+"/download", "X-API-Key", "bob")
	if v := failureBody(t, res, "Error"); res.StatusCode != 404 || !strings.Contains(fmt.Sprint(v["detail"]), a.URL) {
		t.Errorf("%d %v", res.StatusCode, v)
	}
	server := newServer(s.config, loadContract(t))
	data, err := server.assetDataToAPI(t.Context(), a)
	if err != nil || data.DownloadUrl != a.URL || data.PreviewImageUrl != "" || data.FileFormat == "" {
		t.Errorf("%+v, %v", data, err)
	}
	if info := server.storageInfoToAPI(a); info.StorageType != "external" || deref(info.FilePath) != a.URL || info.BucketName != nil {
		t.Errorf("%+v", info)
	}
}

// A storage that fails in the middle must not make half a file look like a whole one.
func TestDownloadsThatBreakOff(t *testing.T) {
	t.Parallel()
	s := newAssetServer(t, func(_ *Config, d *app.AssetDeps) { d.Blobs = brokenBlobs{d.Blobs.(*memory.BlobStore)} })
	a := s.addAsset(t, nil)
	server := s.start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/assets/"+a.ID+"/download", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", "ada")
	res, err := server.Client().Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("half a file was taken for a whole one")
	}
	contains(t, s.log.String(), "answer failed halfway", "the storage has gone")
	s.blobs.FailNext("Open", domain.MissingPart("The asset storage is not available", nil))
	if res := s.get(t, "/api/v1/assets/"+a.ID+"/download", "X-API-Key", "ada"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a storage that is away: %d", res.StatusCode)
	}
}

// brokenBlobs has files that can be read up to their middle.
type brokenBlobs struct{ *memory.BlobStore }

func (b brokenBlobs) Open(ctx context.Context, key string) (io.ReadSeekCloser, domain.Blob, error) {
	r, blob, err := b.BlobStore.Open(ctx, key)
	if err != nil {
		return nil, blob, err
	}
	return brokenReader{r}, blob, nil
}

type brokenReader struct{ io.ReadSeekCloser }

func (r brokenReader) Read(p []byte) (int, error) {
	at, err := r.Seek(0, io.SeekCurrent)
	if err != nil || at > 1000 {
		return 0, errors.New("the storage has gone")
	}
	return r.ReadSeekCloser.Read(p[:min(len(p), 700)])
}

func TestListAndSearchAssets(t *testing.T) {
	t.Parallel()
	s := newAssetServer(t, nil)
	s.addAsset(t, func(a *domain.Asset) { a.StyleTags = []string{"fantasy"} })
	s.addAsset(t, func(a *domain.Asset) {
		a.ID, a.Title, a.Public, a.File.Key = "5b0c1f1e-6a51-4d0f-9d53-0f6f2f3a9c12", "Shield", false, "generated/prop/shield.gltf"
	})
	for _, c := range []struct {
		target, key, schema string
		total               float64
	}{
		{"/api/v1/assets", "ada", "AssetList", 2},
		{"/api/v1/assets", "bob", "AssetList", 1},
		{"/api/v1/assets?category=prop&style_tags=fantasy&min_quality=0.5&license_type=creative_commons", "bob", "AssetList", 1},
		{"/api/v1/assets?style_tags=fantasy,modern", "ada", "AssetList", 0},
		{"/api/v1/assets?limit=1&offset=1", "ada", "AssetList", 2},
		{"/api/v1/assets/search?query=sword", "bob", "AssetSearchResult", 1},
		{"/api/v1/assets/search?query=shield", "bob", "AssetSearchResult", 0},
		{"/api/v1/assets/search?query=shield", "ada", "AssetSearchResult", 1},
	} {
		v := obey(t, s.get(t, c.target, "X-API-Key", c.key), c.schema)
		total, ok := v["total"]
		if !ok {
			total = v["total_count"]
		}
		if total != c.total {
			t.Errorf("%s for %s: %v", c.target, c.key, v)
		}
	}
	for target, status := range map[string]int{
		"/api/v1/assets/search": 422, "/api/v1/assets?limit=1000": 422, "/api/v1/assets?category=spell": 422, "/api/v1/assets?min_quality=2": 422,
	} {
		if res := s.get(t, target, "X-API-Key", "ada"); res.StatusCode != status {
			t.Errorf("%s: %d", target, res.StatusCode)
		}
	}
}

func TestDeleteAssets(t *testing.T) {
	t.Parallel()
	s := newAssetServer(t, func(_ *Config, d *app.AssetDeps) {
		d.Generation = func(_ context.Context, owner, id string) (domain.Generation, error) {
			if id == "01980000-0000-7000-8000-0000000000aa" && owner == "ada" {
				return domain.Generation{Status: domain.GenerationProcessing}, nil
			}
			return domain.Generation{}, domain.GenerationNotFound()
		}
	})
	a := s.addAsset(t, nil)
	path := "/api/v1/assets/"
	for _, c := range []struct {
		id, key string
		status  int
	}{
		{a.ID, "", 401}, {a.ID, "bob", 403}, {a.ID, "ada", 200}, {a.ID, "ada", 404}, {"no-id", "ada", 404},
		{"01980000-0000-7000-8000-0000000000aa", "ada", 409}, {"01980000-0000-7000-8000-0000000000aa", "bob", 404},
	} {
		res := s.serve(request(t, http.MethodDelete, path+c.id, "X-API-Key", c.key))
		if res.StatusCode != c.status {
			t.Errorf("%s by %q: %d %s", c.id, c.key, res.StatusCode, text(t, res.Body))
		} else if c.status == 200 {
			obey(t, res, "Deletion")
		}
	}
	if res := s.get(t, path+"01980000-0000-7000-8000-0000000000aa/download", "X-API-Key", "ada"); res.StatusCode != http.StatusConflict {
		t.Errorf("a download of what is being made: %d", res.StatusCode)
	}
	if n, err := s.config.Assets.Sweep(t.Context()); n != 1 || err != nil || len(s.blobs.Keys()) != 0 {
		t.Errorf("swept %d, %v", n, err)
	}
	s.addAsset(t, nil)
	if res := s.serve(request(t, http.MethodDelete, path+a.ID, "X-API-Key", "good")); res.StatusCode != http.StatusOK {
		t.Errorf("by the global key: %d", res.StatusCode)
	}
}

func TestAddressesInLinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		publicURL, peer, proto, host, want string
	}{
		{"", "203.0.113.1", "", "", "http://gaia.example:8666"},
		{"", "203.0.113.1", "https", "evil.example", "http://gaia.example:8666"},
		{"", "192.0.2.7", "https", "public.example", "https://public.example"},
		{"", "192.0.2.7", "https", "evil.example/x?", "https://gaia.example:8666"},
		{"https://api.example/gaia", "192.0.2.7", "https", "public.example", "https://api.example/gaia"},
	} {
		r := request(t, http.MethodGet, "http://gaia.example:8666/", "X-Forwarded-Proto", c.proto, "X-Forwarded-Host", c.host)
		r.RemoteAddr = c.peer + ":1"
		var base string
		trusted := proxies{netip.MustParsePrefix("192.0.2.0/24")}
		noteAddress(c.publicURL, trusted)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			base = requestFrom(r.Context()).base
		})).ServeHTTP(httptest.NewRecorder(), r)
		if base != c.want {
			t.Errorf("%+v: %s", c, base)
		}
	}
}
