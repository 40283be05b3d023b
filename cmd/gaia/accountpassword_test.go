package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"gaia/ports"
)

// localDatabase is an embedded database with an account.
func localDatabase(t *testing.T, email, password string) (config, func(password string) error) {
	t.Helper()
	c := config{LocalAccounts: "auto", DataDir: t.TempDir(), DatabaseSync: syncNormal}
	if err := c.settleAccounts(c.DataDir); err != nil {
		t.Fatal(err)
	}
	sys := &system{}
	t.Cleanup(sys.close)
	db, err := openDatabase(t.Context(), c, c.DataDir, sys, map[string]ports.Probe{})
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := newLocalAccounts(c, db)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := accounts.Register(t.Context(), email, password); err != nil {
		t.Fatal(err)
	}
	return c, func(password string) error {
		_, err := accounts.Login(t.Context(), email, password)
		return err
	}
}

func TestOperatorSetsAPassword(t *testing.T) {
	t.Parallel()
	c, login := localDatabase(t, "ada@example.com", "Corr3ct-horse")
	var out bytes.Buffer
	if err := accountCommand(t.Context(), c, "password", "Ada@example.com", strings.NewReader("N3w-password\nmore\n"), &out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "N3w") || !strings.Contains(out.String(), "ada@example.com") {
		t.Errorf("printed %q", out.String())
	}
	if err := login("N3w-password"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if err := login("Corr3ct-horse"); err == nil {
		t.Error("the old password is still right")
	}
}

func TestOperatorReadsWhatIsWrong(t *testing.T) {
	t.Parallel()
	c, _ := localDatabase(t, "ada@example.com", "Corr3ct-horse")
	elsewhere := c
	elsewhere.LocalAccounts = "off"
	for name, test := range map[string]struct {
		config                   config
		command, email, in, want string
	}{
		"another command":  {c, "list", "ada@example.com", "N3w-password", "unknown command"},
		"nobody":           {c, "password", "bob@example.com", "N3w-password", "No account has"},
		"a short password": {c, "password", "ada@example.com", "short", "fewer than 6"},
		"no password":      {c, "password", "ada@example.com", "", "standard input"},
		"no local account": {elsewhere, "password", "ada@example.com", "N3w-password", "not kept here"},
	} {
		var out bytes.Buffer
		err := accountCommand(t.Context(), test.config, test.command, test.email, strings.NewReader(test.in), &out)
		if err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
			t.Errorf("%s: %v, printed %q", name, err, out.String())
		}
	}
	if err := accountCommand(t.Context(), c, "list", "", nil, nil); !errors.Is(err, errUsage) {
		t.Errorf("got %v", err)
	}
}
