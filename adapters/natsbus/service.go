package natsbus

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"gaia/domain"
)

const (
	// servicePrefix stands before the word of a service where the services of everybody are listed.
	servicePrefix = "gaia-"
	// requestName is what the endpoint of a service is called in such lists.
	requestName = "request"
	// maxServiceEvent is how long an event about a service may be, in bytes: anybody on the bus can send them.
	maxServiceEvent = 8 << 10
	// stateWait bounds how long a process looks how it is before it answers.
	stateWait = 3 * time.Second
)

// HearServices has heard called with what processes tell of themselves, this one included, and back each time when the bus is back after an
// outage, and for the first time. Neither may block. It is called once, before anything can be heard.
func (b *Bus) HearServices(heard func(domain.ServiceHealthEvent), back func()) error {
	b.mu.Lock()
	b.back = back
	b.mu.Unlock()
	for _, subject := range []string{domain.SubjectServiceHealth, domain.SubjectServiceReady} {
		_, err := b.conn.Subscribe(b.subject(subject), func(m *nats.Msg) {
			var e domain.ServiceHealthEvent
			if len(m.Data) <= maxServiceEvent && json.Unmarshal(m.Data, &e) == nil { // others have said such things in other forms
				heard(e)
			}
		})
		if err != nil {
			return fmt.Errorf("hear services: %w", err)
		}
	}
	return nil
}

// Described is what everybody may know of a service in this process.
type Described struct {
	Service     domain.Service
	Instance    string
	Build       string
	Environment string
}

// Serve answers for a service: to $SRV.PING, $SRV.INFO and $SRV.STATS, whose names have no prefix, and to its subject for requests, with its
// state alone. It returns the id under which it is found there, and what ends it.
func (b *Bus) Serve(d Described, state func(context.Context) domain.ServiceHealthEvent) (id string, stop func(), err error) {
	look := func() domain.ServiceHealthEvent {
		ctx, cancel := context.WithTimeout(context.Background(), stateWait)
		defer cancel()
		return state(ctx)
	}
	service, err := micro.AddService(b.conn, micro.Config{
		Name: servicePrefix + string(d.Service), Version: semantic(d.Build), Description: "Gaia, service " + string(d.Service),
		Metadata: map[string]string{
			metadataInstance: d.Instance, metadataPrefix: b.cfg.SubjectPrefix, "build": d.Build, "environment": d.Environment,
		},
		StatsHandler: func(*micro.Endpoint) any { return look() },
	})
	if err != nil {
		return "", nil, fmt.Errorf("serve %s: %w", d.Service, err)
	}
	stop = func() { _ = service.Stop() }
	answer := micro.HandlerFunc(func(r micro.Request) {
		data, err := domain.Event{Payload: look()}.Data()
		if err == nil {
			err = r.Respond(data)
		}
		if err != nil {
			b.cfg.Logger.Debug("question about a service not answered", "of", string(d.Service), "error", err)
		}
	})
	if err := service.AddEndpoint(requestName, answer, micro.WithEndpointSubject(b.subject("gaia.service."+string(d.Service)+".request"))); err != nil {
		stop()
		return "", nil, fmt.Errorf("serve %s: %w", d.Service, err)
	}
	return service.Info().ID, stop, nil
}

// What a semantic version looks like, and what can't be in the last part of one.
var (
	semanticForm = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
	notSemantic  = regexp.MustCompile(`[^0-9A-Za-z]+`)
)

// semantic makes a semantic version of whatever a build is called.
func semantic(build string) string {
	if v := strings.TrimPrefix(build, "v"); semanticForm.MatchString(v) {
		return v
	}
	clean := strings.Trim(notSemantic.ReplaceAllString(build, "."), ".")
	if clean == "" {
		return "0.0.0"
	}
	return "0.0.0+" + clean
}

// Ping asks one service of one process for a sign of life and returns how long that took.
func (b *Bus) Ping(ctx context.Context, service domain.Service, id string) (time.Duration, error) {
	if !b.Connected() {
		return 0, errAway
	}
	subject, err := micro.ControlSubject(micro.PingVerb, servicePrefix+string(service), id)
	if err != nil {
		return 0, fmt.Errorf("ping: %w", err)
	}
	began := time.Now()
	if _, err := b.conn.RequestWithContext(ctx, subject, nil); err != nil {
		return 0, fmt.Errorf("ping: %w", err)
	}
	return time.Since(began), nil
}

