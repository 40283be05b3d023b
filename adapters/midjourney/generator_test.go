package midjourney_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gaia/adapters/midjourney"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

const (
	key    = "very-secret"
	taskID = "14001929738841620" // of the transcripts
	token  = "018949a0-0000-7000-8000-000000000001"
)

// begun is when the order was last placed, long after its token was made.
var begun = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

// generator is asked an hour after the order was placed.
func generator(t *testing.T, url string) *midjourney.Generator { return generatorAt(t, url, time.Hour) }

func generatorAt(t *testing.T, url string, after time.Duration) *midjourney.Generator {
	t.Helper()
	g := midjourney.New(midjourney.Config{URL: url + "/mj/", Key: key, Now: func() time.Time { return begun.Add(after) }})
	t.Cleanup(g.CloseIdle)
	return g
}

func order(stage string, edits ...func(*domain.GenerationOrder)) domain.GenerationOrder {
	o := domain.GenerationOrder{
		Token: token, Begun: begun, Stage: stage, Seed: 7, Notify: "https://gaia.example/webhooks/midjourney?token=t", Request: domain.AssetRequest{
			Category: domain.AssetImage, Description: "A glowing magical sword with runes", Style: "fantasy", Quality: domain.AssetMedium, Platform: "web",
		},
	}
	if stage == "upscale" {
		o.Previous = taskID
	}
	for _, edit := range edits {
		edit(&o)
	}
	return o
}

func TestContract(t *testing.T) {
	t.Parallel()
	portstest.AssetGenerator(t, portstest.GeneratorSetup{
		New:   func(t *testing.T, url string) ports.AssetGenerator { return generator(t, url) },
		Order: order("imagine"), TaskID: taskID, Key: key, CantCancel: true, EmptyIsGone: true,
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
	for name, c := range map[string]struct {
		path string
		o    domain.GenerationOrder
	}{
		"imagine": {"/mj/submit/imagine", order("imagine")},
		"texture": {"/mj/submit/imagine", order("imagine", func(o *domain.GenerationOrder) {
			o.Request.Category, o.Request.Description, o.Notify = domain.AssetTexture, "weathered bricks", ""
		})},
		"landscape": {"/mj/submit/imagine", order("imagine", func(o *domain.GenerationOrder) {
			o.Request.Description, o.Request.Format = "a landscape with hills", "png"
		})},
		"hostile": {"/mj/submit/imagine", order("imagine", func(o *domain.GenerationOrder) {
			o.Request.Description = "https://evil.example/a.png a {red, green, blue} bird::2 --repeat 40 —v 1 \n ––q 5 ---stop 3 well--known low-poly <https://x>"
			o.Request.Style = "--turbo"
		})},
		"long": {"/mj/submit/imagine", order("imagine", func(o *domain.GenerationOrder) {
			o.Request.Description = strings.Repeat("word ", 1500)
		})},
		"upscale": {"/mj/submit/change", order("upscale")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []byte
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != c.path || r.Header.Get("mj-api-secret") != key || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
				}
				got, _ = io.ReadAll(r.Body)
				_, _ = io.WriteString(w, transcript(t, "submitted"))
			})
			task, err := generator(t, url).Begin(t.Context(), c.o)
			if err != nil || task.ID != "8498455807619990" || task.Status != domain.TaskRunning || task.Again != 5*time.Second {
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

// A prompt is never longer than what Discord takes, parameters included.
func TestPromptIsBounded(t *testing.T) {
	t.Parallel()
	var body struct{ Prompt string }
	if err := json.Unmarshal([]byte(transcript(t, "request_long")), &body); err != nil || len(body.Prompt) > 6000 || len(body.Prompt) < 5900 ||
		!strings.HasSuffix(body.Prompt, "word. Style: fantasy. --seed 7") {
		t.Errorf("got %d characters, %v", len(body.Prompt), err)
	}
}

// A proxy without a secret is not sent an empty one.
func TestWithoutASecret(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, sent := r.Header["Mj-Api-Secret"]; sent {
			t.Error("a secret came")
		}
		_, _ = io.WriteString(w, transcript(t, "queued"))
	})
	g := midjourney.New(midjourney.Config{URL: url, Now: time.Now})
	t.Cleanup(g.CloseIdle)
	if task, err := g.Begin(t.Context(), order("imagine")); err != nil || task.ID != "0741798445574458" {
		t.Errorf("got %+v, %v", task, err)
	}
}

// What Midjourney would make otherwise than it was asked for is not sent.
func TestOrdersThatAreNotSent(t *testing.T) {
	t.Parallel()
	g := generator(t, "http://127.0.0.1:0")
	for want, edit := range map[string]func(*domain.GenerationOrder){
		"Midjourney makes no jpg files; ask for png": func(o *domain.GenerationOrder) { o.Request.Format = "jpg" },
		"Midjourney does not adapt assets":           func(o *domain.GenerationOrder) { o.Base = &domain.BaseFile{Format: "png"} },
	} {
		_, err := g.Begin(t.Context(), order("imagine", edit))
		if domain.KindOf(err) != domain.BadRequest || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := g.Begin(t.Context(), order("upscale", func(o *domain.GenerationOrder) { o.Previous = "" })); domain.KindOf(err) != domain.Internal {
		t.Errorf("got %v", err)
	}
}

func TestSubmitted(t *testing.T) {
	t.Parallel()
	type want struct {
		task string
		kind domain.Kind
		code string
	}
	for name, want := range map[string]want{
		"submitted": {task: "8498455807619990"}, "exists": {task: "0741798445574458"}, "queued": {task: "0741798445574458"},
		"full": {kind: domain.Unavailable, code: domain.CodeOverloaded}, "banned": {kind: domain.BadRequest, code: domain.CodeContentFilter},
		"no_account": {kind: domain.Unavailable}, "invalid": {kind: domain.BadRequest},
		"broken": {kind: domain.Unavailable, code: domain.CodeOutcomeUnknown},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, transcript(t, name)) })
		task, err := generator(t, url).Begin(t.Context(), order("imagine"))
		if want.task != "" {
			if err != nil || task.ID != want.task || task.Status != domain.TaskRunning {
				t.Errorf("%s: got %+v, %v", name, task, err)
			}
			continue
		}
		if e := domainError(t, err); e.Kind != want.kind || e.Code != want.code {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, body := range []string{`{}`, `{"code":1}`, `{"code":22,"result":""}`, `{"code":99,"result":"1"}`} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		_, err := generator(t, url).Begin(t.Context(), order("imagine"))
		wantUnknown(t, body, err)
	}
	_, err := generator(t, serve(t, http.NotFound)).Begin(t.Context(), order("imagine"))
	if e := domainError(t, err); e.Kind != domain.Unavailable || e.Code != "" {
		t.Errorf("without the route: got %v", err)
	}
}

