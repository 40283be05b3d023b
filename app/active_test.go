package app_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"gaia/app"
	"gaia/domain"
)

func TestActiveRequests(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	haiku, mini := domain.Choice{Provider: "claude", Model: "haiku"}, domain.Choice{Provider: "openai", Model: "mini"}
	a := app.NewActiveRequests()
	young := a.Begin("ada", "r-2", haiku, began.Add(time.Second))
	old := a.Begin("bob", "r-1", haiku, began)
	young.Asks(mini)
	young.Status("streaming")

	got := a.Snapshot()
	if a.Count() != 2 || len(got) != 2 {
		t.Fatalf("got %d, %+v", a.Count(), got)
	}
	want := app.ActiveSnapshot{Owner: "ada", RequestID: "r-2", Choice: mini, Started: began.Add(time.Second), Status: "streaming"}
	if got[0].Owner != "bob" || got[0].Status != "waiting" || got[1] != want {
		t.Errorf("got %+v, want bob's before %+v", got, want)
	}
	old.End()
	old.End()
	if got := a.Snapshot(); a.Count() != 1 || len(got) != 1 || got[0] != want {
		t.Errorf("after the end of one: %d, %+v", a.Count(), got)
	}
	young.End()
	if a.Count() != 0 {
		t.Errorf("%d are left", a.Count())
	}
}

func TestActiveRequestsWithoutARegister(t *testing.T) {
	t.Parallel()
	var none *app.ActiveRequests
	r := none.Begin("ada", "r-1", domain.Choice{}, time.Time{})
	r.Status("streaming")
	r.Asks(domain.Choice{})
	r.End()
	if none.Count() != 0 || none.Snapshot() != nil {
		t.Error("a register that is not there has requests")
	}
}

func TestActiveRequestsAreBounded(t *testing.T) {
	t.Parallel()
	const many, listed = 10_050, 10_000
	a := app.NewActiveRequests()
	all := make([]*app.ActiveRequest, many)
	var running sync.WaitGroup
	for worker := range 4 {
		running.Go(func() {
			for i := worker; i < many; i += 4 {
				all[i] = a.Begin("ada", strconv.Itoa(i), domain.Choice{}, time.Time{})
				all[i].Status("streaming")
			}
		})
	}
	running.Wait()
	if got := len(a.Snapshot()); a.Count() != many || got != listed {
		t.Errorf("counts %d and lists %d, want %d and %d", a.Count(), got, many, listed)
	}
	for _, r := range all {
		running.Go(r.End)
	}
	running.Wait()
	if got := len(a.Snapshot()); a.Count() != 0 || got != 0 {
		t.Errorf("counts %d and lists %d after the end", a.Count(), got)
	}
}

func BenchmarkActiveRequests(b *testing.B) {
	a := app.NewActiveRequests()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r := a.Begin("ada", "r", domain.Choice{}, time.Time{})
			r.Status("streaming")
			r.End()
		}
	})
}
