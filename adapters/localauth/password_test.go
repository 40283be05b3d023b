package localauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

// cheap is what tests hash with that are about something else.
var cheap = Argon2{Memory: 64, Passes: 1, Lanes: 1}

func TestPHC(t *testing.T) {
	t.Parallel()
	if first, err := newPasswords(recommended, 1, time.Minute).hash(t.Context(), "Corr3ct-horse"); err != nil ||
		!strings.HasPrefix(first, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s, %v", first, err)
	}
	p := newPasswords(cheap, 1, time.Minute)
	first, err := p.hash(t.Context(), "Corr3ct-horse")
	if err != nil {
		t.Fatal(err)
	}
	if second, err := p.hash(t.Context(), "Corr3ct-horse"); err != nil || second == first {
		t.Errorf("the same password has the same hash, or %v", err)
	}
	for password, want := range map[string]bool{
		"Corr3ct-horse": true, "corr3ct-horse": false, "Corr3ct-horse ": false, "": false, "Corr3ct-horse\x00": false,
		strings.Repeat("p", 100): false,
	} {
		if right, stale, err := p.check(t.Context(), first, password); right != want || stale || err != nil {
			t.Errorf("%q: right %v, stale %v, %v", password, right, stale, err)
		}
		if right, _, err := p.check(t.Context(), "", password); right || err != nil {
			t.Errorf("%q is somebody's who is not there: %v", password, err)
		}
	}
}

// Hashes of the reference implementation: argon2 from https://github.com/P-H-C/phc-winner-argon2, its test vectors for version 19.
func TestPHCOfTheReference(t *testing.T) {
	t.Parallel()
	p := newPasswords(cheap, 1, time.Minute)
	for _, hash := range []string{
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
	} {
		if right, stale, err := p.check(t.Context(), hash, "password"); !right || !stale || err != nil {
			t.Errorf("%s: right %v, stale %v, %v", hash, right, stale, err)
		}
		if right, _, err := p.check(t.Context(), hash, "passwore"); right || err != nil {
			t.Errorf("%s: another password is right, or %v", hash, err)
		}
	}
}

func TestBadPHCIsNoHash(t *testing.T) {
	t.Parallel()
	p := newPasswords(cheap, 1, time.Minute)
	const salt, key = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, hash := range []string{
		"plain", "$2y$10$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + key, "$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + key, "$argon2id$v=19$m=256,t=0,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=256,t=2,p=0$" + salt + "$" + key, "$argon2id$v=19$m=2000000,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=256,t=65,p=1$" + salt + "$" + key, "$argon2id$v=19$m=256,t=2,p=300$" + salt + "$" + key,
		"$argon2id$v=19$m=-1,t=2,p=1$" + salt + "$" + key, "$argon2id$v=19$m=256,t=2,p=1 $" + salt + "$" + key,
		"$argon2id$v=19$m=256,t=2,p=1$$" + key, "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$", "$argon2id$v=19$m=256,t=2,p=1$" + salt,
		"$argon2id$v=19$m=256,t=2,p=1$" + salt + "=$" + key, "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + key + "$x",
		"$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + strings.Repeat("A", 200),
	} {
		right, _, err := p.check(t.Context(), hash, "password")
		if right || err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%s: right %v, %v", hash, right, err)
		}
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{
		"": domain.CodeWeakPassword, "12345": domain.CodeWeakPassword, "ααααα": domain.CodeWeakPassword, "123456": "", "αααααα": "",
		strings.Repeat("p", 72): "", strings.Repeat("p", 73): domain.CodeNotRegistered, strings.Repeat("α", 37): domain.CodeNotRegistered,
	} {
		err := checkPassword(password)
		var e *domain.Error
		if want == "" && err != nil || want != "" && (!errors.As(err, &e) || e.Code != want || e.Kind != domain.BadRequest) {
			t.Errorf("%q: %v, want %q", password, err, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 255-len("@example.com"))
	for email, want := range map[string]string{
		"ada@example.com": "ada@example.com", "Ada@Example.COM": "ada@example.com", "root@localhost": "root@localhost",
		"a.b+c_d'e@x-y.example": "a.b+c_d'e@x-y.example", long + "@example.com": long + "@example.com", "a" + long + "@example.com": "",
		"": "", "ada": "", "ada@": "", "@example.com": "", "ada@example.com ": "", " ada@example.com": "", "ada@exa mple.com": "",
		"ada@example..com": "", "ada@-example.com": "", "ada@example.com\n": "", "adä@example.com": "", "ada@example.com\x00": "",
		"ada@KELVIN.example\u212a": "", "a@b@c": "", "<ada@example.com>": "", `"ada"@example.com`: "", "ada@" + strings.Repeat("a", 64): "",
	} {
		if got, ok := parseAddress(email); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", email, got, ok, want)
		}
	}
}

// As many hash as there are turns; who waits too long is sent away, and who leaves is not waited for.
func TestHashingTakesTurns(t *testing.T) {
	t.Parallel()
	p := newPasswords(cheap, 2, 20*time.Millisecond)
	release, running := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	for range 2 {
		go func() { done <- p.inTurn(t.Context(), func() { running <- struct{}{}; <-release }) }()
		<-running
	}
	var e *domain.Error
	if _, err := p.hash(t.Context(), "password"); !errors.As(err, &e) || e.Kind != domain.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("got %v, want Unavailable with a time to come back", err)
	}
	if _, _, err := p.check(t.Context(), "", "password"); !errors.As(err, &e) || e.Kind != domain.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	p.wait = time.Hour
	gone, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := p.hash(gone, "password"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the caller left", err)
	}
	close(release)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if _, err := p.hash(t.Context(), "password"); err != nil {
		t.Errorf("with free turns: %v", err)
	}
}

