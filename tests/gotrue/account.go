package gotrue

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type user struct {
	id, identity, email, password string
	confirmed, banned             bool
	data                          map[string]any
	created, signedIn             time.Time
}

// session keeps every refresh token that it had; the last is the current one.
type session struct {
	id      string
	user    *user
	opened  time.Time
	tokens  []string
	revoked bool // an old token was used again
}

// Confirm confirms an address.
func (s *Server) Confirm(email string) { s.edit(email, func(u *user) { u.confirmed = true }) }

// Ban suspends an account.
func (s *Server) Ban(email string) { s.edit(email, func(u *user) { u.banned = true }) }

// Delete removes an account.
func (s *Server) Delete(email string) {
	s.edit(email, func(u *user) {
		delete(s.users, u.email)
		maps.DeleteFunc(s.sessions, func(_ string, x *session) bool { return x.user == u })
	})
}

func (s *Server) edit(email string, change func(*user)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[email]; u != nil {
		change(u)
	}
}

type form struct {
	Email, Password, Type string
	Data                  map[string]any
	RefreshToken          string `json:"refresh_token"`
}

func (s *Server) form(w http.ResponseWriter, r *http.Request, failure string) (form, bool) {
	var f form
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		s.answer(w, r, failure)
		return form{}, false
	}
	f.Email = strings.ToLower(f.Email)
	return f, true
}

var address = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)

func (s *Server) signUp(w http.ResponseWriter, r *http.Request) {
	f, ok := s.form(w, r, "signup_malformed_json")
	if !ok {
		return
	}
	if fault := signUpFault(f); fault != "" {
		s.answer(w, r, fault)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[f.Email]; u != nil {
		switch {
		case !s.settings.Confirm:
			s.answer(w, r, "signup_duplicate_email")
		case u.confirmed:
			e := Named("signup_duplicate_confirmed_is_hidden")
			body := Fill(e.Body, s.anything).(map[string]any)
			body["email"] = f.Email
			s.send(w, r, e, body)
		default:
			s.answer(w, r, "signup_again_unconfirmed_within_60s")
		}
		return
	}
	u := &user{id: newID(), identity: newID(), email: f.Email, password: f.Password, confirmed: !s.settings.Confirm, data: f.Data, created: time.Now()}
	s.users[f.Email] = u
	if !u.confirmed {
		e := Named("signup_needs_confirmation")
		s.send(w, r, e, s.show(e.Body, u))
		return
	}
	s.open(w, r, "signup_ok", u)
}

func signUpFault(f form) string {
	switch {
	case f.Email == "":
		return "signup_missing_email"
	case f.Password == "":
		return "signup_missing_password"
	case len(f.Password) > 72:
		return "signup_password_73_bytes"
	case !address.MatchString(f.Email):
		return "signup_bad_email"
	case len(f.Password) < 6:
		return "signup_weak_password"
	default:
		return ""
	}
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if s.limited(w, r) {
		return
	}
	switch r.URL.Query().Get("grant_type") {
	case "password":
		s.login(w, r)
	case "refresh_token":
		s.refresh(w, r)
	default:
		s.answer(w, r, "token_grant_type_unknown")
	}
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	f, ok := s.form(w, r, "token_password_malformed_json")
	if !ok {
		return
	}
	if f.Email == "" {
		s.answer(w, r, "token_password_missing_email")
		return
	}
	s.mu.Lock()
	u := s.users[f.Email]
	banned := u != nil && u.banned
	s.mu.Unlock()
	switch {
	case u == nil:
		s.answer(w, r, "token_password_unknown_user")
		return
	case banned: // before the password is looked at
		s.answer(w, r, "token_password_banned_user")
		return
	case s.settings.HashTime > 0:
		<-time.After(s.settings.HashTime)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case u.password != f.Password:
		s.answer(w, r, "token_password_wrong_password")
	case !u.confirmed:
		s.answer(w, r, "token_password_not_confirmed")
	default:
		s.open(w, r, "token_password_ok", u)
	}
}

// open begins a session and answers with it.
func (s *Server) open(w http.ResponseWriter, r *http.Request, name string, u *user) {
	u.signedIn = time.Now()
	x := &session{id: newID(), user: u, opened: u.signedIn, tokens: []string{newRefreshToken()}}
	s.sessions[x.id] = x
	s.sendSession(w, r, name, x)
}

func (s *Server) sendSession(w http.ResponseWriter, r *http.Request, name string, x *session) {
	now := time.Now()
	expires := now.Add(s.settings.Lifetime)
	e := Named(name)
	body := Fill(e.Body, func(key, placeholder string) any {
		switch key {
		case "access_token":
			return s.keys.token(s.claims(x, now, expires))
		case "refresh_token":
			return x.tokens[len(x.tokens)-1]
		case "expires_at":
			return expires.Unix()
		default:
			return placeholder
		}
	}).(map[string]any)
	body["expires_in"] = int(s.settings.Lifetime.Seconds())
	body["user"] = s.show(body["user"], x.user)
	w.Header().Set("Sb-Auth-Session-Id", x.id)
	w.Header().Set("Sb-Auth-User-Id", x.user.id)
	s.send(w, r, e, body)
}

func (s *Server) claims(x *session, now, expires time.Time) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": s.URL() + s.settings.Prefix, "sub": x.user.id, "aud": "authenticated", "exp": expires.Unix(), "iat": now.Unix(),
		"email": x.user.email, "phone": "", "app_metadata": map[string]any{"provider": "email", "providers": []string{"email"}},
		"user_metadata": metadata(x.user), "role": "authenticated", "aal": "aal1",
		"amr": []any{map[string]any{"method": "password", "timestamp": x.opened.Unix()}}, "session_id": x.id, "is_anonymous": false,
	}
}

