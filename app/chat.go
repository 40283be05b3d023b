package app

import (
	"context"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"gaia/domain"
	"gaia/ports"
)

// ChatConfig tunes chats. Zero values mean the defaults named here.
type ChatConfig struct {
	FirstEventWait time.Duration // how long Stream waits for the first step before it answers; 5 s
	SaveTimeout    time.Duration // how long saving a turn may take after the client left; 5 s
}

// ChatDeps is what Chat needs.
type ChatDeps struct {
	Personas      *Personas
	Conversations ports.ConversationStore
	Completers    map[string]ports.Completer // by provider id
	Selector      domain.ModelSelector
	Events        ports.EventPublisher
	Now           ports.Clock
	NewID         ports.IDs
	Config        ChatConfig
}

// Chat answers messages with models, in the voice of a persona, and remembers what was said.
type Chat struct{ ChatDeps }

// NewChat makes the use cases.
func NewChat(d ChatDeps) *Chat {
	if d.Config.FirstEventWait == 0 {
		d.Config.FirstEventWait = 5 * time.Second
	}
	if d.Config.SaveTimeout == 0 {
		d.Config.SaveTimeout = 5 * time.Second
	}
	return &Chat{d}
}

// defaultMaxTokens bounds an answer when a client of the message form names no limit. Clients of the OpenAI form get the provider's.
const defaultMaxTokens = 2000

// ChatRequest is a question. With Message the server keeps the history; with Messages the client does, unless it names a conversation.
type ChatRequest struct {
	Message        *string
	Messages       []domain.PromptMessage
	ConversationID string // empty: the caller's default conversation
	PersonaID      string // empty or "default": the caller's current persona
	Model          domain.ModelRequest
	Options        domain.Prompt // sampling, tools and format; Model and Messages are ignored
}

// ChatInfo says how a question is answered.
type ChatInfo struct {
	MessageID  string
	Created    time.Time
	Choice     domain.Choice
	FetchTime  time.Duration // for persona and history
	PersonaHit bool          // the persona came from a cache
}

// ChatResult is a finished answer, which is stored by then.
type ChatResult struct {
	domain.Answer
	Usage          domain.Usage
	ConversationID string // empty when nothing was stored
	Duration       time.Duration
}

// Complete answers in one piece.
func (c *Chat) Complete(ctx context.Context, who domain.Principal, req ChatRequest) (ChatInfo, ChatResult, error) {
	t, err := c.prepare(ctx, who, req)
	if err != nil {
		return ChatInfo{}, ChatResult{}, err
	}
	defer t.close()
	for step := t.first(ctx); ; step = t.next(ctx) {
		switch {
		case step.Err != nil:
			return ChatInfo{}, ChatResult{}, step.Err
		case step.Result != nil:
			return t.info, *step.Result, nil
		}
	}
}

// Status tells how many messages of user and assistant the caller's default conversation has.
func (c *Chat) Status(ctx context.Context, who domain.Principal) (int, error) {
	return c.Conversations.Count(ctx, who.OwnerID(), "")
}

// Clear empties the caller's default conversation.
func (c *Chat) Clear(ctx context.Context, who domain.Principal) error {
	return c.Conversations.Clear(ctx, who.OwnerID(), "")
}

// ReloadPrompt makes the caller's next chat read its persona anew.
func (c *Chat) ReloadPrompt(ctx context.Context, who domain.Principal) error {
	return c.Personas.Reload(ctx, who)
}

// prepare does everything that can refuse a question before a provider is asked.
func (c *Chat) prepare(ctx context.Context, who domain.Principal, req ChatRequest) (*turn, error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	choice, err := c.Selector.Choose(req.Model)
	if err != nil {
		return nil, err
	}
	started := c.Now()
	persona, hit, history, err := c.fetchContext(ctx, who, req)
	if err != nil {
		return nil, err
	}
	t := &turn{
		chat: c, who: who, started: started, stored: req.stored(), conversation: req.ConversationID,
		info: ChatInfo{MessageID: c.NewID(), Created: started, Choice: choice, FetchTime: c.Now().Sub(started), PersonaHit: hit},
	}
	system := ""
	if persona != nil {
		t.personaID = &persona.ID
		system = persona.Prompt("")
	}
	fresh := req.fresh()
	t.question = lastQuestion(fresh)
	t.prompt = req.Options
	t.prompt.Model = choice.Model
	if t.prompt.MaxTokens == nil && req.Message != nil {
		limit := defaultMaxTokens
		t.prompt.MaxTokens = &limit
	}
	model, _ := c.Selector.Catalogue.Model(choice.Model)
	t.prompt.Messages = domain.BuildPrompt(system, history, fresh, model.ContextWindow)
	return t, nil
}

// fetchContext reads persona and history side by side. persona is nil when the client brings its own system prompt.
func (c *Chat) fetchContext(ctx context.Context, who domain.Principal, req ChatRequest) (
	persona *domain.Persona, hit bool, history []domain.Message, err error) {
	g, ctx := errgroup.WithContext(ctx)
	if req.wantsPersona() {
		g.Go(func() error {
			p, fromCache, err := c.persona(ctx, who, req.PersonaID)
			persona, hit = &p, fromCache
			return err
		})
	}
	if req.stored() {
		g.Go(func() (err error) {
			history, err = c.Conversations.History(ctx, who.OwnerID(), req.ConversationID, domain.MaxHistory)
			return err
		})
	}
	err = g.Wait()
	return persona, hit, history, err
}

func (c *Chat) persona(ctx context.Context, who domain.Principal, id string) (domain.Persona, bool, error) {
	if id == "" || id == nameDefault {
		return c.Personas.current(ctx, who)
	}
	return c.Personas.get(ctx, id)
}

func (r ChatRequest) validate() error {
	if r.Message == nil && len(r.Messages) == 0 {
		return domain.InvalidInput(domain.Missing(map[string]any{}, "body", "message"))
	}
	return nil
}

// stored reports whether the server keeps history for this request.
func (r ChatRequest) stored() bool { return len(r.Messages) == 0 || r.ConversationID != "" }

func (r ChatRequest) fresh() []domain.PromptMessage {
	if r.Message == nil {
		return r.Messages
	}
	return append(r.Messages[:len(r.Messages):len(r.Messages)], domain.PromptMessage{Role: domain.RoleUser, Content: *r.Message})
}

// wantsPersona: a client that brings its own system prompt gets that, unless it names a persona too.
func (r ChatRequest) wantsPersona() bool {
	if r.PersonaID != "" && r.PersonaID != nameDefault {
		return true
	}
	for _, m := range r.Messages {
		if m.Role == domain.RoleSystem || m.Role == domain.RoleDeveloper {
			return false
		}
	}
	return true
}

// lastQuestion is what is stored as the user's side of the turn.
func lastQuestion(messages []domain.PromptMessage) string {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == domain.RoleUser {
			return validText(messages[i].Text())
		}
	}
	return ""
}

// validText makes text storable: a model or client may send bytes that no database takes.
func validText(s string) string {
	clean := make([]byte, 0, len(s))
	for _, r := range s {
		if r != 0 {
			clean = utf8.AppendRune(clean, r)
		}
	}
	return string(clean)
}
