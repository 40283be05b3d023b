package domain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What can matter most in a selection.
const (
	PrioritySpeed    = "speed"
	PriorityQuality  = "quality"
	PriorityBalanced = "balanced"
	PriorityVR       = "vr"
	PriorityCost     = "cost"
)

// Abilities of models that selections ask for.
const (
	CapabilityChat        = "chat"
	CapabilityTools       = "tool_calling"
	CapabilityVision      = "vision"
	CapabilityCode        = "code_generation"
	CapabilityMultimodal  = "multimodal"
	CapabilityStreaming   = "streaming"
	CapabilityLongContext = "long_context"
)

// A ModelContext is a situation that brings its own demands on a model.
type ModelContext struct {
	ID              string
	Priority        string
	MaxResponseTime time.Duration
	Capabilities    []string
}

// Capabilities are the words for what models can do.
func Capabilities() []string {
	return []string{
		CapabilityChat, CapabilityTools, CapabilityVision, CapabilityCode, CapabilityMultimodal, CapabilityStreaming, CapabilityLongContext,
	}
}

// knownCapabilities leaves words out that mean nothing.
func knownCapabilities(words []string) []string {
	var known []string
	for _, word := range words {
		if slices.Contains(Capabilities(), word) {
			known = append(known, word)
		}
	}
	return known
}

// Contexts are the situations that a selection tells apart.
func Contexts() []ModelContext {
	return []ModelContext{
		{"greeting", PrioritySpeed, 500 * time.Millisecond, []string{CapabilityChat}},
		{"conversation", PriorityBalanced, 2 * time.Second, []string{CapabilityChat, CapabilityStreaming}},
		{"technical", PriorityQuality, 3 * time.Second, []string{CapabilityChat, CapabilityTools, CapabilityCode}},
		{"creative", PriorityQuality, 3 * time.Second, []string{CapabilityChat, CapabilityLongContext}},
		{"vr", PriorityVR, 700 * time.Millisecond, []string{CapabilityChat, CapabilityStreaming}},
		{"emergency", PrioritySpeed, 300 * time.Millisecond, []string{CapabilityChat}},
		{"multimodal", PriorityQuality, 5 * time.Second, []string{CapabilityChat, CapabilityVision, CapabilityMultimodal}},
	}
}

// Priorities are the words for what can matter most.
func Priorities() []string {
	return []string{PrioritySpeed, PriorityQuality, PriorityBalanced, PriorityVR, PriorityCost}
}

// activityContexts say which context an activity means, whatever the message is.
var activityContexts = map[string]string{
	"vr": "vr", "ar": "vr", "xr": "vr", "metaverse": "vr",
	"technical": "technical", "coding": "technical", "programming": "technical",
	"creative": "creative", "writing": "creative", "art": "creative",
}

// keywords find the context of a message, in this order.
var keywords = []struct {
	context string
	words   []string
}{
	{"multimodal", []string{"image", "picture", "photo", "visual", "see", "look", "show"}},
	{"greeting", []string{"hi", "hello", "hey", "good morning", "good afternoon", "greetings"}},
	{"technical", []string{"code", "debug", "error", "function", "algorithm", "api", "database", "programming"}},
	{"creative", []string{"write", "story", "poem", "creative", "imagine", "design", "art", "compose"}},
	{"emergency", []string{"urgent", "emergency", "critical", "help!", "asap", "immediately"}},
}

const (
	greetingMaxWords = 5 // a longer message is more than a greeting
	defaultContext   = "conversation"
	maxAlternatives  = 3
	maxScanned       = 4096 // bytes of a message that keywords are looked for in
)

// ContextOf finds out what a message is about.
func ContextOf(activity, message string) string {
	if context, ok := activityContexts[strings.ToLower(activity)]; ok {
		return context
	}
	if len(message) > maxScanned {
		message = message[:maxScanned]
	}
	text := strings.ToLower(message)
	for _, k := range keywords {
		if k.context == "greeting" && len(strings.Fields(text)) > greetingMaxWords {
			continue
		}
		if slices.ContainsFunc(k.words, func(word string) bool { return containsWord(text, word) }) {
			return k.context
		}
	}
	return defaultContext
}

// longWord is from how many bytes on a keyword may go on, as "function" does in "functions".
const longWord = 4

// containsWord looks for a keyword where a word begins. A short one has to end there too: "hi" stands neither in "this" nor in "history".
func containsWord(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !isWordRune(before) && (!isWordRune(after) || len(word) >= longWord) {
			return true
		}
		from = end
	}
}

func isWordRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// Selection is a choice and why it was made.
type Selection struct {
	Choice
	Selected      bool     // by the rules of the selection; else it was named, or is the default
	Alternatives  []Choice // who may answer instead, the best first
	ContextType   string   // of a selection
	Priority      string
	Confidence    float64 // 0 to 1
	Reasoning     string  // one sentence for people; empty when nothing was selected
	ResponseTime  time.Duration
	EstimatedCost Money // of the message and an answer half as long
}

// Select finds the model for a request. measured is asked only when it matters.
func (s ModelSelector) Select(r ModelRequest, measured func() Measurements) (Selection, error) {
	if r.wantsSelection() {
		return s.Recommend(r, measured())
	}
	choice, err := s.Choose(r)
	if err != nil {
		return Selection{}, err
	}
	return Selection{Choice: choice, Alternatives: s.others(choice), Confidence: 1}, nil
}

// others are the default models of the other configured providers. The built-in one stands in for nobody: its answer would look like
// one of a real model.
func (s ModelSelector) others(than Choice) []Choice {
	if than.Provider == ProviderEcho {
		return nil
	}
	var others []Choice
	for _, p := range Providers() {
		if model := s.Configured[p.ID]; model != "" && p.ID != than.Provider && p.ID != ProviderEcho {
			others = append(others, Choice{p.ID, model})
		}
	}
	return others[:min(len(others), maxAlternatives)]
}

// Fallbacks are who may answer when the chosen one can't: the alternatives of the selection, then the default models of the providers that
// are not among them, which may meet fewer demands and are better than no answer.
func (s ModelSelector) Fallbacks(of Selection) []Choice {
	list := slices.Clone(of.Alternatives)
	for _, other := range s.others(of.Choice) {
		if !slices.ContainsFunc(list, func(c Choice) bool { return c.Provider == other.Provider }) {
			list = append(list, other)
		}
	}
	return list
}

// demands are what a selection has to meet.
type demands struct {
	context, priority string
	limit             time.Duration
	capabilities      []string
	provider          string
}

func demandsOf(r ModelRequest) demands {
	d := demands{priority: PriorityBalanced, limit: 2 * time.Second, capabilities: []string{CapabilityChat}, provider: r.PreferredProvider}
	d.context = r.ContextType
	if d.context == "" {
		d.context = ContextOf(r.Activity, r.Message)
	}
	for _, c := range Contexts() {
		if c.ID == d.context {
			d.priority, d.limit, d.capabilities = c.Priority, c.MaxResponseTime, c.Capabilities
		}
	}
	if r.Priority != "" {
		d.priority = r.Priority
	}
	if r.MaxResponseTime > 0 {
		d.limit = r.MaxResponseTime
	}
	if required := knownCapabilities(r.RequiredCapabilities); len(required) > 0 {
		d.capabilities = required
	}
	return d
}

// ranked is a model with its score and the time it takes, which may be unknown.
type ranked struct {
	Model
	score float64
	ms    float64
	known bool
}

// Recommend ranks the models that can be used and returns the best. When none meets all demands, every one that can chat is ranked.
// Without any model of the catalogue it is the default.
func (s ModelSelector) Recommend(r ModelRequest, m Measurements) (Selection, error) {
	d := demandsOf(r)
	list, met := s.candidates(d, m)
	if len(list) == 0 {
		choice, err := s.Choose(ModelRequest{})
		if err != nil {
			return Selection{}, err
		}
		return Selection{
			Choice: choice, Selected: true, ContextType: d.context, Priority: d.priority, Alternatives: s.others(choice),
			Reasoning: choice.Model + " is the only model that is configured.",
		}, nil
	}
	best := list[0]
	selection := Selection{
		Choice: Choice{best.Provider, best.ID}, Selected: true, ContextType: d.context, Priority: d.priority,
		Confidence: min(max(best.score, 0), 1), Reasoning: d.reason(best, met), ResponseTime: time.Duration(best.ms * float64(time.Millisecond)),
	}
	for _, next := range list[1:min(len(list), 1+maxAlternatives)] {
		selection.Alternatives = append(selection.Alternatives, Choice{next.Provider, next.ID})
	}
	tokens := EstimateTokens(utf8.RuneCountInString(r.Message))
	selection.EstimatedCost, _ = s.Catalogue.Cost(selection.Choice, Usage{Input: tokens, Output: tokens / 2})
	return selection, nil
}

