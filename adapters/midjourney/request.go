package midjourney

import (
	"fmt"
	"strings"

	"gaia/adapters/internal/picture"
	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// maxPrompt is in characters, parameters included: it is what Discord takes as one option of a command.
const maxPrompt = 6000

// format is what Midjourney makes.
const format = "png"

var aspectRatios = map[picture.Shape]string{picture.Landscape: "3:2", picture.Portrait: "2:3"} // it makes squares by itself

// wireImagine orders four pictures in one.
type wireImagine struct {
	Prompt     string `json:"prompt"`
	NotifyHook string `json:"notifyHook,omitempty"`
	State      string `json:"state"`
}

// wireChange orders one picture out of four.
type wireChange struct {
	Action     string `json:"action"`
	Index      int    `json:"index"`
	TaskID     string `json:"taskId"`
	NotifyHook string `json:"notifyHook,omitempty"`
	State      string `json:"state"`
}

// request is where the order of a stage goes, and its body, or says why Midjourney would not take it.
func request(o domain.GenerationOrder) (path string, body any, err error) {
	wanted := o.Request.Format
	switch {
	case o.Base != nil:
		return "", nil, domain.NewError(domain.BadRequest, name+" does not adapt assets")
	case wanted != "" && wanted != format:
		return "", nil, domain.NewError(domain.BadRequest, fmt.Sprintf("%s makes no %s files; ask for %s", name, wanted, format))
	case o.Stage == stageImagine:
		return "/mj/submit/imagine", wireImagine{Prompt: prompt(o), NotifyHook: o.Notify, State: o.Token}, nil
	case o.Stage == stageUpscale && o.Previous != "":
		return "/mj/submit/change", wireChange{Action: "UPSCALE", Index: 1, TaskID: o.Previous, NotifyHook: o.Notify, State: o.Token}, nil
	default:
		return "", nil, fmt.Errorf("midjourney: the stage %q after the task %q makes no sense", o.Stage, o.Previous)
	}
}

// prompt is a text, and parameters behind it.
func prompt(o domain.GenerationOrder) string {
	parameters := fmt.Sprintf(" --seed %d", o.Seed)
	if ratio := aspectRatios[picture.ShapeOf(o.Request)]; ratio != "" {
		parameters += " --ar " + ratio
	}
	if o.Request.Category == domain.AssetTexture {
		parameters += " --tile"
	}
	r := o.Request
	r.Description, r.Style = plain(r.Description), plain(r.Style)
	return picture.Text(r, maxPrompt-len(parameters)) + parameters
}

// plain takes out of a text what Midjourney would not read as words: parameters (--repeat 40 would cost forty times as much), alternatives
// in braces (which cost as much each), weights and addresses of pictures.
func plain(text string) string {
	text = strings.NewReplacer("{", "(", "}", ")", "::", " ", "—", "-", "–", "-", "―", "-").Replace(text)
	var words []string
	for word := range strings.FieldsSeq(text) {
		word = strings.TrimLeft(word, "-<")
		for strings.Contains(word, "--") {
			word = strings.ReplaceAll(word, "--", "-")
		}
		if word != "" && !strings.Contains(word, "://") {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// What the proxy answers to an order.
const (
	codeOK       = 1
	codeNotFound = 3 // no account, or the task before
	codeInvalid  = 4
	codeExists   = 21
	codeQueued   = 22
	codeFull     = 23
	codeBanned   = 24
)

// wireSubmitted is the answer to an order.
type wireSubmitted struct {
	Code        int    `json:"code"`
	Description string `json:"description"`
	Result      string `json:"result"`
}

// submitted says what the answer to an order means. What is not certainly a refusal leaves open whether it was taken.
func (g *Generator) submitted(w wireSubmitted, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	r := upstream.Refusal{Provider: name, Key: g.key, Said: upstream.Said{Code: fmt.Sprint(w.Code), Message: w.Description}}
	switch w.Code {
	case codeOK, codeExists, codeQueued:
		if w.Result == "" {
			return domain.GeneratorTask{}, g.api.Unknown(fmt.Errorf("code %d without a task", w.Code))
		}
		return domain.GeneratorTask{ID: w.Result, Status: domain.TaskRunning, Message: waiting, Again: pollAfter}, nil
	case codeNotFound:
		if o.Stage == stageUpscale {
			lost := domain.MissingPart(name+" does not have the pictures any more", fmt.Errorf("code %d", w.Code))
			return domain.GeneratorTask{ID: o.Token, Status: domain.TaskFailed, Failure: lost}, nil
		}
		return domain.GeneratorTask{}, r.Unavailable()
	case codeInvalid:
		return domain.GeneratorTask{}, r.RefusedOrder()
	case codeFull:
		return domain.GeneratorTask{}, r.Overloaded()
	case codeBanned:
		return domain.GeneratorTask{}, r.FilteredOrder()
	default:
		return domain.GeneratorTask{}, g.api.Unknown(fmt.Errorf("code %d", w.Code))
	}
}
