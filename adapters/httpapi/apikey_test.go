package httpapi

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"gaia/domain"
)

func TestScopesOfTheContractAreThoseOfKeys(t *testing.T) {
	t.Parallel()
	var contract []string
	for _, scope := range contractSchema(t, "ApiKeyScope").Enum {
		contract = append(contract, scope.(string))
	}
	if !slices.Equal(contract, domain.KeyScopes()) {
		t.Errorf("the contract has\n%q, keys have\n%q", contract, domain.KeyScopes())
	}
	if most := contractSchema(t, "ApiKeyDraft").Properties["scopes"].Value.MaxItems; most == nil || *most < uint64(len(contract)) {
		t.Errorf("a draft can't have all scopes: %v", most)
	}
}

func TestKeysHaveTheFormOfTheContract(t *testing.T) {
	t.Parallel()
	schema := contractSchema(t, "ApiKeySecret")
	pattern := regexp.MustCompile(schema.Pattern)
	for _, deployment := range []string{"", "production", "eu-west-1", "Staging 2", strings.Repeat("x", 100)} {
		key := domain.KeyText(domain.KeyEnvironment(deployment), strings.Repeat("a", 32))
		if !pattern.MatchString(key) || schema.MaxLength == nil || uint64(len(key)) > *schema.MaxLength {
			t.Errorf("%q does not fit %s", key, schema.Pattern)
		}
	}
}
