package domain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gaia/domain"
)

func configured(ids ...string) map[string]string {
	m := map[string]string{}
	for _, p := range domain.Providers() {
		if slices.Contains(ids, p.ID) {
			m[p.ID] = p.DefaultModel
		}
	}
	return m
}

func TestListedModelsAreKnownByTheirID(t *testing.T) {
	t.Parallel()
	builtIn := domain.BuiltInCatalogue()
	listed := builtIn.With("compatible", "llama", "openai/gpt-oss", "gpt-4o")
	s := domain.ModelSelector{Catalogue: listed, Configured: configured("compatible")}
	for _, id := range []string{"llama", "openai/gpt-oss", "gpt-4o"} {
		got, err := s.Choose(domain.ModelRequest{Model: id})
		if want := (domain.Choice{Provider: "compatible", Model: id}); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", id, got, err)
		}
	}
	got, skipped := domain.DefaultChoice(listed, s.Configured, domain.ModelRequest{Model: "llama"})
	if want := (domain.Choice{Provider: "compatible", Model: "llama"}); skipped || got != want {
		t.Errorf("as default: got %+v, skipped %v", got, skipped)
	}
	before, _ := builtIn.Model("gpt-4o")
	if after, _ := listed.Model("gpt-4o"); before.Provider != "openai" || after.ContextWindow != before.ContextWindow {
		t.Errorf("gpt-4o was %+v, is %+v", before, after)
	}
	if _, ok := builtIn.Model("llama"); ok {
		t.Error("the catalogue that was added to has changed")
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	haiku := domain.Choice{Provider: "claude", Model: "claude-3-haiku-20240307"}
	tests := map[string]struct {
		request    domain.ModelRequest
		configured []string
		want       domain.Choice
		kind       domain.Kind
		message    string // part of the error
	}{
		"nothing":                        {domain.ModelRequest{}, []string{"claude"}, haiku, 0, ""},
		"nothing, default not usable":    {domain.ModelRequest{}, []string{"openai"}, domain.Choice{}, domain.Unavailable, "ANTHROPIC_API_KEY"},
		"known model":                    {domain.ModelRequest{Model: "gpt-4o"}, []string{"openai"}, domain.Choice{Provider: "openai", Model: "gpt-4o"}, 0, ""},
		"known model, not configured":    {domain.ModelRequest{Model: "gpt-4o"}, []string{"claude"}, domain.Choice{}, domain.Unavailable, "OPENAI_API_KEY"},
		"a null character":               {domain.ModelRequest{Provider: "openai", Model: "x\x00"}, []string{"openai"}, domain.Choice{}, domain.NotFound, "null character"},
		"unknown model":                  {domain.ModelRequest{Model: "gpt-9"}, []string{"openai"}, domain.Choice{}, domain.NotFound, "Model not found: gpt-9"},
		"echo by its model":              {domain.ModelRequest{Model: "echo"}, []string{"echo"}, domain.Choice{Provider: "echo", Model: "echo"}, 0, ""},
		"echo in production":             {domain.ModelRequest{Model: "echo"}, nil, domain.Choice{}, domain.Unavailable, "echo"},
		"provider alone":                 {domain.ModelRequest{Provider: "openai"}, []string{"openai"}, domain.Choice{Provider: "openai", Model: "gpt-4o-mini"}, 0, ""},
		"provider not configured":        {domain.ModelRequest{Provider: "mistral"}, []string{"openai"}, domain.Choice{}, domain.Unavailable, "MISTRAL_API_KEY"},
		"unknown provider":               {domain.ModelRequest{Provider: "acme"}, []string{"openai"}, domain.Choice{}, domain.NotFound, "Provider not found: acme"},
		"unknown provider with a model":  {domain.ModelRequest{Provider: "acme", Model: "m"}, []string{"openai"}, domain.Choice{}, domain.NotFound, "Provider not found: acme"},
		"no default model":               {domain.ModelRequest{Provider: "compatible"}, []string{"compatible"}, domain.Choice{}, domain.NotFound, "no default model"},
		"no default, not configured":     {domain.ModelRequest{Provider: "compatible"}, nil, domain.Choice{}, domain.Unavailable, "COMPATIBLE_BASE_URL"},
		"provider and unknown model":     {domain.ModelRequest{Provider: "openai", Model: "gpt-9"}, []string{"openai"}, domain.Choice{Provider: "openai", Model: "gpt-9"}, 0, ""},
		"provider/model":                 {domain.ModelRequest{Model: "openai/gpt-9"}, []string{"openai"}, domain.Choice{Provider: "openai", Model: "gpt-9"}, 0, ""},
		"provider/model with a slash":    {domain.ModelRequest{Model: "compatible/meta/llama"}, []string{"compatible"}, domain.Choice{Provider: "compatible", Model: "meta/llama"}, 0, ""},
		"provider/model, not configured": {domain.ModelRequest{Model: "gemini/pro"}, []string{"openai"}, domain.Choice{}, domain.Unavailable, "GOOGLE_API_KEY"},
		"no such provider/model":         {domain.ModelRequest{Model: "meta/llama"}, []string{"openai"}, domain.Choice{}, domain.NotFound, "Model not found: meta/llama"},
		"slash belongs to the model":     {domain.ModelRequest{Provider: "compatible", Model: "openai/gpt"}, []string{"compatible"}, domain.Choice{Provider: "compatible", Model: "openai/gpt"}, 0, ""},
		"provider/ without a model":      {domain.ModelRequest{Model: "openai/"}, []string{"openai"}, domain.Choice{}, domain.NotFound, "Model not found: openai/"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := domain.ModelSelector{Catalogue: domain.BuiltInCatalogue(), Configured: configured(test.configured...), Default: haiku}
			got, err := s.Choose(test.request)
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			checkChoiceError(t, err, test.kind, test.message)
		})
	}
}

