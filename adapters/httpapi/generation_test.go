package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// workLine hands work on inside of one process.
type workLine struct {
	items chan string

	mu     sync.Mutex
	heard  []func(string)
	signal []string
}

func (q *workLine) Enqueue(_ context.Context, id string) error {
	q.items <- id
	return nil
}

func (q *workLine) Work(ctx context.Context, _ int, do func(context.Context, string) bool) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case id := <-q.items:
			running.Go(func() { do(ctx, id) })
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (q *workLine) Signal(_ context.Context, id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.signal = append(q.signal, id)
	for _, heard := range q.heard {
		heard(id)
	}
}

func (q *workLine) Watch(heard func(string)) func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.heard = append(q.heard, heard)
	return func() {}
}

// maker is a generator of PNGs that works when the test lets it.
type maker struct {
	ready   chan struct{} // closed: the work may end
	refuses error
	begun   atomic.Int64
}

func newMaker(ready bool) *maker {
	m := &maker{ready: make(chan struct{})}
	if ready {
		close(m.ready)
	}
	return m
}

func (m *maker) Stages(domain.GenerationOrder) []string { return []string{"make"} }

func (m *maker) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	m.begun.Add(1)
	if m.refuses != nil {
		return domain.GeneratorTask{}, m.refuses
	}
	return m.Check(ctx, o, "task-1")
}

func (m *maker) Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	return m.Check(ctx, o, "task-1")
}

func (m *maker) Check(_ context.Context, o domain.GenerationOrder, id string) (domain.GeneratorTask, error) {
	select {
	case <-m.ready:
		return domain.GeneratorTask{ID: id, Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{{
			Format: "png", Data: []byte(pngMark + o.Request.Description), Attributes: map[string]any{"seed": o.Seed},
		}}}, nil
	default:
		return domain.GeneratorTask{ID: id, Status: domain.TaskRunning, Progress: 40, Again: time.Millisecond}, nil
	}
}

func (m *maker) Fetch(_ context.Context, f domain.GeneratedFile, _ int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(f.Data)), nil
}

func (m *maker) Cancel(context.Context, string) error { return nil }

// generationServer is an asset server that makes assets.
type generationServer struct {
	*assetServer

	works *memory.GenerationStore
	queue *workLine
}

func newGenerationServer(t *testing.T, generators map[string]ports.AssetGenerator) *generationServer {
	t.Helper()
	s := &generationServer{works: &memory.GenerationStore{}, queue: &workLine{items: make(chan string, 100)}}
	s.assetServer = newAssetServer(t, func(c *Config, d *app.AssetDeps) {
		assets := d.Store.(*memory.AssetStore)
		s.works.Parts.Assets = assets
		d.Generation = s.works.Get
		c.PingInterval, c.MaxBodyBytes = time.Minute, 10_000
		c.Webhooks = map[string]Webhook{"meshy": {Secret: "s3cret"}, "midjourney": {Secret: "s3cret"}, "mubert": {Secret: "s3cret"}}
		c.Generations = app.NewGenerations(app.GenerationDeps{
			Store: s.works, Assets: assets, Leases: assets, Blobs: d.Blobs, Inspector: marks{}, Queue: s.queue, Table: domain.BuiltInGenerators(),
			Generators: generators, Prices: domain.BuiltInPrices, Now: time.Now, NewID: d.NewID,
			Troubled: func(id string, err error) { t.Errorf("%s: %v", id, err) },
		})
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.config.Generations.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); s.config.Generations.Close() })
	return s
}

// post sends JSON as ada, unless the headers say somebody else.
func (s *generationServer) post(t *testing.T, target, body string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("X-API-Key", "ada")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return s.serve(r)
}

