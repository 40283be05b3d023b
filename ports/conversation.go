package ports

import (
	"context"

	"gaia/domain"
)

// ConversationStore keeps what was said. A conversation belongs to one owner and must be domain.NotFound for every other.
//
// An empty conversation id means the owner's default conversation, of which there must be at most one, also when first turns
// race. A store that is away must be domain.Unavailable.
type ConversationStore interface {
	// History returns the last messages, oldest first, at most limit (0: all). The default conversation, and an id that nobody
	// has used yet, must be empty and no error.
	History(ctx context.Context, owner, conversationID string, limit int) ([]domain.Message, error)
	// Count returns how many messages the conversation has, as History would return them.
	Count(ctx context.Context, owner, conversationID string) (int, error)
	// AppendTurn saves question and answer in one transaction, both or none, and makes the conversation if need be. It returns
	// the conversation's id. Messages of one turn must stay together and in order, also when turns race.
	AppendTurn(ctx context.Context, turn domain.Turn) (string, error)
	// Clear empties the conversation and must touch no other. Clearing what is empty is no error.
	Clear(ctx context.Context, owner, conversationID string) error
}
