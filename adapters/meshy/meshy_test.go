package meshy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/meshy"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

const (
	key    = "msy_very-secret"
	taskID = "018a210d-8ba4-705c-b111-1f1776f7f578" // of the transcripts
	token  = "018949a0-0000-7000-8000-000000000001" // weeks before the order was last placed
)

// begun is 3 s before the task of the lists was created.
var begun = time.UnixMilli(created - 3000)

func generator(t *testing.T, url string) *meshy.Generator {
	t.Helper()
	g := meshy.New(meshy.Config{URL: url, Key: key})
	t.Cleanup(g.CloseIdle)
	return g
}

func order(stage string) domain.GenerationOrder {
	o := domain.GenerationOrder{
		Token: token, Begun: begun, Stage: stage, Seed: 7, Notify: "https://gaia.example/webhooks/meshy",
		Request: domain.AssetRequest{
			Category: domain.AssetProp, Description: "a monster mask", Quality: domain.AssetMedium, Platform: "desktop_vr",
		},
	}
	if stage == "refine" {
		o.Previous = taskID
	}
	return o
}

func with(o domain.GenerationOrder, edit func(*domain.GenerationOrder)) domain.GenerationOrder {
	edit(&o)
	return o
}

func TestContract(t *testing.T) {
	t.Parallel()
	portstest.AssetGenerator(t, portstest.GeneratorSetup{
		New:   func(t *testing.T, url string) ports.AssetGenerator { return generator(t, url) },
		Order: order("preview"), TaskID: taskID, Key: key,
	})
}

func transcript(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// What goes over the wire.
func TestRequests(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]domain.GenerationOrder{
		"preview": order("preview"),
		"preview_low": with(order("preview"), func(o *domain.GenerationOrder) {
			o.Request.Quality, o.Request.Format, o.Model = domain.AssetLow, "fbx", "meshy-5"
		}),
		"preview_limited": with(order("preview"), func(o *domain.GenerationOrder) {
			o.Request.Quality, o.Request.MaxPolygons, o.Request.Style = domain.AssetUltra, 2001, "low-poly"
		}),
		"refine": order("refine"),
		"refine_high": with(order("refine"), func(o *domain.GenerationOrder) {
			o.Request.Quality, o.Request.Format = domain.AssetHigh, "usdz"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []byte
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != "/openapi/v2/text-to-3d" || r.Header.Get("Authorization") != "Bearer "+key ||
					r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
				}
				got, _ = io.ReadAll(r.Body)
				w.WriteHeader(http.StatusAccepted)
				_, _ = io.WriteString(w, transcript(t, "created"))
			})
			task, err := generator(t, url).Begin(t.Context(), o)
			if err != nil || task.ID != taskID || task.Status != domain.TaskRunning || task.Again != 5*time.Second {
				t.Fatalf("got %+v, %v", task, err)
			}
			golden(t, "request_"+name+".json", got)
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s: sent %s\nwant %s (%v)", name, got, want, err)
	}
}

// What Meshy would refuse, or would make otherwise than it was asked for, is not sent.
func TestOrdersThatAreNotSent(t *testing.T) {
	t.Parallel()
	g := generator(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("an order came") }))
	preview := order("preview")
	for want, o := range map[string]domain.GenerationOrder{
		"Meshy makes no wav files; ask for one of glb, fbx, obj, usdz": with(preview, func(o *domain.GenerationOrder) { o.Request.Format = "wav" }),
		"Meshy does not adapt assets":                                  with(preview, func(o *domain.GenerationOrder) { o.Base = &domain.BaseFile{} }),
		"Meshy makes no models of fewer than 100 polygons; allow more": with(preview, func(o *domain.GenerationOrder) { o.Request.MaxPolygons = 110 }),
		"Meshy takes at most 600 characters of description and style together; shorten them": with(order("preview"), func(o *domain.GenerationOrder) {
			o.Request.Description, o.Request.Style = strings.Repeat("é", 595), "retro"
		}),
	} {
		_, err := g.Begin(t.Context(), o)
		var e *domain.Error
		if !errors.As(err, &e) || e.Kind != domain.BadRequest || e.Message != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for _, o := range []domain.GenerationOrder{order("paint"), with(order("refine"), func(o *domain.GenerationOrder) { o.Previous = "" })} {
		if _, err := g.Begin(t.Context(), o); domain.KindOf(err) != domain.Internal {
			t.Errorf("stage %q gave %v", o.Stage, err)
		}
	}
}

