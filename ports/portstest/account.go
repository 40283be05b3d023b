package portstest

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// AccountSetup is one database as two processes see it.
type AccountSetup struct {
	A, B                 ports.AccountStore
	SessionsA, SessionsB ports.SessionStore
}

// AccountStore checks everything that ports.AccountStore demands of a database that is there. empty runs once for each test.
func AccountStore(t *testing.T, empty func(*testing.T) AccountSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, AccountSetup){
		"an account is found as it was stored":                    accountStored,
		"an address that exists is Conflict":                      accountTwice,
		"of racing registrations of one address one wins":         accountRace,
		"an unknown account is NotFound":                          accountUnknown,
		"SetPasswordHash replaces the hash and nothing else":      accountPassword,
		"an address that is hard to store is stored or refused":   accountOdd,
		"a caller who left is told so and no account is changed":  accountCanceled,
		"callers share nothing with the store":                    accountApart,
		"addresses are compared as they are, without normalising": accountExact,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

var accountTime = time.Date(2001, 2, 3, 4, 5, 6, 789_000_000, time.UTC)

func anAccount(email string) domain.StoredAccount {
	return domain.StoredAccount{
		ID: newID(), Email: email, PasswordHash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", UserMetadata: map[string]any{"email": email, "n": 1.5},
		CreatedAt: accountTime, UpdatedAt: accountTime,
	}
}

func createAccount(t *testing.T, s ports.AccountStore, a domain.StoredAccount) domain.StoredAccount {
	t.Helper()
	if err := s.Create(t.Context(), a); err != nil {
		t.Fatalf("Create: %v", err)
	}
	return a
}

func wantStoredAccount(t *testing.T, s ports.AccountStore, want domain.StoredAccount) {
	t.Helper()
	byID, err := s.Get(t.Context(), want.ID)
	if err != nil || !reflect.DeepEqual(byID, want) {
		t.Errorf("Get: got %+v, %v, want %+v", byID, err, want)
	}
	byEmail, err := s.ByEmail(t.Context(), want.Email)
	if err != nil || !reflect.DeepEqual(byEmail, want) {
		t.Errorf("ByEmail: got %+v, %v, want %+v", byEmail, err, want)
	}
}

func accountStored(t *testing.T, s AccountSetup) {
	a := createAccount(t, s.A, anAccount("ada@example.com"))
	signedIn := anAccount("bob@example.com")
	signedIn.LastSignInAt = accountTime.Add(time.Hour)
	createAccount(t, s.A, signedIn)
	wantStoredAccount(t, s.B, a)
	wantStoredAccount(t, s.B, signedIn)
	plain := anAccount("eve@example.com")
	plain.UserMetadata = nil
	createAccount(t, s.A, plain)
	plain.UserMetadata = map[string]any{}
	wantStoredAccount(t, s.B, plain)
}

func accountTwice(t *testing.T, s AccountSetup) {
	a := createAccount(t, s.A, anAccount("ada@example.com"))
	wantKind(t, s.B.Create(t.Context(), anAccount("ada@example.com")), domain.Conflict, "the same address")
	other := anAccount("bob@example.com")
	other.ID = a.ID
	wantKind(t, s.B.Create(t.Context(), other), domain.Conflict, "the same id")
	wantStoredAccount(t, s.A, a)
}

func accountRace(t *testing.T, s AccountSetup) {
	const many = 16
	made := together(many, func(i int) error {
		return []ports.AccountStore{s.A, s.B}[i%2].Create(t.Context(), anAccount("ada@example.com"))
	})
	won := 0
	for _, err := range made {
		if err == nil {
			won++
		} else {
			wantKind(t, err, domain.Conflict, "a racing registration")
		}
	}
	if won != 1 {
		t.Errorf("%d of %d registrations won", won, many)
	}
}

// together runs work many times at once.
func together[T any](many int, work func(i int) T) []T {
	var (
		all   sync.WaitGroup
		start = make(chan struct{})
		out   = make([]T, many)
	)
	for i := range many {
		all.Go(func() {
			<-start
			out[i] = work(i)
		})
	}
	close(start)
	all.Wait()
	return out
}

func accountUnknown(t *testing.T, s AccountSetup) {
	createAccount(t, s.A, anAccount("ada@example.com"))
	_, err := s.A.ByEmail(t.Context(), "bob@example.com")
	wantKind(t, err, domain.NotFound, "ByEmail")
	for _, id := range []string{newID(), "", "no id"} {
		_, err = s.A.Get(t.Context(), id)
		wantKind(t, err, domain.NotFound, "Get %q", id)
		wantKind(t, s.A.SetPasswordHash(t.Context(), id, "", "hash", accountTime), domain.Conflict, "SetPasswordHash %q", id)
	}
}

func accountPassword(t *testing.T, s AccountSetup) {
	a, b := createAccount(t, s.A, anAccount("ada@example.com")), createAccount(t, s.A, anAccount("bob@example.com"))
	old := a.PasswordHash
	a.PasswordHash, a.UpdatedAt = "another", accountTime.Add(time.Minute)
	if err := s.B.SetPasswordHash(t.Context(), a.ID, old, a.PasswordHash, a.UpdatedAt); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.A.SetPasswordHash(t.Context(), a.ID, old, "a third", accountTime), domain.Conflict, "a hash that is not there any more")
	wantStoredAccount(t, s.A, a)
	wantStoredAccount(t, s.A, b)
}

func accountOdd(t *testing.T, s AccountSetup) {
	for _, email := range oddTexts {
		a := anAccount("plain@example.com")
		a.Email = email
		if err := s.A.Create(t.Context(), a); err != nil {
			wantRefused(t, err, email)
		}
		if _, err := s.A.ByEmail(t.Context(), email); err != nil && domain.KindOf(err) != domain.NotFound {
			wantRefused(t, err, email)
		}
	}
}

func accountCanceled(t *testing.T, s AccountSetup) {
	a := createAccount(t, s.A, anAccount("ada@example.com"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	b := anAccount("bob@example.com")
	wantCanceled(t, "Create", s.A.Create(gone, b))
	_, err := s.A.Get(gone, a.ID)
	wantCanceled(t, "Get", err)
	_, err = s.A.ByEmail(gone, a.Email)
	wantCanceled(t, "ByEmail", err)
	wantCanceled(t, "SetPasswordHash", s.A.SetPasswordHash(gone, a.ID, a.PasswordHash, "another", accountTime))
	wantStoredAccount(t, s.A, a)
	_, err = s.A.Get(t.Context(), b.ID)
	wantKind(t, err, domain.NotFound, "the account of a caller who left")
}

func accountApart(t *testing.T, s AccountSetup) {
	a := createAccount(t, s.A, anAccount("ada@example.com"))
	a.UserMetadata["email"] = "changed@example.com"
	got, err := s.A.Get(t.Context(), a.ID)
	if err != nil || got.UserMetadata["email"] != "ada@example.com" {
		t.Fatalf("got %v, %v", got.UserMetadata, err)
	}
	got.UserMetadata["email"] = "changed@example.com"
	if again, err := s.A.Get(t.Context(), a.ID); err != nil || again.UserMetadata["email"] != "ada@example.com" {
		t.Errorf("got %v, %v", again.UserMetadata, err)
	}
}

func accountExact(t *testing.T, s AccountSetup) {
	for _, email := range []string{"ada@example.com", "Ada@example.com", "ada@example.com "} {
		createAccount(t, s.A, anAccount(email))
	}
}
