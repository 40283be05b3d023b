package app

import (
	"context"
	"errors"
	"io"
	"time"

	"gaia/domain"
)

// ChatStep is one step of an answer. At the end comes either Result or Err.
type ChatStep struct {
	Info     *ChatInfo // how the question is answered, where Stream could not tell yet
	Delta    domain.Delta
	Tool     *ToolStep // tools of Gaia's own are called
	Fallback *Fallback // another provider takes over
	Result   *ChatResult
	Err      error
}

// last reports whether no step comes after this one.
func (s ChatStep) last() bool { return s.Result != nil || s.Err != nil }

// Fallback tells that a provider failed before anything of its answer was sent, and who answers instead.
type Fallback struct {
	From, To domain.Choice
	Err      error
	Late     bool // clients have heard of From by then
}

// turn is one question on its way to an answer. What it leaves behind is stored exactly once, in one transaction: with the answer when it is
// complete, or with a part of it when the client left. A turn that failed leaves no messages behind, but what it used.
type turn struct {
	chat         *Chat
	who          domain.Principal
	req          ChatRequest
	info         ChatInfo
	personaID    *string
	system       string // the persona's prompt
	history      []domain.Message
	fresh        []domain.PromptMessage
	question     string
	started      time.Time
	timings      domain.Timings
	whole        bool // nothing reaches the client before the answer is complete
	sent         bool // a part of the answer, or of its last round, has reached the client, or may have
	route        route
	attempt      *attempt // nil between two attempts
	records      []domain.UsageRecord
	reservation  string
	reservedAt   time.Time
	more         []string     // reservations for repeated attempts and further rounds
	reserved     domain.Money // by all of them
	settled      bool         // the ledger has what they stood for
	fallbackUsed bool
	kept         *keeper // of a request with an Idempotency-Key
	active       *ActiveRequest
	tools        *toolLoop // nil: none of Gaia's own are offered
}

// next returns the next step. A step with Result or Err is the last.
func (t *turn) next(ctx context.Context) ChatStep {
	for {
		if t.tools != nil && t.tools.round != nil {
			if step, ok := t.toolStep(ctx); ok {
				return step
			}
			continue
		}
		if t.attempt == nil {
			if err := t.reserveAgain(ctx); err != nil { // no fault of the provider: nobody else is asked
				return ChatStep{Err: t.fail(ctx, err)}
			}
		}
		delta, err := t.receive(ctx)
		switch {
		case err == nil:
			t.sent = !t.whole
			t.kept.delta(delta)
			return ChatStep{Delta: delta}
		case err == io.EOF: //nolint:errorlint // not errors.Is: an error that a lost connection caused may wrap it, and is no end
			if !t.wantsTools() {
				return t.finish(ctx)
			}
			if err := t.beginRound(ctx); err != nil {
				return ChatStep{Err: t.fail(ctx, err)}
			}
			continue
		}
		again, fallback := t.again(ctx, err)
		switch {
		case !again:
			return ChatStep{Err: t.fail(ctx, err)}
		case fallback != nil:
			t.kept.fallback(fallback)
			return ChatStep{Fallback: fallback}
		}
	}
}

// finish ends the answer.
func (t *turn) finish(ctx context.Context) ChatStep {
	answer := t.attempt.answer.Answer()
	usage := t.endAttempt(ctx, nil)
	if t.tools != nil {
		answer, usage = t.tools.sum(answer, usage)
	}
	return t.deliver(ctx, answer, usage)
}

// deliver saves the complete answer before anyone is told that it is complete.
func (t *turn) deliver(ctx context.Context, answer domain.Answer, usage domain.Usage) ChatStep {
	result, err := t.commit(ctx, answer, usage)
	switch {
	case err == nil:
		return ChatStep{Result: &result}
	case domain.KindOf(err) == domain.Unavailable: // the store is away, and so is its outbox
		t.publish(ctx, domain.SubjectChatFailed, "failed", t.modelDetails())
		return ChatStep{Err: err}
	default: // another run has the key, or the conversation is not the caller's: this answer is none, but was paid for
		return ChatStep{Err: t.giveUp(ctx, err)}
	}
}

