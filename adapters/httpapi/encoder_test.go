package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gaia/app"
	"gaia/domain"
)

// encodedSteps plays steps to an encoder and returns the data lines.
func encodedSteps(enc encoder, info app.ChatInfo, steps ...app.ChatStep) []string {
	w := httptest.NewRecorder()
	out := newSSE(w, false, 0)
	enc.begin(out, info)
	for _, s := range steps {
		r := streamReply{ctx: httptest.NewRequest("GET", "/", nil).Context(), log: slog.New(slog.DiscardHandler), enc: enc, begun: true}
		r.send(out, s)
	}
	var lines []string
	for line := range strings.SplitSeq(w.Body.String(), "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			lines = append(lines, data)
		}
	}
	return lines
}

// A stream may fail before anybody knows which model would have answered: on another replica, which died.
func TestStreamsThatFailBeforeAModelIsKnown(t *testing.T) {
	t.Parallel()
	failure := app.ChatStep{Err: domain.MissingPart("The database is not available", nil)}
	for name, test := range map[string]struct {
		enc  encoder
		want []string
	}{
		"chunks": {&openAIStream{}, []string{`"model":"unknown"`, `"finish_reason":"error"`, "[DONE]"}},
		"typed events": {&typedStream{now: time.Now, reasoning: func(app.ChatInfo) string { return "" }},
			[]string{`"type":"start"`, `"type":"ready"`, `"provider":null`, `"type":"complete"`, "[DONE]"}},
		"UI messages": {&uiStream{}, []string{`"model":"unknown"`, `"start-step"`, `"errorText":"The database is not available"`, "[DONE]"}},
	} {
		lines := encodedSteps(test.enc, app.ChatInfo{MessageID: "m"}, failure)
		if len(lines) != len(test.want) {
			t.Errorf("%s: got %q", name, lines)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: line %d is %s, want %s in it", name, i, lines[i], want)
			}
		}
	}
}

// Models begin and end texts around calls, and write inputs that are no JSON.
func TestUIMessagesOfMixedAnswers(t *testing.T) {
	t.Parallel()
	steps := []app.ChatStep{
		{Delta: domain.Delta{Content: "Let me "}}, {Delta: domain.Delta{Content: "look."}},
		{Delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: 0, ID: "c", Name: "look"}}}},
		{Delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: 0, Arguments: "not JSON"}}}},
		{Delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: 7, ID: "x", Name: "out of order"}}}},
		{Delta: domain.Delta{Content: "There."}},
		{Result: &app.ChatResult{Answer: domain.Answer{Finish: domain.FinishToolCalls}}},
	}
	var kinds []string
	for _, line := range encodedSteps(&uiStream{}, app.ChatInfo{Choice: domain.Choice{Provider: "openai", Model: "m"}}, steps...) {
		_, rest, _ := strings.Cut(line, `"type":"`)
		kind, _, _ := strings.Cut(rest, `"`)
		kinds = append(kinds, kind)
		if kind == "tool-input-available" && !strings.Contains(line, `"input":{"arguments":"not JSON"}`) {
			t.Errorf("got %s", line)
		}
	}
	want := "start start-step text-start text-delta text-delta text-end tool-input-start tool-input-delta text-start text-delta text-end tool-input-available finish-step finish "
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Pieces of several calls may come in turn.
func TestUIMessagesOfInterleavedCalls(t *testing.T) {
	t.Parallel()
	piece := func(index int, id, name, arguments string) app.ChatStep {
		return app.ChatStep{Delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: index, ID: id, Name: name, Arguments: arguments}}}}
	}
	lines := encodedSteps(&uiStream{}, app.ChatInfo{}, piece(0, "a", "one", `{"x":`), piece(1, "b", "two", `{"y":`), piece(0, "", "", "1}"), piece(1, "", "", "2}"),
		app.ChatStep{Result: &app.ChatResult{}})
	all := strings.Join(lines, "\n")
	for _, want := range []string{`"input":{"x":1}`, `"input":{"y":2}`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in %s", want, all)
		}
	}
}

// A stream that fails late has status 200 in the access log: a line of its own tells what went wrong, unless the client has left.
func TestLateFailuresAreLogged(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	for name, test := range map[string]struct {
		err  error
		left bool
		want []string
	}{
		"a part is away":   {domain.MissingPart("The provider broke off", cause), false, []string{"level=WARN", "would_be=503", "connection reset"}},
		"Gaia is at fault": {cause, false, []string{"level=ERROR", "would_be=500", "connection reset"}},
		"the prompt is":    {domain.NewError(domain.BadRequest, "too long"), false, []string{"level=INFO", "would_be=400", "too long"}},
		"the client left":  {cause, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.left {
				cancel()
			}
			var log strings.Builder
			r := streamReply{ctx: ctx, log: slog.New(slog.NewTextHandler(&log, nil)), enc: &openAIStream{}, begun: true}
			r.send(newSSE(httptest.NewRecorder(), false, 0), app.ChatStep{Err: test.err})
			if test.want == nil && log.Len() > 0 {
				t.Errorf("logged %s", log.String())
			}
			for _, want := range test.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("no %s in %s", want, log.String())
				}
			}
		})
	}
}
