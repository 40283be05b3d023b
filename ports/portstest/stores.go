package portstest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gaia/domain"
)

// newID makes a random UUID.
func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// oddTexts are hard to store. A store may refuse the input, but it must not fail.
var oddTexts = []string{
	"a\x00b", "\xff\xfe", "\xed\xa0\x80", "\\u0000", "\uffff", "\U0010ffff", "\r\n\t\v", strings.Repeat("🎭", 50_000), "'; DROP TABLE personas; --",
}

// wantRefused accepts only an answer that blames the input.
func wantRefused(t *testing.T, err error, text string) {
	t.Helper()
	if kind := domain.KindOf(err); kind != domain.BadRequest && kind != domain.Invalid {
		t.Errorf("text %.20q: got kind %d (%v), want it stored or refused", text, kind, err)
	}
}

func wantKind(t *testing.T, err error, want domain.Kind, format string, args ...any) {
	t.Helper()
	if err == nil || domain.KindOf(err) != want {
		t.Errorf("%s: got %v (kind %d), want kind %d", fmt.Sprintf(format, args...), err, domain.KindOf(err), want)
	}
}

func wantCanceled(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) || domain.KindOf(err) != domain.Canceled {
		t.Errorf("%s: got %v (kind %d), want context.Canceled", what, err, domain.KindOf(err))
	}
}
