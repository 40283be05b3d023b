package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"gaia/domain"
)

// next asks the first generator from a place in the list on that may be asked.
func (r *generationRun) next(from int) error {
	failed, tried := r.work.Last()
	for _, offer := range r.work.Generators[min(max(from, 0), len(r.work.Generators)):] {
		row, _, err := r.generator(offer.Generator)
		if err != nil {
			if !tried { // another process may have it
				return err
			}
			continue
		}
		if r.work.Charged().Plus(offer.Cost()) > r.work.Reserved {
			continue
		}
		return r.begin(row, offer, 0)
	}
	if !tried {
		return r.fail(failureMissing, "No generator is configured that could make this asset")
	}
	reason := r.reason(failed)
	return r.fail(reason.Failure, reason.Error)
}

// reason is the attempt that tells best why the work has failed: one for which the description must not be made at all, or else the last that
// was not refused. Only where everybody has refused, other words are what helps.
func (r *generationRun) reason(last domain.GenerationAttempt) domain.GenerationAttempt {
	reason := last
	for _, a := range r.work.Attempts {
		switch a.Failure {
		case domain.CodeContentFilter:
			return a
		case "", failureRefused, failureInvalid:
		default:
			reason = a
		}
	}
	return reason
}

// nextStage goes on with the generator whose stage is done.
func (r *generationRun) nextStage(done domain.GenerationAttempt) error {
	row, _, err := r.generator(done.Generator)
	if err != nil {
		return err
	}
	offer := r.offer(done)
	return r.begin(row, offer, offer.Place(done.Stage)+1)
}

// isLast reports whether no stage comes after that of an attempt.
func (r *generationRun) isLast(a domain.GenerationAttempt) bool {
	offer := r.offer(a)
	return offer.Place(a.Stage)+1 >= len(offer.Stages)
}

// offer is the offer that an attempt belongs to.
func (r *generationRun) offer(a domain.GenerationAttempt) domain.GenerationOffer {
	if at := r.work.Place(a.Generator); at >= 0 {
		return r.work.Generators[at]
	}
	return domain.GenerationOffer{Generator: a.Generator}
}

// begin writes down that a stage is ordered, and orders it.
func (r *generationRun) begin(row domain.Generator, offer domain.GenerationOffer, at int) error {
	if at >= len(offer.Stages) {
		return fmt.Errorf("generation %s: %s has no stage %d", r.work.ID, row.ID, at)
	}
	stage := offer.Stages[at]
	return r.write(row, domain.GenerationAttempt{
		Generator: row.ID, Stage: stage.Stage, Token: r.generations.NewID(), Cost: stage.Cost, Credits: stage.Credits, Prices: offer.Prices,
	})
}

// write stores that a generator is going to be asked, and asks it.
func (r *generationRun) write(row domain.Generator, a domain.GenerationAttempt) error {
	if err := r.hold(); err != nil {
		return err
	}
	switch late := !r.generations.Now().Before(r.work.Deadline); {
	case late && a.Status == domain.AttemptBegun:
		return r.failed(a, false, errGenerationTime)
	case late:
		return r.timedOut()
	}
	base, err := r.base(row)
	switch kind := domain.KindOf(err); {
	case err != nil && (kind == domain.NotFound || kind == domain.TooLarge) && r.work.Request.AllowMade:
		base, r.work.BaseID = nil, "" // then it is made from nothing
	case err != nil && (kind == domain.NotFound || kind == domain.TooLarge):
		return r.fail(failureNotFound, "The asset that was to be adapted is not there any more")
	case err != nil:
		return r.later(err)
	}
	a.Status, a.StartedAt, a.EndedAt, a.Failure, a.Error = domain.AttemptBegun, r.now(), time.Time{}, "", ""
	work := r.work.WithAttempt(a)
	work.Message = fmt.Sprintf("Asking %s", row.ID)
	var events []domain.GenerationEvent
	if a.Tries == 0 {
		events = r.progressEvent(work, a)
	}
	if err := r.commit(domain.GenerationChange{Generation: work, Events: events}); err != nil {
		return err
	}
	return r.ask(row, a, base)
}

