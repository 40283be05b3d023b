package ports

import (
	"context"

	"gaia/domain"
)

// ConversationStore keeps what was said, and with it everything else that an answer leaves behind. A conversation belongs to one owner
// and must be domain.NotFound for every other.
//
// An empty conversation id means the owner's default conversation, of which there must be at most one, also when first turns
// race. A store that is away must be domain.Unavailable.
type ConversationStore interface {
	// History returns the last messages, oldest first, at most limit (0: all), and the persona that answers in the conversation, empty
	// when it has none of its own. The default conversation, and an id that nobody has used yet, must be empty and no error. Its cost
	// must not grow with the length of the conversation beyond limit.
	History(ctx context.Context, owner, conversationID string, limit int) (messages []domain.Message, personaID string, err error)
	// Count returns how many messages the conversation has, as History would return them.
	Count(ctx context.Context, owner, conversationID string) (int, error)
	// CommitTurn saves all of a turn in one transaction: question and answer, unless it is Unstored, usage, events, in the order of the turns
	// of a conversation and after the one that it has begun, if it had to be made, and the kept answer; and it settles the reservation, also
	// one that is gone: what each record of Usage cost, claims excepted, is added once to what the owner spent on the day of its At. All or
	// none must be saved. It makes the conversation if need be and returns its id, which is empty for an Unstored turn. Messages of one turn
	// must stay together and in order, also when turns race. A kept answer whose claim another run has by now must be
	// domain.Conflict. A usage record that is there already must stay as it is, and is no error.
	CommitTurn(ctx context.Context, turn domain.Turn) (string, error)
	// Default returns the id of the owner's default conversation, empty while there is none.
	Default(ctx context.Context, owner string) (string, error)
	// Clear empties the conversation and must touch no other. Clearing what is empty is no error. What each tell returns about a conversation
	// that is there, by its id, goes to the outbox in the same transaction, in the order of the changes of the conversation; about one that is
	// not there nothing is told.
	Clear(ctx context.Context, owner, conversationID string, tell ...func(conversationID string) domain.Event) error
}

// ConversationDirectory shows and changes conversations as such. Those of other owners, ids that do not exist and malformed ones must be
// domain.NotFound. Events go to the outbox in the transaction of the change, and not without it.
type ConversationDirectory interface {
	// List returns a page of the owner's conversations, the most recently used first, and how many there are in all.
	List(ctx context.Context, owner string, limit, offset int) ([]domain.Conversation, int, error)
	// Get returns one conversation.
	Get(ctx context.Context, owner, id string) (domain.Conversation, error)
	// Create saves an empty conversation. An id that exists must be domain.Conflict.
	Create(ctx context.Context, c domain.Conversation, events ...domain.Event) error
	// Delete removes a conversation with all its messages, the default one too. What was used stays in the ledger.
	Delete(ctx context.Context, owner, id string, events ...domain.Event) error
	// Messages returns a page of a conversation and how many messages there are in all: oldest first, or newest first.
	Messages(ctx context.Context, owner, id string, limit, offset int, newestFirst bool) ([]domain.Message, int, error)
}
