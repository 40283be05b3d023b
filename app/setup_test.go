package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ada     = domain.Principal{Type: domain.AuthJWT, UserID: "ada"}
	bob     = domain.Principal{Type: domain.AuthJWT, UserID: "bob"}
	service = domain.ServicePrincipal()

	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	errAny = errors.New("disk on fire")
)

// clock moves on by a second with each look, so that nothing has the same age.
func clock() ports.Clock {
	var seconds atomic.Int64
	return func() time.Time { return noon.Add(time.Duration(seconds.Add(1)) * time.Second) }
}

func ids() ports.IDs {
	var n atomic.Int64
	return func() string { return fmt.Sprintf("00000000-0000-7000-8000-%012x", n.Add(1)) }
}

// noCache is a cache that is away all the time: everything is loaded.
type noCache struct{}

func (noCache) Fetch(ctx context.Context, _ ports.CacheKey, _ time.Duration, load func(context.Context) (any, error), _ func([]byte) (any, error)) (any, bool, error) {
	v, err := load(ctx)
	return v, false, err
}

func (noCache) Invalidate(context.Context, ...ports.CacheKey) {}

func (noCache) Peek(ports.CacheKey) (any, bool) { return nil, false }

func (noCache) Len(string) int { return 0 }

// keepingCache keeps everything as JSON until it is invalidated, what is not there too, and counts.
type keepingCache struct {
	mu      sync.Mutex
	kept    map[ports.CacheKey][]byte
	missing map[ports.CacheKey]error
	ttls    map[ports.CacheKey]time.Duration
	loads   int
}

func newKeepingCache() *keepingCache {
	return &keepingCache{kept: map[ports.CacheKey][]byte{}, missing: map[ports.CacheKey]error{}, ttls: map[ports.CacheKey]time.Duration{}}
}

func (c *keepingCache) Fetch(ctx context.Context, key ports.CacheKey, ttl time.Duration, load func(context.Context) (any, error),
	decode func([]byte) (any, error)) (any, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if data, ok := c.kept[key]; ok {
		v, err := decode(data)
		return v, true, err
	}
	if err := c.missing[key]; err != nil {
		return nil, true, err
	}
	c.loads++
	v, err := load(ctx)
	if domain.KindOf(err) == domain.NotFound {
		c.missing[key] = err
	}
	if err != nil {
		return nil, false, err
	}
	data, err := json.Marshal(v)
	c.kept[key], c.ttls[key] = data, ttl
	return v, false, err
}

func (c *keepingCache) Invalidate(_ context.Context, keys ...ports.CacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		for kept := range c.kept {
			if kept == key || key.Name == "" && kept.Space == key.Space {
				delete(c.kept, kept)
			}
		}
		for missing := range c.missing {
			if missing == key || key.Name == "" && missing.Space == key.Space {
				delete(c.missing, missing)
			}
		}
	}
}

func (c *keepingCache) Peek(key ports.CacheKey) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var v any
	err := json.Unmarshal(c.kept[key], &v)
	return v, err == nil
}

func (c *keepingCache) Len(space string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for key := range c.kept {
		if key.Space == space {
			n++
		}
	}
	return n
}

func (c *keepingCache) loaded() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loads
}

func newPersonas(store *memory.PersonaStore, cache ports.Cache) *app.Personas {
	return app.NewPersonas(app.PersonaDeps{
		Store: store, Preferences: store, Cache: cache, Now: clock(), NewID: ids(),
		TTLs: app.PersonaTTLs{Persona: time.Minute, ListActive: 2 * time.Minute, ListAll: 3 * time.Minute, Preference: 4 * time.Minute},
	})
}

// eventLog remembers what was published, and whether it could have been sent.
type eventLog struct {
	mu     sync.Mutex
	events []domain.Event
	dead   int // published with a context that had ended
}

func (l *eventLog) Publish(ctx context.Context, e domain.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	if ctx.Err() != nil {
		l.dead++
	}
}

func (l *eventLog) subjects() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, e := range l.events {
		list = append(list, e.Subject)
	}
	return list
}

// turnStore counts what chats save and can be slow at it.
type turnStore struct {
	*memory.ConversationStore
	delay   time.Duration
	events  *eventLog    // gets what is stored about chats
	appends atomic.Int64 // turns that put messages into a conversation

	answers *memory.AnswerStore // keeps what turns keep

	mu    sync.Mutex
	turns []domain.Turn
}

// usage returns the rows of the ledger so far.
func (s *turnStore) usage() []domain.UsageRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []domain.UsageRecord
	for _, t := range s.turns {
		rows = append(rows, t.Usage...)
	}
	return rows
}

func (s *turnStore) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	if !turn.Unstored {
		s.appends.Add(1)
	}
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return "", domain.MissingPart("The database is not available", ctx.Err())
		}
	}
	if turn.Kept != nil {
		if err := s.answers.Keep(turn.Owner, *turn.Kept); err != nil {
			return "", err
		}
	}
	id, err := s.ConversationStore.CommitTurn(ctx, turn)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns = append(s.turns, turn)
	for _, e := range turn.Events {
		if e.Subject != domain.SubjectUsageRecorded {
			s.events.Publish(context.WithoutCancel(ctx), e)
		}
	}
	return id, nil
}

// step is what a scripted provider says next.
type step struct {
	delta domain.Delta
	err   error
}

