package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"gaia/tests/gaiatest"
)

// event is a message of gaia as another service reads it.
type event struct {
	ServiceName    string          `json:"service_name"`
	MessageID      string          `json:"message_id"`
	UserID         string          `json:"user_id"`
	PersonaID      *string         `json:"persona_id"`
	ConversationID string          `json:"conversation_id"`
	AssetID        string          `json:"asset_id"`
	AssetType      string          `json:"asset_type"`
	Status         string          `json:"status"`
	Timestamp      time.Time       `json:"timestamp"`
	Details        json.RawMessage `json:"details"`
}

// listener hears everything that one backend publishes.
type listener struct {
	t      *testing.T
	prefix string
	sub    *nats.Subscription
}

func listen(t *testing.T, b gaiatest.Backend) *listener {
	t.Helper()
	conn, err := nats.Connect(b.Settings["NATS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	prefix := b.Settings["NATS_SUBJECT_PREFIX"]
	sub, err := conn.SubscribeSync(prefix + "gaia.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return &listener{t: t, prefix: prefix, sub: sub}
}

// next returns the next event of a subject; others are left out. forbidden must not stand in any of them.
func (l *listener) next(subject, forbidden string) event {
	l.t.Helper()
	for {
		m, err := l.sub.NextMsg(patience)
		if err != nil {
			l.t.Fatalf("waiting for %s: %v", subject, err)
		}
		if strings.Contains(string(m.Data), forbidden) {
			l.t.Errorf("%s holds what was said: %s", m.Subject, m.Data)
		}
		if m.Subject != l.prefix+subject {
			continue
		}
		var e event
		decoder := json.NewDecoder(bytes.NewReader(m.Data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			l.t.Fatalf("%s: %v in %s", subject, err, m.Data)
		}
		if e.Timestamp.IsZero() || e.Timestamp.Location() != time.UTC {
			l.t.Errorf("%s: time %s", subject, e.Timestamp)
		}
		return e
	}
}

func (l *listener) want(subject, status, forbidden string) event {
	l.t.Helper()
	e := l.next(subject, forbidden)
	if e.Status != status {
		l.t.Errorf("%s says %q, not %q", subject, e.Status, status)
	}
	return e
}

// wantServices waits until each service has told of a status; heartbeats come in between.
func (l *listener) wantServices(subject, status, forbidden string) {
	l.t.Helper()
	missing := map[string]bool{"gateway": true, "auth": true, "asset": true, "chat": true}
	for len(missing) > 0 {
		if e := l.next(subject, forbidden); e.Status == status {
			delete(missing, e.ServiceName)
		}
	}
}

func TestEventsOfServiceAndChats(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	l := listen(t, b)
	provider := gaiatest.NewProvider(t)
	server := b.Start(t, provider.Settings())
	const secret = "my-unspeakable-question"
	l.wantServices("gaia.service.health", "starting", secret)
	l.wantServices("gaia.service.ready", "healthy", secret)
	user := uuid.NewString()
	c := server.As(user)
	say(t, c, message(secret))
	start := l.want("gaia.chat.message.start", "started", secret)
	complete := l.want("gaia.chat.message.complete", "completed", secret)
	if start.UserID != user || complete.UserID != user || start.MessageID == "" || start.MessageID != complete.MessageID || complete.PersonaID == nil {
		t.Errorf("start %+v, complete %+v", start, complete)
	}
	c.Post("/api/v0.2/chat", map[string]any{"message": secret, "provider": "openai", "model": gaiatest.ModelBroken}).Want(http.StatusServiceUnavailable)
	l.want("gaia.chat.message.failed", "failed", secret)
	server.Terminate()
	l.wantServices("gaia.service.health", "stopping", secret)
	if err := server.Wait(); err != nil {
		t.Errorf("gaia stopped with %v", err)
	}
}
