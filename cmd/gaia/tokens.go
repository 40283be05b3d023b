package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gaia/adapters/jwtauth"
)

// jwksPath is where Supabase Auth publishes its keys.
const jwksPath = "/.well-known/jwks.json"

// minSecretBytes is what RFC 7518, 3.2 asks of a secret for HS256: a shorter one can be found out from any token.
const minSecretBytes = 32

// jwksURL is where the keys are that verify ES256 and RS256; empty when no identity provider is configured.
func (c *config) jwksURL() string {
	if c.JWKSURL != "" || c.SupabaseURL == "" {
		return c.JWKSURL
	}
	return strings.TrimRight(c.SupabaseURL, "/") + strings.TrimRight(c.SupabaseAuthPath, "/") + jwksPath
}

// openVerifier makes what verifies the identity provider's access tokens, or nil when there is nothing to verify them with.
func openVerifier(c config, sys *system, log *slog.Logger) (*jwtauth.Verifier, error) {
	keys := c.jwksURL()
	if c.JWTSecret == "" && keys == "" {
		return nil, nil
	}
	if c.JWTSecret != "" && len(c.JWTSecret) < minSecretBytes {
		log.Warn("SUPABASE_JWT_SECRET is so short that it can be guessed", "bytes", len(c.JWTSecret), "recommended", minSecretBytes)
	}
	verifier, err := jwtauth.New(jwtauth.Config{
		Secret: c.JWTSecret, KeysURL: keys, Issuer: c.JWTIssuer, CacheTTL: c.AuthTTL.duration(), Now: time.Now, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("SUPABASE_JWT_SECRET, SUPABASE_JWKS_URL: %w", err)
	}
	sys.onClose(verifier.Close)
	sys.forget = verifier.Forget
	return verifier, nil
}
