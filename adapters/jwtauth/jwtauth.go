// Package jwtauth verifies access tokens of the identity provider: HS256 with a secret that Gaia shares with it, and ES256 and RS256
// with the public keys that it publishes as a JWKS, side by side.
//
// It must not let a token choose how it is judged (the algorithm has to be allowed before any key is looked for, and headers that bring
// or name a key are refused), fetch anything but the one JWKS, call a token bad that it can't judge, or say to clients what exactly was
// wrong with one.
package jwtauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/maypok86/otter/v2"

	"gaia/domain"
	"gaia/ports"
)

const (
	defaultAudience = "authenticated"
	defaultEntries  = 10_000
	maxTokenBytes   = 8 << 10 // far above any real token; bounds the work that a stranger can ask for

	msgInvalidToken = "The access token is not valid" //nolint:gosec // a text, not a credential
)

// Config says which tokens are good. At least one of Secret and KeysURL is needed.
type Config struct {
	Secret   string // verifies HS256; empty: no such token is good
	KeysURL  string // of the JWKS that verifies ES256 and RS256; empty: no such token is good
	Audience string // "authenticated" when empty
	Issuer   string // what "iss" must be; empty: anything

	CacheTTL     time.Duration // how long a verified token is trusted without another look, at most until it expires; 0: not at all
	CacheEntries int           // how many verified tokens are kept; 10,000 when zero
	Timing       Timing

	Now    ports.Clock // the system's clock when nil
	Logger *slog.Logger
}

// Verifier judges tokens. Close it after the last call.
type Verifier struct {
	parser   *jwt.Parser
	methods  map[string]jwt.SigningMethod // the algorithms that are allowed, by their exact names
	secret   []byte
	keys     *keyring // nil without a JWKS
	audience string
	issuer   string
	ttl      time.Duration
	now      ports.Clock

	verified *otter.Cache[[sha256.Size]byte, *verdict] // by the whole token; no bad ones
	ended    *otter.Cache[string, time.Time]           // sessions that were ended here, and until when that has to be remembered
}

var _ ports.TokenVerifier = (*Verifier)(nil)

// New makes a verifier. It fails when there is nothing to verify with: an empty secret would accept what anybody signs. It does not
// wait for the JWKS, which is fetched in the background from now on.
func New(cfg Config) (*Verifier, error) {
	if cfg.Secret == "" && cfg.KeysURL == "" {
		return nil, errors.New("jwtauth: there is neither a secret nor a JWKS")
	}
	if cfg.Audience == "" {
		cfg.Audience = defaultAudience
	}
	if cfg.CacheEntries <= 0 {
		cfg.CacheEntries = defaultEntries
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{
		parser: jwt.NewParser(jwt.WithStrictDecoding()), methods: map[string]jwt.SigningMethod{}, secret: []byte(cfg.Secret),
		audience: cfg.Audience, issuer: cfg.Issuer, ttl: cfg.CacheTTL, now: cfg.Now,
	}
	var err, err2 error
	v.verified, err = otter.New(&otter.Options[[sha256.Size]byte, *verdict]{MaximumSize: cfg.CacheEntries})
	v.ended, err2 = otter.New(&otter.Options[string, time.Time]{MaximumSize: cfg.CacheEntries})
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("jwtauth: %w", err)
	}
	if cfg.Secret != "" {
		v.allow(jwt.SigningMethodHS256)
	}
	if cfg.KeysURL != "" {
		v.allow(jwt.SigningMethodES256)
		v.allow(jwt.SigningMethodRS256)
		v.keys, err = newKeyring(cfg)
	}
	return v, err
}

func (v *Verifier) allow(m jwt.SigningMethod) { v.methods[m.Alg()] = m }

// Close stops fetching keys. Tokens that come later are judged with the keys that are there.
func (v *Verifier) Close() {
	if v.keys != nil {
		v.keys.close()
	}
}

// Verify implements ports.TokenVerifier.
func (v *Verifier) Verify(ctx context.Context, token string) (domain.Principal, error) {
	verdict, err := v.verify(ctx, token)
	if err != nil {
		return domain.Principal{}, err
	}
	return verdict.who, nil
}

// Forget ends the session of a token in this process: its tokens are refused from now on, although they would verify until they expire.
// A token that does not verify ends nothing.
func (v *Verifier) Forget(ctx context.Context, token string) error {
	verdict, err := v.verify(ctx, token)
	if err != nil {
		return err
	}
	v.ended.Set(verdict.session, v.now().Add(verdict.life))
	return nil
}

// verdict is what is known about a good token.
type verdict struct {
	who     domain.Principal
	session string        // the session it belongs to, or a name for itself when it names none
	life    time.Duration // how long tokens of this session live at most from now on
	trusted time.Time     // until when it need not be judged again, at most until it expires
	key     *publicKey
}

// stands reports whether a verdict of the past still holds: it is not too old, and the key that verified it is still published.
func (d *verdict) stands(now time.Time) bool {
	return now.Before(d.trusted) && (d.key == nil || !d.key.withdrawn.Load())
}

func (v *Verifier) verify(ctx context.Context, token string) (*verdict, error) {
	if len(token) > maxTokenBytes {
		return nil, refused(fmt.Errorf("the token has %d bytes", len(token)))
	}
	now := v.now()
	hash := sha256.Sum256([]byte(token))
	verdict, known := v.verified.GetIfPresent(hash)
	if !known || !verdict.stands(now) {
		var err error
		if verdict, err = v.judge(ctx, token, now); err != nil {
			return nil, err
		}
		if v.ttl > 0 {
			v.verified.Set(hash, verdict)
		}
	}
	if until, ended := v.ended.GetIfPresent(verdict.session); ended && now.Before(until) {
		return nil, refused(errors.New("the session of the token was ended here"))
	}
	return verdict, nil
}

func refused(cause error) error {
	return &domain.Error{Kind: domain.Unauthenticated, Message: msgInvalidToken, Cause: fmt.Errorf("jwtauth: %w", cause)}
}
