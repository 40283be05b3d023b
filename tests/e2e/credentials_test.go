package e2e

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gaia/domain"
	"gaia/tests/gaiatest"
)

// What callers without usable credentials read, by the status.
var refusals = map[int]string{
	http.StatusUnauthorized: "Not authenticated. Provide a valid JWT or API Key.",
	http.StatusForbidden:    "Could not validate credentials",
}

// attempt is one try to get in, and what it must get.
type attempt struct {
	bearer string   // sent as a bearer token when it is not empty
	auth   []string // values of Authorization, as they are
	key    []string // values of X-API-Key
	more   http.Header
	query  string
	want   int
}

// who is asked of every attempt: cheap, and for everybody who is known.
const guarded = "/api/v1/chat/status"

func (a attempt) header() http.Header {
	h := http.Header{"Authorization": a.auth, "X-Api-Key": a.key}
	if a.bearer != "" {
		h["Authorization"] = []string{"Bearer " + a.bearer}
	}
	maps.Copy(h, a.more)
	return h
}

func (a attempt) check(t *testing.T, server *gaiatest.Server) {
	t.Helper()
	r := server.Anonymous().Do(gaiatest.Request{Method: http.MethodGet, Path: guarded + a.query, Header: a.header()})
	if r.Status != a.want {
		t.Fatalf("status %d, want %d: %.500s", r.Status, a.want, r.Body)
	}
	if want := refusals[a.want]; want != "" && r.JSON().At("detail") != want {
		t.Errorf("the detail of %d is %q", a.want, r.JSON().At("detail"))
	}
	if challenge := r.Header.Get("WWW-Authenticate"); (challenge != "") != (a.want == http.StatusUnauthorized) {
		t.Errorf("WWW-Authenticate of %d is %q", a.want, challenge)
	}
}

// TestHostileCredentials: every one gets exactly what the contract says, and none upsets the server.
func TestHostileCredentials(t *testing.T) {
	t.Parallel()
	who := newIssuer(t)
	server := gaiatest.Start(t, who.settings())
	total := 0
	for group, attempts := range map[string]map[string]attempt{
		"good": goodCredentials(who), "algorithm": badAlgorithms(who), "header": badHeaders(who), "signature": badSignatures(who), "claims": badClaims(who),
		"form": badForms(who), "key": badKeys(), "scheme": badSchemes(who), "both": twoCredentials(who), "place": wrongPlaces(who), "user's key": usersKeys(t, server, who),
	} {
		total += len(attempts)
		for name, a := range attempts {
			t.Run(group+"/"+name, func(t *testing.T) { a.check(t, server) })
		}
	}
	if total < 400 {
		t.Errorf("only %d attempts: some have got lost", total)
	}
	output := server.Output()
	for what, secret := range map[string]string{"the global key": gaiatest.APIKey, "the secret of tokens": gaiatest.JWTSecret, "a token": "eyJ", "a key": "gaia_dev_"} {
		if strings.Contains(output, secret) {
			t.Errorf("the log shows %s", what)
		}
	}
	attempt{bearer: who.es256(nil, claims()), want: http.StatusOK}.check(t, server)
}

// each makes one attempt of each value.
func each[V any](values map[string]V, of func(V) attempt) map[string]attempt {
	attempts := make(map[string]attempt, len(values))
	for name, v := range values {
		attempts[name] = of(v)
	}
	return attempts
}

func bearerIs(want int) func(string) attempt {
	return func(token string) attempt { return attempt{bearer: token, want: want} }
}

func goodCredentials(i issuer) map[string]attempt {
	now := time.Now().Unix()
	good := each(map[string]string{
		"HS256": i.hs256(nil, claims()), "ES256": i.es256(nil, claims()), "RS256": i.rs256(nil, claims()), "HS256 with any kid": i.hs256(object{"kid": "../../es"}, claims()),
		"HS256 with the kid of a public key": i.hs256(object{"kid": "es"}, claims()), "one of several audiences": i.es256(nil, claims(object{"aud": []string{"x", "authenticated"}})),
		"nbf reached": i.rs256(nil, claims(object{"nbf": now})), "exp with a fraction": i.hs256(nil, claims(object{"exp": float64(now) + 100.5})), "no iat": i.hs256(nil, claims(object{"iat": nil})),
		"no session": i.es256(nil, claims(object{"session_id": nil})), "the global key": gaiatest.APIKey,
	}, bearerIs(http.StatusOK))
	good["X-API-Key"] = attempt{key: []string{gaiatest.APIKey}, want: http.StatusOK}
	return good
}

