package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

func chatRequestFromAPI(b oapi.ChatRequest) (app.ChatRequest, error) {
	conversation, err := conversationIDFromAPI(b.ConversationId)
	return app.ChatRequest{
		Message: &b.Message, ConversationID: conversation, PersonaID: deref(b.PersonaId), Fallback: b.EnableFallback == nil || *b.EnableFallback,
		Model: modelRequestFromAPI(b.Provider, b.Model, b.AutoSelectModel, b.Priority, b.ContextType, b.RequiredCapabilities, b.MaxResponseTimeMs, b.Activity),
	}, err
}

// modelRequestFromAPI reads what both forms of a chat say about the model.
func modelRequestFromAPI(provider *oapi.ChatProvider, model *string, auto *bool, priority *oapi.ChatPriority, context *oapi.ChatContextType,
	capabilities *oapi.RequiredCapabilities, maxMS *int, activity *string) domain.ModelRequest {
	return domain.ModelRequest{
		Provider: string(deref(provider)), Model: deref(model), AutoSelect: isTrue(auto), Priority: string(deref(priority)),
		ContextType: string(deref(context)), RequiredCapabilities: deref(capabilities),
		MaxResponseTime: time.Duration(deref(maxMS)) * time.Millisecond, Activity: deref(activity),
	}
}

// repeatable prepares a request that carries an Idempotency-Key, and says after which event its stream goes on.
func repeatable(ctx context.Context, req *app.ChatRequest, body any, key *oapi.IdempotencyKey, last *oapi.LastEventID) (after int, err error) {
	req.HTTPRequestID = requestIDFrom(ctx)
	if rec := recorderFrom(ctx); rec != nil {
		req.Timings.Authentication, req.Timings.Validation = rec.authentication, rec.validation
	}
	if key == nil {
		return 0, nil
	}
	data, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	pattern := ""
	if route := chi.RouteContext(ctx); route != nil {
		pattern = route.RoutePattern()
	}
	if rec := recorderFrom(ctx); rec != nil && rec.ui {
		pattern += " ui"
	}
	sum := sha256.Sum256(append([]byte(pattern+"\n"), data...))
	req.Repeat = &app.Repeat{Key: *key, Fingerprint: hex.EncodeToString(sum[:])}
	after, err = lastEventFromAPI(last)
	req.Repeat.After = after
	return after, err
}

func completionRequestFromAPI(b *oapi.ChatCompletionRequest) (app.ChatRequest, error) {
	conversation, err := conversationIDFromAPI(b.ConversationId)
	if err != nil {
		return app.ChatRequest{}, err
	}
	req := app.ChatRequest{
		Message: b.Message, ConversationID: conversation, PersonaID: deref(b.PersonaId),
		Model: modelRequestFromAPI(b.Provider, b.Model, b.AutoSelectModel, b.Priority, b.ContextType, b.RequiredCapabilities, b.MaxResponseTimeMs, b.Activity),
		// A client of the OpenAI form that names a model wants that one, unless it says otherwise.
		Fallback: b.EnableFallback == nil && b.Message != nil || isTrue(b.EnableFallback),
		Options: domain.Prompt{
			Temperature: b.Temperature, TopP: b.TopP, MaxTokens: b.MaxCompletionTokens, Seed: b.Seed,
			PresencePenalty: b.PresencePenalty, FrequencyPenalty: b.FrequencyPenalty, User: deref(b.User),
			ParallelToolCalls: b.ParallelToolCalls, ResponseFormat: responseFormatFromAPI(b.ResponseFormat),
		},
	}
	if req.Options.MaxTokens == nil {
		req.Options.MaxTokens = b.MaxTokens
	}
	for i, m := range b.Messages {
		message, err := messageFromAPI(m)
		if err != nil {
			return app.ChatRequest{}, fmt.Errorf("message %d: %w", i, err)
		}
		req.Messages = append(req.Messages, message)
	}
	for _, t := range b.Tools {
		req.Options.Tools = append(req.Options.Tools, domain.Tool{
			Name: t.Function.Name, Description: deref(t.Function.Description), Parameters: attributes(t.Function.Parameters), Strict: t.Function.Strict,
		})
	}
	if req.Options.Stop, err = stopFromAPI(b.Stop); err != nil {
		return app.ChatRequest{}, err
	}
	req.Options.ToolChoice, err = toolChoiceFromAPI(b.ToolChoice)
	return req, err
}

