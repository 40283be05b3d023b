package mubert_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/adapters/mubert"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

const (
	key     = "very-secret"
	trackID = "123e4567-e89b-12d3-a456-426614174000" // of the transcripts
	path    = "/api/v3/public/tracks"
)

const token = "018949a0-0000-7000-8000-000000000001" // months before the order was last placed

// begun is 11 s before the track of the transcripts was created.
var begun = time.Date(2023, 12, 31, 23, 59, 58, 0, time.UTC)

func generator(t *testing.T, url string) *mubert.Generator {
	t.Helper()
	g := mubert.New(mubert.Config{URL: url, Customer: "customer-1", Key: key, Now: func() time.Time {
		return time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)
	}})
	t.Cleanup(g.CloseIdle)
	return g
}

func order(edit func(r *domain.AssetRequest)) domain.GenerationOrder {
	o := domain.GenerationOrder{
		Token: token, Begun: begun, Stage: "track", Seed: 7, Notify: "https://gaia.example/webhooks/mubert",
		Request: domain.AssetRequest{Category: domain.AssetAudio, Description: "Relaxing ambient music", Quality: domain.AssetHigh, Platform: "ar"},
	}
	if edit != nil {
		edit(&o.Request)
	}
	return o
}

func TestContract(t *testing.T) {
	t.Parallel()
	portstest.AssetGenerator(t, portstest.GeneratorSetup{
		New:   func(t *testing.T, url string) ports.AssetGenerator { return generator(t, url) },
		Order: order(nil), TaskID: trackID, Key: key, CantCancel: true,
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

func answer(t *testing.T, status int, name string) string {
	t.Helper()
	body := transcript(t, name)
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// What goes over the wire.
func TestRequests(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]domain.GenerationOrder{
		"track": order(nil),
		"loop": order(func(r *domain.AssetRequest) {
			r.Description, r.Style, r.Quality, r.Format = "an epic battle loop of 2 minutes", "orchestral", domain.AssetMedium, "mp3"
		}),
		"jingle_wav": order(func(r *domain.AssetRequest) {
			r.Description, r.Style, r.Format = "a jingle for a shop, 20 seconds", "Jingle", "wav"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []byte
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != path || r.Header.Get("customer-id") != "customer-1" ||
					r.Header.Get("access-token") != key || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
				}
				got, _ = io.ReadAll(r.Body)
				_, _ = io.WriteString(w, transcript(t, "created"))
			})
			task, err := generator(t, url).Begin(t.Context(), o)
			if err != nil || task.ID != trackID || task.Status != domain.TaskRunning || task.Again != 3*time.Second {
				t.Fatalf("got %+v, %v", task, err)
			}
			golden(t, "request_"+name+".json", got)
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s: sent %s\nwant %s (%v)", name, got, want, err)
	}
}

// What is asked for is what is charged.
func TestLengthIsThePricedOne(t *testing.T) {
	t.Parallel()
	o := order(func(r *domain.AssetRequest) { r.Description = "75 seconds of rain" })
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), `"duration":75,`) || domain.AudioSeconds(o.Request) != 75 {
			t.Errorf("got %s", body)
		}
		_, _ = io.WriteString(w, transcript(t, "created"))
	})
	if _, err := generator(t, url).Begin(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestOrdersThatAreNotSent(t *testing.T) {
	t.Parallel()
	g := generator(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("an order came") }))
	adapted := order(nil)
	adapted.Base = &domain.BaseFile{}
	for want, o := range map[string]domain.GenerationOrder{
		"Mubert makes no ogg files; ask for one of mp3, wav": order(func(r *domain.AssetRequest) { r.Format = "ogg" }),
		"Mubert does not adapt assets":                       adapted,
		"Mubert takes at most 200 characters of description and style together; shorten them": order(func(r *domain.AssetRequest) {
			r.Description, r.Style = strings.Repeat("é", 195), "retro"
		}),
	} {
		_, err := g.Begin(t.Context(), o)
		var e *domain.Error
		if !errors.As(err, &e) || e.Kind != domain.BadRequest || e.Message != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNoTrackInTheAnswer(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"data":null}`) })
	_, err := generator(t, url).Begin(t.Context(), order(nil))
	wantUnknown(t, err)
}

func wantUnknown(t *testing.T, err error) {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.Code != domain.CodeOutcomeUnknown {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}

// What the transcripts mean.
func TestTracks(t *testing.T) {
	t.Parallel()
	running := domain.GeneratorTask{Status: domain.TaskRunning, Message: "Mubert is working", Again: 3 * time.Second}
	failed := func(message string) domain.GeneratorTask {
		return domain.GeneratorTask{Status: domain.TaskFailed, Charged: true, Failure: &domain.Error{Kind: domain.Unavailable, Message: message}}
	}
	file := func(facts map[string]any) domain.GeneratorTask {
		return domain.GeneratorTask{Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{
			{Format: "mp3", URL: "https://static-eu.mubert.com/track.mp3", Attributes: facts},
		}}
	}
	const link = `"https://static-eu.mubert.com/track.mp3"`
	for name, c := range map[string]struct {
		file string
		edit func(string) string
		want domain.GeneratorTask
	}{
		"without generations":  {"created", nil, running},
		"processing":           {"processing", nil, running},
		"a new state":          {"processing", replace("processing", "mixing"), running},
		"another format":       {"done", replace(`"mp3"`, `"wav"`), running},
		"done":                 {"done", nil, file(map[string]any{"mode": "track", "bpm": 120, "key": "C#"})},
		"done, without a link": {"done", replace(link, "null"), running},
		"expired": {"done", func(s string) string {
			return strings.NewReplacer(link, "null", "2024-02-01", "2024-01-01").Replace(s)
		}, failed("The track is no longer at Mubert")},
		"failed":    {"failed", nil, failed("Mubert failed to make the track")},
		"completed": {"completed", nil, file(map[string]any{"mode": "track", "bpm": 120, "key": "C"})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != path+"/"+trackID {
					t.Errorf("got %s %s", r.Method, r.URL)
				}
				body := transcript(t, c.file)
				if c.edit != nil {
					body = c.edit(body)
				}
				_, _ = io.WriteString(w, body)
			})
			got, err := generator(t, url).Check(t.Context(), order(nil), trackID)
			if err != nil {
				t.Fatal(err)
			}
			if got.Failure != nil {
				got.Failure.Cause = nil // for the log
			}
			c.want.ID = trackID
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v %v\nwant %+v %v", got, got.Failure, c.want, c.want.Failure)
			}
		})
	}
}

func replace(old, by string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, by, 1) }
}

// A track from Mubert's store is there at once.
func TestDoneAtOnce(t *testing.T) {
	t.Parallel()
	task, err := generator(t, answer(t, http.StatusOK, "done")).Begin(t.Context(), order(nil))
	if err != nil || task.Status != domain.TaskDone || len(task.Files) != 1 {
		t.Errorf("got %+v, %v", task, err)
	}
}

// Codes tell more than the status, which is 403 for everything.
func TestCodes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		status  int
		kind    domain.Kind
		code    string
		message string
	}{
		"error_limit_concurrent": {403, domain.Limited, domain.CodeRateLimit, "The provider Mubert allows no more requests at the moment"},
		"error_limit_tracks":     {403, domain.Unavailable, domain.CodeQuota, "The provider Mubert has no quota left for Gaia"},
		"error_forbidden_duration": {
			403, domain.BadRequest, "LicenseForbiddenDuration",
			"Mubert refused the order: The license does not provide for the use of the specified duration",
		},
		"error_expired":         {403, domain.Unavailable, domain.CodeCredentials, "The provider Mubert rejected Gaia's credentials"},
		"error_unauthenticated": {401, domain.Unavailable, domain.CodeCredentials, "The provider Mubert rejected Gaia's credentials"},
	} {
		_, err := generator(t, answer(t, want.status, name)).Begin(t.Context(), order(nil))
		var e *domain.Error
		if !errors.As(err, &e) || e.Kind != want.kind || e.Code != want.code || e.Message != want.message {
			t.Errorf("%s: got %v, %+v", name, err, e)
		}
	}
}

// Of what is not found, only a track is a task that is gone.
func TestNotFound(t *testing.T) {
	t.Parallel()
	_, err := generator(t, answer(t, http.StatusNotFound, "error_not_found")).Check(t.Context(), order(nil), trackID)
	if domain.KindOf(err) != domain.NotFound {
		t.Errorf("a track: %v", err)
	}
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"Customer not found","code":"CustomerNotFound"}`)
	})
	_, err = generator(t, url).Check(t.Context(), order(nil), trackID)
	if domain.FailureOf(err) != domain.CodeCredentials {
		t.Errorf("the customer: %v", err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	const mine = `"id": "` + trackID + `"`
	for name, c := range map[string]struct {
		o    domain.GenerationOrder
		edit func(string) string
		ok   bool
	}{
		"the only one":   {order(nil), nil, true},
		"none":           {order(func(r *domain.AssetRequest) { r.Description = "drums" }), nil, false},
		"another length": {order(nil), func(s string) string { return strings.ReplaceAll(s, `"duration": 30`, `"duration": 45`) }, false},
		"another mode":   {order(nil), func(s string) string { return strings.ReplaceAll(s, `"mode": "track"`, `"mode": "loop"`) }, false},
		"two":            {order(nil), replace("Another prompt", "Relaxing ambient music"), false},
		"no time":        {order(nil), replace("2024-01-01T00:00:09Z", "yesterday"), false},
		"no tracks":      {order(nil), func(string) string { return `{"data":[]}` }, false},
		"no time of it":  {domain.GenerationOrder{Token: token, Request: order(nil).Request}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == path+"/"+trackID {
					_, _ = io.WriteString(w, transcript(t, "done"))
					return
				}
				if r.URL.Path != path || r.URL.RawQuery != "limit=50&offset=0&order=desc&order_by=created_at" {
					t.Errorf("got %s", r.URL)
				}
				body := transcript(t, "tracks")
				if !strings.Contains(body, mine) {
					t.Error("the transcript has no such track")
				}
				if c.edit != nil {
					body = c.edit(body)
				}
				_, _ = io.WriteString(w, body)
			})
			got, err := generator(t, url).Find(t.Context(), c.o)
			switch {
			case !c.ok:
				wantUnknown(t, err)
			case err != nil || got.ID != trackID || got.Status != domain.TaskDone || len(got.Files) != 1:
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// There are more tracks since the order than anybody wants to look at.
func TestFindGivesUp(t *testing.T) {
	t.Parallel()
	one := `{"id":"x","prompt":"p","created_at":"2024-01-01T00:00:00Z"},`
	page := `{"data":[` + strings.TrimSuffix(strings.Repeat(one, 50), ",") + `]}`
	pages := make(chan string, 10)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		pages <- r.URL.Query().Get("offset")
		_, _ = io.WriteString(w, page)
	})
	_, err := generator(t, url).Find(t.Context(), order(nil))
	wantUnknown(t, err)
	close(pages)
	var got []string
	for offset := range pages {
		got = append(got, offset)
	}
	if want := []string{"0", "50", "100", "150"}; !reflect.DeepEqual(got, want) {
		t.Errorf("read %q", got)
	}
}

// A track that is listed and then gone is no order that was never placed.
func TestFoundAndGone(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, transcript(t, "tracks"))
	})
	_, err := generator(t, url).Find(t.Context(), order(nil))
	wantUnknown(t, err)
}

// Mubert has nothing to stop a track with, and is not asked.
func TestCancel(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	if err := generator(t, url).Cancel(t.Context(), trackID); err != nil {
		t.Error(err)
	}
}
