package forward

import (
	"sync/atomic"
	"time"
)

// vigil watches how long a service is waited for. Time in which somebody else is waited for does not count.
type vigil struct {
	since atomic.Int64 // when the wait began, in nanoseconds since 1970; 0: nobody waits for the service
	limit atomic.Int64 // nanoseconds
	every atomic.Int64
	late  func() // the limit has passed; called once
	tick  func() // the wait goes on
	timer *time.Timer
	done  atomic.Bool
}

// newVigil begins one whose wait has begun.
func newVigil(limit, every time.Duration, late, tick func()) *vigil {
	v := &vigil{late: late, tick: tick}
	v.limit.Store(int64(limit))
	v.every.Store(int64(every))
	v.wait()
	started := make(chan struct{})
	v.timer = time.AfterFunc(min(limit, every), func() {
		<-started
		v.look()
	})
	close(started) // v.timer can be seen by who runs it
	return v
}

func (v *vigil) wait() { v.since.Store(time.Now().UnixNano()) }
func (v *vigil) rest() { v.since.Store(0) }

// begun is called when an answer has begun: there is another limit from then on, and no ticks.
func (v *vigil) begun(limit time.Duration) {
	v.rest()
	v.limit.Store(int64(limit))
	v.every.Store(0)
}

func (v *vigil) stop() {
	v.done.Store(true)
	v.timer.Stop()
}

func (v *vigil) look() {
	if v.done.Load() {
		return
	}
	since, limit := v.since.Load(), time.Duration(v.limit.Load())
	left := limit
	if since > 0 {
		left -= time.Duration(time.Now().UnixNano() - since)
	}
	if left <= 0 {
		v.done.Store(true)
		v.late()
		return
	}
	every := time.Duration(v.every.Load())
	if every == 0 {
		v.timer.Reset(left)
		return
	}
	if since > 0 {
		v.tick()
	}
	v.timer.Reset(min(left, every))
}
