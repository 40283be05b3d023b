package openai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gaia/adapters/internal/upstreamtest"
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
			got, err := json.MarshalIndent(overHTTP(t, dialect(name), body), "", "  ")
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
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstreamtest.SameWhole(t, body, func(t *testing.T, r io.Reader) string {
				t.Helper()
				got, err := json.Marshal(read(t, openai.New(openai.Config{Dialect: dialect(name), HTTPClient: upstreamtest.Canned(r)})))
				if err != nil {
					t.Fatal(err)
				}
				return string(got)
			})
		})
	}
}

func transcripts(t *testing.T) map[string]string {
	t.Helper()
	bodies := upstreamtest.Files(t, "testdata/*.sse")
	if len(bodies) < 20 {
		t.Fatalf("found %d transcripts", len(bodies))
	}
	return bodies
}

// dialect is whose transcript or request a file holds, by its name.
func dialect(name string) openai.Dialect {
	name = strings.TrimPrefix(name, "fail_")
	switch {
	case strings.HasPrefix(name, "gemini"):
		return openai.Gemini
	case strings.HasPrefix(name, "mistral"):
		return openai.Mistral
	default:
		return openai.Standard
	}
}

func overHTTP(t *testing.T, dialect openai.Dialect, body string) outcome {
	t.Helper()
	cfg := plain(t, upstreamtest.Send(strings.SplitAfter(body, "\n\n")...))
	cfg.BaseURL += "/v1/"
	cfg.Dialect = dialect
	return read(t, completer(t, cfg))
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