// later has the same done again after a while.
func (r *generationRun) later(err error) error {
	r.checks++
	r.pause = max(retryAfterOf(err), retryPause(r.checks))
	if left := r.work.Deadline.Sub(r.generations.Now()); left <= 0 {
		return r.timedOut()
	}
	return r.nap(false)
}

// base is the file that a generator is to adapt. nil: it is to make something new.
func (r *generationRun) base(row domain.Generator) (*domain.BaseFile, error) {
	if !r.adapts(row) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, callTimeout)
	defer cancel()
	asset, err := r.generations.Assets.Get(ctx, r.work.Principal.OwnerID(), r.work.BaseID)
	if err != nil {
		return nil, err
	}
	file, _, err := r.generations.Blobs.Open(ctx, asset.File.Key)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(io.LimitReader(file, maxBase+1))
	if err == nil && len(data) > maxBase {
		err = domain.FileTooLarge(maxBase)
	}
	return &domain.BaseFile{AssetID: asset.ID, Format: asset.File.Format, Data: data}, err
}

// adapts reports whether a generator makes the asset out of one that is there.
func (r *generationRun) adapts(row domain.Generator) bool {
	return r.work.BaseID != "" && row.CanAdapt(r.work.Request.Category, r.work.Request.Format)
}

// ask orders a stage. It is written down already.
func (r *generationRun) ask(row domain.Generator, a domain.GenerationAttempt, base *domain.BaseFile) error {
	_, generator, err := r.generator(row.ID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.work.Deadline.Sub(r.generations.Now()))
	defer cancel()
	order := r.order(a, row)
	order.Base = base
	task, err := guarded(func() (domain.GeneratorTask, error) { return generator.Begin(ctx, order) })
	switch kind := domain.KindOf(err); {
	case err == nil:
		return r.took(row, a, task)
	case r.ctx.Err() != nil: // the attempt stays as it is: who goes on looks what has become of it
		return context.Cause(r.ctx)
	case kind == domain.Limited, kind == domain.Unavailable && codeOf(err) != domain.CodeOutcomeUnknown:
		return r.notNow(a, err)
	case kind == domain.Internal || kind == domain.Unavailable || kind == domain.Canceled:
		return r.unclear(row, a, err)
	default: // it is refused
		return r.failed(a, false, err)
	}
}

// unclear is what becomes of an order that may have been taken or not: it is looked for.
func (r *generationRun) unclear(row domain.Generator, a domain.GenerationAttempt, err error) error {
	if domain.KindOf(err) == domain.Internal {
		r.generations.Troubled(r.work.ID, err)
	}
	if row.Repeatable {
		return r.notNow(a, domain.MissingPart(clientMessage(err, row.ID+" has failed"), err))
	}
	r.pause = retryPause(r.checks)
	r.checks++
	return r.nap(false)
}

// unknown ends the work: nobody can tell whether an order was taken, so neither it nor another one is placed.
func (r *generationRun) unknown(a domain.GenerationAttempt) error {
	a.Status, a.Charged, a.Failure, a.Error, a.EndedAt = domain.AttemptUnknown, true, domain.CodeOutcomeUnknown, unknownOrder(a), r.now()
	r.work = r.work.WithAttempt(a)
	return r.fail(a.Failure, a.Error)
}

func unknownOrder(a domain.GenerationAttempt) string {
	return fmt.Sprintf("It is not known whether %s has taken the order. It is not repeated", a.Generator)
}

// notNow is what becomes of an order that a generator has not taken and may take later.
func (r *generationRun) notNow(a domain.GenerationAttempt, err error) error {
	a.Tries++
	wait := max(retryAfterOf(err), retryPause(a.Tries-1))
	code := codeOf(err)
	switch {
	case code == domain.CodeCredentials, code == domain.CodeQuota: // time alone does not heal these
		return r.failed(a, false, err)
	case a.Tries >= triesEach && r.hasNext(a), r.generations.Now().Add(wait).After(r.work.Deadline):
		return r.failed(a, false, err)
	}
	a.Status, a.Failure, a.Error = domain.AttemptFailed, domain.FailureOf(err), clientMessage(err, a.Generator+" is not available")
	work := r.work.WithAttempt(a)
	work.Message = fmt.Sprintf("Waiting for %s", a.Generator)
	if err := r.commit(domain.GenerationChange{Generation: work}); err != nil {
		return err
	}
	r.pause = wait
	return nil
}

