package domain_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

func TestContextOf(t *testing.T) {
	t.Parallel()
	tests := []struct{ activity, message, want string }{
		{"", "Tell me more", "conversation"},
		{"", "", "conversation"},
		{"generic", "Tell me more", "conversation"},
		{"VR", "Debug this code", "vr"},
		{"metaverse", "", "vr"},
		{"programming", "a poem", "technical"},
		{"art", "", "creative"},
		{"", "Look at this picture of my code", "multimodal"},
		{"", "HELLO there", "greeting"},
		{"", "good morning, dear friend", "greeting"},
		{"", "hello, can you tell me about the weather", "conversation"},
		{"", "hello, my function returns an error", "technical"},
		{"", "this history", "conversation"},
		{"", "What are functions?", "technical"},
		{"", "Write a story", "creative"},
		{"", "the start of a party", "conversation"},
		{"", "it is urgent", "emergency"},
		{"", "help!", "emergency"},
		{"", "Schreib mir \u00fcber K\u00e4se", "conversation"},
		{"", strings.Repeat("x ", 3000) + "urgent", "conversation"},
	}
	for _, test := range tests {
		if got := domain.ContextOf(test.activity, test.message); got != test.want {
			t.Errorf("%q, %.40q: %s, want %s", test.activity, test.message, got, test.want)
		}
	}
}

func selector(providers ...string) domain.ModelSelector {
	s := domain.ModelSelector{Catalogue: domain.BuiltInCatalogue(), Configured: configured(providers...)}
	s.Default, _ = domain.DefaultChoice(s.Catalogue, s.Configured, domain.ModelRequest{})
	return s
}

func TestRecommend(t *testing.T) {
	t.Parallel()
	all := []string{"claude", "openai"}
	tests := map[string]struct {
		configured []string
		request    domain.ModelRequest
		want       string
		next       []string
		confidence float64
	}{
		"conversation": {all, domain.ModelRequest{Message: "Tell me more"}, "claude-3-5-sonnet-20241022", nil, 0.6425},
		"speed": {all, domain.ModelRequest{Priority: "speed"}, "claude-3-haiku-20240307",
			[]string{"gpt-3.5-turbo", "claude-3-5-haiku-20241022", "gpt-4o-mini"}, 1},
		"quality":           {all, domain.ModelRequest{Priority: "quality"}, "claude-3-5-sonnet-20241022", nil, 1},
		"cost":              {[]string{"openai"}, domain.ModelRequest{Priority: "cost"}, "gpt-4o-mini", nil, 1},
		"vr":                {all, domain.ModelRequest{ContextType: "vr"}, "claude-3-haiku-20240307", []string{"gpt-4o-mini", "gpt-3.5-turbo"}, 1},
		"greeting":          {all, domain.ModelRequest{Message: "Hi"}, "gpt-3.5-turbo", []string{"gpt-4o-mini"}, 1},
		"context wins":      {all, domain.ModelRequest{Message: "Hi", ContextType: "creative"}, "claude-3-5-sonnet-20241022", []string{"gpt-4-turbo"}, 1},
		"one provider":      {[]string{"openai"}, domain.ModelRequest{ContextType: "technical"}, "gpt-4o", nil, 1},
		"preferred":         {all, domain.ModelRequest{ContextType: "conversation", PreferredProvider: "openai"}, "gpt-4o", nil, 0.6},
		"time":              {all, domain.ModelRequest{MaxResponseTime: 450 * time.Millisecond}, "gpt-3.5-turbo", []string{}, 0.54},
		"abilities":         {all, domain.ModelRequest{RequiredCapabilities: []string{"long_context"}}, "claude-3-5-sonnet-20241022", []string{"gpt-4-turbo"}, 0.6425},
		"unknown abilities": {all, domain.ModelRequest{RequiredCapabilities: []string{"wings"}}, "claude-3-5-sonnet-20241022", nil, 0.6425},
		"nothing meets it":  {all, domain.ModelRequest{ContextType: "emergency"}, "claude-3-haiku-20240307", nil, 1},
		"only echo":         {[]string{"echo"}, domain.ModelRequest{Message: "Hi"}, "echo", []string{}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := selector(test.configured...).Recommend(test.request, domain.Measurements{})
			if err != nil || got.Model != test.want || !got.Selected || got.Reasoning == "" || math.Abs(got.Confidence-test.confidence) > 1e-9 {
				t.Fatalf("got %+v, %v", got, err)
			}
			next := []string{}
			for _, choice := range got.Alternatives {
				next = append(next, choice.Model)
			}
			if test.next != nil && !slices.Equal(next, test.next) || len(next) > 3 {
				t.Errorf("next are %v, want %v", next, test.next)
			}
		})
	}
}

