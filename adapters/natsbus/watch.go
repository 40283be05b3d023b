package natsbus

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// watch decides when the bus may be called connected: when the server has confirmed the subscription again and the listener knows
// that it may have missed something. The library's own state is ahead of both.
func (b *Bus) watch() {
	retry := time.NewTimer(confirmWait)
	retry.Stop() // the first connection is signalled as all others are: a look before that would forget everything twice
	defer retry.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-b.changed:
		case <-retry.C:
		}
		if !b.conn.IsConnected() {
			continue
		}
		outages, missed := b.state()
		if err := b.conn.FlushTimeout(confirmWait); err != nil {
			retry.Reset(reconnectWait)
			continue
		}
		if missed != nil {
			missed()
		}
		b.restored(outages)
	}
}

func (b *Bus) state() (outages int, missed func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outages, b.missed
}

// restored marks the bus connected unless it went away again since the given count of outages.
func (b *Bus) restored(outages int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing || b.outages != outages {
		return
	}
	if !b.connected.Swap(true) {
		b.cfg.Logger.Info("bus connected", "server", b.conn.ConnectedServerName())
		if b.back != nil {
			b.back()
		}
	}
}

func (b *Bus) disconnected(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outages++
	b.stream.forget() // the next server may be another one
	b.workflows.state.forget()
	b.generations.state.forget()
	if b.connected.Swap(false) && !b.closing {
		b.cfg.Logger.Warn("bus disconnected, going on without it", "error", err)
	}
}

func (b *Bus) givenUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connected.Store(false)
	if !b.closing {
		b.cfg.Logger.Error("bus given up", "attempts", b.cfg.MaxReconnects)
	}
}

func (b *Bus) failed(err error) {
	b.cfg.Logger.Warn("bus error", "error", err)
	if errors.Is(err, nats.ErrSlowConsumer) {
		b.signalChange() // announcements were dropped
	}
}

func (b *Bus) signalChange() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// Connected implements ports.InvalidationBus.
func (b *Bus) Connected() bool { return b.connected.Load() }
