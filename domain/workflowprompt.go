package domain

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Ratings that a critic gives, the best first.
const (
	RatingExcellent = "excellent"
	RatingGood      = "good"
	RatingFair      = "fair"
	RatingPoor      = "poor"
)

// ratings is in the order of the schema: what only knows the schema takes the first.
var ratings = []string{RatingExcellent, RatingGood, RatingFair, RatingPoor}

// Words of plans and routes.
const (
	planFinished = "finished"
	planWorking  = "working"
)

var confidences = []string{"high", "medium", "low"}

// MaxPlanTasks is how many tasks a planner can give out at once.
const MaxPlanTasks = 16

// TaskPrompt is what an agent is told: its instruction, and the task with its input.
func TaskPrompt(instruction, task string, input map[string]any) []PromptMessage {
	return []PromptMessage{{Role: RoleSystem, Content: instruction}, {Role: RoleUser, Content: task + inputText(input)}}
}

func inputText(input map[string]any) string {
	if len(input) == 0 {
		return ""
	}
	data, err := json.Marshal(input)
	if err != nil {
		return "" // it came as JSON
	}
	return "\n\nThe input for this, as JSON:\n" + string(data)
}

// RoutePrompt asks who of the agents takes a task.
func RoutePrompt(agents []Agent, task string, input map[string]any) ([]PromptMessage, *ResponseFormat) {
	schema := object(
		property{"agent", oneOf(names(agents))},
		property{"confidence", oneOf(confidences)},
		property{"reasoning", text("why this agent, in a sentence or two")},
	)
	return TaskPrompt("You hand tasks to the agent that suits them best. Do not work on the task yourself: read what it asks for, compare that with "+
		"what each agent is for, and name one.\n\n"+roster(agents)+
		"\nAnswer with one JSON object: \"agent\" is a name from the list, exactly as it stands there; \"confidence\" is high, medium or low; "+
		"\"reasoning\" says why, briefly.", task, input), jsonAnswer("route", schema)
}

// PlanPrompt begins the talk with a planner. It goes on with the planner's answers and PlanResults in turn.
func PlanPrompt(agents []Agent, task string, input map[string]any, rounds int) ([]PromptMessage, *ResponseFormat) {
	schema := object(
		property{"status", oneOf([]string{planFinished, planWorking})},
		property{"answer", text("the final answer when the status is finished, else empty")},
		property{"tasks", map[string]any{"type": "array", "items": object(
			property{"agent", oneOf(names(agents))}, property{"task", text("everything that the agent has to know")},
		)}},
	)
	return TaskPrompt(fmt.Sprintf("You lead a team. Split what the user wants into tasks for the agents of your team, look at what they bring back, and go "+
		"on until you can answer.\n\n%s\nAgents see nothing but the text of their task: put everything into it that they need, results of "+
		"earlier tasks included. Tasks of one plan are worked on at the same time, at most %d of them, so a task that needs the result of "+
		"another one belongs into a later plan. You can make %d plans.\n\n"+
		"Answer with one JSON object: {\"status\": \"working\", \"answer\": \"\", \"tasks\": [{\"agent\": \"…\", \"task\": \"…\"}]} to have tasks "+
		"done, or {\"status\": \"finished\", \"answer\": \"…\", \"tasks\": []} with the complete answer for the user.",
		roster(agents), MaxPlanTasks, rounds), task, input), jsonAnswer("plan", schema)
}

// TaskResult is what came of one task.
type TaskResult struct {
	Agent  string `json:"agent"`
	Result string `json:"result"`
}

// PlanResults tells the planner what came of its tasks. Results are JSON, so that none of them can pass for something else.
func PlanResults(results []TaskResult, left int) string {
	var b strings.Builder
	b.WriteString("What came of the tasks of your last plan, in their order, one JSON object a line:\n")
	for _, r := range results {
		b.Write(jsonLine(r))
	}
	if left == 1 {
		b.WriteString("\nThis is the last time that you are asked: finish now, with the best answer that these results allow.")
	} else {
		b.WriteString("\nMake the next plan, or finish.")
	}
	return b.String()
}

