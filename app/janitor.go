package app

import (
	"context"
	"errors"
	"time"

	"gaia/ports"
)

const (
	keptFor         = 24 * time.Hour // answers for requests that are repeated
	janitorInterval = 10 * time.Minute
	janitorTimeout  = time.Minute
)

// Kept is something that is stored for a while.
type Kept struct {
	For    time.Duration // not above 0: for ever
	Expire func(ctx context.Context, before time.Time) (int, error)
}

// KeptAnswers are the answers for requests that are repeated.
func KeptAnswers(answers ports.AnswerStore) Kept { return Kept{keptFor, answers.Expire} }

// Janitor forgets what was kept long enough.
type Janitor struct {
	now  func() time.Time
	kept []Kept
}

// NewJanitor makes the use case.
func NewJanitor(now func() time.Time, kept ...Kept) *Janitor {
	return &Janitor{now, kept}
}

// Run cleans up now and then until ctx ends. What fails is tried again the next time.
func (j *Janitor) Run(ctx context.Context) {
	for {
		_, _ = j.Clean(ctx)
		if !pause(ctx, backoffAround(janitorInterval)) { // not all processes at the same moment
			return
		}
	}
}

// Clean forgets once, and returns how much was forgotten. One kind that fails does not stop the others.
func (j *Janitor) Clean(ctx context.Context) (int, error) {
	var (
		total int
		errs  []error
	)
	for _, k := range j.kept {
		if k.For <= 0 {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, janitorTimeout)
		n, err := k.Expire(bounded, j.now().Add(-k.For))
		cancel()
		total, errs = total+n, append(errs, err)
	}
	return total, errors.Join(errs...)
}