// The four pictures are not there any more: asking again makes no sense, and taking one out was not charged.
func TestUpscaleOfALostTask(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, transcript(t, "lost")) })
	task, err := generator(t, url).Begin(t.Context(), order("upscale"))
	if err != nil || task.Status != domain.TaskFailed || task.Charged || task.Failure.Kind != domain.Unavailable {
		t.Errorf("got %+v, %v", task, err)
	}
}

func TestTasks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, stage string
		want        domain.GeneratorTask // of the failure only kind and code
	}{
		"not started": {transcript(t, "not_start"), "imagine", domain.GeneratorTask{Status: domain.TaskRunning, Message: "Waiting for Midjourney"}},
		"in progress": {transcript(t, "in_progress"), "imagine", domain.GeneratorTask{
			Status: domain.TaskRunning, Progress: 50, Message: "Midjourney is working"}},
		"nobody knows": {strings.Replace(transcript(t, "in_progress"), "IN_PROGRESS", "MODAL", 1), "upscale", domain.GeneratorTask{
			Status: domain.TaskRunning, Progress: 50, Message: "Midjourney is working"}},
		"four pictures": {transcript(t, "success"), "imagine", domain.GeneratorTask{Status: domain.TaskDone, Progress: 100}},
		"one picture": {transcript(t, "success"), "upscale", domain.GeneratorTask{Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{
			{Format: "png", URL: "https://cdn.discordapp.com/attachments/xxx/xxx/xxxx.png"}}}},
		"another format": {strings.Replace(transcript(t, "success"), "xxxx.png", "xxxx.webp?ex=1", 1), "upscale", domain.GeneratorTask{
			Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{{Format: "webp", URL: "https://cdn.discordapp.com/attachments/xxx/xxx/xxxx.webp?ex=1"}}}},
		"no picture": {`{"id":"` + taskID + `","status":"SUCCESS"}`, "upscale", domain.GeneratorTask{
			Status: domain.TaskFailed, Charged: true, Failure: &domain.Error{Kind: domain.Unavailable}}},
		"refused": {transcript(t, "failure"), "imagine", domain.GeneratorTask{Status: domain.TaskFailed, Failure: &domain.Error{Kind: domain.BadRequest}}},
		"banned": {strings.Replace(transcript(t, "failure"), "Invalid parameter", "Banned prompt detected", 1), "imagine", domain.GeneratorTask{
			Status: domain.TaskFailed, Failure: &domain.Error{Kind: domain.BadRequest, Code: domain.CodeContentFilter}}},
		"failed": {strings.Replace(transcript(t, "failure"), "[Invalid parameter] Invalid value", "Internal error", 1), "imagine", domain.GeneratorTask{
			Status: domain.TaskFailed, Charged: true, Failure: &domain.Error{Kind: domain.Unavailable}}},
		"canceled": {strings.Replace(transcript(t, "in_progress"), "IN_PROGRESS", "CANCEL", 1), "imagine", domain.GeneratorTask{
			Status: domain.TaskFailed, Progress: 50, Charged: true, Failure: &domain.Error{Kind: domain.Unavailable}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/mj/task/"+taskID+"/fetch" || r.Header.Get("mj-api-secret") != key {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
				}
				_, _ = io.WriteString(w, c.body)
			})
			got, err := generator(t, url).Check(t.Context(), order(c.stage), taskID)
			if err != nil {
				t.Fatal(err)
			}
			wantTask(t, got, c.want)
		})
	}
}

