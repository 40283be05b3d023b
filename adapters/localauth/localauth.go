// Package localauth is an identity provider inside Gaia, for the embedded default: accounts, sessions and access tokens in the shapes of
// Supabase Auth.
//
// It must not keep or log a password or a token (stores have hashes), tell by words or time whether an account exists, send mail, or
// serve in production: there is no way to confirm an address or to get back into an account without a mail server.
package localauth

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"runtime"
	"time"

	"gaia/ports"
)

// The defaults of Config.
const (
	defaultAccessTTL  = time.Hour
	defaultSessionTTL = 30 * 24 * time.Hour
	defaultGrace      = 10 * time.Second
	defaultSessions   = 50
	defaultRenewals   = 5000
	defaultHashWait   = 2 * time.Second
)

// Config says how accounts are kept. Zero values of what is optional mean the defaults.
type Config struct {
	Accounts ports.AccountStore
	Sessions ports.SessionStore
	Secret   string // signs access tokens with HS256, and makes refresh tokens; all processes of one database need the same
	Issuer   string // of access tokens
	NewID    func() string

	AccessTTL   time.Duration // of an access token: 1 h
	SessionTTL  time.Duration // of a session that is not renewed: 30 days
	Grace       time.Duration // how long a used refresh token may be sent again in any case: 10 s; below 0: not at all
	MaxSessions int           // sessions of an account; the one that would end first makes room: 50
	MaxRenewals int           // of a session within SessionTTL: 5000

	Passwords Argon2        // what passwords are hashed with from now on
	Hashing   int           // how many passwords are hashed at the same time: one for each processor
	HashWait  time.Duration // longest wait for a turn: 2 s

	Now ports.Clock // the system's clock when nil
}

// Accounts keeps local accounts. It is safe for concurrent use.
type Accounts struct {
	config     Config
	refreshKey []byte // makes a refresh token from the one before
	passwords  *passwords
	tokens     *tokens
}

var _ ports.Accounts = (*Accounts)(nil)

// New makes the provider. It fails without a secret: anybody could sign with an empty one.
func New(cfg Config) (*Accounts, error) {
	if cfg.Secret == "" {
		return nil, errors.New("localauth: the secret is empty")
	}
	cfg = cfg.withDefaults()
	if err := cfg.Passwords.validate(); err != nil {
		return nil, err
	}
	return &Accounts{
		config: cfg, refreshKey: derive(cfg.Secret, "gaia refresh tokens"), passwords: newPasswords(cfg.Passwords, cfg.Hashing, cfg.HashWait),
		tokens: newTokens(cfg),
	}, nil
}

func (c Config) withDefaults() Config {
	c.AccessTTL = cmp.Or(c.AccessTTL, defaultAccessTTL)
	c.SessionTTL = cmp.Or(c.SessionTTL, defaultSessionTTL)
	c.Grace = cmp.Or(c.Grace, defaultGrace)
	c.MaxSessions = cmp.Or(c.MaxSessions, defaultSessions)
	c.MaxRenewals = cmp.Or(c.MaxRenewals, defaultRenewals)
	c.Passwords = cmp.Or(c.Passwords, recommended)
	c.Hashing = cmp.Or(c.Hashing, runtime.GOMAXPROCS(0))
	c.HashWait = cmp.Or(c.HashWait, defaultHashWait)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// derive makes a key for one purpose, so that nothing that is signed for another purpose can stand for it.
func derive(secret, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}