func badAlgorithms(i issuer) map[string]attempt {
	tokens := map[string]string{
		"RS256 header, HMAC with the RSA key":     i.hmac(i.pem(i.rsa), object{"alg": "RS256", "kid": "rs"}, claims()),
		"HS256 header, HMAC with the RSA key":     i.hmac(i.pem(i.rsa), object{"alg": "HS256", "kid": "rs"}, claims()),
		"HS256 header, HMAC with the EC key":      i.hmac(i.pem(i.ec), object{"alg": "HS256", "kid": "es"}, claims()),
		"ES256 header, HMAC with the EC key":      i.hmac(i.pem(i.ec), object{"alg": "ES256", "kid": "es"}, claims()),
		"ES256 header, HMAC with the secret":      i.hs256(object{"alg": "ES256", "kid": "es"}, claims()),
		"HS256 header, HMAC with nothing":         i.hmac(nil, object{"alg": "HS256"}, claims()),
		"HS256 header, HMAC with its kid":         i.hmac([]byte("es"), object{"alg": "HS256", "kid": "es"}, claims()),
		"HS256 header, signed with the EC key":    i.es256(object{"alg": "HS256"}, claims()),
		"RS256 header, signed with the EC key":    i.es256(object{"alg": "RS256"}, claims()),
		"ES256 header, signed with the RSA key":   i.rs256(object{"alg": "ES256"}, claims()),
		"RS256 signed well, kid of the EC key":    i.rs256(object{"kid": "es"}, claims()),
		"ES256 signed well, kid of the RSA key":   i.es256(object{"kid": "rs"}, claims()),
		"no alg":                                  i.hs256(object{"alg": nil}, claims()),
		"alg is a list":                           i.hs256(object{"alg": []string{"HS256"}}, claims()),
		"alg is a number":                         i.hs256(object{"alg": 256}, claims()),
		"alg of another case":                     i.hs256(object{"alg": "hs256"}, claims()),
		"alg with a space":                        i.hs256(object{"alg": "HS256 "}, claims()),
		"alg with look-alikes":                    i.hs256(object{"alg": "ΗS256"}, claims()), // a Greek Eta
		"alg under another case":                  i.hs256(object{"alg": nil, "ALG": "HS256"}, claims()),
		"two algs, the last one is none":          b64([]byte(`{"alg":"HS256","alg":"none"}`)) + cutHeader(i.hs256(nil, claims())),
		"two algs, the first one is none, forged": b64([]byte(`{"alg":"none","alg":"HS256"}`)) + cutHeader(i.hs256(nil, claims())),
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", " none", "none ", "none\x00", "", "null", "undefined"} {
		tokens["unsigned, alg "+alg] = i.unsigned(object{"alg": alg}, claims()) + "."
		tokens["signed, alg "+alg] = i.hs256(object{"alg": alg}, claims())
	}
	for _, alg := range []string{"HS384", "HS512", "RS384", "RS512", "ES384", "ES512", "ES256K", "PS256", "PS384", "EdDSA", "HS1", "RS1", "dir", "A128KW", "RSA-OAEP"} {
		tokens["other algorithm "+alg] = i.rs256(object{"alg": alg}, claims())
	}
	return each(tokens, bearerIs(http.StatusUnauthorized))
}

// cutHeader is the rest of a token.
func cutHeader(token string) string { return token[strings.IndexByte(token, '.'):] }

// badHeaders are signed well with keys that they ask to be judged by.
func badHeaders(i issuer) map[string]attempt {
	tokens := map[string]string{
		"crit": i.es256(object{"crit": []string{"exp"}}, claims()), "empty crit": i.hs256(object{"crit": []string{}}, claims()), "unencoded": i.hs256(object{"b64": false, "crit": []string{"b64"}}, claims()),
		"jku": i.es256(object{"jku": i.jwks.URL}, claims()), "x5u": i.rs256(object{"x5u": "https://evil.example/cert"}, claims()), "x5c": i.rs256(object{"x5c": []string{"MIIB"}}, claims()),
		"jwk": i.es256(object{"jwk": i.published()[0]}, claims()), "a secret as jwk": i.hs256(object{"jwk": object{"kty": "oct", "k": "AAAA"}}, claims()), "no kid": i.es256(object{"kid": nil}, claims()),
	}
	for _, kid := range []any{
		"", "nope", "ES", "es ", " es", "es\x00", "../es", "../../../../dev/null", "/etc/passwd", "file:///dev/null", "http://127.0.0.1:1/", "es' OR '1'='1", "es'; DROP TABLE users; --",
		"x' UNION SELECT 'secret", "es|id", "$(id)", "%2e%2e%2fes", "еs", "*", strings.Repeat("k", 4000), 0, nil, true, []string{"es"}, object{"es": 1}, 1e300,
	} {
		tokens[fmt.Sprintf("kid %.40q", fmt.Sprint(kid))] = i.es256(object{"kid": kid}, claims())
	}
	return each(tokens, bearerIs(http.StatusUnauthorized))
}

