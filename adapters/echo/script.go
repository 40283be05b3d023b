package echo

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gaia/domain"
)

// A script is what a user wants the model to do, line by line, so that tools and agents can be tried without a real model:
//
//	/call TOOL {"json": "arguments"}   call a tool; several in one round are calls at once
//	/say TEXT                          say something
//	/json {"any": "JSON"}              the answer where JSON is asked for
//	/then                              what follows is for the next round
//
// A round is one answer of the model: the first one answers the message with the script, each one after it what came back since. When no
// round is left, the model talks as always.
type round struct {
	calls []scriptedCall
	text  string
	json  string
}

type scriptedCall struct{ tool, arguments string }

// maxCalls bounds the calls of one round.
const maxCalls = 32

// scriptedRound is what the last script among the messages says about the answer to them; nil when there is none, or it is over.
func scriptedRound(messages []domain.PromptMessage) *round {
	var answers []domain.PromptMessage // to the script, the last one first
	for i := len(messages) - 1; i >= 0; i-- {
		switch messages[i].Role {
		case domain.RoleAssistant:
			answers = append(answers, messages[i])
		case domain.RoleUser:
			if rounds := parseScript(textOf(messages[i])); rounds != nil {
				return next(rounds, answers)
			}
		}
	}
	return nil
}

// next is the round after those that were answered. A history tells of all calls and their results in one answer: then the script is over.
func next(rounds []round, answers []domain.PromptMessage) *round {
	if len(answers) >= len(rounds) {
		return nil
	}
	for i := range answers {
		if len(rounds[i].calls) > 0 && len(answers[len(answers)-1-i].ToolCalls) == 0 {
			return nil
		}
	}
	return &rounds[len(answers)]
}

// parseScript returns nil for a text without a script.
func parseScript(text string) []round {
	if !strings.Contains(text, "/") {
		return nil
	}
	var rounds []round
	current, found := round{}, false
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		switch {
		case word == "/call" && rest != "":
			tool, arguments, _ := strings.Cut(rest, " ")
			if len(current.calls) < maxCalls {
				current.calls = append(current.calls, scriptedCall{tool, strings.TrimSpace(arguments)})
			}
		case word == "/say" && rest != "":
			current.text = strings.TrimSpace(current.text + "\n" + rest)
		case word == "/json" && rest != "":
			current.json = rest
		case word == "/then" && rest == "":
			rounds, current = append(rounds, current), round{}
		default:
			continue
		}
		found = true
	}
	if !found {
		return nil
	}
	return append(rounds, current)
}

// play works out the answer of a scripted round; nil when it leaves the answer to the model.
func (r *round) play(p domain.Prompt, usage domain.Usage) []domain.Delta {
	text := r.text
	if p.ResponseFormat != nil && p.ResponseFormat.Type != "" && p.ResponseFormat.Type != "text" {
		text = r.json
	} else if text == "" && len(r.calls) == 0 {
		text = r.json
	}
	var calls []scriptedCall
	if p.ToolChoice.Mode != "none" {
		for _, c := range r.calls {
			if hasTool(p.Tools, c.tool) {
				calls = append(calls, c)
			} else {
				text = strings.TrimSpace(text + "\n" + missingTool(c.tool, p.Tools))
			}
		}
	}
	switch {
	case len(calls) > 0:
		return callSteps(text, calls, len(conversation(p.Messages)), usage)
	case text != "":
		return textSteps(text, p, usage)
	default:
		return nil
	}
}

func hasTool(tools []domain.Tool, name string) bool {
	for _, t := range tools {
		if t.Name == name {
			return true
		}
	}
	return false
}

func missingTool(name string, tools []domain.Tool) string {
	names := make([]string, 0, len(tools))
	for _, t := range tools {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return fmt.Sprintf("I can't call %s: I was given no tools.", quote(name))
	}
	return fmt.Sprintf("I can't call %s: I was given %s.", quote(name), strings.Join(names, ", "))
}

// callSteps makes calls arrive in pieces, as real models send them: clients that can't join pieces show it here.
func callSteps(text string, calls []scriptedCall, messageNumber int, usage domain.Usage) []domain.Delta {
	chars := utf8.RuneCountInString(text)
	var steps []domain.Delta
	for _, piece := range words(text) {
		steps = append(steps, domain.Delta{Content: piece})
	}
	for i, c := range calls {
		chars += utf8.RuneCountInString(c.tool) + utf8.RuneCountInString(c.arguments)
		steps = append(steps, domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: i, ID: callID(messageNumber, i), Name: c.tool}}})
		for _, piece := range halves(c.arguments) {
			steps = append(steps, domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: i, Arguments: piece}}})
		}
	}
	usage.Output = domain.EstimateTokens(chars)
	return append(steps, domain.Delta{Finish: domain.FinishToolCalls, Usage: &usage})
}

func callID(messageNumber, index int) string {
	if index == 0 {
		return fmt.Sprintf("call_echo_%d", messageNumber)
	}
	return fmt.Sprintf("call_echo_%d_%d", messageNumber, index)
}

// halves cuts a text in two, between characters.
func halves(s string) []string {
	if s == "" {
		return nil
	}
	middle := len(s) / 2
	for middle < len(s) && !utf8.RuneStart(s[middle]) {
		middle++
	}
	return []string{s[:middle], s[middle:]}
}
