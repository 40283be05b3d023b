package domain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gaia/domain"
)

func TestToolPatterns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		patterns []string
		id       string
		want     bool
	}{
		{nil, "files/read", false}, {[]string{}, "files/read", false},
		{[]string{"*"}, "files/read", true}, {[]string{"*/*"}, "files/read", true},
		{[]string{"files/read"}, "files/read", true}, {[]string{"files/read"}, "files/read_all", false},
		{[]string{"files/*"}, "files/read", true}, {[]string{"files/read_*"}, "files/write_all", false},
		{[]string{"files*/read"}, "files2/read", true}, {[]string{"*/read"}, "other/read", true},
		{[]string{"files/*"}, "files2/read", false}, {[]string{"files/*"}, "files/a/b", false},
		{[]string{"nothing/x", "files/read"}, "files/read", true}, {[]string{"[/x", "files/re[ad"}, "files/read", false},
		{[]string{"Files/Read"}, "files/read", false}, {[]string{""}, "", true},
	} {
		if got := domain.MatchesTool(test.patterns, test.id); got != test.want {
			t.Errorf("%q on %q = %t", test.patterns, test.id, got)
		}
	}
	for pattern, want := range map[string]bool{
		"*": true, "a/b": true, "*/*": true, "files/read_*": true, "": false, "a": false, "a/": false, "/b": false, "a/b/c": false, "a/[": false,
		"**": false,
	} {
		if got := domain.IsToolPattern(pattern); got != want {
			t.Errorf("IsToolPattern(%q) = %t", pattern, got)
		}
	}
}

func TestWhoMayUseTools(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		who  domain.Principal
		want bool
	}{
		"a user":                          {domain.Principal{Type: domain.AuthJWT, UserID: "ada"}, true},
		"the global key":                  {domain.ServicePrincipal(), true},
		"a key of all scopes":             {domain.Principal{Type: domain.AuthUserAPIKey}, true},
		"a key of some scopes":            {domain.Principal{Type: domain.AuthUserAPIKey, Scopes: []string{"chat:write"}}, false},
		"a key of some scopes and a list": {domain.Principal{Type: domain.AuthUserAPIKey, Scopes: []string{"chat:write"}, Tools: []string{"files/*"}}, true},
		"a key with a list":               {domain.Principal{Type: domain.AuthUserAPIKey, Tools: []string{"files/read"}}, true},
		"a key with another list":         {domain.Principal{Type: domain.AuthUserAPIKey, Tools: []string{"files/write"}}, false},
		"a key with an empty list":        {domain.Principal{Type: domain.AuthUserAPIKey, Tools: []string{}}, false},
	} {
		if got := test.who.MayUseTool("files/read"); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestPolicyOffers(t *testing.T) {
	t.Parallel()
	policy := domain.ToolPolicy{
		Default:    []string{"d/*"},
		Activities: map[string][]string{"coding": {"a/*"}, "silence": {}},
		Personas:   map[string][]string{"guide": {"n/*"}, "0195935f-5fa5-7000-8000-3fb2f5a1f0c4": {"i/*"}, "mute": {}},
	}
	for _, test := range []struct{ id, name, activity, want string }{
		{"", "", "", "d/*"}, {"x", "Somebody", "dancing", "d/*"}, {"x", "Somebody", " Coding ", "a/*"}, {"x", "", "silence", ""},
		{"x", " Guide", "coding", "n/*"}, {"0195935F-5FA5-7000-8000-3FB2F5A1F0C4", "Guide", "coding", "i/*"}, {"x", "Mute", "coding", ""},
	} {
		if got := strings.Join(policy.Offers(test.id, test.name, test.activity), " "); got != test.want {
			t.Errorf("%+v offers %q", test, got)
		}
	}
	if got := (domain.ToolPolicy{}).Offers("x", "Guide", "coding"); len(got) != 0 {
		t.Errorf("no policy offers %q", got)
	}
}

func TestToolArguments(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{"": "{}", " \n": "{}", "null": "{}", " {\"a\":1} ": `{"a":1}`, "{}": "{}"} {
		if got, err := domain.ToolArguments(json.RawMessage(raw)); err != nil || string(got) != want {
			t.Errorf("%q became %q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"[]", "1", `"{}"`, "{", "{}{}", "{a:1}", "{\"a\":\"" + strings.Repeat("x", domain.MaxToolArguments) + "\"}"} {
		if _, err := domain.ToolArguments(json.RawMessage(raw)); domain.KindOf(err) != domain.BadRequest {
			t.Errorf("%.40q: %v", raw, err)
		}
	}
}
