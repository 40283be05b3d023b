package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// toolSays is a tool that answers with a text.
func toolSays(text string) memory.ToolFunc {
	return func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
		return domain.ToolResult{Text: text}, nil
	}
}

// threeTools are files/read, files/write and weather/now.
func threeTools() *memory.Tools {
	tools := &memory.Tools{}
	path := map[string]any{"type": "object", "properties": map[string]any{"path": map[string]any{"type": "string"}}, "required": []any{"path"}}
	tools.Add(domain.ToolSpec{Server: "files", Name: "read", Parameters: path, Repeatable: true}, toolSays("text"))
	tools.Add(domain.ToolSpec{Server: "files", Name: "write", Parameters: path, Redact: []string{"content"}}, toolSays("written"))
	tools.Add(domain.ToolSpec{Server: "weather", Name: "now"}, toolSays("rain"))
	return tools
}

func idsOf(specs []domain.ToolSpec) []string {
	list := []string{}
	for _, s := range specs {
		list = append(list, s.ID())
	}
	return list
}

func TestWhatAChatIsOffered(t *testing.T) {
	t.Parallel()
	policy := domain.ToolPolicy{
		Default: []string{"weather/*"}, Activities: map[string][]string{"coding": {"files/*"}}, Personas: map[string][]string{"scribe": {"*"}},
	}
	scoped := domain.Principal{Type: domain.AuthUserAPIKey, Scopes: []string{"chat:write"}}
	reader := domain.Principal{Type: domain.AuthUserAPIKey, Tools: []string{"files/read", "elsewhere/*"}}
	for name, test := range map[string]struct {
		policy            domain.ToolPolicy
		who               domain.Principal
		persona, activity string
		want              []string
	}{
		"no policy":                        {domain.ToolPolicy{}, ada, "Scribe", "coding", nil},
		"the default":                      {policy, ada, "Mu", "", []string{"weather/now"}},
		"an activity":                      {policy, ada, "Mu", "coding", []string{"files/read", "files/write"}},
		"a persona":                        {policy, ada, "Scribe", "coding", []string{"files/read", "files/write", "weather/now"}},
		"a key with a list":                {policy, reader, "Scribe", "", []string{"files/read"}},
		"a key whose list has none of it":  {policy, reader, "Mu", "", nil},
		"a key of scopes without a list":   {policy, scoped, "Scribe", "", nil},
		"a service with the global key":    {policy, service, "Scribe", "", []string{"files/read", "files/write", "weather/now"}},
		"a policy for what is not offered": {domain.ToolPolicy{Default: []string{"gone/*"}}, ada, "Mu", "", nil},
	} {
		tools := app.NewTools(app.ToolsDeps{Servers: threeTools(), Policy: test.policy})
		if got := idsOf(tools.Offered(test.who, "id", test.persona, test.activity)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	none := app.NewTools(app.ToolsDeps{Policy: policy})
	if got := none.Offered(ada, "", "Scribe", ""); len(got) != 0 {
		t.Errorf("without servers: %v", got)
	}
}

func TestAnAgentGetsWhatItsCallerMayUse(t *testing.T) {
	t.Parallel()
	tools := app.NewTools(app.ToolsDeps{Servers: threeTools()}) // no policy: it is about chats
	reader := domain.Principal{Type: domain.AuthUserAPIKey, Tools: []string{"files/read"}}
	if got := idsOf(tools.Matching(ada, []string{"files/*"})); !slices.Equal(got, []string{"files/read", "files/write"}) {
		t.Errorf("a user's agent gets %q", got)
	}
	if got := idsOf(tools.Matching(reader, []string{"*"})); !slices.Equal(got, []string{"files/read"}) {
		t.Errorf("a key's agent gets %q", got)
	}
}

func aCall(server, tool, arguments string) domain.ToolInvocation {
	return domain.ToolInvocation{CallID: ids()(), Server: server, Tool: tool, Arguments: json.RawMessage(arguments)}
}

func TestACallIsCheckedOnceMore(t *testing.T) {
	t.Parallel()
	servers := threeTools()
	tools := app.NewTools(app.ToolsDeps{Servers: servers, Audit: auditInto(&memory.AuditLog{}), Now: time.Now})
	reader := domain.Principal{Type: domain.AuthUserAPIKey, UserID: "ada", Tools: []string{"files/read"}}
	for name, test := range map[string]struct {
		who  domain.Principal
		call domain.ToolInvocation
		want domain.Kind
	}{
		"a tool that the key may not use": {reader, aCall("files", "write", `{"path":"a"}`), domain.NotFound},
		"a tool that is not there":        {ada, aCall("files", "delete", `{}`), domain.NotFound},
		"a server that is not there":      {ada, aCall("mail", "send", `{}`), domain.NotFound},
		"no object":                       {ada, aCall("files", "read", `["a"]`), domain.BadRequest},
		"no JSON":                         {ada, aCall("files", "read", `{"path":`), domain.BadRequest},
		"an argument is missing":          {ada, aCall("files", "read", `{}`), domain.BadRequest},
	} {
		_, err := tools.Call(t.Context(), test.who, test.call)
		if domain.KindOf(err) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if calls := servers.Calls(); len(calls) != 0 {
		t.Errorf("calls came through: %+v", calls)
	}
	call := aCall("files", "read", ` {"path":"a"} `)
	call.Owner = "somebody else"
	result, err := tools.Call(t.Context(), reader, call)
	if err != nil || result.Text != "text" {
		t.Errorf("got %+v, %v", result, err)
	}
	if calls := servers.Calls(); len(calls) != 1 || calls[0].Owner != "ada" || string(calls[0].Arguments) != `{"path":"a"}` || calls[0].CallID != call.CallID {
		t.Errorf("the tool got %+v", calls)
	}
	none := app.NewTools(app.ToolsDeps{Audit: auditInto(&memory.AuditLog{}), Now: time.Now})
	if _, err := none.Call(t.Context(), ada, call); domain.KindOf(err) != domain.NotFound {
		t.Errorf("without servers: %v", err)
	}
}

// auditInto is an Audit whose Run does not run.
func auditInto(log ports.AuditLog) *app.Audit {
	return app.NewAudit(app.AuditDeps{Log: log, Now: time.Now, NewID: ids()})
}

func TestACallWithoutAnIDIsNotMade(t *testing.T) {
	t.Parallel()
	servers := threeTools()
	tools := app.NewTools(app.ToolsDeps{Servers: servers, Audit: auditInto(&memory.AuditLog{}), Now: time.Now})
	if _, err := tools.Call(t.Context(), ada, domain.ToolInvocation{Server: "weather", Tool: "now"}); err == nil || len(servers.Calls()) != 0 {
		t.Errorf("got %v, %d calls", err, len(servers.Calls()))
	}
}

func TestEveryCallIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	unknown := &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown, Message: "no answer"}
	key := domain.Principal{Type: domain.AuthUserAPIKey, UserID: "ada", KeyID: "k1", Tools: []string{"s/*"}}
	for name, test := range map[string]struct {
		result    domain.ToolResult
		err       error
		tool      string // t when empty
		arguments string
		actions   []domain.AuditAction
		outcome   domain.ToolOutcome
	}{
		"a good one":              {result: domain.ToolResult{Text: "hello", Truncated: true}, outcome: domain.ToolOK},
		"the tool failed":         {result: domain.ToolResult{Text: "no!", Failed: true}, outcome: domain.ToolFailed},
		"the server is away":      {err: domain.MissingPart("away", nil), outcome: domain.ToolUnavailable},
		"the end is unknown":      {err: unknown, outcome: domain.ToolOutcomeUnknown},
		"nobody classified it":    {err: errAny, outcome: domain.ToolOutcomeUnknown},
		"the caller left":         {err: context.Canceled, outcome: domain.ToolCanceled},
		"arguments break a rule":  {arguments: `{"n":"x"}`, outcome: domain.ToolRefused},
		"arguments are no object": {arguments: `[1]`, outcome: domain.ToolRefused, actions: []domain.AuditAction{domain.AuditToolReturned}},
		"there is no such tool":   {tool: "other", outcome: domain.ToolRefused, actions: []domain.AuditAction{domain.AuditToolReturned}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log, servers := &memory.AuditLog{}, &memory.Tools{}
				spec := domain.ToolSpec{Server: "s", Name: "t", Redact: []string{"Hidden"}, Parameters: map[string]any{
					"properties": map[string]any{"n": map[string]any{"type": "number"}},
				}}
				servers.Add(spec, func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
					time.Sleep(1500 * time.Millisecond)
					return test.result, test.err
				})
				tools := app.NewTools(app.ToolsDeps{Servers: servers, Audit: auditInto(log), Now: time.Now})
				call := aCall("s", "t", `{"n":1,"hidden":{"deep":["x"]}}`)
				if test.tool != "" {
					call.Tool = test.tool
				}
				if test.arguments != "" {
					call.Arguments = json.RawMessage(test.arguments)
				}
				_, err := tools.Call(from("192.0.2.7", "r1"), key, call)
				if test.err != nil && !errors.Is(err, test.err) {
					t.Errorf("Call: %v", err)
				}
				entries := entriesOf(t, log)
				slices.Reverse(entries)
				var actions []domain.AuditAction
				for _, e := range entries {
					actions = append(actions, e.Action)
					if e.Principal != "ada" || e.Subject != "s/"+call.Tool || e.Address != "192.0.2.7" || e.RequestID != "r1" ||
						e.Details[domain.DetailCallID] != call.CallID || e.Details[domain.DetailKeyID] != "k1" || e.Details[domain.DetailAuthType] != "user_api_key" {
						t.Errorf("entry %+v", e)
					}
				}
				want := test.actions
				if want == nil {
					want = []domain.AuditAction{domain.AuditToolCalled, domain.AuditToolReturned}
				}
				if !slices.Equal(actions, want) {
					t.Fatalf("entries about %q, want %q", actions, want)
				}
				last := entries[len(entries)-1].Details
				if last[domain.DetailOutcome] != string(test.outcome) || last[domain.DetailArguments] != "" {
					t.Errorf("the last entry has %v, want the outcome %s", last, test.outcome)
				}
				if name == "a good one" && (last[domain.DetailDurationMS] != "1500" || last[domain.DetailResultBytes] != "5" || last[domain.DetailTruncated] != "true" ||
					last[domain.DetailArgumentBytes] != "31" || entries[0].Details[domain.DetailArguments] != `{"hidden":"[redacted]","n":1}`) {
					t.Errorf("got %v, then %v", entries[0].Details, last)
				}
			})
		})
	}
}