// As many characters as Meshy takes are sent, and so is the lowest limit that leaves a hundred polygons.
func TestLimitsThatJustFit(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, transcript(t, "created")) })
	o := with(order("preview"), func(o *domain.GenerationOrder) {
		o.Request.Description, o.Request.MaxPolygons = strings.Repeat("é", 600), 112
	})
	if _, err := generator(t, url).Begin(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestStages(t *testing.T) {
	t.Parallel()
	g := generator(t, "http://127.0.0.1:0")
	for quality, want := range map[domain.AssetQuality][]string{
		domain.AssetLow: {"preview"}, domain.AssetMedium: {"preview", "refine"}, domain.AssetUltra: {"preview", "refine"},
	} {
		o := with(order("preview"), func(o *domain.GenerationOrder) { o.Request.Quality = quality })
		if got := g.Stages(o); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q", quality, got)
		}
	}
}

// An answer that names no task leaves open whether there is one.
func TestNoTaskInTheAnswer(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"result":""}`) })
	_, err := generator(t, url).Begin(t.Context(), order("preview"))
	wantUnknown(t, err)
}

func wantUnknown(t *testing.T, err error) {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.Code != domain.CodeOutcomeUnknown {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}

const assets = "https://assets.meshy.ai/***/tasks/" + taskID + "/output/"

// What the transcripts mean.
func TestTasks(t *testing.T) {
	t.Parallel()
	preview, refine := order("preview"), order("refine")
	low := with(preview, func(o *domain.GenerationOrder) { o.Request.Quality, o.Request.Format = domain.AssetLow, "fbx" })
	picture := domain.GeneratedFile{Format: "png", URL: assets + "preview.png?Expires=***", Preview: true}
	failure := func(kind domain.Kind, code, message string) *domain.Error {
		return &domain.Error{Kind: kind, Code: code, Message: message}
	}
	for name, c := range map[string]struct {
		file string
		edit func(string) string
		o    domain.GenerationOrder
		want domain.GeneratorTask
	}{
		"pending": {"pending", nil, preview, domain.GeneratorTask{
			Status: domain.TaskRunning, Message: "Waiting for Meshy: 3 before this one", Again: 5 * time.Second,
		}},
		"in progress": {"in_progress", nil, preview, domain.GeneratorTask{
			Status: domain.TaskRunning, Progress: 50, Message: "Meshy is working", Again: 5 * time.Second,
		}},
		"a new state": {"in_progress", replace("IN_PROGRESS", "QUEUED_AGAIN"), preview, domain.GeneratorTask{
			Status: domain.TaskRunning, Progress: 50, Message: "Meshy is working", Again: 5 * time.Second,
		}},
		"the shape": {"preview_succeeded", nil, preview, domain.GeneratorTask{
			Status: domain.TaskDone, Progress: 100,
			Files: []domain.GeneratedFile{{Format: "glb", URL: assets + "model.glb?Expires=***", Attributes: map[string]any{}}, picture},
		}},
		"the shape alone, as FBX": {"preview_succeeded", nil, low, domain.GeneratorTask{
			Status: domain.TaskDone, Progress: 100,
			Files: []domain.GeneratedFile{{Format: "fbx", URL: assets + "model.fbx?Expires=***", Attributes: map[string]any{}}, picture},
		}},
		"the model": {"refine_succeeded", nil, refine, domain.GeneratorTask{
			Status: domain.TaskDone, Progress: 100,
			Files: []domain.GeneratedFile{
				{Format: "glb", URL: assets + "model.glb?Expires=***", Attributes: map[string]any{"seed": int64(1234)}}, picture,
			},
		}},
		"no model": {"refine_succeeded", replace(`"glb"`, `"3mf"`), refine, domain.GeneratorTask{
			Status: domain.TaskFailed, Progress: 100, Charged: true, Failure: failure(domain.Unavailable, "", "Meshy made no glb file"),
		}},
		"no file of the shape": {"preview_succeeded", replace(`"glb"`, `"3mf"`), preview, domain.GeneratorTask{
			Status: domain.TaskDone, Progress: 100,
		}},
		"too complex": {"failed_input", nil, preview, domain.GeneratorTask{
			Status:  domain.TaskFailed,
			Failure: failure(domain.BadRequest, "", "The description is too complex for Meshy; ask for a single, simpler object"),
		}},
		"bad input": {"failed_input", replace("image_too_complex", "invalid_input"), preview, domain.GeneratorTask{
			Status: domain.TaskFailed, Failure: failure(domain.BadRequest, "", "Meshy can't make a model of this description; word it differently"),
		}},
		"moderation": {"failed_moderation", nil, preview, domain.GeneratorTask{
			Status: domain.TaskFailed, Failure: failure(domain.BadRequest, domain.CodeContentFilter, "Meshy's content filter refused the description"),
		}},
		"moderation without a code": {"failed_input", func(s string) string {
			s = strings.Replace(s, `"code": "image_too_complex",`, "", 1)
			return strings.Replace(s, "The uploaded image is too complex for 3D generation.", "Content does not pass safety filters", 1)
		}, preview, domain.GeneratorTask{
			Status: domain.TaskFailed, Failure: failure(domain.BadRequest, domain.CodeContentFilter, "Meshy's content filter refused the description"),
		}},
		"a fault of Meshy": {"failed_server", nil, preview, domain.GeneratorTask{
			Status: domain.TaskFailed, Failure: failure(domain.Unavailable, "", "Meshy failed to make the model"),
		}},
		"too slow": {"failed_server", replace("server_error", "timeout"), preview, domain.GeneratorTask{
			Status: domain.TaskFailed, Failure: failure(domain.Unavailable, "", "Meshy took too long to make the model"),
		}},
		"a failure that costs": {"failed_server", replace(`"consumed_credits": 0`, `"consumed_credits": 20`), preview, domain.GeneratorTask{
			Status: domain.TaskFailed, Charged: true, Failure: failure(domain.Unavailable, "", "Meshy failed to make the model"),
		}},
		"canceled after it had begun": {"in_progress", replace("IN_PROGRESS", "CANCELED"), preview, domain.GeneratorTask{
			Status: domain.TaskFailed, Progress: 50, Charged: true, Failure: failure(domain.Unavailable, "", "The model was given up at Meshy"),
		}},
		"canceled before": {"failed_server", replace("FAILED", "CANCELED"), preview, domain.GeneratorTask{
			Status: domain.TaskFailed, Failure: failure(domain.Unavailable, "", "The model was given up at Meshy"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/openapi/v2/text-to-3d/"+taskID {
					t.Errorf("got %s %s", r.Method, r.URL)
				}
				body := transcript(t, c.file)
				if c.edit != nil {
					body = c.edit(body)
				}
				_, _ = io.WriteString(w, body)
			})
			got, err := generator(t, url).Check(t.Context(), c.o, taskID)
			if err != nil {
				t.Fatal(err)
			}
			if got.Failure != nil {
				got.Failure.Cause = nil // for the log
			}
			c.want.ID = taskID
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v %v\nwant %+v %v", got, got.Failure, c.want, c.want.Failure)
			}
		})
	}
}

func replace(old, by string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, by, 1) }
}

// created is when the task of the transcripts was.
const created = 1692771650657

type listed struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Prompt    string `json:"prompt"`
	Seed      *int64 `json:"seed,omitempty"`
	Status    string `json:"status"`
	CreatedAt int64  `json:"created_at"`
}

// lister answers with pages of tasks, and with one by its id.
func lister(t *testing.T, tasks ...listed) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if id := strings.TrimPrefix(r.URL.Path, "/openapi/v2/text-to-3d/"); id != r.URL.Path {
			for _, task := range tasks {
				if task.ID == id {
					_ = json.NewEncoder(w).Encode(task)
					return
				}
			}
			http.NotFound(w, r)
			return
		}
		q := r.URL.Query()
		if q.Get("sort_by") != "-created_at" || q.Get("page_size") != "50" {
			t.Errorf("got %s", r.URL)
		}
		var page int
		_, _ = fmt.Sscan(q.Get("page_num"), &page)
		from, to := min((page-1)*50, len(tasks)), min(page*50, len(tasks))
		_ = json.NewEncoder(w).Encode(append([]listed{}, tasks[from:to]...))
	})
}

func TestFind(t *testing.T) {
	t.Parallel()
	one, other := int64(1), int64(2)
	mine := listed{ID: "mine", Type: "text-to-3d-preview", Prompt: "a monster mask", Status: "IN_PROGRESS", CreatedAt: created}
	edited := func(l listed, edit func(*listed)) listed { edit(&l); return l }
	older := edited(mine, func(l *listed) { l.ID, l.CreatedAt = "older", created-int64(time.Hour/time.Millisecond) })
	another := edited(mine, func(l *listed) { l.ID, l.Prompt = "another", "a monster" })
	refined := edited(mine, func(l *listed) { l.ID, l.Type, l.Seed = "refined", "text-to-3d-refine", &one })
	shape := edited(mine, func(l *listed) { l.ID, l.Seed, l.CreatedAt = taskID, &one, created-100000 })
	filler := make([]listed, 220)
	for i := range filler {
		filler[i] = edited(another, func(l *listed) { l.ID = fmt.Sprint(i) })
	}
	for name, c := range map[string]struct {
		o     domain.GenerationOrder
		tasks []listed
		want  string // its id; empty: nobody can tell
	}{
		"the only one":           {order("preview"), []listed{another, refined, mine, older}, "mine"},
		"on the second page":     {order("preview"), append(append([]listed{}, filler[:60]...), mine, older), "mine"},
		"twice, as pages shift":  {order("preview"), append(append([]listed{mine}, filler[:49]...), mine, older), "mine"},
		"none":                   {order("preview"), []listed{another, refined}, ""},
		"only from before":       {order("preview"), []listed{older}, ""},
		"no tasks":               {order("preview"), nil, ""},
		"two":                    {order("preview"), []listed{mine, edited(mine, func(l *listed) { l.ID = "theirs" })}, ""},
		"too many to look at":    {order("preview"), filler, ""},
		"what was refined":       {order("refine"), []listed{refined, mine, shape}, "refined"},
		"of another shape":       {order("refine"), []listed{edited(refined, func(l *listed) { l.Seed = &other }), shape}, ""},
		"the shape is not known": {order("refine"), []listed{refined}, ""},
		"no time of the order": {
			with(order("preview"), func(o *domain.GenerationOrder) { o.Begun = time.Time{} }), []listed{mine}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := generator(t, lister(t, c.tasks...)).Find(t.Context(), c.o)
			switch {
			case c.want == "":
				wantUnknown(t, err)
			case err != nil || got.ID != c.want || got.Status != domain.TaskRunning:
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	var deleted atomic.Value
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { deleted.Store(r.Method + " " + r.URL.EscapedPath()) })
	if err := generator(t, url).Cancel(t.Context(), "a/b"); err != nil || deleted.Load() != "DELETE /openapi/v2/text-to-3d/a%2Fb" {
		t.Errorf("got %v, %v", deleted.Load(), err)
	}
}

// The text of a refusal reaches clients, in bounds and without the key.
func TestRefusal(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, transcript(t, "error"))
	})
	_, err := generator(t, url).Begin(t.Context(), order("preview"))
	var e *domain.Error
	if !errors.As(err, &e) || e.Message != "Meshy refused the order: Invalid model file extension: .3dm" {
		t.Errorf("got %v", err)
	}
}

// What a model is estimated at is what the tasks of the transcripts took. The one of the table fits what a request allows if it does not say.
func TestPrices(t *testing.T) {
	t.Parallel()
	row, _ := domain.BuiltInGenerators().Find(domain.GeneratorMeshy)
	prices := domain.BuiltInPrices()
	for _, c := range []struct {
		model          string
		preview, whole int // credits
	}{{"meshy-5", 10, 20}, {"meshy-6", 20, 30}} {
		priced := row
		priced.Stages = map[string]string{"preview": c.model + "-preview", "refine": c.model + "-refine"}
		for quality, want := range map[domain.AssetQuality]int{domain.AssetLow: c.preview, domain.AssetMedium: c.whole, domain.AssetUltra: c.whole} {
			o := with(order("preview"), func(o *domain.GenerationOrder) { o.Request.Quality = quality })
			credits, cost := 0, domain.Money(0)
			for _, stage := range generator(t, "http://127.0.0.1:0").Stages(o) {
				quote, err := prices.Quote(prices.QueryForStage(priced, o.Request, stage))
				if err != nil {
					t.Fatal(err)
				}
				credits, cost = credits+quote.Credits, cost.Plus(quote.Total)
			}
			if credits != want || cost != domain.FromDollars(0.02*float64(want)) {
				t.Errorf("%s of %s: %d credits for %v, want %d", quality, c.model, credits, cost.Dollars(), want)
			}
			if c.model == row.Model && cost > domain.FromDollars(0.5) {
				t.Errorf("%s costs %v", quality, cost.Dollars())
			}
		}
	}
}
