package app

import (
	"context"
	"errors"
	"time"

	"gaia/domain"
)

const (
	sweepBatch   = 100
	sweepTimeout = 30 * time.Second // of removing one file
)

// Run removes files that nobody needs any more, and finds out what assets mean, until ctx ends. What fails is tried again the next time.
func (a *Assets) Run(ctx context.Context) {
	for {
		if _, err := a.Sweep(ctx); err != nil && ctx.Err() == nil {
			a.Troubled("remove files", err)
		}
		if _, err := a.Understand(ctx); err != nil && ctx.Err() == nil {
			a.Troubled("find out what assets mean", err)
		}
		wait := time.NewTimer(backoffAround(a.Config.SweepEvery)) // not all processes at the same moment
		select {
		case <-wait.C:
		case <-a.sweep:
			wait.Stop()
		case <-ctx.Done():
			wait.Stop()
			return
		}
	}
}

// wakeSweeper tells Run that there is something to remove.
func (a *Assets) wakeSweeper() {
	select {
	case a.sweep <- struct{}{}:
	default:
	}
}

// Sweep removes the files whose leases are over, and returns how many. It ends when the storage or the database is away.
func (a *Assets) Sweep(ctx context.Context) (int, error) {
	total := 0
	for {
		keys, err := a.Leases.Condemn(ctx, a.Now(), sweepBatch)
		if err != nil {
			return total, err
		}
		n, err := a.remove(ctx, keys)
		total += n
		if err != nil || len(keys) < sweepBatch {
			return total, err
		}
	}
}

// remove removes files and forgets them. One that can't be removed is in nobody's way, unless none can be.
func (a *Assets) remove(ctx context.Context, keys []string) (int, error) {
	removed := 0
	var errs []error
	for _, key := range keys {
		err := a.removeOne(ctx, key)
		switch {
		case err == nil:
			removed++
		case domain.KindOf(err) == domain.Unavailable || ctx.Err() != nil:
			return removed, errors.Join(append(errs, err)...)
		default:
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

func (a *Assets) removeOne(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	if err := a.Blobs.Delete(ctx, key); err != nil {
		return err
	}
	return a.Leases.Forget(ctx, key)
}
