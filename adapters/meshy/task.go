package meshy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gaia/domain"
)

// The states of tasks. Meshy had more, and may again: what is none of these goes on.
const (
	statusPending   = "PENDING"
	statusSucceeded = "SUCCEEDED"
	statusFailed    = "FAILED"
	statusCanceled  = "CANCELED"
	statusExpired   = "EXPIRED" // of older versions: the result is gone
)

// pollAfter is how often Meshy's own examples ask.
const pollAfter = 5 * time.Second

// wireTask is a task as Meshy shows it. Fields that the state does not have are missing.
type wireTask struct {
	ID           string            `json:"id"`
	Type         string            `json:"type"` // text-to-3d-preview, text-to-3d-refine
	Prompt       string            `json:"prompt"`
	Seed         *int64            `json:"seed"`
	Status       string            `json:"status"`
	Progress     int               `json:"progress"`
	Preceding    int               `json:"preceding_tasks"`
	CreatedAt    int64             `json:"created_at"` // milliseconds
	ModelURLs    map[string]string `json:"model_urls"`
	ThumbnailURL string            `json:"thumbnail_url"`
	Error        wireTaskError     `json:"task_error"`
	Credits      *int              `json:"consumed_credits"`
}

type wireTaskError struct {
	Type    string `json:"type"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// task says in the words of the domain how far a task is.
func task(w wireTask, o domain.GenerationOrder) domain.GeneratorTask {
	t := domain.GeneratorTask{ID: w.ID, Status: domain.TaskRunning, Progress: min(max(w.Progress, 0), 100)}
	switch w.Status {
	case statusSucceeded:
		return done(t, w, o)
	case statusFailed:
		t.Status, t.Failure = domain.TaskFailed, w.Error.failure()
		t.Charged = w.Credits != nil && *w.Credits > 0 // Meshy gives credits back for what fails, and says so by a 0
	case statusCanceled, statusExpired:
		t.Status, t.Failure = domain.TaskFailed, domain.MissingPart("The model was given up at Meshy", errors.New("task "+w.Status))
		t.Charged = w.Credits == nil || *w.Credits > 0 // credits come back only for what had not begun
	case statusPending:
		t.Again = pollAfter
		t.Message = "Waiting for Meshy"
		if w.Preceding > 0 {
			t.Message = fmt.Sprintf("Waiting for Meshy: %d before this one", w.Preceding)
		}
	default:
		t.Again, t.Message = pollAfter, "Meshy is working"
	}
	return t
}

// done has the files of a task that succeeded. The last stage has to have the model.
func done(t domain.GeneratorTask, w wireTask, o domain.GenerationOrder) domain.GeneratorTask {
	format := wanted(o.Request)
	all := stages(o.Request)
	model := w.ModelURLs[format]
	if model == "" && o.Stage == all[len(all)-1] {
		t.Status, t.Charged = domain.TaskFailed, true
		t.Failure = domain.MissingPart(fmt.Sprintf("Meshy made no %s file", format), errors.New("model_urls lacks the format"))
		return t
	}
	t.Status, t.Progress = domain.TaskDone, 100
	if model == "" {
		return t
	}
	facts := map[string]any{}
	if w.Seed != nil {
		facts["seed"] = *w.Seed
	}
	t.Files = append(t.Files, domain.GeneratedFile{Format: format, URL: model, Attributes: facts})
	if w.ThumbnailURL != "" {
		t.Files = append(t.Files, domain.GeneratedFile{Format: "png", URL: w.ThumbnailURL, Preview: true})
	}
	return t
}

// failure words why a task failed. What Meshy says is not passed on: it may repeat the description, or speak of its insides.
func (e wireTaskError) failure() *domain.Error {
	cause := fmt.Errorf("task_error type %q, code %q", word(e.Type), word(e.Code))
	switch {
	case e.Code == "moderation_blocked", (e.Type == "invalid_input" || e.Type == "") && saysModeration(e.Message):
		return &domain.Error{
			Kind: domain.BadRequest, Code: domain.CodeContentFilter, Message: "Meshy's content filter refused the description", Cause: cause,
		}
	case e.Code == "image_too_complex":
		return &domain.Error{
			Kind: domain.BadRequest, Message: "The description is too complex for Meshy; ask for a single, simpler object", Cause: cause,
		}
	case e.Type == "invalid_input":
		return &domain.Error{Kind: domain.BadRequest, Message: "Meshy can't make a model of this description; word it differently", Cause: cause}
	case e.Type == "timeout":
		return domain.MissingPart("Meshy took too long to make the model", cause)
	default:
		return domain.MissingPart("Meshy failed to make the model", cause)
	}
}

// saysModeration finds it in the message: Meshy's codes are newer than its filter.
func saysModeration(message string) bool {
	message = strings.ToLower(message)
	for _, w := range []string{"moderation", "safety", "nsfw", "content policy", "harmful"} {
		if strings.Contains(message, w) {
			return true
		}
	}
	return false
}

// word bounds what goes into the log.
func word(s string) string { return s[:min(len(s), 40)] }
