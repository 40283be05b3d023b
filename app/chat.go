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
	Retries        int           // how often a provider that failed before its first word is asked again; 0: never
	DailyBudget    domain.Money  // of each caller; 0: no limit
	BudgetLease    time.Duration // after which money of a process that has died is free again; 90 s
	Tools          domain.ToolLimits
}

// ChatDeps is what Chat needs.
type ChatDeps struct {
	Personas      *Personas
	Conversations ports.ConversationStore
	Completers    map[string]ports.Completer // by provider id
	Selector      domain.ModelSelector
	Measurements  *Measurements
	Active        *ActiveRequests   // may be nil
	Budgets       ports.BudgetStore // needed with a DailyBudget
	Answers       ports.AnswerStore // for requests with an Idempotency-Key
	Tools         *Tools            // of Gaia's own; nil: there are none
	Slots         *Slots            // what runs without a request counts in; nil: nowhere
	Events        ports.EventPublisher
	// Lapsed, which may be nil, is told when others may have been given money that was set aside here and is spent all the same.
	Lapsed func([]domain.Reservation)
	Now    ports.Clock
	NewID  ports.IDs
	Config ChatConfig
}

// Chat answers messages with models, in the voice of a persona, and remembers what was said.
type Chat struct {
	ChatDeps
	runs     runs
	releases *releases
	holds    *holds
}

// NewChat makes the use cases.
func NewChat(d ChatDeps) *Chat {
	if d.Config.FirstEventWait == 0 {
		d.Config.FirstEventWait = 5 * time.Second
	}
	if d.Config.SaveTimeout == 0 {
		d.Config.SaveTimeout = 5 * time.Second
	}
	if d.Config.BudgetLease == 0 {
		d.Config.BudgetLease = defaultBudgetLease
	}
	if d.Lapsed == nil {
		d.Lapsed = func([]domain.Reservation) {}
	}
	d.Config.Tools = d.Config.Tools.WithDefaults()
	c := &Chat{ChatDeps: d, runs: runs{byKey: map[runKey]*run{}}, releases: newReleases(d.Config.SaveTimeout, d.Now)}
	c.holds = newHolds(d.Budgets, d.Config.BudgetLease, d.Config.SaveTimeout, d.Now, d.Lapsed, c.releaseLater)
	return c
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
	Fallback       bool          // other providers may answer when the first can't
	Repeat         *Repeat       // for a request that may be sent again
	Streamed       bool          // the client reads the answer as it comes
	NoTools        bool          // none of Gaia's tools are offered: whoever asks has tools called itself, if any

	HTTPRequestID string         // for the ledger
	Timings       domain.Timings // of what came before
}

// ChatInfo says how a question is answered.
type ChatInfo struct {
	MessageID  string
	Created    time.Time
	Choice     domain.Choice    // who answers; after a fallback another than Selection says
	Selection  domain.Selection // why
	FetchTime  time.Duration    // for persona and history
	PersonaHit bool             // the persona came from a cache
	OwnTools   bool             // tools of Gaia's own are offered, and calls in the answer are theirs
	EventBase  int              // the number before that of the first event of a stream; above 0 when the answer had to begin again
}

// ChatResult is a finished answer, which is stored by then.
type ChatResult struct {
	domain.Answer
	Usage          domain.Usage
	ConversationID string // empty when nothing was stored
	Duration       time.Duration
	CommitTime     time.Duration // of Duration's end: how long the store took; zero for a kept answer
	FallbackUsed   bool
	Cost           domain.Money       // of all attempts
	ToolEvents     []domain.ToolEvent // what became of calls of Gaia's own tools; the answer has none of these calls
}

// Complete answers in one piece.
func (c *Chat) Complete(ctx context.Context, who domain.Principal, req ChatRequest) (ChatInfo, ChatResult, error) {
	req.Streamed = false
	if req.Repeat != nil {
		return c.completeRun(ctx, who, req)
	}
	t, err := c.prepare(ctx, who, req)
	if err != nil {
		return ChatInfo{}, ChatResult{}, err
	}
	defer t.close()
	for {
		switch step := t.safely(ctx, t.next); {
		case step.Err != nil:
			return ChatInfo{}, ChatResult{}, step.Err
		case step.Result != nil:
			return t.info, *step.Result, nil
		}
	}
}