func (r *generationRun) hasNext(a domain.GenerationAttempt) bool {
	return r.work.Place(a.Generator)+1 < len(r.work.Generators)
}

// again places an order once more that was certainly not taken.
func (r *generationRun) again(a domain.GenerationAttempt) error {
	if err := r.nap(false); err != nil {
		return err
	}
	row, _, err := r.generator(a.Generator)
	if err != nil {
		return err
	}
	return r.write(row, a)
}

// recover finds out what has become of an order that was written down before this process, or its last call, came to an end.
func (r *generationRun) recover(a domain.GenerationAttempt) error {
	row, generator, err := r.generator(a.Generator)
	if err != nil {
		return err
	}
	if row.Repeatable {
		return r.write(row, a) // with the token that it had
	}
	task, err := guarded(func() (domain.GeneratorTask, error) {
		ctx, cancel := context.WithTimeout(r.ctx, callTimeout)
		defer cancel()
		return generator.Find(ctx, r.order(a, row))
	})
	ours := true
	if err == nil {
		ours, err = r.isOurs(a, task)
	}
	switch {
	case err == nil && !ours:
		return r.unknown(a)
	case err == nil:
		return r.took(row, a, task)
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case domain.KindOf(err) == domain.NotFound:
		return r.write(row, a) // with the token that it had
	case codeOf(err) == domain.CodeOutcomeUnknown && !r.mayAppear(), !r.generations.Now().Before(r.work.Deadline):
		return r.unknown(a)
	default:
		return r.later(err)
	}
}

// mayAppear reports whether a task that is not found may still be: services list some only a while after they have taken them.
func (r *generationRun) mayAppear() bool {
	now := r.generations.Now()
	if r.missed.IsZero() {
		r.missed = now
	}
	return now.Sub(r.missed) < appearsIn
}

// isOurs reports whether no other work has the task that was found for an order. Else nobody can tell what has become of this one.
func (r *generationRun) isOurs(a domain.GenerationAttempt, task domain.GeneratorTask) (bool, error) {
	if task.ID == "" {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.generations.Config.SaveTimeout)
	defer cancel()
	id, err := r.generations.Store.ByTask(ctx, a.Generator, task.ID)
	if domain.KindOf(err) == domain.NotFound && err != nil {
		return true, nil
	}
	return id == r.work.ID, err
}

var errGenerationTime = &domain.Error{Kind: domain.Unavailable, Code: failureTimeout, Message: "The time for making this asset is over"}

// look asks how far a task is.
func (r *generationRun) look(a domain.GenerationAttempt) error {
	if err := r.nap(true); err != nil {
		return err
	}
	row, generator, err := r.generator(a.Generator)
	if err != nil {
		return err
	}
	task, err := guarded(func() (domain.GeneratorTask, error) {
		ctx, cancel := context.WithTimeout(r.ctx, callTimeout)
		defer cancel()
		return generator.Check(ctx, r.order(a, row), a.TaskID)
	})
	switch kind := domain.KindOf(err); {
	case err == nil:
		return r.took(row, a, task)
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case kind == domain.NotFound, kind == domain.BadRequest, kind == domain.Invalid:
		return r.failed(a, true, &domain.Error{Kind: domain.Unavailable, Code: failureLost, Message: a.Generator + " does not know the task any more", Cause: err})
	case !r.generations.Now().Before(r.work.Deadline):
		return r.overdue(a)
	default:
		r.checks++
		r.pause = max(retryAfterOf(err), checkPause(r.checks))
		return nil
	}
}

// overdue gives a task up that is not done at the deadline. It is charged all the same.
func (r *generationRun) overdue(a domain.GenerationAttempt) error {
	r.cancelTask(r.ctx)
	a.Status, a.Charged, a.Failure, a.Error, a.EndedAt = domain.AttemptFailed, true, failureTimeout, errGenerationTime.Message, r.now()
	r.work = r.work.WithAttempt(a)
	return r.timedOut()
}

