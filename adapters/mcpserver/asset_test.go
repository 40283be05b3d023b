package mcpserver_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/adapters/mcpserver"
	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

var ada = domain.Principal{Type: domain.AuthJWT, UserID: "ada"}

// base is what the client of these tests calls the server.
const base = "https://gaia.example.com"

// idleQueue hands nothing out.
type idleQueue struct{}

func (idleQueue) Enqueue(context.Context, string) error { return nil }
func (idleQueue) Signal(context.Context, string)        {}
func (idleQueue) Watch(func(string)) (stop func())      { return func() {} }
func (idleQueue) Work(ctx context.Context, _ int, _ func(context.Context, string) bool) error {
	<-ctx.Done()
	return nil
}

// idleGenerator could make everything.
type idleGenerator struct{ ports.AssetGenerator }

func (idleGenerator) Stages(domain.GenerationOrder) []string { return []string{"make"} }

// bed is a server of assets that nobody makes, on stores in memory.
type bed struct {
	assets      *memory.AssetStore
	blobs       *memory.BlobStore
	generations *memory.GenerationStore
	stopping    chan struct{}
	log         bytes.Buffer
	base        string
	server      *mcpserver.Server
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{assets: &memory.AssetStore{}, blobs: &memory.BlobStore{}, stopping: make(chan struct{}), base: base}
	b.generations = &memory.GenerationStore{Parts: memory.GenerationParts{Assets: b.assets, Ledger: memory.NewLedger(), Outbox: &memory.Outbox{}}}
	newID := func() string { return uuid.Must(uuid.NewV7()).String() }
	assets, err := app.NewAssets(app.AssetDeps{
		Store: b.assets, Leases: b.assets, Blobs: b.blobs, Generation: b.generations.Get, Now: time.Now, NewID: newID,
		Config: app.AssetConfig{DirectLinks: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	generations := app.NewGenerations(app.GenerationDeps{
		Store: b.generations, Assets: b.assets, Leases: b.assets, Blobs: b.blobs, Queue: idleQueue{}, Table: domain.BuiltInGenerators(),
		Prices: domain.BuiltInPrices, Now: time.Now, NewID: newID,
		Generators: map[string]ports.AssetGenerator{domain.GeneratorProcedural: idleGenerator{}},
	})
	t.Cleanup(generations.Close)
	b.server = mcpserver.New(mcpserver.Config{
		Assets: assets, Generations: generations, Stopping: b.stopping, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	return b
}

// connect connects the official client over HTTP, as ada.
func (b *bed) connect(t *testing.T) *mcp.ClientSession {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.server.Serve(ada, b.base, w, r) }))
	t.Cleanup(server.Close)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
		Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: server.URL, MaxRetries: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// put puts an asset of ada's with a file of so many bytes into the catalogue.
func (b *bed) put(t *testing.T, bytesOfFile int, change func(*domain.Asset)) domain.Asset {
	t.Helper()
	now := time.Now()
	a := domain.Asset{
		ID: uuid.NewString(), Owner: ada.OwnerID(), Source: domain.AssetFromDatabase, Category: domain.AssetImage, Title: "A castle", Quality: 0.9,
		License: domain.LicenseCustom, CreatedAt: now, UpdatedAt: now,
	}
	a.File = domain.AssetFile{Key: "community/" + a.ID + ".png", Format: "png", ContentType: "image/png", Size: int64(bytesOfFile)}
	change(&a)
	for _, key := range []string{a.File.Key, a.PreviewKey} {
		if key == "" {
			continue
		}
		if err := b.assets.Lease(t.Context(), domain.FileLease{Key: key, Expires: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.blobs.Put(t.Context(), key, "image/png", strings.NewReader(strings.Repeat("x", bytesOfFile)), int64(bytesOfFile)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.assets.Add(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

// show calls get_asset.
func show(t *testing.T, s *mcp.ClientSession, id string) (r *mcp.CallToolResult, link *mcp.ResourceLink, picture *mcp.ImageContent) {
	t.Helper()
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "get_asset", Arguments: map[string]any{"asset_id": id}})
	if err != nil || r.IsError {
		t.Fatalf("get_asset: %+v, %v", r, err)
	}
	for _, c := range r.Content {
		switch c := c.(type) {
		case *mcp.ResourceLink:
			link = c
		case *mcp.ImageContent:
			picture = c
		}
	}
	return r, link, picture
}

func readFailure(t *testing.T, s *mcp.ClientSession, uri string) (code int64, message string) {
	t.Helper()
	r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	var failure *jsonrpc.Error
	if !errors.As(err, &failure) {
		t.Fatalf("%s: %+v, %v", uri, r, err)
	}
	return failure.Code, failure.Message
}

const (
	readable = 4 << 20 // bytes of a file that is read as a resource, at the most
	visible  = 1 << 20 // of a picture that comes with a result
)

// TestHowLargeAFileMayBe: one that can be read as a resource is, a larger one says where it can be downloaded, and only small pictures come
// with results.
func TestHowLargeAFileMayBe(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.connect(t)
	fits := b.put(t, readable, func(*domain.Asset) {})
	r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://assets/" + fits.ID + "/file"})
	if err != nil || len(r.Contents[0].Blob) != readable || r.Contents[0].MIMEType != "image/png" {
		t.Fatalf("the largest file: %v", err)
	}
	if a, err := b.assets.Get(t.Context(), "ada", fits.ID); err != nil || a.Downloads != 1 {
		t.Errorf("it counts %d downloads, %v", a.Downloads, err)
	}
	if _, link, picture := show(t, s, fits.ID); link.URI != "gaia://assets/"+fits.ID+"/file" || picture != nil {
		t.Errorf("the link is %s, the picture %v", link.URI, picture)
	}
	large := b.put(t, readable+1, func(*domain.Asset) {})
	download := base + "/api/v1/assets/" + large.ID + "/download?expires="
	if code, message := readFailure(t, s, "gaia://assets/"+large.ID+"/file"); code != jsonrpc.CodeInvalidParams ||
		!strings.Contains(message, "4194305 bytes, and 4194304 can be read like this: download it from "+download) {
		t.Errorf("a larger file: %d %s", code, message)
	}
	if _, link, _ := show(t, s, large.ID); !strings.HasPrefix(link.URI, download) {
		t.Errorf("the link is %s", link.URI)
	}
	small := b.put(t, visible, func(*domain.Asset) {})
	if _, _, picture := show(t, s, small.ID); picture == nil || len(picture.Data) != visible {
		t.Error("the largest picture does not come with the result")
	}
}

// TestAClientWithoutAServer gets no links, and is told what has files.
func TestAClientWithoutAServer(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.base = ""
	s := b.connect(t)
	a := b.put(t, readable+1, func(*domain.Asset) {})
	if _, message := readFailure(t, s, "gaia://assets/"+a.ID+"/file"); !strings.Contains(message, "a server on the same data serves it at /api/v1/assets/"+a.ID+"/download") {
		t.Errorf("a large file: %s", message)
	}
	if r, link, _ := show(t, s, a.ID); r.StructuredContent.(map[string]any)["download_url"] != nil || link.URI != "gaia://assets/"+a.ID+"/file" {
		t.Errorf("it shows %v, the link is %s", r.StructuredContent, link.URI)
	}
}

// TestFilesThatAreElsewhere are linked to, and so says who wants to read one.
func TestFilesThatAreElsewhere(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.connect(t)
	a := b.put(t, 0, func(a *domain.Asset) {
		a.File, a.URL, a.PreviewURL = domain.AssetFile{}, "https://elsewhere.example.com/castle.png", "https://elsewhere.example.com/small.png"
	})
	if _, link, picture := show(t, s, a.ID); link.URI != a.URL || picture != nil {
		t.Errorf("the link is %s, the picture %v", link.URI, picture)
	}
	for suffix, where := range map[string]string{"/file": a.URL, "/preview": a.PreviewURL} {
		if code, message := readFailure(t, s, "gaia://assets/"+a.ID+suffix); code != jsonrpc.CodeInvalidParams || message != "This file is not kept here: it is at "+where {
			t.Errorf("%s: %d %s", suffix, code, message)
		}
	}
	plain := b.put(t, 5, func(*domain.Asset) {})
	if code, _ := readFailure(t, s, "gaia://assets/"+plain.ID+"/preview"); code != jsonrpc.CodeInvalidParams {
		t.Errorf("a preview that is not there: %d", code)
	}
}

// TestWhatIsAwayIsSaid: without its picture an asset is shown all the same; what can't be read says so, and nothing of the inside shows.
func TestWhatIsAwayIsSaid(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.connect(t)
	a := b.put(t, 5, func(a *domain.Asset) { a.PreviewKey = "previews/" + a.ID + ".png" })
	b.blobs.FailNext("Open", errors.New("disk sda1 burns"))
	if _, link, picture := show(t, s, a.ID); link == nil || picture != nil {
		t.Errorf("the link is %v, the picture %v", link, picture)
	}
	if !strings.Contains(b.log.String(), "disk sda1 burns") {
		t.Errorf("the log says %q", b.log.String())
	}
	b.blobs.FailNext("Open", domain.MissingPart("The storage of files is away", nil))
	if code, message := readFailure(t, s, "gaia://assets/"+a.ID+"/file"); code != -32000 || message != "The storage of files is away" {
		t.Errorf("a storage that is away: %d %s", code, message)
	}
	b.assets.FailNext("Search", errors.New("table assets"))
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "search_assets", Arguments: map[string]any{}})
	if err != nil || !r.IsError || r.Content[0].(*mcp.TextContent).Text != "Internal server error" {
		t.Errorf("a search that fails: %+v, %v", r, err)
	}
}

// TestWorkThatHasFailed: who waits for it is shown why.
func TestWorkThatHasFailed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.connect(t)
	now := time.Now()
	work := domain.Generation{
		ID: uuid.Must(uuid.NewV7()).String(), Principal: ada, Version: 1, Status: domain.GenerationFailed, Error: "The generator refused it", ErrorCode: domain.CodeContentFilter,
		Request: domain.AssetRequest{Category: domain.AssetImage, Style: "painted", Description: "A castle"}, CreatedAt: now, UpdatedAt: now, Deadline: now,
		Attempts: []domain.GenerationAttempt{{Generator: "openai", Stage: "make", Token: "t", Status: domain.AttemptFailed, StartedAt: now}},
	}
	event := domain.GenerationEvent{ID: uuid.NewString(), GenerationID: work.ID, Type: domain.GenerationEventFailed, Status: work.Status, Progress: 40, At: now}
	if _, err := b.generations.Create(t.Context(), work, event); err != nil {
		t.Fatal(err)
	}
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "wait_for_asset", Arguments: map[string]any{"asset_id": work.ID}})
	if err != nil || r.IsError {
		t.Fatalf("wait_for_asset: %+v, %v", r, err)
	}
	got := r.StructuredContent.(map[string]any)
	if got["status"] != "failed" || got["error"] != work.Error || got["reason"] != work.ErrorCode || got["metadata"].(map[string]any)["generator"] != "openai" {
		t.Errorf("it is %v", got)
	}
}

// TestWaitingEndsWithTheProcess: who waits is shown how far it is.
func TestWaitingEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.connect(t)
	now := time.Now()
	work := domain.Generation{
		ID: uuid.Must(uuid.NewV7()).String(), Principal: ada, Version: 1, Status: domain.GenerationPending, Message: "Waiting for its turn",
		Request: domain.AssetRequest{Category: domain.AssetImage, Style: "painted", Description: "A castle"}, CreatedAt: now, UpdatedAt: now, Deadline: now.Add(time.Hour),
	}
	event := domain.GenerationEvent{ID: uuid.NewString(), GenerationID: work.ID, Type: domain.GenerationEventStarted, Status: work.Status, At: now}
	if _, err := b.generations.Create(t.Context(), work, event); err != nil {
		t.Fatal(err)
	}
	close(b.stopping)
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "wait_for_asset", Arguments: map[string]any{"asset_id": work.ID, "timeout_seconds": 3600}})
	if err != nil || r.IsError || r.StructuredContent.(map[string]any)["status"] != "pending" {
		t.Errorf("it is %+v, %v", r, err)
	}
}