// ChooseModel returns who would answer a request for a model, or why nobody would.
func (c *Chat) ChooseModel(req domain.ModelRequest) (domain.Choice, error) {
	selection, err := c.Selector.Select(req, c.Measurements.Snapshot)
	return selection.Choice, err
}

// Window returns how many tokens the model has room for that would answer a request; 0 when nobody knows.
func (c *Chat) Window(req domain.ModelRequest) int {
	choice, err := c.ChooseModel(req)
	if err != nil {
		return 0
	}
	model, _ := c.Selector.Catalogue.Model(choice.Model)
	return model.ContextWindow
}

// Status tells how many messages of user and assistant the caller's default conversation has.
func (c *Chat) Status(ctx context.Context, who domain.Principal) (int, error) {
	return c.Conversations.Count(ctx, who.OwnerID(), "")
}

// Clear empties the caller's default conversation.
func (c *Chat) Clear(ctx context.Context, who domain.Principal) error {
	eventID := c.NewID()
	return c.Conversations.Clear(ctx, who.OwnerID(), "", func(id string) domain.Event {
		return conversationEvent(eventID, domain.SubjectConversationCleared, who.OwnerID(), id, c.Now())
	})
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
	started := c.Now()
	fresh := req.fresh()
	question := lastQuestion(fresh)
	req.Model.Message = question
	selection, err := c.Selector.Select(req.Model, c.Measurements.Snapshot)
	if err != nil {
		return nil, err
	}
	persona, hit, history, err := c.fetchContext(ctx, who, req)
	if err != nil {
		return nil, err
	}
	fetched := c.Now().Sub(started)
	t := &turn{
		chat: c, who: who, req: req, started: started, timings: req.Timings, whole: !req.Streamed, history: history, fresh: fresh, question: question,
		route: route{choices: []domain.Choice{selection.Choice}},
		info: ChatInfo{
			MessageID: c.NewID(), Created: started, Choice: selection.Choice, Selection: selection, FetchTime: fetched, PersonaHit: hit,
		},
	}
	t.timings.Selection = fetched
	if req.Fallback {
		t.route.choices = append(t.route.choices, c.Selector.Fallbacks(selection)...)
	}
	if persona != nil {
		t.personaID = &persona.ID
		t.system = persona.Prompt("")
	}
	t.offerTools(persona)
	if err := t.reserve(ctx); err != nil {
		return nil, err
	}
	t.active = c.Active.Begin(who.OwnerID(), req.HTTPRequestID, t.info.Choice, started)
	t.publish(ctx, domain.SubjectChatStart, "started", nil)
	return t, nil
}

// reserve sets aside what the answer can cost at most, so that requests that run at once can't spend the same money.
func (t *turn) reserve(ctx context.Context) error {
	limit := t.chat.Config.DailyBudget
	if limit == 0 {
		return nil
	}
	most := t.mostCost(t.route.choices)
	r := domain.Reservation{
		ID: t.chat.NewID(), Owner: t.who.OwnerID(), At: t.started, Amount: most, Limit: limit,
	}
	if err := t.chat.reserve(ctx, r); err != nil {
		return err
	}
	t.reservation, t.reservedAt, t.reserved = r.ID, r.At, most
	return nil
}

// reserve sets money aside for as long as it is needed here.
func (c *Chat) reserve(ctx context.Context, r domain.Reservation) error {
	err := c.holds.reserve(ctx, r)
	if err != nil && domain.KindOf(err) != domain.PaymentRequired { // it may be there all the same: the answer was lost
		c.releaseLater(r.ID)
	}
	return err
}

// reserveAgain sets aside anew what others may have been given, because this process stood still or could not reach the store for longer
// than its lease. Nobody is asked for anything that could cost more than the caller may spend.
func (t *turn) reserveAgain(ctx context.Context) error {
	if t.reservation == "" || t.chat.holds.valid(t.reservations()...) {
		return nil
	}
	if len(t.records) == 0 {
		t.chat.holds.forget(t.reservations()...)
	} else { // attempts and rounds before have spent of it
		t.chat.holds.end(t.reservations()...)
	}
	for _, id := range t.reservations() {
		if err := t.chat.Budgets.Release(ctx, id); err != nil {
			return err
		}
	}
	t.more = nil
	r := domain.Reservation{
		ID: t.chat.NewID(), Owner: t.who.OwnerID(), At: t.chat.Now(), Amount: t.reserved, Limit: t.chat.Config.DailyBudget,
	}
	if err := t.chat.reserve(ctx, r); err != nil {
		return err // the turn is settled with the reservation that is gone
	}
	t.reservation, t.reservedAt = r.ID, r.At
	return nil
}

