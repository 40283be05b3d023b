package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strconv"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// V02Chat answers one message, in one piece or as OpenAI chunks.
func (s *server) V02Chat(ctx context.Context, r oapi.V02ChatRequestObject) (oapi.V02ChatResponseObject, error) {
	req, after, err := s.chatRequest(ctx, r.Body, r.Params.IdempotencyKey, r.Params.LastEventID)
	if err != nil {
		return nil, err
	}
	if enc := chatEncoder(ctx, r.Body.Stream, false); enc != nil {
		return s.streamReply(ctx, req, after, enc, http.Header{"X-Api-Version": {"0.2"}})
	}
	info, result, err := s.chat.Complete(ctx, principalFrom(ctx), req)
	if err != nil {
		return nil, err
	}
	tellTimings(ctx, result)
	reasoning := explicitReasoning(info)
	return oapi.V02Chat200JSONResponse{
		Response: result.Content + result.Refusal, Provider: info.Choice.Provider, Model: info.Choice.Model, Reasoning: &reasoning,
		Usage:          oapi.TokenUsage{InputTokens: result.Usage.Input, OutputTokens: result.Usage.Output, TotalTokens: result.Usage.Total()},
		ResponseTimeMs: int(result.Duration.Milliseconds()), FallbackUsed: result.FallbackUsed, ToolEvents: toolEventsToAPI(result.ToolEvents),
	}, nil
}

// V02StreamChat answers one message as typed events.
func (s *server) V02StreamChat(ctx context.Context, r oapi.V02StreamChatRequestObject) (oapi.V02StreamChatResponseObject, error) {
	req, after, err := s.chatRequest(ctx, r.Body, r.Params.IdempotencyKey, r.Params.LastEventID)
	if err != nil {
		return nil, err
	}
	enc := &typedStream{now: s.now, reasoning: func(info app.ChatInfo) string { return streamReasoning(r.Body.ForceProvider, info) }}
	return s.streamReply(ctx, req, after, enc, nil)
}

// V1Chat answers a message or a list of messages.
func (s *server) V1Chat(ctx context.Context, r oapi.V1ChatRequestObject) (oapi.V1ChatResponseObject, error) {
	completion, reply, err := s.completion(ctx, r.Body, r.Params.IdempotencyKey, r.Params.LastEventID)
	switch {
	case err != nil:
		return nil, err
	case reply != nil:
		return *reply, nil
	default:
		return oapi.V1Chat200JSONResponse(*completion), nil
	}
}

// V1ChatCompletions is V1Chat under the name that OpenAI clients call.
func (s *server) V1ChatCompletions(ctx context.Context, r oapi.V1ChatCompletionsRequestObject) (oapi.V1ChatCompletionsResponseObject, error) {
	completion, reply, err := s.completion(ctx, r.Body, r.Params.IdempotencyKey, r.Params.LastEventID)
	switch {
	case err != nil:
		return nil, err
	case reply != nil:
		return *reply, nil
	default:
		return oapi.V1ChatCompletions200JSONResponse(*completion), nil
	}
}

// V02GetChatStatus tells how long the caller's conversation is.
func (s *server) V02GetChatStatus(ctx context.Context, _ oapi.V02GetChatStatusRequestObject) (oapi.V02GetChatStatusResponseObject, error) {
	n, err := s.chat.Status(ctx, principalFrom(ctx))
	if err != nil {
		return nil, err
	}
	return oapi.V02GetChatStatus200JSONResponse{MessageCount: n, HasHistory: n > 0, ApiVersion: "0.2"}, nil
}

// V1GetChatStatus tells how long the caller's conversation is.
func (s *server) V1GetChatStatus(ctx context.Context, _ oapi.V1GetChatStatusRequestObject) (oapi.V1GetChatStatusResponseObject, error) {
	n, err := s.chat.Status(ctx, principalFrom(ctx))
	if err != nil {
		return nil, err
	}
	return oapi.V1GetChatStatus200JSONResponse{MessageCount: n, HasHistory: n > 0}, nil
}

// V02ClearChatHistory empties the caller's conversation.
func (s *server) V02ClearChatHistory(ctx context.Context, _ oapi.V02ClearChatHistoryRequestObject) (oapi.V02ClearChatHistoryResponseObject, error) {
	if err := s.chat.Clear(ctx, principalFrom(ctx)); err != nil {
		return nil, err
	}
	return oapi.V02ClearChatHistory200JSONResponse{Status: "success", Message: "Chat history cleared", ApiVersion: "0.2"}, nil
}

