package postgres_test

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres"
	"gaia/domain"
)

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// fillKeys stores many keys: half of them are one owner's, who is a user of the old platform for half of those.
func fillKeys(t *testing.T, conn *pgx.Conn, n int) {
	t.Helper()
	const user = "11111111-1111-4111-8111-111111111111"
	exec(t, conn, `INSERT INTO users (id, email) VALUES ($1, 'ada@example.com')`, user)
	exec(t, conn, `INSERT INTO api_keys (id, user_id, owner, key_hash, name, created_at)
		SELECT gen_random_uuid(), CASE n % 4 WHEN 0 THEN $2::uuid END, CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN $2::uuid::text ELSE 'owner ' || n END,
			encode(sha256(n::text::bytea), 'hex'), 'key ' || n, timestamptz '2024-01-01' + n % 1000 * interval '1 minute'
		FROM generate_series(1, $1::int) AS n`, n, user)
	exec(t, conn, `VACUUM ANALYZE api_keys`)
}

func TestKeysUseTheirIndexes(t *testing.T) {
	t.Parallel()
	const owner = "11111111-1111-4111-8111-111111111111"
	url := newDatabase(t)
	conn := connect(t, url)
	fillKeys(t, conn, 50_000)
	seqScan := regexp.MustCompile(`Seq Scan|Sort`)
	for about, c := range map[string]struct {
		mark  string
		use   func(*postgres.APIKeyStore) error
		args  []any
		index string
	}{
		"the look-up of a request": {
			"WHERE key_hash =", func(s *postgres.APIKeyStore) error { _, err := s.ByHash(t.Context(), hashOf("7")); return err },
			[]any{hashOf("7")}, "api_keys_key_hash_key",
		},
		"a page of the list": {
			"ORDER BY created_at DESC", func(s *postgres.APIKeyStore) error { _, _, err := s.List(t.Context(), owner, 20, 0); return err },
			[]any{owner, 0, 20}, "idx_api_keys_owner",
		},
	} {
		statement := traced(t, url, c.mark, func(s *postgres.Store) {
			if err := c.use(s.APIKeys()); err != nil {
				t.Fatalf("%s: %v", about, err)
			}
		})
		plan := explain(t, conn, statement, c.args...)
		if !strings.Contains(plan, "Index Scan using "+c.index) || seqScan.MatchString(plan) {
			t.Errorf("%s does not use %s:\n%s", about, c.index, plan)
		}
	}
	var unique bool
	if err := conn.QueryRow(t.Context(), `SELECT indisunique FROM pg_index WHERE indexrelid = 'api_keys_key_hash_key'::regclass`).Scan(&unique); err != nil || !unique {
		t.Errorf("the index of hashes is unique: %v, %v", unique, err)
	}
}

