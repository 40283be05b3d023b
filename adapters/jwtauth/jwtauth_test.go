package jwtauth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gaia/adapters/jwtauth"
	"gaia/domain"
)

const (
	secret  = "a secret of at least thirty-two bytes"
	subject = "8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newVerifier(t testing.TB) *jwtauth.Verifier {
	t.Helper()
	v, err := jwtauth.New(jwtauth.Config{Secret: secret, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// goodClaims returns the claims of a token that must be accepted, changed by the given ones; nil takes a claim away.
func goodClaims(changes jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{"sub": subject, "aud": "authenticated", "exp": now.Add(time.Hour).Unix()}
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	return claims
}

func sign(t testing.TB, method jwt.SigningMethod, key any, header map[string]any, claims jwt.Claims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	for name, value := range header {
		token.Header[name] = value
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func hs256(t testing.TB, changes jwt.MapClaims) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(secret), nil, goodClaims(changes))
}

func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	tokens := map[string]string{
		"plain":                    hs256(t, nil),
		"one of several audiences": hs256(t, jwt.MapClaims{"aud": []string{"other", "authenticated"}}),
		"nbf reached":              hs256(t, jwt.MapClaims{"nbf": now.Unix()}),
		"nbf nearly reached":       hs256(t, jwt.MapClaims{"nbf": now.Add(5 * time.Second).Unix()}), // clocks differ
		"exp with a fraction":      hs256(t, jwt.MapClaims{"exp": float64(now.Add(time.Hour).Unix()) + 0.5}),
		"exp in the year 5138":     hs256(t, jwt.MapClaims{"exp": int64(99999999999)}),
		"longest subject":          hs256(t, jwt.MapClaims{"sub": strings.Repeat("x", 255)}),
		"one second left":          hs256(t, jwt.MapClaims{"exp": now.Add(time.Second).Unix()}),
		"claims of a provider":     hs256(t, jwt.MapClaims{"role": "authenticated", "email": "a@b.c", "app_metadata": map[string]any{"x": 1}}),
		"issued in the future":     hs256(t, jwt.MapClaims{"iat": now.Add(time.Minute).Unix()}), // clocks differ
		"with key id":              sign(t, jwt.SigningMethodHS256, []byte(secret), map[string]any{"kid": "k1"}, goodClaims(nil)),
	}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who, err := newVerifier(t).Verify(t.Context(), token)
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if who.Type != domain.AuthJWT || who.UserID != subject && len(who.UserID) != 255 || who.KeyID != "" || who.Scopes != nil {
				t.Errorf("got %+v", who)
			}
		})
	}
}

func TestVerifyRefusesClaims(t *testing.T) {
	t.Parallel()
	changes := map[string]jwt.MapClaims{
		"expired":                 {"exp": now.Add(-time.Second).Unix()},
		"expires this second":     {"exp": now.Unix()},
		"no exp":                  {"exp": nil},
		"exp under another case":  {"exp": nil, "EXP": now.Add(time.Hour).Unix()},
		"exp is text":             {"exp": "tomorrow"},
		"exp is null":             {"exp": json.RawMessage("null")},
		"exp is zero":             {"exp": 0},
		"no sub":                  {"sub": nil},
		"sub under another case":  {"sub": nil, "Sub": subject},
		"empty sub":               {"sub": ""},
		"sub is a number":         {"sub": 42},
		"sub is a list":           {"sub": []string{subject}},
		"sub is null":             {"sub": json.RawMessage("null")},
		"sub of the global key":   {"sub": domain.ServicePrincipal().OwnerID()},
		"sub of Gaia":             {"sub": "system"},
		"sub of a key":            {"sub": domain.Principal{KeyID: "1"}.OwnerID()},
		"no audience":             {"aud": nil},
		"wrong audience":          {"aud": "anon"},
		"wrong audiences":         {"aud": []string{"anon", "service_role"}},
		"audience is a number":    {"aud": 1},
		"audience in other case":  {"aud": "Authenticated"},
		"nbf in the future":       {"nbf": now.Add(6 * time.Second).Unix()},
		"nbf far in the future":   {"nbf": 1e300},
		"nbf is text":             {"nbf": "now"},
		"nbf is null":             {"nbf": json.RawMessage("null")},
		"exp is negative":         {"exp": -1},
		"exp is a list":           {"exp": []int64{now.Add(time.Hour).Unix()}},
		"exp is true":             {"exp": true},
		"exp is no date any more": {"exp": json.RawMessage("253402300800")},
		"exp is a huge number":    {"exp": 1e300},
		"sub with NUL":            {"sub": "a\x00b"},
		"sub with a line break":   {"sub": "a\nb"},
		"sub with a space before": {"sub": " service"},
		"sub with a wide space":   {"sub": subject + "\u2003"},
		"sub longer than any id":  {"sub": strings.Repeat("x", 256)},
		"audience is a mixture":   {"aud": []any{"authenticated", 1}},
		"audience is an object":   {"aud": map[string]any{"authenticated": true}},
		"longer than any token":   {"pad": strings.Repeat("x", 8<<10)},
		"prefix of good audience": {"aud": "auth"},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, hs256(t, change))
		})
	}
}