// V02ClearStreamHistory empties the caller's conversation, which streams share.
func (s *server) V02ClearStreamHistory(ctx context.Context, _ oapi.V02ClearStreamHistoryRequestObject) (oapi.V02ClearStreamHistoryResponseObject, error) {
	if err := s.chat.Clear(ctx, principalFrom(ctx)); err != nil {
		return nil, err
	}
	return oapi.V02ClearStreamHistory200JSONResponse{Status: "success", Message: oapi.StreamingChatHistoryCleared, Timestamp: timestamp(s.now())}, nil
}

// V1ClearChatHistory empties the caller's conversation.
func (s *server) V1ClearChatHistory(ctx context.Context, _ oapi.V1ClearChatHistoryRequestObject) (oapi.V1ClearChatHistoryResponseObject, error) {
	if err := s.chat.Clear(ctx, principalFrom(ctx)); err != nil {
		return nil, err
	}
	return oapi.V1ClearChatHistory200JSONResponse{Status: "success"}, nil
}

// V02ReloadPrompt makes the caller's next chat read its persona anew.
func (s *server) V02ReloadPrompt(ctx context.Context, _ oapi.V02ReloadPromptRequestObject) (oapi.V02ReloadPromptResponseObject, error) {
	if err := s.chat.ReloadPrompt(ctx, principalFrom(ctx)); err != nil {
		return nil, err
	}
	return oapi.V02ReloadPrompt200JSONResponse{Status: "success", Message: "System prompt reloaded successfully", ApiVersion: "0.2"}, nil
}

// V1ReloadPrompt makes the caller's next chat read its persona anew.
func (s *server) V1ReloadPrompt(ctx context.Context, _ oapi.V1ReloadPromptRequestObject) (oapi.V1ReloadPromptResponseObject, error) {
	if err := s.chat.ReloadPrompt(ctx, principalFrom(ctx)); err != nil {
		return nil, err
	}
	return oapi.V1ReloadPrompt200JSONResponse{Status: "success", Message: "System prompt reloaded successfully"}, nil
}

// completion answers both v1 routes: either of the first two results is set.
func (s *server) completion(ctx context.Context, body *oapi.ChatCompletionRequest, key *oapi.IdempotencyKey, last *oapi.LastEventID) (
	*oapi.ChatCompletion, *streamReply, error) {
	req, err := completionRequestFromAPI(body)
	if err != nil {
		return nil, nil, err
	}
	after, err := repeatable(ctx, &req, body, key, last)
	if err != nil {
		return nil, nil, err
	}
	if enc := chatEncoder(ctx, body.Stream, body.StreamOptions != nil && isTrue(body.StreamOptions.IncludeUsage)); enc != nil {
		reply, err := s.streamReply(ctx, req, after, enc, nil)
		return nil, &reply, err
	}
	info, result, err := s.chat.Complete(ctx, principalFrom(ctx), req)
	if err != nil {
		return nil, nil, err
	}
	tellTimings(ctx, result)
	completion := completionToAPI(info, result, requestIDFrom(ctx))
	return &completion, nil, nil
}

// tellTimings says in a header, which browsers show, how long the store took to make the answer durable.
func tellTimings(ctx context.Context, r app.ChatResult) {
	if rec := recorderFrom(ctx); rec != nil {
		rec.Header().Set("Server-Timing", "commit;dur="+strconv.FormatFloat(float64(r.CommitTime.Nanoseconds())/1e6, 'f', 3, 64))
	}
}

// chatRequest reads the body of both v0.2 routes.
func (s *server) chatRequest(ctx context.Context, body *oapi.ChatRequest, key *oapi.IdempotencyKey, last *oapi.LastEventID) (app.ChatRequest, int, error) {
	req, err := chatRequestFromAPI(*body)
	if err != nil {
		return app.ChatRequest{}, 0, err
	}
	after, err := repeatable(ctx, &req, body, key, last)
	return req, after, err
}

// chatEncoder is the protocol that a request wants its answer in, nil for the answer in one piece.
func chatEncoder(ctx context.Context, stream *bool, includeUsage bool) encoder {
	switch rec := recorderFrom(ctx); {
	case rec != nil && rec.ui:
		return &uiStream{}
	case isTrue(stream):
		return &openAIStream{includeUsage: includeUsage}
	default:
		return nil
	}
}

