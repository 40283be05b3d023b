package domain

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// BuildPrompt puts the messages for a model together: the persona's prompt, the system prompts that what is new starts with, as much
// of the history as fits, then the rest of what is new. The window is the model's context in tokens, of which a quarter is left for
// the answer; 0 means it is not known and all goes out.
func BuildPrompt(persona string, history []Message, fresh []PromptMessage, window int) []PromptMessage {
	budget := -1
	if window > 0 {
		budget = window*3/4 - EstimateTokens(utf8.RuneCountInString(persona))
		for _, m := range fresh {
			budget -= m.estimate()
		}
	}
	kept := fitHistory(history, budget, window > 0)
	messages := make([]PromptMessage, 0, 1+len(kept)+len(fresh))
	if persona != "" {
		messages = append(messages, PromptMessage{Role: RoleSystem, Content: persona})
	}
	system := leadingSystem(fresh)
	messages = append(messages, fresh[:system]...)
	for _, m := range kept {
		messages = append(messages, PromptMessage{Role: m.Role, Content: m.Content})
	}
	return append(messages, fresh[system:]...)
}

// leadingSystem counts the system prompts in front. Behind a history, some providers would refuse them.
func leadingSystem(messages []PromptMessage) int {
	for i, m := range messages {
		if m.Role != RoleSystem && m.Role != RoleDeveloper {
			return i
		}
	}
	return len(messages)
}

// fitHistory keeps the newest messages that fit. It starts with a question and has no empty messages, since some providers refuse an
// answer in front or a message without text.
func fitHistory(history []Message, budget int, bounded bool) []Message {
	empty := func(m Message) bool { return strings.TrimSpace(m.Content) == "" }
	if slices.ContainsFunc(history, empty) {
		history = slices.DeleteFunc(slices.Clone(history), empty)
	}
	first := len(history)
	for first > 0 {
		cost := EstimateTokens(utf8.RuneCountInString(history[first-1].Content))
		if bounded && cost > budget {
			break
		}
		budget -= cost
		first--
	}
	for first < len(history) && history[first].Role != RoleUser {
		first++
	}
	return history[first:]
}

// Text is the text of a message, whichever form it has.
func (m PromptMessage) Text() string {
	text := m.Content
	for _, p := range m.Parts {
		text += p.Text
	}
	return text
}

func (m PromptMessage) estimate() int {
	chars := utf8.RuneCountInString(m.Text())
	for _, c := range m.ToolCalls {
		chars += len(c.Arguments)
	}
	return EstimateTokens(chars)
}
