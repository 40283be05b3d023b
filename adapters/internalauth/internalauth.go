// Package internalauth signs and verifies what services tell each other about a caller: one header that is good for one service and for
// thirty seconds. It must not decide what a caller may do, and knows no HTTP.
//
// The header is
//
//	v1.<payload>.<signature>
//
// both in base64url without padding. The payload is a JSON object with the keys of payload in their order and without spaces, as
// encoding/json writes it without escaping HTML. The signature is the HMAC-SHA256, with INTERNAL_AUTH_SECRET, of "gaia-identity.v1."
// and the encoded payload. There is one encoding of everything: whatever decodes to the same and is written otherwise is refused. The key
// "tls" is there for API keys alone; a header for a key without it, as releases before it sign, is good and allows no tool.
package internalauth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gaia/domain"
	"gaia/ports"
)

const (
	// Lifetime is for how long a header is good, by the clock of who has signed it.
	Lifetime = 30 * time.Second
	// Skew is by how much the clock of who signs may be ahead. One that is behind shortens the lifetime.
	Skew = 5 * time.Second
	// MinSecret is the shortest secret in bytes.
	MinSecret = 32

	version   = "v1"
	signedFor = "gaia-identity." + version + "." // no other use of the secret signs what begins like this
	maxHeader = 32 << 10                         // bytes; a key may have many scopes and patterns of tools
)

// payload is what is signed. The order of its fields is part of the format.
type payload struct {
	Audience  string          `json:"aud"` // the service that may believe it, or its SERVICE_NAME
	IssuedAt  int64           `json:"iat"` // milliseconds since 1970
	ExpiresAt int64           `json:"exp"`
	RequestID string          `json:"rid"`
	Type      domain.AuthType `json:"typ"` // empty: nobody has proved anything
	UserID    string          `json:"uid"`
	KeyID     string          `json:"kid"`
	Scopes    []string        `json:"scp"` // never null
	KeyEnds   int64           `json:"kxp"` // when the key expires, in milliseconds since 1970; 0: never
	Tools     toolList        `json:"tls,omitzero"`
}

// toolList is which tools a key may use: null when it has no list. It is there for keys and for nobody else. Where it is missing, an older release
// has signed for a key, whose list nobody knows: it may use none.
type toolList struct {
	told bool
	list []string
}

// IsZero is for encoding/json.
func (l toolList) IsZero() bool { return !l.told }

// MarshalJSON is for encoding/json.
func (l toolList) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(l.list)
	return b.Bytes(), err
}

// UnmarshalJSON is for encoding/json.
func (l *toolList) UnmarshalJSON(data []byte) error {
	l.told = true
	return json.Unmarshal(data, &l.list)
}

// patterns are the list, as Principal.Tools has it.
func (l toolList) patterns(of domain.AuthType) []string {
	if of == domain.AuthUserAPIKey && !l.told {
		return []string{}
	}
	return l.list
}

// strict has one encoding of everything: leftover bits must be zero.
var strict = base64.RawURLEncoding.Strict()

// Signer signs for services that share its secret.
type Signer struct {
	secret []byte
	now    ports.Clock
}

// NewSigner refuses secrets that are too short.
func NewSigner(secret string, now ports.Clock) (*Signer, error) {
	if err := checkSecret(secret); err != nil {
		return nil, err
	}
	return &Signer{[]byte(secret), now}, nil
}

func checkSecret(secret string) error {
	if len(secret) < MinSecret {
		return fmt.Errorf("internal secret: shorter than %d bytes", MinSecret)
	}
	return nil
}

// Sign makes the header that tells one service about a request.
func (s *Signer) Sign(f domain.Forwarded, audience string) (string, error) {
	now := s.now()
	p := payload{
		Audience: audience, IssuedAt: now.UnixMilli(), ExpiresAt: now.Add(Lifetime).UnixMilli(), RequestID: f.RequestID,
		Type: f.Principal.Type, UserID: f.Principal.UserID, KeyID: f.Principal.KeyID, Scopes: append([]string{}, f.Principal.Scopes...),
	}
	if p.Type == domain.AuthUserAPIKey || f.Principal.Tools != nil {
		p.Tools = toolList{told: true, list: f.Principal.Tools}
	}
	if ends := f.Principal.Expires; !ends.IsZero() {
		p.KeyEnds = ends.Add(time.Millisecond - 1).UnixMilli() // rounded up, so that a key can replace itself
	}
	if err := p.check(); err != nil {
		return "", fmt.Errorf("internalauth sign: %w", err)
	}
	raw, err := p.encode()
	if err != nil {
		return "", fmt.Errorf("internalauth sign: %w", err)
	}
	body := strict.EncodeToString(raw)
	header := version + "." + body + "." + strict.EncodeToString(sign(s.secret, body))
	if len(header) > maxHeader {
		return "", fmt.Errorf("internalauth sign: %d bytes are too many", len(header))
	}
	return header, nil
}

