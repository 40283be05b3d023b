package app

import (
	"sync"
	"time"

	"gaia/domain"
)

// share is how many times as much as is free one caller may hold. With 9 somebody who is alone gets nine tenths of everything, two who
// want all get 47 of 100 each, ten get 9 each, and there is nearly always something left for whoever comes next. Nobody has to be
// known before, and what a caller gives back is there for the others first.
const share = 9

// retryWhenBusy is when another attempt makes sense where there was no room.
const retryWhenBusy = time.Second

// Slots bounds how much goes on at once, and how much of it is one caller's. There is no queue: who finds no room is told at once, and
// clients know better than a server how long they want to wait. A nil Slots has no bounds.
type Slots struct {
	max int

	mu   sync.Mutex
	used int
	held map[string]int // by the caller's ID; never zero
}

// NewSlots makes so many slots.
func NewSlots(n int) *Slots { return &Slots{max: n, held: map[string]int{}} }

var (
	errBusy = &domain.Error{
		Kind: domain.Unavailable, Message: "Too many requests are running: try again in a moment", RetryAfter: retryWhenBusy,
	}
	errBusyCaller = &domain.Error{
		Kind: domain.Unavailable, Message: "Too many of your requests are running: others need room, too", RetryAfter: retryWhenBusy,
	}
)

// Take gives a caller a slot, to be released, or fails with domain.Unavailable.
func (s *Slots) Take(caller string) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	free, held := s.max-s.used, s.held[caller]
	switch {
	case free <= 0:
		return errBusy
	case held >= share*free:
		return errBusyCaller
	}
	s.used++
	s.held[caller] = held + 1
	return nil
}

// Hold takes a slot for work that goes on whether there is room or not. It counts like any other.
func (s *Slots) Hold(caller string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used++
	s.held[caller]++
}

// Running counts the slots that are taken.
func (s *Slots) Running() int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Release gives a slot back.
func (s *Slots) Release(caller string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if s.held[caller]--; s.held[caller] == 0 {
		delete(s.held, caller)
	}
}
