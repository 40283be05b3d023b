package app_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
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
	tools := app.NewTools(app.ToolsDeps{Servers: servers})
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
	if _, err := app.NewTools(app.ToolsDeps{}).Call(t.Context(), ada, call); domain.KindOf(err) != domain.NotFound {
		t.Errorf("without servers: %v", err)
	}
}
