package domain_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"gaia/domain"
)

func TestTitleFrom(t *testing.T) {
	t.Parallel()
	exactly := strings.Repeat("ü", 60)
	for question, want := range map[string]string{
		"":                                       domain.UntitledConversation,
		" \n\t ":                                 domain.UntitledConversation,
		"  What   is\ta mirror? ":                "What is a mirror?",
		"\n\nFirst\nSecond":                      "First",
		exactly:                                  exactly,
		exactly + "  ":                           exactly,
		exactly + "x":                            strings.Repeat("ü", 59) + "…",
		strings.Repeat("word ", 12):              strings.TrimSpace(strings.Repeat("word ", 12)),
		strings.Repeat("word ", 12) + "x":        strings.TrimSpace(strings.Repeat("word ", 11)) + "…",
		"a " + strings.Repeat("b", 100):          "a " + strings.Repeat("b", 57) + "…", // cutting at the word would leave too little
		strings.Repeat("c", 59) + " d":           strings.Repeat("c", 59) + "…",
		"🎭 " + strings.Repeat("世界", 30):          "🎭 " + strings.Repeat("世界", 28) + "世…",
		strings.Repeat("word ", 1_000_000):       strings.TrimSpace(strings.Repeat("word ", 11)) + "…",
		"x" + strings.Repeat(" ", 100_000) + "y": "x y",
	} {
		got := domain.TitleFrom(question)
		if got != want || utf8.RuneCountInString(got) > 60 {
			t.Errorf("TitleFrom(%.80q) = %q, want %q", question, got, want)
		}
	}
}

func TestTurnPreview(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ question, answer, want string }{
		{"Why?", "Because\nit is.", "Because it is."},
		{"Why?", " \n", "Why?"},
		{"", "", ""},
	} {
		turn := domain.Turn{User: domain.Message{Content: c.question}, Assistant: domain.Message{Content: c.answer}}
		if got := turn.Preview(); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	if got := domain.PreviewFrom(strings.Repeat("long ", 100)); utf8.RuneCountInString(got) > 120 || !strings.HasSuffix(got, "long…") {
		t.Errorf("got %q", got)
	}
}
