package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// ProbeFunc is a ports.Probe.
type ProbeFunc func(context.Context) domain.PartHealth

// Check implements ports.Probe.
func (f ProbeFunc) Check(ctx context.Context) domain.PartHealth { return f(ctx) }

// Constant is the probe of what does not change while the process runs.
func Constant(status domain.Status, detail string) ports.Probe {
	return ProbeFunc(func(context.Context) domain.PartHealth { return domain.PartHealth{Status: status, Detail: detail} })
}

// Weaken is a part without which a service is not quite well but can be used.
func Weaken(p ports.Probe) ports.Probe {
	return ProbeFunc(func(ctx context.Context) domain.PartHealth {
		part := p.Check(ctx)
		if part.Status == domain.Unhealthy {
			part.Status = domain.Degraded
		}
		return part
	})
}

// Check implements ports.Probe: it tells whether chats can be answered, by what requests have met. Nobody is asked for that: it would cost money.
func (m *Models) Check(context.Context) domain.PartHealth {
	states := m.Providers()
	switch Overall(states) {
	case domain.Healthy:
		return domain.PartHealth{Status: domain.Healthy}
	case domain.Degraded:
		return domain.PartHealth{Status: domain.Degraded, Detail: "Some providers fail"}
	default:
		for _, s := range states {
			if s.Configured {
				return domain.PartHealth{Status: domain.Unhealthy, Detail: "All providers fail"}
			}
		}
		return domain.PartHealth{Status: domain.Unhealthy, Detail: "No provider is configured"}
	}
}

const (
	storageWait = 1500 * time.Millisecond // below what Health gives to all parts
	storageAway = 5 * time.Second         // after which a storage that was away is asked again
	nothingKey  = "health/nothing"        // names a file that nobody has
)

// storageProbe asks the storage of files for one that is not there.
type storageProbe struct{ *fresh[domain.PartHealth] }

// NewStorageProbe tells whether a storage of files answers. Whoever keeps it may charge for the question, so one that is well is believed for a
// time.
func NewStorageProbe(blobs ports.BlobStore, believed time.Duration, now ports.Clock) ports.Probe {
	look := func(ctx context.Context) domain.PartHealth {
		began := now()
		file, _, err := blobs.Open(ctx, nothingKey)
		if err == nil {
			_ = file.Close()
		}
		part := domain.PartHealth{Status: domain.Healthy, ResponseTime: now().Sub(began)}
		if err != nil && domain.KindOf(err) != domain.NotFound {
			part.Status, part.Detail = domain.Unhealthy, storageFault(err)
		}
		return part
	}
	return storageProbe{&fresh[domain.PartHealth]{look: look, wait: storageWait, now: now, age: func(p domain.PartHealth) time.Duration {
		if p.Status == domain.Healthy {
			return believed
		}
		return min(storageAway, believed)
	}}}
}

func storageFault(err error) string {
	var known *domain.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return "The storage of files does not answer"
}

// Check implements ports.Probe.
func (p storageProbe) Check(ctx context.Context) domain.PartHealth {
	part, err := p.get(ctx)
	if err != nil {
		return domain.PartHealth{Status: domain.Unhealthy, Detail: storageFault(err)}
	}
	return part
}

// ToolsProbe tells how the servers of tools are, of which so many are wanted and so many are away. Names are not told: anybody may ask.
func ToolsProbe(count func() (wanted, away int)) ports.Probe {
	return ProbeFunc(func(context.Context) domain.PartHealth {
		switch wanted, away := count(); {
		case wanted == 0:
			return domain.PartHealth{Status: domain.Disabled}
		case away == 0:
			return domain.PartHealth{Status: domain.Healthy}
		default:
			return domain.PartHealth{Status: domain.Degraded, Detail: fmt.Sprintf("%d of %d tool servers away", away, wanted)}
		}
	})
}
