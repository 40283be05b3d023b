package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// guardedPath is the smallest work for which gaia has to know who calls.
	guardedPath = "/api/v0.2/models/priorities"
	publicPath  = "/api/v0.2/"

	tokenSecret   = "a secret of at least thirty-two bytes"
	accessSamples = 300
)

// accessRow is what one way to get in costs: a whole request over the network, and finding out who calls alone.
type accessRow struct {
	credential string
	state      string // cold: judged anew each time; cached: known from before
	took       []time.Duration
	inside     goResult
}

type accessResult struct {
	rows     []accessRow
	requests map[string]goResult // whole requests without a network, by name
}

// measureAccess starts gaia twice, once without caches for credentials, and asks both in turn with each kind of credential.
func measureAccess(ctx context.Context, o options, dir string) (accessResult, error) {
	inside, err := goBenchmarks(ctx)
	if err != nil {
		return accessResult{}, err
	}
	tokens, keys, err := issue()
	if err != nil {
		return accessResult{}, err
	}
	jwks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys) }))
	defer jwks.Close()
	settings := []string{"SUPABASE_JWT_SECRET=" + tokenSecret, "SUPABASE_JWKS_URL=" + jwks.URL}
	cached, err := startGaia(ctx, o.gaia, filepath.Join(dir, "access-cached"), settings...)
	if err != nil {
		return accessResult{}, err
	}
	defer cached.kill()
	cold, err := startGaia(ctx, o.gaia, filepath.Join(dir, "access-cold"), append(settings, "AUTH_CACHE_TTL=0", "API_KEY_CACHE_TTL=0")...)
	if err != nil {
		return accessResult{}, err
	}
	defer cold.kill()
	ways, err := accessWays(ctx, cached, cold, tokens)
	if err != nil {
		return accessResult{}, err
	}
	r := accessResult{requests: map[string]goResult{}}
	for name, result := range inside {
		if request, ok := strings.CutPrefix(name, "AuthenticatedRequest/"); ok {
			r.requests[request] = result
		}
		if how, ok := strings.CutPrefix(name, "AuthenticatedRequestLimited/"); ok {
			r.requests["limited, "+how] = result
		}
	}
	if r.rows, err = compareAccess(ctx, ways); err != nil {
		return accessResult{}, err
	}
	for i := range r.rows {
		row := &r.rows[i]
		row.inside = inside[strings.TrimSuffix("Authenticate/"+strings.ReplaceAll(row.credential, " ", "_")+"/"+row.state, "/")]
	}
	return r, errors.Join(cached.stop(), cold.stop())
}

// accessWay is one kind of request to one server.
type accessWay struct {
	row     accessRow
	client  *client
	request request
}

func accessWays(ctx context.Context, cached, cold *process, tokens map[string]string) ([]accessWay, error) {
	var ways []accessWay
	for _, server := range []struct {
		state   string
		process *process
	}{{"cached", cached}, {"cold", cold}} {
		if _, err := server.process.awaitReady(ctx); err != nil {
			return nil, err
		}
		c := newClient(server.process.url, 1)
		add := func(credential, state, path string, header http.Header) {
			ways = append(ways, accessWay{accessRow{credential: credential, state: state}, c, request{method: http.MethodGet, path: path, header: header}})
		}
		if server.state == "cached" {
			add("none asked for", "", publicPath, nil)
			add("global key", "", guardedPath, nil)
		}
		for _, alg := range []string{"HS256", "ES256", "RS256"} {
			add(alg, server.state, guardedPath, http.Header{"Authorization": {"Bearer " + tokens[alg]}, "X-Api-Key": {}})
		}
		key, err := makeKey(ctx, c)
		if err != nil {
			return nil, err
		}
		add("API key", server.state, guardedPath, http.Header{"X-Api-Key": {key}})
	}
	return ways, nil
}