func badSignatures(i issuer) map[string]attempt {
	tokens := map[string]string{}
	for name, good := range map[string]string{"HS256": i.hs256(nil, claims()), "ES256": i.es256(nil, claims()), "RS256": i.rs256(nil, claims())} {
		dot := strings.LastIndexByte(good, '.')
		signed, signature := good[:dot+1], good[dot+1:]
		for fault, other := range map[string]string{
			"none": "", "zero": b64(make([]byte, 64)), "ones": b64([]byte(strings.Repeat("\xff", 64))), "one byte": "AA", "garbage": b64([]byte(strings.Repeat("garbage!", 8))), "cut": signature[:len(signature)-2],
			"longer": signature + "AAAA", "padded": signature + "=", "not base64": signature[:len(signature)-1] + "!", "backwards": backwards(signature), "DER": b64([]byte{0x30, 6, 2, 1, 0, 2, 1, 0}),
		} {
			tokens[name+": "+fault] = signed + other
		}
	}
	tokens["claims of another token"] = swapClaims(i.es256(nil, claims()), i.es256(nil, claims(object{"sub": "4dd84a5c-3b0b-4f4e-8b8f-3bdc3e6d3a11"})))
	return each(tokens, bearerIs(http.StatusUnauthorized))
}

func backwards(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func swapClaims(token, other string) string {
	parts, others := strings.Split(token, "."), strings.Split(other, ".")
	return parts[0] + "." + others[1] + "." + parts[2]
}

// badClaims are signed well.
func badClaims(i issuer) map[string]attempt {
	now := time.Now().Unix()
	changes := map[string]object{
		"expired": {"exp": now - 1}, "expired long ago": {"exp": 1}, "exp is zero": {"exp": 0}, "exp is negative": {"exp": -1}, "no exp": {"exp": nil}, "exp is text": {"exp": "tomorrow"},
		"exp is a number as text": {"exp": fmt.Sprint(now + 3600)}, "exp is true": {"exp": true}, "exp is a list": {"exp": []int64{now + 3600}}, "exp is huge": {"exp": 1e300}, "exp is beyond all dates": {"exp": int64(1) << 62},
		"exp under another case": {"exp": nil, "Exp": now + 3600}, "nbf in the future": {"nbf": now + 60}, "nbf is text": {"nbf": "now"}, "nbf is huge": {"nbf": 1e300},
		"no audience": {"aud": nil}, "wrong audience": {"aud": "anon"}, "wrong audiences": {"aud": []string{"anon", "service_role"}}, "empty audience": {"aud": ""}, "no audiences": {"aud": []string{}},
		"audience of another case": {"aud": "Authenticated"}, "audience with a space": {"aud": "authenticated "}, "audience that begins so": {"aud": "authenticated-not"}, "audience is an object": {"aud": object{"authenticated": true}},
		"audience among others that are no text": {"aud": []any{1, "authenticated"}}, "no issuer": {"iss": nil}, "another issuer": {"iss": "https://evil.example/auth/v1"}, "issuer with a slash": {"iss": issuerName + "/"},
		"issuer is a list": {"iss": []string{issuerName}}, "no sub": {"sub": nil}, "empty sub": {"sub": ""}, "sub is a number": {"sub": 42}, "sub is a list": {"sub": []string{"x"}}, "sub is an object": {"sub": object{}},
		"sub under another case": {"sub": nil, "SUB": "x"}, "sub of the global key": {"sub": "service"}, "sub of Gaia": {"sub": "system"}, "sub of a key": {"sub": "key:8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d"},
		"sub with NUL": {"sub": "a\x00b"}, "sub with a line break": {"sub": "a\r\nX-Admin: 1"}, "sub with spaces": {"sub": " service"}, "huge sub": {"sub": strings.Repeat("x", 1000)},
		"the anon key of Supabase":         {"sub": nil, "aud": nil, "role": "anon", "iss": "supabase"},
		"the service role key of Supabase": {"sub": nil, "aud": nil, "role": "service_role", "iss": "supabase"},
	}
	attempts := each(changes, func(change object) attempt { return bearerIs(http.StatusUnauthorized)(i.hs256(nil, claims(change))) })
	for name, change := range changes {
		attempts["ES256: "+name] = attempt{bearer: i.es256(nil, claims(change)), want: http.StatusUnauthorized}
	}
	return attempts
}

func badForms(i issuer) map[string]attempt {
	good := i.hs256(nil, claims())
	parts := strings.Split(good, ".")
	return each(map[string]string{
		"nested": i.hs256(object{"cty": "JWT"}, good), "nested as text": i.hs256(object{"cty": "JWT"}, `"`+good+`"`), "encrypted": strings.Join([]string{b64([]byte(`{"alg":"dir","enc":"A128GCM"}`)), "", b64([]byte("iv")), b64([]byte("text")), b64([]byte("tag"))}, "."),
		"encrypted, header of HS256": good + ".AAAA.AAAA", "one part": parts[0], "two parts": parts[0] + "." + parts[1], "no claims": parts[0] + ".." + parts[2], "no header": "." + parts[1] + "." + parts[2], "dots": "..", "more dots": "....",
		"many dots": strings.Repeat(".", 5000), "JSON": `{"payload":"x","signatures":[]}`, "claims are null": i.hs256(nil, "null"), "claims are a list": i.hs256(nil, `["sub"]`), "claims are text": i.hs256(nil, `"sub"`), "claims are cut": i.hs256(nil, `{"sub":"x"`),
		"claims are empty": i.hs256(nil, ""), "two claims in one": i.hs256(nil, `{}{}`), "claims are deep": i.hs256(nil, strings.Repeat("[", 4000)), "header is null": i.hmacRaw("null", `{}`), "header is a list": i.hmacRaw("[]", `{}`),
		"a good token twice": good + good, "with a comma": good + ", " + good, "padded": good + "==", "other base64": strings.ReplaceAll(strings.ReplaceAll(good, "-", "+"), "_", "/") + "+", "with its scheme twice": "Bearer " + good,
		"quoted": `"` + good + `"`, "in brackets": "<" + good + ">", "a space within": good[:20] + " " + good[20:], "a tab within": good[:20] + "\t" + good[20:], "URL-encoded": strings.ReplaceAll(good, ".", "%2E"), "other dots": strings.ReplaceAll(good, ".", "。"),
		"a zero-width space": good + "\u200b", "a no-break space before": "\u00a0" + good, "a BOM before": "\ufeff" + good, "upper case": strings.ToUpper(good), "huge": i.hs256(nil, claims(object{"pad": strings.Repeat("x", 20_000)})), "huge garbage": strings.Repeat("A", 40_000),
		"null": "null", "undefined": "undefined", "a UUID": "8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d", "high bytes": "\xff\xfe\xfd", "another provider's key": "sk-proj-0123456789abcdef", "an opaque key of Supabase": "sb_secret_0123456789abcdef",
	}, bearerIs(http.StatusUnauthorized))
}

// hmacRaw signs parts that are no objects.
func (i issuer) hmacRaw(header, payload string) string {
	token := i.hs256(nil, payload)
	return b64([]byte(header)) + cutHeader(token)
}

// Keys of Gaia's shape that nobody made; the second one has a good checksum.
const (
	shapedKey  = "gaia_test_0123456789abcdefghijABCDEFGHIJ01_AAAAAA"
	oldFormKey = "gaia_production_abcdefghijklmnopqrstuvwxyz012345"
)

// badKeys come in X-API-Key, alone.
func badKeys() map[string]attempt {
	k := gaiatest.APIKey
	attempts := each(map[string]string{
		"unknown": "nope", "cut by one": k[:len(k)-1], "first letter gone": k[1:], "one letter": k[:1], "one more": k + "x", "twice": k + k, "with a comma": k + "," + k, "upper case": strings.ToUpper(k), "another last letter": k[:len(k)-1] + "z",
		"look-alikes": strings.ReplaceAll(k, "a", "а"), "full width": strings.ReplaceAll(k, "g", "ｇ"), "combining accent": k + "\u0301", "zero-width joiner": k[:4] + "\u200d" + k[4:], "no-break space behind": k + "\u00a0", "BOM before": "\ufeff" + k,
		"soft hyphen": k[:4] + "\u00ad" + k[4:], "dashes": strings.ReplaceAll(k, "-", "‐"), "quoted": `"` + k + `"`, "single quotes": "'" + k + "'", "with a scheme": "Bearer " + k, "with a name": "ApiKey " + k, "SQL": "' OR '1'='1", "more SQL": k + "'--",
		"LDAP": "*)(uid=*", "wildcard": "*", "percent": "%", "underscores": strings.Repeat("_", len(k)), "path": "../../key", "template": "${API_KEY}", "NUL as text": k + `\0`, "NUL encoded": k + "%00", "high bytes": "\xff\xfe", "overlong": "\xc0\xaf", "cut UTF-8": "\xe2\x82",
		"null": "null", "true": "true", "zero": "0", "list": "[]", "object": `{"$ne":null}`, "huge": strings.Repeat("k", 40_000), "the secret of tokens": gaiatest.JWTSecret, "an e-mail": "service", "of Gaia's shape": shapedKey, "of the old shape": oldFormKey,
		"shape cut": shapedKey[:len(shapedKey)-1], "shape with a space within": "gaia_test_ 123456789abcdefghijABCDEFGHIJ01_AAAAAA", "shape without environment": strings.Replace(shapedKey, "_test_", "__", 1), "shape in upper case": strings.ToUpper(shapedKey),
		"shape of other letters": strings.ReplaceAll(shapedKey, "a", "а"), "shape, longer": shapedKey + "A", "shape with a bad checksum": shapedKey[:len(shapedKey)-1] + "!", "old shape cut": oldFormKey[:len(oldFormKey)-1], "a hash": strings.Repeat("0a", 32),
	}, func(key string) attempt { return attempt{key: []string{key}, want: http.StatusForbidden} })
	attempts["empty"] = attempt{key: []string{""}, want: http.StatusUnauthorized}
	attempts["spaces around"] = attempt{key: []string{"  " + k + "\t"}, want: http.StatusOK} // HTTP takes them off: RFC 9110, 5.5
	attempts["shape as bearer"] = attempt{bearer: shapedKey, want: http.StatusForbidden}
	attempts["old shape as bearer"] = attempt{bearer: oldFormKey, want: http.StatusForbidden}
	attempts["shape cut, as bearer"] = attempt{bearer: shapedKey[:len(shapedKey)-1], want: http.StatusUnauthorized}
	attempts["cut by one, as bearer"] = attempt{bearer: k[:len(k)-1], want: http.StatusUnauthorized}
	attempts["look-alikes as bearer"] = attempt{bearer: strings.ReplaceAll(k, "a", "а"), want: http.StatusUnauthorized}
	return attempts
}

// usersKeys are about keys that Gaia made.
func usersKeys(t *testing.T, server *gaiatest.Server, i issuer) map[string]attempt {
	t.Helper()
	owner := server.Anonymous().With("Authorization", "Bearer "+i.es256(nil, claims()))
	key, _ := newKey(t, owner, map[string]any{})
	scoped, _ := newKey(t, owner, map[string]any{"scopes": []string{"usage:read"}})
	revoked, revokedID := newKey(t, owner, map[string]any{})
	owner.Delete(keysRoute + "/" + revokedID).Want(http.StatusOK)
	replaced, replacedID := newKey(t, owner, map[string]any{})
	owner.Post(keysRoute+"/"+replacedID+"/rotate", map[string]any{"grace_period_seconds": 0}).Want(http.StatusOK)
	random := strings.TrimPrefix(key, "gaia_dev_")[:32]
	other := strings.Map(func(r rune) rune { // the same letters, each the next one
		at := strings.IndexRune(domain.KeyAlphabet, r)
		return rune(domain.KeyAlphabet[(at+1)%len(domain.KeyAlphabet)])
	}, random)
	attempts := each(map[string]string{
		"cut by one": key[:len(key)-1], "first letter gone": key[1:], "one more": key + "A", "without its checksum": key[:len(key)-7], "twice": key + key, "random part alone": random, "checksum alone": key[len(key)-6:],
		"another letter": key[:20] + string(other[20-len("gaia_dev_")]) + key[21:], "another letter and its checksum": domain.KeyText("dev", other[:1]+random[1:]), "all other letters and their checksum": domain.KeyText("dev", other),
		"another checksum": key[:len(key)-1] + string(domain.KeyAlphabet[(strings.IndexByte(domain.KeyAlphabet, key[len(key)-1])+1)%62]), "another environment": strings.Replace(key, "_dev_", "_live_", 1),
		"another environment and its checksum": domain.KeyText("live", random), "upper case": strings.ToUpper(key), "lower case": strings.ToLower(key), "backwards": backwards(key), "look-alikes": strings.Replace(key, "a", "а", 1), "full width": strings.Replace(key, "g", "ｇ", 1),
		"zero-width space within": key[:12] + "\u200b" + key[12:], "no-break space behind": key + "\u00a0", "a space within": key[:12] + " " + key[12:], "quoted": `"` + key + `"`, "with a scheme": "Bearer " + key, "with a comma": key + ", " + key, "wildcard": key[:12] + "%", "NUL encoded": key + "%00",
		"revoked": revoked, "replaced": replaced, "its hash": fmt.Sprintf("%x", sha256.Sum256([]byte(key))),
	}, func(key string) attempt { return attempt{key: []string{key}, want: http.StatusForbidden} })
	yes, no, bad := http.StatusOK, http.StatusForbidden, http.StatusUnauthorized
	maps.Copy(attempts, map[string]attempt{
		"good": {key: []string{key}, want: yes}, "good as bearer": {bearer: key, want: yes}, "good as bearer, lower-case scheme": {auth: []string{"bearer " + key}, want: yes}, "good beside a bad token": {bearer: "nope", key: []string{key}, want: yes},
		"good beside an expired token": {bearer: i.es256(nil, claims(object{"exp": 1})), key: []string{key}, want: yes}, "good, empty bearer": {auth: []string{"Bearer "}, key: []string{key}, want: yes}, "good twice": {key: []string{key, key}, want: bad},
		"good as bearer twice": {auth: []string{"Bearer " + key, "Bearer " + key}, want: bad}, "good as Basic": {auth: []string{"Basic " + key}, want: bad}, "good without a scheme": {auth: []string{key}, want: bad}, "good in the query": {query: "?api_key=" + key, want: bad},
		"good as bearer, unknown key": {bearer: key, key: []string{"nope"}, want: no}, "good as bearer, revoked key": {bearer: key, key: []string{revoked}, want: no}, "revoked as bearer": {bearer: revoked, want: no}, "revoked as bearer, good key": {bearer: revoked, key: []string{key}, want: yes},
		"revoked, good token": {bearer: i.es256(nil, claims()), key: []string{revoked}, want: yes}, "mistyped as bearer": {bearer: domain.KeyText("dev", other)[:len(key)-1] + "!", want: bad}, "wrong checksum as bearer": {bearer: key[:len(key)-6] + "AAAAAA", want: no},
		"cut as bearer": {bearer: key[:len(key)-1], want: bad}, "without its checksum as bearer": {bearer: key[:len(key)-7], want: no},
	})
	if r := server.Anonymous().With("X-Api-Key", scoped).Get(guarded); r.Status != http.StatusForbidden || !strings.Contains(r.JSON().Text("detail"), "lacks the scope chat:read") {
		t.Errorf("a key without the scope: %d %s", r.Status, r.Body)
	}
	return attempts
}

func badSchemes(i issuer) map[string]attempt {
	token, k := i.es256(nil, claims()), gaiatest.APIKey
	of := func(want int, values ...string) attempt { return attempt{auth: values, want: want} }
	no, yes := http.StatusUnauthorized, http.StatusOK
	return map[string]attempt{
		"lower case": of(yes, "bearer "+token), "upper case": of(yes, "BEARER "+token), "mixed case with a key": of(yes, "bEaReR "+k), "more spaces": of(yes, "Bearer    "+token), "spaces around": of(yes, "  Bearer "+token+"  "),
		"empty": of(no, ""), "scheme alone": of(no, "Bearer"), "scheme and space": of(no, "Bearer "), "token alone": of(no, token), "key alone": of(no, k), "glued": of(no, "Bearer"+token), "colon": of(no, "Bearer: "+token), "equals": of(no, "Bearer="+token),
		"comma": of(no, "Bearer,"+token), "tab": of(no, "Bearer\t"+token), "Basic with the token": of(no, "Basic "+token), "Basic with the key": of(no, "Basic "+k), "Basic as it is": of(no, "Basic Z2FpYS10ZXN0LWtleTo="), "Digest": of(no, `Digest username="x", response="`+k+`"`),
		"Token": of(no, "Token "+token), "ApiKey": of(no, "ApiKey "+k), "JWT": of(no, "JWT "+token), "DPoP": of(no, "DPoP "+token), "Bearer twice": of(no, "Bearer Bearer "+token), "look-alike scheme": of(no, "Веаrеr "+token), "full width scheme": of(no, "Ｂｅａｒｅｒ "+token),
		"no-break space": of(no, "Bearer\u00a0"+token), "two values": of(no, "Bearer "+token, "Bearer "+token), "two values, the first bad": of(no, "Bearer nope", "Bearer "+token), "two values, the second bad": of(no, "Bearer "+token, "Bearer nope"),
		"two values, one empty": of(no, "", "Bearer "+token), "a key and a token": of(no, "Bearer "+k, "Bearer "+token),
	}
}

func twoCredentials(i issuer) map[string]attempt {
	token, expired := i.es256(nil, claims()), i.es256(nil, claims(object{"exp": 1}))
	k := gaiatest.APIKey
	return map[string]attempt{
		"token, key":                {bearer: token, key: []string{k}, want: 200},
		"token, unknown key":        {bearer: token, key: []string{"nope"}, want: 200},
		"token, shaped key":         {bearer: token, key: []string{shapedKey}, want: 200},
		"token, empty key":          {bearer: token, key: []string{""}, want: 200},
		"token, two keys":           {bearer: token, key: []string{"nope", "nope"}, want: 200},
		"expired token, key":        {bearer: expired, key: []string{k}, want: 200},
		"expired token, no key":     {bearer: expired, want: 401},
		"expired token, empty key":  {bearer: expired, key: []string{""}, want: 401},
		"expired token, unknown":    {bearer: expired, key: []string{"nope"}, want: 403},
		"expired token, shaped key": {bearer: expired, key: []string{shapedKey}, want: 403},
		"garbage, key":              {bearer: "nope", key: []string{k}, want: 200},
		"garbage, unknown key":      {bearer: "nope", key: []string{"nope"}, want: 403},
		"key as bearer, unknown":    {bearer: k, key: []string{"nope"}, want: 403},
		"key as bearer, key":        {bearer: k, key: []string{k}, want: 200},
		"shaped bearer, key":        {bearer: shapedKey, key: []string{k}, want: 200},
		"shaped bearer, unknown":    {bearer: shapedKey, key: []string{"nope"}, want: 403},
		"Basic, key":                {auth: []string{"Basic x"}, key: []string{k}, want: 200},
		"Basic, unknown key":        {auth: []string{"Basic x"}, key: []string{"nope"}, want: 403},
		"empty, empty":              {auth: []string{""}, key: []string{""}, want: 401},
		"two keys":                  {key: []string{k, k}, want: 401},
		"two keys, one unknown":     {key: []string{"nope", k}, want: 401},
		"two keys, bad token":       {bearer: "nope", key: []string{k, k}, want: 401},
		"two tokens, key":           {auth: []string{"Bearer " + token, "Bearer " + token}, key: []string{k}, want: 200},
		"two tokens, unknown key":   {auth: []string{"Bearer " + token, "Bearer " + token}, key: []string{"nope"}, want: 403},
		"token as key":              {key: []string{token}, want: 403},
		"token as key with scheme":  {key: []string{"Bearer " + token}, want: 403},
	}
}

// wrongPlaces hold good credentials where nobody looks.
func wrongPlaces(i issuer) map[string]attempt {
	token, k := i.es256(nil, claims()), gaiatest.APIKey
	of := func(name, value string) attempt { return attempt{more: http.Header{name: {value}}, want: 401} }
	return map[string]attempt{
		"api-key": of("Api-Key", k), "apikey": of("Apikey", k), "apikey of Supabase": of("Apikey", token), "X-Api-Token": of("X-Api-Token", k), "X-Auth-Token": of("X-Auth-Token", token), "X-Access-Token": of("X-Access-Token", token),
		"Proxy-Authorization": of("Proxy-Authorization", "Bearer "+token), "X-Authorization": of("X-Authorization", "Bearer "+token), "X-Forwarded-Authorization": of("X-Forwarded-Authorization", "Bearer "+token), "x-api-key with underscores": of("X_API_KEY", k),
		"Cookie": of("Cookie", "access_token="+token+"; api_key="+k), "X-User-Id": of("X-User-Id", "8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d"), "X-Gaia-Principal": of("X-Gaia-Principal", `{"auth_type":"api_key"}`), "X-Internal-Auth": of("X-Internal-Auth", token),
		"query: api_key": {query: "?api_key=" + k, want: 401}, "query: X-API-Key": {query: "?X-API-Key=" + k, want: 401}, "query: access_token": {query: "?access_token=" + token, want: 401}, "query: token": {query: "?token=" + token, want: 401},
		"query: Authorization": {query: "?Authorization=Bearer%20" + token, want: 401}, "query: _auth": {query: "?_auth=%7B%22auth_type%22%3A%22api_key%22%7D", want: 401},
	}
}

// TestTheKeysOfTheProviderAreAway: what can't be judged is not called bad, and everything else goes on.
func TestTheKeysOfTheProviderAreAway(t *testing.T) {
	t.Parallel()
	who := newIssuer(t)
	var there atomic.Bool
	jwks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !there.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		who.jwks.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(jwks.Close)
	server := gaiatest.Start(t, who.settings(), gaiatest.Settings{"SUPABASE_JWKS_URL": jwks.URL})
	token := who.es256(nil, claims())
	r := server.Anonymous().With("Authorization", "Bearer "+token).Get(guarded).Want(http.StatusServiceUnavailable)
	if r.JSON().Text("detail") != "The keys of the identity provider are not available" || r.Header.Get("Retry-After") == "" || r.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("%v: %s", r.Header, r.Body)
	}
	for name, a := range map[string]attempt{
		"a good key beside it": {bearer: token, key: []string{gaiatest.APIKey}, want: 200}, "an unknown key beside it": {bearer: token, key: []string{"nope"}, want: 503}, "a key alone": {key: []string{gaiatest.APIKey}, want: 200},
		"RS256": {bearer: who.rs256(nil, claims()), want: 503}, "HS256": {bearer: who.hs256(nil, claims()), want: 200}, "expired": {bearer: who.es256(nil, claims(object{"exp": 1})), want: 401}, "garbage": {bearer: "nope", want: 401},
		"no algorithm": {bearer: who.es256(object{"alg": "none"}, claims()), want: 401}, "no kid": {bearer: who.es256(object{"kid": nil}, claims()), want: 401},
	} {
		t.Run(name, func(t *testing.T) { a.check(t, server) })
	}
	there.Store(true)
	gaiatest.Eventually(t, patience, "the token is taken", func() bool {
		return server.Anonymous().With("Authorization", "Bearer "+token).Get(guarded).Status == http.StatusOK
	})
}

