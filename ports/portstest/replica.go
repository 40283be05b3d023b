package portstest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gaia/domain"
	"gaia/ports"
)

// Replica is one of two processes on one database.
type Replica interface {
	ports.ConversationStore
	ports.ConversationDirectory
}

// ConversationReplicas checks that a process sees at once what another one has done to a conversation, whatever it has kept of it.
func ConversationReplicas(t *testing.T, two func(*testing.T) (a, b Replica)) {
	t.Helper()
	for _, name := range []string{"the default", "by id"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := two(t)
			replicas := [2]Replica{a, b}
			id := ""
			if name == "by id" {
				id = newID()
			}
			random := rand.New(rand.NewPCG(1, 2))
			var all []domain.Message
			persona := ""
			for step := range 100 {
				s := replicas[random.IntN(2)]
				switch n := random.IntN(20); {
				case n == 0:
					if err := s.Clear(t.Context(), "owner", id); err != nil {
						t.Fatal(err)
					}
					all = nil
				case n == 1:
					deleteConversation(t, s, id)
					all, persona = nil, ""
				case n == 2 && id != "": // the same id, and somebody else answers
					deleteConversation(t, s, id)
					all, persona = nil, newID()
					if err := s.Create(t.Context(), domain.Conversation{ID: id, Owner: "owner", PersonaID: persona}); err != nil {
						t.Fatal(err)
					}
				default:
					turn := aTurn("owner", id, fmt.Sprint(step))
					appendTurn(t, s, turn)
					all = append(all, turn.User, turn.Assistant)
				}
				for _, r := range replicas {
					if _, got, err := r.History(t.Context(), "owner", id, domain.MaxHistory); err != nil || got != persona {
						t.Fatalf("%q answers, %v, want %q", got, err, persona)
					}
					wantMessages(t, history(t, r, "owner", id, domain.MaxHistory), all[max(0, len(all)-domain.MaxHistory):]...)
				}
				wantMessages(t, history(t, s, "owner", id, 6), all[max(0, len(all)-6):]...)
			}
		})
	}
}

func deleteConversation(t *testing.T, s Replica, id string) {
	t.Helper()
	if id == "" {
		var err error
		if id, err = s.Default(t.Context(), "owner"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "owner", id); err != nil && domain.KindOf(err) != domain.NotFound {
		t.Fatal(err)
	}
}