// makeKey makes an API key.
func makeKey(ctx context.Context, c *client) (string, error) {
	a, err := c.expect(ctx, request{method: http.MethodPost, path: "/api/v1/auth/api-keys", body: []byte(`{"name":"bench"}`)}, http.StatusOK)
	if err != nil {
		return "", err
	}
	var made struct {
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal(a.body, &made); err != nil || made.Key == "" {
		return "", fmt.Errorf("no key in %.300s", a.body)
	}
	return made.Key, nil
}

// compareAccess sends one request of each kind in turn, so that all live through the same moments.
func compareAccess(ctx context.Context, ways []accessWay) ([]accessRow, error) {
	progress("%d kinds of credentials, %d requests of each", len(ways), accessSamples)
	var body bytes.Buffer
	for i := range accessSamples + 20 {
		for w := range ways {
			way := &ways[w]
			a, err := way.client.expectInto(ctx, way.request, http.StatusOK, &body)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", way.row.credential, way.row.state, err)
			}
			if i >= 20 { // the first ones find everything cold
				way.row.took = append(way.row.took, a.took)
			}
		}
	}
	rows := make([]accessRow, len(ways))
	for i, way := range ways {
		rows[i] = way.row
		way.client.close()
	}
	return rows, nil
}

// issue makes a token of each algorithm, as long as those of Supabase, and the JWKS that verifies them.
func issue() (tokens map[string]string, keys []byte, err error) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		return nil, nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	keys, err = json.Marshal(map[string]any{"keys": []map[string]string{
		{"kid": "ES256", "kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])},
		{"kid": "RS256", "kty": "RSA", "n": encode(rsaKey.N.Bytes()), "e": encode(big.NewInt(int64(rsaKey.E)).Bytes())},
	}})
	if err != nil {
		return nil, nil, err
	}
	tokens = map[string]string{}
	for method, key := range map[jwt.SigningMethod]any{jwt.SigningMethodHS256: []byte(tokenSecret), jwt.SigningMethodES256: ec, jwt.SigningMethodRS256: rsaKey} {
		now := time.Now().Unix()
		const user = "8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d"
		token := jwt.NewWithClaims(method, jwt.MapClaims{
			"iss": "https://project.supabase.co/auth/v1", "sub": user, "aud": "authenticated", "exp": now + 7200, "iat": now, "role": "authenticated",
			"email": "ada@example.com", "phone": "", "app_metadata": map[string]any{"provider": "email", "providers": []string{"email"}}, "aal": "aal1",
			"user_metadata": map[string]any{"email": "ada@example.com", "email_verified": true, "full_name": "Ada Lovelace", "phone_verified": false, "sub": user},
			"amr":           []map[string]any{{"method": "password", "timestamp": now}}, "session_id": "0f1c1a0e-3f51-4a6e-8c1b-6c1d3a1f0a77", "is_anonymous": false,
		})
		token.Header["kid"] = method.Alg()
		if tokens[method.Alg()], err = token.SignedString(key); err != nil {
			return nil, nil, err
		}
	}
	return tokens, keys, nil
}

func (r report) accessTable() table {
	t := table{head: []string{"credential", "", "to find out who calls", "bytes", "allocations", "request p50", "p99", "more than the global key"}}
	var base time.Duration
	for _, row := range r.access.rows {
		if row.credential == "global key" {
			base = median(row.took)
		}
	}
	for _, row := range r.access.rows {
		more := ""
		if row.state != "" {
			more = micros(float64(median(row.took) - base))
		}
		inside := []string{"", "", ""}
		if row.inside.nanos > 0 {
			inside = []string{micros(row.inside.nanos), fmt.Sprintf("%.0f", row.inside.bytes), fmt.Sprintf("%.0f", row.inside.allocs)}
		}
		t.add(row.credential, row.state, inside[0], inside[1], inside[2], micros(float64(median(row.took))), micros(float64(percentile(row.took, 99))), more)
	}
	return t
}

// requestTable is for whole requests in the process.
func (r report) requestTable() table {
	t := table{head: []string{"request", "time", "bytes", "allocations"}}
	for _, name := range []struct{ of, shown string }{
		{"public", "that needs no credentials"}, {"global_key", "with the global key"}, {"ES256", "with an ES256 token that is known"},
		{"limited, alone", "with the global key and limits over time, alone"}, {"limited, Redis", "with the global key and limits over time, in Redis"},
	} {
		x := r.access.requests[name.of]
		if x.nanos == 0 { // there is no Redis
			continue
		}
		t.add(name.shown, micros(x.nanos), fmt.Sprintf("%.0f", x.bytes), fmt.Sprintf("%.0f", x.allocs))
	}
	return t
}

func micros(nanos float64) string { return fmt.Sprintf("%.1f µs", nanos/1000) }
