package openai

// SetNewID makes the ids of tool calls predictable.
func SetNewID(c *Completer, newID func() string) { c.newID = newID }

// NewTransport is the transport that New makes, for tests that have to trust a certificate of their own.
var NewTransport = newTransport
