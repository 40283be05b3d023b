package app

import (
	"slices"
	"sync"
	"time"

	"gaia/domain"
)

// maxListedActive bounds what ActiveRequests remembers. Requests above it are only counted.
const maxListedActive = 10_000

// ActiveRequests knows which questions this process is answering at the moment.
type ActiveRequests struct {
	mu       sync.Mutex
	running  map[*ActiveRequest]struct{}
	unlisted int
}

// NewActiveRequests makes an empty register.
func NewActiveRequests() *ActiveRequests {
	return &ActiveRequests{running: map[*ActiveRequest]struct{}{}}
}

// ActiveRequest is a question that is being answered. Its methods may be called on nil.
type ActiveRequest struct {
	register *ActiveRequests
	listed   bool
	ended    bool
	about    ActiveSnapshot
}

// ActiveSnapshot describes a question that is being answered.
type ActiveSnapshot struct {
	Owner     string
	RequestID string // of the HTTP request
	Choice    domain.Choice
	Started   time.Time
	Status    string // a word for people, "waiting" at first
}

// Begin takes a question into the register. End must be called on what it returns. It may be called on nil.
func (a *ActiveRequests) Begin(owner, httpRequestID string, choice domain.Choice, started time.Time) *ActiveRequest {
	if a == nil {
		return nil
	}
	r := &ActiveRequest{register: a, about: ActiveSnapshot{
		Owner: owner, RequestID: httpRequestID, Choice: choice, Started: started, Status: "waiting",
	}}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.listed = len(a.running) < maxListedActive; r.listed {
		a.running[r] = struct{}{}
	} else {
		a.unlisted++
	}
	return r
}

// Status says how far the answer is.
func (r *ActiveRequest) Status(status string) {
	r.change(func(s *ActiveSnapshot) { s.Status = status })
}

// Asks says that another model is asked now.
func (r *ActiveRequest) Asks(choice domain.Choice) {
	r.change(func(s *ActiveSnapshot) { s.Choice = choice })
}

func (r *ActiveRequest) change(edit func(*ActiveSnapshot)) {
	if r == nil {
		return
	}
	r.register.mu.Lock()
	defer r.register.mu.Unlock()
	edit(&r.about)
}

// End takes the question out of the register. It may be called twice.
func (r *ActiveRequest) End() {
	if r == nil {
		return
	}
	a := r.register
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.ended:
	case r.listed:
		delete(a.running, r)
	default:
		a.unlisted--
	}
	r.ended = true
}

// Count returns how many questions are being answered.
func (a *ActiveRequests) Count() int {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.running) + a.unlisted
}

// Snapshot returns what is being answered, the oldest first.
func (a *ActiveRequests) Snapshot() []ActiveSnapshot {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	list := make([]ActiveSnapshot, 0, len(a.running))
	for r := range a.running {
		list = append(list, r.about)
	}
	a.mu.Unlock()
	slices.SortFunc(list, func(x, y ActiveSnapshot) int { return x.Started.Compare(y.Started) })
	return list
}
