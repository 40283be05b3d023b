package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Route is who takes a task, and why.
type Route struct {
	Agent      string `json:"agent"`
	Confidence string `json:"confidence"` // high, medium or low; empty when the model has said something else
	Reasoning  string `json:"reasoning"`
}

// Plan is what a planner wants done next, or its answer.
type Plan struct {
	Finished bool
	Answer   string
	Tasks    []PlanTask
}

// PlanTask is one task of a plan.
type PlanTask struct {
	Agent string `json:"agent"`
	Task  string `json:"task"`
}

// Judgement is what a critic says about a draft.
type Judgement struct {
	Rating   string `json:"rating"`
	Feedback string `json:"feedback"`
}

// GoodEnough reports whether a draft needs no other one.
func (j Judgement) GoodEnough() bool { return j.Rating == RatingExcellent || j.Rating == RatingGood }

// Better reports whether a draft was rated higher than another.
func (j Judgement) Better(than Judgement) bool {
	return slices.Index(ratings, j.Rating) < slices.Index(ratings, than.Rating)
}

// ParseRoute reads what a model answers to RoutePrompt.
func ParseRoute(answer string, agents []string) (Route, error) {
	var route Route
	err := eachObject(answer, func(data []byte) error {
		var r Route
		if err := json.Unmarshal(data, &r); err != nil {
			return plainJSONError(err)
		}
		name, err := pick("agent", r.Agent, agents)
		if err != nil {
			return err
		}
		r.Agent = name
		if r.Confidence, err = pick("confidence", r.Confidence, confidences); err != nil {
			r.Confidence = ""
		}
		route = r
		return nil
	})
	return route, err
}

// ParsePlan reads what a model answers in the talk that PlanPrompt begins.
func ParsePlan(answer string, agents []string) (Plan, error) {
	var plan Plan
	err := eachObject(answer, func(data []byte) error {
		var p struct {
			Status string     `json:"status"`
			Answer string     `json:"answer"`
			Tasks  []PlanTask `json:"tasks"`
		}
		if err := json.Unmarshal(data, &p); err != nil {
			return plainJSONError(err)
		}
		status, err := pick("status", p.Status, []string{planFinished, planWorking})
		switch {
		case err != nil:
			return err
		case status == planFinished && strings.TrimSpace(p.Answer) == "":
			return errors.New("\"answer\" is empty although the status is finished")
		case status == planFinished:
			plan = Plan{Finished: true, Answer: p.Answer}
			return nil
		}
		plan.Tasks, err = planTasks(p.Tasks, agents)
		return err
	})
	return plan, err
}

func planTasks(tasks []PlanTask, agents []string) ([]PlanTask, error) {
	switch {
	case len(tasks) == 0:
		return nil, errors.New("there are no tasks although the status is working")
	case len(tasks) > MaxPlanTasks:
		return nil, fmt.Errorf("there are %d tasks, and there can be %d", len(tasks), MaxPlanTasks)
	}
	list := make([]PlanTask, 0, len(tasks))
	for i, t := range tasks {
		name, err := pick(fmt.Sprintf("agent of task %d", i+1), t.Agent, agents)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(t.Task) == "" {
			return nil, fmt.Errorf("task %d is empty", i+1)
		}
		list = append(list, PlanTask{name, t.Task})
	}
	return list, nil
}

// ParseJudgement reads what a model answers in the talk that JudgePrompt begins.
func ParseJudgement(answer string) (Judgement, error) {
	var judgement Judgement
	err := eachObject(answer, func(data []byte) error {
		var j Judgement
		err := json.Unmarshal(data, &j)
		if err != nil {
			return plainJSONError(err)
		}
		if j.Rating, err = pick("rating", j.Rating, ratings); err == nil {
			judgement = j
		}
		return err
	})
	return judgement, err
}

// pick finds a word among those that are allowed, whatever its case.
func pick(what, word string, allowed []string) (string, error) {
	word = strings.TrimSpace(word)
	for _, a := range allowed {
		if strings.EqualFold(a, word) {
			return a, nil
		}
	}
	if runes := []rune(word); len(runes) > 50 {
		word = string(runes[:50]) + "…"
	}
	return "", fmt.Errorf("%q is %q, and must be one of %s", what, word, strings.Join(allowed, ", "))
}

// maxObjects is how many places of an answer are tried that look like the beginning of an object.
const maxObjects = 32

// eachObject hands the JSON objects of a text to use until one suits it: models put them into code fences, and talk before and after.
func eachObject(text string, use func([]byte) error) error {
	var first error
	for range maxObjects {
		at := strings.IndexByte(text, '{')
		if at < 0 {
			break
		}
		text = text[at:]
		var raw json.RawMessage
		if json.NewDecoder(strings.NewReader(text)).Decode(&raw) != nil {
			text = text[1:]
			continue
		}
		err := use(raw)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
		text = text[len(raw):]
	}
	if first == nil {
		first = errors.New("there is no JSON object in it")
	}
	return first
}

// plainJSONError says what is wrong without words of Go.
func plainJSONError(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Errorf("%q must not be a JSON %s", wrong.Field, wrong.Value)
	}
	return errors.New("it is not the object that was asked for")
}
