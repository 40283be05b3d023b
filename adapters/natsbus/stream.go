package natsbus

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bounds of the stream. It is a feed for other services and no archive: the truth is in the database.
const (
	streamAge   = 7 * 24 * time.Hour
	streamBytes = 128 << 20
	// An event that is sent twice within this time is stored once. JetStream keeps all ids of that time in memory, in an embedded
	// server in ours.
	duplicateWindow         = 10 * time.Minute
	duplicateWindowEmbedded = 2 * time.Minute
	streamWait              = 2 * time.Second
)

// errSubjectsTaken is JetStream's number for subjects that another stream has.
const errSubjectsTaken jetstream.ErrorCode = 10065

// What is known about the stream since the connection was made.
const (
	streamUnknown = iota
	streamThere
	streamForeign // another stream has the subjects
	streamless    // the server has no JetStream
)

type streamState struct {
	known    atomic.Int32
	ensuring sync.Mutex
	warned   bool // guarded by ensuring
}

// forget must not wait: it is called when the connection breaks.
func (s *streamState) forget() { s.known.Store(streamUnknown) }

// ensureStream makes the stream of events if need be, and reports whether there is one.
func (b *Bus) ensureStream(ctx context.Context) (stored bool, err error) {
	stored, err = b.ensure(ctx, &b.stream, b.streamConfig(), "events reach only who listens at the moment")
	return stored || b.stream.known.Load() == streamForeign, err
}

// ensure makes a stream if need be. It reports whether there is one of ours: a server may be without JetStream, and another stream may have
// the subjects. It says what that means, once.
func (b *Bus) ensure(ctx context.Context, s *streamState, wanted jetstream.StreamConfig, otherwise string) (stored bool, err error) {
	s.ensuring.Lock()
	defer s.ensuring.Unlock()
	if known := s.known.Load(); known != streamUnknown {
		return known == streamThere, nil
	}
	ctx, cancel := context.WithTimeout(ctx, streamWait)
	defer cancel()
	err = b.makeStream(ctx, wanted)
	var refused *jetstream.APIError
	switch {
	case err == nil:
		s.known.Store(streamThere)
	case b.without(err):
		s.known.Store(streamless)
		if !s.warned {
			s.warned = true
			b.cfg.Logger.Warn("the NATS server has no JetStream: " + otherwise)
		}
	case errors.As(err, &refused) && refused.ErrorCode == errSubjectsTaken:
		s.known.Store(streamForeign) // somebody has made a stream of their own for these subjects
		b.cfg.Logger.Info("subjects go into a stream that is there already", "stream", wanted.Name, "reason", refused.Description)
	default:
		return false, fmt.Errorf("stream %s: %w", wanted.Name, err)
	}
	return s.known.Load() == streamThere, nil
}

// without tells a server that has no JetStream from one that doesn't answer in time.
func (b *Bus) without(err error) bool {
	if errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return true
	}
	enabled, _ := b.conn.ConnectedServerJetStream()
	return !enabled && (errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, nats.ErrNoResponders))
}

// makeStream leaves a stream that exists as its operator has set it up, but for subjects that it lacks.
func (b *Bus) makeStream(ctx context.Context, wanted jetstream.StreamConfig) error {
	stream, err := b.js.Stream(ctx, wanted.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = b.js.CreateStream(ctx, wanted)
		return err
	}
	if err != nil {
		return err
	}
	config := stream.CachedInfo().Config
	before := len(config.Subjects)
	for _, subject := range wanted.Subjects {
		if !slices.ContainsFunc(config.Subjects, func(has string) bool { return matches(has, subject) }) {
			config.Subjects = append(config.Subjects, subject)
		}
	}
	if len(config.Subjects) == before {
		return nil
	}
	_, err = b.js.UpdateStream(ctx, config)
	return err
}

func (b *Bus) streamConfig() jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: b.streamName(), Description: "What happens in Gaia", Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		Storage: jetstream.FileStorage, MaxAge: streamAge, MaxBytes: streamBytes, Duplicates: duplicateWindow,
	}
	if !b.Shared() {
		c.Duplicates = duplicateWindowEmbedded
	}
	for _, of := range []string{"chat", "usage", "asset", "auth", "tool", "workflow"} {
		c.Subjects = append(c.Subjects, b.subject("gaia."+of+".>"))
	}
	return c
}

// streamName is the name of the stream of events.
func (b *Bus) streamName() string { return b.nameOf("GAIA_EVENTS") }

// nameOf is the name of a stream, with a prefix of the subjects followed by what makes it a name of its own.
func (b *Bus) nameOf(name string) string {
	prefix := b.cfg.SubjectPrefix
	if prefix == "" {
		return name
	}
	readable := strings.Map(func(r rune) rune {
		if r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, prefix)
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(prefix))
	return fmt.Sprintf("%s_%.40s_%08x", name, strings.Trim(readable, "_"), sum.Sum32())
}