// fail ends the turn. When the client left, what was generated until then is kept; any other failure leaves no messages behind. A deadline
// is such a failure: nobody left, the provider took too long.
func (t *turn) fail(ctx context.Context, cause error) error {
	var answer domain.Answer
	var usage domain.Usage
	if t.attempt != nil {
		answer = t.attempt.answer.Answer()
		usage = t.endAttempt(ctx, cause) // before saving, which may take a while: nobody wants more of this answer
	}
	if t.tools != nil {
		t.tools.stop()
		answer, usage = t.tools.sum(answer, usage)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		return t.giveUp(ctx, cause)
	}
	cause = context.Cause(ctx)
	stopping := errors.Is(cause, domain.ErrStopping)
	delivered := !t.whole || t.kept == nil && !stopping // else nobody has seen any of it, and the same request may begin anew
	if !delivered || answer.Content == "" && answer.Refusal == "" {
		return t.giveUp(ctx, cause)
	}
	if stopping {
		t.kept.release() // else all who ask again would get no more than this part
	}
	t.kept.failure(cause)
	_, err := t.commit(ctx, answer, usage)
	switch {
	case err == nil:
		return cause
	case domain.KindOf(err) == domain.Unavailable:
		return errors.Join(cause, err)
	default:
		return t.giveUp(ctx, cause)
	}
}

// giveUp saves what a failed turn used, and that it failed.
func (t *turn) giveUp(ctx context.Context, cause error) error {
	leaving := t.leaves(t.chat.Now())
	leaving.Unstored = true
	leaving.Events = append(leaving.Events, t.event(domain.SubjectChatFailed, "failed", t.modelDetails()))
	if _, err := t.save(ctx, leaving); err != nil {
		return errors.Join(cause, err) // the first of them is what the client hears
	}
	return cause
}

// commit saves a whole answer, or what there is of it.
func (t *turn) commit(ctx context.Context, answer domain.Answer, usage domain.Usage) (ChatResult, error) {
	now := t.chat.Now()
	result := ChatResult{Answer: answer, Usage: usage, Duration: now.Sub(t.started), FallbackUsed: t.fallbackUsed}
	for _, r := range t.records {
		result.Cost = result.Cost.Plus(r.Cost)
	}
	if t.tools != nil {
		result.ToolEvents = t.tools.events
	}
	leaving := t.leaves(now)
	leaving.Unstored = !t.req.stored()
	if !leaving.Unstored {
		leaving.Begun = t.begun(leaving, now)
	}
	leaving.Title = domain.TitleFrom(t.question)
	leaving.User = domain.Message{ID: t.chat.NewID(), Role: domain.RoleUser, Content: t.question, CreatedAt: now}
	leaving.Assistant = domain.Message{
		ID: t.info.MessageID, Role: domain.RoleAssistant, Content: validText(answer.Content + answer.Refusal), ToolCalls: validCalls(answer.ToolCalls),
		Model: t.info.Choice.Model, Provider: t.info.Choice.Provider, Tokens: usage.Total(), UsageSource: usage.Source, CreatedAt: now,
	}
	if t.personaID != nil {
		leaving.Assistant.PersonaID = *t.personaID
	}
	details := t.modelDetails()
	details["input_tokens"], details["output_tokens"] = usage.Input, usage.Output
	details["response_time_ms"] = result.Duration.Milliseconds()
	leaving.Events = append(leaving.Events, t.event(domain.SubjectChatComplete, "completed", details))
	var err error
	if leaving.Kept, err = t.keep(ctx, result, leaving.NewID); err != nil {
		return ChatResult{}, err
	}
	began := t.chat.Now()
	if n := len(t.records); n > 0 {
		t.records[n-1].Timings.Processing = began.Sub(now)
	}
	result.ConversationID, err = t.save(ctx, leaving)
	result.CommitTime = t.chat.Now().Sub(began)
	if err == nil {
		t.kept.markStored()
	}
	return result, err
}

