package domain

import "time"

// MaxHistory is how many stored messages at most go back to a model with a new one.
const MaxHistory = 50

// Message is one stored utterance of a conversation.
type Message struct {
	ID        string // UUID
	Role      Role   // RoleUser or RoleAssistant
	Content   string
	Model     string // of an answer; empty for the user's messages
	Provider  string
	Tokens    int       // of an answer: all tokens of the call; zero when unknown
	CreatedAt time.Time // UTC, microseconds
}

// Turn is a question and its answer: they are stored together or not at all.
type Turn struct {
	Owner          string // Principal.OwnerID
	ConversationID string // empty: the owner's default conversation
	NewID          string // UUID for the conversation, should it have to be made
	User           Message
	Assistant      Message
	At             time.Time
}