func checkChoiceError(t *testing.T, err error, kind domain.Kind, message string) {
	t.Helper()
	if kind == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Message, message) {
		t.Fatalf("got %v, want kind %d with %q", err, kind, message)
	}
	if (e.Code == domain.CodeModelNotFound) != (kind == domain.NotFound) {
		t.Errorf("kind %d has code %q", kind, e.Code)
	}
}

func TestChooseWithoutAnyProvider(t *testing.T) {
	t.Parallel()
	_, err := domain.ModelSelector{}.Choose(domain.ModelRequest{})
	checkChoiceError(t, err, domain.Unavailable, "No model provider is configured")
}

func TestDefaultChoice(t *testing.T) {
	t.Parallel()
	echo := domain.Choice{Provider: "echo", Model: "echo"}
	mini := domain.Choice{Provider: "openai", Model: "gpt-4o-mini"}
	haiku := domain.Choice{Provider: "claude", Model: "claude-3-haiku-20240307"}
	tests := map[string]struct {
		configured []string
		wish       domain.ModelRequest
		want       domain.Choice
		skipped    bool
	}{
		"nothing configured":        {nil, domain.ModelRequest{}, domain.Choice{}, false},
		"only echo":                 {[]string{"echo"}, domain.ModelRequest{}, echo, false},
		"a key beats echo":          {[]string{"echo", "openai"}, domain.ModelRequest{}, mini, false},
		"claude comes first":        {[]string{"echo", "mistral", "openai", "claude"}, domain.ModelRequest{}, haiku, false},
		"no default model":          {[]string{"compatible", "echo"}, domain.ModelRequest{}, echo, false},
		"only compatible":           {[]string{"compatible"}, domain.ModelRequest{}, domain.Choice{}, false},
		"wished model":              {[]string{"claude", "openai"}, domain.ModelRequest{Model: "gpt-4"}, domain.Choice{Provider: "openai", Model: "gpt-4"}, false},
		"wished provider":           {[]string{"claude", "openai"}, domain.ModelRequest{Provider: "openai"}, mini, false},
		"wish for compatible":       {[]string{"compatible"}, domain.ModelRequest{Provider: "compatible", Model: "m"}, domain.Choice{Provider: "compatible", Model: "m"}, false},
		"wish without a key":        {[]string{"openai"}, domain.ModelRequest{Model: "claude-3-haiku-20240307"}, mini, true},
		"wish for an unknown model": {[]string{"openai"}, domain.ModelRequest{Model: "nope"}, mini, true},
		"wish and nothing else":     {nil, domain.ModelRequest{Model: "gpt-4"}, domain.Choice{}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, skipped := domain.DefaultChoice(domain.BuiltInCatalogue(), configured(test.configured...), test.wish)
			if got != test.want || skipped != test.skipped {
				t.Errorf("got %+v, skipped %v", got, skipped)
			}
		})
	}
}
