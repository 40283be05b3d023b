package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gaia/domain"
)

// keeper collects what a repeated request has to get again. Nil keeps nothing.
type keeper struct {
	key, runID string
	deltas     bool // of a stream; else the whole answer is enough
	steps      []keptStep
	err        *keptError
	released   bool // the key is to be free again: the same request begins anew
	stored     bool // the answer is in the store
}

// keptAnswer is an answer in the store.
type keptAnswer struct {
	Info         ChatInfo           `json:"info"`
	Steps        []keptStep         `json:"steps,omitempty"`
	Answer       *domain.Answer     `json:"answer,omitempty"` // instead of steps
	Usage        domain.Usage       `json:"usage"`
	Conversation string             `json:"conversation,omitempty"`
	Cost         domain.Money       `json:"cost,omitempty"`
	Duration     time.Duration      `json:"duration"`
	FallbackUsed bool               `json:"fallback_used,omitempty"`
	ToolEvents   []domain.ToolEvent `json:"tool_events,omitempty"` // instead of steps
	Err          *keptError         `json:"error,omitempty"`       // instead of an end
}

type keptStep struct {
	Delta    *domain.Delta `json:"d,omitempty"`
	Fallback *keptFallback `json:"f,omitempty"`
	Tool     *ToolStep     `json:"t,omitempty"`
}

type keptFallback struct {
	From, To domain.Choice
	Err      keptError
	Late     bool
}

type keptError struct {
	Kind    domain.Kind `json:"kind"`
	Code    string      `json:"code,omitempty"`
	Message string      `json:"message"`
}

func (k *keeper) delta(d domain.Delta) {
	if k != nil && k.deltas {
		k.steps = append(k.steps, keptStep{Delta: &d})
	}
}

func (k *keeper) fallback(f *Fallback) {
	if k != nil {
		k.steps = append(k.steps, keptStep{Fallback: &keptFallback{From: f.From, To: f.To, Err: *keptErrorFrom(f.Err), Late: f.Late}})
	}
}

func (k *keeper) tool(s *ToolStep) {
	if k != nil && k.deltas {
		k.steps = append(k.steps, keptStep{Tool: s})
	}
}

// failure makes the answer one that breaks off.
func (k *keeper) failure(err error) {
	if k != nil {
		k.err = keptErrorFrom(err)
	}
}

// release leaves the answer out of what is stored.
func (k *keeper) release() {
	if k != nil {
		k.released = true
	}
}

// answer is what is stored with the turn.
func (k *keeper) answer(info ChatInfo, r ChatResult) (*domain.KeptAnswer, error) {
	kept := keptAnswer{Info: info, Steps: k.steps, Usage: r.Usage, Cost: r.Cost, Conversation: r.ConversationID, Duration: r.Duration, FallbackUsed: r.FallbackUsed, Err: k.err}
	if !k.deltas {
		kept.Answer, kept.ToolEvents = &r.Answer, r.ToolEvents
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("keep an answer: %w", err)
	}
	return &domain.KeptAnswer{Key: k.key, RunID: k.runID, Data: data}, nil
}

func (k *keeper) markStored() {
	if k != nil {
		k.stored = !k.released
	}
}

// stepsFromKept gives the steps of a stored answer as they were.
func stepsFromKept(data []byte) ([]ChatStep, error) {
	var kept keptAnswer
	if err := json.Unmarshal(data, &kept); err != nil {
		return nil, fmt.Errorf("read a kept answer: %w", err)
	}
	first := kept.Info
	for _, s := range kept.Steps {
		if s.Fallback != nil { // Info is what was known at the end
			first.Choice = s.Fallback.From
			break
		}
	}
	steps := []ChatStep{{Info: &first}}
	var answer domain.AnswerBuilder
	events := kept.ToolEvents
	for _, s := range kept.Steps {
		switch {
		case s.Delta != nil:
			answer.Add(*s.Delta)
			steps = append(steps, ChatStep{Delta: *s.Delta})
		case s.Tool != nil:
			if s.Tool.Event != nil {
				events = append(events, *s.Tool.Event)
			}
			steps = append(steps, ChatStep{Tool: s.Tool})
		case s.Fallback != nil:
			steps = append(steps, ChatStep{Fallback: &Fallback{From: s.Fallback.From, To: s.Fallback.To, Err: s.Fallback.Err.domain(), Late: s.Fallback.Late}})
		}
	}
	if kept.Err != nil {
		return append(steps, ChatStep{Err: kept.Err.domain()}), nil
	}
	result := ChatResult{
		Answer: answer.Answer(), Usage: kept.Usage, Cost: kept.Cost, ConversationID: kept.Conversation, Duration: kept.Duration, FallbackUsed: kept.FallbackUsed,
		ToolEvents: events,
	}
	if kept.Info.OwnTools { // the deltas are those of all rounds, with gaps between them
		result.Answer, _ = (&toolLoop{}).sum(result.Answer, domain.Usage{})
	}
	if kept.Answer != nil {
		result.Answer = *kept.Answer
	}
	return append(steps, ChatStep{Result: &result}), nil
}

func keptErrorFrom(err error) *keptError {
	var e *domain.Error
	if errors.As(err, &e) {
		return &keptError{Kind: e.Kind, Code: e.Code, Message: e.Message}
	}
	return &keptError{Kind: domain.KindOf(err)}
}

func (e *keptError) domain() error {
	return &domain.Error{Kind: e.Kind, Code: e.Code, Message: e.Message}
}

// backoffAround is a pause of about d, so that many who wait do not look at the same moment.
func backoffAround(d time.Duration) time.Duration {
	return d/2 + rand.N(d) // #nosec G404 -- it spreads work, and guards nothing
}
