package app

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// How failed attempts are repeated.
const (
	retryDelay     = 200 * time.Millisecond // before the first repetition; doubled for each one after it
	maxRetryDelay  = 2 * time.Second
	maxRetryWait   = time.Second      // a provider that wants to be left alone for longer is not waited for
	slowAttempt    = 10 * time.Second // a provider that took so long to fail is not asked again
	fallbackOutput = 4096             // tokens set aside for an answer whose length nobody limits
)

// route is who is asked, in which order.
type route struct {
	choices []domain.Choice // the chosen one first, then those that may take over
	at      int
	retries int // of the current one
}

func (r *route) choice() domain.Choice { return r.choices[r.at] }

// attempt is one try at one provider.
type attempt struct {
	choice     domain.Choice
	started    time.Time
	accepted   time.Time // when the provider took the prompt; zero until then
	firstToken time.Time // zero until then
	upstream   ports.CompletionStream
	answer     domain.AnswerBuilder
	prompt     []domain.PromptMessage
}

func (a *attempt) close() {
	if a.upstream != nil {
		_ = a.upstream.Close() // nothing is left to read from it
	}
}

// receive returns the next piece of the answer, asking a provider first when none has been asked yet.
func (t *turn) receive(ctx context.Context) (domain.Delta, error) {
	if t.attempt == nil {
		if err := t.open(ctx); err != nil {
			return domain.Delta{}, err
		}
	}
	delta, err := t.attempt.upstream.Recv()
	if err == nil {
		if t.attempt.firstToken.IsZero() {
			t.attempt.firstToken = t.chat.Now()
			t.active.Status("answering")
		}
		if t.tools != nil {
			t.identify(&delta)
		}
		t.attempt.answer.Add(delta)
		if t.tools != nil {
			delta = t.tools.shown(delta, t.attempt)
		}
	}
	return delta, err
}

// open asks the provider whose turn it is.
func (t *turn) open(ctx context.Context) error {
	choice := t.route.choice()
	if err := t.chat.Measurements.Allow(choice); err != nil {
		return err
	}
	prompt := t.promptFor(choice)
	t.attempt = &attempt{choice: choice, started: t.chat.Now(), prompt: prompt.Messages}
	upstream, err := t.chat.Completers[choice.Provider].Open(ctx, prompt)
	if err != nil {
		return err
	}
	t.attempt.upstream, t.attempt.accepted = upstream, t.chat.Now()
	return nil
}

// promptFor is what a model gets: history as far as it fits the window of that model.
func (t *turn) promptFor(choice domain.Choice) domain.Prompt {
	prompt := t.req.Options
	prompt.Model = choice.Model
	if prompt.MaxTokens == nil && t.req.Message != nil {
		limit := defaultMaxTokens
		prompt.MaxTokens = &limit
	}
	if t.tools != nil {
		t.tools.offer(&prompt, t.chat.Selector.Catalogue.CallsTools(choice))
	}
	model, _ := t.chat.Selector.Catalogue.Model(choice.Model)
	prompt.Messages = domain.BuildPrompt(t.system, t.history, t.fresh, model.ContextWindow)
	return prompt
}

// endAttempt closes the attempt, measures it and makes its row of the ledger. err is nil when the answer is complete.
func (t *turn) endAttempt(ctx context.Context, err error) domain.Usage {
	a := t.attempt
	t.attempt = nil
	a.close()
	now := t.chat.Now()
	answer := a.answer.Answer()
	usage := usageOf(a.prompt, answer, err == nil)
	cost, _ := t.chat.Selector.Catalogue.Cost(a.choice, usage)
	record := domain.UsageRecord{
		RequestID: t.info.MessageID, Attempt: len(t.records) + 1, HTTPRequestID: t.req.HTTPRequestID, Owner: t.who.OwnerID(), At: now,
		Operation: domain.OperationCompletion, Provider: a.choice.Provider, Model: a.choice.Model, Usage: usage, Cost: cost,
		PriceVersion: t.chat.Selector.Catalogue.Version(), Streamed: !t.whole, Timings: t.timings, Outcome: domain.OutcomeCompleted,
	}
	record.Timings.Provider = now.Sub(a.started)
	if record.Streamed && !a.accepted.IsZero() {
		record.Timings.StreamSetup = a.accepted.Sub(a.started)
	}
	measured := domain.Attempt{
		Choice: a.choice, Started: a.started, Duration: now.Sub(a.started), OutputTokens: usage.Output, Tokens: usage.Total(), Cost: cost,
		OK: err == nil,
	}
	if !a.firstToken.IsZero() {
		measured.FirstToken = a.firstToken.Sub(a.started)
		record.Timings.FirstToken = measured.FirstToken
	}
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.Canceled):
		record.Outcome, measured.Canceled = domain.OutcomeCanceled, true
	default:
		record.Outcome, record.Failure = domain.OutcomeFailed, domain.FailureOf(err)
		measured.Failure, measured.Code, measured.RetryAfter = domain.KindOf(err), codeOf(err), retryAfterOf(err)
	}
	t.records = append(t.records, record)
	t.chat.Measurements.Record(measured)
	return usage
}

