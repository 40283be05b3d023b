package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

// TestOnlyTheToolAndTheModelSeeWhatIsRedacted has a tool called whose arguments and results are secret: the tool and the model get them, and nobody else does.
func TestOnlyTheToolAndTheModelSeeWhatIsRedacted(t *testing.T) {
	t.Parallel()
	log, servers := &memory.AuditLog{Outbox: &memory.Outbox{}}, &memory.Tools{}
	servers.Add(domain.ToolSpec{Server: "vault", Name: "open", Redact: []string{"pin"}, RedactResult: true}, toolSays("the treasure"))
	acts := plays(
		asksFor("", call("a", "vault__open", `{"pin":"1234-hush"}`), call("b", "vault__gone", `{"pin":"none"}`)), answers("Done."),
	)
	b := newChat(t, says("unused"))
	b.withTools(acts, servers, domain.ToolLimits{})
	deps := b.chat.ChatDeps
	deps.Tools = app.NewTools(app.ToolsDeps{Servers: servers, Policy: domain.ToolPolicy{Default: []string{"*"}}, Audit: auditInto(log), Now: time.Now})
	_, steps, result, err := readSteps(t.Context(), app.NewChat(deps), ada, message("hi"))
	if err != nil {
		t.Fatal(err)
	}
	if calls := servers.Calls(); len(calls) != 1 || !strings.Contains(string(calls[0].Arguments), "1234-hush") {
		t.Errorf("the tool got %+v", calls)
	}
	if last := fmt.Sprint(prompted(acts.acts[1].asked(t))); !strings.Contains(last, "the treasure") {
		t.Errorf("the model got %s", last)
	}
	wantWords(t, "events", told(result.ToolEvents)[:1], []string{"a vault__open: [redacted]"})
	if said := told(result.ToolEvents)[1]; !strings.Contains(said, "There is no function") { // what Gaia says is no secret
		t.Errorf("told %q", said)
	}
	shown := fmt.Sprintf("%+v %+v %+v", result, entriesOf(t, log), b.events.events)
	for _, s := range steps {
		shown += fmt.Sprintf("%+v ", s)
		if s.Tool != nil {
			shown += fmt.Sprintf("%+v %+v ", s.Tool.Calls, s.Tool.Event)
		}
	}
	for _, secret := range []string{"1234", "hush", "treasure"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q is shown: %s", secret, shown)
		}
	}
}
