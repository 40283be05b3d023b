package jwtauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

// coordinates are of a point on P-256 and of one that is not.
const (
	goodX = "zZDWSVrbUyKn3ccHAQ6uMenD3K4XLpRA0fPALTBFDbY"
	goodY = "lztqWlglzE7VQD6BLWLsVYNgiwY07HZ8p8s6jBVqYjE"
	badY  = "lztqWlglzE7VQD6BLWLsVYNgiwY07HZ8p8s6jBVqYjA"
)

func TestParseKeysUsesOnlyGoodKeys(t *testing.T) {
	t.Parallel()
	modulus := func(bits int) string {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1)) // the shape is what is looked at, nobody factors it
		return base64.RawURLEncoding.EncodeToString(n.SetBit(n, 0, 1).Bytes())
	}
	even := base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes())
	ec := func(more string) string {
		return fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q%s}`, goodX, goodY, more)
	}
	rsaKey := func(n, e, more string) string {
		return fmt.Sprintf(`{"kty":"RSA","kid":"k","n":%q,"e":%q%s}`, n, e, more)
	}
	for name, test := range map[string]struct {
		key  string
		used bool
	}{
		"EC":                           {ec(""), true},
		"EC with all its words":        {ec(`,"alg":"ES256","use":"sig","key_ops":["verify"],"ext":true`), true},
		"EC among other operations":    {ec(`,"key_ops":["sign","verify"]`), true},
		"EC with an unknown member":    {ec(`,"x5t":"AAAA"`), true},
		"RSA":                          {rsaKey(modulus(2048), "AQAB", `,"alg":"RS256"`), true},
		"RSA of 8192 bits":             {rsaKey(modulus(8192), "AQAB", ""), true},
		"RSA without alg":              {rsaKey(modulus(3072), "AQAB", ""), true},
		"for encryption":               {ec(`,"use":"enc"`), false},
		"for signing alone":            {ec(`,"key_ops":["sign"]`), false},
		"for nothing":                  {ec(`,"key_ops":[]`), false},
		"with its private part":        {ec(`,"d":"AAAA"`), false},
		"EC for another algorithm":     {ec(`,"alg":"ES384"`), false},
		"EC that says HS256":           {ec(`,"alg":"HS256"`), false},
		"EC that says RS256":           {ec(`,"alg":"RS256"`), false},
		"no kid":                       {strings.Replace(ec(""), `"kid":"k",`, "", 1), false},
		"empty kid":                    {strings.Replace(ec(""), `"kid":"k"`, `"kid":""`, 1), false},
		"kid is a number":              {strings.Replace(ec(""), `"kid":"k"`, `"kid":1`, 1), false},
		"very long kid":                {strings.Replace(ec(""), `"k"`, `"`+strings.Repeat("k", 256)+`"`, 1), false},
		"P-384":                        {strings.Replace(ec(""), "P-256", "P-384", 1), false},
		"no curve":                     {strings.Replace(ec(""), `"crv":"P-256",`, "", 1), false},
		"not on the curve":             {strings.Replace(ec(""), goodY, badY, 1), false},
		"point at infinity":            {strings.NewReplacer(goodX, strings.Repeat("A", 43), goodY, strings.Repeat("A", 43)).Replace(ec("")), false},
		"short coordinate":             {strings.Replace(ec(""), goodX, "AQAB", 1), false},
		"no coordinate":                {strings.Replace(ec(""), `"x":"`+goodX+`",`, "", 1), false},
		"padded coordinate":            {strings.Replace(ec(""), goodX, goodX+"=", 1), false},
		"secret":                       {`{"kty":"oct","kid":"k","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","alg":"HS256"}`, false},
		"Edwards curve":                {`{"kty":"OKP","kid":"k","crv":"Ed25519","x":"` + goodX + `","alg":"EdDSA"}`, false},
		"no type":                      {`{"kid":"k","alg":"ES256"}`, false},
		"RSA of 1024 bits":             {rsaKey(modulus(1024), "AQAB", ""), false},
		"RSA of 2047 bits":             {rsaKey(modulus(2047), "AQAB", ""), false},
		"RSA of 8193 bits":             {rsaKey(modulus(8193), "AQAB", ""), false},
		"RSA that is huge":             {rsaKey(modulus(100_000), "AQAB", ""), false},
		"RSA with an even modulus":     {rsaKey(even, "AQAB", ""), false},
		"RSA with exponent 1":          {rsaKey(modulus(2048), "AQ", ""), false},
		"RSA with exponent 3":          {rsaKey(modulus(2048), "Aw", ""), false},
		"RSA with an even exponent":    {rsaKey(modulus(2048), "AQAC", ""), false},
		"RSA with a huge exponent":     {rsaKey(modulus(2048), "AQAAAAAB", ""), false},
		"RSA with an endless exponent": {rsaKey(modulus(2048), "AQAAAAAAAAAAAAAAAAAB", ""), false},
		"RSA without an exponent":      {rsaKey(modulus(2048), "", ""), false},
		"RSA without a modulus":        {rsaKey("", "AQAB", ""), false},
		"RSA for another algorithm":    {rsaKey(modulus(2048), "AQAB", `,"alg":"PS256"`), false},
		"a list":                       {`[]`, false},
		"null":                         {`null`, false},
		"text":                         {`"k"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := strings.Replace(ec(""), `"k"`, `"other"`, 1)
			keys, leftOut, err := parseKeys([]byte(`{"keys":[` + test.key + `,` + other + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if used := keys["k"] != nil; used != test.used || used != (len(leftOut) == 0) {
				t.Errorf("used: %t, left out: %v", used, leftOut)
			}
			if keys["other"] == nil {
				t.Error("the key beside it is not used either")
			}
		})
	}
}

