package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
	"unicode/utf8"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// encoder turns the steps of an answer into the events of one protocol.
type encoder interface {
	begin(*sse, app.ChatInfo)
	delta(*sse, domain.Delta)
	tool(*sse, *app.ToolStep)
	fallback(*sse, *app.Fallback)
	finish(*sse, *app.ChatResult)
	fail(*sse, error)
}

// streamReply is an answer that goes out as an event stream. Visit may not return an error: after the first byte the generated code
// could only print it into the stream.
type streamReply struct {
	ctx    context.Context
	stream *app.ChatStream
	ping   time.Duration
	log    *slog.Logger
	enc    encoder
	header http.Header
	ids    bool // events carry ids: the request may be sent again
	after  int  // number of the last event that the client has
	begun  bool // the first event is on its way
}

func (r streamReply) VisitV02ChatResponse(w http.ResponseWriter) error           { return r.write(w) }
func (r streamReply) VisitV02StreamChatResponse(w http.ResponseWriter) error     { return r.write(w) }
func (r streamReply) VisitV1ChatResponse(w http.ResponseWriter) error            { return r.write(w) }
func (r streamReply) VisitV1ChatCompletionsResponse(w http.ResponseWriter) error { return r.write(w) }

func (r *streamReply) write(w http.ResponseWriter) error {
	defer r.stream.Close()
	for k, v := range r.header {
		w.Header()[k] = v
	}
	out := newSSE(w, r.ids, r.after)
	if r.stream.Info.MessageID != "" { // else another replica is answering, and the first step tells
		r.begin(out, r.stream.Info)
	}
	ticker := time.NewTicker(r.ping)
	defer ticker.Stop()
	for !out.gone {
		select {
		case step := <-r.stream.Steps():
			if r.take(out, step) {
				return nil
			}
			ticker.Reset(r.ping)
		case <-ticker.C:
			out.ping()
		case <-r.ctx.Done():
			if isStopping(r.ctx) {
				r.stop(out)
			}
			return nil
		}
	}
	return nil
}

func (r *streamReply) begin(out *sse, info app.ChatInfo) {
	r.begun = true
	out.n = info.EventBase
	r.enc.begin(out, info)
}

// take begins the stream with the first step that allows it, and reports whether this was the last.
func (r *streamReply) take(out *sse, step app.ChatStep) bool {
	if !r.begun && (step.Info != nil || step.Err == nil) {
		info := r.stream.Info
		if step.Info != nil {
			info = *step.Info
		}
		r.begin(out, info)
	}
	return r.send(out, step)
}

// stop ends the stream of a process that stops. What was generated is saved by the time the client hears of it, and an answer that was
// finished at this very moment is one.
func (r *streamReply) stop(out *sse) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		r.stream.Close()
	}()
	for {
		select {
		case step := <-r.stream.Steps():
			if r.take(out, step) {
				<-closed
				return
			}
			continue
		case <-closed:
		}
		select {
		case step := <-r.stream.Steps():
			if r.take(out, step) {
				return
			}
		default:
			r.take(out, app.ChatStep{Err: domain.ErrStopping})
			return
		}
	}
}

// send encodes a step and reports whether it was the last.
func (r *streamReply) send(out *sse, step app.ChatStep) bool {
	switch {
	case step.Err != nil:
		if !r.begun {
			r.enc.begin(out, app.ChatInfo{MessageID: requestIDFrom(r.ctx), Created: time.Now()})
		}
		err := step.Err
		if errors.Is(err, domain.ErrStopping) {
			out.farewell()
			err = resumable(err, r.ids)
		}
		r.enc.fail(out, err)
		if r.ctx.Err() == nil { // else the client left
			logLate(r.ctx, r.log, step.Err)
		}
	case step.Result != nil:
		r.enc.finish(out, step.Result)
	case step.Fallback != nil:
		r.enc.fallback(out, step.Fallback)
		return false
	case step.Tool != nil:
		r.enc.tool(out, step.Tool)
		return false
	case step.Info != nil:
		return false
	default:
		r.enc.delta(out, step.Delta)
		return false
	}
	out.done()
	return true
}

// unknownModel stands where a stream fails before anybody knows who would have answered.
const unknownModel = "unknown"

// openAIStream encodes chunks as OpenAI clients read them.
type openAIStream struct {
	id, model    string
	created      int64
	includeUsage bool
	ownTools     bool // calls are not the client's to make
}

func (e *openAIStream) begin(out *sse, info app.ChatInfo) {
	e.id, e.model, e.created = completionID(info), cmp.Or(info.Choice.Model, unknownModel), info.Created.Unix()
	e.ownTools = info.OwnTools
	role, empty := oapi.ChunkDeltaRole("assistant"), ""
	out.event(e.chunk(oapi.ChunkDelta{Role: &role, Content: &empty}, ""))
}

func (e *openAIStream) delta(out *sse, d domain.Delta) {
	delta := oapi.ChunkDelta{Content: nilIfEmpty(d.Content), Refusal: nilIfEmpty(d.Refusal)}
	for _, c := range d.ToolCalls {
		if e.ownTools {
			break
		}
		delta.ToolCalls = append(delta.ToolCalls, toolCallDeltaToAPI(c))
	}
	if delta.Content == nil && delta.Refusal == nil && delta.ToolCalls == nil {
		return
	}
	out.event(e.chunk(delta, ""))
}

