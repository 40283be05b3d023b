package domain

import "time"

// Subjects of the events. The names are part of the contract with other services.
const (
	SubjectServiceHealth = "gaia.service.health"
	SubjectServiceReady  = "gaia.service.ready"
	SubjectChatStart     = "gaia.chat.message.start"
	SubjectChatComplete  = "gaia.chat.message.complete"
	SubjectChatFailed    = "gaia.chat.message.failed"
	SubjectCacheInvalid  = "gaia.cache.invalidate"
)

// Event is a fact that other services may want to know.
type Event struct {
	Subject string
	Payload any // ServiceHealthEvent or ChatMessageEvent
}

// ServiceHealthEvent tells how a service is.
type ServiceHealthEvent struct {
	ServiceName string         `json:"service_name"`
	Status      string         `json:"status"` // healthy, unhealthy, starting, stopping
	Timestamp   time.Time      `json:"timestamp"`
	Details     map[string]any `json:"details"`
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
