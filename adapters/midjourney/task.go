package midjourney

import (
	"errors"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// The states of tasks. Other proxies of this kind have more: what is none of these goes on.
const (
	statusSuccess  = "SUCCESS"
	statusFailure  = "FAILURE"
	statusCanceled = "CANCEL" // of other proxies
)

// pollAfter is how often a task is asked for: four pictures take a minute.
const pollAfter = 5 * time.Second

const waiting = "Waiting for Midjourney"

// wireTask is a task as the proxy shows it. What is not there yet is null.
type wireTask struct {
	ID         string `json:"id"`
	State      string `json:"state"`
	Status     string `json:"status"`
	SubmitTime int64  `json:"submitTime"` // milliseconds
	Progress   string `json:"progress"`   // as 50%
	ImageURL   string `json:"imageUrl"`
	FailReason string `json:"failReason"`
}

// task says in the words of the domain how far a task is.
func task(w wireTask, o domain.GenerationOrder) domain.GeneratorTask {
	t := domain.GeneratorTask{ID: w.ID, Status: domain.TaskRunning, Progress: percent(w.Progress)}
	switch w.Status {
	case statusSuccess:
		return done(t, w, o)
	case statusFailure:
		t.Status = domain.TaskFailed
		t.Failure, t.Charged = failure(w.FailReason)
	case statusCanceled:
		t.Status, t.Charged = domain.TaskFailed, true
		t.Failure = domain.MissingPart("The picture was given up at Midjourney", errors.New("task canceled"))
	default:
		t.Again, t.Message = pollAfter, waiting
		if t.Progress > 0 {
			t.Message = "Midjourney is working"
		}
	}
	return t
}

// done has the picture of a task that succeeded. Four in one are no result: the next stage takes one out.
func done(t domain.GeneratorTask, w wireTask, o domain.GenerationOrder) domain.GeneratorTask {
	switch {
	case o.Stage == stageImagine:
	case w.ImageURL == "":
		t.Status, t.Charged = domain.TaskFailed, true
		t.Failure = domain.MissingPart("Midjourney made no picture", errors.New("imageUrl is missing"))
		return t
	default:
		t.Files = []domain.GeneratedFile{{Format: formatOf(w.ImageURL), URL: w.ImageURL, Attributes: map[string]any{"seed": o.Seed}}}
	}
	t.Status, t.Progress = domain.TaskDone, 100
	return t
}

// formatOf reads the format from an address: it may be webp, too.
func formatOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return format
	}
	switch strings.ToLower(path.Ext(u.Path)) {
	case ".webp":
		return "webp"
	case ".jpg", ".jpeg":
		return "jpg"
	default:
		return format
	}
}

func percent(progress string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(progress, "%"))
	if err != nil {
		return 0
	}
	return min(max(n, 0), 100)
}

// failure words why a task failed, and reports whether it was paid: what Midjourney refuses it does not charge, what it began it may. The
// reason is not passed on: it may repeat the description, or speak of somebody's account.
func failure(reason string) (e *domain.Error, charged bool) {
	cause := errors.New("task failed")
	switch {
	case upstream.HasWord(reason, "banned", "moderat", "敏感词"):
		return &domain.Error{
			Kind: domain.BadRequest, Code: domain.CodeContentFilter, Message: "The content filter of Midjourney refused the description", Cause: cause,
		}, false
	case upstream.HasWord(reason, "[invalid"):
		return domain.NewError(domain.BadRequest, "Midjourney can't make a picture of this description; word it differently"), false
	default:
		return domain.MissingPart("Midjourney failed to make the picture", cause), true
	}
}
