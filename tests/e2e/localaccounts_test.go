package e2e

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver

	"gaia/tests/gaiatest"
)

const (
	localPassword = "Corr3ct-horse-battery" //nolint:gosec // of accounts that live as long as a test
	authPath      = "/api/v1/auth/"
)

func passwordOf(email, password string) map[string]any {
	return map[string]any{"email": email, "password": password}
}

func newAddress() string { return "player-" + uuid.NewString() + "@example.com" }

// localSession is what a client keeps of a session.
type localSession struct{ access, refresh, user string }

func sessionOf(r gaiatest.Response) localSession {
	o := r.JSON()
	return localSession{o.Text("session", "access_token"), o.Text("session", "refresh_token"), o.Text("user", "id")}
}

func register(t *testing.T, s *gaiatest.Server, email string) localSession {
	t.Helper()
	return sessionOf(s.Anonymous().Post(authPath+"register", passwordOf(email, localPassword)).Want(http.StatusOK))
}

func login(t *testing.T, s *gaiatest.Server, email string) localSession {
	t.Helper()
	return sessionOf(s.Anonymous().Post(authPath+"login", passwordOf(email, localPassword)).Want(http.StatusOK))
}

func refresh(s *gaiatest.Server, token string) gaiatest.Response {
	return s.Anonymous().Post(authPath+"refresh", map[string]any{"refresh_token": token})
}

func withAccess(s *gaiatest.Server, token string) *gaiatest.Client {
	return s.Anonymous().With("Authorization", "Bearer "+token)
}

func wantRefusedWith(t *testing.T, r gaiatest.Response, status int, detail string) {
	t.Helper()
	if got := r.Want(status).JSON().Text("detail"); got != detail {
		t.Errorf("detail %q, want %q", got, detail)
	}
}

// local are the settings with which local accounts answer on a full backend, too.
func local(t *testing.T, b gaiatest.Backend) gaiatest.Settings {
	t.Helper()
	s := gaiatest.Settings{"LOCAL_ACCOUNTS": "on"}
	if b.Name == "embedded" {
		s["SUPABASE_JWT_SECRET"] = "" // made on the first start
	}
	return s
}

// age makes all that was done with refresh tokens older, while no server runs.
func age(t *testing.T, b gaiatest.Backend, seconds int) {
	t.Helper()
	var err error
	if url := b.Settings["DATABASE_URL"]; url != "" {
		var db *pgx.Conn
		if db, err = pgx.Connect(t.Context(), url); err == nil {
			defer db.Close(t.Context()) //nolint:errcheck // of a test
			_, err = db.Exec(t.Context(), "UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => $1)", seconds)
		}
	} else {
		var db *sql.DB
		if db, err = sql.Open("sqlite", filepath.Join(b.Settings["GAIA_DATA_DIR"], "gaia.db")); err == nil {
			defer db.Close() //nolint:errcheck // of a test
			_, err = db.ExecContext(t.Context(), "UPDATE refresh_tokens SET used_at = used_at - ?", seconds*1_000_000)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLocalAccounts goes the whole way of a user, through the end of the process.
func TestLocalAccounts(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, local(t, b))
		email := newAddress()
		first := register(t, server, strings.ToUpper(email))
		wantText(t, say(t, withAccess(server, first.access), message("Hello")), "This is message 1 of")
		second := login(t, server, email)
		if second.user != first.user {
			t.Errorf("user %s, want %s", second.user, first.user)
		}
		wantText(t, say(t, withAccess(server, second.access), message("Hello again")), "This is message 3 of")
		if got := withAccess(server, second.access).Get(authPath + "user").Want(http.StatusOK).JSON(); got.Text("user", "email") != email {
			t.Errorf("user %v", got.Fields)
		}
		renewed := sessionOf(refresh(server, second.refresh).Want(http.StatusOK)) // and the answer gets lost

		server.Kill()
		server.Restart()
		again := sessionOf(refresh(server, second.refresh).Want(http.StatusOK))
		if again.refresh != renewed.refresh {
			t.Error("who has lost the answer gets another one")
		}
		wantText(t, say(t, withAccess(server, second.access), message("Still me?")), "This is message 5 of")
		newest := sessionOf(refresh(server, again.refresh).Want(http.StatusOK))

		server.Kill()
		age(t, b, 10)
		server.Restart()
		const refused = "The refresh token is not valid anymore: sign in again"
		for _, token := range []string{second.refresh, newest.refresh, renewed.refresh} {
			wantRefusedWith(t, refresh(server, token), http.StatusBadRequest, refused)
		}
		withAccess(server, newest.access).Get(authPath + "user").Want(http.StatusUnauthorized)

		withAccess(server, first.access).Post(authPath+"logout", nil).Want(http.StatusOK)
		withAccess(server, first.access).Get(authPath + "user").Want(http.StatusUnauthorized)
		wantRefusedWith(t, refresh(server, first.refresh), http.StatusBadRequest, refused)
		third := login(t, server, email)
		withAccess(server, third.access).Get(authPath + "user").Want(http.StatusOK)
	})
}

