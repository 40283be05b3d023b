package openai

import (
	"fmt"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// callTracker puts the fragments of tool calls in their places. The format wants an index in every fragment, and id and name in
// the first; providers leave out each of these, repeat them, or use one index for several calls.
type callTracker struct {
	calls   []trackedCall
	places  map[int]int // the provider's index → place in calls
	current int         // place of the last fragment
	newID   func() string
}

type trackedCall struct {
	id      string // the provider's; may be empty
	named   bool   // the first piece is out
	pending string // arguments that came before the name
}

// add returns the piece that a fragment adds, which has nothing but its index when the fragment said nothing new.
func (t *callTracker) add(f callFragment) (domain.ToolCallDelta, error) {
	if f.ID == "null" { // a client library's placeholder that reached the wire
		f.ID = ""
	}
	place, err := t.place(f)
	if err != nil {
		return domain.ToolCallDelta{}, err
	}
	t.current = place
	call := &t.calls[place]
	piece := domain.ToolCallDelta{Index: place, Arguments: string(f.Function.Arguments)}
	if call.named {
		return piece, nil
	}
	if call.id == "" {
		call.id = f.ID
	}
	if f.Function.Name == "" {
		call.pending += piece.Arguments
		return domain.ToolCallDelta{Index: place}, nil
	}
	call.named = true
	piece.ID, piece.Name, piece.Arguments = call.id, f.Function.Name, call.pending+piece.Arguments
	if piece.ID == "" {
		piece.ID = t.newID()
	}
	return piece, nil
}

// complete reports whether every call got its name.
func (t *callTracker) complete() bool {
	for _, c := range t.calls {
		if !c.named {
			return false
		}
	}
	return true
}

// place finds the call that a fragment belongs to, or makes room for a new one.
func (t *callTracker) place(f callFragment) (int, error) {
	if f.Index != nil {
		return t.placeByIndex(*f.Index, f)
	}
	if f.ID != "" {
		for i, c := range t.calls {
			if c.id == f.ID {
				return i, nil
			}
		}
		return t.grow()
	}
	if f.Function.Name != "" || len(t.calls) == 0 {
		return t.grow()
	}
	return t.current, nil
}

func (t *callTracker) placeByIndex(index int, f callFragment) (int, error) {
	if index < 0 || index >= maxCalls {
		return 0, fmt.Errorf("%w: tool call index %d", upstream.ErrUnreadable, index)
	}
	place, known := t.places[index]
	if known {
		call := t.calls[place]
		// A new id alone is not enough: there are providers that make up another one for every fragment.
		another := call.named && f.Function.Name != "" && f.ID != "" && call.id != "" && f.ID != call.id
		if !another {
			return place, nil
		}
	}
	place, err := t.grow()
	if err != nil {
		return 0, err
	}
	if t.places == nil {
		t.places = map[int]int{}
	}
	t.places[index] = place
	return place, nil
}

func (t *callTracker) grow() (int, error) {
	if len(t.calls) == maxCalls {
		return 0, fmt.Errorf("%w: more than %d tool calls", upstream.ErrUnreadable, maxCalls)
	}
	t.calls = append(t.calls, trackedCall{})
	return len(t.calls) - 1, nil
}
