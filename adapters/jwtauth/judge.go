package jwtauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"

	"gaia/domain"
)

const (
	// notBeforeLeeway is for issuers whose clock is a little ahead. There is none for "exp": the identity provider has none either,
	// and a token that one replica takes and another refuses helps nobody.
	notBeforeLeeway = 5 * time.Second

	latestDate    = 253_402_300_799 // the end of the year 9999, in Unix seconds: what lies behind it is no date
	maxSubject    = 255             // bytes
	maxSessionID  = 255             // bytes
	maxKeyID      = 255             // bytes
	claimExpires  = "exp"
	claimBefore   = "nbf"
	claimIssued   = "iat"
	claimSession  = "session_id" // of Supabase: the same in all tokens of one sign-in
	headerKeyID   = "kid"
	headerAlg     = "alg"
	sessionOfUser = "\x00" // between a user and the session; neither holds it
)

// refusedHeaders change how a token has to be read or bring the key along. No token of an honest issuer for Gaia has them.
var refusedHeaders = []string{
	"crit", // RFC 7515, 4.1.11: extensions that a reader must know, and this one knows none
	"jku", "jwk", "x5u", "x5c",
}

// judge looks at everything that can be wrong with a token in the order of what it costs: the algorithm, which chooses the way to
// verify, the other headers, the claims, and then the signature. So a token that is bad anyway never asks for keys.
func (v *Verifier) judge(ctx context.Context, token string, now time.Time) (*verdict, error) {
	claims := jwt.MapClaims{} // a struct would take "SUB" for "sub"
	parsed, _, err := v.parser.ParseUnverified(token, claims)
	if err != nil {
		return nil, refused(err)
	}
	alg, _ := parsed.Header[headerAlg].(string)
	method := v.methods[alg]
	if method == nil {
		return nil, refused(errors.New("the algorithm is not allowed"))
	}
	for _, name := range refusedHeaders {
		if _, there := parsed.Header[name]; there {
			return nil, refused(fmt.Errorf("the token has the header %q", name))
		}
	}
	verdict, err := v.judgeClaims(claims, now)
	if err != nil {
		return nil, refused(err)
	}
	signed := token[:strings.LastIndexByte(token, '.')]
	if verdict.session == "" {
		sum := sha256.Sum256([]byte(signed)) // not of the signature too: an ES256 signature has a second spelling
		verdict.session = hex.EncodeToString(sum[:])
	}
	secretOrKey := any(v.secret)
	if method != jwt.SigningMethodHS256 {
		if verdict.key, err = v.publicKey(ctx, parsed.Header[headerKeyID], method); err != nil {
			return nil, err
		}
		secretOrKey = verdict.key.public
	}
	if err := method.Verify(signed, parsed.Signature, secretOrKey); err != nil {
		return nil, refused(err)
	}
	return verdict, nil
}

// publicKey finds the key that a token names. The name is compared with those of the JWKS and used for nothing else.
func (v *Verifier) publicKey(ctx context.Context, kid any, method jwt.SigningMethod) (*publicKey, error) {
	id, ok := kid.(string)
	if !ok || id == "" || len(id) > maxKeyID {
		return nil, refused(errors.New("the token names no key"))
	}
	key, err := v.keys.find(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case key == nil:
		return nil, refused(errors.New("nobody publishes the key that the token names"))
	case key.method != method:
		return nil, refused(errors.New("the key that the token names is for another algorithm"))
	}
	return key, nil
}

// judgeClaims checks what a token says about itself.
func (v *Verifier) judgeClaims(claims jwt.MapClaims, now time.Time) (*verdict, error) {
	exp, there, err := date(claims, claimExpires)
	switch {
	case err != nil:
		return nil, err
	case !there:
		return nil, errors.New("the token never expires")
	case !now.Before(exp):
		return nil, errors.New("the token has expired")
	}
	if nbf, there, err := date(claims, claimBefore); err != nil {
		return nil, err
	} else if there && now.Add(notBeforeLeeway).Before(nbf) {
		return nil, errors.New("the token is not valid yet")
	}
	audiences, err := claims.GetAudience()
	if err != nil || !slices.Contains(audiences, v.audience) {
		return nil, errors.New("the token is for another audience")
	}
	if issuer, err := claims.GetIssuer(); v.issuer != "" && (err != nil || issuer != v.issuer) {
		return nil, errors.New("the token is of another issuer")
	}
	subject, err := claims.GetSubject()
	if err != nil {
		return nil, err
	}
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	d := &verdict{
		who: domain.Principal{Type: domain.AuthJWT, UserID: subject}, trusted: exp, life: exp.Sub(now),
	}
	if limit := now.Add(v.ttl); limit.Before(exp) {
		d.trusted = limit
	}
	if iat, there, err := date(claims, claimIssued); err == nil && there && iat.Before(now) {
		d.life = exp.Sub(iat) // another token of the session may have been issued just now
	}
	if id, ok := claims[claimSession].(string); ok && id != "" && len(id) <= maxSessionID {
		d.session = subject + sessionOfUser + id
	}
	return d, nil
}

// checkSubject sees to it that a subject can stand where owners' ids stand, and stands for a user.
func checkSubject(subject string) error {
	switch {
	case subject == "":
		return errors.New("the token has no subject")
	case domain.IsReservedOwner(subject):
		return errors.New("the token's subject is a reserved owner id")
	case len(subject) > maxSubject:
		return fmt.Errorf("the token's subject has %d bytes", len(subject))
	case strings.TrimSpace(subject) != subject || strings.ContainsFunc(subject, unicode.IsControl):
		return errors.New("the token's subject has spaces around it or control characters")
	}
	return nil
}

// date reads a claim that is a date, with the fraction of its second cut off.
func date(claims jwt.MapClaims, name string) (t time.Time, there bool, err error) {
	value, there := claims[name]
	if !there {
		return time.Time{}, false, nil
	}
	seconds, ok := value.(float64)
	if !ok || seconds < 0 || seconds > latestDate {
		return time.Time{}, false, fmt.Errorf("%q is no date", name)
	}
	return time.Unix(int64(seconds), 0), true, nil
}