func TestLocalAccountsRefuse(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, local(t, b))
		c, email := server.Anonymous(), newAddress()
		mine := register(t, server, email)
		const wrong = "The e-mail address or the password is wrong"
		for _, login := range []map[string]any{
			passwordOf(email, "Wr0ng-horse"), passwordOf(newAddress(), localPassword), passwordOf("nobody@-example", localPassword), passwordOf(email, localPassword+" "),
		} {
			wantRefusedWith(t, c.Post(authPath+"login", login), http.StatusBadRequest, wrong)
		}
		for detail, registration := range map[string]map[string]any{
			"An account can't be opened with this e-mail address and password": passwordOf(email, "an0ther-horse"),
			"The password is too weak: it has fewer than 6 characters":         passwordOf(newAddress(), "abc"),
			"The password is longer than 72 bytes":                             passwordOf(newAddress(), strings.Repeat("p", 73)),
			"The e-mail address is not valid":                                  passwordOf("nobody@-example", localPassword),
		} {
			wantRefusedWith(t, c.Post(authPath+"register", registration), http.StatusBadRequest, detail)
		}
		var told []string
		for _, address := range []string{email, newAddress()} {
			c.Post(authPath+"resend-verification", map[string]any{"email": address}).Want(http.StatusOK)
			told = append(told, c.Post(authPath+"recover", map[string]any{"email": address}).Want(http.StatusServiceUnavailable).JSON().Text("detail"))
		}
		if told[0] != told[1] || !strings.Contains(told[0], "gaia accounts password") {
			t.Errorf("told %q", told)
		}
		withAccess(server, mine.refresh).Get(authPath + "user").Want(http.StatusUnauthorized)
		server.Client().Get(authPath + "user").Want(http.StatusUnauthorized) // a key has no session
	})
}

