package domain

import "strconv"

// Missing is the fault of an absent key; input is the object that lacks it.
func Missing(input any, loc ...any) Fault {
	return Fault{Type: "missing", Loc: loc, Msg: "Field required", Input: input}
}

// TooLong is the fault of a text with more than limit characters.
func TooLong(limit int, input string, loc ...any) Fault {
	return Fault{
		Type: "string_too_long", Loc: loc, Msg: "String should have at most " + strconv.Itoa(limit) + " characters", Input: input,
		Ctx: map[string]any{"max_length": limit},
	}
}