// reservations are all that is set aside for the turn.
func (t *turn) reservations() []string { return append([]string{t.reservation}, t.more...) }

// mostCost is what the dearest of some models can cost when it is asked next.
func (t *turn) mostCost(choices []domain.Choice) (most domain.Money) {
	for _, choice := range choices {
		cost, _ := t.chat.Selector.Catalogue.Cost(choice, t.mostUsage(choice))
		most = max(most, cost)
	}
	return most
}

// reserveMore sets aside once more what a failed attempt has cost, so that the next one can cost as much as was thought. It reports whether
// the budget allows that.
func (t *turn) reserveMore(ctx context.Context, cost domain.Money) bool {
	return t.reservation == "" || cost == 0 || t.setAside(ctx, cost) == nil
}

// setAside adds to what is set aside.
func (t *turn) setAside(ctx context.Context, amount domain.Money) error {
	r := domain.Reservation{
		ID: t.chat.NewID(), Owner: t.who.OwnerID(), At: t.chat.Now(), Amount: amount, Limit: t.chat.Config.DailyBudget,
	}
	if err := t.chat.reserve(ctx, r); err != nil {
		return err
	}
	t.more = append(t.more, r.ID)
	t.reserved += amount
	return nil
}

// releaseLater gives back what was set aside, as soon as the store is there.
func (c *Chat) releaseLater(reservation string) {
	c.releases.later(func(ctx context.Context) error { return c.Budgets.Release(ctx, reservation) })
}

// mostUsage bounds what a model can count: the prompt, and the longest answer.
func (t *turn) mostUsage(choice domain.Choice) domain.Usage {
	prompt := t.promptFor(choice)
	usage := domain.Usage{Input: prompt.MostTokens()}
	model, _ := t.chat.Selector.Catalogue.Model(choice.Model)
	usage.Output = model.MaxTokens
	if usage.Output == 0 {
		usage.Output = fallbackOutput
	}
	if prompt.MaxTokens != nil {
		usage.Output = min(usage.Output, *prompt.MaxTokens)
	}
	return usage
}

// fetchContext reads persona and history, side by side where one does not tell of the other. persona is nil when the client brings its own system prompt.
func (c *Chat) fetchContext(ctx context.Context, who domain.Principal, req ChatRequest) (
	persona *domain.Persona, hit bool, history []domain.Message, err error) {
	readHistory := func(ctx context.Context) (partner string, err error) {
		history, partner, err = c.Conversations.History(ctx, who.OwnerID(), req.ConversationID, domain.MaxHistory)
		return partner, err
	}
	readPersona := func(ctx context.Context, partner string) error {
		p, fromCache, err := c.persona(ctx, who, req.PersonaID, partner)
		persona, hit = &p, fromCache
		return err
	}
	switch {
	case !req.stored() && !req.wantsPersona():
	case !req.stored():
		err = readPersona(ctx, "")
	case !req.wantsPersona():
		_, err = readHistory(ctx)
	case req.PersonaID == "" && req.ConversationID != "": // the conversation tells
		var partner string
		if partner, err = readHistory(ctx); err == nil {
			err = readPersona(ctx, partner)
		}
	default:
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { _, err := readHistory(ctx); return err })
		g.Go(func() error { return readPersona(ctx, "") })
		err = g.Wait()
	}
	return persona, hit, history, err
}

// persona is who answers: whom the request names, else whom the conversation is with unless that is deleted, else the caller's current
// persona.
func (c *Chat) persona(ctx context.Context, who domain.Principal, named, partner string) (domain.Persona, bool, error) {
	if named != "" && named != nameDefault {
		return c.Personas.get(ctx, named)
	}
	if partner != "" {
		persona, hit, err := c.Personas.get(ctx, partner)
		if domain.KindOf(err) != domain.NotFound {
			return persona, hit, err
		}
	}
	return c.Personas.current(ctx, who)
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

// validCalls makes tool calls storable.
func validCalls(calls []domain.ToolCall) []domain.ToolCall {
	var valid []domain.ToolCall
	for _, c := range calls {
		valid = append(valid, domain.ToolCall{ID: validText(c.ID), Name: validText(c.Name), Arguments: validText(c.Arguments)})
	}
	return valid
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
