package gotrue

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// keys sign and verify access tokens.
type keys struct {
	method jwt.SigningMethod
	id     string
	sign   any
	verify any
	public []any // what the server publishes; nil for a shared secret
}

func newKeys(s Settings) keys {
	switch s.Alg {
	case "", "HS256":
		return keys{method: jwt.SigningMethodHS256, sign: []byte(s.Secret), verify: []byte(s.Secret)}
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		point, err := key.PublicKey.Bytes() // 4, x, y
		must(err)
		return keys{method: jwt.SigningMethodES256, id: "es256-key-1", sign: key, verify: &key.PublicKey, public: []any{map[string]any{
			"alg": "ES256", "crv": "P-256", "ext": true, "key_ops": []string{"verify"}, "kid": "es256-key-1", "kty": "EC", "use": "sig",
			"x": number(point[1:33]), "y": number(point[33:]),
		}}}
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		must(err)
		return keys{method: jwt.SigningMethodRS256, id: "rs256-key-1", sign: key, verify: &key.PublicKey, public: []any{map[string]any{
			"alg": "RS256", "e": number(big.NewInt(int64(key.E)).Bytes()), "ext": true, "key_ops": []string{"verify"}, "kid": "rs256-key-1",
			"kty": "RSA", "n": number(key.N.Bytes()), "use": "sig",
		}}}
	default:
		panic("gotrue: no algorithm " + s.Alg)
	}
}

func number(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("gotrue: %v", err))
	}
}

func (k keys) token(claims jwt.MapClaims) string {
	t := jwt.NewWithClaims(k.method, claims)
	if k.id != "" {
		t.Header["kid"] = k.id
	}
	text, err := t.SignedString(k.sign)
	must(err)
	return text
}

func (k keys) claims(token string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return k.verify, nil },
		jwt.WithValidMethods([]string{k.method.Alg()}))
	return claims, err
}

func newID() string { return uuid.NewString() }