// order is a request for a texture.
func order(t *testing.T, description string, more map[string]any) string {
	t.Helper()
	body := map[string]any{"category": "texture", "style": "Fantasy, low_poly", "description": description, "preferences": map[string]any{"max_wait_time_ms": 60_000}}
	for name, value := range more {
		body[name] = value
	}
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func atOnce() map[string]any {
	return map[string]any{"preferences": map[string]any{"max_wait_time_ms": 0}}
}

// answerOf checks the status and the body of an answer against the contract.
func answerOf(t *testing.T, res *http.Response, status int, schema string) map[string]any {
	t.Helper()
	body := text(t, res.Body)
	var v map[string]any
	if err := json.Unmarshal([]byte(body), &v); err != nil || res.StatusCode != status {
		t.Fatalf("%d instead of %d: %s", res.StatusCode, status, body)
	}
	if err := contractSchema(t, schema).VisitJSON(v); err != nil {
		t.Errorf("%v\nis no %s: %v", v, schema, err)
	}
	return v
}

func TestGenerateAnAsset(t *testing.T) {
	t.Parallel()
	s := newGenerationServer(t, map[string]ports.AssetGenerator{"procedural": newMaker(true)})
	v := answerOf(t, s.post(t, "/api/v1/assets/generate", order(t, "Mossy stone", map[string]any{"seed": 7})), 200, "GeneratedAsset")
	if v["source"] != "generated" || v["cost"] != 0. || v["cost_breakdown"].(map[string]any)["total_cost"] != 0. || v["metadata"].(map[string]any)["seed"] != 7. {
		t.Errorf("got %v", v)
	}
	res := s.get(t, link(t, v["asset_data"].(map[string]any)["download_url"]))
	if body := text(t, res.Body); res.StatusCode != 200 || body != pngMark+"Mossy stone" {
		t.Errorf("the file: %d %q", res.StatusCode, body)
	}
	id := fmt.Sprint(v["asset_id"])
	detail := answerOf(t, s.get(t, assetsPath+id, "X-API-Key", "ada"), 200, "AssetDetail")
	if detail["status"] != "completed" || detail["title"] != "Mossy stone" || detail["asset_data"] == nil || detail["progress"] != 100. ||
		fmt.Sprint(detail["style_tags"]) != "[fantasy low_poly]" || detail["cost_breakdown"] == nil {
		t.Errorf("got %v", detail)
	}
	answerOf(t, s.get(t, assetsPath+id, "X-API-Key", "bob"), 404, "Error") // what is made is its owner's
	work, err := s.works.Get(t.Context(), "ada", id)
	if err != nil {
		t.Fatal(err)
	}
	r := work.Request
	if r.Quality != domain.AssetMedium || r.MaxCost != domain.FromDollars(0.5) || !r.AllowDatabase || !r.AllowAdapted || !r.AllowMade || *r.Seed != 7 {
		t.Errorf("the defaults are %+v", r)
	}
}

func TestRequestsForAssetsAreReadAsTheyStand(t *testing.T) {
	t.Parallel()
	s := newGenerationServer(t, map[string]ports.AssetGenerator{"procedural": newMaker(false)})
	v := answerOf(t, s.post(t, "/api/v1/assets/generate", order(t, "x", map[string]any{
		"requirements": map[string]any{"platform": "ar", "quality": "low", "polygon_count_max": 9, "file_size_max_mb": 3, "format": ".PNG"},
		"preferences": map[string]any{
			"allow_database": false, "allow_modifications": false, "allow_generation": true, "max_cost": 0.123456789, "max_wait_time_ms": 0,
		},
		"session_id": "level-3",
	})), 202, "AssetPending")
	work, err := s.works.Get(t.Context(), "ada", fmt.Sprint(v["asset_id"]))
	if err != nil {
		t.Fatal(err)
	}
	work.Request.Seed = nil
	if got, want := work.Request, (domain.AssetRequest{
		Category: "texture", Style: "Fantasy, low_poly", Description: "x", Platform: "ar", Quality: "low", MaxPolygons: 9, MaxBytes: 3 << 20,
		Format: "png", SessionID: "level-3", AllowMade: true, MaxCost: 123_456_789,
	}); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAnAssetThatTakesLonger(t *testing.T) {
	t.Parallel()
	m := newMaker(false)
	s := newGenerationServer(t, map[string]ports.AssetGenerator{"procedural": m})
	res := s.post(t, "/api/v1/assets/generate", order(t, "Mossy stone", atOnce()))
	location := res.Header.Get("Location")
	v := answerOf(t, res, 202, "AssetPending")
	if location != assetsPath+fmt.Sprint(v["asset_id"]) {
		t.Errorf("it is to be asked for at %q", location)
	}
	detail := answerOf(t, s.get(t, location, "X-API-Key", "ada"), 200, "AssetDetail")
	if state := detail["status"]; state != "pending" && state != "processing" || detail["asset_data"] != nil || detail["title"] != "Mossy stone" {
		t.Errorf("got %v", detail)
	}
	answerOf(t, s.get(t, location, "X-API-Key", "bob"), 404, "Error")
	close(m.ready)
	events := s.follow(t, location)
	last := events[len(events)-1]
	if events[0].fields["type"] != "status" || last.fields["type"] != "completed" || last.id == "" {
		t.Errorf("got %v", events)
	}
	if again := s.follow(t, location, "Last-Event-ID", last.id); len(again) > 1 || again[0].fields["type"] != "status" {
		t.Errorf("after the last event comes %v", again)
	}
	if detail = answerOf(t, s.get(t, location, "X-API-Key", "ada"), 200, "AssetDetail"); detail["status"] != "completed" {
		t.Errorf("got %v", detail)
	}
}

// streamed is an event of a stream.
type streamed struct {
	id     string
	fields map[string]any
}

// follow reads the events of an asset to the end of the stream, and checks each against the contract.
func (s *generationServer) follow(t *testing.T, location string, headers ...string) (events []streamed) {
	t.Helper()
	res := s.get(t, location+"/events", append(headers, "X-API-Key", "ada")...)
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%d %s", res.StatusCode, text(t, res.Body))
	}
	var e streamed
	done := false
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		line := lines.Text()
		switch data, isData := strings.CutPrefix(line, "data: "); {
		case strings.HasPrefix(line, "id: "):
			e.id = strings.TrimPrefix(line, "id: ")
		case data == "[DONE]":
			done = e.id == ""
		case isData:
			if err := json.Unmarshal([]byte(data), &e.fields); err != nil {
				t.Fatal(err)
			}
			if err := contractSchema(t, "AssetEvent").VisitJSON(e.fields); err != nil {
				t.Errorf("%s: %v", data, err)
			}
			events = append(events, e)
			e = streamed{}
		}
	}
	if !done || len(events) == 0 {
		t.Fatalf("no whole stream: %v", events)
	}
	return events
}

