package domain_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gaia/domain"
)

func TestTidyMasksSecrets(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("0aF", 22)[:64]
	for text, want := range map[string]string{
		"": "", "headset": "headset", "gaia_live_0123": "gaia_live_0123", "a.b.c": "a.b.c", "127.0.0.1": "127.0.0.1",
		"0195935f-5fa5-7000-8000-3fb2f5a1f0c4":                       "0195935f-5fa5-7000-8000-3fb2f5a1f0c4",
		"gaia_live_0123456789abcdefghijklmnopqrstuv":                 "[secret]",
		"x gaia_live_0123456789abcdefghijklmnopqrstuv_00ffee y":      "x [secret] y",
		"eyJhbGciOiJI.eyJzdWIiOiJh.c2lnbmF0dXJl":                     "[secret]",
		hash:                                                         "[secret]",
		"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g and": "[secret] and",
		strings.Repeat("z", 240) + " " + hash:                        strings.Repeat("z", 240) + " [secret]",
	} {
		e := domain.AuditEntry{Subject: text, Details: map[string]string{domain.DetailName: text}}.Tidy()
		if e.Subject != want || e.Details[domain.DetailName] != want {
			t.Errorf("%q became %q and %q, want %q", text, e.Subject, e.Details[domain.DetailName], want)
		}
	}
}

func TestTidyMakesEveryEntryStorable(t *testing.T) {
	t.Parallel()
	details := map[string]string{"empty": ""}
	for i := range 100 {
		details[fmt.Sprint("detail", i)] = "v"
	}
	e := domain.AuditEntry{Principal: "a\x00\xff", RequestID: "x" + strings.Repeat("世", 100), Details: details}.Tidy()
	if e.Principal != "a\uFFFD\uFFFD" {
		t.Errorf("got %q", e.Principal)
	}
	if len(e.RequestID) > 256 || len(e.RequestID) < 250 || !utf8.ValidString(e.RequestID) {
		t.Errorf("got %d bytes, valid %t", len(e.RequestID), utf8.ValidString(e.RequestID))
	}
	if _, there := e.Details["empty"]; there || len(e.Details) != 16 {
		t.Errorf("%d details: %v", len(e.Details), e.Details)
	}
}

func TestAuditEventTellsWhatIsUnknownAsNull(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 14, 10, 26, 53, 589_793_999, time.FixedZone("away", 3600))
	event := domain.AuditEntry{ID: "id", At: at, Action: domain.AuditLogin, Principal: "service"}.Event()
	data, err := event.Data()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"action":"login","user_id":"service","subject":null,"address":null,"request_id":null,"timestamp":"2026-03-14T09:26:53.589793Z","details":{}}`
	if event.ID != "id" || event.Subject != domain.SubjectAuthLogin || string(data) != want || !json.Valid(data) {
		t.Errorf("got %s %s %s", event.ID, event.Subject, data)
	}
}

// plainSecret is what the masking of secrets has to find, in one expression.
var plainSecret = regexp.MustCompile(`gaia_[A-Za-z0-9-]+_[A-Za-z0-9]{32}(?:_[A-Za-z0-9]{6})?|[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|\$argon2[a-z]*\$\S+|[0-9A-Fa-f]{64}`)

func FuzzTidyMasksWhatThePlainExpressionFinds(f *testing.F) {
	hash := strings.Repeat("0aF", 22)[:64]
	for _, s := range []string{
		"", "x", hash, "世" + hash + hash, "a.b.c", "aaaaaaaa.bbbbbbbb.cccccccc", "aaaaaaaa.bbbbbbbb.ccccccc", ".." + "aaaaaaaa.bbbbbbbb.cccccccc..",
		"gaia_live_0123456789abcdefghijklmnopqrstuv_00ffee-x", "xgaia_l-v_0123456789abcdefghijklmnopqrstuv", "$argon2id$v=19$m=1,t=2$aa " + hash,
		"gaia_a_0123456789abcdefghijklmnopqrstuv", "k=aaaaaaaa.bbbbbbbb.cccccccc&" + hash,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 200 || strings.Contains(s, "[secret]") {
			return
		}
		got := domain.AuditEntry{Subject: s}.Tidy().Subject
		if found := plainSecret.FindString(got); found != "" {
			t.Errorf("%q is left of %q", found, s)
		}
		if valid := strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD"); plainSecret.FindString(valid) == "" && got != valid && len(valid) < 200 {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func TestTidyIsQuickWithLongTexts(t *testing.T) {
	t.Parallel()
	const key = "gaia_live_0123456789abcdefghijklmnopqrstuv"
	for name, text := range map[string]string{
		"a secret at the end of what is looked at": strings.Repeat("x ", 2030) + key + strings.Repeat(" y", 1000),
		"a run without an end":                     key + strings.Repeat("z", 100_000),
		"many secrets":                             strings.Repeat(key+" ", 200),
	} {
		if got := (domain.AuditEntry{Subject: text}).Tidy().Subject; strings.Contains(got, "0123456789") || len(got) > 256 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func BenchmarkTidy(b *testing.B) {
	id := "0195935f-5fa5-7000-8000-3fb2f5a1f0c4"
	e := domain.AuditEntry{Principal: id, Subject: "files/read_text_file", RequestID: id, Details: map[string]string{
		domain.DetailCallID: id, domain.DetailKeyID: id, domain.DetailArguments: strings.Repeat(`{"path":"some/file.txt"},`, 40),
	}}
	for b.Loop() {
		e.Tidy()
	}
}