// TestLocalAccountsAtTheSameTime: of many who open an account with one address one does, and all who renew a session get the same token,
// on any replica.
func TestLocalAccountsAtTheSameTime(t *testing.T) {
	t.Parallel()
	backend := gaiatest.Full(t)
	replicas := []*gaiatest.Server{backend.Start(t, local(t, backend)), backend.Start(t, local(t, backend))}
	email := newAddress()
	const many = 12
	post := func(path string, body map[string]any) []gaiatest.Response {
		answers := make([]gaiatest.Response, many)
		var all sync.WaitGroup
		for i := range many {
			c := replicas[i%2].Anonymous()
			all.Go(func() {
				var err error
				if answers[i], err = c.Try(gaiatest.Request{Method: http.MethodPost, Path: authPath + path, Body: body}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if t.Failed() {
			t.FailNow()
		}
		return answers
	}
	var mine localSession
	for _, r := range post("register", passwordOf(email, localPassword)) {
		if r.Status == http.StatusOK {
			if mine.user != "" {
				t.Error("an address has two accounts")
			}
			mine = sessionOf(r)
			continue
		}
		if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" { // this machine can't hash so many passwords at a time
			r.Want(http.StatusBadRequest)
		}
	}
	if mine.user == "" {
		t.Fatal("nobody got the account")
	}
	var next localSession
	for _, r := range post("refresh", map[string]any{"refresh_token": mine.refresh}) {
		got := sessionOf(r.Want(http.StatusOK))
		if next.refresh == "" {
			next = got
		}
		if got.refresh != next.refresh || got.user != mine.user {
			t.Error("two renewals of one token differ")
		}
	}
	for _, server := range replicas { // each accepts what the other has signed
		withAccess(server, next.access).Get(authPath + "user").Want(http.StatusOK)
		withAccess(server, mine.access).Get("/api/v0.2/chat/status").Want(http.StatusOK)
	}
	refresh(replicas[1], next.refresh).Want(http.StatusOK)
}

// TestLocalAccountsInACrash: whoever was told that there is an account or a renewal finds it after the process was killed amid others'
// requests, and whoever was not told can try again.
func TestLocalAccountsInACrash(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, local(t, b))
		const clients, before = 4, 6
		type client struct {
			email string
			token string // the last one that it got
		}
		known := make([]client, clients)
		var all sync.WaitGroup
		busy := make(chan struct{}, clients*before)
		for i := range clients {
			known[i].email = newAddress()
			known[i].token = register(t, server, known[i].email).refresh
			c := server.Anonymous()
			all.Go(func() {
				for {
					r, err := c.Try(gaiatest.Request{Method: http.MethodPost, Path: authPath + "refresh", Body: map[string]any{"refresh_token": known[i].token}})
					if err != nil || r.Status != http.StatusOK {
						return // the process is gone
					}
					known[i].token = sessionOf(r).refresh
					select {
					case busy <- struct{}{}:
					default:
					}
				}
			})
		}
		for range clients * before {
			<-busy
		}
		server.Kill()
		all.Wait()
		server.Restart()
		for _, c := range known {
			refresh(server, c.token).Want(http.StatusOK)
			login(t, server, c.email)
		}
	})
}

// TestLocalAccountsKeepSecrets: no password, token or hash is in the log, and no token in the database.
func TestLocalAccountsKeepSecrets(t *testing.T) {
	t.Parallel()
	backend := gaiatest.Embedded(t)
	server := backend.Start(t, local(t, backend), gaiatest.Settings{"DEBUG": "true"})
	email := newAddress()
	const wrong = "Wr0ng-horse-battery"
	first := register(t, server, email)
	second := sessionOf(refresh(server, first.refresh).Want(http.StatusOK))
	c := server.Anonymous()
	c.Post(authPath+"login", passwordOf(email, wrong)).Want(http.StatusBadRequest)
	c.Post(authPath+"register", passwordOf(email, wrong)).Want(http.StatusBadRequest)
	c.Post(authPath+"login", `{"email":"`+email+`","password":"`+localPassword).Want(http.StatusUnprocessableEntity)
	refresh(server, second.refresh+"x").Want(http.StatusBadRequest)
	withAccess(server, second.access+"x").Get(authPath + "user").Want(http.StatusUnauthorized)
	withAccess(server, second.access).Post(authPath+"logout", nil).Want(http.StatusOK)
	third := login(t, server, email)
	output := server.Output()
	server.Kill()
	folder := backend.Settings["GAIA_DATA_DIR"]
	secret, err := os.ReadFile(filepath.Join(folder, "jwt_secret"))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(folder, "jwt_secret")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	var stored strings.Builder
	for _, name := range []string{"gaia.db", "gaia.db-wal"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		stored.Write(data)
	}
	if !strings.Contains(stored.String(), email) || !strings.Contains(stored.String(), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error("the account is not where it is looked for")
	}
	secrets := map[string]string{
		"the password": localPassword, "a wrong password": wrong, "an access token": first.access, "its signature": first.access[len(first.access)-40:],
		"a used refresh token": first.refresh, "an ended refresh token": second.refresh, "a refresh token": third.refresh,
		"the secret": strings.TrimSpace(string(secret)),
	}
	for what, text := range secrets {
		if strings.Contains(output, text) {
			t.Errorf("%s is in the log", what)
		}
		if strings.Contains(stored.String(), text) {
			t.Errorf("%s is in the database", what)
		}
	}
	if strings.Contains(output, "argon2id") {
		t.Error("a hash is in the log")
	}
	server.Restart()
}

