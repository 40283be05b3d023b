package domain

import (
	"encoding/json"
	"strings"
	"time"
)

// Subjects of the events. The names are part of the contract with other services.
const (
	SubjectServiceHealth = "gaia.service.health"
	SubjectServiceReady  = "gaia.service.ready"

	// Answered with a ServiceHealthEvent by any process that carries out the service.
	SubjectServiceGatewayRequest = "gaia.service.gateway.request"
	SubjectServiceAuthRequest    = "gaia.service.auth.request"
	SubjectServiceAssetRequest   = "gaia.service.asset.request"
	SubjectServiceChatRequest    = "gaia.service.chat.request"

	SubjectChatStart     = "gaia.chat.message.start"
	SubjectChatComplete  = "gaia.chat.message.complete"
	SubjectChatFailed    = "gaia.chat.message.failed"
	SubjectUsageRecorded = "gaia.usage.recorded"

	SubjectPersonaCreated = "gaia.chat.persona.created"
	SubjectPersonaUpdated = "gaia.chat.persona.updated"
	SubjectPersonaDeleted = "gaia.chat.persona.deleted"
	SubjectPersonaChosen  = "gaia.chat.persona.chosen"

	SubjectConversationCreated = "gaia.chat.conversation.created"
	SubjectConversationCleared = "gaia.chat.conversation.cleared"
	SubjectConversationDeleted = "gaia.chat.conversation.deleted"

	SubjectAssetUploaded = "gaia.asset.uploaded"
	SubjectAssetDeleted  = "gaia.asset.deleted"

	SubjectCacheInvalid = "gaia.cache.invalidate"
	SubjectWorkOffered  = "gaia.work.offered"
	SubjectWorkSignal   = "gaia.work.signal"

	SubjectGenerationOffered = "gaia.work.generation.offered"
	SubjectGenerationSignal  = "gaia.work.generation.signal"

	SubjectAuthLogin            = "gaia.auth.login"
	SubjectAuthLogout           = "gaia.auth.logout"
	SubjectAuthRefresh          = "gaia.auth.refresh"
	SubjectAuthValidationFailed = "gaia.auth.validation_failed"
	SubjectAuthKeyCreated       = "gaia.auth.key_created"
	SubjectAuthKeyRevoked       = "gaia.auth.key_revoked"

	SubjectWorkflowStarted        = "gaia.workflow.started"
	SubjectWorkflowStepStarted    = "gaia.workflow.step_started"
	SubjectWorkflowStepCompleted  = "gaia.workflow.step_completed"
	SubjectWorkflowStepFailed     = "gaia.workflow.step_failed"
	SubjectWorkflowCompleted      = "gaia.workflow.completed"
	SubjectWorkflowFailed         = "gaia.workflow.failed"
	SubjectWorkflowCancelled      = "gaia.workflow.cancelled"
	SubjectWorkflowOutcomeUnknown = "gaia.workflow.outcome_unknown"

	SubjectAssetGenerationStarted   = "gaia.asset.generation.started"
	SubjectAssetGenerationProgress  = "gaia.asset.generation.progress"
	SubjectAssetGenerationCompleted = "gaia.asset.generation.completed"
	SubjectAssetGenerationFailed    = "gaia.asset.generation.failed"
	SubjectAssetGenerationCancelled = "gaia.asset.generation.cancelled"

	SubjectToolCalled   = "gaia.tool.called"
	SubjectToolReturned = "gaia.tool.returned"
)

// subjectAuth stands before the action of an audit entry.
const subjectAuth = "gaia.auth."

// Event is a fact that other services may want to know.
type Event struct {
	ID      string // UUID; who hears an event twice knows it by this. Empty for events that nobody stores
	Subject string
	Payload any // one of the ...Event types of this file
}

