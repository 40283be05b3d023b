package domain

import "time"

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