func TestFallbacksReachOtherProviders(t *testing.T) {
	t.Parallel()
	s := selector("claude", "openai", "mistral", "echo")
	selected, err := s.Recommend(domain.ModelRequest{RequiredCapabilities: []string{"long_context"}, PreferredProvider: "claude"}, domain.Measurements{})
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{selected.Provider: 0}
	for _, choice := range s.Fallbacks(selected) {
		if choice == selected.Choice {
			t.Errorf("%v falls back to itself", choice)
		}
		asked[choice.Provider]++
	}
	if len(asked) != 3 || asked["openai"] == 0 || asked["mistral"] != 1 {
		t.Errorf("%v falls back to %v", selected.Choice, s.Fallbacks(selected))
	}
	named, err := s.Select(domain.ModelRequest{Model: "gpt-4o"}, nil)
	if err != nil || len(s.Fallbacks(named)) != 2 {
		t.Errorf("got %v, %v", s.Fallbacks(named), err)
	}
}

func TestRecommendWithoutProviders(t *testing.T) {
	t.Parallel()
	if _, err := selector().Recommend(domain.ModelRequest{AutoSelect: true}, domain.Measurements{}); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("got %v", err)
	}
}

// TestSelectOnlyWhenAsked: what is named is used or refused, whatever else a request says.
func TestSelectOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	s := selector("claude", "openai")
	tests := map[string]struct {
		request  domain.ModelRequest
		model    string
		selected bool
	}{
		"nothing":          {domain.ModelRequest{Message: "Hi"}, "claude-3-haiku-20240307", false},
		"activity alone":   {domain.ModelRequest{Activity: "vr"}, "claude-3-haiku-20240307", false},
		"auto":             {domain.ModelRequest{AutoSelect: true}, "claude-3-5-sonnet-20241022", true},
		"time":             {domain.ModelRequest{MaxResponseTime: 450 * time.Millisecond}, "gpt-3.5-turbo", true},
		"named, and auto":  {domain.ModelRequest{Model: "gpt-4", AutoSelect: true, Priority: "speed"}, "gpt-4", false},
		"provider, a wish": {domain.ModelRequest{Provider: "openai", Priority: "quality"}, "gpt-4o-mini", false},
	}
	for name, test := range tests {
		got, err := s.Select(test.request, func() domain.Measurements { return domain.Measurements{} })
		if err != nil || got.Model != test.model || got.Selected != test.selected {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := selector("claude").Select(domain.ModelRequest{Model: "gpt-4", AutoSelect: true}, nil); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("a named model without its provider: %v", err)
	}
}

func measured(provider, status string) domain.Measurements {
	return domain.Measurements{Providers: map[string]domain.ProviderStats{provider: {Status: status}}}
}

func TestMeasurementsDecide(t *testing.T) {
	t.Parallel()
	s := selector("claude", "openai")
	quality := domain.ModelRequest{Priority: "quality"}
	for status, want := range map[string]string{"healthy": "claude", "unknown": "claude", "unhealthy": "openai"} {
		if got, _ := s.Recommend(quality, measured("claude", status)); got.Provider != want {
			t.Errorf("Claude is %s: %+v", status, got)
		}
	}
	sonnet := domain.Choice{Provider: "claude", Model: "claude-3-5-sonnet-20241022"}
	for samples, want := range map[int]string{4: sonnet.Model, 5: "gpt-4o"} {
		m := domain.Measurements{Models: map[domain.Choice]domain.ModelStats{sonnet: {Samples: samples, Average: time.Minute}}}
		if got, _ := s.Recommend(quality, m); got.Model != want {
			t.Errorf("a minute, seen %d times: %+v", samples, got)
		}
	}
	if got, _ := selector("openai").Recommend(quality, measured("openai", "unhealthy")); got.Model != "gpt-4o" {
		t.Errorf("the only provider fails: %+v", got)
	}
}