// tool tells about a call that Gaia has made in a member of its own, beside a delta that says nothing: clients would make a call that they
// find where calls are.
func (e *openAIStream) tool(out *sse, s *app.ToolStep) {
	if s.Event == nil {
		return
	}
	chunk := e.chunk(oapi.ChunkDelta{}, "")
	event := toolEventToAPI(*s.Event)
	chunk.ToolEvent = &event
	out.event(chunk)
}

func (e *openAIStream) fallback(_ *sse, f *app.Fallback) { e.model = f.To.Model }

func (e *openAIStream) finish(out *sse, r *app.ChatResult) {
	out.event(e.chunk(oapi.ChunkDelta{}, oapi.ChunkFinishReason(finishReason(r.Finish))))
	if e.includeUsage {
		usage := usageToAPI(r.Usage)
		last := e.chunk(oapi.ChunkDelta{}, "")
		last.Choices, last.Usage = []oapi.ChunkChoice{}, &usage
		out.event(last)
	}
}

func (e *openAIStream) fail(out *sse, err error) {
	chunk := e.chunk(oapi.ChunkDelta{}, "error")
	body := openAIErrorFor(err)
	chunk.Error = &oapi.ChunkError{Message: body.Message, Type: body.Type, Code: body.Code, Param: body.Param}
	out.event(chunk)
}

func (e *openAIStream) chunk(delta oapi.ChunkDelta, finish oapi.ChunkFinishReason) oapi.ChatCompletionChunk {
	choice := oapi.ChunkChoice{Index: 0, Delta: delta}
	if finish != "" {
		choice.FinishReason = &finish
	}
	return oapi.ChatCompletionChunk{
		Id: e.id, Object: "chat.completion.chunk", Created: e.created, Model: e.model, Choices: []oapi.ChunkChoice{choice},
	}
}

// typedStream encodes the typed events of the v0.2 stream.
type typedStream struct {
	now       func() time.Time
	reasoning func(app.ChatInfo) string
	choice    domain.Choice
	length    int
}

func (e *typedStream) begin(out *sse, info app.ChatInfo) {
	e.choice = info.Choice
	reasoning := e.reasoning(info)
	out.event(oapi.StreamStartEvent{Type: "start", Timestamp: timestamp(info.Created)})
	out.event(oapi.StreamReadyEvent{
		Type: "ready", Timestamp: timestamp(e.now()), ParallelFetchMs: float64(info.FetchTime.Microseconds()) / 1000,
		CacheHits: oapi.StreamCacheHits{Persona: info.PersonaHit, Tools: info.OwnTools},
	})
	if info.Choice == (domain.Choice{}) {
		return
	}
	out.event(oapi.StreamModelSelectionEvent{
		Type: "model_selection", Model: info.Choice.Model, Provider: info.Choice.Provider, Reasoning: &reasoning,
	})
}

func (e *typedStream) delta(out *sse, d domain.Delta) {
	text := d.Content + d.Refusal
	if text == "" {
		return
	}
	e.length += utf8.RuneCountInString(text)
	out.event(oapi.StreamContentEvent{Type: "content", Content: text, Provider: e.choice.Provider, Model: e.choice.Model})
}

func (e *typedStream) tool(out *sse, s *app.ToolStep) {
	switch event := s.Event; {
	case event == nil:
	case event.Error != "":
		out.event(oapi.StreamToolErrorEvent{Type: "tool_error", Tool: toolName(event.Tool), Error: event.Error})
	default:
		out.event(oapi.StreamToolUseEvent{Type: "tool_use", Tool: toolName(event.Tool), Result: event.Result})
	}
}

// fallback tells about a provider that gave up, when the client has heard of it.
func (e *typedStream) fallback(out *sse, f *app.Fallback) {
	if f.Late {
		out.event(oapi.StreamErrorEvent{Type: "error", Error: clientMessage(f.Err), Provider: nilIfEmpty(f.From.Provider), FallbackAvailable: true})
		out.event(oapi.StreamFallbackAttemptEvent{Type: "fallback_attempt", Message: oapi.AttemptingFallbackToAlternativeProvider})
	}
	e.choice = f.To
}

func (e *typedStream) finish(out *sse, r *app.ChatResult) {
	ms := int(r.Duration.Milliseconds())
	out.event(oapi.StreamMetadataEvent{Type: "metadata", ResponseTimeMs: &ms, FallbackUsed: r.FallbackUsed, TotalTokens: r.Usage.Total()})
	e.complete(out, e.length)
}

func (e *typedStream) fail(out *sse, err error) {
	out.event(oapi.StreamErrorEvent{Type: "error", Error: clientMessage(err), Provider: nilIfEmpty(e.choice.Provider)})
	e.complete(out, 0)
}

func (e *typedStream) complete(out *sse, length int) {
	out.event(oapi.StreamCompleteEvent{Type: "complete", Timestamp: timestamp(e.now()), ResponseLength: length})
}
