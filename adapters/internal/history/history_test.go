package history_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"gaia/adapters/internal/history"
	"gaia/domain"
)

// table is a store of one conversation.
type table struct {
	mu       sync.Mutex
	messages []domain.Message
	seqs     []int64
	last     int64
	read     int // messages that were handed out
}

func (s *table) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.last++
		id := fmt.Sprint("message ", s.last)
		s.messages, s.seqs = append(s.messages, domain.Message{ID: id, Content: strings.Repeat("word ", 10)}), append(s.seqs, s.last)
	}
}

func (s *table) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.seqs = nil, nil
}

func (s *table) load(since int64, limit int) (history.Part, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []domain.Message
	for i := len(s.messages) - 1; i >= 0 && len(found) < limit && s.seqs[i] >= since; i-- {
		found = append(found, s.messages[i])
	}
	s.read += len(found)
	if len(found) == 0 {
		return history.Part{}, nil
	}
	part := history.Part{Messages: found, Newest: s.seqs[len(s.seqs)-1]}
	if since == 0 {
		part.PersonaID = "persona"
	}
	return part, nil
}

func (s *table) want(limit int) []domain.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages[max(0, len(s.messages)-limit):])
}

func last(t *testing.T, c *history.Cache, key history.Key, limit int, load history.Load) []domain.Message {
	t.Helper()
	messages, persona, err := c.Last(key, limit, load)
	if err != nil || len(messages) > 0 && persona != "persona" {
		t.Fatalf("%q answers, %v", persona, err)
	}
	return messages
}

var aKey = history.Key{Owner: "owner"}

func TestLastIsWhatTheStoreHas(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		c, s := history.New(0), &table{}
		for step := range 200 {
			switch n := random.IntN(20); {
			case n == 0:
				s.clear()
			case n == 1:
				s.add(random.IntN(120))
			case n < 10:
				s.add(2)
			}
			limit := []int{1, 7, 50, 50, 50}[random.IntN(5)]
			got, want := last(t, c, aKey, limit, s.load), s.want(limit)
			if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, step %d, limit %d: got %d messages, want %d", seed, step, limit, len(got), len(want))
			}
			for i := range got {
				got[i].Content = "changed by the caller"
			}
		}
	}
}

func TestOnlyWhatIsNewIsRead(t *testing.T) {
	t.Parallel()
	c, s := history.New(0), &table{}
	s.add(1000)
	last(t, c, aKey, 50, s.load)
	s.read = 0
	for range 100 {
		s.add(2)
		last(t, c, aKey, 50, s.load)
	}
	if s.read != 300 { // the two new ones, and the one before as proof
		t.Errorf("%d messages were read for 200 new ones", s.read)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const room = 10 * (20*256 + 1000) // for ten conversations and a little
	c, s := history.New(16*room), &table{}
	s.add(20)
	for i := range 1000 {
		last(t, c, history.Key{Owner: "owner", Conversation: fmt.Sprint(i)}, 50, s.load)
	}
	s.read = 0
	last(t, c, history.Key{Owner: "owner", Conversation: "999"}, 50, s.load)
	if s.read != 1 {
		t.Errorf("%d messages were read of the conversation that was used last", s.read)
	}
	s.read = 0
	last(t, c, history.Key{Owner: "owner", Conversation: "0"}, 50, s.load)
	if s.read != 20 {
		t.Errorf("%d messages were read of the conversation that was used first", s.read)
	}
	big := &table{}
	big.add(2)
	big.messages[0].Content = strings.Repeat("x", 2*room)
	last(t, c, aKey, 50, big.load)
	big.read = 0
	last(t, c, aKey, 50, big.load)
	if last(t, c, aKey, 50, big.load); big.read != 4 {
		t.Errorf("%d messages were read of a conversation that is too large to be kept", big.read)
	}
}

func TestErrorsComeBackAndChangeNothing(t *testing.T) {
	t.Parallel()
	c, s := history.New(0), &table{}
	s.add(4)
	broken := errors.New("broken")
	fails := func(int64, int) (history.Part, error) { return history.Part{}, broken }
	for range 2 {
		if _, _, err := c.Last(aKey, 50, fails); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if got := last(t, c, aKey, 50, s.load); len(got) != 4 {
			t.Errorf("got %d messages, want 4", len(got))
		}
	}
}

func TestReadersRaceWithWriters(t *testing.T) {
	t.Parallel()
	c, s := history.New(0), &table{}
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for range 300 {
				s.add(2)
				messages, _, err := c.Last(aKey, 50, s.load)
				if err != nil || !slices.IsSortedFunc(messages, func(a, b domain.Message) int { return len(a.ID) - len(b.ID) }) {
					t.Errorf("got %d messages, %v", len(messages), err)
				}
			}
		})
	}
	done.Wait()
	if got := last(t, c, aKey, 50, s.load); !reflect.DeepEqual(got, s.want(50)) {
		t.Error("the end is not what the store has")
	}
}