func TestVerifyRefusesForms(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := hs256(t, nil)
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	key := []byte(secret)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1]) // of its six bits, the last two mean nothing
	tokens := map[string]string{
		"alg none":                      sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, goodClaims(nil)),
		"alg None, signature kept":      encode([]byte(`{"alg":"None","typ":"JWT"}`)) + "." + parts[1] + "." + parts[2],
		"HS384":                         sign(t, jwt.SigningMethodHS384, key, nil, goodClaims(nil)),
		"HS512":                         sign(t, jwt.SigningMethodHS512, key, nil, goodClaims(nil)),
		"RS256":                         sign(t, jwt.SigningMethodRS256, rsaKey, nil, goodClaims(nil)),
		"RS256 in the header of HS256":  sign(t, jwt.SigningMethodHS256, key, map[string]any{"alg": "RS256"}, goodClaims(nil)),
		"hs256 in lower case":           sign(t, jwt.SigningMethodHS256, key, map[string]any{"alg": "hs256"}, goodClaims(nil)),
		"alg is a number":               sign(t, jwt.SigningMethodHS256, key, map[string]any{"alg": 1}, goodClaims(nil)),
		"ES256":                         encode([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + parts[1] + "." + encode(make([]byte, 64)),
		"critical extension":            sign(t, jwt.SigningMethodHS256, key, map[string]any{"crit": []string{"exp"}}, goodClaims(nil)),
		"key of its own":                sign(t, jwt.SigningMethodHS256, key, map[string]any{"jwk": map[string]any{"kty": "oct", "k": "AAAA"}}, goodClaims(nil)),
		"address of a key":              sign(t, jwt.SigningMethodHS256, key, map[string]any{"jku": "http://127.0.0.1/keys"}, goodClaims(nil)),
		"address of a certificate":      sign(t, jwt.SigningMethodHS256, key, map[string]any{"x5u": "http://127.0.0.1/cert"}, goodClaims(nil)),
		"certificate of its own":        sign(t, jwt.SigningMethodHS256, key, map[string]any{"x5c": []string{"AAAA"}}, goodClaims(nil)),
		"another secret":                sign(t, jwt.SigningMethodHS256, []byte("another secret"), nil, goodClaims(nil)),
		"empty secret":                  sign(t, jwt.SigningMethodHS256, []byte{}, nil, goodClaims(nil)),
		"signature cut short":           good[:len(good)-2],
		"no signature":                  parts[0] + "." + parts[1] + ".",
		"claims of another token":       parts[0] + "." + strings.Split(hs256(t, jwt.MapClaims{"sub": "somebody else"}), ".")[1] + "." + parts[2],
		"two parts":                     parts[0] + "." + parts[1],
		"four parts":                    good + ".x",
		"padded":                        good + "=",
		"another spelling":              good[:len(good)-1] + alphabet[last+1:last+2],
		"empty":                         "",
		"garbage":                       "not a token at all",
		"dots":                          "..",
		"many dots":                     strings.Repeat(".", 8<<10),
		"NUL":                           "\x00.\x00.\x00",
		"huge":                          strings.Repeat("a", 1<<20),
		"claims that are no object":     signRaw(`{"alg":"HS256"}`, `["sub"]`),
		"claims that are null":          signRaw(`{"alg":"HS256"}`, `null`),
		"header that is null":           signRaw(`null`, `{}`),
		"claims that are cut":           signRaw(`{"alg":"HS256"}`, `{"sub":"a"`),
		"a word behind the last claim":  signRaw(`{"alg":"HS256"}`, `{"sub":"a","aud":"authenticated","exp":99999999999} x`),
		"encoded with the other base64": good[:len(good)-1] + "+",
	}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, token)
		})
	}
}

