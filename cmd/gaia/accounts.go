package main

import (
	"fmt"

	"gaia/adapters/supabase"
	"gaia/ports"
)

// openProvider makes what knows accounts, or nil when none is configured.
func openProvider(c config, sys *system) (ports.Accounts, error) {
	if c.SupabaseURL == "" {
		return nil, nil
	}
	accounts, err := supabase.New(supabase.Config{URL: c.SupabaseURL, Path: c.SupabaseAuthPath, AnonKey: c.SupabaseAnonKey})
	if err != nil {
		return nil, fmt.Errorf("SUPABASE_URL, SUPABASE_AUTH_PATH: %w", err)
	}
	sys.onClose(accounts.Close)
	return accounts, nil
}
