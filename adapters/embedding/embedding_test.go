package embedding_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/adapters/embedding"
	"gaia/domain"
)

const key = "sk-embedding-test"

// serve makes an embedder of a server that answers like this.
func serve(t *testing.T, h http.HandlerFunc) *embedding.Embedder {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // a server notices only then that its client has left
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	}))
	t.Cleanup(server.Close)
	e := embedding.New(embedding.Config{URL: server.URL + "/v1", Key: key, Model: "text-embedding-3-small", Timeout: 2 * time.Second})
	t.Cleanup(e.Close)
	return e
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

func TestTranscript(t *testing.T) {
	t.Parallel()
	recorded, err := os.ReadFile("testdata/embeddings.json")
	if err != nil {
		t.Fatal(err)
	}
	var asked map[string]any
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/embeddings" || r.Header.Get("Authorization") != "Bearer "+key {
			t.Errorf("got %s %s with %q", r.Method, r.URL.Path, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		_, _ = w.Write(recorded)
	})
	got, err := e.Embed(t.Context(), []string{"a sword", "ein Schwert – 剣"})
	want := [][]float32{{0.0023064255, -0.009327292, -0.0028842222}, {0.5, -0.25, 1e-3}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	wanted := map[string]any{"model": "text-embedding-3-small", "input": []any{"a sword", "ein Schwert – 剣"}, "encoding_format": "float"}
	if !reflect.DeepEqual(asked, wanted) || e.Model() != "text-embedding-3-small" {
		t.Errorf("asked %v", asked)
	}
}

func TestManyTextsGoInSeveralRequests(t *testing.T) {
	t.Parallel()
	var sizes []int
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Input []string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, len(asked.Input))
		var data []map[string]any
		for i, text := range asked.Input {
			if len(text) > 20_000 {
				t.Errorf("a text of %d bytes", len(text))
			}
			data = append(data, map[string]any{"index": i, "embedding": []float64{float64(len(sizes)), float64(i)}})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
	})
	texts := make([]string, 250)
	texts[3] = strings.Repeat("x", 50_000)
	got, err := e.Embed(t.Context(), texts)
	if err != nil || len(got) != len(texts) || got[249][0] != 3 || got[249][1] != 49 || !reflect.DeepEqual(sizes, []int{100, 100, 50}) {
		t.Errorf("got %d vectors, %v, of requests of %v", len(got), err, sizes)
	}
	if got, err := e.Embed(t.Context(), nil); err != nil || len(got) != 0 || len(sizes) != 3 {
		t.Errorf("of nothing: got %v, %v", got, err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"401":                      answer(http.StatusUnauthorized, `{"error":{"message":"Incorrect API key provided: `+key+`","code":"invalid_api_key"}}`),
		"400":                      answer(http.StatusBadRequest, `{"error":{"message":"bad model"}}`),
		"404":                      answer(http.StatusNotFound, "no such page"),
		"429":                      answer(http.StatusTooManyRequests, `{"error":{"message":"Rate limit reached"}}`),
		"500":                      answer(http.StatusInternalServerError, "oops"),
		"503":                      answer(http.StatusServiceUnavailable, ""),
		"redirect":                 func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"no JSON":                  answer(http.StatusOK, "<html>"),
		"half of it":               answer(http.StatusOK, `{"data":[{"index":0,"embedding":[1,2`),
		"another type":             answer(http.StatusOK, `{"data":"none"}`),
		"null":                     answer(http.StatusOK, `null`),
		"no vectors":               answer(http.StatusOK, `{"data":[]}`),
		"one vector for two texts": answer(http.StatusOK, `{"data":[{"index":0,"embedding":[1]}]}`),
		"three vectors":            answer(http.StatusOK, `{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1]},{"index":2,"embedding":[1]}]}`),
		"one text twice":           answer(http.StatusOK, `{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`),
		"a text that is not there": answer(http.StatusOK, `{"data":[{"index":0,"embedding":[1]},{"index":7,"embedding":[1]}]}`),
		"below the first text":     answer(http.StatusOK, `{"data":[{"index":0,"embedding":[1]},{"index":-1,"embedding":[1]}]}`),
		"different lengths":        answer(http.StatusOK, `{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}`),
		"no numbers":               answer(http.StatusOK, `{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}`),
		"NaN":                      answer(http.StatusOK, `{"data":[{"index":0,"embedding":[NaN]},{"index":1,"embedding":[1]}]}`),
		"infinite":                 answer(http.StatusOK, `{"data":[{"index":0,"embedding":[1e300]},{"index":1,"embedding":[1]}]}`),
		"nothing but zeros":        answer(http.StatusOK, `{"data":[{"index":0,"embedding":[0,0]},{"index":1,"embedding":[1,0]}]}`),
		"base64":                   answer(http.StatusOK, `{"data":[{"index":0,"embedding":"AACAPw=="},{"index":1,"embedding":"AACAPw=="}]}`),
		"far too long a vector":    answer(http.StatusOK, `{"data":[{"index":0,"embedding":[`+strings.Repeat("1,", 20_000)+`1]},{"index":1,"embedding":[1]}]}`),
		"an answer without end": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `{"data":[{"index":0,"embedding":[`)
			ones := []byte(strings.Repeat("1,", 32<<10))
			for {
				if _, err := w.Write(ones); err != nil {
					return
				}
			}
		},
		"hangs up":               func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"hangs":                  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"hangs after the header": func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := serve(t, h).Embed(t.Context(), []string{"one", "two"})
			if domain.KindOf(err) != domain.Unavailable || got != nil {
				t.Errorf("got %v, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), key) {
				t.Errorf("the key is in %v", err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := embedding.New(embedding.Config{URL: server.URL, Model: "m"}).Embed(t.Context(), []string{"x"})
	if domain.KindOf(err) != domain.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	e := serve(t, func(_ http.ResponseWriter, r *http.Request) { leave(); <-r.Context().Done() })
	if _, err := e.Embed(ctx, []string{"x"}); domain.KindOf(err) != domain.Canceled {
		t.Errorf("got %v", err)
	}
	if _, err := e.Embed(ctx, []string{"x"}); !errors.Is(err, context.Canceled) && domain.KindOf(err) != domain.Canceled {
		t.Errorf("afterwards: got %v", err)
	}
}
