package app_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gaia/app"
	"gaia/domain"
)

// slowInspector takes a minute for each file, or until the caller leaves, and counts.
type slowInspector struct{ running, most atomic.Int32 }

func (s *slowInspector) look(ctx context.Context) error {
	s.most.Store(max(s.most.Load(), s.running.Add(1)))
	defer s.running.Add(-1)
	select {
	case <-time.After(time.Minute):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slowInspector) Inspect(ctx context.Context, _ io.ReadSeeker) (domain.FileFacts, error) {
	return domain.FileFacts{Format: "png"}, s.look(ctx)
}

func (s *slowInspector) Preview(ctx context.Context, _ io.ReadSeeker, _, _ int) ([]byte, error) {
	return []byte("png"), s.look(ctx)
}

func TestFewFilesAreLookedIntoAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &slowInspector{}
		inspection := app.NewInspection(slow, app.InspectionConfig{AtOnce: 3, Wait: 90 * time.Second})
		var done, refused atomic.Int32
		var all sync.WaitGroup
		for n := range 10 {
			all.Go(func() {
				var err error
				if n%2 == 0 {
					_, err = inspection.Inspect(t.Context(), bytes.NewReader(nil))
				} else {
					_, err = inspection.Preview(t.Context(), bytes.NewReader(nil), 1, 1)
				}
				switch {
				case err == nil:
					done.Add(1)
				case domain.KindOf(err) == domain.Unavailable:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if slow.most.Load() != 3 || done.Load() != 6 || refused.Load() != 4 {
			t.Errorf("%d at once, %d done, %d refused", slow.most.Load(), done.Load(), refused.Load())
		}
	})
}

func TestInspectionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inspection := app.NewInspection(&slowInspector{}, app.InspectionConfig{AtOnce: 1, Wait: time.Hour, Time: 20 * time.Second})
		if _, err := inspection.Inspect(t.Context(), bytes.NewReader(nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one that takes too long: %v", err)
		}
		var all sync.WaitGroup
		all.Go(func() { _, _ = inspection.Preview(t.Context(), bytes.NewReader(nil), 1, 1) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := inspection.Inspect(ctx, bytes.NewReader(nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller who left: %v", err)
		}
		all.Wait()
		if _, err := inspection.Preview(t.Context(), bytes.NewReader(nil), 1, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after that: %v", err) // there is a place again
		}
	})
}
