package app

import (
	"context"
	"time"

	"gaia/ports"
)

const (
	keptFor         = 24 * time.Hour // answers for requests that are repeated
	janitorInterval = 10 * time.Minute
	janitorTimeout  = time.Minute
)

// Janitor forgets kept answers that are too old.
type Janitor struct {
	answers ports.AnswerStore
	now     func() time.Time
}

// NewJanitor makes the use case.
func NewJanitor(answers ports.AnswerStore, now func() time.Time) *Janitor {
	return &Janitor{answers, now}
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

// Clean forgets once, and returns how many answers were forgotten.
func (j *Janitor) Clean(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, janitorTimeout)
	defer cancel()
	return j.answers.Expire(ctx, j.now().Add(-keptFor))
}