func TestAToolThatPanicsIsRecorded(t *testing.T) {
	t.Parallel()
	log, servers := &memory.AuditLog{}, &memory.Tools{}
	servers.Add(domain.ToolSpec{Server: "s", Name: "t"}, func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) { panic("ouch") })
	tools := app.NewTools(app.ToolsDeps{Servers: servers, Audit: auditInto(log), Now: time.Now})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		_, _ = tools.Call(t.Context(), ada, aCall("s", "t", "{}"))
	}()
	outcomes := map[string]int{}
	for _, e := range entriesOf(t, log) {
		outcomes[e.Details[domain.DetailOutcome]]++
	}
	if !maps.Equal(outcomes, map[string]int{"": 1, "outcome_unknown": 1}) {
		t.Errorf("recorded %v", outcomes)
	}
}

// TestNoCallGoesUnrecorded has the log away while tools are called: calls go on while there is room for what they leave behind, without
// waiting for the log, and none is made after that.
func TestNoCallGoesUnrecorded(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]func(*memory.AuditLog) (ports.AuditLog, func()){
		"away": func(m *memory.AuditLog) (ports.AuditLog, func()) {
			l := &awayLog{AuditLog: m, away: true}
			return l, func() { l.set(false) }
		},
		"frozen": func(m *memory.AuditLog) (ports.AuditLog, func()) {
			l := &freezingLog{AuditLog: m}
			l.frozen.Store(true)
			return l, func() { l.frozen.Store(false) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				kept, servers := &memory.AuditLog{}, threeTools()
				l, back := log(kept)
				b := auditing(l, app.AuditConfig{Waiting: 20, LastWait: 2 * time.Second})
				tools := app.NewTools(app.ToolsDeps{Servers: servers, Audit: b.Audit, Now: time.Now})
				begun, refused := time.Now(), 0
				for range 20 {
					_, err := tools.Call(context.Background(), ada, aCall("weather", "now", "{}"))
					if domain.KindOf(err) == domain.Unavailable {
						refused++
					} else if err != nil {
						t.Error(err)
					}
				}
				if took := time.Since(begun); took > 3*time.Second {
					t.Errorf("20 calls wait %v for a log that is away", took)
				}
				b.Record(context.Background(), domain.AuditEntry{Action: domain.AuditLogin}) // there is room for others
				made := len(servers.Calls())
				if made < 5 || made > 10 || made+refused != 20 {
					t.Errorf("%d calls were made, %d refused", made, refused)
				}
				back()
				time.Sleep(5 * time.Second)
				if _, err := tools.Call(context.Background(), ada, aCall("weather", "now", "{}")); err != nil {
					t.Errorf("when the log is back: %v", err)
				}
				b.stop()
				count := map[domain.AuditAction]int{}
				for _, e := range entriesOf(t, kept) {
					count[e.Action]++
				}
				if count[domain.AuditToolCalled] != made+1 || count[domain.AuditToolReturned] != made+1 || count[domain.AuditLogin] != 1 || b.lost != 0 {
					t.Errorf("%d calls, recorded: %v, lost: %d", made+1, count, b.lost)
				}
			})
		})
	}
}

