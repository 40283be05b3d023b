package openai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"gaia/adapters/openai"
	"gaia/domain"
)

// outcome is all that a caller can see of a stream.
type outcome struct {
	Deltas  []domain.Delta
	Error   string `json:",omitempty"`
	Kind    domain.Kind
	Message string `json:",omitempty"`
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	for name, body := range transcripts(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.MarshalIndent(overHTTP(t, body), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden.json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(append(got, '\n'), want) {
				t.Errorf("got %s\nwant %s", got, want)
			}
			if failed := bytes.Contains(got, []byte(`"Error"`)); failed != strings.HasPrefix(name, "fail_") {
				t.Errorf("failed is %v", failed)
			}
		})
	}
}

// Wherever the network cuts a stream, and however its lines end, the deltas are the same.
func TestAnyCutGivesTheSameDeltas(t *testing.T) {
	t.Parallel()
	for name, body := range transcripts(t) {
		for ending, text := range map[string]string{
			"LF": body, "CRLF": strings.ReplaceAll(body, "\n", "\r\n"), "CR": strings.ReplaceAll(body, "\n", "\r"), "BOM": "\uFEFF" + body,
		} {
			t.Run(name+" "+ending, func(t *testing.T) {
				t.Parallel()
				whole := fromReader(t, strings.NewReader(body))
				same := func(what string, r io.Reader) {
					t.Helper()
					if got := fromReader(t, r); !reflect.DeepEqual(got, whole) {
						t.Fatalf("%s: got %+v\nwant %+v", what, got, whole)
					}
				}
				same("one byte at a time", iotest.OneByteReader(strings.NewReader(text)))
				same("error with the last bytes", iotest.DataErrReader(strings.NewReader(text)))
				for seed := range uint64(8) {
					same(fmt.Sprintf("seed %d", seed), &choppy{rest: []byte(text), rng: rand.New(rand.NewPCG(seed, 1))})
				}
				if len(text) < 700 && strings.HasSuffix(ending, "LF") {
					for i := range len(text) {
						same(fmt.Sprintf("cut at %d", i), io.MultiReader(strings.NewReader(text[:i]), strings.NewReader(text[i:])))
					}
				}
			})
		}
	}
}

func transcripts(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.sse")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d transcripts: %v", len(files), err)
	}
	bodies := map[string]string{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bodies[strings.TrimSuffix(filepath.Base(file), ".sse")] = string(body)
	}
	return bodies
}

func replay(t *testing.T, body string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, event := range strings.SplitAfter(body, "\n\n") {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func overHTTP(t *testing.T, body string) outcome {
	t.Helper()
	c := openai.New(openai.Config{BaseURL: replay(t, body).URL + "/v1/"})
	t.Cleanup(c.CloseIdle)
	return read(t, c)
}

// fromReader reads a stream whose body comes from r, without a network.
func fromReader(t *testing.T, r io.Reader) outcome {
	t.Helper()
	return read(t, openai.New(openai.Config{HTTPClient: &http.Client{Transport: canned{r}}}))
}

func read(t *testing.T, c *openai.Completer) outcome {
	t.Helper()
	made := 0
	openai.SetNewID(c, func() string { made++; return fmt.Sprintf("call_made_%d", made) })
	st, err := c.Open(t.Context(), domain.Prompt{Model: "m"})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer st.Close()
	var out outcome
	for {
		d, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			out.Error, out.Kind = err.Error(), domain.KindOf(err)
			var e *domain.Error
			if errors.As(err, &e) {
				out.Message = e.Message
			}
			return out
		}
		out.Deltas = append(out.Deltas, d)
	}
}

// canned answers every request with the same body.
type canned struct{ body io.Reader }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(c.body), Request: r,
	}, nil
}

// choppy gives its bytes in pieces of random size.
type choppy struct {
	rest []byte
	rng  *rand.Rand
}

func (c *choppy) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:1+c.rng.IntN(min(len(c.rest), 60))])
	c.rest = c.rest[n:]
	return n, nil
}