func TestParseKeysOfOneName(t *testing.T) {
	t.Parallel()
	key := fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}`, goodX, goodY)
	for _, n := range []int{2, 3} {
		keys, leftOut, err := parseKeys([]byte(`{"keys":[` + key + strings.Repeat(","+key, n-1) + `]}`))
		if err != nil || len(keys) != 0 || len(leftOut) != n-1 {
			t.Errorf("%d of one name: %v, %v, %v", n, keys, leftOut, err)
		}
	}
}

func TestParseKeysRefusesWhatIsNoJWKS(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"nothing": "", "HTML": "<html>", "null": "null", "a list": "[]", "no keys": "{}", "keys are null": `{"keys":null}`, "keys are an object": `{"keys":{}}`,
		"cut": `{"keys":[{"kty":"EC"`, "something behind": `{"keys":[]} x`, "two": `{"keys":[]}{"keys":[]}`, "too many": `{"keys":[1` + strings.Repeat(",1", maxKeys) + `]}`,
		"deep": strings.Repeat("[", 100_000),
	} {
		if keys, _, err := parseKeys([]byte(data)); err == nil {
			t.Errorf("%s: %v", name, keys)
		}
	}
	if keys, _, err := parseKeys([]byte(`{"keys":[]}`)); err != nil || len(keys) != 0 {
		t.Errorf("no keys are no fault: %v, %v", keys, err)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q,"alg":"ES256","use":"sig","key_ops":["verify"]}]}`, goodX, goodY)))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	n := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"r","n":"` + n + `","e":"AQAB"},{"kty":"oct","k":"AAAA","kid":"s"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"r","n":"AQ","e":"Aw"},{"kty":"EC","crv":"P-521","d":null}]}`))
	f.Add([]byte(`{"keys":[[],null,{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _, err := parseKeys(data)
		if err != nil {
			return
		}
		if !json.Valid(data) || len(keys) > maxKeys {
			t.Fatalf("%d keys of %q", len(keys), data)
		}
		for id, k := range keys {
			if id == "" || id != k.id || k.withdrawn.Load() {
				t.Fatalf("key %q is %+v", id, k)
			}
			switch public := k.public.(type) {
			case *ecdsa.PublicKey:
				if public.Curve != elliptic.P256() || k.method.Alg() != "ES256" {
					t.Fatalf("key %q is %+v", id, k)
				}
			case *rsa.PublicKey:
				if bits := public.N.BitLen(); bits < 2048 || bits > 8192 || public.E < 65537 || k.method.Alg() != "RS256" {
					t.Fatalf("key %q is %+v", id, k)
				}
			default:
				t.Fatalf("key %q is %+v", id, k)
			}
		}
	})
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	const without = 7 * time.Minute
	for _, test := range []struct {
		cacheControl []string
		age          string
		want         time.Duration
	}{
		{nil, "", without}, {[]string{"public"}, "", without}, {[]string{"public, max-age=600"}, "", 10 * time.Minute}, {[]string{"Public,Max-Age=600"}, "", 10 * time.Minute},
		{[]string{"public", "max-age=600"}, "", 10 * time.Minute}, {[]string{`max-age="600"`}, "", 10 * time.Minute}, {[]string{"max-age=0"}, "", 0},
		{[]string{"no-store"}, "", 0}, {[]string{"no-cache, max-age=600"}, "", 0}, {[]string{"max-age=-1"}, "", without}, {[]string{"max-age=soon"}, "", without},
		{[]string{"max-age=99999999999999999999"}, "", without}, {[]string{"max-age=9223372036854775807"}, "", 100 * 365 * 24 * time.Hour},
		{[]string{"max-age=600"}, "400", 200 * time.Second}, {[]string{"max-age=600"}, "9000", 0}, {[]string{"max-age=600"}, "-5", 10 * time.Minute}, {[]string{"max-age=600"}, "x", 10 * time.Minute},
		{nil, "400", without},
	} {
		h := http.Header{"Cache-Control": test.cacheControl}
		if test.age != "" {
			h.Set("Age", test.age)
		}
		if got := freshness(h, without); got != test.want {
			t.Errorf("%q, Age %q: %s, want %s", test.cacheControl, test.age, got, test.want)
		}
	}
}

func TestRefreshKeepsToItsBounds(t *testing.T) {
	t.Parallel()
	k := &keyring{timing: Timing{}.withDefaults()}
	for good, want := range map[time.Duration]time.Duration{
		0: 54 * time.Second, time.Second: 54 * time.Second, 10 * time.Minute: 9 * time.Minute, 100 * 365 * 24 * time.Hour: 54 * time.Minute,
	} {
		if got := k.good(&flight{good: good}); got != want {
			t.Errorf("good for %s: the next fetch is after %s, want %s", good, got, want)
		}
	}
}
