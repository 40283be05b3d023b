package app_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gaia/app"
	"gaia/domain"
)

const (
	globalKey = "sk-global-0123456789"
	newKey    = "gaia_live_ABCDEFGHIJKLMNOPQRSTUVWXYZ012345_1a2b3c"
	oldKey    = "gaia_production_abcdefghijklmnopqrstuvwxyz012345"
	goodToken = "good.jwt.token"
)

// tokens accepts goodToken and can have trouble of its own.
type tokens struct{ trouble error }

func (v tokens) Verify(_ context.Context, token string) (domain.Principal, error) {
	switch {
	case v.trouble != nil:
		return domain.Principal{}, v.trouble
	case token == goodToken:
		return ada, nil
	default:
		return domain.Principal{}, domain.NewError(domain.Unauthenticated, "the verifier's own words")
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	const (
		asUser    = "ada"
		asService = "service"
		no        = "401"
		forbidden = "403"
	)
	tests := map[string]struct{ authorization, apiKey, want string }{
		"no credentials":                      {"", "", no},
		"valid token":                         {"Bearer " + goodToken, "", asUser},
		"scheme in lower case":                {"bearer " + goodToken, "", asUser},
		"scheme in capitals":                  {"BEARER " + goodToken, "", asUser},
		"spaces around the token":             {"Bearer   " + goodToken + " ", "", asUser},
		"bad token":                           {"Bearer bad", "", no},
		"another space before the token":      {"Bearer \u00a0" + goodToken, "", no},
		"another space behind the token":      {"Bearer " + goodToken + "\u2003", "", no},
		"a tab between":                       {"Bearer\t" + goodToken, "", no},
		"empty bearer":                        {"Bearer ", "", no},
		"scheme alone":                        {"Bearer", "", no},
		"token without a scheme":              {goodToken, "", no},
		"another scheme":                      {"Basic " + goodToken, "", no},
		"another scheme with the global key":  {"Basic " + globalKey, "", no},
		"scheme glued to the token":           {"Bearer" + goodToken, "", no},
		"global key":                          {"", globalKey, asService},
		"unknown key":                         {"", "unknown", forbidden},
		"prefix of the global key":            {"", globalKey[:10], forbidden},
		"global key in other case":            {"", strings.ToUpper(globalKey), forbidden},
		"global key with a space":             {"", globalKey + " ", forbidden},
		"unknown key of Gaia's shape":         {"", newKey, forbidden},
		"huge key":                            {"", strings.Repeat("x", 1<<20), forbidden},
		"bad token, valid key":                {"Bearer bad", globalKey, asService},
		"bad token, unknown key":              {"Bearer bad", "unknown", forbidden},
		"valid token, unknown key":            {"Bearer " + goodToken, "unknown", asUser},
		"valid token, valid key":              {"Bearer " + goodToken, globalKey, asUser},
		"another scheme, valid key":           {"Basic x", globalKey, asService},
		"key as bearer":                       {"Bearer " + globalKey, "", asService},
		"key as bearer, lower-case scheme":    {"bearer " + globalKey, "", asService},
		"key as bearer, another unknown key":  {"Bearer " + globalKey, "unknown", forbidden},
		"unknown Gaia key as bearer":          {"Bearer " + newKey, "", forbidden},
		"old Gaia key as bearer":              {"Bearer " + oldKey, "", forbidden},
		"Gaia key as bearer, valid key":       {"Bearer " + newKey, globalKey, asService},
		"almost a Gaia key: too short":        {"Bearer " + oldKey[:len(oldKey)-1], "", no},
		"almost a Gaia key: short checksum":   {"Bearer " + newKey[:len(newKey)-1], "", no},
		"almost a Gaia key: something behind": {"Bearer " + newKey + "_x", "", no},
		"almost a Gaia key: no environment":   {"Bearer gaia__ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "", no},
		"other people's key":                  {"Bearer sk-other", "", no},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who, err := app.NewIdentity(globalKey, tokens{}).Authenticate(t.Context(), test.authorization, test.apiKey)
			checkIdentity(t, who, err, test.want)
		})
	}
}

func checkIdentity(t *testing.T, who domain.Principal, err error, want string) {
	t.Helper()
	var e *domain.Error
	switch {
	case want == "401":
		if !errors.As(err, &e) || e.Kind != domain.Unauthenticated || e.Message != "Not authenticated. Provide a valid JWT or API Key." {
			t.Errorf("got %+v, %v", who, err)
		}
	case want == "403":
		if !errors.As(err, &e) || e.Kind != domain.Forbidden || e.Message != "Could not validate credentials" {
			t.Errorf("got %+v, %v", who, err)
		}
	case err != nil || who.OwnerID() != want || who.IsService() != (want == "service"):
		t.Errorf("got %+v, %v", who, err)
	}
}

func TestAuthenticateWithoutVerifier(t *testing.T) {
	t.Parallel()
	identity := app.NewIdentity(globalKey, nil)
	for authorization, want := range map[string]string{"Bearer " + goodToken: "401", "Bearer " + globalKey: "service", "": "401"} {
		who, err := identity.Authenticate(t.Context(), authorization, "")
		checkIdentity(t, who, err, want)
	}
}

// Without a global key, nothing may pass for it: not even the empty key.
func TestAuthenticateWithoutGlobalKey(t *testing.T) {
	t.Parallel()
	identity := app.NewIdentity("", tokens{})
	for _, test := range []struct{ authorization, apiKey, want string }{
		{"", "", "401"}, {"Bearer ", "", "401"}, {"Bearer x", "", "401"}, {"", "x", "403"}, {"", " ", "403"}, {"Bearer " + goodToken, "", "ada"},
	} {
		who, err := identity.Authenticate(t.Context(), test.authorization, test.apiKey)
		checkIdentity(t, who, err, test.want)
	}
}

// A verifier that can't judge is no verdict: the caller must not read that the token is bad. A good key needs no verdict.
func TestAuthenticateWhenTheVerifierIsAway(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The key server is not available", errAny)
	identity := app.NewIdentity(globalKey, tokens{trouble: away})
	for _, apiKey := range []string{"", "unknown", newKey} {
		if who, err := identity.Authenticate(t.Context(), "Bearer "+goodToken, apiKey); !errors.Is(err, away) || who.OwnerID() != (domain.Principal{}).OwnerID() {
			t.Errorf("with the key %q: got %+v, %v", apiKey, who, err)
		}
	}
	who, err := identity.Authenticate(t.Context(), "Bearer "+goodToken, globalKey)
	checkIdentity(t, who, err, "service")
	who, err = identity.Authenticate(t.Context(), "Bearer "+globalKey, "")
	checkIdentity(t, who, err, "service")
	who, err = identity.Authenticate(t.Context(), "", "unknown")
	checkIdentity(t, who, err, "403")
}

// Who leaves while a token is judged is not let in with the key instead.
func TestAuthenticateWhenTheCallerLeaves(t *testing.T) {
	t.Parallel()
	_, err := app.NewIdentity(globalKey, tokens{trouble: context.Canceled}).Authenticate(t.Context(), "Bearer "+goodToken, globalKey)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
