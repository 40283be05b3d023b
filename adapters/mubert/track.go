package mubert

import (
	"errors"
	"time"

	"gaia/domain"
)

// pollAfter is how often a track is asked for: a minute of music takes some seconds.
const pollAfter = 3 * time.Second

// wireTrack is a track as Mubert shows it. In lists and in the answer to an order its generations have no url, or it has none at all.
type wireTrack struct {
	ID          string           `json:"id"`
	Prompt      string           `json:"prompt"`
	Duration    int              `json:"duration"`
	Mode        string           `json:"mode"`
	Key         string           `json:"key"`
	BPM         int              `json:"bpm"`
	CreatedAt   string           `json:"created_at"`
	Generations []wireGeneration `json:"generations"`
}

// wireGeneration is a track as one file.
type wireGeneration struct {
	Format    string `json:"format"`
	Status    string `json:"status"` // processing, done or failed; instructions of Mubert call the second completed
	URL       string `json:"url"`
	ExpiredAt string `json:"expired_at"`
}

// task says in the words of the domain how far a track is.
func task(w wireTrack, r domain.AssetRequest, now time.Time) domain.GeneratorTask {
	t := domain.GeneratorTask{ID: w.ID, Status: domain.TaskRunning, Message: "Mubert is working", Again: pollAfter}
	g, ok := w.generation(wanted(r))
	switch {
	case !ok:
	case g.Status == "failed":
		return failed(t, "Mubert failed to make the track", "generation failed")
	case g.expired(now):
		return failed(t, "The track is no longer at Mubert", "generation expired")
	case (g.Status == "done" || g.Status == "completed") && g.URL != "":
		t.Status, t.Progress, t.Message, t.Again = domain.TaskDone, 100, "", 0
		t.Files = []domain.GeneratedFile{{Format: g.Format, URL: g.URL, Attributes: w.facts()}}
	}
	return t
}

// failed is a task without a result. Nothing that Mubert publishes says that it does not count: so it is taken to have been paid.
func failed(t domain.GeneratorTask, message, cause string) domain.GeneratorTask {
	t.Status, t.Charged, t.Message, t.Again = domain.TaskFailed, true, "", 0
	t.Failure = domain.MissingPart(message, errors.New(cause))
	return t
}

// generation is the newest one of a format.
func (w wireTrack) generation(format string) (wireGeneration, bool) {
	for i := len(w.Generations) - 1; i >= 0; i-- {
		if w.Generations[i].Format == format {
			return w.Generations[i], true
		}
	}
	return wireGeneration{}, false
}

// expired reports whether the file is gone: then it is done, and has no link for ever.
func (g wireGeneration) expired(now time.Time) bool {
	at, err := time.Parse(time.RFC3339, g.ExpiredAt)
	return err == nil && g.URL == "" && at.Before(now)
}

func (w wireTrack) facts() map[string]any {
	facts := map[string]any{}
	if w.Mode != "" {
		facts["mode"] = w.Mode
	}
	if w.BPM > 0 {
		facts["bpm"] = w.BPM
	}
	if w.Key != "" {
		facts["key"] = w.Key
	}
	return facts
}

// wireAnswer is a track by itself. The description of the API puts it into data, the instructions don't.
type wireAnswer struct {
	wireTrack
	Data *wireTrack `json:"data"`
}

func (w wireAnswer) track() wireTrack {
	if w.Data != nil {
		return *w.Data
	}
	return w.wireTrack
}
