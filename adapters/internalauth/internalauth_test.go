package internalauth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

const (
	secretA = "the first secret of these tests, 32 bytes and more"
	secretB = "the second secret of these tests, 32 bytes and more"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func signed(t *testing.T, secret string, now time.Time, f domain.Forwarded, audience string) string {
	t.Helper()
	s, err := NewSigner(secret, at(now))
	if err != nil {
		t.Fatal(err)
	}
	header, err := s.Sign(f, audience)
	if err != nil {
		t.Fatal(err)
	}
	return header
}

func verifier(t *testing.T, current, previous string, now time.Time) *Verifier {
	t.Helper()
	v, err := NewVerifier(current, previous, []string{"chat"}, at(now))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var ada = domain.Forwarded{RequestID: "r-1", Principal: domain.Principal{Type: domain.AuthJWT, UserID: "7e8f5f1e-4f0a-4a52-9f59-0d1f6f4f4d11"}}

func wantRefused(t *testing.T, v *Verifier, name, header string) {
	t.Helper()
	f, err := v.Verify(header)
	if domain.KindOf(err) != domain.Unauthenticated || !reflect.DeepEqual(f, domain.Forwarded{}) {
		t.Errorf("%s: %+v, %v", name, f, err)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	v := verifier(t, secretA, "", noon)
	for name, f := range map[string]domain.Forwarded{
		"user":              ada,
		"global key":        {RequestID: "r", Principal: domain.ServicePrincipal()},
		"nobody":            {RequestID: "r"},
		"nothing at all":    {},
		"key of a user":     {Principal: domain.Principal{Type: domain.AuthUserAPIKey, UserID: "u", KeyID: "k", Scopes: []string{"chat:read", "chat:write"}}},
		"key of itself":     {Principal: domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "k"}},
		"key with tools":    {Principal: domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "k", Tools: []string{"files/*", `<a>&"/世界`}}},
		"key of no tools":   {Principal: domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "k", Tools: []string{}}},
		"key of many tools": {Principal: domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "k", Scopes: domain.KeyScopes(), Tools: manyTools()}},
		"key that expires":  {Principal: domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "k", Expires: noon.Add(time.Hour)}},
		"an odd user":       {Principal: domain.Principal{Type: domain.AuthJWT, UserID: `a"b<c>&\ü` + "\u2028\n"}},
		"an id like others": {RequestID: `","typ":"api_key`, Principal: domain.Principal{Type: domain.AuthJWT, UserID: `","kid":"k`}},
	} {
		got, err := v.Verify(signed(t, secretA, noon, f, "chat"))
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, f)
		}
	}
}

// manyTools are as many patterns as a key can have, of characters that JSON makes longer.
func manyTools() []string {
	tools := make([]string, domain.MaxKeyTools)
	for i := range tools {
		tools[i] = fmt.Sprintf("%02d/", i) + strings.Repeat(`"`, domain.MaxKeyToolText/domain.MaxKeyTools-3)
	}
	return tools
}