// signRaw makes a token of parts that no library would write, with a good signature.
func signRaw(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(claims))
	return text + "." + encode(hmacOf(text))
}

func hmacOf(text string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// wantRefused also checks that clients learn nothing about the reason and the log does.
func wantRefused(t *testing.T, token string) {
	t.Helper()
	who, err := newVerifier(t).Verify(t.Context(), token)
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Unauthenticated {
		t.Fatalf("got %+v, %v, want an Unauthenticated error", who, err)
	}
	if e.Message != "The access token is not valid" {
		t.Errorf("clients read %q", e.Message)
	}
	if e.Cause == nil || !strings.HasPrefix(e.Cause.Error(), "jwtauth: ") {
		t.Errorf("the cause is %v", e.Cause)
	}
	if strings.Contains(err.Error(), secret) || len(err.Error()) > 1000 {
		t.Errorf("the error shows too much: %.200s", err.Error())
	}
	if who.OwnerID() != (domain.Principal{}).OwnerID() || who.Type != "" {
		t.Errorf("a refused token still speaks for %+v", who)
	}
}

func TestSizeLimitIsExact(t *testing.T) {
	t.Parallel()
	longest := "" // grows in steps of three to four characters, so one length is close to the limit and still allowed
	for pad := 5800; ; pad++ {
		token := hs256(t, jwt.MapClaims{"pad": strings.Repeat("x", pad)})
		if len(token) > 8<<10 {
			wantRefused(t, token)
			break
		}
		longest = token
	}
	if _, err := newVerifier(t).Verify(t.Context(), longest); err != nil {
		t.Errorf("a token of %d bytes was refused: %v", len(longest), err)
	}
}

func TestAudienceIsConfigurable(t *testing.T) {
	t.Parallel()
	v, err := jwtauth.New(jwtauth.Config{Secret: secret, Audience: "gaia", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), hs256(t, jwt.MapClaims{"aud": "gaia"})); err != nil {
		t.Errorf("the configured audience was refused: %v", err)
	}
	if _, err := v.Verify(t.Context(), hs256(t, nil)); domain.KindOf(err) != domain.Unauthenticated {
		t.Errorf("the default audience gave %v", err)
	}
}

func TestRealClockByDefault(t *testing.T) {
	t.Parallel()
	v, err := jwtauth.New(jwtauth.Config{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), hs256(t, jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()})); err != nil {
		t.Errorf("a token that is good now was refused: %v", err)
	}
	if _, err := v.Verify(t.Context(), hs256(t, jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()})); err == nil {
		t.Error("a token that was good an hour ago was accepted")
	}
}

func TestNewNeedsSomethingToVerifyWith(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]jwtauth.Config{
		"nothing": {}, "no address": {KeysURL: "keys.json"}, "a file": {KeysURL: "file:///etc/keys.json"}, "no host": {Secret: secret, KeysURL: "https:///keys"},
	} {
		if _, err := jwtauth.New(cfg); err == nil {
			t.Errorf("%s: a verifier was made", name)
		}
	}
}

