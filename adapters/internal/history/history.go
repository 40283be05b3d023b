// Package history keeps the ends of conversations near, so that a store which is asked for the same fifty messages with every question
// reads only those that are new. The store stays the truth: it is asked every time whether the end that is kept still is one, and a
// conversation that was emptied, deleted or continued by another process is seen at once.
//
// It must not know a database.
package history

import (
	"container/list"
	"slices"
	"sync"

	"gaia/domain"
)

// Key is a conversation as its owner names it: an empty id is the default conversation.
type Key struct{ Owner, Conversation string }

// Load reads the newest messages of a conversation that have a sequence number from since on, at most limit. Numbers must grow within a
// conversation and must never be given twice; all are above 0.
type Load func(since int64, limit int) (Part, error)

// Part is what was read of a conversation.
type Part struct {
	Messages  []domain.Message // newest first
	Newest    int64            // sequence number of the first of them
	PersonaID string           // who answers in the conversation, which never changes; needed only when all numbers were asked for
}

// Bounds of what is kept, in bytes of memory, about.
const (
	defaultSize = 32 << 20
	largestPart = 16  // one conversation may take this part of the whole
	perMessage  = 256 // besides its text
)

// Cache keeps ends of conversations, the most recently used ones.
type Cache struct {
	mu    sync.Mutex
	kept  map[Key]*list.Element // of *end
	order *list.List            // the most recently used first
	size  int
	limit int
}

// end is how a conversation ends. It is never changed once it is kept.
type end struct {
	key      Key
	messages []domain.Message // oldest first
	newest   int64            // sequence number of the last one
	persona  string
	whole    bool // it is all of the conversation
	size     int
}

// New makes a cache of so many bytes; 0 is 32 MiB.
func New(size int) *Cache {
	if size <= 0 {
		size = defaultSize
	}
	return &Cache{kept: map[Key]*list.Element{}, order: list.New(), limit: size}
}

// Last returns the last messages of a conversation, oldest first, at most limit, which must be above 0, and who answers in it. The caller
// may change the slice.
func (c *Cache) Last(key Key, limit int, load Load) (messages []domain.Message, personaID string, err error) {
	if known := c.get(key); known != nil && (known.whole || len(known.messages) >= limit) {
		messages, err := c.follow(known, limit, load)
		if messages != nil || err != nil {
			return messages, known.persona, err
		}
	}
	found, err := load(0, limit)
	if err != nil || len(found.Messages) == 0 {
		return nil, found.PersonaID, err
	}
	messages = found.Messages
	slices.Reverse(messages)
	c.put(&end{
		key: key, messages: slices.Clone(messages), newest: found.Newest, persona: found.PersonaID, whole: len(messages) < limit,
	})
	return messages, found.PersonaID, nil
}

// follow reads what has come since. No messages and no error mean that the conversation does not end that way any more.
func (c *Cache) follow(known *end, limit int, load Load) ([]domain.Message, error) {
	last := known.messages[len(known.messages)-1]
	part, err := load(known.newest, limit+1)
	found := part.Messages
	if err != nil || len(found) == 0 || found[len(found)-1].ID != last.ID {
		return nil, err // also when more has come than was asked for
	}
	if fresh := found[:len(found)-1]; len(fresh) > 0 {
		slices.Reverse(fresh)
		next := &end{key: known.key, newest: part.Newest, persona: known.persona, whole: known.whole}
		older := known.messages
		if len(older)+len(fresh) > limit {
			next.whole = false
			older = older[len(older)+len(fresh)-limit:]
		}
		next.messages = make([]domain.Message, 0, len(older)+len(fresh))
		next.messages = append(append(next.messages, older...), fresh...)
		c.put(next)
		known = next
	}
	return slices.Clone(known.messages[max(0, len(known.messages)-limit):]), nil
}

func (c *Cache) get(key Key) *end {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.kept[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*end) //nolint:forcetypeassert // nothing else is in the list
}

// put keeps an end, unless a later one is kept already, and forgets what there is no room for.
func (c *Cache) put(next *end) {
	for _, m := range next.messages {
		next.size += perMessage + len(m.Content)
		for _, call := range m.ToolCalls {
			next.size += perMessage + len(call.Arguments)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.kept[next.key]; e != nil {
		if e.Value.(*end).newest > next.newest { //nolint:forcetypeassert // nothing else is in the list
			return
		}
		c.drop(e)
	}
	if next.size > c.limit/largestPart {
		return
	}
	c.kept[next.key] = c.order.PushFront(next)
	c.size += next.size
	for c.size > c.limit {
		c.drop(c.order.Back())
	}
}

func (c *Cache) drop(e *list.Element) {
	gone := c.order.Remove(e).(*end) //nolint:forcetypeassert // nothing else is in the list
	delete(c.kept, gone.key)
	c.size -= gone.size
}
