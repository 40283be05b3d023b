package mcpserver

import (
	"context"
	"time"

	"gaia/domain"
)

// maxMessageText bounds what is shown of one message, in bytes, and maxMessages how many of them at once: a client's model would have to
// read it all.
const (
	maxMessageText = 16 << 10
	maxMessages    = 50
)

type conversationSummary struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Preview   string `json:"preview"`
	PersonaID string `json:"persona_id,omitempty"`
	Messages  int    `json:"message_count"`
	Default   bool   `json:"is_default"`
	UpdatedAt string `json:"updated_at"`
}

type conversationList struct {
	Conversations []conversationSummary `json:"conversations"`
	Total         int                   `json:"total"`
}

type conversationRef struct {
	ID     string `json:"conversation_id"`
	Limit  int    `json:"limit"`
	Offset int    `json:"offset"`
}

type messageDetails struct {
	Role      string `json:"role"`
	Content   string `json:"content"`
	Truncated bool   `json:"truncated,omitempty" jsonschema:"there is more of it"`
	Model     string `json:"model,omitempty"`
	CreatedAt string `json:"created_at"`
}

type messageList struct {
	Conversation string           `json:"conversation_id"`
	Messages     []messageDetails `json:"messages" jsonschema:"the newest first"`
	Total        int              `json:"total"`
}

func (s *Server) addConversationTools() {
	addTool(s, tool[page, conversationList]{
		name: "list_conversations", title: "List conversations", scope: "chat:read", input: pageSchema,
		description: "Lists the caller's conversations, the most recently used first.",
		do: func(ctx context.Context, c call, p page) (conversationList, error) {
			return s.conversations(ctx, c.who, p)
		},
	})
	addTool(s, tool[conversationRef, messageList]{
		name: "read_conversation", title: "Read a conversation", scope: "chat:read",
		description: "Shows what was said in one of the caller's conversations, the newest first. Long messages are cut.",
		input: `{"type": "object", "required": ["conversation_id"], "additionalProperties": false, "properties": {
			"conversation_id": {"type": "string", "minLength": 1, "maxLength": 64},
			"limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 20, "description": "How many messages to show at most."},
			"offset": {"type": "integer", "minimum": 0, "maximum": 1000000, "default": 0, "description": "How many newer ones to leave out."}}}`,
		do: func(ctx context.Context, c call, r conversationRef) (messageList, error) {
			return s.messages(ctx, c.who, r)
		},
	})
}

func (s *Server) conversations(ctx context.Context, who domain.Principal, p page) (conversationList, error) {
	all, total, err := s.Conversations.List(ctx, who, pageSize(p.Limit), max(p.Offset, 0))
	list := conversationList{Conversations: []conversationSummary{}, Total: total}
	for _, c := range all {
		list.Conversations = append(list.Conversations, conversationSummary{
			ID: c.ID, Title: c.Title, Preview: c.Preview, PersonaID: c.PersonaID, Messages: c.MessageCount, Default: c.Default,
			UpdatedAt: timestamp(c.UpdatedAt),
		})
	}
	return list, err
}

func (s *Server) messages(ctx context.Context, who domain.Principal, r conversationRef) (messageList, error) {
	id, ok := domain.ParseID(r.ID)
	if !ok {
		return messageList{}, domain.NewError(domain.NotFound, "Conversation not found: "+r.ID)
	}
	if r.Limit <= 0 {
		r.Limit = 20
	}
	all, total, err := s.Conversations.Messages(ctx, who, id, min(r.Limit, maxMessages), max(r.Offset, 0), true)
	list := messageList{Conversation: id, Messages: []messageDetails{}, Total: total}
	for _, m := range all {
		text, truncated := shorten(m.Content, maxMessageText)
		list.Messages = append(list.Messages, messageDetails{
			Role: string(m.Role), Content: text, Truncated: truncated, Model: m.Model, CreatedAt: timestamp(m.CreatedAt),
		})
	}
	return list, err
}

// shorten cuts a text to so many bytes, between characters.
func shorten(text string, most int) (string, bool) {
	if len(text) <= most {
		return text, false
	}
	end := most
	for end > 0 && text[end]&0xC0 == 0x80 {
		end--
	}
	return text[:end], true
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
