package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TailConfig says which events Tail reads, and where.
type TailConfig struct {
	URL           string // of one or more servers, with commas between
	SubjectPrefix string
	Name          string           // of this reader in the server's lists
	Subject       string           // without the prefix; * stands for one word and > for the rest
	Since         time.Duration    // how far back, from the streams that keep events; zero reads only what happens from now on
	Notice        func(string)     // hears how the connection is
	Now           func() time.Time // for what has no time of its own
}

// Told is an event as it was read from the bus.
type Told struct {
	Subject string // without the prefix
	ID      string // empty for what nobody stores
	Data    []byte
	At      time.Time // when the stream took it, or it was heard
}

const (
	tailBatch   = 256
	tailQueue   = 1 << 16
	tailOverlap = time.Minute // what a stream took so long before the reader came may be heard as well, on clocks that differ
	tailNotice  = "connection lost: what happens meanwhile is not shown, --since reads it later"
)

// CheckSubject says what is wrong with a subject that may have wildcards.
func CheckSubject(subject string) error {
	words := strings.Split(subject, ".")
	for i, word := range words {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return fmt.Errorf("%q is no subject: words with dots between", subject)
		}
		if word == ">" && i != len(words)-1 || len(word) > 1 && strings.ContainsAny(word, "*>") {
			return fmt.Errorf("%q is no subject: * stands for one whole word, > for all words at the end", subject)
		}
	}
	return nil
}

// Tail reads events until ctx ends, which is no error, or heard fails. It changes nothing on the bus.
func Tail(ctx context.Context, cfg TailConfig, heard func(Told) error) error {
	if err := errors.Join(CheckSubject(cfg.Subject), checkURL(cfg.URL)); err != nil {
		return err
	}
	conn, err := nats.Connect(cfg.URL, nats.Name(cfg.Name), nats.Timeout(connectTimeout), nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait), nats.PingInterval(pingInterval), nats.NoCallbacksAfterClientClose(),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { cfg.Notice(tailNotice) }),
		nats.ReconnectHandler(func(*nats.Conn) { cfg.Notice("connected again") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { cfg.Notice(err.Error()) }),
	)
	if err != nil {
		return fmt.Errorf("NATS can't be reached: %w", err)
	}
	defer conn.Close()
	live := make(chan *nats.Msg, tailQueue)
	if _, err := conn.ChanSubscribe(cfg.SubjectPrefix+cfg.Subject, live); err != nil {
		return err
	}
	if err := conn.FlushTimeout(connectTimeout); err != nil {
		return fmt.Errorf("NATS does not answer: %w", err)
	}
	t := tail{TailConfig: cfg, heard: heard, told: map[string]bool{}}
	if cfg.Since > 0 {
		if err := t.replay(ctx, conn); err != nil {
			return endOf(ctx, err)
		}
	}
	cfg.Notice(fmt.Sprintf("listening to %s at %s", cfg.SubjectPrefix+cfg.Subject, conn.ConnectedUrlRedacted()))
	return endOf(ctx, t.follow(ctx, live))
}

// endOf makes of an end that was wanted none that is an error.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type tail struct {
	TailConfig
	heard func(Told) error
	told  map[string]bool // what was replayed and may be among what is heard
}

func (t *tail) follow(ctx context.Context, live <-chan *nats.Msg) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-live:
			e := Told{Subject: strings.TrimPrefix(m.Subject, t.SubjectPrefix), ID: m.Header.Get(nats.MsgIdHdr), Data: m.Data, At: t.Now()}
			if t.told[e.key()] {
				delete(t.told, e.key())
				continue
			}
			if err := t.heard(e); err != nil {
				return err
			}
		}
	}
}

func (e Told) key() string {
	if e.ID != "" {
		return e.ID
	}
	return e.Subject + "\x00" + string(e.Data)
}

// replay reads what the streams keep.
func (t *tail) replay(ctx context.Context, conn *nats.Conn) error {
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	now := t.Now()
	streams := js.ListStreams(ctx, jetstream.WithStreamListSubject(t.SubjectPrefix+t.Subject))
	for info := range streams.Info() {
		if info.Config.Retention != jetstream.LimitsPolicy {
			continue // it hands out work and keeps no events
		}
		if err := t.replayStream(ctx, js, info.Config.Name, now); err != nil {
			return fmt.Errorf("read stream %s: %w", info.Config.Name, err)
		}
	}
	if err := streams.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		return fmt.Errorf("this server keeps no events: %w", err)
	}
	return nil
}

func (t *tail) replayStream(ctx context.Context, js jetstream.JetStream, name string, now time.Time) error {
	since := now.Add(-t.Since)
	consumer, err := js.CreateConsumer(ctx, name, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, InactiveThreshold: lookLease,
	})
	if err != nil {
		return err
	}
	defer func() { _ = js.DeleteConsumer(context.WithoutCancel(ctx), name, consumer.CachedInfo().Name) }()
	for left := consumer.CachedInfo().NumPending; left > 0 && ctx.Err() == nil; {
		batch, err := consumer.FetchNoWait(tailBatch)
		if err != nil {
			return err
		}
		got := 0
		for m := range batch.Messages() {
			got++
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			left = meta.NumPending
			if err := t.replayed(m, meta.Timestamp, now); err != nil {
				return err
			}
		}
		if err := batch.Error(); err != nil {
			return err
		}
		if got == 0 {
			return nil
		}
	}
	return nil
}

func (t *tail) replayed(m jetstream.Msg, at, now time.Time) error {
	e := Told{Subject: strings.TrimPrefix(m.Subject(), t.SubjectPrefix), ID: m.Headers().Get(nats.MsgIdHdr), Data: m.Data(), At: at}
	if !matches(t.Subject, e.Subject) {
		return nil
	}
	if at.After(now.Add(-tailOverlap)) {
		t.told[e.key()] = true
	}
	return t.heard(e)
}

// matches tells whether a subject, or each of those that it stands for, is one of those that a pattern means.
func matches(pattern, subject string) bool {
	for {
		want, wantRest, wantMore := strings.Cut(pattern, ".")
		word, rest, more := strings.Cut(subject, ".")
		switch {
		case want == ">":
			return word != ""
		case want != word && (want != "*" || word == ">"):
			return false
		case !wantMore || !more:
			return wantMore == more
		}
		pattern, subject = wantRest, rest
	}
}
