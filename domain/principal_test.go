package domain_test

import (
	"testing"

	"gaia/domain"
)

func TestOwnersDoNotCollide(t *testing.T) {
	t.Parallel()
	who := []domain.Principal{
		domain.ServicePrincipal(),
		{Type: domain.AuthJWT, UserID: "u1"},
		{Type: domain.AuthUserAPIKey, KeyID: "k1"},
		{Type: domain.AuthUserAPIKey, KeyID: "u1"},
	}
	owners := map[string]bool{}
	for _, p := range who {
		owners[p.OwnerID()] = true
	}
	if len(owners) != len(who) {
		t.Errorf("%d callers share %d owner ids: %v", len(who), len(owners), owners)
	}
	if key := (domain.Principal{Type: domain.AuthUserAPIKey, UserID: "u1", KeyID: "k1"}); key.OwnerID() != "u1" || key.IsService() {
		t.Errorf("a user's key acts for %q", key.OwnerID())
	}
}

func TestReservedOwners(t *testing.T) {
	t.Parallel()
	system := domain.NewDefaultPersona("id", born).CreatedBy
	for _, id := range []string{domain.ServicePrincipal().OwnerID(), system, domain.Principal{KeyID: "k"}.OwnerID(), domain.Principal{KeyID: ""}.OwnerID(), domain.LinkHolder} {
		if !domain.IsReservedOwner(id) {
			t.Errorf("a user may be called %q", id)
		}
	}
	for _, id := range []string{"u1", "services", "monkey:1", "9b2f8c1e-0000-4000-8000-000000000000"} {
		if domain.IsReservedOwner(id) {
			t.Errorf("no user may be called %q", id)
		}
	}
}

func TestHasScope(t *testing.T) {
	t.Parallel()
	if !(domain.Principal{}).HasScope("chat:write") {
		t.Error("a caller without scopes is refused")
	}
	limited := domain.Principal{Scopes: []string{"chat:read", "chat:write"}}
	if !limited.HasScope("chat:write") || limited.HasScope("chat") || limited.HasScope("personas:write") {
		t.Error("a caller with scopes gets others than those")
	}
}
