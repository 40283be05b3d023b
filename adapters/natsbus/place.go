package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gaia/domain"
)

// places say how far each stream was, by name. Gaia's events are in one stream, unless an operator has spread their subjects over several.
type places map[string]place

// place is a number in one stream. A stream that was made anew counts from one again.
type place struct {
	Made time.Time `json:"made"`
	Seq  uint64    `json:"seq"`
}

const (
	lookBatch = 2048
	lookLease = 10 * time.Second // after that the server forgets a look that nobody goes on with
)

// readPlaces reads what String has written. What can't be read counts as unknown: then the whole stream is looked through.
func readPlaces(text string) places {
	at := places{}
	if json.Unmarshal([]byte(text), &at) != nil || at == nil {
		return places{}
	}
	return at
}

func (p places) String() string {
	text, _ := json.Marshal(p) // a map of numbers and times
	return string(text)
}

// reached notes a confirmation.
func (b *Bus) reached(ctx context.Context, at places, ack *jetstream.PubAck) error {
	made, known := b.sender.made[ack.Stream]
	if !known {
		stream, err := b.sender.js.Stream(ctx, ack.Stream)
		if err != nil {
			return err
		}
		made = stream.CachedInfo().Created.UTC()
		b.sender.made[ack.Stream] = made
	}
	if before := at[ack.Stream]; !before.Made.Equal(made) || before.Seq < ack.Sequence {
		at[ack.Stream] = place{Made: made, Seq: ack.Sequence}
	}
	return nil
}

// inStream tells which of the events the bus has, by looking through what came after the given places.
func (b *Bus) inStream(ctx context.Context, events []domain.StoredEvent, at places) (map[string]bool, error) {
	wanted := make(map[string]bool, len(events))
	for _, e := range events {
		wanted[e.ID] = true
	}
	streams, err := b.streamsOf(ctx, events)
	if err != nil {
		return nil, fmt.Errorf("look for events: %w", err)
	}
	found := map[string]bool{}
	for _, name := range streams {
		if err := b.look(ctx, name, at[name], wanted, found); err != nil {
			return nil, fmt.Errorf("look for events in stream %s: %w", name, err)
		}
	}
	if len(found) > 0 {
		b.cfg.Logger.Info("events were in the stream already", "events", len(found))
	}
	return found, nil
}

// streamsOf names the streams that the events go into.
func (b *Bus) streamsOf(ctx context.Context, events []domain.StoredEvent) ([]string, error) {
	if b.stream.known.Load() == streamThere {
		return []string{b.streamName()}, nil
	}
	var names []string
	subjects, have := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		if subjects[e.Subject] {
			continue
		}
		subjects[e.Subject] = true
		name, err := b.sender.js.StreamNameBySubject(ctx, b.subject(e.Subject))
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !have[name] {
			have[name] = true
			names = append(names, name)
		}
	}
	return names, nil
}

// look notes which of the wanted ids a stream holds behind a place. It reads no payloads. What the time is too short for is left to the next call.
func (b *Bus) look(ctx context.Context, name string, behind place, wanted, found map[string]bool) error {
	stream, err := b.sender.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	first, last := max(info.State.FirstSeq, 1), info.State.LastSeq
	if info.Created.Equal(behind.Made) && behind.Seq <= last {
		first = max(first, behind.Seq+1)
	}
	l := b.sender.looking(name, info.Created, first, wanted)
	defer l.tell(wanted, found)
	if first = max(first, l.next); first > last || info.State.Msgs == 0 || l.done() {
		return nil
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first, AckPolicy: jetstream.AckNonePolicy,
		HeadersOnly: true, MemoryStorage: true, InactiveThreshold: lookLease,
	})
	var refused *jetstream.APIError
	if errors.As(err, &refused) && info.Config.Retention != jetstream.LimitsPolicy {
		b.cfg.Logger.Warn("a stream that can't be read takes the events: some may come twice", "stream", name, "reason", refused.Description)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = stream.DeleteConsumer(ctx, consumer.CachedInfo().Name) }() // else the server does it a moment later
	if consumer.CachedInfo().NumPending == 0 {
		return nil // the last ones were deleted
	}
	if err := l.on(ctx, consumer, last); err != nil {
		return fmt.Errorf("%w: number %d of %d", err, l.next, last)
	}
	return nil
}
