package stability_test

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/adapters/stability"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

const (
	key   = "sk-very-secret"
	token = "0199a1b2-c3d4-7e5f-8a6b-0123456789ab"
)

func generator(t *testing.T, url string) *stability.Generator {
	t.Helper()
	g := stability.New(stability.Config{URL: url + "/", Key: key})
	t.Cleanup(g.CloseIdle)
	return g
}

func order(edits ...func(*domain.GenerationOrder)) domain.GenerationOrder {
	o := domain.GenerationOrder{
		Token: token, Stage: "stable-image-core", Seed: 7, Request: domain.AssetRequest{
			Category: domain.AssetImage, Description: "A glowing magical sword with runes", Style: "fantasy", Quality: domain.AssetMedium, Platform: "web",
		},
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
		Order: order(), TaskID: token, Key: key, CantCancel: true, Inline: true,
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

// answers serves a text with a status.
func answers(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
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
		"core": {"core", order()},
		"core_low": {"core", order(func(o *domain.GenerationOrder) {
			o.Request.Quality, o.Request.Description, o.Request.Format, o.Seed = domain.AssetLow, "a poster of a circus", "jpg", 0
		})},
		"ultra": {"ultra", order(func(o *domain.GenerationOrder) {
			o.Request.Quality, o.Request.Description, o.Request.Format, o.Seed = domain.AssetHigh, "skyline at night", "webp", 1<<32-1
		})},
		"ultra_texture": {"ultra", order(func(o *domain.GenerationOrder) {
			o.Request.Quality, o.Request.Category, o.Request.Description = domain.AssetUltra, domain.AssetTexture, "weathered bricks"
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []byte
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
				if r.Method != http.MethodPost || r.URL.Path != "/v2beta/stable-image/generate/"+c.path || r.Header.Get("Authorization") != "Bearer "+key ||
					r.Header.Get("Accept") != "application/json" || kind != "multipart/form-data" {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
				}
				got, _ = io.ReadAll(r.Body)
				got = []byte(strings.ReplaceAll(strings.ReplaceAll(string(got), params["boundary"], "BOUNDARY"), "\r\n", "\n"))
				_, _ = io.WriteString(w, transcript(t, "success"))
			}))
			t.Cleanup(server.Close)
			task, err := generator(t, server.URL).Begin(t.Context(), c.o)
			if err != nil || task.ID != token || task.Status != domain.TaskDone || len(task.Files) != 1 {
				t.Fatalf("got %+v, %v", task, err)
			}
			golden(t, "request_"+name+".txt", got)
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

// What Stability would refuse is not sent.
func TestOrdersThatAreNotSent(t *testing.T) {
	t.Parallel()
	g := generator(t, "http://127.0.0.1:0")
	for want, edit := range map[string]func(*domain.GenerationOrder){
		"Stability AI makes no gif files; ask for png, jpg or webp": func(o *domain.GenerationOrder) { o.Request.Format = "gif" },
		"Stability AI does not adapt assets":                        func(o *domain.GenerationOrder) { o.Base = &domain.BaseFile{Format: "png"} },
	} {
		_, err := g.Begin(t.Context(), order(edit))
		if domain.KindOf(err) != domain.BadRequest || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	task, err := generator(t, answers(t, http.StatusOK, transcript(t, "success"))).Begin(t.Context(), order())
	if err != nil || len(task.Files) != 1 {
		t.Fatalf("got %+v, %v", task, err)
	}
	f, facts := task.Files[0], map[string]any{"model": "stable-image-core", "aspect_ratio": "1:1", "seed": int64(343940597)}
	if f.Format != "png" || !strings.HasPrefix(string(f.Data), "\x89PNG") || !reflect.DeepEqual(f.Attributes, facts) {
		t.Errorf("got %s with %d bytes, %v", f.Format, len(f.Data), f.Attributes)
	}
}

// A blurred picture is paid, and nobody gets it.
func TestFilteredPicture(t *testing.T) {
	t.Parallel()
	task, err := generator(t, answers(t, http.StatusOK, transcript(t, "filtered"))).Begin(t.Context(), order())
	if err != nil || task.Status != domain.TaskFailed || !task.Charged || len(task.Files) > 0 ||
		task.Failure.Kind != domain.BadRequest || task.Failure.Code != domain.CodeContentFilter {
		t.Errorf("got %+v, %v", task, err)
	}
}

// A picture that is paid and not in the answer leaves open what happened.
func TestAnswersWithoutAPicture(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `{"image":"","finish_reason":"SUCCESS"}`, `{"image":"?","finish_reason":"SUCCESS"}`, `{"image":"aGk=","finish_reason":"ERROR"}`, `{"image":"aGk="}`,
	} {
		_, err := generator(t, answers(t, http.StatusOK, body)).Begin(t.Context(), order())
		if e := domainError(t, err); e.Kind != domain.Unavailable || e.Code != domain.CodeOutcomeUnknown {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		status int
		kind   domain.Kind
		code   string
		text   string
		again  time.Duration
	}{
		"error_bad_request": {400, domain.BadRequest, "bad_request", "Stability AI refused the order: some-field: is required", 0},
		"error_moderation":  {403, domain.BadRequest, domain.CodeContentFilter, "The content filter of Stability AI refused the description", 0},
		"success":           {404, domain.Unavailable, "", "The provider Stability AI is not available at the moment", 0},
		"filtered":          {429, domain.Limited, domain.CodeRateLimit, "The provider Stability AI allows no more requests at the moment", time.Minute},
	} {
		_, err := generator(t, answers(t, want.status, transcript(t, name))).Begin(t.Context(), order())
		if e := domainError(t, err); e.Kind != want.kind || e.Code != want.code || e.Message != want.text || e.RetryAfter != want.again {
			t.Errorf("%d: got kind %d, code %q, %q, again in %v", want.status, e.Kind, e.Code, e.Message, e.RetryAfter)
		}
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

// What a picture is estimated at is what the service takes that makes it.
func TestPrices(t *testing.T) {
	t.Parallel()
	row, _ := domain.BuiltInGenerators().Find(domain.GeneratorStability)
	prices := domain.BuiltInPrices()
	for quality, dollars := range map[domain.AssetQuality]float64{
		domain.AssetLow: 0.03, domain.AssetMedium: 0.03, domain.AssetHigh: 0.08, domain.AssetUltra: 0.08, "": 0.03,
	} {
		o := order(func(o *domain.GenerationOrder) { o.Request.Quality = quality })
		stages := generator(t, "http://127.0.0.1:0").Stages(o)
		quote, err := prices.Quote(prices.QueryForStage(row, o.Request, stages[0]))
		if err != nil || len(stages) != 1 || quote.Total != domain.FromDollars(dollars) {
			t.Errorf("%s: %s costs %v, want %v (%v)", quality, stages, quote.Total.Dollars(), dollars, err)
		}
	}
}
