package domain_test

import (
	"fmt"
	"strings"
	"testing"

	"gaia/domain"
)

func TestBuiltInCatalogue(t *testing.T) {
	t.Parallel()
	providers := map[string]string{
		"gpt-4o": "openai", "gpt-4o-mini": "openai", "gpt-4-turbo": "openai", "gpt-3.5-turbo": "openai", "gpt-4": "openai",
		"claude-3-haiku-20240307": "claude", "claude-3-sonnet-20240229": "claude",
		"claude-3-opus-20240229":    "claude", // clients written after the old guide name it
		"claude-3-5-haiku-20241022": "claude", "claude-3-5-sonnet-20241022": "claude",
	}
	c := domain.BuiltInCatalogue()
	for id, provider := range providers {
		m, ok := c.Model(id)
		if !ok || m.ID != id || m.Provider != provider {
			t.Errorf("%s: got %+v, %v", id, m, ok)
		}
		if m.Name == "" || len(m.Capabilities) == 0 || m.MaxTokens <= 0 || m.CostPerInputToken <= 0 || m.CostPerOutputToken <= 0 || m.AvgResponseTimeMS <= 0 {
			t.Errorf("%s lacks something: %+v", id, m)
		}
		for _, score := range []float64{m.QualityScore, m.SpeedScore} {
			if score <= 0 || score > 1 {
				t.Errorf("%s has a score of %v, outside 0 to 1", id, score)
			}
		}
	}
	if m, ok := c.Model("GPT-4o"); ok {
		t.Errorf("an unknown id gave %+v", m)
	}
}

func TestDefaultModelsBelongToTheirProvider(t *testing.T) {
	t.Parallel()
	c := domain.BuiltInCatalogue()
	var order []string
	for _, p := range domain.Providers() {
		order = append(order, p.ID)
		if m, ok := c.Model(p.DefaultModel); ok && m.Provider != p.ID {
			t.Errorf("the default of %s is a model of %s", p.ID, m.Provider)
		}
		if p.Name == "" || p.Setting == "" {
			t.Errorf("provider %+v lacks something", p)
		}
	}
	if got := strings.Join(order, " "); got != "claude openai gemini mistral compatible echo" {
		t.Errorf("the order is %s", got)
	}
}

func TestParseCatalogue(t *testing.T) {
	t.Parallel()
	model := func(id, provider string, window int) string {
		return fmt.Sprintf(`{"id": %q, "provider": %q, "context_window": %d}`, id, provider, window)
	}
	good := model("a", "openai", 1)
	tests := map[string]struct{ json, want string }{
		"one model":             {"[" + good + "]", ""},
		"empty list":            {"[]", ""},
		"unknown fields":        {`[{"id": "a", "provider": "echo", "context_window": 8, "colour": "red"}]`, ""},
		"nothing":               {"", "parse models"},
		"an object":             {`{"version": "7", "models": [` + good + `]}`, ""},
		"object without models": {good, "no models"},
		"wrong type":            {`[{"id": 1}]`, "parse models"},
		"something behind":      {"[] []", "parse models"},
		"no id":                 {"[" + good + "," + model("", "openai", 1) + "]", "model 1 has no id"},
		"null":                  {"[null]", "model 0 has no id"},
		"twice":                 {"[" + good + "," + model("a", "claude", 1) + "]", "model a is listed twice"},
		"unknown provider":      {"[" + model("a", "anthropic", 1) + "]", `model a names the unknown provider "anthropic"`},
		"no provider":           {"[" + model("a", "", 1) + "]", `model a names the unknown provider ""`},
		"no context window":     {"[" + model("a", "openai", 0) + "]", "model a needs a context_window above 0"},
		"window of less than 0": {"[" + model("a", "openai", -5) + "]", "model a needs a context_window above 0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := domain.ParseCatalogue([]byte(test.json))
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want one with %q", err, test.want)
			case test.want != "":
				if m, ok := c.Model("a"); ok {
					t.Errorf("a broken list still gave %+v", m)
				}
			}
		})
	}
}
