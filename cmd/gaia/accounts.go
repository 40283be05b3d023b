package main

import (
	"fmt"
	"log/slog"

	"gaia/adapters/supabase"
	"gaia/app"
	"gaia/ports"
)

// openProvider makes what knows accounts, or nil when none is configured.
func openProvider(c config, db database, sys *system, probes map[string]ports.Probe, log *slog.Logger) (ports.Accounts, error) {
	if c.SupabaseURL == "" {
		return openLocalAccounts(c, db, log)
	}
	return openSupabase(c, sys, probes)
}

// openSupabase also serves a gateway that has others sign in, and tells how the identity provider is.
func openSupabase(c config, sys *system, probes map[string]ports.Probe) (*supabase.Accounts, error) {
	accounts, err := supabase.New(supabase.Config{URL: c.SupabaseURL, Path: c.SupabaseAuthPath, AnonKey: c.SupabaseAnonKey, Observe: sys.watchService("supabase", hostOf(c.SupabaseURL))})
	if err != nil {
		return nil, fmt.Errorf("SUPABASE_URL, SUPABASE_AUTH_PATH: %w", err)
	}
	sys.onClose(accounts.Close)
	probes[app.PartIdentity] = accounts
	return accounts, nil
}