// TestIdentityInABodyIsIgnored: _auth is between services, and nothing that a client may say or hear.
func TestIdentityInABodyIsIgnored(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	const victim = "4dd84a5c-3b0b-4f4e-8b8f-3bdc3e6d3a11"
	for name, auth := range map[string]any{
		"a user": map[string]any{"auth_type": "jwt", "user_id": victim}, "the global key": map[string]any{"auth_type": "api_key", "key": gaiatest.APIKey}, "text": gaiatest.APIKey, "null": nil, "a list": []any{victim},
	} {
		body := map[string]any{"name": "Body with " + name, "description": "x", "system_prompt": "x", "_auth": auth}
		ask := func(c *gaiatest.Client) gaiatest.Response { return c.Post("/api/v0.2/personas", body) }
		if r := ask(server.Anonymous()).Want(http.StatusUnauthorized); r.JSON().Text("detail") != refusals[http.StatusUnauthorized] {
			t.Errorf("%s: %s", name, r.Body)
		}
		r := ask(server.Client()).Want(http.StatusOK)
		if strings.Contains(string(r.Body), "_auth") || strings.Contains(string(r.Body), victim) || !strings.Contains(string(r.Body), `"created_by":"service"`) {
			t.Errorf("%s: %s", name, r.Body)
		}
	}
}