func TestAssetsThatAreNotMade(t *testing.T) {
	t.Parallel()
	refusing := newMaker(true)
	refusing.refuses = &domain.Error{Kind: domain.BadRequest, Code: domain.CodeContentFilter, Message: "The generator refuses this description"}
	s := newGenerationServer(t, map[string]ports.AssetGenerator{"procedural": refusing, "midjourney": newMaker(true)})
	const generate = "/api/v1/assets/generate"
	free := map[string]any{"preferences": map[string]any{"max_cost": 0, "max_wait_time_ms": 60_000}}

	refused := answerOf(t, s.post(t, generate, order(t, "something bad", map[string]any{"category": "prop"})), 400, "Error")
	if refused["detail"] != refusing.refuses.Error() {
		t.Errorf("got %v", refused)
	}
	if v := answerOf(t, s.post(t, generate, order(t, "x", free)), 402, "Error"); !strings.Contains(fmt.Sprint(v["detail"]), "$0") {
		t.Errorf("got %v", v)
	}
	for what, body := range map[string]string{
		"nothing is allowed": order(t, "x", map[string]any{"preferences": map[string]any{
			"allow_database": false, "allow_modifications": false, "allow_generation": false,
		}}),
		"an unknown category": order(t, "x", map[string]any{"category": "planet"}),
		"no description":      `{"category": "prop", "style": "x"}`,
		"a negative cost":     order(t, "x", map[string]any{"preferences": map[string]any{"max_cost": -1}}),
		"a seed too large":    order(t, "x", map[string]any{"seed": 1 << 33}),
	} {
		if res := s.post(t, generate, body); res.StatusCode != 422 {
			t.Errorf("%s: %d", what, res.StatusCode)
		}
	}
	answerOf(t, s.post(t, generate, order(t, "x", nil), "X-API-Key", ""), 401, "Error")
	if res := s.post(t, generate, "x", "Content-Type", "text/plain"); res.StatusCode != 415 {
		t.Errorf("a text: %d", res.StatusCode)
	}
	if res := s.post(t, generate, order(t, strings.Repeat("x", 20_000), nil)); res.StatusCode != 413 {
		t.Errorf("a long text: %d", res.StatusCode)
	}

	nobody := newGenerationServer(t, nil)
	if v := answerOf(t, nobody.post(t, generate, order(t, "x", nil)), 503, "Error"); !strings.Contains(fmt.Sprint(v["detail"]), "OPENAI_API_KEY") {
		t.Errorf("got %v", v)
	}
}

func TestAFailedAssetSaysWhy(t *testing.T) {
	t.Parallel()
	refusing := newMaker(true)
	refusing.refuses = domain.NewError(domain.BadRequest, "The generator refuses this description")
	s := newGenerationServer(t, map[string]ports.AssetGenerator{"procedural": refusing})
	location := s.post(t, "/api/v1/assets/generate", order(t, "x", atOnce())).Header.Get("Location")
	events := s.follow(t, location)
	if last := events[len(events)-1].fields; last["type"] != "failed" || last["status"] != "failed" {
		t.Errorf("got %v", last)
	}
	v := answerOf(t, s.get(t, location, "X-API-Key", "ada"), 200, "AssetDetail")
	if v["status"] != "failed" || v["error"] != refusing.refuses.Error() || v["metadata"].(map[string]any)["generator"] != "procedural" {
		t.Errorf("got %v", v)
	}
}

