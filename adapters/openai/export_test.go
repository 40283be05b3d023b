package openai

// SetNewID makes the ids of tool calls predictable.
func SetNewID(c *Completer, newID func() string) { c.newID = newID }