// Data is the payload as it goes over the bus: JSON with times in UTC.
func (e Event) Data() ([]byte, error) {
	switch p := e.Payload.(type) {
	case ServiceHealthEvent:
		p.Timestamp = p.Timestamp.UTC()
		return json.Marshal(p)
	case ChatMessageEvent:
		p.Timestamp = p.Timestamp.UTC()
		return json.Marshal(p)
	case UsageRecordedEvent:
		p.Timestamp = p.Timestamp.UTC()
		return json.Marshal(p)
	case PersonaEvent:
		p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
		return json.Marshal(p)
	case ConversationEvent:
		p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
		return json.Marshal(p)
	case AssetEvent:
		p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
		return json.Marshal(p)
	case AuthEvent:
		p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
		return json.Marshal(p)
	case WorkflowProgressEvent:
		p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
		return json.Marshal(p)
	case AssetGenerationEvent:
		p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
		return json.Marshal(p)
	case ToolCalledEvent:
		p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
		return json.Marshal(p)
	case ToolReturnedEvent:
		p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
		return json.Marshal(p)
	default:
		return json.Marshal(p)
	}
}

// LastWord is what a subject says has happened.
func LastWord(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// StoredEvent is an event that waits in the outbox.
type StoredEvent struct {
	ID      string // UUID
	Subject string
	Data    []byte // JSON
	Trace   string // of what caused it, see TraceOf
}

// EventBatch is what an outbox hands out to be sent.
type EventBatch struct {
	Events []StoredEvent
	// Doubt says that a sender got some of the events before and that nobody knows what came of it: it may have died after the bus had them.
	Doubt bool
	// Since is where the bus stood, in the sender's own words, when there was no doubt about any event; empty when that is not known.
	Since string
}

// States of a ServiceHealthEvent.
const (
	ServiceHealthy   = "healthy" // enough to be used; Details.Reason says what is not well
	ServiceUnhealthy = "unhealthy"
	ServiceStarting  = "starting"
	ServiceStopping  = "stopping"
)

// ServiceHealthEvent tells how a service is in one process.
type ServiceHealthEvent struct {
	ServiceName string         `json:"service_name"`
	Status      string         `json:"status"`
	Timestamp   time.Time      `json:"timestamp"`
	Details     ServiceDetails `json:"details"`
}

// ServiceDetails tell which process a ServiceHealthEvent is about, and how busy that is.
type ServiceDetails struct {
	Version     string    `json:"version"`            // of the program
	Instance    string    `json:"instance"`           // names the process for as long as it runs
	Sequence    int64     `json:"sequence,omitempty"` // grows with each event of the process; 0: an older process, which does not count
	MicroID     string    `json:"micro_id"`           // of the service in it, for $SRV; empty when nobody is answered there
	Host        string    `json:"host"`               // of the machine
	Services    []Service `json:"services"`           // of the process
	Uptime      float64   `json:"uptime_seconds"`
	Heartbeat   float64   `json:"heartbeat_seconds"` // between two of these events when nothing changes
	Requests    int       `json:"active_requests"`
	Connections int       `json:"connections"`
	MemoryBytes uint64    `json:"memory_bytes"`
	CPUPercent  float64   `json:"cpu_percent"` // of one core
	Reason      string    `json:"reason,omitempty"`
}

// ChatMessageEvent tells about one message. It never holds text of the conversation.
type ChatMessageEvent struct {
	MessageID string         `json:"message_id"`
	UserID    string         `json:"user_id"` // Principal.OwnerID
	PersonaID *string        `json:"persona_id"`
	Status    string         `json:"status"` // started, completed, failed
	Timestamp time.Time      `json:"timestamp"`
	Details   map[string]any `json:"details"`
}

// PersonaEvent tells about a change of a persona, or that a caller chose it. It never holds its prompt or another text of it.
type PersonaEvent struct {
	PersonaID string         `json:"persona_id"`
	UserID    string         `json:"user_id"` // who did it: Principal.OwnerID
	Status    string         `json:"status"`  // created, updated, deleted, chosen
	Timestamp time.Time      `json:"timestamp"`
	Details   PersonaDetails `json:"details"`
}

// PersonaDetails tell how the persona is after the change.
type PersonaDetails struct {
	Active  bool `json:"active"`
	Default bool `json:"default"` // it answers who has chosen none
}

// ConversationEvent tells about a conversation as such. It never holds text of it, not even its title.
type ConversationEvent struct {
	ConversationID string    `json:"conversation_id"`
	UserID         string    `json:"user_id"` // Principal.OwnerID
	Status         string    `json:"status"`  // created, cleared, deleted
	Timestamp      time.Time `json:"timestamp"`
}

// AssetEvent tells that an asset was uploaded or deleted. It never holds text about it. Those that are made have an AssetGenerationEvent.
type AssetEvent struct {
	AssetID   string        `json:"asset_id"`
	UserID    string        `json:"user_id"` // whose it is: Principal.OwnerID; empty: the platform's
	AssetType AssetCategory `json:"asset_type"`
	Status    string        `json:"status"` // uploaded, deleted
	Timestamp time.Time     `json:"timestamp"`
	Details   AssetDetails  `json:"details"`
}

// AssetDetails tell about the file of an uploaded asset.
type AssetDetails struct {
	Format string `json:"format,omitempty"`
	Bytes  int64  `json:"size_bytes,omitempty"`
}

// UsageRecordedEvent tells about one new row of the ledger.
type UsageRecordedEvent struct {
	RequestID    string      `json:"request_id"`
	Attempt      int         `json:"attempt"` // from 1
	UserID       string      `json:"user_id"` // Principal.OwnerID
	Provider     string      `json:"provider"`
	Model        string      `json:"model"`
	InputTokens  int         `json:"input_tokens"`
	OutputTokens int         `json:"output_tokens"`
	CostUSD      float64     `json:"cost_usd"`
	UsageSource  UsageSource `json:"usage_source"`
	Outcome      Outcome     `json:"outcome"`
	Timestamp    time.Time   `json:"timestamp"`
}

// AssetGenerationEvent tells about one event of the work on an asset, and has its id. It never holds text of the request.
type AssetGenerationEvent struct {
	AssetID   string              `json:"asset_id"` // of the work until it has another asset
	UserID    string              `json:"user_id"`  // Principal.OwnerID
	AssetType AssetCategory       `json:"asset_type"`
	Status    GenerationEventType `json:"status"` // what happened
	Timestamp time.Time           `json:"timestamp"`
	Details   map[string]any      `json:"details"`
}

// AuthEvent tells about one entry of the audit log, and has its id. It never holds a secret.
type AuthEvent struct {
	Action    AuditAction       `json:"action"`
	UserID    *string           `json:"user_id"` // Principal.OwnerID
	Subject   *string           `json:"subject"` // what it was done to
	Address   *string           `json:"address"` // of the client
	RequestID *string           `json:"request_id"`
	Timestamp time.Time         `json:"timestamp"`
	Details   map[string]string `json:"details"`
}

// ToolCalledEvent tells that a tool is going to be called. It has the id of the entry of the audit log, and never holds arguments or results.
type ToolCalledEvent struct {
	CallID        string    `json:"call_id"`
	Server        string    `json:"server"`
	Tool          string    `json:"tool"`
	UserID        string    `json:"user_id"` // Principal.OwnerID
	AuthType      AuthType  `json:"auth_type"`
	KeyID         *string   `json:"key_id"`
	RequestID     *string   `json:"request_id"` // null in a workflow, which no request waits for
	ArgumentBytes int64     `json:"argument_bytes"`
	Timestamp     time.Time `json:"timestamp"`
}

// ToolReturnedEvent tells how a call has ended.
type ToolReturnedEvent struct {
	ToolCalledEvent
	Outcome     ToolOutcome `json:"outcome"`
	DurationMS  int64       `json:"duration_ms"`
	ResultBytes int64       `json:"result_bytes"`
	Truncated   bool        `json:"truncated"`
}
