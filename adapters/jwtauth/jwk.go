package jwtauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"
)

// What a key must be to be used.
const (
	minRSABits     = 2048
	maxRSABits     = 8192  // what a signature costs to verify grows with the square
	minRSAExponent = 65537 // the one that everybody uses; small ones have made forgeries possible
	maxRSAExponent = 1<<31 - 1
	maxKeys        = 100 // in one JWKS
)

// publicKey verifies tokens of one algorithm.
type publicKey struct {
	id        string
	method    jwt.SigningMethod
	public    crypto.PublicKey // *ecdsa.PublicKey or *rsa.PublicKey
	withdrawn atomic.Bool      // it is not published any more: what it verified has to be judged anew
}

// same reports whether two keys have the same name and verify the same tokens.
func (k *publicKey) same(other *publicKey) bool {
	comparable, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && other != nil && k.id == other.id && k.method == other.method && comparable.Equal(other.public)
}

// jwk is a key as RFC 7517 writes it. A private part is only looked for.
type jwk struct {
	Type       string   `json:"kty"`
	ID         string   `json:"kid"`
	Algorithm  string   `json:"alg"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`

	Curve    string          `json:"crv"`
	X        string          `json:"x"`
	Y        string          `json:"y"`
	Modulus  string          `json:"n"`
	Exponent string          `json:"e"`
	Private  json.RawMessage `json:"d"`
}

// parseKeys reads a JWKS. Keys that can't be used, such as ones of other algorithms, are left out and told of; only what is no JWKS at
// all is an error.
func parseKeys(data []byte) (keys map[string]*publicKey, leftOut []error, err error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, nil, fmt.Errorf("no JWKS: %w", err)
	}
	if set.Keys == nil {
		return nil, nil, errors.New(`no JWKS: it has no "keys"`)
	}
	if len(*set.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("no JWKS that Gaia reads: it has %d keys", len(*set.Keys))
	}
	keys = make(map[string]*publicKey, len(*set.Keys))
	twice := map[string]bool{}
	for i, raw := range *set.Keys {
		key, err := parseKey(raw)
		if err == nil && keys[key.id] != nil {
			twice[key.id] = true
			err = errors.New("another key has its kid")
		}
		if err != nil {
			leftOut = append(leftOut, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		keys[key.id] = key
	}
	for id := range twice { // the order means nothing, so none of them is the right one
		delete(keys, id)
	}
	return keys, leftOut, nil
}

func parseKey(raw []byte) (*publicKey, error) {
	var k jwk
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, fmt.Errorf("not a JWK: %w", err)
	}
	switch {
	case k.ID == "" || len(k.ID) > maxKeyID:
		return nil, errors.New("it has no kid, or a very long one")
	case len(k.Private) > 0:
		return nil, errors.New("its private part is published, so anybody could sign")
	case k.Use != "" && k.Use != "sig":
		return nil, errors.New("it is not for signatures")
	case k.Operations != nil && !slices.Contains(k.Operations, "verify"):
		return nil, errors.New("it is not for verifying")
	}
	key := &publicKey{id: k.ID}
	var err error
	switch k.Type { // "oct" is a secret, and whoever can read a published secret can sign
	case "EC":
		key.method = jwt.SigningMethodES256
		key.public, err = k.ecdsa()
	case "RSA":
		key.method = jwt.SigningMethodRS256
		key.public, err = k.rsa()
	default:
		err = errors.New("keys of its type are not used")
	}
	if err != nil {
		return nil, err
	}
	if k.Algorithm != "" && k.Algorithm != key.method.Alg() {
		return nil, errors.New("its algorithm is not used")
	}
	return key, nil
}

func (k *jwk) ecdsa() (*ecdsa.PublicKey, error) {
	if k.Curve != "P-256" {
		return nil, errors.New("its curve is not P-256")
	}
	const size = 32
	x, errX := decodeStrict(k.X)
	y, errY := decodeStrict(k.Y)
	if errX != nil || errY != nil || len(x) != size || len(y) != size {
		return nil, errors.New("its coordinates are not of its curve")
	}
	point := append(append([]byte{4}, x...), y...)                  // SEC 1, 2.3.3
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point) // refuses points that are not on the curve
}

func (k *jwk) rsa() (*rsa.PublicKey, error) {
	n, errN := decodeStrict(k.Modulus)
	e, errE := decodeStrict(k.Exponent)
	if errN != nil || errE != nil || len(n) > maxRSABits/8+1 || len(e) > 8 {
		return nil, errors.New("its modulus and exponent can't be read")
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if bits := modulus.BitLen(); bits < minRSABits || bits > maxRSABits || modulus.Bit(0) == 0 {
		return nil, fmt.Errorf("its modulus has %d bits, or is even", bits)
	}
	if !exponent.IsInt64() || exponent.Int64() < minRSAExponent || exponent.Int64() > maxRSAExponent || exponent.Bit(0) == 0 {
		return nil, errors.New("its exponent is not one that is used")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func decodeStrict(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }
