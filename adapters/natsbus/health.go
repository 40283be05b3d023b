package natsbus

import (
	"context"
	"time"

	"gaia/domain"
)

// checkWait keeps a health request from waiting for a server that hangs.
const checkWait = 40 * time.Millisecond

// Check implements ports.Probe.
func (b *Bus) Check(ctx context.Context) domain.PartHealth {
	if !b.Connected() {
		return domain.PartHealth{Status: domain.Unhealthy, Detail: "NATS is not connected"}
	}
	ctx, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	began := time.Now()
	err := b.conn.FlushWithContext(ctx)
	health := domain.PartHealth{Status: domain.Healthy, ResponseTime: time.Since(began)}
	if err != nil {
		health.Status, health.Detail = domain.Unhealthy, "NATS does not answer"
	}
	return health
}