// candidates are the models that meet all demands, the best first. When there are none, it is all that can chat; when every provider
// fails, also theirs, since the best of them is the best guess.
func (s ModelSelector) candidates(d demands, m Measurements) (list []ranked, met bool) {
	list = s.rank(d, m, func(r ranked) bool { return m.usable(r.Provider) && d.met(r) })
	if len(list) > 0 {
		return list, true
	}
	list = s.rank(d, m, func(r ranked) bool { return m.usable(r.Provider) && r.Can(CapabilityChat) })
	if len(list) == 0 {
		list = s.rank(d, m, func(r ranked) bool { return r.Can(CapabilityChat) })
	}
	return list, false
}

// RankBy ranks the models that can be used by a priority alone.
func (s ModelSelector) RankBy(priority string, m Measurements) []Model {
	return models(s.rank(demands{priority: priority}, m, func(ranked) bool { return true }))
}

// RankFor ranks the models that a selection for a context would take.
func (s ModelSelector) RankFor(context string, m Measurements) []Model {
	list, _ := s.candidates(demandsOf(ModelRequest{ContextType: context}), m)
	return models(list)
}

func models(list []ranked) []Model {
	var models []Model
	for _, r := range list {
		models = append(models, r.Model)
	}
	return models
}

func (s ModelSelector) rank(d demands, m Measurements, fits func(ranked) bool) []ranked {
	var list []ranked
	for _, model := range s.Catalogue.models {
		if !s.mayChoose(model) {
			continue
		}
		r := ranked{Model: model}
		r.ms, r.known = m.ResponseTimeMS(model)
		if fits(r) {
			r.score = d.score(r)
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
	return list
}

// mayChoose reports whether a model may be taken without being named. The built-in one stands in for nobody.
func (s ModelSelector) mayChoose(model Model) bool {
	return s.usable(model.Provider) && model.Provider != ProviderEcho && !model.Deprecated
}

// met reports whether a model meets all demands on the model itself. One of which no time is known might take any.
func (d demands) met(r ranked) bool {
	for _, capability := range d.capabilities {
		if !r.Can(capability) {
			return false
		}
	}
	return (d.provider == "" || d.provider == r.Provider) && r.known && time.Duration(r.ms*float64(time.Millisecond)) <= d.limit
}

// The weights of a score.
const (
	slowestMS     = 3000    // an answer that takes so long earns nothing for its speed
	dearestToken  = 0.00006 // a token that costs so many dollars earns nothing for its price
	vrMS          = 700
	claudeBonus   = 0.1
	weightQuality = 0.4
	weightTime    = 0.3
	weightWish    = 0.5
)

// score is how well a model suits, about 0 to 2.
func (d demands) score(m ranked) float64 {
	ms := m.ms
	if !m.known {
		ms = slowestMS
	}
	score := weightQuality*m.QualityScore + weightTime*max(0, (slowestMS-ms)/slowestMS)
	add := func(points float64, when bool) {
		if when {
			score += points
		}
	}
	switch d.priority {
	case PrioritySpeed:
		score += weightWish * m.SpeedScore
	case PriorityQuality:
		score += weightWish * m.QualityScore
	case PriorityCost:
		score += weightWish * max(0, (dearestToken-m.CostPerInputToken)/dearestToken)
	case PriorityVR:
		add(0.5, ms < vrMS)
		add(0.2, m.Can(CapabilityStreaming))
	}
	switch d.context {
	case "technical":
		add(0.2, m.Can(CapabilityCode))
		add(0.2, m.Can(CapabilityTools))
	case "creative":
		add(0.2, m.Can(CapabilityLongContext))
	case "multimodal":
		add(0.5, m.Can(CapabilityVision))
		add(0.3, m.Can(CapabilityMultimodal))
	}
	add(claudeBonus, m.Provider == ProviderClaude)
	return score
}

var priorityWords = map[string]string{
	PrioritySpeed: "speed matters most", PriorityQuality: "quality matters most", PriorityBalanced: "quality and speed count alike",
	PriorityVR: "a scene can't wait", PriorityCost: "the price matters most",
}

// reason says in one sentence why a model came first.
func (d demands) reason(best ranked, met bool) string {
	figures := fmt.Sprintf("quality %.2f", best.QualityScore)
	if best.known {
		figures = fmt.Sprintf("about %.0f ms, %s", best.ms, figures)
	}
	why := fmt.Sprintf("%s suits a %s message best when %s: %s", best.Name, d.context, priorityWords[d.priority], figures)
	if !met {
		what := strings.Join(d.capabilities, ", ")
		if d.provider != "" {
			what = d.provider + ", " + what
		}
		why += fmt.Sprintf("; no model meets all demands (%s within %d ms)", what, d.limit.Milliseconds())
	}
	return why + "."
}

// Can reports whether a model has an ability.
func (m Model) Can(capability string) bool { return slices.Contains(m.Capabilities, capability) }
