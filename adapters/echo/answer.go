package echo

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"gaia/domain"
)

// maxQuote bounds, in characters, what is repeated of one message: an answer must not grow with the size of a request body.
const maxQuote = 1000

// personaName finds the name in prompts that begin like "You are Mu, a cheerful robot" and none in "You are a helpful assistant".
var personaName = regexp.MustCompile(`(?i:\byou are )([\p{Lu}\p{Lo}][\p{L}\p{M}\p{N}'’_-]*(?: [\p{Lu}\p{Lo}][\p{L}\p{M}\p{N}'’_-]*){0,4})`)

// answer works out every step of the answer to a prompt.
func answer(p domain.Prompt) ([]domain.Delta, error) {
	usage := domain.Usage{Input: domain.EstimateTokens(inputChars(p.Messages))}
	if r := scriptedRound(p.Messages); r != nil {
		if steps := r.play(p, usage); steps != nil {
			return steps, nil
		}
	}
	results := toolResults(p.Messages)
	if len(results) == 0 { // after a tool has spoken, calling it again would never end
		tool, err := toolToCall(p)
		if err != nil {
			return nil, err
		}
		if tool != nil {
			call, err := exampleCall(*tool)
			if err != nil {
				return nil, err
			}
			return callSteps("", []scriptedCall{call}, len(conversation(p.Messages)), usage), nil
		}
	}
	text, err := format(p.ResponseFormat, compose(p.Messages, results))
	if err != nil {
		return nil, err
	}
	return textSteps(text, p, usage), nil
}

func textSteps(text string, p domain.Prompt, usage domain.Usage) []domain.Delta {
	pieces := words(cutAtStop(text, p.Stop))
	finish := domain.FinishStop
	if p.MaxTokens != nil && len(pieces) > max(*p.MaxTokens, 0) {
		pieces, finish = pieces[:max(*p.MaxTokens, 0)], domain.FinishLength
	}
	chars := 0
	steps := make([]domain.Delta, 0, len(pieces)+1)
	for _, piece := range pieces {
		chars += utf8.RuneCountInString(piece)
		steps = append(steps, domain.Delta{Content: piece})
	}
	usage.Output = domain.EstimateTokens(chars)
	if p.MaxTokens != nil {
		usage.Output = min(usage.Output, max(*p.MaxTokens, 0)) // long words must not seem to break the caller's limit
	}
	return append(steps, domain.Delta{Finish: finish, Usage: &usage})
}

// compose writes the sentences of the answer.
func compose(messages []domain.PromptMessage, results []string) string {
	said, images := lastUser(messages)
	sentences := []string{introduction(messages)}
	switch {
	case len(results) > 0:
		sentences = append(sentences, "The tool said: "+strings.Join(results, " and ")+".")
	case strings.TrimSpace(said) == "":
		sentences = append(sentences, "You said nothing.")
	default:
		sentences = append(sentences, "You said: "+quote(said)+".")
	}
	if images == 1 {
		sentences = append(sentences, "I also received 1 image.")
	} else if images > 1 {
		sentences = append(sentences, fmt.Sprintf("I also received %d images.", images))
	}
	sentences = append(sentences, fmt.Sprintf("This is message %d of our conversation.", len(conversation(messages))))
	return strings.Join(sentences, " ")
}

// introduction proves which system prompt arrived: by the persona's name, else by its length.
func introduction(messages []domain.PromptMessage) string {
	chars := 0
	for _, m := range messages {
		if !isSystem(m) {
			continue
		}
		text := textOf(m)
		if found := personaName.FindStringSubmatch(text); found != nil {
			return found[1] + " here, running offline as the echo model."
		}
		chars += utf8.RuneCountInString(text)
	}
	if chars == 0 {
		return "The echo model here, running offline without a system prompt."
	}
	return fmt.Sprintf("The echo model here, running offline with a system prompt of %d characters.", chars)
}

// lastUser returns what the user said last, and with how many images.
func lastUser(messages []domain.PromptMessage) (text string, images int) {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role != domain.RoleUser {
			continue
		}
		for _, part := range messages[i].Parts {
			if part.ImageURL != "" {
				images++
			}
		}
		return textOf(messages[i]), images
	}
	return "", 0
}

// toolResults returns what tools said since the model last spoke, quoted.
func toolResults(messages []domain.PromptMessage) []string {
	first := len(messages)
	for first > 0 && (messages[first-1].Role == domain.RoleTool || messages[first-1].Role == domain.RoleFunction) {
		first--
	}
	results := make([]string, 0, len(messages)-first)
	for _, m := range messages[first:] {
		results = append(results, quote(textOf(m)))
	}
	return results
}

// format wraps the answer as the JSON that the caller asked for.
func format(f *domain.ResponseFormat, text string) (string, error) {
	var value any
	switch {
	case f != nil && f.Type == "json_object":
		value = map[string]any{"response": text}
	case f != nil && f.Type == "json_schema":
		schema, _ := f.Schema["schema"].(map[string]any)
		value = example(schema, 0)
	default:
		return text, nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("echo: write the answer as JSON: %w", err)
	}
	return string(encoded), nil
}

// words cuts a text after each run of white space: joined, the pieces are the text again.
func words(text string) []string {
	var pieces []string
	start, inSpace := 0, false
	for i, r := range text {
		space := unicode.IsSpace(r)
		if inSpace && !space {
			pieces = append(pieces, text[start:i])
			start = i
		}
		inSpace = space
	}
	if start < len(text) {
		pieces = append(pieces, text[start:])
	}
	return pieces
}

func cutAtStop(text string, stops []string) string {
	end := len(text)
	for _, stop := range stops {
		if i := strings.Index(text, stop); i >= 0 && stop != "" {
			end = min(end, i)
		}
	}
	return text[:end]
}

func quote(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) > maxQuote {
		s = string([]rune(s)[:maxQuote]) + "…"
	}
	return `"` + s + `"`
}

func textOf(m domain.PromptMessage) string {
	if len(m.Parts) == 0 {
		return m.Content
	}
	texts := make([]string, 0, len(m.Parts))
	for _, part := range m.Parts {
		if part.Text != "" {
			texts = append(texts, part.Text)
		}
	}
	return strings.Join(texts, " ")
}

func isSystem(m domain.PromptMessage) bool {
	return m.Role == domain.RoleSystem || m.Role == domain.RoleDeveloper
}

func conversation(messages []domain.PromptMessage) []domain.PromptMessage {
	talk := make([]domain.PromptMessage, 0, len(messages))
	for _, m := range messages {
		if !isSystem(m) {
			talk = append(talk, m)
		}
	}
	return talk
}

func inputChars(messages []domain.PromptMessage) int {
	chars := 0
	for _, m := range messages {
		chars += utf8.RuneCountInString(textOf(m))
		for _, call := range m.ToolCalls {
			chars += utf8.RuneCountInString(call.Name) + utf8.RuneCountInString(call.Arguments)
		}
	}
	return chars
}
