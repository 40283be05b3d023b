package anthropic_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gaia/adapters/anthropic"
	"gaia/adapters/internal/upstreamtest"
	"gaia/domain"
)

// outcome is all that a caller can see of a stream.
type outcome struct {
	Deltas  []domain.Delta
	Error   string `json:",omitempty"`
	Kind    domain.Kind
	Code    string `json:",omitempty"`
	Message string `json:",omitempty"`
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	for name, body := range upstreamtest.Files(t, "testdata/*.sse") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := over(t, upstreamtest.Plain, upstreamtest.Send(strings.SplitAfter(body, "\n\n")...))
			got := indented(t, read(t, completer(t, cfg)))
			golden(t, name+".golden.json", got)
			if failed := bytes.Contains(got, []byte(`"Error"`)); failed != strings.HasPrefix(name, "fail_") {
				t.Errorf("failed is %v", failed)
			}
		})
	}
}

// Wherever the network cuts a stream, and however its lines end, the deltas are the same.
func TestAnyCutGivesTheSameDeltas(t *testing.T) {
	t.Parallel()
	for name, body := range upstreamtest.Files(t, "testdata/*.sse") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstreamtest.SameWhole(t, body, func(t *testing.T, r io.Reader) string {
				t.Helper()
				return string(indented(t, read(t, anthropic.New(anthropic.Config{HTTPClient: upstreamtest.Canned(r)}))))
			})
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
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func read(t *testing.T, c *anthropic.Completer) outcome {
	t.Helper()
	st, err := c.Open(t.Context(), domain.Prompt{Model: "claude-test"})
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
				out.Code, out.Message = e.Code, e.Message
			}
			return out
		}
		out.Deltas = append(out.Deltas, d)
	}
}
