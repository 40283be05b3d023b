package openaiimages_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gaia/adapters/openaiimages"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

const (
	key   = "sk-very-secret"
	token = "0199a1b2-c3d4-7e5f-8a6b-0123456789ab"
)

func generator(t *testing.T, url string) *openaiimages.Generator {
	t.Helper()
	g := openaiimages.New(openaiimages.Config{URL: url + "/v1", Key: key})
	t.Cleanup(g.CloseIdle)
	return g
}

func order(edits ...func(*domain.GenerationOrder)) domain.GenerationOrder {
	o := domain.GenerationOrder{
		Token: token, Stage: "image", Seed: 7, Request: domain.AssetRequest{
			Category: domain.AssetImage, Description: "A glowing magical sword with <runes>", Style: "fantasy", Quality: domain.AssetMedium,
			Platform: "mobile_vr",
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

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// What goes over the wire.
func TestRequests(t *testing.T) {
	t.Parallel()
	base := &domain.BaseFile{AssetID: "a", Format: "png", Data: []byte("the picture")}
	for name, o := range map[string]domain.GenerationOrder{
		"image": order(),
		"texture": order(func(o *domain.GenerationOrder) {
			o.Request.Category, o.Request.Description, o.Request.Quality = domain.AssetTexture, "a wide landscape of moss", domain.AssetUltra
		}),
		"landscape": order(func(o *domain.GenerationOrder) {
			o.Request.Description, o.Request.Format, o.Request.Quality = "Panorama of a castle!", "webp", domain.AssetLow
		}),
		"small":       order(func(o *domain.GenerationOrder) { o.Request.MaxBytes = 1 << 20 }),
		"transparent": order(func(o *domain.GenerationOrder) { o.Request.Description, o.Request.Style = "A hat, no background", "" }),
		"transparent_2": order(func(o *domain.GenerationOrder) {
			o.Request.Description, o.Model = "A hat, no background", "gpt-image-2"
		}),
		"dalle": order(func(o *domain.GenerationOrder) {
			o.Model, o.Request.Quality, o.Request.MaxBytes = "dall-e-3", domain.AssetHigh, 1
			o.Request.Description = "Portrait of a king"
		}),
		"dalle_long": order(func(o *domain.GenerationOrder) {
			o.Model, o.Request.Description = "dall-e-3", strings.Repeat("word ", 800)
		}),
		"edit": order(func(o *domain.GenerationOrder) { o.Base = base }),
		"edit_transparent": order(func(o *domain.GenerationOrder) {
			o.Base, o.Request.Description = base, "The same with a transparent background"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, file, answer := "/v1/images/generations", "request_"+name+".json", "generated"
			if o.Base != nil {
				path, file, answer = "/v1/images/edits", "request_"+name+".txt", "edited"
			}
			var got []byte
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != path || r.Header.Get("Authorization") != "Bearer "+key || r.Header.Get("Idempotency-Key") != "" {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
				}
				got, _ = io.ReadAll(r.Body)
				kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
				if want := map[bool]string{true: "multipart/form-data", false: "application/json"}[o.Base != nil]; kind != want {
					t.Errorf("got type %s", kind)
				}
				if b := params["boundary"]; b != "" {
					got = []byte(strings.ReplaceAll(strings.ReplaceAll(string(got), b, "BOUNDARY"), "\r\n", "\n"))
				}
				_, _ = io.WriteString(w, transcript(t, answer))
			})
			task, err := generator(t, url).Begin(t.Context(), o)
			if err != nil || task.ID != token || task.Status != domain.TaskDone || len(task.Files) != 1 {
				t.Fatalf("got %+v, %v", task, err)
			}
			golden(t, file, got)
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

// What OpenAI would refuse is not sent.
func TestOrdersThatAreNotSent(t *testing.T) {
	t.Parallel()
	g := generator(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("an order came") }))
	for want, edit := range map[string]func(*domain.GenerationOrder){
		"gpt-image-1.5 makes no gif files; ask for png, jpg or webp": func(o *domain.GenerationOrder) { o.Request.Format = "gif" },
		"dall-e-3 makes no jpg files; ask for png":                   func(o *domain.GenerationOrder) { o.Model, o.Request.Format = "dall-e-3", "jpg" },
		"dall-e-3 does not adapt assets":                             func(o *domain.GenerationOrder) { o.Model, o.Base = "dall-e-3", &domain.BaseFile{Format: "png"} },
		"OpenAI does not adapt gif files":                            func(o *domain.GenerationOrder) { o.Base = &domain.BaseFile{Format: "gif"} },
		"The asset is too large for OpenAI to adapt it": func(o *domain.GenerationOrder) {
			o.Base = &domain.BaseFile{Format: "png", Data: make([]byte, 50<<20)}
		},
	} {
		_, err := g.Begin(t.Context(), order(edit))
		if domain.KindOf(err) != domain.BadRequest || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ format, facts string }{
		"generated": {"jpg", `{"image_quality":"medium","image_size":"1024x1024","input_tokens":50,"model":"gpt-image-1.5","output_tokens":50,"total_tokens":100}`},
		"edited": {"png", `{"background":"transparent","image_quality":"high","image_size":"1024x1024","input_tokens":50,"model":"gpt-image-1.5",` +
			`"output_tokens":50,"total_tokens":100}`},
		"dalle": {"jpg", `{"image_quality":"medium","image_size":"1024x1024","model":"gpt-image-1.5","revised_prompt":"A glowing magical sword"}`},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, transcript(t, name)) })
		task, err := generator(t, url).Begin(t.Context(), order(func(o *domain.GenerationOrder) { o.Request.Format = "jpg" }))
		if err != nil || len(task.Files) != 1 {
			t.Fatalf("%s: got %+v, %v", name, task, err)
		}
		f := task.Files[0]
		facts, _ := json.Marshal(f.Attributes)
		if f.Format != want.format || !strings.HasPrefix(string(f.Data), "\x89PNG") || string(facts) != want.facts {
			t.Errorf("%s: got %s with %d bytes, %s", name, f.Format, len(f.Data), facts)
		}
	}
}

