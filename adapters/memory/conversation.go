package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"gaia/domain"
	"gaia/ports"
)

var (
	_ ports.ConversationStore     = (*ConversationStore)(nil)
	_ ports.ConversationDirectory = (*ConversationStore)(nil)
)

// ConversationStore keeps conversations. The zero value is not usable.
type ConversationStore struct {
	failures
	Parts TurnParts // must not change once the store is in use

	mu       sync.Mutex
	byID     map[string]*conversation
	defaults map[string]string // owner to conversation id
	messages map[string]bool   // ids in use
}

// TurnParts is where goes what a turn leaves behind beside its messages. Parts that are nil forget it.
type TurnParts struct {
	Ledger  *Ledger
	Budgets *BudgetStore
	Answers *AnswerStore
	Outbox  *Outbox
}

type conversation struct {
	domain.Conversation // without MessageCount
	messages            []domain.Message
}

func (c *conversation) show() domain.Conversation {
	shown := c.Conversation
	shown.MessageCount = len(c.messages)
	return shown
}

// NewConversationStore makes an empty store.
func NewConversationStore() *ConversationStore {
	return &ConversationStore{
		byID: map[string]*conversation{}, defaults: map[string]string{}, messages: map[string]bool{},
	}
}

// History implements ports.ConversationStore.
func (s *ConversationStore) History(ctx context.Context, owner, conversationID string, limit int) ([]domain.Message, string, error) {
	if err := s.enter(ctx, "History"); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(owner, conversationID)
	if err != nil || c == nil {
		return nil, "", err
	}
	last := c.messages
	if limit > 0 && len(last) > limit {
		last = last[len(last)-limit:]
	}
	return copied(last), c.PersonaID, nil
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

// Default implements ports.ConversationStore.
func (s *ConversationStore) Default(ctx context.Context, owner string) (string, error) {
	if err := s.enter(ctx, "Default"); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.defaults[owner], nil
}

// CommitTurn implements ports.ConversationStore.
func (s *ConversationStore) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	if err := s.enter(ctx, "CommitTurn"); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var c *conversation
	if !turn.Unstored {
		var err error
		if c, err = s.room(turn); err != nil {
			return "", err
		}
	}
	if c != nil && s.byID[c.ID] == nil && turn.Begun != nil {
		turn.Events = append([]domain.Event{*turn.Begun}, turn.Events...)
	}
	if err := s.Parts.commit(ctx, turn); err != nil {
		return "", err
	}
	if turn.Unstored {
		return "", nil
	}
	s.save(c, turn)
	return c.ID, nil
}

// commit saves all that is not the conversation's, or nothing: what can fail comes first.
func (p TurnParts) commit(ctx context.Context, turn domain.Turn) error {
	if err := validUsage(turn.Usage); err != nil {
		return err
	}
	events, err := stored(turn.Events)
	if err != nil {
		return err
	}
	if p.Answers != nil && turn.Kept != nil {
		if err := p.Answers.Keep(turn.Owner, *turn.Kept); err != nil {
			return err
		}
	}
	if p.Outbox != nil {
		p.Outbox.add(ctx, events)
	}
	if p.Ledger != nil {
		turn.Usage = p.Ledger.write(turn.Usage...)
	}
	if p.Budgets != nil {
		p.Budgets.Settle(turn)
	}
	return nil
}

// room returns the conversation for a turn that can be saved. A new one is not in the store yet.
func (s *ConversationStore) room(turn domain.Turn) (*conversation, error) {
	c, err := s.find(turn.Owner, turn.ConversationID)
	if err != nil {
		return nil, err
	}
	for _, m := range []domain.Message{turn.User, turn.Assistant} {
		if _, ok := domain.ParseID(m.ID); !ok {
			return nil, fmt.Errorf("memory commit turn: message: %q is no id", m.ID)
		}
	}
	if turn.User.ID == turn.Assistant.ID || s.messages[turn.User.ID] || s.messages[turn.Assistant.ID] {
		return nil, domain.NewError(domain.Conflict, "A message with this id exists already")
	}
	if c != nil {
		return c, nil
	}
	id := strings.ToLower(turn.ConversationID)
	if id == "" {
		id = strings.ToLower(turn.NewID)
		if s.byID[id] != nil {
			return nil, errIDTaken()
		}
	}
	at := asStored(turn.At)
	return &conversation{Conversation: domain.Conversation{
		ID: id, Owner: turn.Owner, Title: domain.UntitledConversation, Default: turn.ConversationID == "", CreatedAt: at, UpdatedAt: at,
	}}, nil
}