// usageOf is what the provider counted, or else an estimate of what passed through here.
func usageOf(prompt []domain.PromptMessage, answer domain.Answer, complete bool) domain.Usage {
	switch {
	case answer.Usage != nil:
		usage := *answer.Usage
		usage.Source = domain.UsageFromProvider
		return usage
	case complete:
		return domain.EstimateUsage(prompt, answer)
	case answer.Empty(): // a refusal: nothing was served
		return domain.Usage{Source: domain.UsagePartial}
	default:
		usage := domain.EstimateUsage(prompt, answer)
		usage.Source = domain.UsagePartial
		return usage
	}
}

// again decides after a failure whether somebody is asked once more: the same provider after a pause, or the next one. Only while nothing
// of the answer has reached the client.
func (t *turn) again(ctx context.Context, err error) (again bool, fallback *Fallback) {
	if t.sent || ctx.Err() != nil || !worthAnother(err) {
		return false, nil
	}
	asked := t.attempt != nil // else the circuit breaker refused
	var took time.Duration
	if asked {
		took = t.chat.Now().Sub(t.attempt.started)
		t.endAttempt(ctx, err)
		if !t.reserveMore(ctx, t.records[len(t.records)-1].Cost) {
			return false, nil
		}
	}
	next, more := t.nextChoice()
	last := !more
	if asked && t.route.retries < t.chat.Config.Retries && took < slowAttempt && worthWaiting(err, last) {
		if !pause(ctx, max(retryAfterOf(err), backoff(t.route.retries))) {
			return false, nil
		}
		t.route.retries++
		return true, nil
	}
	if last {
		return false, nil
	}
	from := t.route.choice()
	t.route.at = next
	t.route.retries = 0
	t.fallbackUsed = true
	t.info.Choice = t.route.choice()
	t.active.Asks(t.info.Choice)
	late := t.chat.Now().Sub(t.started) >= t.chat.Config.FirstEventWait || t.tools != nil && t.tools.rounds > 0
	return true, &Fallback{From: from, To: t.info.Choice, Err: err, Late: late}
}

// worthAnother reports whether somebody else, or the same provider later, might do better. A prompt that is at fault stays so.
func worthAnother(err error) bool {
	if errors.Is(err, io.EOF) {
		return false
	}
	kind := domain.KindOf(err)
	return kind == domain.Unavailable || kind == domain.Limited
}

// worthWaiting reports whether the same provider may answer in a moment. When it allows no more requests, another provider is better
// than waiting.
func worthWaiting(err error, last bool) bool {
	switch codeOf(err) {
	case domain.CodeQuota, domain.CodeCredentials:
		return false
	}
	wait := retryAfterOf(err)
	if domain.KindOf(err) == domain.Limited {
		return last && wait > 0 && wait <= maxRetryWait
	}
	return wait <= maxRetryWait
}

func codeOf(err error) string {
	var e *domain.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func retryAfterOf(err error) time.Duration {
	var e *domain.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// backoff is a random pause that grows, so that many who failed together do not come back together.
func backoff(retries int) time.Duration {
	most := min(retryDelay<<retries, maxRetryDelay)
	return most/2 + rand.N(most/2) // #nosec G404 -- it spreads work, and guards nothing
}

// pause waits, and reports whether it could wait to the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
