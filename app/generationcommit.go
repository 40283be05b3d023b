package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"gaia/domain"
)

// event is something that has happened to work as it is then.
func (g *Generations) event(work domain.Generation, kind domain.GenerationEventType, details map[string]any) domain.GenerationEvent {
	if details == nil {
		details = map[string]any{}
	}
	return domain.GenerationEvent{
		ID: g.NewID(), GenerationID: work.ID, Type: kind, Status: work.Status, Progress: work.Progress, Message: work.Message,
		At: g.Now().UTC().Truncate(time.Microsecond), Details: details,
	}
}

func costOf(work domain.Generation) map[string]any {
	return map[string]any{domain.DetailCostUSD: work.Cost.Dollars()}
}

func (r *generationRun) progressEvent(work domain.Generation, a domain.GenerationAttempt) []domain.GenerationEvent {
	number := slices.IndexFunc(work.Attempts, func(other domain.GenerationAttempt) bool { return other.Token == a.Token }) + 1
	return []domain.GenerationEvent{r.generations.event(work, domain.GenerationEventProgress, map[string]any{
		domain.DetailGenerator: a.Generator, domain.DetailStage: a.Stage, domain.DetailAttempt: number,
	})}
}

// usage is what the ledger gets when work has ended: a record for each attempt.
func (g *Generations) usage(work domain.Generation) []domain.UsageRecord {
	records := make([]domain.UsageRecord, len(work.Attempts))
	for i, a := range work.Attempts {
		row, _ := g.Table.Find(a.Generator)
		u := domain.UsageRecord{
			RequestID: work.ID, Attempt: i + 1, HTTPRequestID: work.HTTPRequestID, Owner: work.Principal.OwnerID(),
			At: work.CreatedAt, Operation: work.Request.Category.Operation(),
			Provider: row.Pricing, Model: row.Model, Outcome: outcomeOf(a, work.Status), Usage: domain.Usage{Source: domain.UsageEstimated},
			Quality: row.Qualities[work.Request.Quality], PriceVersion: a.Prices, Timings: domain.Timings{Provider: a.EndedAt.Sub(a.StartedAt)},
		}
		if u.Provider == "" { // the table has changed since
			u.Provider = a.Generator
		}
		if u.Outcome != domain.OutcomeCompleted {
			u.Failure = a.Failure
		}
		if a.Charged {
			u.Cost, u.Credits = a.Cost, a.Credits
		}
		if work.Status == domain.GenerationCompleted && i == len(work.Attempts)-1 { // the stages before make no asset of their own
			switch u.Operation {
			case domain.OperationImage:
				u.Images = 1
			case domain.OperationModel:
				u.Models3D = 1
			}
		}
		records[i] = u
	}
	return records
}

func outcomeOf(a domain.GenerationAttempt, ended domain.GenerationStatus) domain.Outcome {
	switch {
	case a.Status == domain.AttemptDone:
		return domain.OutcomeCompleted
	case a.Failure == string(domain.GenerationCancelled), ended == domain.GenerationCancelled && a.Status == domain.AttemptUnknown:
		return domain.OutcomeCanceled
	default:
		return domain.OutcomeFailed
	}
}

// end stores how the work has ended.
func (r *generationRun) end(work domain.Generation, kind domain.GenerationEventType, details map[string]any, asset *domain.Asset) error {
	return r.commit(domain.GenerationChange{
		Generation: work, Events: []domain.GenerationEvent{r.generations.event(work, kind, details)}, Asset: asset,
		Usage: r.generations.usage(work), Abandoned: r.files.allBut(asset),
	})
}

