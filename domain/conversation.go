package domain

import (
	"strings"
	"time"
	"unicode"
)

// MaxHistory is how many stored messages at most go back to a model with a new one.
const MaxHistory = 50

// Conversation is what the list of conversations shows of one.
type Conversation struct {
	ID           string // UUID
	Owner        string // Principal.OwnerID
	Title        string // UntitledConversation until the first turn names it
	Preview      string // how the latest message begins; empty while there is none
	PersonaID    string // who answers in it; empty: the caller's current persona
	MessageCount int    // messages of user and assistant
	Default      bool   // chats that name no conversation go here
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// UntitledConversation is the title of a conversation that nobody has named and nobody has spoken in.
const UntitledConversation = "New Conversation"

// Bounds of what a list of conversations shows, in characters.
const (
	maxTitle   = 60
	maxPreview = 120
)

// TitleFrom makes the title of a conversation from its first question: its first line, cut at a word.
func TitleFrom(question string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(question), "\n")
	if line = shorten(line, maxTitle); line != "" {
		return line
	}
	return UntitledConversation
}

// PreviewFrom is how a message begins.
func PreviewFrom(content string) string { return shorten(content, maxPreview) }

// shorten puts a text on one line of at most so many characters, cut between words where there are any. It reads no more of the text
// than it needs: answers may be as long as a book.
func shorten(text string, most int) string {
	var line strings.Builder
	count, room := 0, 0 // room: bytes of what leaves room for the sign of a cut
	add := func(r rune) bool {
		if count == most {
			return false
		}
		line.WriteRune(r)
		if count++; count < most {
			room = line.Len()
		}
		return true
	}
	gap := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			gap = count > 0
			continue
		}
		if gap && !add(' ') || !add(r) {
			return cutAtWord(line.String()[:room]) + "…"
		}
		gap = false
	}
	return line.String()
}

// cutAtWord drops a word that was cut in two, unless little would be left.
func cutAtWord(line string) string {
	if space := strings.LastIndexByte(line, ' '); space > len(line)/2 {
		return line[:space]
	}
	return line
}

// Message is one stored utterance of a conversation.
type Message struct {
	ID          string // UUID
	Role        Role   // RoleUser or RoleAssistant
	Content     string
	PersonaID   string // of an answer: who spoke
	Model       string // of an answer; empty for the user's messages
	Provider    string
	Tokens      int         // of an answer: all tokens of the call; zero when unknown
	UsageSource UsageSource // of an answer: who counted Tokens
	ToolCalls   []ToolCall  // of an answer
	CreatedAt   time.Time   // UTC, microseconds
}

// Turn is all that a question and its answer leave behind: it is stored as a whole or not at all.
type Turn struct {
	Owner string // Principal.OwnerID
	At    time.Time

	Unstored       bool   // nothing goes into a conversation: the client keeps its own history, or the turn failed
	ConversationID string // empty: the owner's default conversation
	NewID          string // UUID for the conversation, should it have to be made
	Begun          *Event // tells that the conversation had to be made, and is stored only then; nil: nobody is told
	Title          string // for a conversation that has none yet
	User           Message
	Assistant      Message

	Usage         []UsageRecord
	Events        []Event // are sent after this is stored, once each
	ReservationID string  // the part of the budget that was set aside for the turn, which Usage replaces; empty: none
	ReservedAt    time.Time
	Kept          *KeptAnswer
}

// KeptAnswer is the answer to a request with an Idempotency-Key, stored with its turn so that the same request gets it again.
type KeptAnswer struct {
	Key   string
	RunID string // of the claim under which the answer was made
	Data  []byte // JSON, only read by who wrote it
}

// Preview is what a list shows of the conversation after the turn.
func (t Turn) Preview() string {
	if answer := PreviewFrom(t.Assistant.Content); answer != "" {
		return answer
	}
	return PreviewFrom(t.User.Content) // an answer may be nothing but calls of tools
}
