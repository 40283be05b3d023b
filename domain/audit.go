package domain

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// AuditAction is what somebody did, or tried to do, about identity.
type AuditAction string

// What is recorded. The words are the ends of the events' subjects.
const (
	AuditLogin            AuditAction = "login"
	AuditLogout           AuditAction = "logout"
	AuditRefresh          AuditAction = "refresh"
	AuditValidationFailed AuditAction = "validation_failed"
	AuditKeyCreated       AuditAction = "key_created"
	AuditKeyRevoked       AuditAction = "key_revoked"
)

// Names of details. The contract of events lists them too.
const (
	DetailReason    = "reason"     // why, in one word
	DetailAuthType  = "auth_type"  // an AuthType
	DetailName      = "name"       // of a key
	DetailPrefix    = "prefix"     // the public beginning of a key
	DetailReplaces  = "replaces"   // id of the key before it
	DetailExpiresAt = "expires_at" // RFC 3339
	DetailCount     = "count"      // how often, when one entry stands for several
	DetailSince     = "since"      // RFC 3339: when the first of several was
)

// AuditEntry is one row of the audit log, which is only ever added to. It must not hold secrets: no password, token, key or hash of one.
type AuditEntry struct {
	ID        string // UUID; the event that tells about it has it too
	At        time.Time
	Action    AuditAction
	Principal string            // Principal.OwnerID; empty when nobody is known
	Subject   string            // what it was done to: the id of a key, of a session; empty when there is none
	Address   string            // of the client; empty when unknown
	RequestID string            // of the HTTP request; empty outside of one
	Details   map[string]string // such as reason, auth_type, name; small
}

// Limits of what an entry may hold, in bytes. What is longer is cut.
const (
	maxAuditText    = 256
	maxAuditDetails = 16
)

// Tidy makes an entry fit to be stored: nothing about it may make that fail. Stores call it.
func (e AuditEntry) Tidy() AuditEntry {
	e.Principal, e.Subject, e.Address, e.RequestID = tidyAudit(e.Principal), tidyAudit(e.Subject), tidyAudit(e.Address), tidyAudit(e.RequestID)
	details := make(map[string]string, min(len(e.Details), maxAuditDetails))
	for name, value := range e.Details {
		if len(details) < maxAuditDetails && value != "" {
			details[tidyAudit(name)] = tidyAudit(value)
		}
	}
	e.Details = details
	return e
}

// auditSecret finds what has the shape of a whole key, a token or a hash. Nothing should bring one here; a user who names a key after
// itself does.
var auditSecret = regexp.MustCompile(`gaia_[A-Za-z0-9-]+_[A-Za-z0-9]{32}(?:_[A-Za-z0-9]{6})?|[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|\$argon2[a-z]*\$\S+|[0-9A-Fa-f]{64}`)

func tidyAudit(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD") // PostgreSQL keeps neither
	s = auditSecret.ReplaceAllString(s, "[secret]")                            // before the cut, which could hide the shape
	if len(s) <= maxAuditText {
		return s
	}
	end := maxAuditText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Event tells other services about an entry.
func (e AuditEntry) Event() Event {
	e = e.Tidy()
	return Event{ID: e.ID, Subject: subjectAuth + string(e.Action), Payload: AuthEvent{
		Action: e.Action, UserID: orNil(e.Principal), Subject: orNil(e.Subject), Address: orNil(e.Address), RequestID: orNil(e.RequestID),
		Timestamp: e.At, Details: e.Details,
	}}
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
