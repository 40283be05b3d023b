package app

import (
	"context"
	"strings"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// ConversationDeps is what Conversations needs.
type ConversationDeps struct {
	Directory ports.ConversationDirectory
	Personas  *Personas
	// Stored, which may be nil, is called after an event was stored, which can be sent now.
	Stored func()
	Now    ports.Clock
	NewID  ports.IDs
}

// Conversations is what callers can do with their conversations, beside talking in them.
type Conversations struct{ ConversationDeps }

// NewConversations makes the use cases.
func NewConversations(d ConversationDeps) *Conversations {
	if d.Stored == nil {
		d.Stored = func() {}
	}
	return &Conversations{d}
}

// ConversationDraft is a conversation to be begun.
type ConversationDraft struct {
	Title     string // empty: the first message gives it one
	PersonaID string // who answers in it; empty or "default": the caller's current persona
}

// List returns a page of the caller's conversations, the most recently used first, and how many there are in all.
func (c *Conversations) List(ctx context.Context, who domain.Principal, limit, offset int) ([]domain.Conversation, int, error) {
	return c.Directory.List(ctx, who.OwnerID(), limit, offset)
}

// Get returns one of the caller's conversations.
func (c *Conversations) Get(ctx context.Context, who domain.Principal, id string) (domain.Conversation, error) {
	return c.Directory.Get(ctx, who.OwnerID(), id)
}

// Create begins an empty conversation. A persona that does not exist is NotFound.
func (c *Conversations) Create(ctx context.Context, who domain.Principal, draft ConversationDraft) (domain.Conversation, error) {
	now := c.Now().UTC().Truncate(time.Microsecond)
	conversation := domain.Conversation{
		ID: c.NewID(), Owner: who.OwnerID(), Title: strings.TrimSpace(validText(draft.Title)), CreatedAt: now, UpdatedAt: now,
	}
	if conversation.Title == "" {
		conversation.Title = domain.UntitledConversation
	}
	if draft.PersonaID != "" && draft.PersonaID != nameDefault {
		persona, err := c.Personas.Get(ctx, draft.PersonaID)
		if err != nil {
			return domain.Conversation{}, err
		}
		conversation.PersonaID = persona.ID
	}
	told := conversationEvent(c.NewID(), domain.SubjectConversationCreated, conversation.Owner, conversation.ID, now)
	if err := c.Directory.Create(ctx, conversation, told); err != nil {
		return domain.Conversation{}, err
	}
	c.Stored()
	return conversation, nil
}

// Delete removes one of the caller's conversations with all its messages.
func (c *Conversations) Delete(ctx context.Context, who domain.Principal, id string) error {
	canonical, _ := domain.ParseID(id) // what is none is not there: the store says so
	told := conversationEvent(c.NewID(), domain.SubjectConversationDeleted, who.OwnerID(), canonical, c.Now())
	if err := c.Directory.Delete(ctx, who.OwnerID(), id, told); err != nil {
		return err
	}
	c.Stored()
	return nil
}

// conversationEvent tells what has happened to a conversation.
func conversationEvent(id, subject, owner, conversationID string, at time.Time) domain.Event {
	return domain.Event{ID: id, Subject: subject, Payload: domain.ConversationEvent{
		ConversationID: conversationID, UserID: owner, Status: domain.LastWord(subject), Timestamp: at,
	}}
}

// Messages returns a page of what was said in one of the caller's conversations, and how many messages there are in all.
func (c *Conversations) Messages(
	ctx context.Context, who domain.Principal, id string, limit, offset int, newestFirst bool,
) ([]domain.Message, int, error) {
	return c.Directory.Messages(ctx, who.OwnerID(), id, limit, offset, newestFirst)
}
