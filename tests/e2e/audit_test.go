package e2e

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gaia/domain"
	"gaia/tests/gaiatest"
	"gaia/tests/gotrue"
)

// auditRow is one row of the audit log, with all that it says as one text too.
type auditRow struct {
	ID, Action, Principal, Subject, Address, RequestID string
	Details                                            map[string]string
	all                                                string
}

// auditRows reads the table as somebody would who must not know how Gaia does.
func auditRows(t *testing.T, b gaiatest.Backend) []auditRow {
	t.Helper()
	driver, source, text := "sqlite", filepath.Join(b.Settings["GAIA_DATA_DIR"], "gaia.db"), ""
	if b.Name == "full" {
		driver, source, text = "pgx", b.Settings["DATABASE_URL"], "::text"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT id"+text+", action, principal, subject, address, request_id, details"+text+" FROM audit_log ORDER BY at, id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var list []auditRow
	for rows.Next() {
		var (
			r       auditRow
			details string
		)
		if err := rows.Scan(&r.ID, &r.Action, &r.Principal, &r.Subject, &r.Address, &r.RequestID, &details); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(details), &r.Details); err != nil {
			t.Fatal(err)
		}
		r.all = fmt.Sprint(r.ID, r.Action, r.Principal, r.Subject, r.Address, r.RequestID, details)
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// authEvents is what the stream holds about identity: payloads by id, once each.
func authEvents(t *testing.T, b gaiatest.Backend) map[string]string {
	t.Helper()
	conn, err := nats.Connect(b.Settings["NATS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	prefix := b.Settings["NATS_SUBJECT_PREFIX"]
	name, err := js.StreamNameBySubject(t.Context(), prefix+domain.SubjectAuthLogin)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]string{}
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if id := m.Header.Get(nats.MsgIdHdr); strings.HasPrefix(m.Subject, prefix+"gaia.auth.") {
			if _, twice := events[id]; twice {
				t.Errorf("event %s is there twice", id)
			}
			events[id] = m.Subject[len(prefix):] + " " + string(m.Data)
		}
	}
	return events
}

// secrets collects everything that must stand nowhere.
type secrets map[string]string

func (s secrets) add(what, secret string) {
	s[what] = secret
	sum := sha256.Sum256([]byte(secret))
	s["hash of "+what] = hex.EncodeToString(sum[:])
}

func (s secrets) addToken(what, token string) {
	s.add(what, token)
	if i := strings.LastIndexByte(token, '.'); i > 0 {
		s["signature of "+what] = token[i+1:]
	}
}

func (s secrets) absent(t *testing.T, where, text string) {
	t.Helper()
	for what, secret := range s {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds the %s: %.300s", where, what, text)
		}
	}
}

// TestAuditTellsEverythingButSecrets lives through everything that is recorded, with the real program.
func TestAuditTellsEverythingButSecrets(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		settings := gaiatest.Settings{"INTERNAL_AUTH_SECRET": "a secret between services of this test", "LOCAL_ACCOUNTS": "on"}
		if b.Name == "full" {
			_, more := supabase(t, gotrue.Settings{Alg: "HS256"})
			more["INTERNAL_AUTH_SECRET"] = settings["INTERNAL_AUTH_SECRET"]
			settings = more
		}
		server := b.Start(t, settings)
		hidden := secrets{}
		hidden.add("global key", gaiatest.APIKey)
		hidden.add("token secret", gaiatest.JWTSecret)
		hidden.add("internal secret", settings["INTERNAL_AUTH_SECRET"])
		user := identityLife(t, server, hidden)
		rows := waitForAudit(t, b, 11)
		judgeAudit(t, rows, user)
		for _, r := range rows {
			hidden.absent(t, "a row", r.all)
		}
		if b.Name == "full" {
			gaiatest.Eventually(t, patience, "all entries are told", func() bool { return len(authEvents(t, b)) == len(rows) })
			for id, e := range authEvents(t, b) {
				hidden.absent(t, "an event", e)
				if !slices.ContainsFunc(rows, func(r auditRow) bool { return r.ID == id && strings.HasPrefix(e, "gaia.auth."+r.Action+" ") }) {
					t.Errorf("event %s has no row: %s", id, e)
				}
			}
		}
		server.Terminate()
		if err := server.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		hidden.absent(t, "the log", server.Output())
	})
}