// freezingLog is memory's log with a switch to hang.
type freezingLog struct {
	*memory.AuditLog
	frozen atomic.Bool
}

func (l *freezingLog) Record(ctx context.Context, entries ...domain.AuditEntry) error {
	if l.frozen.Load() {
		<-ctx.Done()
		return domain.MissingPart("frozen", ctx.Err())
	}
	return l.AuditLog.Record(ctx, entries...)
}

// TestTheEndOfACallIsRecordedInAnyCase has the log away, and others fill the queue, while a tool is at work.
func TestTheEndOfACallIsRecordedInAnyCase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, servers := &awayLog{AuditLog: &memory.AuditLog{}}, &memory.Tools{}
		b := auditing(log, app.AuditConfig{Waiting: 4, Interval: time.Hour})
		ctx, cancel := context.WithCancel(context.Background())
		servers.Add(domain.ToolSpec{Server: "s", Name: "t"}, func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
			cancel() // nor does it matter that the caller leaves
			log.set(true)
			for range 9 {
				b.Record(context.Background(), domain.AuditEntry{Action: domain.AuditLogin})
			}
			return domain.ToolResult{}, nil
		})
		tools := app.NewTools(app.ToolsDeps{Servers: servers, Audit: b.Audit, Now: time.Now})
		if _, err := tools.Call(ctx, ada, aCall("s", "t", "{}")); err != nil {
			t.Error(err)
		}
		log.set(false)
		b.stop()
		var got []string
		for _, e := range entriesOf(t, log) {
			got = append(got, string(e.Action))
		}
		slices.Sort(got)
		if want := "login login login login tool_called tool_returned"; strings.Join(got, " ") != want || b.lost != 5 {
			t.Errorf("recorded %q, lost %d", got, b.lost)
		}
	})
}