// commit stores a change and takes it over. What a generator has done must not be lost because the store is away for a moment, or because
// this process stops: it is tried again for as long as the claim lasts.
func (r *generationRun) commit(change domain.GenerationChange) error {
	g := r.generations
	change.Runner = r.runner
	if !change.Generation.Status.Ended() {
		change.Generation.UpdatedAt = r.now()
	}
	ctx := context.WithoutCancel(r.ctx)
	until := g.Now().Add(g.Config.Lease)
	for wait := commitPause; ; wait *= 2 {
		version, err := r.try(ctx, change)
		if domain.KindOf(err) == domain.Conflict && err != nil {
			stored, ours := r.stored(ctx, change)
			if !ours {
				return r.lost(err)
			}
			version, err = stored, nil // the write before it was none that failed
		}
		switch kind := domain.KindOf(err); {
		case err == nil:
			r.taken(ctx, change, version)
			return nil
		case kind == domain.TooLarge, kind == domain.BadRequest: // it will not get better
			return err
		case g.Now().Add(wait).After(until) || r.ctx.Err() != nil && wait > 16*commitPause:
			return err
		}
		pause(ctx, wait)
	}
}

func (r *generationRun) try(ctx context.Context, change domain.GenerationChange) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.generations.Config.SaveTimeout)
	defer cancel()
	return r.generations.Store.Commit(ctx, change)
}

// lost is the end of a run that may write no more.
func (r *generationRun) lost(err error) error {
	lost := errGenerationLost
	if codeOf(err) == domain.CodeEnded {
		lost = errGenerationCancelled
	}
	r.cancel(lost)
	return context.Cause(r.ctx)
}

// taken takes a change over that is stored, and tells others.
func (r *generationRun) taken(ctx context.Context, change domain.GenerationChange, version int) {
	r.work = change.Generation
	r.work.Version = version
	r.files.settled(change)
	if len(change.Events) == 0 {
		return
	}
	r.generations.Stored()
	r.generations.Queue.Signal(ctx, r.work.ID)
	r.generations.listeners.wake(r.work.ID)
}

// stored reports whether a change is there already, although writing it seemed to fail. While the runner has the claim, nobody else writes
// but who ends the work.
func (r *generationRun) stored(ctx context.Context, change domain.GenerationChange) (version int, ours bool) {
	g := r.generations
	ctx, cancel := context.WithTimeout(ctx, g.Config.SaveTimeout)
	defer cancel()
	there, err := g.Store.Get(ctx, r.work.Principal.OwnerID(), r.work.ID)
	if err != nil || there.Version != change.Generation.Version+1 || there.Status != change.Generation.Status {
		return 0, false
	}
	if there.Status.Ended() {
		return there.Version, there.CompletedAt.Equal(change.Generation.CompletedAt) && there.AssetID == change.Generation.AssetID
	}
	return there.Version, g.Store.Renew(ctx, r.work.ID, r.runner, g.Now().Add(g.Config.Lease)) == nil
}

// keepClaim renews the claim, and the leases of files, while the run lasts. Without the claim nothing more may be done: another process may
// be at work by then.
func (r *generationRun) keepClaim() {
	g := r.generations
	id := r.claimed
	every := g.Config.Lease / 3
	last := g.Now()
	for r.untilRenewal(every) {
		now := g.Now()
		ctx, cancel := context.WithTimeout(r.beside, min(every, g.Config.SaveTimeout))
		err := g.Store.Renew(ctx, id, r.runner, now.Add(g.Config.Lease))
		if keys := r.files.written(); err == nil && len(keys) > 0 {
			_ = g.Leases.EndLeases(ctx, keys, now.Add(g.Config.FileLease)) // tried again; they last for longer than a claim
		}
		cancel()
		switch {
		case err == nil:
			last = now
		case domain.KindOf(err) == domain.Conflict:
			_ = r.lost(err)
			return
		case g.Now().Sub(last) >= g.Config.Lease && r.beside.Err() == nil:
			r.cancel(errors.Join(errGenerationLost, err))
			return
		}
	}
}

// untilRenewal waits until the claim is to be renewed: after a while, or soon after a signal, which may mean that the work was cancelled.
func (r *generationRun) untilRenewal(every time.Duration) bool {
	if !pause(r.beside, min(lookPause, every)) {
		return false
	}
	timer := time.NewTimer(max(every-lookPause, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.changed:
	case <-r.beside.Done():
		return false
	}
	return true
}