func messageFromAPI(m oapi.ChatMessage) (domain.PromptMessage, error) {
	out := domain.PromptMessage{Role: domain.Role(m.Role), Name: deref(m.Name), ToolCallID: deref(m.ToolCallId)}
	for _, c := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, domain.ToolCall{ID: c.Id, Name: c.Function.Name, Arguments: c.Function.Arguments})
	}
	if m.Content == nil {
		return out, nil
	}
	if text, err := m.Content.AsChatMessageText(); err == nil {
		out.Content = text
		return out, nil
	}
	parts, err := m.Content.AsChatMessageParts()
	if err != nil {
		return out, fmt.Errorf("content: %w", err)
	}
	for i, p := range parts {
		part, err := partFromAPI(p)
		if err != nil {
			return out, fmt.Errorf("content part %d: %w", i, err)
		}
		out.Parts = append(out.Parts, part)
	}
	return out, nil
}

func partFromAPI(p oapi.ChatContentPart) (domain.ContentPart, error) {
	v, err := p.ValueByDiscriminator()
	if err != nil {
		return domain.ContentPart{}, err
	}
	switch v := v.(type) {
	case oapi.ChatTextPart:
		return domain.ContentPart{Text: v.Text}, nil
	case oapi.ChatRefusalPart:
		return domain.ContentPart{Text: v.Refusal}, nil
	case oapi.ChatImagePart:
		return domain.ContentPart{ImageURL: v.ImageUrl.Url, ImageDetail: string(deref(v.ImageUrl.Detail))}, nil
	default:
		return domain.ContentPart{}, fmt.Errorf("part of type %T", v)
	}
}

func stopFromAPI(s *oapi.ChatStop) ([]string, error) {
	if s == nil {
		return nil, nil
	}
	if one, err := s.AsStopSequence(); err == nil {
		return []string{one}, nil
	}
	many, err := s.AsStopSequences()
	if err != nil {
		return nil, fmt.Errorf("stop: %w", err)
	}
	return many, nil
}

func toolChoiceFromAPI(c *oapi.ToolChoice) (domain.ToolChoice, error) {
	if c == nil {
		return domain.ToolChoice{}, nil
	}
	if mode, err := c.AsToolChoiceMode(); err == nil {
		return domain.ToolChoice{Mode: string(mode)}, nil
	}
	f, err := c.AsToolChoiceFunction()
	if err != nil {
		return domain.ToolChoice{}, fmt.Errorf("tool_choice: %w", err)
	}
	return domain.ToolChoice{Name: f.Function.Name}, nil
}

func responseFormatFromAPI(f *oapi.ResponseFormat) *domain.ResponseFormat {
	if f == nil {
		return nil
	}
	out := &domain.ResponseFormat{Type: string(f.Type)}
	if s := f.JsonSchema; s != nil {
		out.Schema = map[string]any{"name": s.Name}
		if s.Description != nil {
			out.Schema["description"] = *s.Description
		}
		if s.Schema != nil {
			out.Schema["schema"] = map[string]any(*s.Schema)
		}
		if s.Strict != nil {
			out.Schema["strict"] = *s.Strict
		}
	}
	return out
}

// conversationIDFromAPI takes any spelling of a UUID and gives the canonical one.
func conversationIDFromAPI(id *string) (string, error) {
	if id == nil || *id == "" {
		return "", nil
	}
	canonical, ok := domain.ParseID(*id)
	if !ok {
		return "", domain.InvalidInput(domain.Fault{
			Type: "uuid_parsing", Loc: []any{"body", "conversation_id"}, Msg: "Input should be a valid UUID", Input: *id,
		})
	}
	return canonical, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
