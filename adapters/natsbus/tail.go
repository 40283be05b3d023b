package natsbus

import (
	"context"
	"crypto/sha256"
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
	tailBatch   = 64
	tailQueue   = 1 << 16     // events that wait to be shown, and
	tailBytes   = 64 << 20    // how long they may be together
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
	live, err := conn.SubscribeSync(cfg.SubjectPrefix + cfg.Subject)
	if err != nil {
		return err
	}
	if err := live.SetPendingLimits(tailQueue, tailBytes); err != nil {
		return err
	}
	if err := conn.FlushTimeout(connectTimeout); err != nil {
		return fmt.Errorf("NATS does not answer: %w", err)
	}
	t := tail{TailConfig: cfg, heard: heard, told: map[[sha256.Size]byte]bool{}}
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
	told  map[[sha256.Size]byte]bool // what was replayed and may be among what is heard
}

func (t *tail) follow(ctx context.Context, live *nats.Subscription) error {
	overlap := t.Now().Add(tailOverlap)
	for {
		m, err := live.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrSlowConsumer): // it was noticed, and what is left goes on
			continue
		case err != nil:
			return err
		}
		e := Told{Subject: strings.TrimPrefix(m.Subject, t.SubjectPrefix), ID: m.Header.Get(nats.MsgIdHdr), Data: m.Data, At: t.Now()}
		if len(t.told) > 0 && e.At.After(overlap) {
			clear(t.told)
		}
		if key := e.key(); t.told[key] {
			delete(t.told, key)
			continue
		}
		if err := t.heard(e); err != nil {
			return err
		}
	}
}

// key is the same for what the stream took and for what was heard of one event, and takes the same room for every event.
func (e Told) key() [sha256.Size]byte {
	if e.ID != "" {
		return sha256.Sum256([]byte(e.ID))
	}
	return sha256.Sum256(append([]byte(e.Subject+"\x00"), e.Data...))
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

// replayLook is how long nothing comes until it is looked whether anything is to come.
const replayLook = time.Second

// replayStream reads by a consumer that notices when something is lost on the way, and goes on before it.
func (t *tail) replayStream(ctx context.Context, js jetstream.JetStream, name string, now time.Time) error {
	since := now.Add(-t.Since)
	consumer, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, InactiveThreshold: lookLease,
	})
	if err != nil {
		return err
	}
	defer func() { _ = js.DeleteConsumer(context.WithoutCancel(ctx), name, consumer.CachedInfo().Name) }()
	if consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(tailBatch))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(replayLook))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, nats.ErrTimeout): // what was there may be gone: the stream has limits
			if info, err := consumer.Info(ctx); err != nil || info.NumPending == 0 {
				return err
			}
			continue
		case err != nil:
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if err := t.replayed(m, meta.Timestamp, now); err != nil || meta.NumPending == 0 {
			return err
		}
	}
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
