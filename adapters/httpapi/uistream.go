package httpapi

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// uiStreamHeader names the protocol in requests and answers.
const uiStreamHeader = "X-Vercel-Ai-Ui-Message-Stream"

// uiStreamType asks for it in Accept.
const uiStreamType = "text/x-vercel-ai-ui-message-stream"

// asksForUIStream reports whether a request wants its answer as a UI message stream.
func asksForUIStream(h http.Header) bool {
	return h.Get(uiStreamHeader) != "" || strings.Contains(h.Get("Accept"), uiStreamType)
}

// uiStream encodes an answer as the UI message stream of the Vercel AI SDK, version 1. Its clients refuse keys that they do not know.
type uiStream struct {
	metadata oapi.UIMessageMetadata
	texts    int
	inText   bool
	inStep   bool
	own      *bool // true when Gaia itself makes the calls, else nil
	calls    []*uiCall
}

// uiCall is a tool call whose input is on its way.
type uiCall struct {
	id, name  string
	arguments strings.Builder
}

func (e *uiStream) begin(out *sse, info app.ChatInfo) {
	if info.OwnTools {
		e.own = &info.OwnTools
	}
	e.metadata = oapi.UIMessageMetadata{Model: cmp.Or(info.Choice.Model, unknownModel), Provider: cmp.Or(info.Choice.Provider, unknownModel)}
	out.event(oapi.UIStartChunk{Type: "start", MessageId: completionID(info), MessageMetadata: e.metadata})
	e.beginStep(out)
}

func (e *uiStream) beginStep(out *sse) {
	if !e.inStep {
		e.inStep = true
		out.event(oapi.UIStartStepChunk{Type: "start-step"})
	}
}

func (e *uiStream) endStep(out *sse) {
	e.endText(out)
	if e.inStep {
		e.inStep = false
		out.event(oapi.UIFinishStepChunk{Type: "finish-step"})
	}
}

func (e *uiStream) delta(out *sse, d domain.Delta) {
	if text := d.Content + d.Refusal; text != "" {
		e.beginStep(out)
		if !e.inText {
			e.texts++
			e.inText = true
			out.event(oapi.UITextStartChunk{Type: "text-start", Id: e.textID()})
		}
		out.event(oapi.UITextDeltaChunk{Type: "text-delta", Id: e.textID(), Delta: text})
	}
	for _, c := range d.ToolCalls {
		e.call(out, c)
	}
}

func (e *uiStream) call(out *sse, c domain.ToolCallDelta) {
	e.beginStep(out)
	e.endText(out)
	if c.Index < 0 || c.Index > len(e.calls) { // indices come from providers, in order
		return
	}
	if c.Index == len(e.calls) {
		e.calls = append(e.calls, &uiCall{id: c.ID, name: c.Name})
		out.event(oapi.UIToolInputStartChunk{Type: "tool-input-start", ToolCallId: c.ID, ToolName: toolName(c.Name), ProviderExecuted: e.own, Dynamic: e.own})
	}
	if c.Arguments != "" {
		call := e.calls[c.Index]
		call.arguments.WriteString(c.Arguments)
		out.event(oapi.UIToolInputDeltaChunk{Type: "tool-input-delta", ToolCallId: call.id, InputTextDelta: c.Arguments})
	}
}

// tool tells about calls that Gaia makes. The calls of a round, their results and what the model said before are a step.
func (e *uiStream) tool(out *sse, s *app.ToolStep) {
	if s.Calls != nil {
		e.endText(out)
		e.inputs(out)
	}
	switch event := s.Event; {
	case event == nil:
	case event.Error != "":
		out.event(oapi.UIToolOutputErrorChunk{
			Type: "tool-output-error", ToolCallId: event.CallID, ErrorText: event.Error, ProviderExecuted: true, Dynamic: true,
		})
	default:
		out.event(oapi.UIToolOutputAvailableChunk{
			Type: "tool-output-available", ToolCallId: event.CallID, Output: event.Result, ProviderExecuted: true, Dynamic: true,
		})
	}
	if s.Last {
		e.endStep(out)
	}
}

// inputs says that the inputs of all calls are complete.
func (e *uiStream) inputs(out *sse) {
	for _, call := range e.calls {
		out.event(oapi.UIToolInputAvailableChunk{
			Type: "tool-input-available", ToolCallId: call.id, ToolName: toolName(call.name), Input: toolInput(call.arguments.String()),
			ProviderExecuted: e.own, Dynamic: e.own,
		})
	}
	e.calls = nil
}

func (e *uiStream) fallback(_ *sse, f *app.Fallback) {
	e.metadata.Model, e.metadata.Provider = f.To.Model, f.To.Provider
}

func (e *uiStream) finish(out *sse, r *app.ChatResult) {
	e.endText(out)
	e.inputs(out)
	e.endStep(out)
	reason, usage := oapi.ChatFinishReason(finishReason(r.Finish)), usageToAPI(r.Usage)
	e.metadata.FinishReason, e.metadata.Usage, e.metadata.FallbackUsed = &reason, &usage, &r.FallbackUsed
	e.metadata.ConversationId = nilIfEmpty(r.ConversationID)
	out.event(oapi.UIFinishChunk{Type: "finish", MessageMetadata: e.metadata})
}

func (e *uiStream) fail(out *sse, err error) {
	e.endText(out)
	out.event(oapi.UIErrorChunk{Type: "error", ErrorText: clientMessage(err)})
}

func (e *uiStream) endText(out *sse) {
	if e.inText {
		e.inText = false
		out.event(oapi.UITextEndChunk{Type: "text-end", Id: e.textID()})
	}
}

func (e *uiStream) textID() string { return "text-" + strconv.Itoa(e.texts) }

// toolInput is the input of a call as JSON. Models now and then write what is none: it is handed on as text.
func toolInput(arguments string) map[string]any {
	if strings.TrimSpace(arguments) == "" {
		return map[string]any{}
	}
	var input map[string]any
	if err := json.Unmarshal([]byte(arguments), &input); err != nil || input == nil {
		return map[string]any{"arguments": arguments}
	}
	return input
}