// A caller who is gone gets no turn, although one is free.
func TestNoTurnForWhoLeft(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	p := newPasswords(cheap, 1, time.Hour)
	err := p.inTurn(gone, func() { t.Error("hashed for nobody") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRefreshTokens(t *testing.T) {
	t.Parallel()
	first := refreshToken(random(refreshBytes))
	key := derive("secret", "tokens")
	if next := first.next(key); next == first || next != first.next(key) || next == first.next(derive("other", "tokens")) || len(next.text()) != 43 {
		t.Error("the next token is not made of the first one and the key alone")
	}
	if got, ok := parseRefreshToken(first.text()); !ok || got != first {
		t.Error("a token can't be read again")
	}
	text := first.text()
	bad := []string{"", "x", text[:42], text + "A", text + "=", strings.Repeat("+", 43), strings.Repeat("A", 42) + "B", " " + text, text + "\n", strings.Repeat("A", 1<<20)}
	for _, s := range bad {
		if _, ok := parseRefreshToken(s); ok {
			t.Errorf("%.50q is taken for a token", s)
		}
	}
}

// An address that nobody has takes as long as a wrong password, with the parameters of production.
func TestTimeTellsNothing(t *testing.T) {
	t.Parallel()
	p := newPasswords(recommended, 1, time.Minute)
	stored, err := p.hash(t.Context(), "Corr3ct-horse")
	if err != nil {
		t.Fatal(err)
	}
	took := map[string][]time.Duration{}
	for range 5 {
		for _, hash := range []string{stored, ""} { // by turns, so that a busy moment hits both
			begun := time.Now()
			if right, _, err := p.check(t.Context(), hash, "Wr0ng-horse"); right || err != nil {
				t.Fatal(right, err)
			}
			took[hash] = append(took[hash], time.Since(begun))
		}
	}
	known, unknown := median(took[stored]), median(took[""])
	t.Logf("wrong password %v, unknown address %v", known, unknown)
	if ratio := float64(known) / float64(unknown); ratio > 2 || ratio < 0.5 {
		t.Errorf("a wrong password takes %v, an unknown address %v", known, unknown)
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func BenchmarkHash(b *testing.B) {
	p := newPasswords(recommended, 1, time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.hash(b.Context(), "Corr3ct-horse"); err != nil {
			b.Fatal(err)
		}
	}
}