// Presence is what a process answers to somebody who has asked all.
type Presence struct {
	domain.ServiceHealthEvent // empty but for the name and the instance where no more was told in time
	Took                      time.Duration
}

const (
	// silence is how long somebody who has asked all waits for one more answer.
	silence = 300 * time.Millisecond
	// maxPresences is how many processes are told of: anybody can answer.
	maxPresences = 1024
)

// AskServices asks every process on a bus how its services are, until ctx ends. It has a connection of its own and runs no server.
func AskServices(ctx context.Context, c Config) ([]Presence, error) {
	if err := checkURL(c.URL); err != nil {
		return nil, err
	}
	conn, err := nats.Connect(c.URL, nats.Name(c.withDefaults().Name), nats.Timeout(connectTimeout))
	if err != nil {
		return nil, fmt.Errorf("ask services: %w", err)
	}
	defer conn.Close()
	told, index := []Presence{}, map[string]int{}
	err = askAll(ctx, conn, micro.PingVerb, func(m *nats.Msg, took time.Duration) (more bool) {
		var p micro.Ping
		if len(m.Data) > maxServiceEvent || json.Unmarshal(m.Data, &p) != nil || !ours(p.ServiceIdentity, c.SubjectPrefix) {
			return true
		}
		if _, known := index[p.ID]; !known {
			index[p.ID] = len(told)
			told = append(told, Presence{domain.ServiceHealthEvent{
				ServiceName: strings.TrimPrefix(p.Name, servicePrefix), Details: domain.ServiceDetails{Instance: p.Metadata[metadataInstance]},
			}, took})
		}
		return len(told) < maxPresences
	})
	left := len(told)
	if err != nil || left == 0 {
		return told, err
	}
	err = askAll(ctx, conn, micro.StatsVerb, func(m *nats.Msg, _ time.Duration) (more bool) {
		var s micro.Stats
		if len(m.Data) > maxServiceEvent || json.Unmarshal(m.Data, &s) != nil || len(s.Endpoints) == 0 {
			return true
		}
		var e domain.ServiceHealthEvent
		if i, ok := index[s.ID]; ok && json.Unmarshal(s.Endpoints[0].Data, &e) == nil {
			told[i].ServiceHealthEvent = e
			delete(index, s.ID)
			left--
		}
		return left > 0
	})
	return told, err
}

// Names of what everybody may know of a service.
const (
	metadataInstance = "instance"
	metadataPrefix   = "subject_prefix"
)

// ours tells services of one deployment from others on the same server.
func ours(s micro.ServiceIdentity, prefix string) bool {
	return strings.HasPrefix(s.Name, servicePrefix) && s.Metadata[metadataPrefix] == prefix
}

// askAll hands over answers until take wants no more, or none has come for a while. The first of questions about states may take as long as a
// process may look how it is.
func askAll(ctx context.Context, conn *nats.Conn, verb micro.Verb, take func(m *nats.Msg, took time.Duration) (more bool)) error {
	subject, err := micro.ControlSubject(verb, "", "")
	if err != nil {
		return fmt.Errorf("ask services: %w", err)
	}
	patience := silence
	if verb == micro.StatsVerb {
		patience = stateWait
	}
	answers, inbox := make(chan *nats.Msg, 1024), conn.NewInbox()
	sub, err := conn.ChanSubscribe(inbox, answers)
	if err != nil {
		return fmt.Errorf("ask services: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	began := time.Now()
	if err := conn.PublishRequest(subject, inbox, nil); err != nil {
		return fmt.Errorf("ask services: %w", err)
	}
	for {
		select {
		case m := <-answers:
			if !take(m, time.Since(began)) {
				return nil
			}
		case <-time.After(patience):
			return nil
		case <-ctx.Done():
			return fmt.Errorf("ask services: %w", ctx.Err())
		}
	}
}