// TestModelsThatNobodyKnows take part as soon as there is an answer of theirs.
func TestModelsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	s := selector("compatible")
	s.Catalogue = s.Catalogue.With("compatible", "llama", "qwen")
	got, err := s.Recommend(domain.ModelRequest{ContextType: "vr"}, domain.Measurements{})
	if err != nil || got.Model != "llama" || got.ResponseTime != 0 || !strings.Contains(got.Reasoning, "no model meets all demands (chat, streaming within 700 ms)") {
		t.Errorf("nothing known: %+v, %v", got, err)
	}
	qwen := domain.Choice{Provider: "compatible", Model: "qwen"}
	m := domain.Measurements{Models: map[domain.Choice]domain.ModelStats{qwen: {Samples: 1, Average: 300 * time.Millisecond, FirstToken: 90 * time.Millisecond}}}
	if got, _ := s.Recommend(domain.ModelRequest{ContextType: "vr"}, m); got.Choice != qwen || got.ResponseTime != 300*time.Millisecond {
		t.Errorf("one answer of qwen: %+v", got)
	}
	r := s.RankStreams(m)
	if r.ForVR != "qwen" || r.ForEmergency != "qwen" || r.ForQuality != "" || r.Fastest[0].ID != "qwen" || r.Fastest[0].FirstTokenMS != 90 {
		t.Errorf("ranking: %+v", r)
	}
	if slices.ContainsFunc(r.Fastest, func(m domain.StreamModel) bool { return m.ID == "llama" }) || len(r.All) <= len(r.Fastest) {
		t.Error("a model without a time is ranked by it")
	}
}

func TestRankFor(t *testing.T) {
	t.Parallel()
	s := selector("claude", "openai")
	for _, c := range domain.Contexts() {
		got, err := s.Recommend(domain.ModelRequest{ContextType: c.ID}, domain.Measurements{})
		if list := s.RankFor(c.ID, domain.Measurements{}); err != nil || list[0].ID != got.Model {
			t.Errorf("%s: %s is recommended, %s ranked first", c.ID, got.Model, list[0].ID)
		}
	}
	for _, p := range domain.Priorities() {
		for _, model := range s.RankBy(p, domain.Measurements{}) {
			if model.Deprecated {
				t.Errorf("%s: %s is deprecated", p, model.ID)
			}
		}
	}
}

func TestEstimatedCost(t *testing.T) {
	t.Parallel()
	got, err := selector("openai").Recommend(domain.ModelRequest{Message: strings.Repeat("x", 4000), Priority: "cost"}, domain.Measurements{})
	if want := domain.FromDollars(1000*1.5e-7 + 500*6e-7); err != nil || got.Model != "gpt-4o-mini" || got.EstimatedCost != want {
		t.Errorf("got %+v, %v, want %d", got, err, want)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	c := domain.BuiltInCatalogue().With("compatible", "llama")
	haiku := domain.Choice{Provider: "claude", Model: "claude-haiku-4-5-20251001"}
	tests := map[string]struct {
		choice domain.Choice
		usage  domain.Usage
		want   domain.Money
		priced bool
	}{
		"input and output":  {domain.Choice{Provider: "openai", Model: "gpt-4o-mini"}, domain.Usage{Input: 1000, Output: 10}, 150_000 + 6_000, true},
		"cached is input":   {domain.Choice{Provider: "openai", Model: "gpt-4o-mini"}, domain.Usage{Input: 1000, CachedInput: 400}, 150_000, true},
		"caches":            {haiku, domain.Usage{Input: 1000, CachedInput: 400, CacheWrite: 100, Output: 1}, 500*1000 + 400*100 + 100*1250 + 5000, true},
		"unknown":           {domain.Choice{Provider: "openai", Model: "gpt-9"}, domain.Usage{Input: 1, Output: 1}, 18_000, false},
		"somebody else's":   {domain.Choice{Provider: "mistral", Model: "gpt-4o"}, domain.Usage{Input: 1}, 3_000, false},
		"echo":              {domain.Choice{Provider: "echo", Model: "echo"}, domain.Usage{Input: 1000}, 0, true},
		"compatible":        {domain.Choice{Provider: "compatible", Model: "mistral:7b"}, domain.Usage{Input: 1000}, 0, true},
		"compatible, known": {domain.Choice{Provider: "compatible", Model: "llama"}, domain.Usage{Input: 1000}, 0, true},
	}
	for name, test := range tests {
		if cost, priced := c.Cost(test.choice, test.usage); cost != test.want || priced != test.priced {
			t.Errorf("%s: %d, %v, want %d", name, cost, priced, test.want)
		}
	}
	if c.Version() == "" || c.Version() != domain.BuiltInCatalogue().Version() {
		t.Errorf("version %q", c.Version())
	}
}