// identityLife does everything that is recorded, some of it wrongly. It returns the user's id.
func identityLife(t *testing.T, server *gaiatest.Server, hidden secrets) string {
	t.Helper()
	anybody, email := server.Anonymous(), "Grace@example.com"
	const wrong = "Wr0ng-horse-battery"
	hidden.add("password", userPassword)
	hidden.add("wrong password", wrong)
	access, refresh, user := signUp(server, email)
	hidden.addToken("first token", access)
	hidden.add("first refresh token", refresh)
	session := anybody.Post("/api/v1/auth/login", credentials(email, userPassword)).Want(http.StatusOK).JSON()
	hidden.addToken("token", session.Text("session", "access_token"))
	hidden.add("refresh token", session.Text("session", "refresh_token"))
	anybody.Post("/api/v1/auth/login", credentials(email, wrong)).Want(http.StatusBadRequest)
	next := anybody.Post("/api/v1/auth/refresh", map[string]any{"refresh_token": session.Text("session", "refresh_token")}).Want(http.StatusOK).JSON()
	hidden.addToken("next token", next.Text("session", "access_token"))
	hidden.add("next refresh token", next.Text("session", "refresh_token"))
	owner := bearer(server, next.Text("session", "access_token"))
	anybody.Post("/api/v1/auth/refresh", map[string]any{"refresh_token": "no-such-refresh-token"}).Want(http.StatusBadRequest)

	text, id := newKey(t, owner, map[string]any{"name": "headset", "scopes": []string{"chat:read"}})
	hidden.add("key", text)
	withKey(server, text).Get(probeRoute).Want(http.StatusOK)
	rotated := owner.Post(keysRoute+"/"+id+"/rotate", map[string]any{"grace_seconds": 60}).Want(http.StatusOK).JSON()
	hidden.add("next key", rotated.Text("api_key"))
	named, namedID := newKey(t, owner, map[string]any{"name": rotated.Text("api_key")}) // somebody calls a key by another one
	hidden.add("named key", named)
	owner.Delete(keysRoute + "/" + namedID).Want(http.StatusOK)
	for range 5 {
		withKey(server, named).Get(probeRoute).Want(http.StatusForbidden)
		bearer(server, access+"x").Get(probeRoute).Want(http.StatusUnauthorized)
	}
	hidden.addToken("bad token", access+"x")
	anybody.Post("/api/v1/auth/validate", map[string]any{"token": access + "y", "api_key": named + "z"}).Want(http.StatusOK)
	anybody.Get(probeRoute).Want(http.StatusUnauthorized) // brings nothing, and is not recorded
	owner.Post("/api/v1/auth/logout", nil).Want(http.StatusOK)
	return user
}

// waitForAudit waits until there are so many rows at least, those that come last among them.
func waitForAudit(t *testing.T, b gaiatest.Backend, want int) (rows []auditRow) {
	t.Helper()
	gaiatest.Eventually(t, patience, fmt.Sprintf("%d entries are in the audit log", want), func() bool {
		rows = auditRows(t, b)
		refused := 0
		for _, r := range rows {
			if r.Action == "validation_failed" {
				refused++
			}
		}
		return len(rows) >= want && refused >= 4
	})
	return rows
}

func judgeAudit(t *testing.T, rows []auditRow, user string) {
	t.Helper()
	counts := map[string]int{}
	for _, r := range rows {
		counts[r.Action]++
		if r.Action == "validation_failed" {
			counts[r.Details[domain.DetailReason]]++
		} else if r.Principal != user || r.Subject == "" && r.Action != "logout" { // whose session it is, the provider knows
			t.Errorf("%s is of %q, about %q", r.Action, r.Principal, r.Subject)
		}
		if r.Address != "127.0.0.1" || r.RequestID == "" && r.Details[domain.DetailCount] == "" {
			t.Errorf("%s: from %q, request %q", r.Action, r.Address, r.RequestID)
		}
	}
	for action, least := range map[string]int{
		"login": 1, "logout": 1, "refresh": 1, "key_created": 3, "key_revoked": 2, "bad_token": 1, "unknown_key": 1, "bad_password": 1, "bad_refresh_token": 1,
	} {
		if counts[action] < least {
			t.Errorf("%d times %s, want %d: %v", counts[action], action, least, counts)
		}
	}
	if counts["validation_failed"] > 6 {
		t.Errorf("%d entries about refusals: those that are alike should be one", counts["validation_failed"])
	}
}

// TestFloodOfRefusalsIsCounted sends refusals without a pause: all are counted, in few rows, also when the process ends in between.
func TestFloodOfRefusalsIsCounted(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		const flood = 500
		for i := range flood {
			if i%2 == 0 {
				bearer(server, fmt.Sprint("no.token.", uuid.NewString())).Get(probeRoute).Want(http.StatusUnauthorized)
			} else {
				withKey(server, "unknown "+uuid.NewString()).Get(probeRoute).Want(http.StatusForbidden)
			}
		}
		server.Terminate()
		if err := server.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		rows, total := auditRows(t, b), 0
		for _, r := range rows {
			n := 1
			if c := r.Details[domain.DetailCount]; c != "" {
				if _, err := fmt.Sscan(c, &n); err != nil {
					t.Errorf("count %q: %v", c, err)
				}
				if _, err := time.Parse(time.RFC3339Nano, r.Details[domain.DetailSince]); err != nil {
					t.Errorf("since: %v", err)
				}
			}
			total += n
		}
		if total != flood || len(rows) > 20 {
			t.Errorf("%d refusals are in %d rows, want %d in few", total, len(rows), flood)
		}
	})
}