func metadata(u *user) map[string]any {
	m := map[string]any{"email": u.email, "email_verified": u.confirmed, "phone_verified": false, "sub": u.id}
	maps.Copy(m, u.data)
	return m
}

// show is a user in the form of a recorded one.
func (s *Server) show(recorded any, u *user) map[string]any {
	shown := Fill(recorded, func(key, placeholder string) any {
		switch key {
		case "id", "user_id", "sub":
			return u.id
		case "identity_id":
			return u.identity
		case "last_sign_in_at":
			return u.signedIn.Format(time.RFC3339Nano)
		default:
			if placeholder == "<timestamp>" {
				return u.created.Format(time.RFC3339Nano)
			}
			return placeholder
		}
	}).(map[string]any)
	shown["email"], shown["user_metadata"] = u.email, metadata(u)
	for _, identity := range shown["identities"].([]any) {
		identity := identity.(map[string]any)
		identity["email"], identity["identity_data"] = u.email, metadata(u)
	}
	return shown
}

var refreshToken = regexp.MustCompile(`^[a-z0-9]{12}$`)

func newRefreshToken() string { return strings.ToLower(rand.Text()[:12]) }

func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	f, ok := s.form(w, r, "token_refresh_malformed_json")
	if !ok {
		return
	}
	if !refreshToken.MatchString(f.RefreshToken) {
		s.answer(w, r, "token_refresh_garbage_not_12_chars")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, age := s.find(f.RefreshToken)
	switch {
	case x == nil:
		s.answer(w, r, "token_refresh_garbage_12_chars")
	case x.user.banned:
		s.answer(w, r, "token_refresh_banned_user")
	case x.revoked || age > 1:
		x.revoked = true
		s.answer(w, r, "token_refresh_reuse_detected")
	default:
		if age == 0 {
			x.tokens = append(x.tokens, newRefreshToken())
		}
		s.sendSession(w, r, "token_refresh_ok", x)
	}
}

// find returns the session of a refresh token, and how many tokens came after it.
func (s *Server) find(token string) (*session, int) {
	for _, x := range s.sessions {
		for i, t := range x.tokens {
			if t == token {
				return x, len(x.tokens) - 1 - i
			}
		}
	}
	return nil, 0
}

// caller returns the session of the access token, or answers why there is none. s.mu is held.
func (s *Server) caller(w http.ResponseWriter, r *http.Request) *session {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		s.answer(w, r, "user_no_authorization")
		return nil
	}
	claims, err := s.keys.claims(token)
	if err != nil {
		s.answer(w, r, "user_bad_signature")
		return nil
	}
	id, _ := claims["session_id"].(string)
	x := s.sessions[id]
	switch {
	case x == nil:
		s.answer(w, r, "user_unknown_session_claim")
	case x.user.banned:
		s.answer(w, r, "user_banned_user")
	default:
		return x
	}
	return nil
}

func (s *Server) user(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.caller(w, r); x != nil {
		e := Named("user_ok")
		s.send(w, r, e, s.show(e.Body, x.user))
	}
}

func (s *Server) updateUser(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.caller(w, r)
	if x == nil {
		return
	}
	f, ok := s.form(w, r, "signup_malformed_json")
	if !ok {
		return
	}
	if x.user.data == nil {
		x.user.data = map[string]any{}
	}
	maps.Copy(x.user.data, f.Data)
	e := Named("user_ok")
	s.send(w, r, e, s.show(e.Body, x.user))
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.caller(w, r)
	if x == nil {
		return
	}
	scope := r.URL.Query().Get("scope")
	ends := map[string]func(*session) bool{
		"local": func(y *session) bool { return y == x }, "others": func(y *session) bool { return y != x && y.user == x.user },
		"global": func(y *session) bool { return y.user == x.user }, "": func(y *session) bool { return y.user == x.user },
	}[scope]
	if ends == nil {
		s.answer(w, r, "logout_bad_scope")
		return
	}
	maps.DeleteFunc(s.sessions, func(_ string, y *session) bool { return ends(y) })
	s.answer(w, r, "logout_local_ok")
}

func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	f, ok := s.form(w, r, "recover_malformed_json")
	switch {
	case !ok:
	case f.Email == "":
		s.answer(w, r, "recover_missing_email")
	case !address.MatchString(f.Email):
		s.answer(w, r, "recover_bad_email")
	default:
		s.answer(w, r, "recover_ok")
	}
}

func (s *Server) resend(w http.ResponseWriter, r *http.Request) {
	f, ok := s.form(w, r, "recover_malformed_json")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch u := s.users[f.Email]; {
	case !ok:
	case f.Type != "signup":
		s.answer(w, r, "resend_missing_type")
	case f.Email == "":
		s.answer(w, r, "resend_missing_email")
	case !address.MatchString(f.Email):
		s.answer(w, r, "resend_bad_email")
	case u != nil && !u.confirmed:
		s.answer(w, r, "resend_signup_within_60s")
	default:
		s.answer(w, r, "resend_signup_unknown_user")
	}
}