func TestARepeatedRequestIsPaidOnce(t *testing.T) {
	t.Parallel()
	m := newMaker(true)
	s := newGenerationServer(t, map[string]ports.AssetGenerator{"procedural": m})
	body := order(t, "Mossy stone", nil)
	first := answerOf(t, s.post(t, "/api/v1/assets/generate", body, "Idempotency-Key", "k"), 200, "GeneratedAsset")
	again := answerOf(t, s.post(t, "/api/v1/assets/generate", body, "Idempotency-Key", "k"), 200, "GeneratedAsset")
	if first["asset_id"] != again["asset_id"] || m.begun.Load() != 1 {
		t.Errorf("%v, then %v; begun %d times", first["asset_id"], again["asset_id"], m.begun.Load())
	}
	answerOf(t, s.post(t, "/api/v1/assets/generate", order(t, "Wet stone", nil), "Idempotency-Key", "k"), 409, "Error")
}

func TestCancelAnAsset(t *testing.T) {
	t.Parallel()
	s := newGenerationServer(t, map[string]ports.AssetGenerator{"procedural": newMaker(false)})
	location := s.post(t, "/api/v1/assets/generate", order(t, "x", atOnce())).Header.Get("Location")
	answerOf(t, s.post(t, location+"/cancel", "", "X-API-Key", "bob"), 404, "Error")
	v := answerOf(t, s.post(t, location+"/cancel", ""), 200, "AssetDetail")
	if v["status"] != "cancelled" {
		t.Errorf("got %v", v)
	}
	answerOf(t, s.post(t, location+"/cancel", ""), 409, "Error")
	events := s.follow(t, location)
	if last := events[len(events)-1].fields; last["type"] != "cancelled" {
		t.Errorf("got %v", last)
	}
}

func TestEventsOfAssetsThatCanNotBeFollowed(t *testing.T) {
	t.Parallel()
	s := newGenerationServer(t, nil)
	answerOf(t, s.get(t, assetsPath+"nonsense/events", "X-API-Key", "ada"), 404, "Error")
	answerOf(t, s.get(t, assetsPath+"nonsense", "X-API-Key", "ada"), 404, "Error")
	answerOf(t, s.post(t, assetsPath+"nonsense/cancel", ""), 404, "Error")
	if res := s.get(t, assetsPath+"nonsense/events", "X-API-Key", "ada", "Last-Event-ID", "first"); res.StatusCode != 422 {
		t.Errorf("a strange id: %d", res.StatusCode)
	}
}

// A stream of an asset of the catalogue tells that it is there.
func TestEventsOfAnAssetThatIsThere(t *testing.T) {
	t.Parallel()
	s := newGenerationServer(t, nil)
	v := obey(t, s.upload(t, "bob", swordFile, formPart{"title", "Sword"}, formPart{"category", "texture"}), "AssetUploaded")
	location := assetsPath + fmt.Sprint(v["asset_id"])
	if events := s.follow(t, location); len(events) != 1 || events[0].fields["type"] != "completed" {
		t.Errorf("got %v", events)
	}
	detail := answerOf(t, s.get(t, location, "X-API-Key", "ada"), 200, "AssetDetail")
	if breakdown, there := detail["cost_breakdown"]; breakdown != nil || !there || detail["source"] != "database" {
		t.Errorf("got %v", detail)
	}
}

func TestNewsOfGenerators(t *testing.T) {
	t.Parallel()
	s := newGenerationServer(t, map[string]ports.AssetGenerator{"meshy": newMaker(false)})
	s.post(t, "/api/v1/assets/generate", order(t, "x", map[string]any{"category": "prop", "preferences": map[string]any{"max_wait_time_ms": 0}}))
	for _, c := range []struct{ path, body, schema, field, id string }{
		{"/webhooks/meshy", `{"task_id": "task-1"}`, "WebhookTaskReceipt", "task_id", "task-1"},
		{"/webhooks/midjourney", `{"id": "7"}`, "WebhookJobReceipt", "job_id", "7"},
		{"/webhooks/mubert", `{"id": "track"}`, "WebhookTaskReceipt", "task_id", "track"},
	} {
		v := answerOf(t, s.post(t, c.path+"?token=s3cret", c.body), 200, c.schema)
		if v[c.field] != c.id || v["status"] != "received" {
			t.Errorf("got %v", v)
		}
	}
	s.works.FailNext("ByTask", domain.MissingPart("The database can't be reached at the moment", nil))
	answerOf(t, s.post(t, "/webhooks/mubert?token=s3cret", `{"id": "track"}`), 503, "Error")
}
