package ports

import (
	"context"

	"gaia/domain"
)

// Probe asks one part of the system how it is. It must answer within the deadline of ctx and must not fail: trouble is a status.
type Probe interface {
	Check(ctx context.Context) domain.PartHealth
}
