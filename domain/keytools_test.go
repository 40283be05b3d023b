package domain_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

func TestStoredTools(t *testing.T) {
	t.Parallel()
	for _, tools := range [][]string{nil, {}, {"*"}, {"a/b", `"/\x`}} {
		if got := domain.ToolsFromStored(domain.APIKey{Tools: tools}.StoredTools()); !reflect.DeepEqual(got, tools) {
			t.Errorf("%#v came back as %#v", tools, got)
		}
	}
	for _, stored := range []string{"{}", "[1]", `"*"`, "[", "true", `["a/b",1]`} {
		if got := domain.ToolsFromStored([]byte(stored)); got == nil || len(got) != 0 {
			t.Errorf("%s became %#v", stored, got)
		}
	}
	if got := domain.ToolsFromStored([]byte(" null ")); got != nil {
		t.Errorf("null became %#v", got)
	}
}

func TestToolsOfAKeyAreChecked(t *testing.T) {
	t.Parallel()
	now := time.Now()
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("s%d/t", i)
	}
	for name, test := range map[string]struct {
		tools, want []string
		bad         bool
	}{
		"no list": {}, "an empty list": {tools: []string{}, want: []string{}},
		"twice":               {tools: []string{"a/b", "*", "a/b"}, want: []string{"a/b", "*"}},
		"no pattern":          {tools: []string{"a/b", "files"}, bad: true},
		"a broken pattern":    {tools: []string{"a/[b"}, bad: true},
		"a control character": {tools: []string{"a/b\n"}, bad: true},
		"no UTF-8":            {tools: []string{"a/\xff"}, bad: true},
		"as long as can be":   {tools: []string{"a/" + strings.Repeat("世", 198)}, want: []string{"a/" + strings.Repeat("世", 198)}},
		"too long":            {tools: []string{"a/" + strings.Repeat("世", 199)}, bad: true},
		"as many as can be":   {tools: many[:64], want: many[:64]},
		"too many":            {tools: many, bad: true},
		"too much text":       {tools: []string{"a/" + strings.Repeat("x", 190), "b/" + strings.Repeat("世", 198)}, want: []string{"a/" + strings.Repeat("x", 190), "b/" + strings.Repeat("世", 198)}},
	} {
		got, err := domain.APIKeyDraft{Name: "n", Tools: test.tools}.Check(now)
		var e *domain.Error
		if bad := errors.As(err, &e) && e.Kind == domain.Invalid && e.Faults[0].Loc[1] == "tools"; bad != test.bad || !test.bad && !reflect.DeepEqual(got.Tools, test.want) {
			t.Errorf("%s: %#v, %v", name, got.Tools, err)
		}
	}
	heavy := make([]string, 20)
	for i := range heavy {
		heavy[i] = fmt.Sprintf("%02d/", i) + strings.Repeat("世", 197)
	}
	if _, err := (domain.APIKeyDraft{Name: "n", Tools: heavy}).Check(now); domain.KindOf(err) != domain.Invalid {
		t.Errorf("12 KB of patterns: %v", err)
	}
}

func TestNobodyGrantsMoreToolsThanTheyMayUse(t *testing.T) {
	t.Parallel()
	scoped := []string{"chat:write"}
	for _, test := range []struct {
		own           []string // of the caller's key; nil: no list
		callersScopes []string
		scopes, tools []string // of the new key
		want          bool
	}{
		{nil, nil, nil, nil, true}, {nil, nil, nil, []string{"*"}, true},
		{nil, scoped, scoped, nil, true}, {nil, scoped, scoped, []string{}, true}, {nil, scoped, scoped, []string{"a/b"}, false}, {nil, scoped, nil, nil, false},
		{[]string{}, nil, nil, nil, false}, {[]string{}, nil, scoped, nil, true}, {[]string{}, nil, nil, []string{}, true},
		{[]string{"*"}, nil, nil, nil, true}, {[]string{"*"}, scoped, scoped, []string{"a/*", "*"}, true}, {[]string{"*/*"}, nil, nil, nil, false},
		{[]string{"files/*"}, nil, nil, []string{"files/read"}, true}, {[]string{"files/*"}, nil, nil, []string{"files/read_*", "files/*"}, true},
		{[]string{"files/*"}, nil, nil, []string{"*/read"}, false}, {[]string{"files/*"}, nil, nil, []string{"files/*", "mail/send"}, false},
		{[]string{"files/*"}, nil, nil, []string{"*"}, false}, {[]string{"files/*"}, nil, nil, nil, false},
		{[]string{"a/x*y"}, nil, nil, []string{"a/x*zy"}, true}, {[]string{"a/x*y"}, nil, nil, []string{"a/*y"}, false},
		{[]string{"a/?"}, nil, nil, []string{"a/*"}, false}, {[]string{"a/[*]"}, nil, nil, []string{"a/*"}, false}, {[]string{`a/\*`}, nil, nil, []string{"a/*"}, false},
		{[]string{"a/?"}, nil, nil, []string{"a/?"}, true}, {[]string{"a/*"}, nil, nil, []string{"a/[bc]"}, false},
		{[]string{"a/b", "c/*"}, nil, nil, []string{"c/d", "a/b"}, true},
	} {
		who := domain.Principal{Type: domain.AuthUserAPIKey, Tools: test.own, Scopes: test.callersScopes}
		if got := who.MayGrantTools(test.scopes, test.tools); got != test.want {
			t.Errorf("%+v is %t", test, got)
		}
	}
}

// FuzzGrantedToolsAreOnesOwn looks for a tool that a granted pattern allows and the caller's own does not.
func FuzzGrantedToolsAreOnesOwn(f *testing.F) {
	for _, s := range [][3]string{{"a/*", "a/b*", "a/bc"}, {"*/b", "a*/b", "ax/b"}, {"a/*b*", "a/*b", "a/xb"}, {"a/?", "a/*", "a/bc"}, {"*", "a/b", "a/b"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, own, wanted, id string) {
		if !domain.IsToolPattern(own) || !domain.IsToolPattern(wanted) {
			return
		}
		who := domain.Principal{Type: domain.AuthUserAPIKey, Tools: []string{own}}
		if who.MayGrantTools(nil, []string{wanted}) && domain.MatchesTool([]string{wanted}, id) && !who.MayUseTool(id) {
			t.Errorf("who may use %q granted %q, which allows %q", own, wanted, id)
		}
	})
}