// TestNoLocalAccounts: where they are not to be, the routes say so, and where they must not be, nothing starts.
func TestNoLocalAccounts(t *testing.T) {
	t.Parallel()
	full := gaiatest.Full(t)
	for name, server := range map[string]*gaiatest.Server{
		"production":                  gaiatest.Start(t, gaiatest.Settings{"ENVIRONMENT": "production"}),
		"switched off":                gaiatest.Start(t, gaiatest.Settings{"LOCAL_ACCOUNTS": "off"}),
		"PostgreSQL without a secret": full.Start(t, gaiatest.Settings{"SUPABASE_JWT_SECRET": ""}),
	} {
		c, body := server.Anonymous(), passwordOf(newAddress(), localPassword)
		c.Post(authPath+"register", body).Want(http.StatusServiceUnavailable)
		c.Post(authPath+"login", body).Want(http.StatusServiceUnavailable)
		c.Post(authPath+"refresh", map[string]any{"refresh_token": "x"}).Want(http.StatusServiceUnavailable)
		c.Post(authPath+"recover", map[string]any{"email": newAddress()}).Want(http.StatusServiceUnavailable)
		if warned := strings.Contains(server.Output(), "local accounts on a shared database need LOCAL_ACCOUNTS=on and SUPABASE_JWT_SECRET"); warned != (name == "PostgreSQL without a secret") {
			t.Errorf("%s: warned %v", name, warned)
		}
	}
	folder := t.TempDir()
	for setting, word := range map[string]string{"ENVIRONMENT=production": "not for production", "SUPABASE_URL=http://127.0.0.1:1": "contradicts"} {
		cmd := exec.CommandContext(t.Context(), gaiatest.Program(t), "serve")
		cmd.Dir, cmd.Env = folder, []string{"LOCAL_ACCOUNTS=on", "SERVICE_PORT=0", setting}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "LOCAL_ACCOUNTS") || !strings.Contains(string(out), word) {
			t.Errorf("with %s: %v\n%s", setting, err, out)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("files were written: %v, %v", left, err)
	}
}

// TestPasswordOfTheOperator: the command changes a password beside a running server.
func TestPasswordOfTheOperator(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, local(t, b))
		email := newAddress()
		lost := register(t, server, email)
		const next = "N3w-horse-battery"
		cmd := exec.CommandContext(t.Context(), gaiatest.Program(t), "accounts", "password", email)
		cmd.Dir, cmd.Stdin = t.TempDir(), strings.NewReader(next+"\n")
		for name, value := range b.Settings {
			cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%s", name, value))
		}
		if b.Name != "embedded" {
			cmd.Env = append(cmd.Env, "LOCAL_ACCOUNTS=on", "SUPABASE_JWT_SECRET="+gaiatest.JWTSecret)
		}
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), next) {
			t.Fatalf("%v\n%s", err, out)
		}
		c := server.Anonymous()
		c.Post(authPath+"login", passwordOf(email, localPassword)).Want(http.StatusBadRequest)
		c.Post(authPath+"login", passwordOf(email, next)).Want(http.StatusOK)
		refresh(server, lost.refresh).Want(http.StatusBadRequest)
	})
}