// begun tells of the conversation that the turn makes, should it have to be made.
func (t *turn) begun(leaving domain.Turn, now time.Time) *domain.Event {
	id := leaving.NewID
	if leaving.ConversationID != "" {
		id, _ = domain.ParseID(leaving.ConversationID) // what is none is refused by the store
	}
	e := conversationEvent(t.chat.NewID(), domain.SubjectConversationCreated, leaving.Owner, id, now)
	return &e
}

// keep is what a repeated request will get. It names the conversation although only the store decides which one that is: the default one, or
// one that the turn makes.
func (t *turn) keep(ctx context.Context, result ChatResult, newID string) (*domain.KeptAnswer, error) {
	if t.kept == nil || t.kept.released {
		return nil, nil
	}
	if t.req.stored() {
		result.ConversationID = t.req.ConversationID
	}
	if t.req.stored() && result.ConversationID == "" {
		id, err := t.chat.Conversations.Default(context.WithoutCancel(ctx), t.who.OwnerID())
		if err != nil {
			return nil, err
		}
		if result.ConversationID = id; id == "" {
			result.ConversationID = newID
		}
	}
	return t.kept.answer(t.info, result)
}

// leaves is what every turn leaves behind, whatever its outcome.
func (t *turn) leaves(now time.Time) domain.Turn {
	leaving := domain.Turn{
		Owner: t.who.OwnerID(), At: now, ConversationID: t.req.ConversationID, NewID: t.chat.NewID(), Usage: t.records,
		ReservationID: t.reservation, ReservedAt: t.reservedAt,
	}
	for _, r := range t.records {
		leaving.Events = append(leaving.Events, domain.Event{ID: t.chat.NewID(), Subject: domain.SubjectUsageRecorded, Payload: r.Event()})
	}
	return leaving
}

// save stores what the turn leaves behind. A client that leaves now must not lose a paid answer.
func (t *turn) save(ctx context.Context, leaving domain.Turn) (string, error) {
	if t.reservation != "" {
		defer t.chat.holds.settle(t.reservations()...)() // a renewal that comes after the end would set it aside again
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.chat.Config.SaveTimeout)
	defer cancel()
	id, err := t.chat.Conversations.CommitTurn(ctx, leaving)
	if err == nil {
		t.settle(ctx)
	}
	return id, err
}

// settle ends the reservations besides the one that the turn has ended: what they stood for is in the ledger by now.
func (t *turn) settle(ctx context.Context) {
	t.settled = true
	for _, reservation := range t.more {
		if t.chat.Budgets.Release(ctx, reservation) != nil {
			t.chat.releaseLater(reservation)
		}
	}
}

// unreserve gives back what was set aside for a turn that could not be saved.
func (t *turn) unreserve() {
	if t.settled || t.reservation == "" {
		return
	}
	t.chat.holds.end(t.reservations()...)
	for _, reservation := range t.reservations() {
		t.chat.releaseLater(reservation)
	}
}

func (t *turn) modelDetails() map[string]any {
	return map[string]any{"provider": t.info.Choice.Provider, "model": t.info.Choice.Model}
}

func (t *turn) event(subject, status string, details map[string]any) domain.Event {
	return domain.Event{ID: t.chat.NewID(), Subject: subject, Payload: domain.ChatMessageEvent{
		MessageID: t.info.MessageID, UserID: t.who.OwnerID(), PersonaID: t.personaID, Status: status,
		Timestamp: t.chat.Now().UTC().Truncate(time.Microsecond), Details: details,
	}}
}

// publish tells others at once, without storing the event: it is for what nobody misses should it be lost.
func (t *turn) publish(ctx context.Context, subject, status string, details map[string]any) {
	e := t.event(subject, status, details)
	e.ID = ""
	t.chat.Events.Publish(context.WithoutCancel(ctx), e) // others must hear of it although the client left
}

func (t *turn) close() {
	t.active.End()
	t.unreserve()
	t.tools.close()
	if t.attempt != nil {
		t.attempt.close()
	}
}