// TestWhatIsOrderedIsNotLost: whatever fails while a client waits, it gets the id of what it has ordered, and may wait for it again.
func TestWhatIsOrderedIsNotLost(t *testing.T) {
	t.Parallel()
	for _, fails := range []string{"Events", "Get"} {
		b := newBed(t)
		s := b.connect(t)
		b.generations.FailNext(fails, domain.MissingPart("The database is away", nil))
		r, err := s.CallTool(t.Context(), &mcp.CallToolParams{
			Name: "generate_asset", Arguments: map[string]any{"category": "prop", "style": "fantasy", "description": "A sword", "timeout_seconds": 1},
		})
		if err != nil || r.IsError {
			t.Fatalf("%s fails: %+v, %v", fails, r, err)
		}
		got := r.StructuredContent.(map[string]any)
		id, _ := got["asset_id"].(string)
		if work, err := b.generations.Get(t.Context(), ada.OwnerID(), id); err != nil || work.Status != domain.GenerationPending || got["status"] != "pending" {
			t.Errorf("%s fails: it is %v, and in the store %s, %v", fails, got, work.Status, err)
		}
		if !strings.Contains(b.log.String(), "The database is away") {
			t.Errorf("%s fails: the log says %q", fails, b.log.String())
		}
	}
}

// TestWhatIsThereIsNotLost: an asset that can't be linked to at the moment is told by its id.
func TestWhatIsThereIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.connect(t)
	there := b.put(t, 5, func(a *domain.Asset) { a.Title, a.StyleTags = "A painted castle", []string{"painted"} })
	b.blobs.FailNext("Link", domain.MissingPart("The storage of files is away", nil))
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{
		Name: "generate_asset", Arguments: map[string]any{"category": "image", "style": "painted", "description": "A painted castle"},
	})
	if err != nil || r.IsError {
		t.Fatalf("it is %+v, %v", r, err)
	}
	if got := r.StructuredContent.(map[string]any); got["asset_id"] != there.ID || got["status"] != "completed" || got["download_url"] != nil {
		t.Errorf("it is %v, not %s", got, there.ID)
	}
}

// TestWhatAnAssetCanNotBeReadsAsArguments: without the levels that the contract has and tools have not.
func TestWhatAnAssetCanNotBeReadsAsArguments(t *testing.T) {
	t.Parallel()
	s := newBed(t).connect(t)
	for _, tool := range []string{"generate_asset", "estimate_asset_cost"} {
		r, err := s.CallTool(t.Context(), &mcp.CallToolParams{
			Name: tool, Arguments: map[string]any{"category": "prop", "style": "fantasy", "description": "A sword", "format": "docx"},
		})
		if err != nil || !r.IsError || !strings.HasPrefix(r.Content[0].(*mcp.TextContent).Text, "format: Value error") {
			t.Errorf("%s: %+v, %v", tool, r, err)
		}
	}
}