func wantTask(t *testing.T, got, want domain.GeneratorTask) {
	t.Helper()
	if got.ID != taskID || got.Status != want.Status || got.Progress != want.Progress || got.Message != want.Message || got.Charged != want.Charged ||
		(got.Again > 0) != (got.Status == domain.TaskRunning) || len(got.Files) != len(want.Files) || (got.Failure == nil) != (want.Failure == nil) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
	for i, f := range want.Files {
		if got.Files[i].Format != f.Format || got.Files[i].URL != f.URL || got.Files[i].Attributes["seed"] != int64(7) {
			t.Errorf("got %+v", got.Files[i])
		}
	}
	if want.Failure != nil && (got.Failure.Kind != want.Failure.Kind || got.Failure.Code != want.Failure.Code || strings.Contains(got.Failure.Error(), "猫")) {
		t.Errorf("got %v", got.Failure)
	}
}

// Answers that are of no task, or of another.
func TestOtherTasks(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]domain.Kind{
		" \n": domain.NotFound, "null": domain.NotFound, "{}": domain.NotFound, `{"id":"another","status":"SUCCESS"}`: domain.Unavailable,
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		if _, err := generator(t, url).Check(t.Context(), order("imagine"), taskID); domain.KindOf(err) != kind {
			t.Errorf("%q: got %v", body, err)
		}
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() != "/mj/task/..%2Flist/fetch" {
			t.Errorf("got %s", r.URL.EscapedPath())
		}
	})
	if _, err := generator(t, url).Check(t.Context(), order("imagine"), "../list"); domain.KindOf(err) != domain.NotFound {
		t.Errorf("got %v", err)
	}
}

type listed struct {
	ID         string  `json:"id"`
	State      *string `json:"state"`
	Status     string  `json:"status"`
	SubmitTime int64   `json:"submitTime"`
}

func TestFind(t *testing.T) {
	t.Parallel()
	mine, theirs := token, "another"
	at := func(after time.Duration) int64 { return begun.Add(after).UnixMilli() }
	found := listed{taskID, &mine, "IN_PROGRESS", at(time.Second)}
	before, shortly, after := listed{"1", nil, "SUCCESS", at(-time.Hour)}, listed{"2", &theirs, "SUCCESS", at(-30 * time.Second)}, listed{"3", &theirs, "FAILURE", at(time.Minute)}
	for name, c := range map[string]struct {
		tasks []listed
		later time.Duration
		want  domain.Kind // Internal: it is found
		code  string
		again time.Duration
	}{
		"there":                          {[]listed{after, found, before}, time.Hour, domain.Internal, "", 0},
		"there at once":                  {[]listed{found}, time.Second, domain.Internal, "", 0},
		"certainly not":                  {[]listed{after, before}, time.Hour, domain.NotFound, "", 0},
		"not yet":                        {[]listed{after, before}, 30 * time.Second, domain.Unavailable, "", 90 * time.Second},
		"our clock was put back":         {[]listed{before}, -time.Hour, domain.Unavailable, "", 2 * time.Minute},
		"all is forgotten":               {[]listed{}, time.Hour, domain.Unavailable, domain.CodeOutcomeUnknown, 0},
		"all from before is forgotten":   {[]listed{after}, time.Hour, domain.Unavailable, domain.CodeOutcomeUnknown, 0},
		"clocks may be what it is about": {[]listed{after, shortly}, time.Hour, domain.Unavailable, domain.CodeOutcomeUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/mj/task/list" || r.Header.Get("mj-api-secret") != key {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
				}
				_ = json.NewEncoder(w).Encode(c.tasks)
			})
			got, err := generatorAt(t, url, c.later).Find(t.Context(), order("imagine"))
			if c.want == domain.Internal {
				if err != nil || got.ID != taskID || got.Status != domain.TaskRunning {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if e := domainError(t, err); e.Kind != c.want || e.Code != c.code || e.RetryAfter != c.again {
				t.Errorf("got %v, again in %v", err, e.RetryAfter)
			}
		})
	}
}

// Nobody can tell without a list, or without the time of the order. Taking a picture out again costs nothing.
func TestFindWithoutAList(t *testing.T) {
	t.Parallel()
	g := generator(t, serve(t, http.NotFound))
	_, err := g.Find(t.Context(), order("imagine"))
	wantUnknown(t, "no route", err)
	_, err = g.Find(t.Context(), order("imagine", func(o *domain.GenerationOrder) { o.Begun = time.Time{} }))
	wantUnknown(t, "no time", err)
	if _, err = g.Find(t.Context(), order("upscale")); domain.KindOf(err) != domain.NotFound {
		t.Errorf("got %v", err)
	}
}

func wantUnknown(t *testing.T, what string, err error) {
	t.Helper()
	if e := domainError(t, err); e.Kind != domain.Unavailable || e.Code != domain.CodeOutcomeUnknown {
		t.Errorf("%s: got %v", what, err)
	}
}

func domainError(t *testing.T, err error) *domain.Error {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	return e
}
