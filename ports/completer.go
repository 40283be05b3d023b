package ports

import (
	"context"

	"gaia/domain"
)

// Completer answers prompts with a model of one provider.
type Completer interface {
	// Open sends the prompt. Refusals of the provider come from here or from the first Recv, as domain errors whose message is
	// safe for clients: Unavailable (away, overloaded, rejected our key), Limited with RetryAfter, NotFound with code
	// "model_not_found", BadRequest (the prompt itself is at fault). ctx bounds the whole stream, not only Open.
	Open(ctx context.Context, p domain.Prompt) (CompletionStream, error)
}

// CompletionStream yields an answer step by step. One goroutine may use it at a time; Close may come from another.
type CompletionStream interface {
	// Recv returns the next step. After the last one it must return io.EOF, again and again. A stream that breaks off before
	// its finish reason must be domain.Unavailable, never io.EOF.
	Recv() (domain.Delta, error)
	// Close ends the stream and frees its connection; it must unblock Recv and may be called twice.
	Close() error
}
