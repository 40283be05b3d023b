package gaiatest

import (
	"maps"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are the claims of a token, to be changed by a test. A nil value takes a claim away.
type Claims map[string]any

// Token makes an access token for a user as the identity provider would.
func Token(t testing.TB, userID string, changes ...Claims) string {
	t.Helper()
	return SignedToken(t, jwt.SigningMethodHS256, []byte(JWTSecret), userID, changes...)
}

// SignedToken makes a token with any method and key.
func SignedToken(t testing.TB, method jwt.SigningMethod, key any, userID string, changes ...Claims) string {
	t.Helper()
	claims := jwt.MapClaims{
		"sub": userID, "aud": "authenticated", "role": "authenticated", "email": "player@example.com",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	for _, change := range changes {
		maps.Copy(claims, jwt.MapClaims(change))
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatalf("gaiatest: sign a token: %v", err)
	}
	return token
}
