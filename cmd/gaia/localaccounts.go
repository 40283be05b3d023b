package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gaia/adapters/localauth"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// What LOCAL_ACCOUNTS may say.
const (
	accountsAuto = "auto"
	accountsOn   = "on"
	accountsOff  = "off"
)

// secretFile holds what signs the access tokens of local accounts, in the data folder.
const secretFile = "jwt_secret"

// checkLocalAccounts reports why LOCAL_ACCOUNTS can't be what it is.
func (c *config) checkLocalAccounts() error {
	switch {
	case c.LocalAccounts != accountsAuto && c.LocalAccounts != accountsOn && c.LocalAccounts != accountsOff:
		return fmt.Errorf("LOCAL_ACCOUNTS: %q is none of auto, on, off", c.LocalAccounts)
	case c.LocalAccounts != accountsOn:
		return nil
	case c.production():
		return errors.New("LOCAL_ACCOUNTS: local accounts are not for production, where nobody could confirm an address or get a new password: " +
			"set SUPABASE_URL, or leave LOCAL_ACCOUNTS and do without accounts")
	case c.SupabaseURL != "":
		return errors.New("LOCAL_ACCOUNTS: on contradicts SUPABASE_URL: accounts are kept either here or there")
	case c.lacksSharedSecret() && (c.hosts(domain.ServiceGateway) || c.hosts(domain.ServiceAuth)): // others verify no tokens
		return errors.New("LOCAL_ACCOUNTS: on a shared database they need SUPABASE_JWT_SECRET, the same in every process")
	}
	return nil
}

// keepsAccounts reports whether this process is the identity provider.
func (c *config) keepsAccounts() bool { return c.wantsAccounts() && !c.lacksSharedSecret() }

// wantsAccounts: where tokens of somebody else are accepted, nobody gets in here by an account of their own making, unless that is asked
// for.
func (c *config) wantsAccounts() bool {
	elsewhere := c.production() || c.SupabaseURL != "" || c.JWKSURL != "" || c.JWTSecret != ""
	return c.LocalAccounts == accountsOn || c.LocalAccounts == accountsAuto && !elsewhere
}

// lacksSharedSecret: a database that others use, too, has accounts whose tokens every process must accept. A secret that each process
// makes for itself would not do, and one in the database would let everybody sign who can read a backup.
func (c *config) lacksSharedSecret() bool { return c.DatabaseURL != "" && c.JWTSecret == "" }

// settleAccounts decides whether accounts are kept here, and then which secret signs access tokens: one that is made now must not look like
// one of somebody else.
func (c *config) settleAccounts(dataDir string) (err error) {
	if c.keepsAccounts() {
		c.LocalAccounts = accountsOn
	}
	c.JWTSecret, err = signingSecret(*c, dataDir)
	return err
}

// signingSecret is what signs and verifies access tokens with HS256: the one that is set, or with local accounts one that is made on the
// first start and kept in the data folder.
func signingSecret(c config, dataDir string) (string, error) {
	if c.JWTSecret != "" || !c.keepsAccounts() {
		return c.JWTSecret, nil
	}
	path := filepath.Join(dataDir, secretFile)
	secret, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	made := make([]byte, minSecretBytes)
	_, _ = rand.Read(made) // never fails
	if err := keepSecret(path, base64.RawURLEncoding.EncodeToString(made)); err != nil {
		return "", fmt.Errorf("keep the secret of access tokens: %w", err)
	}
	return readSecret(path) // another process may have been faster
}

func readSecret(path string) (string, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- below the data folder, which the operator has named
	if err != nil {
		return "", fmt.Errorf("read the secret of access tokens: %w", err)
	}
	secret := strings.TrimSpace(string(data))
	if len(secret) < minSecretBytes {
		return "", fmt.Errorf("%s has less than %d bytes: delete it, and a new secret is made", path, minSecretBytes)
	}
	return secret, nil
}

// keepSecret writes a file that is whole or not there, only for its owner, and never in the place of another.
func keepSecret(path, secret string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(secret + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// openLocalAccounts makes the identity provider inside this process, or nil when there is to be none. The secret is the one in force.
func openLocalAccounts(c config, db database, log *slog.Logger) (ports.Accounts, error) {
	if !c.keepsAccounts() {
		if c.wantsAccounts() {
			log.Warn("nobody can open an account: local accounts on a shared database need LOCAL_ACCOUNTS=on and SUPABASE_JWT_SECRET, the same in every process")
		}
		return nil, nil
	}
	return newLocalAccounts(c, db)
}

func newLocalAccounts(c config, db database) (*localauth.Accounts, error) {
	issuer := c.JWTIssuer
	if issuer == "" {
		issuer = strings.TrimRight(c.GatewayURL, "/") + "/auth/v1"
	}
	return localauth.New(localauth.Config{
		Accounts: db.accounts, Sessions: db.sessions, Secret: c.JWTSecret, Issuer: issuer, NewID: newID, Now: time.Now,
	})
}

// keptSessions are those of local accounts. Whoever comes with one that has ended hears the same whether it is still stored or not.
func keptSessions(db database) app.Kept {
	return app.Kept{For: time.Hour, Expire: db.sessions.Expire}
}
