package domain

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestWhoAKeySpeaksFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key   APIKey
		owner string
	}{
		{APIKey{ID: "k1", Owner: "ada", Subject: "ada"}, "ada"},
		{APIKey{ID: "k1", Owner: "service"}, "key:k1"},
		{APIKey{ID: "k2", Owner: "service", Subject: "key:k1"}, "key:k1"}, // what k1 had stays within reach of the key that replaced it
		{APIKey{ID: "k3", Owner: "key:k1"}, "key:k3"},
	} {
		p := test.key.Principal()
		if p.OwnerID() != test.owner || p.Type != AuthUserAPIKey || p.IsService() {
			t.Errorf("%+v: got %+v", test.key, p)
		}
		if IsReservedOwner(p.UserID) {
			t.Errorf("%+v: user id %q is reserved", test.key, p.UserID)
		}
	}
}

func TestUsableAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		key  APIKey
		want bool
	}{
		{APIKey{Active: true}, true},
		{APIKey{}, false},
		{APIKey{Active: true, ExpiresAt: now.Add(time.Microsecond)}, true},
		{APIKey{Active: true, ExpiresAt: now}, false},
		{APIKey{Active: true, ExpiresAt: now.In(time.FixedZone("elsewhere", 3600)).Add(time.Second)}, true},
		{APIKey{ExpiresAt: now.Add(time.Hour)}, false},
	} {
		if got := test.key.UsableAt(now); got != test.want {
			t.Errorf("%+v: got %v", test.key, got)
		}
	}
}

func TestMayGrant(t *testing.T) {
	t.Parallel()
	all, some := Principal{}, Principal{Scopes: []string{"chat:read", "keys:manage"}}
	for _, test := range []struct {
		who    Principal
		scopes []string
		want   bool
	}{
		{all, nil, true}, {all, []string{"chat:write"}, true},
		{some, []string{"chat:read"}, true}, {some, []string{"keys:manage", "chat:read"}, true},
		{some, []string{"chat:write"}, false}, {some, []string{"chat:read", "chat:write"}, false},
		{some, nil, false}, {some, []string{}, false}, // no scopes would be all of them
	} {
		if got := test.who.MayGrant(test.scopes); got != test.want {
			t.Errorf("%v grants %v: %v", test.who.Scopes, test.scopes, got)
		}
	}
}

func TestOutlives(t *testing.T) {
	t.Parallel()
	ends := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	forever, limited := Principal{}, APIKey{Active: true, ExpiresAt: ends}.Principal()
	for _, test := range []struct {
		who  Principal
		ends time.Time
		want bool
	}{
		{forever, time.Time{}, false}, {forever, ends, false},
		{limited, time.Time{}, true}, {limited, ends.Add(time.Microsecond), true},
		{limited, ends, false}, {limited, ends.Add(-time.Hour), false},
	} {
		if got := test.who.OutlivedBy(test.ends); got != test.want {
			t.Errorf("%v outlived by %v: %v", test.who.Expires, test.ends, got)
		}
	}
}

func TestScopesFromPermissions(t *testing.T) {
	t.Parallel()
	nothing := []string{noScope}
	for permissions, want := range map[string][]string{
		"": nil, "null": nil, "{}": nil, "[]": nil, " [ ] ": nil,
		`["chat:read"]`:                   {"chat:read"},
		`["chat:read", "billing:read"]`:   {"billing:read", "chat:read"}, // of a newer release
		`["chat", "assets:read"]`:         {"assets:read", "chat:read", "chat:write"},
		`["chat", "chat:read"]`:           {"chat:read", "chat:write"},
		`["admin"]`:                       nil,
		`["*"]`:                           nil,
		`["read"]`:                        {"read"},
		`["ch"]`:                          {"ch"},
		`{"admin": true}`:                 nil,
		`{"admin": false}`:                nil,
		`{"kb_access": true}`:             nil,
		`{"admin": true, "chat": false}`:  nil,
		`{"chat": true, "assets": false}`: {"chat:read", "chat:write"},
		`{"chat": false}`:                 nothing,
		`{"chat": false, "admin": false}`: nothing,
		`{"chat:read": true}`:             {"chat:read"},
		`{"chat": "true"}`:                nothing,
		`"chat"`:                          nothing, "1": nothing, "true": nothing, "[1]": nothing, `["chat"`: nothing, "{nope}": nothing,
	} {
		got := ScopesFromPermissions([]byte(permissions))
		if !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s: got %q, want %q", permissions, got, want)
		}
	}
	if IsKeyScope(noScope) || slices.Contains(KeyScopes(), noScope) {
		t.Error("somebody may be given the scope of nobody")
	}
}
