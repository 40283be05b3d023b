package app

import (
	"context"
	"errors"
	"io"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// ChatStep is one step of an answer: a delta, or at the end either the result or an error.
type ChatStep struct {
	Delta  domain.Delta
	Result *ChatResult
	Err    error
}

// turn is one question on its way to an answer. It is saved exactly once: when the answer is complete, or when the client leaves after
// a part of it. A turn that failed leaves nothing behind.
type turn struct {
	chat         *Chat
	who          domain.Principal
	info         ChatInfo
	personaID    *string
	stored       bool
	conversation string
	question     string
	prompt       domain.Prompt
	started      time.Time
	upstream     ports.CompletionStream
	answer       domain.Answer
}

// first asks the provider and returns the first step.
func (t *turn) first(ctx context.Context) ChatStep {
	t.publish(ctx, domain.SubjectChatStart, "started", nil)
	completer := t.chat.Completers[t.info.Choice.Provider]
	stream, err := completer.Open(ctx, t.prompt)
	if err != nil {
		return ChatStep{Err: t.fail(ctx, err)}
	}
	t.upstream = stream
	return t.next(ctx)
}

// next returns the next step. A step with Result or Err is the last.
func (t *turn) next(ctx context.Context) ChatStep {
	delta, err := t.upstream.Recv()
	switch {
	case err == nil:
		t.answer.Add(delta)
		return ChatStep{Delta: delta}
	case err == io.EOF: //nolint:errorlint // not errors.Is: an error that a lost connection caused may wrap it, and is no end
		return t.finish(ctx)
	default:
		return ChatStep{Err: t.fail(ctx, err)}
	}
}

// finish saves the complete answer before anyone is told that it is complete.
func (t *turn) finish(ctx context.Context) ChatStep {
	result, err := t.save(ctx)
	if err != nil {
		t.publishFailed(ctx)
		return ChatStep{Err: err}
	}
	t.publishComplete(ctx, result)
	return ChatStep{Result: &result}
}

// fail ends the turn. When the client left, what was generated until then is kept; any other failure leaves nothing behind. A deadline
// is such a failure: nobody left, the provider took too long.
func (t *turn) fail(ctx context.Context, cause error) error {
	t.close() // before saving, which may take a while: nobody wants more of this answer
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.publishFailed(ctx)
		return cause
	}
	if t.answer.Content != "" || t.answer.Refusal != "" {
		if result, err := t.save(ctx); err == nil {
			t.publishComplete(ctx, result)
			return context.Cause(ctx)
		}
	}
	t.publishFailed(ctx)
	return context.Cause(ctx)
}

func (t *turn) save(ctx context.Context) (ChatResult, error) {
	now := t.chat.Now()
	result := ChatResult{Answer: t.answer, Duration: now.Sub(t.started)}
	if t.answer.Usage != nil {
		result.Usage = *t.answer.Usage
	} else {
		result.Usage = domain.EstimateUsage(t.prompt.Messages, t.answer)
	}
	if !t.stored {
		return result, nil
	}
	// A client that leaves now must not lose a paid answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.chat.Config.SaveTimeout)
	defer cancel()
	id, err := t.chat.Conversations.CommitTurn(ctx, domain.Turn{
		Owner: t.who.OwnerID(), ConversationID: t.conversation, NewID: t.chat.NewID(), At: now,
		User: domain.Message{ID: t.chat.NewID(), Role: domain.RoleUser, Content: t.question, CreatedAt: now},
		Assistant: domain.Message{
			ID: t.info.MessageID, Role: domain.RoleAssistant, Content: validText(t.answer.Content + t.answer.Refusal),
			Model: t.info.Choice.Model, Provider: t.info.Choice.Provider, Tokens: result.Usage.Total(), CreatedAt: now,
		},
	})
	result.ConversationID = id
	return result, err
}

func (t *turn) publishComplete(ctx context.Context, r ChatResult) {
	t.publish(ctx, domain.SubjectChatComplete, "completed", map[string]any{
		"provider": t.info.Choice.Provider, "model": t.info.Choice.Model,
		"input_tokens": r.Usage.Input, "output_tokens": r.Usage.Output, "response_time_ms": r.Duration.Milliseconds(),
	})
}

func (t *turn) publishFailed(ctx context.Context) {
	t.publish(ctx, domain.SubjectChatFailed, "failed", map[string]any{"provider": t.info.Choice.Provider, "model": t.info.Choice.Model})
}

func (t *turn) publish(ctx context.Context, subject, status string, details map[string]any) {
	ctx = context.WithoutCancel(ctx) // others must hear of it although the client left
	t.chat.Events.Publish(ctx, domain.Event{Subject: subject, Payload: domain.ChatMessageEvent{
		MessageID: t.info.MessageID, UserID: t.who.OwnerID(), PersonaID: t.personaID, Status: status,
		Timestamp: t.chat.Now().UTC().Truncate(time.Microsecond), Details: details,
	}})
}

func (t *turn) close() {
	if t.upstream != nil {
		_ = t.upstream.Close() // nothing is left to read from it
	}
}