// CombinePrompt asks for one answer out of several results. The task is quoted: it was for others.
func CombinePrompt(task string, input map[string]any, results []TaskResult) []PromptMessage {
	var b strings.Builder
	b.WriteString("The task was:\n\n" + quoted(task+inputText(input)) + "\n\nThe results, one JSON object a line:\n")
	for _, r := range results {
		b.Write(jsonLine(r))
	}
	return []PromptMessage{
		{Role: RoleSystem, Content: "Several agents have worked on the same task. Make one answer of what they found: complete, without repetition, " +
			"and plain about where they contradict each other. Write the answer itself, and nothing about agents or results."},
		{Role: RoleUser, Content: b.String()},
	}
}

// JudgePrompt begins the talk with a critic, about the first draft. It goes on with the critic's answers and NextDraft in turn.
func JudgePrompt(instruction, task string, input map[string]any, draft string) ([]PromptMessage, *ResponseFormat) {
	schema := object(property{"rating", oneOf(ratings)}, property{"feedback", text("what to change, concretely; empty when there is nothing")})
	messages := TaskPrompt(instruction+"\n\nYou are shown a task and a draft of its result. Judge the draft by whether it does what the task asks for. "+
		"Answer with one JSON object: \"rating\" is excellent, good, fair or poor; \"feedback\" says what has to change for a better rating.", task, input)
	messages[1].Content += "\n\nThe draft:\n\n" + quoted(draft)
	return messages, jsonAnswer("judgement", schema)
}

// NextDraft shows the critic what has become of the draft.
func NextDraft(draft string) string {
	return "The next draft:\n\n" + quoted(draft) + "\n\nJudge it in the same way."
}

// Feedback tells the writer what the critic has said.
func Feedback(j Judgement) string {
	return "Your draft was rated " + j.Rating + ". What to change:\n\n" + quoted(j.Feedback) + "\n\nWrite it anew, whole, and only that."
}

// RepairPrompt asks once more for an answer that could not be used.
func RepairPrompt(fault error) string {
	return "That answer can't be used: " + fault.Error() + ". Answer again, with nothing but the JSON object that was asked for."
}

func roster(agents []Agent) string {
	var b strings.Builder
	b.WriteString("The agents:\n")
	for _, a := range agents {
		b.WriteString("- " + a.Name + ": " + strings.Join(strings.Fields(a.Description), " ") + "\n")
	}
	return b.String()
}

func names(agents []Agent) []string {
	list := make([]string, 0, len(agents))
	for _, a := range agents {
		list = append(list, a.Name)
	}
	return list
}

// quoted marks each line as something that was said elsewhere.
func quoted(s string) string { return "> " + strings.ReplaceAll(s, "\n", "\n> ") }

func jsonLine(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return nil // texts can always be written
	}
	return append(data, '\n')
}

type property struct {
	name   string
	schema map[string]any
}

// object is a schema as strict modes of providers want it: everything is required, and there is nothing else.
func object(properties ...property) map[string]any {
	all, required := map[string]any{}, make([]any, 0, len(properties))
	for _, p := range properties {
		all[p.name] = p.schema
		required = append(required, p.name)
	}
	return map[string]any{"type": "object", "properties": all, "required": required, "additionalProperties": false}
}

func oneOf(words []string) map[string]any {
	list := make([]any, 0, len(words))
	for _, w := range words {
		list = append(list, w)
	}
	return map[string]any{"type": "string", "enum": list}
}

func text(about string) map[string]any { return map[string]any{"type": "string", "description": about} }

func jsonAnswer(name string, schema map[string]any) *ResponseFormat {
	return &ResponseFormat{Type: "json_schema", Schema: map[string]any{"name": name, "strict": true, "schema": schema}}
}