// took takes over what a generator says about a task.
func (r *generationRun) took(row domain.Generator, a domain.GenerationAttempt, task domain.GeneratorTask) error {
	if task.ID != "" {
		a.TaskID = task.ID
	}
	switch task.Status {
	case domain.TaskDone:
		if r.isLast(a) {
			return r.deliver(row, a, task)
		}
		return r.stageDone(a)
	case domain.TaskFailed:
		err := task.Failure
		if err == nil {
			err = domain.MissingPart(row.ID+" has failed and does not say why", nil)
		}
		return r.failed(a, task.Charged, err)
	default:
		return r.goesOn(row, a, task)
	}
}

// goesOn notes a task that is not done.
func (r *generationRun) goesOn(row domain.Generator, a domain.GenerationAttempt, task domain.GeneratorTask) error {
	fresh := a.Status == domain.AttemptBegun
	if fresh {
		if a.TaskID == "" {
			return r.unclear(row, a, fmt.Errorf("generation %s: %s has begun a task without an id", r.work.ID, row.ID))
		}
		r.tasks, r.checks, r.missed = []openTask{{a.Generator, a.TaskID}}, 0, time.Time{}
		a.Status = domain.AttemptRunning
	}
	if !r.generations.Now().Before(r.work.Deadline) {
		r.work = r.work.WithAttempt(a)
		return r.overdue(a)
	}
	work := r.work.WithAttempt(a)
	progress := r.progress(a, task.Progress)
	r.pause = cmp.Or(r.generations.Config.Ask, task.Again)
	if r.pause <= 0 {
		r.pause = checkPause(r.checks)
	}
	r.checks++
	now := r.generations.Now()
	if !fresh && (progress <= work.Progress || now.Sub(r.told) < progressEvery) {
		return nil
	}
	work.Progress, work.Message = max(progress, work.Progress), task.Message
	if work.Message == "" {
		work.Message = row.ID + " is at work"
	}
	r.told = now
	return r.commit(domain.GenerationChange{Generation: work, Events: r.progressEvent(work, a)})
}

// progress is how much of the whole is done. The last percent is the end.
func (r *generationRun) progress(a domain.GenerationAttempt, percent int) int {
	offer := r.offer(a)
	at := max(offer.Place(a.Stage), 0)
	return min((at*100+min(max(percent, 0), 100))/max(len(offer.Stages), 1), 99)
}

// stageDone notes that a stage is done that others follow.
func (r *generationRun) stageDone(a domain.GenerationAttempt) error {
	a.Status, a.Charged, a.EndedAt = domain.AttemptDone, true, r.now()
	r.tasks = nil
	return r.commit(domain.GenerationChange{Generation: r.work.WithAttempt(a)})
}

// failed ends an attempt, and the work with it unless another generator may be asked.
func (r *generationRun) failed(a domain.GenerationAttempt, charged bool, err error) error {
	a.Status, a.Charged, a.EndedAt = domain.AttemptFailed, charged, r.now()
	a.Failure, a.Error = domain.FailureOf(err), clientMessage(err, a.Generator+" has failed")
	r.tasks = nil
	return r.commit(domain.GenerationChange{Generation: r.work.WithAttempt(a), Abandoned: r.files.all()})
}

// timedOut ends work whose time is over.
func (r *generationRun) timedOut() error {
	return r.fail(failureTimeout, errGenerationTime.Message)
}

// fail ends the work.
func (r *generationRun) fail(code, message string) error {
	work := r.work.End(domain.GenerationFailed, r.generations.Now())
	work.Error, work.ErrorCode, work.Message = message, code, "Failed"
	details := costOf(work)
	details[domain.DetailReason] = code
	return r.end(work, domain.GenerationEventFailed, details, nil)
}

// cancelTask asks the generator to stop what it is at.
func (r *generationRun) cancelTask(ctx context.Context) {
	for _, t := range r.tasks {
		if generator := r.generations.Generators[t.generator]; generator != nil {
			_, _ = guarded(func() (struct{}, error) { // it was given up; whether it stops is the generator's business
				ctx, cancel := context.WithTimeout(ctx, callTimeout)
				defer cancel()
				return struct{}{}, generator.Cancel(ctx, t.id)
			})
		}
	}
	r.tasks = nil
}

func (r *generationRun) now() time.Time { return r.generations.Now().UTC().Truncate(time.Microsecond) }
