package memory

import (
	"context"
	"sync"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.WorkQueue = (*WorkQueue)(nil)

// maxQueued is how many items wait at most; the rest is found in the store.
const maxQueued = 1000

// WorkQueue spreads work within one process.
type WorkQueue struct {
	items chan string

	mu    sync.Mutex
	heard map[int]func(id string)
	next  int
}

// NewWorkQueue makes an empty queue.
func NewWorkQueue() *WorkQueue {
	return &WorkQueue{items: make(chan string, maxQueued), heard: map[int]func(string){}}
}

// Enqueue implements ports.WorkQueue.
func (q *WorkQueue) Enqueue(_ context.Context, id string) error {
	select {
	case q.items <- id:
		return nil
	default:
		return domain.MissingPart("The queue of work is full", nil)
	}
}

// Work implements ports.WorkQueue. What is not done goes to the end of the queue.
func (q *WorkQueue) Work(ctx context.Context, atOnce int, do func(ctx context.Context, id string) (done bool)) error {
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for ctx.Err() == nil {
				select {
				case id := <-q.items:
					if !do(ctx, id) {
						_ = q.Enqueue(ctx, id) // else it is found in the store
					}
				case <-ctx.Done():
				}
			}
		})
	}
	workers.Wait()
	return nil
}

// Signal implements ports.WorkQueue.
func (q *WorkQueue) Signal(_ context.Context, id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, heard := range q.heard {
		heard(id)
	}
}

// Watch implements ports.WorkQueue.
func (q *WorkQueue) Watch(heard func(id string)) (stop func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.next
	q.next++
	q.heard[n] = heard
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.heard, n)
	}
}
