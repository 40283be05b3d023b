package app

import (
	"context"

	"gaia/domain"
)

// Follow calls f with the present state of work of the caller, then with each event after that, until the last one or until f fails. After a
// sequence number above 0 it goes on with the events that come after that one. For an asset without work there is its end alone.
func (g *Generations) Follow(ctx context.Context, who domain.Principal, id string, after int, f func(domain.GenerationEvent) error) error {
	work, err := g.work(ctx, who, id)
	if domain.KindOf(err) == domain.NotFound && err != nil {
		return g.followAsset(ctx, who, id, f)
	}
	if err != nil {
		return err
	}
	news := g.listeners.add(work.ID)
	defer g.listeners.remove(work.ID, news)
	work, after, err = g.present(ctx, who, work.ID, max(after, 0))
	if err != nil {
		return err
	}
	status := g.event(work, domain.GenerationEventStatus, nil)
	status.Sequence = after
	if err := f(status); err != nil {
		return err
	}
	for {
		events, now, err := g.Store.Events(ctx, who.OwnerID(), work.ID, after, followPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := f(e); err != nil {
				return err
			}
			after = e.Sequence
		}
		switch {
		case len(events) == followPage:
		case now.Status.Ended():
			return nil
		default:
			if err := hearNews(ctx, news, nil, 2*followPoll); err != nil {
				return err
			}
		}
	}
}

// present returns the state of work, and after which event it is to be followed: the last one before now, but not the end of the work.
func (g *Generations) present(ctx context.Context, who domain.Principal, id string, after int) (domain.Generation, int, error) {
	if after > 0 {
		work, err := g.Store.Get(ctx, who.OwnerID(), id)
		return work, after, err
	}
	for {
		events, work, err := g.Store.Events(ctx, who.OwnerID(), id, after, followPage)
		if err != nil {
			return work, 0, err
		}
		for _, e := range events {
			if !e.Status.Ended() {
				after = e.Sequence
			}
		}
		if len(events) < followPage {
			return work, after, nil
		}
	}
}

// followAsset tells about an asset that the caller has no work on: it is there.
func (g *Generations) followAsset(ctx context.Context, who domain.Principal, id string, f func(domain.GenerationEvent) error) error {
	asset, err := g.Assets.Get(ctx, who.OwnerID(), id)
	if err != nil {
		return err
	}
	work := workOf(who, asset, asset.Source)
	work.Message = "Ready"
	return f(domain.GenerationEvent{
		ID: work.ID, GenerationID: work.ID, Sequence: 1, Type: domain.GenerationEventCompleted, Status: work.Status, Progress: work.Progress,
		Message: work.Message, At: asset.CreatedAt, Details: map[string]any{},
	})
}