// streamReply begins an answer that goes out as events.
func (s *server) streamReply(ctx context.Context, req app.ChatRequest, after int, enc encoder, header http.Header) (streamReply, error) {
	if _, ui := enc.(*uiStream); ui {
		if header == nil {
			header = http.Header{}
		}
		header.Set(uiStreamHeader, "v1")
	}
	stream, err := s.chat.Stream(ctx, principalFrom(ctx), req)
	if err != nil {
		return streamReply{}, err
	}
	return streamReply{
		ctx: ctx, stream: stream, ping: s.pingInterval, log: s.log, enc: enc, header: header, ids: req.Repeat != nil, after: after,
	}, nil
}

func explicitReasoning(info app.ChatInfo) string {
	if info.Selection.Selected {
		return info.Selection.Reasoning
	}
	return "Explicit model selection: " + info.Choice.Model
}

// streamReasoning is what the typed stream says about the choice of a model. A provider is forced unless the client says otherwise.
func streamReasoning(force *bool, info app.ChatInfo) string {
	if info.Selection.Selected {
		return info.Selection.Reasoning
	}
	if force == nil || *force {
		return "Force-selected: " + info.Choice.Model + " (intelligence disabled)"
	}
	return "Default model: " + info.Choice.Model + " (single model mode)"
}

func completionID(info app.ChatInfo) string { return "chatcmpl-" + info.MessageID }

func completionToAPI(info app.ChatInfo, r app.ChatResult, requestID string) oapi.ChatCompletion {
	reasoning := explicitReasoning(info)
	message := oapi.ChatCompletionMessage{Role: "assistant", Content: &r.Content, Refusal: nilIfEmpty(r.Refusal)}
	for _, c := range r.ToolCalls {
		message.ToolCalls = append(message.ToolCalls, oapi.ToolCall{
			Id: c.ID, Type: "function", Function: oapi.ToolCallFunction{Name: c.Name, Arguments: c.Arguments},
		})
	}
	if r.Content == "" && len(message.ToolCalls) > 0 {
		message.Content = nil
	}
	return oapi.ChatCompletion{
		Id: completionID(info), Object: "chat.completion", Created: info.Created.Unix(), Model: info.Choice.Model, Provider: info.Choice.Provider,
		Response: r.Content + r.Refusal, Reasoning: &reasoning, ResponseTimeMs: int(r.Duration.Milliseconds()), Usage: usageToAPI(r.Usage),
		FallbackUsed: r.FallbackUsed,
		Choices:      []oapi.ChatChoice{{Message: message, FinishReason: oapi.ChatFinishReason(finishReason(r.Finish))}},
		UnderscoreMetadata: oapi.ChatCompletionMetadata{
			ConversationId: nilIfEmpty(r.ConversationID), RequestId: requestID, ToolEvents: toolEventsToAPI(r.ToolEvents),
		},
	}
}

func toolEventsToAPI(events []domain.ToolEvent) *oapi.ToolEvents {
	if len(events) == 0 {
		return nil
	}
	list := make(oapi.ToolEvents, 0, len(events))
	for _, e := range events {
		list = append(list, toolEventToAPI(e))
	}
	return &list
}

func toolEventToAPI(e domain.ToolEvent) oapi.ToolEvent {
	if e.Error != "" {
		return oapi.ToolEvent{Type: oapi.ToolEventTypeToolError, Tool: toolName(e.Tool), Error: &e.Error}
	}
	return oapi.ToolEvent{Type: oapi.ToolEventTypeToolUse, Tool: toolName(e.Tool), Result: &e.Result}
}

// toolName is what a model calls a tool; now and then nothing.
func toolName(name string) string { return cmp.Or(name, "unknown") }

func usageToAPI(u domain.Usage) oapi.ChatUsage {
	return oapi.ChatUsage{
		InputTokens: u.Input, OutputTokens: u.Output, TotalTokens: u.Total(), PromptTokens: u.Input, CompletionTokens: u.Output,
		PromptTokensDetails:     &oapi.PromptTokensDetails{CachedTokens: u.CachedInput},
		CompletionTokensDetails: &oapi.CompletionTokensDetails{ReasoningTokens: u.Reasoning},
	}
}

func toolCallDeltaToAPI(c domain.ToolCallDelta) oapi.ToolCallDelta {
	d := oapi.ToolCallDelta{Index: c.Index, Id: nilIfEmpty(c.ID), Function: &oapi.ToolCallDeltaFunction{Name: nilIfEmpty(c.Name), Arguments: &c.Arguments}}
	if c.ID != "" {
		function := oapi.ToolCallDeltaType("function")
		d.Type = &function
	}
	return d
}

// finishReason of an answer; a provider that gave none just stopped.
func finishReason(f domain.FinishReason) domain.FinishReason {
	if f == "" {
		return domain.FinishStop
	}
	return f
}

func isTrue(b *bool) bool { return b != nil && *b }