func TestIssuerCountsWhenConfigured(t *testing.T) {
	t.Parallel()
	const issuer = "https://project.example/auth/v1"
	v, err := jwtauth.New(jwtauth.Config{Secret: secret, Issuer: issuer, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), hs256(t, jwt.MapClaims{"iss": issuer})); err != nil {
		t.Errorf("the configured issuer was refused: %v", err)
	}
	for name, iss := range map[string]any{"none": nil, "another": "https://other.example/auth/v1", "a slash more": issuer + "/", "a list": []string{issuer}, "empty": ""} {
		if _, err := v.Verify(t.Context(), hs256(t, jwt.MapClaims{"iss": iss})); domain.KindOf(err) != domain.Unauthenticated {
			t.Errorf("%s gave %v", name, err)
		}
	}
	if _, err := newVerifier(t).Verify(t.Context(), hs256(t, jwt.MapClaims{"iss": "anybody"})); err != nil {
		t.Errorf("without a configured issuer: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	// The same key in every process that fuzzes, or none would know the tokens of another's corpus.
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	es := issuerKey{"es", jwt.SigningMethodES256, private}
	v := start(f, jwtauth.Config{Secret: secret, KeysURL: newKeyServer(f, es).URL, CacheTTL: time.Hour})
	good, public := hs256(f, nil), es.token(f, nil)
	wantGood(f, v, public, "the published key")
	f.Add(good)
	f.Add(public)
	f.Add(hs256(f, jwt.MapClaims{"aud": []string{"authenticated"}, "nbf": 1}))
	f.Add(sign(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, goodClaims(nil)))
	f.Add(sign(f, jwt.SigningMethodHS256, []byte(secret), map[string]any{"alg": "ES256", "kid": "es"}, goodClaims(nil)))
	f.Add(sign(f, jwt.SigningMethodES256, private, map[string]any{"alg": "HS256", "kid": "es"}, goodClaims(nil)))
	f.Add(sign(f, jwt.SigningMethodES256, private, map[string]any{"kid": "../es"}, goodClaims(nil)))
	f.Add(signRaw(`{"alg":"HS256","crit":[]}`, `{"sub":1,"exp":1e300}`))
	f.Add(good + "." + good)
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		who, err := v.Verify(t.Context(), token)
		if err != nil {
			if domain.KindOf(err) != domain.Unauthenticated {
				t.Fatalf("a bad token gave %v", err)
			}
			return
		}
		// Whatever is accepted must carry a right signature, checked here without the library.
		dot := strings.LastIndexByte(token, '.')
		signature, decodeErr := base64.RawURLEncoding.DecodeString(token[dot+1:])
		right := hmac.Equal(signature, hmacOf(token[:dot]))
		if !right && len(signature) == 64 {
			hash := sha256.Sum256([]byte(token[:dot]))
			right = ecdsa.Verify(&private.PublicKey, hash[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
		}
		if decodeErr != nil || !right || who.UserID == "" {
			t.Fatalf("accepted %q for %+v", token, who)
		}
		if again, err := v.Verify(t.Context(), token); err != nil || again.UserID != who.UserID {
			t.Fatalf("the second time: %+v, %v", again, err)
		}
	})
}

// FuzzClaims signs what it is given, so that mutations reach the checks behind the signature.
func FuzzClaims(f *testing.F) {
	v := newVerifier(f)
	f.Add(`{"sub":"a","aud":"authenticated","exp":99999999999}`)
	f.Add(`{"sub":"a","aud":["authenticated"],"exp":1e300,"nbf":-1e300}`)
	f.Add(`{"sub":{},"aud":[[]],"exp":"1"}`)
	f.Fuzz(func(t *testing.T, claims string) {
		who, err := v.Verify(t.Context(), signRaw(`{"alg":"HS256"}`, claims))
		if err != nil {
			if domain.KindOf(err) != domain.Unauthenticated {
				t.Fatalf("bad claims gave %v", err)
			}
			return
		}
		var got map[string]any
		if json.Unmarshal([]byte(claims), &got) != nil || got["sub"] != who.UserID || who.UserID == "" || domain.IsReservedOwner(who.UserID) {
			t.Fatalf("accepted %q for %+v", claims, who)
		}
		if exp, ok := got["exp"].(float64); !ok || exp <= float64(now.Unix()) {
			t.Fatalf("accepted %q, which expires at %v", claims, got["exp"])
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b)
	b.Run("good", func(b *testing.B) {
		token := hs256(b, nil)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("huge", func(b *testing.B) {
		token := strings.Repeat("a.", 1<<19)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), token); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}