// TestRawCredentials sends what no HTTP library would. Such a request is no HTTP, and is refused before anybody looks for credentials.
func TestRawCredentials(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	k := gaiatest.APIKey
	for name, test := range map[string]struct {
		lines string
		want  []int
	}{
		"well-formed":            {"X-API-Key: " + k + "\r\n", []int{200}},
		"odd case of the name":   {"x-aPi-KEY: " + k + "\r\n", []int{200}},
		"no space":               {"X-API-Key:" + k + "\r\n", []int{200}},
		"NUL behind":             {"X-API-Key: " + k + "\x00\r\n", []int{400}},
		"NUL before":             {"X-API-Key: \x00" + k + "\r\n", []int{400}},
		"NUL in the scheme":      {"Authorization: Bea\x00rer " + k + "\r\n", []int{400}},
		"NUL in the name":        {"X-API-Key\x00: " + k + "\r\n", []int{400}},
		"bell":                   {"X-API-Key: " + k + "\x07\r\n", []int{400}},
		"delete":                 {"X-API-Key: " + k + "\x7f\r\n", []int{400}},
		"escape":                 {"Authorization: Bearer \x1b[31m" + k + "\r\n", []int{400}},
		"vertical tab":           {"X-API-Key: " + k + "\x0b\r\n", []int{400}},
		"bare CR":                {"X-API-Key: " + k + "\rX: y\r\n", []int{400}},
		"space before the colon": {"X-API-Key : " + k + "\r\n", []int{400}},
		"continued line":         {"X-API-Key: " + k[:4] + "\r\n " + k[4:] + "\r\n", []int{400, 403}},
		"no colon":               {"X-API-Key " + k + "\r\n", []int{400}},
		"no name":                {": " + k + "\r\n", []int{400}},
		"two lines":              {"X-API-Key: " + k + "\r\nx-api-key: " + k + "\r\n", []int{401}},
		"two Authorizations":     {"Authorization: Bearer " + k + "\r\nauthorization: Bearer " + k + "\r\n", []int{401}},
		"more than all headers":  {"X-API-Key: " + strings.Repeat("k", 200<<10) + "\r\n", []int{431}},
		"many headers":           {strings.Repeat("X-API-Key: "+k+"\r\n", 10_000), []int{431}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if status := rawStatus(t, server, test.lines); !slices.Contains(test.want, status) {
				t.Errorf("status %d, want one of %v", status, test.want)
			}
		})
	}
}

// rawStatus sends header lines as they are and returns the status of the answer.
func rawStatus(t *testing.T, server *gaiatest.Server, lines string) int {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(server.URL(), "http://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answer has been read
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() { // a server that refuses does not read to the end
		_, _ = io.WriteString(conn, "GET "+guarded+" HTTP/1.1\r\nHost: gaia\r\nConnection: close\r\n"+lines+"\r\n")
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only the status matters
	return resp.StatusCode
}
