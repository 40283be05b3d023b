package app_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"gaia/app"
	"gaia/domain"
)

// greedy takes slots for a caller until there are no more, and says how many.
func greedy(s *app.Slots, caller string) (n int) {
	for s.Take(caller) == nil {
		n++
	}
	return n
}

func TestNobodyTakesAllSlots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ slots, callers, least, most, left int }{
		// slots and greedy callers; slots of each, from and to; slots left for others
		{100, 1, 90, 90, 10},
		{100, 2, 47, 48, 5},
		{100, 10, 9, 10, 1},
		{1000, 1, 900, 900, 100},
		{10, 1, 9, 9, 1},
		{5, 1, 5, 5, 0}, // too few to share
		{1, 1, 1, 1, 0},
	} {
		t.Run(fmt.Sprintf("%d slots, %d callers", c.slots, c.callers), func(t *testing.T) {
			t.Parallel()
			s := app.NewSlots(c.slots)
			held := make([]int, c.callers)
			for took := true; took; { // in turn, as long as anybody gets one
				took = false
				for i := range held {
					if s.Take(strconv.Itoa(i)) == nil {
						held[i]++
						took = true
					}
				}
			}
			sum := 0
			for i, n := range held {
				sum += n
				if n < c.least || n > c.most {
					t.Errorf("caller %d of %d has %d, want %d to %d", i, c.callers, n, c.least, c.most)
				}
			}
			if left := c.slots - sum; left < c.left {
				t.Errorf("%d left, want %d", left, c.left)
			}
			if c.left > 0 && s.Take("somebody else") != nil {
				t.Error("nothing for somebody else")
			}
		})
	}
}

func TestWhatAGreedyCallerGivesBackIsForOthersFirst(t *testing.T) {
	t.Parallel()
	s := app.NewSlots(100)
	n := greedy(s, "greedy")
	others := 0
	for i := range 100 {
		if s.Take("other"+strconv.Itoa(i)) == nil {
			others++
		}
	}
	if n != 90 || others != 10 {
		t.Fatalf("%d and %d", n, others)
	}
	for i := range 9 {
		s.Release("greedy")
		if s.Take("greedy") == nil {
			t.Fatalf("the greedy caller takes slot %d again", i)
		}
		if err := s.Take("newcomer" + strconv.Itoa(i)); err != nil {
			t.Fatalf("newcomer %d: %v", i, err)
		}
	}
}

func TestSlotsComeBack(t *testing.T) {
	t.Parallel()
	s := app.NewSlots(10)
	for range 3 {
		n := greedy(s, "a")
		for range n {
			s.Release("a")
		}
		if n != 9 {
			t.Errorf("%d slots", n)
		}
	}
	for range 20 { // what can't be refused counts nevertheless
		s.Hold("b")
	}
	if s.Take("a") == nil {
		t.Error("a slot while twice as many are held as there are")
	}
	for range 20 {
		s.Release("b")
	}
	if n := greedy(s, "a"); n != 9 {
		t.Errorf("%d slots", n)
	}
}

func TestRefusalsOfSlots(t *testing.T) {
	t.Parallel()
	s := app.NewSlots(20)
	greedy(s, "a")
	full := app.NewSlots(1)
	greedy(full, "a")
	for name, err := range map[string]error{"share": s.Take("a"), "full": full.Take("b")} {
		var e *domain.Error
		if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.RetryAfter <= 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	var none *app.Slots
	none.Hold("a")
	if err := none.Take("a"); err != nil {
		t.Error(err)
	}
	none.Release("a")
}

func TestSlotsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	s := app.NewSlots(50)
	var running, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			caller := strconv.Itoa(i % 7)
			for range 500 {
				if s.Take(caller) != nil {
					continue
				}
				n := running.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				running.Add(-1)
				s.Release(caller)
			}
		})
	}
	wg.Wait()
	if most.Load() > 50 {
		t.Errorf("%d at once", most.Load())
	}
	if n := greedy(s, "a"); n != 45 {
		t.Errorf("%d slots are left of 50, want 45 for one", n)
	}
}
