package memory

import (
	"context"
	"slices"
	"strings"
	"sync"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.ConversationStore = (*ConversationStore)(nil)

// ConversationStore keeps conversations. The zero value is not usable.
type ConversationStore struct {
	failures

	mu       sync.Mutex
	byID     map[string]*conversation
	defaults map[string]string // owner to conversation id
	messages map[string]bool   // ids in use
}

type conversation struct {
	owner    string
	messages []domain.Message
}

// NewConversationStore makes an empty store.
func NewConversationStore() *ConversationStore {
	return &ConversationStore{
		byID: map[string]*conversation{}, defaults: map[string]string{}, messages: map[string]bool{},
	}
}

// History implements ports.ConversationStore.
func (s *ConversationStore) History(ctx context.Context, owner, conversationID string, limit int) ([]domain.Message, error) {
	if err := s.enter(ctx, "History"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(owner, conversationID)
	if err != nil || c == nil {
		return nil, err
	}
	last := c.messages
	if limit > 0 && len(last) > limit {
		last = last[len(last)-limit:]
	}
	return slices.Clone(last), nil
}

// Count implements ports.ConversationStore.
func (s *ConversationStore) Count(ctx context.Context, owner, conversationID string) (int, error) {
	if err := s.enter(ctx, "Count"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(owner, conversationID)
	if err != nil || c == nil {
		return 0, err
	}
	return len(c.messages), nil
}

// CommitTurn implements ports.ConversationStore.
func (s *ConversationStore) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	if err := s.enter(ctx, "CommitTurn"); err != nil {
		return "", err
	}
	if turn.Unstored {
		return "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(turn.Owner, turn.ConversationID)
	if err != nil {
		return "", err
	}
	if turn.User.ID == turn.Assistant.ID || s.messages[turn.User.ID] || s.messages[turn.Assistant.ID] {
		return "", domain.NewError(domain.Conflict, "A message with this id exists already")
	}
	id := strings.ToLower(turn.ConversationID)
	if id == "" {
		id = s.defaults[turn.Owner]
	}
	if c == nil {
		c = &conversation{owner: turn.Owner}
		if id == "" {
			id = strings.ToLower(turn.NewID)
			s.defaults[turn.Owner] = id
		}
		s.byID[id] = c
	}
	for _, m := range []domain.Message{turn.User, turn.Assistant} {
		m.CreatedAt = asStored(m.CreatedAt)
		c.messages = append(c.messages, m)
		s.messages[m.ID] = true
	}
	return id, nil
}

// Clear implements ports.ConversationStore.
func (s *ConversationStore) Clear(ctx context.Context, owner, conversationID string) error {
	if err := s.enter(ctx, "Clear"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(owner, conversationID)
	if err != nil || c == nil {
		return err
	}
	c.messages = nil
	return nil
}

// find returns nil without an error for a conversation that nobody has used yet.
func (s *ConversationStore) find(owner, id string) (*conversation, error) {
	if id == "" {
		return s.byID[s.defaults[owner]], nil
	}
	key, ok := domain.ParseID(id)
	c := s.byID[key]
	if !ok || c != nil && c.owner != owner {
		return nil, domain.NewError(domain.NotFound, "Conversation not found")
	}
	return c, nil
}
