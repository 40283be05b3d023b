package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// WorkflowStore keeps workflows with their journals and events. A workflow belongs to one owner and must be domain.NotFound for every
// other. A store that is away must be domain.Unavailable, and domain.StoreInDoubt when nobody knows whether it has stored a change. What does
// not fit is tidied as the Tidy methods of the domain say.
type WorkflowStore interface {
	// Create saves a pending workflow with its first event, which goes to the outbox too, in one transaction. When the owner has one
	// with the same Key already it must return that one instead, and domain.Conflict when its Fingerprint is another.
	Create(ctx context.Context, w domain.Workflow, e domain.WorkflowEvent) (domain.Workflow, error)
	// Get returns a workflow with its steps, in order and without their Results.
	Get(ctx context.Context, owner, id string) (domain.Workflow, []domain.WorkflowStep, error)
	// List returns a page of the owner's workflows, the newest first, and how many there are. An empty status is any. They come without
	// Principal, Agents, Input, Output, Key, Fingerprint and Trace.
	List(ctx context.Context, owner string, status domain.WorkflowStatus, limit, offset int) ([]domain.Workflow, int, error)
	// Events returns the events of a workflow after a sequence number, at most limit, and the workflow's status. When that says that it
	// has ended and there are fewer events than limit, no more will come.
	Events(ctx context.Context, owner, id string, after, limit int) ([]domain.WorkflowEvent, domain.WorkflowStatus, error)

	// Claim gives a workflow that has not ended to a runner until a time, unless another has it: then it must be domain.Conflict. It
	// returns the workflow, running, with its journal. What has ended is domain.Conflict too, with code domain.CodeEnded. Who has the
	// claim may claim again.
	Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Workflow, []domain.WorkflowStep, error)
	// Renew keeps a claim. A runner that no longer has it, because another took it or the workflow was cancelled, must get
	// domain.Conflict, with domain.CodeEnded when the workflow has ended. A claim that is over and that nobody took is still there.
	Renew(ctx context.Context, id, runner string, until time.Time) error
	// Abandon gives a claim back, so that another need not wait for its end. Giving back what one does not have is no error.
	Abandon(ctx context.Context, id, runner string) error
	// Commit writes a change in one transaction with its events, which go to the outbox too, or nothing. A runner that no longer has the
	// claim must get what Renew would give it. A step whose Key is there and has ended, or has another ID, must be domain.Conflict too;
	// one that is there keeps its Sequence and StartedAt. When the workflow ends, steps that still run become cancelled and the claim ends.
	Commit(ctx context.Context, change domain.WorkflowChange) error
	// Cancel ends a workflow, whoever runs it, at the event's time: it and its running steps become cancelled. One that has ended must be
	// domain.Conflict with code domain.CodeEnded. It returns what Get would.
	Cancel(ctx context.Context, owner, id string, e domain.WorkflowEvent) (domain.Workflow, []domain.WorkflowStep, error)
	// Waiting returns ids of workflows that have not ended and that nobody has claimed at that time, the oldest first.
	Waiting(ctx context.Context, now time.Time, limit int) ([]string, error)
	// Expire forgets workflows that ended before a time, and returns how many.
	Expire(ctx context.Context, before time.Time) (int, error)
}

// WorkQueue spreads work over replicas: each item reaches one of them. It is a hint; the truth is in the store, whose Waiting finds what
// the queue lost.
type WorkQueue interface {
	// Enqueue offers an item. It must not block on a bus that is away; then it fails, and that is no reason to fail anything.
	Enqueue(ctx context.Context, id string) error
	// Work hands items to do, at most so many at a time, until ctx ends. While do runs nobody else gets the item; when do returns false,
	// or the process dies, it is offered again later. It returns when every do has.
	Work(ctx context.Context, atOnce int, do func(ctx context.Context, id string) (done bool)) error
	// Signal tells every replica about a workflow that has something new: that it was cancelled, or has new events.
	Signal(ctx context.Context, id string)
	// Watch calls heard with the id of each signal, on one goroutine, until stop is called. heard must not block.
	Watch(heard func(id string)) (stop func())
}