// TestKeysOfTheOldPlatform: rows as it wrote them, and as its tools go on writing them, work without anybody touching them.
func TestKeysOfTheOldPlatform(t *testing.T) {
	t.Parallel()
	const (
		ada, bob = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
		nobodys  = "b0000000-0000-4000-8000-000000000001"
		laptop   = "a0000000-0000-4000-8000-000000000001"
	)
	for _, variant := range []string{"", "variant_hosted.sql"} {
		url := legacyDatabase(t, variant)
		migrateUp(t, url)
		conn := connect(t, url)
		exec(t, conn, `INSERT INTO api_keys (user_id, key_hash, name, permissions) VALUES ($1, $2, 'new', '["chat:read"]'), ($1, $3, NULL, NULL)`,
			bob, hashOf("limited"), hashOf("unlimited"))
		exec(t, conn, `INSERT INTO api_keys (id, key_hash) VALUES ($1, $2)`, nobodys, hashOf("nobody's"))
		keys := open(t, url).APIKeys()
		if got, err := keys.ByHash(t.Context(), hashOf("nobody's")); err != nil || got.Owner != "service" || got.Principal().OwnerID() != "key:"+nobodys {
			t.Errorf("%s: a key without a user: %+v, %v", variant, got, err)
		}
		for hash, want := range map[string]domain.APIKey{
			strings.Repeat("a", 64): {Owner: ada, Name: "laptop", Active: true, ExpiresAt: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
			strings.Repeat("b", 64): {Owner: bob, Scopes: []string{"assets:read", "assets:write", "chat:read", "chat:write"}},
			hashOf("limited"):       {Owner: bob, Name: "new", Active: true, Scopes: []string{"chat:read"}},
			hashOf("unlimited"):     {Owner: bob, Active: true},
		} {
			got, err := keys.ByHash(t.Context(), hash)
			if err != nil {
				t.Fatalf("%s: %v", variant, err)
			}
			if got.Subject != want.Owner || got.Principal().OwnerID() != want.Owner {
				t.Errorf("%s: speaks for %q", variant, got.Subject)
			}
			got.ID, got.Subject, got.CreatedAt, got.LastUsedAt = "", "", time.Time{}, time.Time{}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\ngot  %+v\nwant %+v", variant, got, want)
			}
		}
		list, total, err := keys.List(t.Context(), bob, 10, 0)
		if err != nil || total != 3 || len(list) != 3 {
			t.Errorf("%s: %v, %d, %v", variant, list, total, err)
		}
		entry := domain.AuditEntry{ID: newID(), At: time.Now(), Action: domain.AuditKeyRevoked}
		if _, hash, err := keys.Revoke(t.Context(), ada, laptop, entry); err != nil || hash != strings.Repeat("a", 64) {
			t.Errorf("%s: Revoke = %s, %v", variant, hash, err)
		}
	}
}

// TestKeysOfTheOldPlatformStay: what Gaia has neither revoked nor replaced is the old platform's, which may make it active again.
func TestKeysOfTheOldPlatformStay(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	conn, s := connect(t, url), open(t, url)
	const user = "11111111-1111-4111-8111-111111111111"
	exec(t, conn, `INSERT INTO users (id, email) VALUES ($1, 'ada@example.com')`, user)
	exec(t, conn, `INSERT INTO api_keys (user_id, key_hash, name, is_active, expires_at, revoked_at, created_at, updated_at) VALUES
		($1, 'a', 'active', true, NULL, NULL, '2024-01-01', '2024-01-01'), ($1, 'b', 'inactive', false, NULL, NULL, '2024-01-01', '2024-01-01'),
		($1, 'c', 'nobody knows since when', NULL, NULL, NULL, NULL, NULL), ($1, 'd', 'expired', true, '2024-01-01', NULL, '2024-01-01', NULL),
		($1, 'e', 'revoked here', false, NULL, '2024-01-01', NULL, NULL), ($1, 'f', 'replaced here', true, '2024-01-02', '2024-01-02', NULL, NULL)`, user)
	if n, err := s.APIKeys().Expire(t.Context(), time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)); n != 2 || err != nil {
		t.Errorf("%d keys were forgotten, %v", n, err)
	}
	for _, hash := range []string{"a", "b", "c", "d"} {
		if _, err := s.APIKeys().ByHash(t.Context(), hash); err != nil {
			t.Errorf("key %s: %v", hash, err)
		}
	}
}

// TestAClockThatIsAheadForgetsNoKeyThatWorks: a process thinks that it is tomorrow.
func TestAClockThatIsAheadForgetsNoKeyThatWorks(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	conn, s := connect(t, url), open(t, url)
	exec(t, conn, `INSERT INTO api_keys (owner, key_hash, name, is_active, expires_at) VALUES
		('ada', 'a', 'works', true, now() + interval '1 hour'), ('ada', 'b', 'expired', true, now() - interval '1 hour')`)
	if n, err := s.APIKeys().Expire(t.Context(), time.Now().AddDate(0, 0, 1)); n != 1 || err != nil {
		t.Errorf("%d keys were forgotten, %v", n, err)
	}
	if _, err := s.APIKeys().ByHash(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}