// TestAMissingListOfToolsAllowsNone: an older release does not know what a key may use.
func TestAMissingListOfToolsAllowsNone(t *testing.T) {
	t.Parallel()
	v := verifier(t, secretA, "", noon)
	for name, who := range map[string]domain.Principal{
		"a key": {Type: domain.AuthUserAPIKey, KeyID: "k"}, "a user": {Type: domain.AuthJWT, UserID: "u"}, "the global key": domain.ServicePrincipal(), "nobody": {},
	} {
		header := signed(t, secretA, noon, domain.Forwarded{Principal: who}, "chat")
		raw, err := strict.DecodeString(strings.Split(header, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		isKey := who.Type == domain.AuthUserAPIKey
		if told := strings.HasSuffix(string(raw), `,"tls":null}`); told != isKey {
			t.Errorf("%s: signed %s", name, raw)
		}
		old := strict.EncodeToString([]byte(strings.Replace(string(raw), `,"tls":null`, ``, 1)))
		f, err := v.Verify(version + "." + old + "." + strict.EncodeToString(sign([]byte(secretA), old)))
		if err != nil || f.Principal.MayUseTool("files/read") == isKey {
			t.Errorf("%s of an older release: %+v, %v", name, f, err)
		}
	}
	if s, err := NewSigner(secretA, at(noon)); err != nil {
		t.Error(err)
	} else if _, err := s.Sign(domain.Forwarded{Principal: domain.Principal{Type: domain.AuthJWT, UserID: "u", Tools: []string{"*"}}}, "chat"); err == nil {
		t.Error("a user with a list of tools is signed for")
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for age, good := range map[time.Duration]bool{
		0: true, time.Second: true, Lifetime - time.Millisecond: true, Lifetime: false, time.Hour: false, -Skew: true,
		-Skew - time.Millisecond: false, -time.Hour: false,
	} {
		header := signed(t, secretA, noon.Add(-age), ada, "chat")
		if _, err := verifier(t, secretA, "", noon).Verify(header); (err == nil) != good {
			t.Errorf("%v old: %v", age, err)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	of := map[string]string{"A": signed(t, secretA, noon, ada, "chat"), "B": signed(t, secretB, noon, ada, "chat")}
	for _, c := range []struct {
		current, previous string
		good              string
	}{{secretA, "", "A"}, {secretB, secretA, "AB"}, {secretB, "", "B"}} {
		for name, header := range of {
			if _, err := verifier(t, c.current, c.previous, noon).Verify(header); (err == nil) != strings.Contains(c.good, name) {
				t.Errorf("signed by %s, good are %s: %v", name, c.good, err)
			}
		}
	}
}

// TestWhatIsNotOursIsRefused signs what no signer would with the right secret, too.
func TestWhatIsNotOursIsRefused(t *testing.T) {
	t.Parallel()
	v := verifier(t, secretA, secretB, noon)
	good := signed(t, secretA, noon, ada, "chat")
	parts := strings.Split(good, ".")
	raw, err := strict.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	forge := func(raw string) string {
		body := strict.EncodeToString([]byte(raw))
		return version + "." + body + "." + strict.EncodeToString(sign([]byte(secretA), body))
	}
	if forge(string(raw)) != good {
		t.Fatal("the test forges otherwise than the signer signs")
	}
	change := func(old, new string) string {
		if !bytes.Contains(raw, []byte(old)) {
			t.Fatalf("no %s in %s", old, raw)
		}
		return forge(strings.Replace(string(raw), old, new, 1))
	}
	plain := hmac.New(sha256.New, []byte(secretA))
	plain.Write([]byte(parts[1]))
	iat, exp := fmt.Sprint(noon.UnixMilli()), fmt.Sprint(noon.Add(Lifetime).UnixMilli())
	for name, header := range map[string]string{
		"nothing": "", "dots": "..", "too many parts": good + ".", "a space": good + " ", "a space before": " " + good, "twice": good + "," + good,
		"another secret":             signed(t, "a secret that this service does not know", noon, ada, "chat"),
		"another service":            signed(t, secretA, noon, ada, "asset"),
		"the service in capitals":    signed(t, secretA, noon, ada, "Chat"),
		"another version":            "v2" + strings.TrimPrefix(good, "v1"),
		"no version":                 "." + parts[1] + "." + parts[2],
		"no signature":               "v1." + parts[1] + ".",
		"a short signature":          good[:len(good)-4],
		"payload of another":         "v1." + strings.Split(signed(t, secretA, noon, domain.Forwarded{}, "chat"), ".")[1] + "." + parts[2],
		"padding":                    "v1." + parts[1] + "=." + parts[2],
		"signed for nothing":         "v1." + parts[1] + "." + strict.EncodeToString(plain.Sum(nil)),
		"a token":                    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
		"huge":                       forge(`{"aud":"` + strings.Repeat("a", maxHeader) + `"}`),
		"no JSON":                    forge("{"),
		"an array":                   forge("[]"),
		"null":                       forge("null"),
		"spaces":                     change(`{"aud"`, `{ "aud"`),
		"a key twice":                change(`{"aud"`, `{"aud":"asset","aud"`),
		"an unknown key":             change(`{"aud"`, `{"adm":true,"aud"`),
		"a key in capitals":          change(`"uid"`, `"UID"`),
		"keys in another order":      forge(`{"iat":` + iat + `,"aud":"chat","exp":` + exp + `,"rid":"r","typ":"api_key","uid":"","kid":"","scp":[],"kxp":0}`),
		"a key is missing":           change(`,"kid":""`, ``),
		"more behind":                forge(string(raw) + " "),
		"an escaped letter":          change(`"chat"`, `"\u0063hat"`),
		"no scopes":                  change(`"scp":[]`, `"scp":null`),
		"a time with a fraction":     change(`"iat":`+iat, `"iat":`+iat+`.0`),
		"expires before it is made":  change(`"exp":`+exp, `"exp":`+fmt.Sprint(noon.Add(-time.Second).UnixMilli())),
		"lives too long":             change(`"exp":`+exp, `"exp":`+fmt.Sprint(noon.Add(Lifetime+time.Millisecond).UnixMilli())),
		"lives for ever":             change(`"exp":`+exp, `"exp":9223372036854775807`),
		"lives from the beginning":   change(`"iat":`+iat, `"iat":-9223372036854775808`),
		"an unknown kind of caller":  change(`"jwt"`, `"root"`),
		"a user with the global key": change(`"jwt"`, `"api_key"`),
		"a user who is nobody":       change(`"jwt"`, `""`),
		"a token of a key":           change(`"kid":""`, `"kid":"k"`),
		"a token with an end":        change(`"kxp":0`, `"kxp":1`),
		"a key that ended before":    forge(`{"aud":"chat","iat":` + iat + `,"exp":` + exp + `,"rid":"","typ":"user_api_key","uid":"","kid":"k","scp":[],"kxp":-1}`),
		"no word about an end":       change(`,"kxp":0`, ``),
		"a token with scopes":        change(`"scp":[]`, `"scp":["chat:read"]`),
		"a token without a user":     change(ada.Principal.UserID, ``),
		"a key that is none":         forge(`{"aud":"chat","iat":` + iat + `,"exp":` + exp + `,"rid":"","typ":"user_api_key","uid":"","kid":"","scp":[],"kxp":0}`),
		"a token with tools":         change(`"kxp":0`, `"kxp":0,"tls":null`),
		"tools with a space":         forge(`{"aud":"chat","iat":` + iat + `,"exp":` + exp + `,"rid":"","typ":"user_api_key","uid":"","kid":"k","scp":[],"kxp":0,"tls":["a/b", "c/d"]}`),
		"tools otherwise written":    forge(`{"aud":"chat","iat":` + iat + `,"exp":` + exp + `,"rid":"","typ":"user_api_key","uid":"","kid":"k","scp":[],"kxp":0,"tls":["\u0061/b"]}`),
		"tools twice":                forge(`{"aud":"chat","iat":` + iat + `,"exp":` + exp + `,"rid":"","typ":"user_api_key","uid":"","kid":"k","scp":[],"kxp":0,"tls":["a/b"],"tls":null}`),
		"tools that are no texts":    forge(`{"aud":"chat","iat":` + iat + `,"exp":` + exp + `,"rid":"","typ":"user_api_key","uid":"","kid":"k","scp":[],"kxp":0,"tls":[1]}`),
		"a user called service":      change(ada.Principal.UserID, `service`),
		"a user called as a key":     change(ada.Principal.UserID, `key:1`),
	} {
		wantRefused(t, v, name, header)
	}
}

// TestEveryChangedByteIsRefused also finds bits of base64 that nobody looks at.
func TestEveryChangedByteIsRefused(t *testing.T) {
	t.Parallel()
	v := verifier(t, secretA, "", noon)
	good := signed(t, secretA, noon, ada, "chat")
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/\n"
	for i := range good {
		for _, c := range []byte(letters) {
			if c != good[i] {
				wantRefused(t, v, fmt.Sprintf("byte %d is %q", i, c), good[:i]+string(c)+good[i+1:])
			}
		}
	}
}

func TestSecretsAreLongEnough(t *testing.T) {
	t.Parallel()
	for secret, good := range map[string]bool{"": false, strings.Repeat("s", MinSecret-1): false, strings.Repeat("s", MinSecret): true} {
		if _, err := NewSigner(secret, time.Now); (err == nil) != good {
			t.Errorf("signer with %d bytes: %v", len(secret), err)
		}
		if _, err := NewVerifier(secret, "", []string{"chat"}, time.Now); (err == nil) != good {
			t.Errorf("verifier with %d bytes: %v", len(secret), err)
		}
		if _, err := NewVerifier(secretA, secret, []string{"chat"}, time.Now); (err == nil) != (good || secret == "") {
			t.Errorf("previous secret with %d bytes: %v", len(secret), err)
		}
	}
	if _, err := NewVerifier(secretA, "", nil, time.Now); err == nil {
		t.Error("a verifier for no service")
	}
}

func TestSignRefusesWhatNobodyWouldBelieve(t *testing.T) {
	t.Parallel()
	s, err := NewSigner(secretA, at(noon))
	if err != nil {
		t.Fatal(err)
	}
	many := domain.Forwarded{Principal: domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "k", Scopes: []string{strings.Repeat("s", maxHeader)}}}
	for name, c := range map[string]struct {
		f        domain.Forwarded
		audience string
	}{
		"no audience": {ada, ""}, "no user": {domain.Forwarded{Principal: domain.Principal{Type: domain.AuthJWT}}, "chat"},
		"too much": {many, "chat"}, "unknown kind": {domain.Forwarded{Principal: domain.Principal{Type: "root"}}, "chat"},
	} {
		if header, err := s.Sign(c.f, c.audience); err == nil {
			t.Errorf("%s: signed %s", name, header)
		}
	}
}

// TestFormat is what somebody reads who writes a signer in another language.
func TestFormat(t *testing.T) {
	t.Parallel()
	header := signed(t, secretA, noon, ada, "chat")
	body := base64.RawURLEncoding.EncodeToString([]byte(
		`{"aud":"chat","iat":1772366400000,"exp":1772366430000,"rid":"r-1","typ":"jwt","uid":"7e8f5f1e-4f0a-4a52-9f59-0d1f6f4f4d11","kid":"","scp":[],"kxp":0}`))
	mac := hmac.New(sha256.New, []byte(secretA))
	mac.Write([]byte("gaia-identity.v1." + body))
	if want := "v1." + body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); header != want {
		t.Errorf("got %s, want %s", header, want)
	}
}

func FuzzVerify(f *testing.F) {
	s, err := NewSigner(secretA, at(noon))
	if err != nil {
		f.Fatal(err)
	}
	v, err := NewVerifier(secretA, "", []string{"chat"}, at(noon))
	if err != nil {
		f.Fatal(err)
	}
	for _, who := range []domain.Forwarded{ada, {}, {Principal: domain.ServicePrincipal()}} {
		header, err := s.Sign(who, "chat")
		if err != nil {
			f.Fatal(err)
		}
		raw, _ := strict.DecodeString(strings.Split(header, ".")[1])
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		body := strict.EncodeToString(raw)
		got, err := v.Verify(version + "." + body + "." + strict.EncodeToString(sign([]byte(secretA), body)))
		if err != nil {
			return
		}
		var p payload // whatever is believed reads the same to everybody
		if err := json.Unmarshal(raw, &p); err != nil || p.Audience != "chat" || p.UserID != got.Principal.UserID || p.Type != got.Principal.Type {
			t.Errorf("%s became %+v (%v)", raw, got, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s, _ := NewSigner(secretA, at(noon))
	v, _ := NewVerifier(secretA, "", []string{"chat"}, at(noon))
	header, err := s.Sign(ada, "chat")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(header); err != nil {
			b.Fatal(err)
		}
	}
}
