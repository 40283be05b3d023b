package freesound_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"gaia/adapters/freesound"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

const (
	key   = "very-secret"
	token = "0199a1b2-c3d4-7e5f-8a6b-0123456789ab"
)

func generator(t *testing.T, url string) *freesound.Generator {
	t.Helper()
	g := freesound.New(freesound.Config{URL: url, Key: key})
	t.Cleanup(g.CloseIdle)
	return g
}

func order(edit func(r *domain.AssetRequest)) domain.GenerationOrder {
	o := domain.GenerationOrder{
		Token: token, Stage: "search", Seed: 7,
		Request: domain.AssetRequest{Category: domain.AssetAudio, Description: "a crowd in Barcelona", Quality: domain.AssetMedium, Platform: "ar"},
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
		Order: order(nil), TaskID: "317096." + token, Key: key, Repeatable: true, CantCancel: true,
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
		"search": order(nil),
		"length": order(func(r *domain.AssetRequest) { r.Description = "40 seconds of heavy rain" }),
		"small":  order(func(r *domain.AssetRequest) { r.Format, r.MaxBytes = "ogg", 1<<20 }),
		"syntax": order(func(r *domain.AssetRequest) {
			r.Description = `"bell" -license:x OR (8bit) [* TO *] pause+play; a b c d e f g`
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/apiv2/search/" || r.Header.Get("Authorization") != "Token "+key ||
					r.URL.Query().Has("token") {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
				}
				var lines []string
				for _, p := range []string{"query", "filter", "fields", "page_size", "sort"} {
					lines = append(lines, p+": "+r.URL.Query().Get(p))
				}
				got = strings.Join(lines, "\n") + "\n"
				_, _ = io.WriteString(w, transcript(t, "search"))
			})
			if _, err := generator(t, url).Begin(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			golden(t, "request_"+name+".txt", got)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s: asked for\n%s\nwant\n%s (%v)", name, got, want, err)
	}
}

var hat = domain.GeneratedFile{
	Format: "mp3", URL: "https://cdn.freesound.org/previews/317/317096_656142-hq.mp3", License: domain.LicensePublicDomain, Title: "hat open2.wav",
	Attributes: map[string]any{
		"author": "shpira", "source_url": "https://freesound.org/people/shpira/sounds/317096/", "freesound_id": int64(317096),
		"license_url": "http://creativecommons.org/publicdomain/zero/1.0/",
	},
}

var crowd = domain.GeneratedFile{
	Format: "mp3", URL: "https://freesound.org/data/previews/437/437128_146542-hq.mp3", License: domain.LicenseCreativeCommons,
	AttributionRequired: true, Title: "Crowd in Festa Major de Gracia",
	Attributes: map[string]any{
		"author": "peelsonsleep", "source_url": "https://freesound.org/people/peelsonsleep/sounds/437128/", "freesound_id": int64(437128),
		"license_url": "https://creativecommons.org/licenses/by/4.0/",
	},
}

// Which sound is chosen: one whose licence is known, the best placed, with few conditions, that people like.
func TestChoice(t *testing.T) {
	t.Parallel()
	ogg := crowd
	ogg.Format, ogg.URL = "ogg", strings.Replace(crowd.URL, "mp3", "ogg", 1)
	breath := domain.GeneratedFile{
		Format: "mp3", URL: "https://freesound.org/data/previews/416/416022_6803295-hq.mp3", License: domain.LicenseCustom,
		AttributionRequired: true, Title: "breathindunya.wav",
		Attributes: map[string]any{
			"author": "emirdemirel", "source_url": "https://freesound.org/people/emirdemirel/sounds/416022/", "freesound_id": int64(416022),
			"license_url": "http://creativecommons.org/licenses/by-nc/3.0/",
		},
	}
	const hatRating, crowdDeed = `"avg_rating": 4.0`, "https://creativecommons.org/licenses/by/4.0/"
	for name, c := range map[string]struct {
		format string
		edit   *strings.Replacer
		id     string
		want   domain.GeneratedFile
	}{
		"fewest conditions":        {"", nil, "317096", hat},
		"better placed and liked":  {"", strings.NewReplacer(hatRating, `"avg_rating": 0`), "437128", crowd},
		"the other format":         {"ogg", strings.NewReplacer(hatRating, `"avg_rating": 0`), "437128", ogg},
		"no preview, no choice":    {"", strings.NewReplacer(hat.URL, ""), "437128", crowd},
		"a deed of somebody else":  {"", strings.NewReplacer("creativecommons.org/publicdomain", "example.com/publicdomain"), "437128", crowd},
		"for people without trade": {"", strings.NewReplacer(crowdDeed, "", "publicdomain/zero", "licenses/by-sa"), "416022", breath},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				body := transcript(t, "search")
				if c.edit != nil {
					body = c.edit.Replace(body)
				}
				_, _ = io.WriteString(w, body)
			})
			got, err := generator(t, url).Begin(t.Context(), order(func(r *domain.AssetRequest) { r.Format = c.format }))
			want := domain.GeneratorTask{ID: c.id + "." + token, Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{c.want}}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

// With fewer words there is more, down to two; one word of several would find anything.
func TestSearchesWithFewerWords(t *testing.T) {
	t.Parallel()
	for description, want := range map[string][]string{
		"an old wooden door that creaks slowly in a dark castle hall": {"old wooden door creaks slowly dark", "old wooden door"},
		"an old wooden door creaks":                                   {"old wooden door creaks", "old wooden"},
		"heavy rain":                                                  {"heavy rain"},
		"rain":                                                        {"rain"},
		"30 seconds of sound":                                         nil,
		"!?":                                                          nil,
	} {
		t.Run(description, func(t *testing.T) {
			t.Parallel()
			texts := make(chan string, 10)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				texts <- r.URL.Query().Get("query")
				_, _ = io.WriteString(w, transcript(t, "nothing"))
			})
			_, err := generator(t, url).Begin(t.Context(), order(func(r *domain.AssetRequest) { r.Description = description }))
			var e *domain.Error
			if !errors.As(err, &e) || e.Kind != domain.BadRequest || e.Message != "No sound of Freesound fits the description; use other words" {
				t.Errorf("got %v", err)
			}
			close(texts)
			var got []string
			for text := range texts {
				got = append(got, text)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("searched for %q, want %q", got, want)
			}
		})
	}
}