func sign(secret []byte, body string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signedFor))
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

func (p payload) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(p)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// check refuses what no signer has a reason to say.
func (p payload) check() error {
	var who bool // whether the ids go with the type
	switch p.Type {
	case "", domain.AuthAPIKey:
		who = p.UserID == "" && p.KeyID == "" && len(p.Scopes) == 0 && p.KeyEnds == 0 && !p.Tools.told
	case domain.AuthJWT:
		who = p.UserID != "" && p.KeyID == "" && len(p.Scopes) == 0 && p.KeyEnds == 0 && !p.Tools.told
	case domain.AuthUserAPIKey:
		who = (p.UserID != "" || p.KeyID != "") && p.KeyEnds >= 0
	}
	switch {
	case !who:
		return errors.New("the principal is of no kind that there is")
	case p.Audience == "":
		return errors.New("no audience")
	case p.UserID != "" && domain.IsReservedOwner(p.UserID):
		return errors.New("the user id is reserved")
	}
	return nil
}

// Verifier believes what was signed for one process, which may be several services.
type Verifier struct {
	secrets   [][]byte
	audiences []string
	now       ports.Clock
}

// NewVerifier makes a verifier for a process with these names. previous, which may be empty, is the secret before the current one, so that
// services can be given a new one one after the other.
func NewVerifier(current, previous string, audiences []string, now ports.Clock) (*Verifier, error) {
	v := &Verifier{audiences: audiences, now: now}
	for i, secret := range []string{current, previous} {
		if i > 0 && secret == "" {
			continue
		}
		if err := checkSecret(secret); err != nil {
			return nil, err
		}
		v.secrets = append(v.secrets, []byte(secret))
	}
	if len(audiences) == 0 || slices.Contains(audiences, "") {
		return nil, errors.New("internalauth: no audience")
	}
	return v, nil
}

// msgRefused is what every caller reads: which part was wrong is nobody's business.
const msgRefused = "Not authenticated. This address answers other services alone, which sign their requests."

// Verify returns what a header tells. Any that is not good is domain.Unauthenticated.
func (v *Verifier) Verify(header string) (domain.Forwarded, error) {
	p, err := v.open(header)
	if err != nil {
		return domain.Forwarded{}, &domain.Error{Kind: domain.Unauthenticated, Message: msgRefused, Cause: fmt.Errorf("internalauth: %w", err)}
	}
	f := domain.Forwarded{RequestID: p.RequestID, Principal: domain.Principal{
		Type: p.Type, UserID: p.UserID, KeyID: p.KeyID, Tools: p.Tools.patterns(p.Type),
	}}
	if len(p.Scopes) > 0 {
		f.Principal.Scopes = p.Scopes
	}
	if p.KeyEnds > 0 {
		f.Principal.Expires = time.UnixMilli(p.KeyEnds).UTC()
	}
	return f, nil
}

func (v *Verifier) open(header string) (payload, error) {
	if len(header) > maxHeader {
		return payload{}, errors.New("too long")
	}
	parts := strings.Split(header, ".")
	if len(parts) != 3 || parts[0] != version {
		return payload{}, errors.New("of another form")
	}
	signature, err := strict.DecodeString(parts[2])
	if err != nil || !v.signed(parts[1], signature) {
		return payload{}, errors.New("not signed by a secret of ours")
	}
	raw, err := strict.DecodeString(parts[1])
	if err != nil {
		return payload{}, errors.New("no base64")
	}
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return payload{}, errors.New("no JSON of ours")
	}
	if again, err := p.encode(); err != nil || p.Scopes == nil || !bytes.Equal(raw, again) {
		return payload{}, errors.New("not in the one encoding")
	}
	return p, v.judge(p)
}

// signed compares with all secrets, so that the time does not tell which one it was.
func (v *Verifier) signed(body string, signature []byte) bool {
	good := false
	for _, secret := range v.secrets {
		good = hmac.Equal(sign(secret, body), signature) || good
	}
	return good
}

func (v *Verifier) judge(p payload) error {
	now := v.now().UnixMilli()
	lifetime := p.ExpiresAt - p.IssuedAt
	switch {
	case !slices.Contains(v.audiences, p.Audience):
		return errors.New("meant for another service")
	case lifetime <= 0 || lifetime > Lifetime.Milliseconds():
		return errors.New("no lifetime of ours")
	case p.IssuedAt > now+Skew.Milliseconds():
		return errors.New("from the future")
	case now >= p.ExpiresAt:
		return errors.New("expired")
	}
	return p.check()
}
