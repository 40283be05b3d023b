package ports

import (
	"context"
	"io"
	"time"

	"gaia/domain"
)

// GenerationStore keeps the work on assets. It belongs to one owner and must be domain.NotFound for every other. A store that is away must
// be domain.Unavailable. What does not fit is tidied as the Tidy methods of the domain say.
type GenerationStore interface {
	// Create saves pending or ended work with its first events, which go to the outbox too, in one transaction. When the owner has work
	// with the same Key already it must return that instead, and domain.Conflict when its Fingerprint is another. The reservation of pending
	// work counts from then on without being renewed, for ReservedFor at most: the work goes on whichever process dies. One that is gone
	// must be domain.Unavailable with domain.CodeLapsed, and nothing is saved. The reservation of work that was not made is left as it is.
	Create(ctx context.Context, g domain.Generation, events ...domain.GenerationEvent) (domain.Generation, error)
	// Get returns the work.
	Get(ctx context.Context, owner, id string) (domain.Generation, error)
	// ByKey returns the owner's work with an Idempotency-Key, which is not empty.
	ByKey(ctx context.Context, owner, key string) (domain.Generation, error)
	// Open counts the owner's work that has not ended.
	Open(ctx context.Context, owner string) (int, error)
	// Events returns the events after a sequence number, at most limit, and the work's state. When that has ended and there are fewer
	// events than limit, no more will come.
	Events(ctx context.Context, owner, id string, after, limit int) ([]domain.GenerationEvent, domain.Generation, error)

	// Claim gives work that has not ended to a runner until a time, unless another has it: then it must be domain.Conflict. It returns
	// the work, processing and in its next Version. What has ended is domain.Conflict too, with code domain.CodeEnded. Who has the
	// claim may claim again.
	Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Generation, error)
	// Renew keeps a claim. A runner that no longer has it must get domain.Conflict, with domain.CodeEnded when the work has ended. A
	// claim that is over and that nobody took is still there.
	Renew(ctx context.Context, id, runner string, until time.Time) error
	// Abandon gives a claim back, so that another need not wait for its end. Giving back what one does not have is no error.
	Abandon(ctx context.Context, id, runner string) error
	// Commit writes a change in one transaction, or nothing, and returns the work's next Version. It must be domain.Conflict when the
	// stored Version is not that of the change's Generation, with domain.CodeEnded when the work has ended, and when the change has a
	// Runner that no longer has the claim. Events go to the outbox too. An Asset is added as AssetStore.Add would, with its conditions;
	// leases of Abandoned files end at UpdatedAt. Usage goes to the ledger, and one event for each new record to the outbox, which the
	// store makes (domain.UsageRecord.Recorded). Its cost, claims excepted, is added once to what the owner has spent on the day of
	// CreatedAt. When the work ends, its claim and its reservation end, also without usage.
	Commit(ctx context.Context, change domain.GenerationChange) (version int, err error)
	// ByTask returns the id of the work, if it has not ended, that waits for a task at a generator or has waited for it: an attempt with
	// it was running. When there are several it is the last. domain.NotFound: there is none.
	ByTask(ctx context.Context, generator, taskID string) (string, error)
	// Waiting returns ids of work that has not ended and that nobody has claimed at that time, in turns: the first of each owner, then the
	// second of each, the oldest first, where work that is claimed counts as its owner's first.
	Waiting(ctx context.Context, now time.Time, limit int) ([]string, error)
	// Expire forgets work that ended before a time, and returns how much. Assets stay.
	Expire(ctx context.Context, before time.Time) (int, error)
}

// AssetGenerator makes assets, or has them made by one outside service. Its errors are the domain's: domain.BadRequest and
// domain.Invalid say that the service refuses the order, whenever it gets it; domain.Limited and domain.Unavailable that it takes no orders
// now, and that this one was not taken; domain.Unavailable with domain.CodeOutcomeUnknown that it may have been taken. Every call ends
// when ctx does.
type AssetGenerator interface {
	// Stages names what has to be done for an order, one paid call each, in order. There is at least one.
	Stages(o domain.GenerationOrder) []string
	// Begin orders a stage. A task that is done already comes with its files.
	Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error)
	// Find looks for the task of an order that Begin may have placed. domain.NotFound says that there certainly is none, and that Begin
	// may be called again; domain.CodeOutcomeUnknown that nobody can tell. A service that takes no token is asked for the one task that
	// fits the order: who gets it makes sure that no other work has it (GenerationStore.ByTask).
	Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error)
	// Check tells how far a task is. A task that the service does not know any more must be domain.NotFound.
	Check(ctx context.Context, o domain.GenerationOrder, taskID string) (domain.GeneratorTask, error)
	// Fetch opens a file that a task has made. More than limit bytes must be domain.TooLarge, at the latest while reading.
	Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error)
	// Cancel asks the service to stop a task, where it can. A task that has ended is no error.
	Cancel(ctx context.Context, taskID string) error
}
