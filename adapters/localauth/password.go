package localauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"gaia/domain"
)

// The rules of Supabase Auth, so that every account could move there: 6 characters at least, and no more than bcrypt takes.
const (
	minPasswordChars = 6
	maxPasswordBytes = 72
)

// Argon2 is what a hash of a password costs.
type Argon2 struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint8
}

// recommended is the first choice of the OWASP Password Storage Cheat Sheet for argon2id.
var recommended = Argon2{Memory: 19 << 10, Passes: 2, Lanes: 1}

const (
	saltBytes = 16
	keyBytes  = 32

	// What a stored hash may demand: it comes from the database, and nothing there may take all memory.
	maxMemory = 1 << 20 // KiB
	maxPasses = 64
	maxLanes  = 16
	minSalt   = 8
	minKey    = 16
	maxField  = 64 // bytes of salt or key
)

func (p Argon2) validate() error {
	if p.Memory == 0 || p.Memory > maxMemory || p.Passes == 0 || p.Passes > maxPasses || p.Lanes == 0 || p.Lanes > maxLanes {
		return errors.New("localauth: parameters of argon2id out of range")
	}
	return nil
}

func checkPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < minPasswordChars:
		return refusal(domain.CodeWeakPassword, msgWeakPassword)
	case len(password) > maxPasswordBytes:
		return refusal(domain.CodeNotRegistered, msgLongPassword)
	}
	return nil
}

// phc is a hash with everything that it takes to check a password: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<key>.
type phc struct {
	Argon2
	salt, key []byte
}

var errNoPHC = errors.New("localauth: a stored password hash is malformed") // and not shown

func (h phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Passes, h.Lanes, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

func parsePHC(s string) (h phc, err error) {
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errNoPHC
	}
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &h.Memory, &h.Passes, &h.Lanes); err != nil {
		return phc{}, errNoPHC
	}
	b64 := base64.RawStdEncoding.Strict()
	var saltErr, keyErr error
	h.salt, saltErr = b64.DecodeString(fields[4])
	h.key, keyErr = b64.DecodeString(fields[5])
	if errors.Join(saltErr, keyErr, h.validate()) != nil || h.String() != s ||
		len(h.salt) < minSalt || len(h.salt) > maxField || len(h.key) < minKey || len(h.key) > maxField {
		return phc{}, errNoPHC
	}
	return h, nil
}

func (h phc) derive(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.Passes, h.Memory, h.Lanes, uint32(len(h.key))) // #nosec G115 -- not above maxField
}

// passwords hashes and checks passwords, few at the same time: each hash takes a processor and much memory.
type passwords struct {
	params Argon2
	turns  chan struct{}
	wait   time.Duration
	decoy  phc
}

func newPasswords(params Argon2, atOnce int, wait time.Duration) *passwords {
	return &passwords{
		params: params, turns: make(chan struct{}, max(atOnce, 1)), wait: wait,
		decoy: phc{params, random(saltBytes), random(keyBytes)},
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// hash makes a PHC string.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	h := phc{p.params, random(saltBytes), make([]byte, keyBytes)}
	if err := p.inTurn(ctx, func() { h.key = h.derive(password) }); err != nil {
		return "", err
	}
	return h.String(), nil
}

// check compares a password with a PHC string; an empty one is nobody's, and takes as long. stale says that the hash was made with
// other parameters than today's: until it is made anew, its owner's tries take another time than a stranger's.
func (p *passwords) check(ctx context.Context, stored, password string) (right, stale bool, err error) {
	h := p.decoy
	if stored != "" {
		if h, err = parsePHC(stored); err != nil {
			return false, false, err
		}
	}
	known := stored != ""
	if len(password) > maxPasswordBytes { // nobody's, and not to be read in full
		known, password = false, password[:maxPasswordBytes]
	}
	var key []byte
	if err := p.inTurn(ctx, func() { key = h.derive(password) }); err != nil {
		return false, false, err
	}
	right = subtle.ConstantTimeCompare(key, h.key) == 1 && known
	return right, h.Argon2 != p.params || len(h.salt) != saltBytes || len(h.key) != keyBytes, nil
}

// inTurn runs work when there is room for it, or gives up.
func (p *passwords) inTurn(ctx context.Context, work func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOverloaded, Message: msgBusy, RetryAfter: busyRetry}
	}
	defer func() { <-p.turns }()
	work()
	return nil
}
