package domain_test

import (
	"slices"
	"testing"

	"gaia/domain"
)

func TestParseServices(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]domain.Service{
		"":                  domain.Services(),
		" , ":               domain.Services(),
		"chat":              {domain.ServiceChat},
		"Chat, asset ,chat": {domain.ServiceChat, domain.ServiceAsset},
	} {
		if got, err := domain.ParseServices(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"chats", "gateway chat", "each"} {
		if got, err := domain.ParseServices(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
