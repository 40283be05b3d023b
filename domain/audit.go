package domain

import (
	"strconv"
	"strings"
	"time"
)

// AuditAction is what somebody did, or tried to do, about identity, or with a tool.
type AuditAction string

// What is recorded. The words are the ends of the events' subjects.
const (
	AuditLogin            AuditAction = "login"
	AuditLogout           AuditAction = "logout"
	AuditRefresh          AuditAction = "refresh"
	AuditValidationFailed AuditAction = "validation_failed"
	AuditKeyCreated       AuditAction = "key_created"
	AuditKeyRevoked       AuditAction = "key_revoked"
	AuditToolCalled       AuditAction = "tool_called"   // is going to be
	AuditToolReturned     AuditAction = "tool_returned" // whatever the outcome; without tool_called when Gaia itself refused the call
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

	DetailCallID        = "call_id"        // of a call of a tool, the same in each entry about it
	DetailKeyID         = "key_id"         // with which it was asked for
	DetailArguments     = "arguments"      // as AuditArguments makes them; never part of an event
	DetailArgumentBytes = "argument_bytes" // of the whole arguments
	DetailOutcome       = "outcome"        // a ToolOutcome
	DetailResultBytes   = "result_bytes"   // of what the model gets
	DetailTruncated     = "truncated"      // "true" when there was more
)

// AuditEntry is one row of the audit log, which is only ever added to. It must not hold secrets: no password, token, key or hash of one.
type AuditEntry struct {
	ID        string // UUID; the event that tells about it has it too
	At        time.Time
	Action    AuditAction
	Principal string            // Principal.OwnerID; empty when nobody is known
	Subject   string            // what it was done to: the id of a key, of a session, of a tool; empty when there is none
	Address   string            // of the client; empty when unknown
	RequestID string            // of the HTTP request; empty outside of one
	Details   map[string]string // such as reason, auth_type, name; small
}

// Limits of what an entry may hold, in bytes. What is longer is cut.
const (
	maxAuditText      = 256
	maxAuditArguments = 1 << 10
	maxAuditDetails   = 16
)

// Tidy makes an entry fit to be stored: nothing about it may make that fail. Stores call it.
func (e AuditEntry) Tidy() AuditEntry {
	e.Principal, e.Subject, e.Address, e.RequestID = tidyAudit(e.Principal), tidyAudit(e.Subject), tidyAudit(e.Address), tidyAudit(e.RequestID)
	details := make(map[string]string, min(len(e.Details), maxAuditDetails))
	for name, value := range e.Details {
		if len(details) < maxAuditDetails && value != "" {
			limit := maxAuditText
			if name == DetailArguments {
				limit = maxAuditArguments
			}
			details[tidyAudit(name)] = tidyText(value, limit)
		}
	}
	e.Details = details
	return e
}

func tidyAudit(s string) string { return tidyText(s, maxAuditText) }

func tidyText(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD") // PostgreSQL keeps neither
	return cutText(maskSecrets(s), limit)                                      // in this order: a cut could hide the shape
}

// Event tells other services about an entry.
func (e AuditEntry) Event() Event {
	e = e.Tidy()
	switch e.Action {
	case AuditToolCalled:
		return Event{ID: e.ID, Subject: SubjectToolCalled, Payload: e.toolCalled()}
	case AuditToolReturned:
		return Event{ID: e.ID, Subject: SubjectToolReturned, Payload: ToolReturnedEvent{
			ToolCalledEvent: e.toolCalled(), Outcome: ToolOutcome(e.Details[DetailOutcome]), DurationMS: e.figure(DetailDurationMS),
			ResultBytes: e.figure(DetailResultBytes), Truncated: e.Details[DetailTruncated] == "true",
		}}
	default:
		return Event{ID: e.ID, Subject: subjectAuth + string(e.Action), Payload: AuthEvent{
			Action: e.Action, UserID: orNil(e.Principal), Subject: orNil(e.Subject), Address: orNil(e.Address), RequestID: orNil(e.RequestID),
			Timestamp: e.At, Details: e.Details,
		}}
	}
}

// toolCalled leaves out what the tool was told: an event holds no text of a conversation.
func (e AuditEntry) toolCalled() ToolCalledEvent {
	server, tool, _ := strings.Cut(e.Subject, "/")
	return ToolCalledEvent{
		CallID: e.Details[DetailCallID], Server: server, Tool: tool, UserID: e.Principal, AuthType: AuthType(e.Details[DetailAuthType]),
		KeyID: orNil(e.Details[DetailKeyID]), RequestID: orNil(e.RequestID), ArgumentBytes: e.figure(DetailArgumentBytes), Timestamp: e.At,
	}
}

// figure is a detail that is a number; 0 when it is none.
func (e AuditEntry) figure(detail string) int64 {
	n, _ := strconv.ParseInt(e.Details[detail], 10, 64)
	return n
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
