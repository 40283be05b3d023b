package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/tests/gaiatest"
	"gaia/tests/upstream"
)

// leaseWorld is a caller whose budget has room for a few answers at once, and whose answers take as long as the test wants.
type leaseWorld struct {
	t        *testing.T
	provider *upstream.Server
	settings gaiatest.Settings
	user     string
}

// budgetLease is the shortest that there may be.
const budgetLease = 10 * time.Second

func newLeaseWorld(t *testing.T) *leaseWorld {
	provider, settings := startUpstream(t)
	settings["BUDGET_DAILY_USD"], settings["BUDGET_LEASE"], settings["LOG_LEVEL"] = "0.001", "10", "INFO"
	return &leaseWorld{t: t, provider: provider, settings: settings, user: uuid.NewString()}
}

func (w *leaseWorld) question() map[string]any {
	return map[string]any{"messages": []any{userMessage("Hi")}, "max_tokens": 500, "stream": true}
}

// fill begins answers until the budget has no room for another one, and returns them: at least one.
func (w *leaseWorld) fill(s *gaiatest.Server) []*gaiatest.Stream {
	w.t.Helper()
	streams := w.fillUp(s)
	if len(streams) == 0 {
		w.t.Fatal("the budget has no room for one answer")
	}
	return streams
}

// fillUp is fill that may find no room.
func (w *leaseWorld) fillUp(s *gaiatest.Server) (streams []*gaiatest.Stream) {
	w.t.Helper()
	for {
		stream, err := s.As(w.user).TryStream(w.t.Context(), "/api/v1/chat", w.question())
		switch {
		case err == nil:
			streams = append(streams, stream)
		case strings.Contains(err.Error(), "402"):
			return streams
		default:
			w.t.Fatalf("after %d answers: %v", len(streams), err)
		}
	}
}

// TestMoneyOfAKilledProcessIsFreeAgain: as long as a process lives, what it holds is nobody else's, however long its answers take; when it is
// killed, its callers have their money back after BUDGET_LEASE.
func TestMoneyOfAKilledProcessIsFreeAgain(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		w := newLeaseWorld(t)
		w.provider.Plays("gpt-4o-mini", upstream.Script{Tokens: 1, Fault: upstream.Stall, After: 1})
		victim := b.Start(t, w.settings)
		other := victim // the embedded database belongs to one process
		if b.Settings["DATABASE_URL"] != "" {
			other = b.Start(t, w.settings)
		}
		held := w.fill(victim)
		for end := time.Now().Add(3 * budgetLease / 2); time.Now().Before(end); time.Sleep(budgetLease / 20) { // it renews all the while
			if _, err := other.As(w.user).TryStream(t.Context(), "/api/v1/chat", w.question()); err == nil || !strings.Contains(err.Error(), "402") {
				t.Fatalf("the money of running answers was given away: %v", err)
			}
		}
		victim.Kill()
		killed := time.Now()
		if other == victim {
			victim.Restart()
		}
		var again *gaiatest.Stream
		gaiatest.Eventually(t, 4*budgetLease, "the money is free again", func() bool {
			stream, err := other.As(w.user).TryStream(t.Context(), "/api/v1/chat", w.question())
			again = stream
			return err == nil
		})
		t.Logf("%d answers died; their money was free after %s", len(held), time.Since(killed))
		again.Close()
	})
}

// TestAProcessThatStoodStillOverspendsNothingUnseen: a process that is frozen for longer than BUDGET_LEASE loses what it held to others. When
// it goes on, what its answers used is in the ledger and in the budget, once, nothing stays set aside, and the log tells.
func TestAProcessThatStoodStillOverspendsNothingUnseen(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	w := newLeaseWorld(t)
	w.provider.Plays("gpt-4o-mini", upstream.Script{Tokens: 300, Between: 50 * time.Millisecond})
	victim, other := b.Start(t, w.settings), b.Start(t, w.settings)
	held := w.fill(victim)
	for _, stream := range held {
		if _, err := stream.Next(); err != nil {
			t.Fatal(err)
		}
	}
	victim.Pause()
	var taken []*gaiatest.Stream
	gaiatest.Eventually(t, 4*budgetLease, "the money is given to others", func() bool {
		stream, err := other.As(w.user).TryStream(t.Context(), "/api/v1/chat", w.question())
		if err == nil {
			taken = append(taken, stream)
		}
		return err == nil
	})
	taken = append(taken, w.fillUp(other)...)
	victim.Resume()
	for i, stream := range append(held, taken...) {
		if events := stream.All(); len(events) == 0 || events[len(events)-1].Data != "[DONE]" {
			t.Errorf("answer %d did not come to its end", i)
		}
	}

	conn, err := pgx.Connect(t.Context(), b.Settings["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // of a test
	var answers, cost, spent, aside int64
	gaiatest.Eventually(t, 10*time.Second, "every answer is in the ledger and nothing is set aside", func() bool {
		err := conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM usage_ledger), (SELECT coalesce(sum(cost), 0)::bigint FROM usage_ledger),
			(SELECT coalesce(sum(spent), 0)::bigint FROM budgets), (SELECT count(*) FROM budget_reservations)`).Scan(&answers, &cost, &spent, &aside)
		if err != nil {
			t.Fatal(err)
		}
		return answers == int64(len(held)+len(taken)) && aside == 0
	})
	if cost == 0 || cost != spent {
		t.Errorf("the ledger has %d billionths of a dollar, the budget %d", cost, spent)
	}
	if !strings.Contains(victim.Output(), "was not held all the time") || strings.Contains(other.Output(), "was not held all the time") {
		t.Error("the log of the process that stood still should tell, and no other")
	}
}