func (s *ConversationStore) save(c *conversation, turn domain.Turn) {
	s.byID[c.ID] = c
	if c.Default {
		s.defaults[c.Owner] = c.ID
	}
	if turn.Title != "" && c.Title == domain.UntitledConversation {
		c.Title = turn.Title
	}
	c.Preview = turn.Preview()
	if at := asStored(turn.At); at.After(c.UpdatedAt) {
		c.UpdatedAt = at
	}
	for _, m := range []domain.Message{turn.User, turn.Assistant} {
		m.CreatedAt, m.ToolCalls = asStored(m.CreatedAt), slices.Clone(m.ToolCalls)
		c.messages = append(c.messages, m)
		s.messages[m.ID] = true
	}
}

// Clear implements ports.ConversationStore.
func (s *ConversationStore) Clear(ctx context.Context, owner, conversationID string, tell ...func(string) domain.Event) error {
	if err := s.enter(ctx, "Clear"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(owner, conversationID)
	if err != nil || c == nil {
		return err
	}
	told, err := stored(toldOf(c.ID, tell))
	if err != nil {
		return err
	}
	c.messages, c.Preview = nil, ""
	s.Parts.Outbox.add(ctx, told)
	return nil
}

// List implements ports.ConversationDirectory.
func (s *ConversationStore) List(ctx context.Context, owner string, limit, offset int) ([]domain.Conversation, int, error) {
	if err := s.enter(ctx, "List"); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []domain.Conversation
	for _, c := range s.byID {
		if c.Owner == owner {
			list = append(list, c.show())
		}
	}
	slices.SortFunc(list, func(a, b domain.Conversation) int {
		return cmp.Or(b.UpdatedAt.Compare(a.UpdatedAt), cmp.Compare(b.ID, a.ID))
	})
	return page(list, limit, offset), len(list), nil
}

// Get implements ports.ConversationDirectory.
func (s *ConversationStore) Get(ctx context.Context, owner, id string) (domain.Conversation, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return domain.Conversation{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.existing(owner, id)
	if err != nil {
		return domain.Conversation{}, err
	}
	return c.show(), nil
}

// Create implements ports.ConversationDirectory.
func (s *ConversationStore) Create(ctx context.Context, c domain.Conversation, events ...domain.Event) error {
	if err := s.enter(ctx, "Create"); err != nil {
		return err
	}
	id, ok := domain.ParseID(c.ID)
	if !ok {
		return fmt.Errorf("memory create conversation: %q is no id", c.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[id] != nil {
		return errIDTaken()
	}
	told, err := stored(events)
	if err != nil {
		return err
	}
	c.ID, c.Preview, c.Default, c.MessageCount = id, "", false, 0
	c.CreatedAt, c.UpdatedAt = asStored(c.CreatedAt), asStored(c.UpdatedAt)
	s.byID[id] = &conversation{Conversation: c}
	s.Parts.Outbox.add(ctx, told)
	return nil
}

// Delete implements ports.ConversationDirectory.
func (s *ConversationStore) Delete(ctx context.Context, owner, id string, events ...domain.Event) error {
	if err := s.enter(ctx, "Delete"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.existing(owner, id)
	if err != nil {
		return err
	}
	told, err := stored(events)
	if err != nil {
		return err
	}
	for _, m := range c.messages {
		delete(s.messages, m.ID)
	}
	if c.Default {
		delete(s.defaults, owner)
	}
	delete(s.byID, c.ID)
	s.Parts.Outbox.add(ctx, told)
	return nil
}

// Messages implements ports.ConversationDirectory.
func (s *ConversationStore) Messages(
	ctx context.Context, owner, id string, limit, offset int, newestFirst bool,
) ([]domain.Message, int, error) {
	if err := s.enter(ctx, "Messages"); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.existing(owner, id)
	if err != nil {
		return nil, 0, err
	}
	list := slices.Clone(c.messages)
	if newestFirst {
		slices.Reverse(list)
	}
	return copied(page(list, limit, offset)), len(c.messages), nil
}

// find returns nil without an error for a conversation that nobody has used yet.
func (s *ConversationStore) find(owner, id string) (*conversation, error) {
	if id == "" {
		return s.byID[s.defaults[owner]], nil
	}
	key, ok := domain.ParseID(id)
	c := s.byID[key]
	if !ok || c != nil && c.Owner != owner {
		return nil, errNoConversation()
	}
	return c, nil
}

func (s *ConversationStore) existing(owner, id string) (*conversation, error) {
	if id == "" {
		return nil, errNoConversation()
	}
	c, err := s.find(owner, id)
	if err == nil && c == nil {
		err = errNoConversation()
	}
	return c, err
}

func copied(messages []domain.Message) []domain.Message {
	list := slices.Clone(messages)
	for i := range list {
		list[i].ToolCalls = slices.Clone(list[i].ToolCalls)
	}
	return list
}

func page[T any](list []T, limit, offset int) []T {
	list = list[min(max(offset, 0), len(list)):]
	return list[:min(max(limit, 0), len(list))]
}

func errNoConversation() error { return domain.NewError(domain.NotFound, "Conversation not found") }

func errIDTaken() error { return domain.NewError(domain.Conflict, "This id exists already") }