func TestOrdersThatAreNotSent(t *testing.T) {
	t.Parallel()
	g := generator(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") }))
	adapted := order(nil)
	adapted.Base = &domain.BaseFile{}
	for want, o := range map[string]domain.GenerationOrder{
		"Freesound has no wav files; ask for one of mp3, ogg": order(func(r *domain.AssetRequest) { r.Format = "wav" }),
		"Freesound does not adapt assets":                     adapted,
	} {
		_, err := g.Begin(t.Context(), o)
		var e *domain.Error
		if !errors.As(err, &e) || e.Kind != domain.BadRequest || e.Message != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Who has lost the answer asks for the sound again.
func TestCheck(t *testing.T) {
	t.Parallel()
	var sound atomic.Value
	sound.Store(transcript(t, "sound"))
	g := generator(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apiv2/sounds/317096/" || r.URL.Query().Get("fields") != "id,name,license,username,url,duration,avg_rating,previews" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, transcript(t, "error_not_found"))
			return
		}
		_, _ = io.WriteString(w, sound.Load().(string))
	}))
	task := "317096." + token
	want := domain.GeneratorTask{ID: task, Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{hat}}
	if got, err := g.Check(t.Context(), order(nil), task); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	sound.Store(strings.Replace(transcript(t, "sound"), "publicdomain/zero", "licenses/sampling+", 1))
	for _, gone := range []string{task, "5." + token, "x", "", "-1." + token} {
		if _, err := g.Check(t.Context(), order(nil), gone); domain.KindOf(err) != domain.NotFound {
			t.Errorf("%q: got %v", gone, err)
		}
	}
}

func TestNothingToFindOrCancel(t *testing.T) {
	t.Parallel()
	g := generator(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") }))
	if _, err := g.Find(t.Context(), order(nil)); domain.KindOf(err) != domain.NotFound {
		t.Errorf("Find: %v", err)
	}
	if err := g.Cancel(t.Context(), "317096."+token); err != nil {
		t.Errorf("Cancel: %v", err)
	}
}

// Names are what people gave to sounds.
func TestTitlesAreBounded(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Replace(transcript(t, "search"), "hat open2.wav", `\u0000hat\n`+strings.Repeat("é", 300), 1))
	})
	task, err := generator(t, url).Begin(t.Context(), order(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := []rune(task.Files[0].Title); len(got) != domain.MaxAssetTitle || !strings.HasPrefix(string(got), "hat éé") {
		t.Errorf("got %q", string(got))
	}
}

// A throttled key is told apart from everything else.
func TestThrottled(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, transcript(t, "error_throttled"))
	})
	if _, err := generator(t, url).Begin(t.Context(), order(nil)); domain.KindOf(err) != domain.Limited {
		t.Errorf("got %v", err)
	}
}
