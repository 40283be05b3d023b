package httpapi

import (
	"context"
	"encoding/json"
	"strings"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// Pages of lists, when the client names no size. The contract bounds what it may name.
const (
	conversationsPage = 20
	messagesPage      = 50
)

// V1ListConversations lists the caller's conversations.
func (s *server) V1ListConversations(ctx context.Context, r oapi.V1ListConversationsRequestObject) (oapi.V1ListConversationsResponseObject, error) {
	list, total, err := s.conversations.List(
		ctx, principalFrom(ctx), valueOr(r.Params.Limit, conversationsPage), valueOr(r.Params.Offset, 0),
	)
	if err != nil {
		return nil, err
	}
	page := oapi.V1ListConversations200JSONResponse{Conversations: make([]oapi.Conversation, len(list)), Total: total}
	for i, c := range list {
		page.Conversations[i] = conversationToAPI(c)
	}
	return page, nil
}

// V1CreateConversation begins a conversation.
func (s *server) V1CreateConversation(ctx context.Context, r oapi.V1CreateConversationRequestObject) (oapi.V1CreateConversationResponseObject, error) {
	c, err := s.conversations.Create(ctx, principalFrom(ctx), app.ConversationDraft{
		Title: valueOr(r.Body.Title, ""), PersonaID: valueOr(r.Body.PersonaId, ""),
	})
	if err != nil {
		return nil, err
	}
	return oapi.V1CreateConversation200JSONResponse(conversationToAPI(c)), nil
}

// V1GetConversation shows a conversation without its messages.
func (s *server) V1GetConversation(ctx context.Context, r oapi.V1GetConversationRequestObject) (oapi.V1GetConversationResponseObject, error) {
	c, err := s.conversations.Get(ctx, principalFrom(ctx), r.ConversationId)
	if err != nil {
		return nil, err
	}
	return oapi.V1GetConversation200JSONResponse(conversationToAPI(c)), nil
}

// V1DeleteConversation removes a conversation with its messages.
func (s *server) V1DeleteConversation(ctx context.Context, r oapi.V1DeleteConversationRequestObject) (oapi.V1DeleteConversationResponseObject, error) {
	if err := s.conversations.Delete(ctx, principalFrom(ctx), r.ConversationId); err != nil {
		return nil, err
	}
	return oapi.V1DeleteConversation200JSONResponse{Id: strings.ToLower(r.ConversationId), Deleted: true}, nil
}

// V1ListConversationMessages lists what was said.
func (s *server) V1ListConversationMessages(ctx context.Context, r oapi.V1ListConversationMessagesRequestObject) (oapi.V1ListConversationMessagesResponseObject, error) {
	list, total, err := s.conversations.Messages(
		ctx, principalFrom(ctx), r.ConversationId, valueOr(r.Params.Limit, messagesPage), valueOr(r.Params.Offset, 0),
		valueOr(r.Params.Order, oapi.Asc) == oapi.Desc,
	)
	if err != nil {
		return nil, err
	}
	page := oapi.V1ListConversationMessages200JSONResponse{
		ConversationId: strings.ToLower(r.ConversationId), Messages: make([]oapi.ConversationMessage, len(list)), Total: total,
	}
	for i, m := range list {
		page.Messages[i] = messageToAPI(m)
	}
	return page, nil
}

func conversationToAPI(c domain.Conversation) oapi.Conversation {
	return oapi.Conversation{
		Id: c.ID, Title: c.Title, Preview: c.Preview, PersonaId: nilIfEmpty(c.PersonaID), MessageCount: c.MessageCount,
		IsDefault: c.Default, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
}

func messageToAPI(m domain.Message) oapi.ConversationMessage {
	message := oapi.ConversationMessage{
		Id: m.ID, Role: oapi.ConversationRole(m.Role), Content: m.Content, CreatedAt: m.CreatedAt,
		Model: nilIfEmpty(m.Model), Provider: nilIfEmpty(m.Provider), PersonaId: nilIfEmpty(m.PersonaID),
	}
	if m.Tokens > 0 {
		message.TokensUsed = &m.Tokens
	}
	if m.UsageSource != "" {
		source := oapi.ConversationUsageSource(m.UsageSource)
		message.UsageSource = &source
	}
	if len(m.ToolCalls) > 0 {
		calls := make([]oapi.ConversationToolCall, len(m.ToolCalls))
		for i, c := range m.ToolCalls {
			calls[i] = oapi.ConversationToolCall{Id: c.ID, Name: c.Name, Arguments: argumentsToAPI(c.Arguments)}
		}
		message.ToolCalls = calls
	}
	return message
}

// argumentsToAPI shows what a model sent, which need not be what it should be, as an object.
func argumentsToAPI(text string) oapi.ToolArguments {
	var arguments oapi.ToolArguments
	if err := json.Unmarshal([]byte(text), &arguments); err == nil && arguments != nil {
		return arguments
	}
	if text == "" || text == "null" {
		return oapi.ToolArguments{}
	}
	return oapi.ToolArguments{"arguments": text}
}

func valueOr[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}