// provider is a scripted Completer. It says its steps one after the other, then waits for more on live, when there is one.
type provider struct {
	openErr error
	steps   []step
	live    chan step // nil: the answer ends after the steps

	mu      sync.Mutex
	prompts []domain.Prompt
	reads   atomic.Int64 // steps handed out
	closed  atomic.Int64
}

// says makes a provider that answers with these pieces and a proper end.
func says(pieces ...string) *provider {
	p := &provider{}
	for _, piece := range pieces {
		p.steps = append(p.steps, step{delta: domain.Delta{Content: piece}})
	}
	p.steps = append(p.steps, step{delta: domain.Delta{Finish: domain.FinishStop}})
	return p
}

// live makes a provider that says what it is sent, after the pieces.
func live(pieces ...string) *provider {
	p := says(pieces...)
	p.steps = p.steps[:len(pieces)]
	p.live = make(chan step)
	return p
}

func (p *provider) then(s ...step) *provider {
	p.steps = append(p.steps, s...)
	return p
}

func (p *provider) Open(ctx context.Context, prompt domain.Prompt) (ports.CompletionStream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prompts = append(p.prompts, prompt)
	if p.openErr != nil {
		return nil, p.openErr
	}
	return &providerStream{ctx: ctx, p: p, done: make(chan struct{})}, nil
}

// asked returns the last prompt.
func (p *provider) asked(t *testing.T) domain.Prompt {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.prompts) == 0 {
		t.Fatal("the provider was not asked")
	}
	return p.prompts[len(p.prompts)-1]
}

func (p *provider) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.prompts)
}

type providerStream struct {
	ctx  context.Context
	p    *provider
	next int
	once sync.Once
	done chan struct{}
}

func (s *providerStream) Recv() (domain.Delta, error) {
	if err := s.ended(); err != nil {
		return domain.Delta{}, err
	}
	if s.next < len(s.p.steps) {
		st := s.p.steps[s.next]
		if st.err == nil {
			s.next++
			s.p.reads.Add(1)
		}
		return st.delta, st.err
	}
	if s.p.live == nil {
		return domain.Delta{}, io.EOF
	}
	select {
	case st, open := <-s.p.live:
		if !open {
			return domain.Delta{}, io.EOF
		}
		s.p.reads.Add(1)
		return st.delta, st.err
	case <-s.done:
	case <-s.ctx.Done():
	}
	return domain.Delta{}, s.ended()
}

func (s *providerStream) ended() error {
	select {
	case <-s.done:
		return domain.NewError(domain.Canceled, "The stream was closed")
	default:
	}
	switch {
	case errors.Is(s.ctx.Err(), context.DeadlineExceeded):
		return domain.MissingPart("The provider did not finish in time", s.ctx.Err())
	case s.ctx.Err() != nil:
		return &domain.Error{Kind: domain.Canceled, Message: "The request was canceled", Cause: s.ctx.Err()}
	default:
		return nil
	}
}

func (s *providerStream) Close() error {
	s.once.Do(func() {
		close(s.done)
		s.p.closed.Add(1)
	})
	return nil
}

// chatBed is a Chat with everything around it in reach.
type chatBed struct {
	chat     *app.Chat
	provider *provider
	personas *app.Personas
	people   *memory.PersonaStore
	turns    *turnStore
	events   *eventLog
	cache    *keepingCache
}

// newChat makes a Chat on empty stores with the default persona and one provider, openai.
func newChat(t *testing.T, p *provider) *chatBed {
	t.Helper()
	b := &chatBed{
		provider: p, people: memory.NewPersonaStore(), events: &eventLog{}, cache: newKeepingCache(),
	}
	b.turns = &turnStore{ConversationStore: memory.NewConversationStore(), events: b.events}
	b.personas = newPersonas(b.people, b.cache)
	if _, created, err := b.personas.EnsureDefault(t.Context()); err != nil || !created {
		t.Fatalf("EnsureDefault: %v, %v", created, err)
	}
	b.chat = app.NewChat(app.ChatDeps{
		Personas: b.personas, Conversations: b.turns, Completers: map[string]ports.Completer{domain.ProviderOpenAI: p}, Events: b.events,
		Selector: domain.ModelSelector{
			Catalogue: domain.BuiltInCatalogue(), Configured: map[string]string{domain.ProviderOpenAI: "gpt-4o-mini"},
			Default: domain.Choice{Provider: domain.ProviderOpenAI, Model: "gpt-4o-mini"},
		},
		Measurements: app.NewMeasurements(time.Now), Now: time.Now, NewID: ids2(),
	})
	return b
}

// ids2 makes ids that differ from those of ids.
func ids2() ports.IDs {
	next := ids()
	return func() string { return "1" + next()[1:] }
}

// history returns what the default conversation of a caller holds, as "role:content" words.
func (b *chatBed) history(t *testing.T, who domain.Principal, conversation string) []string {
	t.Helper()
	messages, _, err := b.turns.History(context.WithoutCancel(t.Context()), who.OwnerID(), conversation, 0)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, m := range messages {
		list = append(list, string(m.Role)+":"+m.Content)
	}
	return list
}

func message(text string) app.ChatRequest { return app.ChatRequest{Message: &text} }

func wantKind(t *testing.T, err error, kind domain.Kind) {
	t.Helper()
	if err == nil || domain.KindOf(err) != kind {
		t.Errorf("got %v of kind %d, want kind %d", err, domain.KindOf(err), kind)
	}
}
