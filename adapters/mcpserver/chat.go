package mcpserver

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"gaia/app"
	"gaia/domain"
)

type chatQuestion struct {
	Message      string `json:"message"`
	Persona      string `json:"persona"`
	Model        string `json:"model"`
	Conversation string `json:"conversation_id"`
}

type chatAnswer struct {
	Answer       string    `json:"answer" jsonschema:"what the model said"`
	Conversation string    `json:"conversation_id,omitempty" jsonschema:"where question and answer are kept"`
	Model        string    `json:"model"`
	Provider     string    `json:"provider"`
	Fallback     bool      `json:"fallback_used" jsonschema:"whether another provider answered than the one that was chosen first"`
	Usage        chatUsage `json:"usage"`
}

type chatUsage struct {
	Input  int `json:"input_tokens"`
	Output int `json:"output_tokens"`
	Total  int `json:"total_tokens"`
}

func (s *Server) addChatTools() {
	addTool(s, tool[chatQuestion, chatAnswer]{
		name: "chat", title: "Chat", scope: "chat:write", changes: true, outside: true,
		description: "Asks a model of Gaia something, in the voice of a persona, and answers what it says. Question and answer are kept in a " +
			"conversation, which the next question goes on with.",
		input: `{"type": "object", "required": ["message"], "additionalProperties": false, "properties": {
			"message": {"type": "string", "minLength": 1, "maxLength": 100000, "description": "What to ask."},
			"persona": {"type": "string", "maxLength": 255, "description": "Id or name of who answers; without it the caller's current persona."},
			"model": {"type": "string", "maxLength": 200, "description": "A model, or provider/model; without it the default one."},
			"conversation_id": {"type": "string", "maxLength": 64, "description": "Id of the conversation to go on with; without it the caller's default one."}}}`,
		do: s.chat, text: func(a chatAnswer) string { return a.Answer },
	})
}

// chat answers in one piece, or lets the client hear how far the answer is.
func (s *Server) chat(ctx context.Context, c call, q chatQuestion) (chatAnswer, error) {
	persona, err := s.personaID(ctx, q.Persona)
	if err != nil {
		return chatAnswer{}, err
	}
	conversation, err := conversationID(q.Conversation)
	if err != nil {
		return chatAnswer{}, err
	}
	req := app.ChatRequest{
		Message: &q.Message, PersonaID: persona, ConversationID: conversation, Model: domain.ModelRequest{Model: q.Model}, Fallback: true,
		HTTPRequestID: domain.OriginFrom(ctx).RequestID,
	}
	if c.progress != nil {
		return s.chatWithProgress(ctx, c, req)
	}
	info, result, err := s.Chat.Complete(ctx, c.who, req)
	if err != nil {
		return chatAnswer{}, err
	}
	return answerOf(info.Choice, result), nil
}

// progressEvery is how often at most a client hears of an answer that is being written.
const progressEvery = 250 * time.Millisecond

func (s *Server) chatWithProgress(ctx context.Context, c call, req app.ChatRequest) (chatAnswer, error) {
	stream, err := s.Chat.Stream(ctx, c.who, req)
	if err != nil {
		return chatAnswer{}, err
	}
	defer stream.Close()
	choice, written, told := stream.Info.Choice, 0, time.Time{}
	for {
		var step app.ChatStep
		select {
		case step = <-stream.Steps():
		case <-ctx.Done():
			stream.Close()
			select {
			case step = <-stream.Steps(): // it may be the end: an answer that is stored is told
			default:
			}
			if step.Result == nil {
				return chatAnswer{}, ctx.Err() // and not the invitation to ask again: what was written until now is stored
			}
		}
		switch {
		case step.Err != nil:
			return chatAnswer{}, step.Err
		case step.Result != nil:
			return answerOf(choice, *step.Result), nil
		case step.Fallback != nil:
			choice = step.Fallback.To
		case step.Info != nil:
			choice = step.Info.Choice
		default:
			written += utf8.RuneCountInString(step.Delta.Content)
			if now := time.Now(); written > 0 && now.Sub(told) >= progressEvery {
				told = now
				c.progress(float64(written), 0, fmt.Sprintf("%d characters written", written), nil)
			}
		}
	}
}

func answerOf(choice domain.Choice, r app.ChatResult) chatAnswer {
	return chatAnswer{
		Answer: r.Content + r.Refusal, Conversation: r.ConversationID, Model: choice.Model, Provider: choice.Provider, Fallback: r.FallbackUsed,
		Usage: chatUsage{r.Usage.Input, r.Usage.Output, r.Usage.Total()},
	}
}

// conversationID takes any spelling of an id and gives the canonical one.
func conversationID(id string) (string, error) {
	if id == "" {
		return "", nil
	}
	canonical, ok := domain.ParseID(id)
	if !ok {
		return "", domain.NewError(domain.BadRequest, "conversation_id: not the id of a conversation")
	}
	return canonical, nil
}
