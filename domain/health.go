package domain

import "time"

// Status says how a part or the whole is. The words are part of the HTTP contract.
type Status string

// The states.
const (
	Healthy   Status = "healthy"
	Degraded  Status = "degraded"
	Unhealthy Status = "unhealthy"
	Disabled  Status = "disabled" // not configured; does not make the whole worse
)

// PartHealth is the state of one part: a database, a cache, a bus, a service.
type PartHealth struct {
	Status       Status
	Detail       string        // why it is not healthy, safe for clients; empty when it is
	ResponseTime time.Duration // of the check; zero when nothing was asked
}
