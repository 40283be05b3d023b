package openai

import (
	"crypto/rand"
	"crypto/sha256"
	"regexp"
	"strings"

	"gaia/domain"
)

// Dialect is how a provider departs from OpenAI's format.
type Dialect uint8

// The dialects. Standard is also right for servers that only offer the format, such as Ollama and vLLM.
const (
	Standard Dialect = iota
	Gemini           // Google's, at generativelanguage.googleapis.com/v1beta/openai
	Mistral          // Mistral's, at api.mistral.ai/v1
)

// maxMistralTemperature is the hottest that Mistral takes; OpenAI goes up to 2.
const maxMistralTemperature = 1.5

// adapt changes a request to what the dialect accepts. Both of these providers refuse a request that has a field they do not know.
func (d Dialect) adapt(r *request, p domain.Prompt) {
	switch d {
	case Gemini:
		adaptToGemini(r)
	case Mistral:
		adaptToMistral(r, p)
	case Standard:
	}
}

// adaptToGemini leaves out what has no counterpart in Google's own format.
func adaptToGemini(r *request) {
	r.Seed, r.PresencePenalty, r.FrequencyPenalty, r.User, r.ParallelToolCalls = nil, nil, nil, "", nil
	useSystemOnly(r)
	for i := range r.Tools {
		r.Tools[i].Function.Strict = nil
	}
	if thoughtless.MatchString(r.Model) {
		return
	}
	for _, m := range r.Messages {
		for i := range m.ToolCalls {
			m.ToolCalls[i].Extra = unsigned()
		}
	}
}

// thoughtless are the models that do not ask for the signatures of their thoughts.
var thoughtless = regexp.MustCompile(`(^|/)gemini-[12]\b`)

type extraContent struct {
	Google struct {
		ThoughtSignature string `json:"thought_signature"`
	} `json:"google"`
}

// unsigned goes with every tool call of the history. Gemini signs its thoughts and refuses calls that come back without; clients of
// OpenAI's format have no place to keep signatures, and this word is what Google provides for calls that lost theirs.
func unsigned() *extraContent {
	var e extraContent
	e.Google.ThoughtSignature = "skip_thought_signature_validator"
	return &e
}

func adaptToMistral(r *request, p domain.Prompt) {
	r.StreamOptions = nil // the usage always comes
	r.RandomSeed, r.Seed, r.User = r.Seed, nil, ""
	r.MaxTokens, r.MaxCompletionTokens = p.MaxTokens, nil
	if r.Temperature != nil {
		t := min(*r.Temperature, maxMistralTemperature)
		r.Temperature = &t
	}
	if r.ToolChoice == "required" {
		r.ToolChoice = "any"
	}
	useSystemOnly(r)
	for i := range r.Tools {
		if f := &r.Tools[i].Function; f.Parameters == nil { // it must be there
			f.Parameters = map[string]any{"type": "object", "properties": map[string]any{}}
		}
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		if m.ToolCallID != "" {
			m.ToolCallID = mistralID(m.ToolCallID)
		}
		for j := range m.ToolCalls {
			m.ToolCalls[j].ID = mistralID(m.ToolCalls[j].ID)
		}
	}
}

// useSystemOnly takes away what only OpenAI has in messages: developers, and names of those who speak.
func useSystemOnly(r *request) {
	for i := range r.Messages {
		m := &r.Messages[i]
		m.Name = ""
		if m.Role == domain.RoleDeveloper {
			m.Role = domain.RoleSystem
		}
	}
}

// Ids of tool calls that Mistral takes back.
const mistralIDLength = 9

var mistralIDs = regexp.MustCompile(`^[a-zA-Z0-9]{9}$`)

// mistralID makes an id that Mistral accepts out of any, always the same one: a call and its result have to fit.
func mistralID(id string) string {
	if mistralIDs.MatchString(id) {
		return id
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	sum := sha256.Sum256([]byte(id))
	short := make([]byte, mistralIDLength)
	for i := range short {
		short[i] = letters[int(sum[i])%len(letters)]
	}
	return string(short)
}

// newID makes an id for a tool call that came without one.
func (d Dialect) newID() string {
	if d == Mistral {
		return rand.Text()[:mistralIDLength]
	}
	return "call_" + rand.Text()
}

// finish corrects a finish reason: Gemini says "stop" when it wants tools to be called.
func (d Dialect) finish(reason domain.FinishReason, calls int) domain.FinishReason {
	if d == Gemini && reason == domain.FinishStop && calls > 0 {
		return domain.FinishToolCalls
	}
	return reason
}

// finishWord is a provider's word in small letters, without the detail that Gemini appends: "content_filter: RECITATION".
func finishWord(s string) string {
	word, _, _ := strings.Cut(s, ":")
	return strings.ToLower(strings.TrimSpace(word))
}
