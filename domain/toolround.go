package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ToolLimits bound what one answer may do with tools.
type ToolLimits struct {
	Rounds int           // how often the model gets results to go on with
	Calls  int           // in all rounds together
	AtOnce int           // calls that run at the same time
	Time   time.Duration // from the question on; no call begins or goes on after it
	Tokens int           // of all rounds together; 0: no limit
	Cost   Money         // of all rounds together; 0: no limit
}

// The limits where nobody sets others.
const (
	DefaultToolRounds = 8
	DefaultToolCalls  = 32
	DefaultToolTime   = 2 * time.Minute
	toolCallsAtOnce   = 4
)

// WithDefaults puts the defaults where nothing is set.
func (l ToolLimits) WithDefaults() ToolLimits {
	if l.Rounds <= 0 {
		l.Rounds = DefaultToolRounds
	}
	if l.Calls <= 0 {
		l.Calls = DefaultToolCalls
	}
	if l.AtOnce <= 0 {
		l.AtOnce = toolCallsAtOnce
	}
	if l.Time <= 0 {
		l.Time = DefaultToolTime
	}
	return l
}

// OverCost says that an answer costs more than an operator wants to pay for one.
func OverCost() *Error {
	e := NewError(PaymentRequired, "The answer was given up: its calls of tools and models cost more than one answer may")
	e.Code = CodeQuota
	return e
}

// ToolEvent tells a client what became of a call that its model asked for and Gaia made.
type ToolEvent struct {
	CallID string // the provider's; no other call of the answer has the same
	Tool   string // the function, as the model called it
	Result string
	Error  string // instead of a result, when it is not empty
}

// maxEventResult bounds, in bytes, what clients are shown of a result. The model gets more of it.
const maxEventResult = 8 << 10

// NewToolEvent makes an event of at most a bounded size.
func NewToolEvent(call ToolCall, text string, failed bool) ToolEvent {
	e := ToolEvent{CallID: call.ID, Tool: call.Name}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > maxEventResult {
		text = cutText(text, maxEventResult) + "…"
	}
	switch {
	case !failed:
		e.Result = text
	case text == "":
		e.Error = "The tool failed and did not say why"
	default:
		e.Error = text
	}
	return e
}

// CallIDFor makes the id of a call that is the same whenever the same request makes the same call: a server that remembers ids then carries
// it out once, also when the process dies in between and the request comes again. A model that asks for something else the second time gets
// another id.
func CallIDFor(owner, key, fingerprint string, round, index int, tool string, arguments json.RawMessage) string {
	h := sha256.New()
	for _, part := range []string{owner, key, fingerprint, strconv.Itoa(round), strconv.Itoa(index), tool, string(arguments)} {
		_, _ = h.Write([]byte(strconv.Itoa(len(part)) + ":" + part)) // a hash takes everything
	}
	id := h.Sum(nil)[:16]
	id[6] = id[6]&0x0f | 0x80 // version 8: made up by us
	id[8] = id[8]&0x3f | 0x80
	s := hex.EncodeToString(id)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// CallsTools reports whether a model can call tools. Of models that the table lacks, those of the large providers can; what an operator runs
// on servers of his own has to be listed with that capability, since many such models answer with an error.
func (c Catalogue) CallsTools(choice Choice) bool {
	if choice.Provider == ProviderEcho {
		return true
	}
	if m, known := c.Model(choice.Model); known {
		return m.Can(CapabilityTools)
	}
	return choice.Provider != ProviderCompatible
}

// Plus adds the tokens of two calls of models. The sum is as well known as the worse known of both.
func (u Usage) Plus(v Usage) Usage {
	sources := []UsageSource{UsageFromProvider, UsageEstimated, UsagePartial}
	return Usage{
		Input: u.Input + v.Input, Output: u.Output + v.Output, CachedInput: u.CachedInput + v.CachedInput, CacheWrite: u.CacheWrite + v.CacheWrite,
		Reasoning: u.Reasoning + v.Reasoning, Source: sources[max(slices.Index(sources, u.Source), slices.Index(sources, v.Source), 0)],
	}
}

// JoinRounds puts together what a model says in two rounds.
func JoinRounds(before, after string) string { return before + GapBetween(before, after) + after }

// GapBetween is what stands between the texts of two rounds, which models write as if the other was not there.
func GapBetween(before, after string) string {
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(after)
	if before == "" || after == "" || unicode.IsSpace(last) || unicode.IsSpace(first) {
		return ""
	}
	return "\n\n"
}

// CallInPrompt makes a call that a model has asked for one that can be shown to any provider: what is no name of a function, or no JSON
// object, would have the whole conversation refused.
func CallInPrompt(c ToolCall) ToolCall {
	c.Name = nameCharacters(c.Name)
	if c.Name == "" {
		c.Name = "unknown"
	}
	c.Name = c.Name[:min(len(c.Name), maxFunctionName)]
	if arguments, err := ToolArguments(json.RawMessage(c.Arguments)); err == nil {
		c.Arguments = string(arguments)
		return c
	}
	text, err := json.Marshal(map[string]string{"arguments": cutText(c.Arguments, maxEventResult)})
	if err != nil { // strings always encode
		text = []byte("{}")
	}
	c.Arguments = string(text)
	return c
}

// Bounds of what a model gets of one result, in bytes.
const (
	maxPromptResult = 64 << 10
	minPromptResult = 1 << 10 // also when the window is full: the provider then says so
)

// RoomForResult is how many bytes of each of some results fit, together with a prompt, into a model's window of so many tokens, of which a
// quarter is left for the answer; 0 is a window that nobody knows.
func RoomForResult(p Prompt, window, results int) int {
	if window == 0 {
		return maxPromptResult
	}
	tokens := window*3/4 - EstimateUsage(p.Messages, Answer{}).Input
	for _, t := range p.Tools {
		tokens -= EstimateTokens(len(t.Name)+len(t.Description)) + schemaTokens(t.Parameters)
	}
	return min(max(tokens*charsPerToken/max(results, 1), minPromptResult), maxPromptResult)
}

// CutResult cuts the result of a tool so that it fits, and says so to the model.
func CutResult(r ToolResult, room int) string {
	text := strings.ToValidUTF8(r.Text, "\uFFFD")
	if len(text) > room {
		text, r.Truncated = cutText(text, room), true
	}
	if r.Truncated {
		text += "\n[There was more. It was cut here.]"
	}
	return text
}
