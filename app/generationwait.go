package app

import (
	"context"
	"slices"
	"time"

	"gaia/domain"
)

// await returns work when it has ended, or when the time of the request is over. fresh work is offered before; where nothing is done but what
// was asked for here, other work that can be done here is too: who ordered it may be gone. A request that ends before, or a process that stops,
// gets what is known: the work is stored, and whoever was told that it failed would order it once more.
func (g *Generations) await(ctx context.Context, w generationWish, work domain.Generation, fresh bool) (GenerationResult, error) {
	news := g.listeners.add(work.ID)
	defer g.listeners.remove(work.ID, news)
	if fresh || g.Config.OnlyOwn && g.canDo(work) {
		g.offer(ctx, work.ID)
	}
	until := w.started.Add(min(w.req.MaxWait, g.Config.MaxWait))
	for look := fresh; !work.Status.Ended(); look = true {
		left := until.Sub(g.Now())
		if left <= 0 {
			break
		}
		if look {
			if hearNews(ctx, news, g.Stopping, left) != nil {
				break
			}
		}
		if now, err := g.Store.Get(ctx, w.who.OwnerID(), work.ID); err == nil {
			work = now // else what was known is still worth an answer
		}
	}
	return g.answer(ctx, w, work)
}

// canDo reports whether there is something left to do on work that this process has a generator for.
func (g *Generations) canDo(work domain.Generation) bool {
	return !work.Status.Ended() && slices.ContainsFunc(work.Generators, func(o domain.GenerationOffer) bool { return g.Generators[o.Generator] != nil })
}

// hearNews waits for news, for a while. It returns an error when there is nobody to wait for them any more.
func hearNews(ctx context.Context, news, stopping <-chan struct{}, most time.Duration) error {
	timer := time.NewTimer(min(most, backoffAround(followPoll)))
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-stopping:
		return domain.ErrStopping
	}
	return nil
}

// answer is what Generate returns about work.
func (g *Generations) answer(ctx context.Context, w generationWish, work domain.Generation) (GenerationResult, error) {
	result := GenerationResult{Generation: work, Waited: g.Now().Sub(w.started)}
	if work.Status == domain.GenerationCompleted {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.Config.SaveTimeout) // it is paid for: a stop is no reason not to show it
		defer cancel()
		asset, err := g.Assets.Get(ctx, w.who.OwnerID(), work.AssetID)
		result.Asset = &asset
		return result, err
	}
	if err := result.Err(); err != nil {
		return GenerationResult{}, err
	}
	return result, nil
}

// Err is why there is no asset and will be none; nil where there is one, or may be one later.
func (r GenerationResult) Err() error {
	switch r.Generation.Status {
	case domain.GenerationFailed:
		return failureAnswer(r.Generation)
	case domain.GenerationCancelled:
		return domain.NewError(domain.Conflict, "The making of this asset was cancelled")
	default:
		return nil
	}
}

// failureAnswer is the error that work has ended with.
func failureAnswer(work domain.Generation) error {
	kind := domain.Unavailable
	switch work.ErrorCode {
	case domain.CodeContentFilter, failureRefused, failureInvalid:
		kind = domain.BadRequest
	case failureNotFound:
		kind = domain.NotFound
	}
	return &domain.Error{Kind: kind, Code: work.ErrorCode, Message: work.Error}
}

// Words for why work has failed, beside the codes of errors.
const (
	failureRefused  = "bad_request" // of kinds, as domain.FailureOf has them
	failureInvalid  = "invalid"
	failureNotFound = "not_found"
	failureTimeout  = "timeout"
	failureLost     = "task_lost"
	failureLimits   = "limits_broken" // the result breaks the limits of the request
	failureMissing  = "not_configured"
)
