package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gaia/tests/gaiatest"
)

const issuerName = "https://project.example/auth/v1"

// issuer is an identity provider that signs in every way at once, and so can forge what nobody else could.
type issuer struct {
	t   *testing.T
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey

	jwks *httptest.Server
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := issuer{t: t, ec: ec, rsa: rsaKey}
	keys, err := json.Marshal(map[string]any{"keys": i.published()})
	if err != nil {
		t.Fatal(err)
	}
	i.jwks = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = w.Write(keys)
	}))
	t.Cleanup(i.jwks.Close)
	return i
}

// settings make a server take the issuer's tokens.
func (i issuer) settings() gaiatest.Settings {
	return gaiatest.Settings{"SUPABASE_JWKS_URL": i.jwks.URL + "/.well-known/jwks.json", "SUPABASE_JWT_ISSUER": issuerName}
}

func (i issuer) published() []map[string]any {
	i.t.Helper()
	point, err := i.ec.PublicKey.Bytes()
	if err != nil {
		i.t.Fatal(err)
	}
	return []map[string]any{
		{"kid": "es", "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])},
		{"kid": "rs", "kty": "RSA", "alg": "RS256", "use": "sig", "n": b64(i.rsa.N.Bytes()), "e": b64(big.NewInt(int64(i.rsa.E)).Bytes())},
	}
}

// pem is the public half of a key in the form in which it is usually handed round.
func (i issuer) pem(key crypto.Signer) []byte {
	i.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		i.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// object is a JSON object, of which more than one can be put together; a nil takes a member away.
type object map[string]any

func (o object) with(more ...object) object {
	o = maps.Clone(o)
	for _, m := range more {
		maps.Copy(o, m)
	}
	maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
	return o
}

// claims are those of a token that must be taken, changed.
func claims(changes ...object) object {
	now := time.Now().Unix()
	return object{
		"iss": issuerName, "sub": "8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d", "aud": "authenticated", "role": "authenticated", "iat": now, "exp": now + 3600,
		"session_id": "0f1c1a0e-3f51-4a6e-8c1b-6c1d3a1f0a77",
	}.with(changes...)
}

// hs256 signs with the secret, whatever the header says.
func (i issuer) hs256(header object, payload any) string {
	return i.hmac([]byte(gaiatest.JWTSecret), object{"alg": "HS256", "typ": "JWT"}.with(header), payload)
}

func (i issuer) hmac(secret []byte, header object, payload any) string {
	text := i.unsigned(header, payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

func (i issuer) es256(header object, payload any) string {
	i.t.Helper()
	text := i.unsigned(object{"alg": "ES256", "typ": "JWT", "kid": "es"}.with(header), payload)
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.ec, hash[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return text + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func (i issuer) rs256(header object, payload any) string {
	i.t.Helper()
	text := i.unsigned(object{"alg": "RS256", "typ": "JWT", "kid": "rs"}.with(header), payload)
	hash := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.rsa, crypto.SHA256, hash[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return text + "." + b64(signature)
}

// unsigned is what a signature is made of. A payload that is text stands as it is.
func (i issuer) unsigned(header object, payload any) string {
	i.t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		i.t.Fatal(err)
	}
	p, isText := payload.(string)
	if !isText {
		data, err := json.Marshal(payload)
		if err != nil {
			i.t.Fatal(err)
		}
		p = string(data)
	}
	return b64(h) + "." + b64([]byte(p))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
