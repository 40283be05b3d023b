package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gaia/ports"
)

// accountCommand is what an operator does with local accounts. What it takes in secret it reads from in, which no list of processes shows.
func accountCommand(ctx context.Context, c config, command, email string, in io.Reader, out io.Writer) error {
	if command != "password" {
		return fmt.Errorf("unknown command accounts %q: %w", command, errUsage)
	}
	if !c.keepsAccounts() {
		return errors.New("accounts are not kept here: see SUPABASE_URL, LOCAL_ACCOUNTS and SUPABASE_JWT_SECRET")
	}
	password, err := firstLine(in)
	if err != nil {
		return err
	}
	dataDir, err := c.dataDir()
	if err != nil {
		return err
	}
	if err = c.settleAccounts(dataDir); err != nil {
		return err
	}
	sys := &system{}
	defer sys.close()
	db, err := openDatabase(ctx, c, dataDir, sys, map[string]ports.Probe{})
	if err != nil {
		return err
	}
	accounts, err := newLocalAccounts(c, db)
	if err != nil {
		return err
	}
	if err := accounts.SetPassword(ctx, email, password); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s has a new password; all sessions have ended.\n", strings.ToLower(email))
	return err
}

const maxLineBytes = 4 << 10

// firstLine reads a line without its end.
func firstLine(in io.Reader) (string, error) {
	lines := bufio.NewScanner(io.LimitReader(in, maxLineBytes))
	if !lines.Scan() {
		return "", errors.Join(errors.New("the new password is expected on standard input"), lines.Err())
	}
	return lines.Text(), nil
}
