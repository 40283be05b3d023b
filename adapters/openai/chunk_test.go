package openai

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"gaia/adapters/internal/eventstream"
	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

func testDecoder() decoder {
	made := 0
	return decoder{calls: callTracker{newID: func() string { made++; return "made" + strconv.Itoa(made) }}}
}

func TestToolCallFragments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fragments string // JSON objects of tool_calls
		want      []domain.ToolCall
	}{
		"by the book": {
			`{"index":0,"id":"a","function":{"name":"f","arguments":""}},{"index":0,"function":{"arguments":"{}"}}`,
			[]domain.ToolCall{{ID: "a", Name: "f", Arguments: "{}"}},
		},
		"interleaved": {
			`{"index":0,"id":"a","function":{"name":"f"}},{"index":1,"id":"b","function":{"name":"g"}},` +
				`{"index":0,"function":{"arguments":"1"}},{"index":1,"function":{"arguments":"2"}},{"index":0,"function":{"arguments":"3"}}`,
			[]domain.ToolCall{{ID: "a", Name: "f", Arguments: "13"}, {ID: "b", Name: "g", Arguments: "2"}},
		},
		"no index, another id": {
			`{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"f","arguments":"2"}}`,
			[]domain.ToolCall{{ID: "a", Name: "f", Arguments: "1"}, {ID: "b", Name: "f", Arguments: "2"}},
		},
		"no index, same id": {
			`{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"g"}},{"id":"a","function":{"arguments":"2"}}`,
			[]domain.ToolCall{{ID: "a", Name: "f", Arguments: "12"}, {ID: "b", Name: "g"}},
		},
		"no index, no id": {
			`{"id":"a","function":{"name":"f"}},{"id":"b","function":{"name":"g"}},{"function":{"arguments":"2"}}`,
			[]domain.ToolCall{{ID: "a", Name: "f"}, {ID: "b", Name: "g", Arguments: "2"}},
		},
		"nothing but a name": {`{"function":{"name":"f","arguments":"{}"}}`, []domain.ToolCall{{ID: "made1", Name: "f", Arguments: "{}"}}},
		"name after arguments": {
			`{"index":0,"id":"a","function":{"arguments":"1"}},{"index":0,"function":{"name":"f","arguments":"2"}}`,
			[]domain.ToolCall{{ID: "a", Name: "f", Arguments: "12"}},
		},
		"indices with gaps": {
			`{"index":7,"id":"a","function":{"name":"f"}},{"index":3,"id":"b","function":{"name":"g"}},{"index":7,"function":{"arguments":"1"}}`,
			[]domain.ToolCall{{ID: "a", Name: "f", Arguments: "1"}, {ID: "b", Name: "g"}},
		},
		"null everywhere": {
			`{"index":null,"id":null,"type":null,"function":{"name":"f","arguments":null}}`, []domain.ToolCall{{ID: "made1", Name: "f"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			together, apart := testDecoder(), testDecoder()
			var one, many domain.AnswerBuilder
			add(t, &together, &one, `{"choices":[{"delta":{"tool_calls":[`+test.fragments+`]}}]}`)
			for _, f := range splitObjects(t, test.fragments) {
				add(t, &apart, &many, `{"choices":[{"delta":{"tool_calls":[`+f+`]}}]}`)
			}
			inOne, inMany := one.Answer().ToolCalls, many.Answer().ToolCalls
			if !reflect.DeepEqual(inOne, test.want) || !reflect.DeepEqual(inMany, test.want) {
				t.Errorf("in one chunk %+v, in many %+v, want %+v", inOne, inMany, test.want)
			}
		})
	}
}

func add(t *testing.T, d *decoder, a *domain.AnswerBuilder, data string) {
	t.Helper()
	delta, said, err := d.Decode("", []byte(data), &upstream.Progress{})
	if said != nil || err != nil {
		t.Fatalf("decode %s: %v, %v", data, said, err)
	}
	a.Add(delta)
}

func splitObjects(t *testing.T, list string) []string {
	t.Helper()
	var objects []json.RawMessage
	if err := json.Unmarshal([]byte("["+list+"]"), &objects); err != nil {
		t.Fatal(err)
	}
	texts := make([]string, 0, len(objects))
	for _, o := range objects {
		texts = append(texts, string(o))
	}
	return texts
}

func TestTooManyToolCalls(t *testing.T) {
	t.Parallel()
	d := testDecoder()
	for i := range maxCalls {
		var a domain.AnswerBuilder
		add(t, &d, &a, `{"choices":[{"delta":{"tool_calls":[{"id":"`+strconv.Itoa(i)+`","function":{"name":"f"}}]}}]}`)
	}
	if _, _, err := d.Decode("", []byte(`{"choices":[{"delta":{"tool_calls":[{"id":"x","function":{"name":"f"}}]}}]}`), &upstream.Progress{}); err == nil {
		t.Error("one more call than there may be")
	}
}

func TestFinishReasons(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]domain.FinishReason{
		"stop": domain.FinishStop, "STOP": domain.FinishStop, "eos": domain.FinishStop, "length": domain.FinishLength,
		"model_length": domain.FinishLength, "MAX_TOKENS": domain.FinishLength, "tool_calls": domain.FinishToolCalls,
		"function_call": domain.FinishToolCalls, "content_filter": domain.FinishContentFilter, "content_filter: SPII": domain.FinishContentFilter, "SAFETY": domain.FinishContentFilter,
	} {
		d := testDecoder()
		var a domain.AnswerBuilder
		add(t, &d, &a, `{"choices":[{"delta":{},"finish_reason":"`+word+`"}]}`)
		if got := a.Answer().Finish; got != want {
			t.Errorf("%s became %q, want %q", word, got, want)
		}
	}
}

// Errors go to the log: they must not take a piece of the answer along.
func TestDecodingErrorsHoldNoInput(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{"choices":[{"delta":{"content":"secret`, `{"choices":"secret"}`, `{"choices":[{"delta":{"refusal":{"secret":1}}}]}`, `secret`} {
		d := testDecoder()
		if _, _, err := d.Decode("", []byte(data), &upstream.Progress{}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("decode %s: %v", data, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.sse")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		d, r := testDecoder(), eventstream.New(bytes.NewReader(stream))
		var p upstream.Progress
		var answer domain.AnswerBuilder
		named := map[int]bool{}
		for {
			ev, err := r.Next()
			if err != nil {
				return
			}
			delta, said, err := d.Decode(ev.Name, ev.Data, &p)
			if said != nil {
				checkRefusal(t, *said)
			}
			if said != nil || err != nil {
				return
			}
			if delta.Finish != "" && answer.Answer().Finish != "" {
				t.Error("a second finish reason")
			}
			for _, c := range delta.ToolCalls {
				if c.Index < 0 || c.Index >= maxCalls {
					t.Errorf("index %d", c.Index)
				}
				if first := c.ID != "" && c.Name != ""; first == named[c.Index] {
					t.Errorf("piece %+v, named before is %v", c, named[c.Index])
				}
				named[c.Index] = true
			}
			if p.Usage != nil && (p.Usage.Total() <= 0 || p.Usage.Input < 0 || p.Usage.Output < 0) {
				t.Errorf("usage %+v", *p.Usage)
			}
			answer.Add(delta)
		}
	})
}

func checkRefusal(t *testing.T, said upstream.Said) {
	t.Helper()
	d := testDecoder()
	e := d.Refuse(upstream.Refusal{Said: said, Provider: "openai", Model: "m", Readable: true})
	if e.Kind == domain.Internal || e.Message == "" || len(e.Message) > 4000 {
		t.Errorf("%+v became %+v", said, e)
	}
}