// A picture that is paid and not in the answer leaves open what happened.
func TestAnswersWithoutAPicture(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `{"data":[]}`, `{"data":[{}]}`, `{"data":[{"b64_json":"?"}]}`, `{"data":[{"url":"https://example.com/"}]}`, `{"error":{"message":"no"}}`,
	} {
		for _, base := range []*domain.BaseFile{nil, {Format: "png"}} {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
			_, err := generator(t, url).Begin(t.Context(), order(func(o *domain.GenerationOrder) { o.Base = base }))
			if e := domainError(t, err); e.Kind != domain.Unavailable || e.Code != domain.CodeOutcomeUnknown {
				t.Errorf("%s: got %v", body, err)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		status  int
		kind    domain.Kind
		code    string
		message string
	}{
		"error_moderation": {400, domain.BadRequest, domain.CodeContentFilter, "The content filter of OpenAI refused the description"},
		"error_policy":     {400, domain.BadRequest, domain.CodeContentFilter, "The content filter of OpenAI refused the description"},
		"error_billing":    {400, domain.Unavailable, domain.CodeQuota, "The provider OpenAI has no quota left for Gaia"},
		"error_model":      {404, domain.Unavailable, domain.CodeModelNotFound, "OpenAI has no such model for Gaia"},
		"error_invalid": {400, domain.BadRequest, "invalid_value", "OpenAI refused the order: Invalid value: '1x1'. Supported values are: '1024x1024', " +
			"'1024x1536', '1536x1024', and 'auto'."},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(want.status)
			_, _ = io.WriteString(w, transcript(t, name))
		})
		_, err := generator(t, url).Begin(t.Context(), order())
		if e := domainError(t, err); e.Kind != want.kind || e.Code != want.code || e.Message != want.message {
			t.Errorf("%s: got kind %d, code %q, %q", name, e.Kind, e.Code, e.Message)
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

// A long text of the service does not become one of the asset.
func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	body, _ := json.Marshal(map[string]any{"size": strings.Repeat("x", 500), "data": []any{map[string]string{
		"b64_json": base64.StdEncoding.EncodeToString([]byte("x")), "revised_prompt": strings.Repeat("word ", 1000),
	}}})
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	task, err := generator(t, url).Begin(t.Context(), order())
	if err != nil {
		t.Fatal(err)
	}
	facts := task.Files[0].Attributes
	if n := len(facts["revised_prompt"].(string)); n != 999 || len(facts["image_size"].(string)) != 40 {
		t.Errorf("got %d, %v", n, facts["image_size"])
	}
}

// Pictures that are no squares are larger, and cost more.
func TestPrices(t *testing.T) {
	t.Parallel()
	prices := domain.BuiltInPrices()
	for _, c := range []struct {
		model, text string
		quality     domain.AssetQuality
		dollars     float64
	}{
		{"gpt-image-1.5", "a sword", domain.AssetMedium, 0.034},
		{"gpt-image-1.5", "a poster", domain.AssetMedium, 0.051},
		{"gpt-image-1.5", "panorama of a castle", domain.AssetHigh, 0.2},
		{"gpt-image-1", "portrait of a king", domain.AssetUltra, 0.25},
		{"gpt-image-1-mini", "a skyline", domain.AssetLow, 0.006},
		{"dall-e-3", "a banner", domain.AssetHigh, 0.12},
		{"dall-e-3", "a sword", domain.AssetHigh, 0.08},
	} {
		row, _ := domain.BuiltInGenerators().WithModel(domain.GeneratorOpenAI, c.model).Find(domain.GeneratorOpenAI)
		o := order(func(o *domain.GenerationOrder) {
			o.Model, o.Request.Description, o.Request.Quality = row.Model, c.text, c.quality
		})
		stages := generator(t, "http://127.0.0.1:0").Stages(o)
		quote, err := prices.Quote(prices.QueryForStage(row, o.Request, stages[0]))
		if err != nil || len(stages) != 1 || quote.Total != domain.FromDollars(c.dollars) {
			t.Errorf("%s of %s: %s costs %v, want %v (%v)", c.text, c.model, stages, quote.Total.Dollars(), c.dollars, err)
		}
	}
}
