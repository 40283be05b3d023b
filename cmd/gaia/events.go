package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"gaia/adapters/natsbus"
	"gaia/internal/logging"
)

const eventsUsage = `Usage:
  gaia events tail [SUBJECT] [--since SPAN] [--json]

Shows events as they happen, until Ctrl-C: time, subject, what it is about, how it stands, and the rest of the event.

SUBJECT is gaia.> when there is none. * stands for one word, > for all words at the end:
  gaia.chat.>              questions and answers, conversations, personas
  gaia.usage.>             what was used, and what it cost
  gaia.auth.>              sessions and API keys
  gaia.asset.>             assets and the making of them
  gaia.workflow.>          workflows
  gaia.tool.>              calls of tools
  gaia.service.>           processes that start, are ready, or stop
  gaia.cache.invalidate    what processes forget

  --since  shows first what the stream has kept, such as 90s, 10m, 2h or 7d; it keeps up to seven days
  --json   one line of JSON for each event, for other programs

Events come from the NATS server of NATS_URL; NATS_SUBJECT_PREFIX is put before subjects and not shown. On a terminal lines are coloured,
unless NO_COLOR is set.
`

const (
	defaultTail = "gaia.>"
	maxPayload  = 240 // characters of a line
)

var errNoDoor = errors.New("without NATS_URL the events are inside the process that serves, which has no door for others: " +
	"set NATS_URL to a NATS server, for gaia serve too (nats-server -js runs one)")

type tailCommand struct {
	subject string
	since   time.Duration
	json    bool
}

// runEvents shows events. They go to out, all that people want to know beside to info.
func runEvents(ctx context.Context, args []string, out, info io.Writer) error {
	command, err := parseEvents(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(out, eventsUsage)
		return err
	}
	if err != nil {
		return err
	}
	c, err := loadConfig(".env", os.Environ())
	if err != nil {
		return err
	}
	if c.NATSURL == "" {
		return errNoDoor
	}
	p := eventPrinter{out: out, json: command.json, colours: c.NoColor == "" && logging.IsTerminal(out)}
	return natsbus.Tail(ctx, natsbus.TailConfig{
		URL: c.NATSURL, SubjectPrefix: c.NATSPrefix, Name: "gaia events tail", Subject: command.subject, Since: command.since, Now: time.Now,
		Notice: func(text string) { _, _ = fmt.Fprintln(info, text) }, // nobody could be told that
	}, p.print)
}

// parseEvents takes options before and after the subject.
func parseEvents(args []string) (tailCommand, error) {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		return tailCommand{}, flag.ErrHelp
	}
	if args[0] != "tail" {
		return tailCommand{}, fmt.Errorf("unknown command events %q: see gaia events help: %w", args[0], errUsage)
	}
	c := tailCommand{subject: defaultTail}
	flags := flag.NewFlagSet("gaia events tail", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors come back, too
	flags.BoolVar(&c.json, "json", false, "")
	flags.Func("since", "", func(s string) (err error) { c.since, err = parseSpan(s); return err })
	var words []string
	for left := args[1:]; len(left) > 0; {
		if err := flags.Parse(left); errors.Is(err, flag.ErrHelp) {
			return c, err
		} else if err != nil {
			return c, fmt.Errorf("%s: see gaia events help: %w", err.Error(), errUsage)
		}
		if left = flags.Args(); len(left) > 0 {
			words, left = append(words, left[0]), left[1:]
		}
	}
	switch len(words) {
	case 0:
		return c, nil
	case 1:
		c.subject = words[0]
	default:
		return c, fmt.Errorf("more than one subject: see gaia events help: %w", errUsage)
	}
	if err := natsbus.CheckSubject(c.subject); err != nil {
		return c, fmt.Errorf("%s: %w", err.Error(), errUsage)
	}
	return c, nil
}

// eventPrinter writes a line for each event.
type eventPrinter struct {
	out     io.Writer
	json    bool
	colours bool
}

func (p eventPrinter) print(e natsbus.Told) error {
	var line []byte
	if p.json {
		line = jsonLine(e)
	} else {
		line = []byte(p.line(e))
	}
	_, err := p.out.Write(append(line, '\n'))
	return err
}

// jsonLine is an event with its payload as it came, on one line.
func jsonLine(e natsbus.Told) []byte {
	var payload bytes.Buffer
	if json.Compact(&payload, e.Data) != nil {
		payload.Reset()
		text, _ := json.Marshal(string(e.Data)) // a string
		payload.Write(text)
	}
	line, _ := json.Marshal(struct {
		Time    time.Time       `json:"time"`
		Subject string          `json:"subject"`
		ID      string          `json:"id,omitempty"`
		Payload json.RawMessage `json:"payload"`
	}{e.At.UTC(), e.Subject, e.ID, payload.Bytes()}) // JSON inside
	return line
}

// Members of payloads that say what an event is about, and how that stands; the first that is there counts.
var (
	aboutMembers  = []string{"message_id", "asset_id", "workflow_id", "generation_id", "persona_id", "conversation_id", "call_id", "request_id", "service_name", "subject", "user_id", "origin"}
	statusMembers = []string{"status", "action", "outcome", "event"}
)

// Terminal colours.
const (
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

var familyColours = map[string]string{
	"chat": "36", "usage": "34", "auth": "35", "asset": "32", "workflow": "33", "tool": "94", "service": "92", "cache": "90", "work": "90",
}

func (p eventPrinter) line(e natsbus.Told) string {
	members := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(e.Data))
	decoder.UseNumber()
	rest := ""
	if decoder.Decode(&members) != nil {
		rest = string(e.Data)
	}
	about, status := take(members, aboutMembers), take(members, statusMembers)
	delete(members, "timestamp")
	if rest == "" {
		rest = spell(members)
	}
	if short := []rune(rest); len(short) > maxPayload {
		rest = string(short[:maxPayload]) + "…"
	}
	family := strings.Split(e.Subject+"..", ".")[1]
	return strings.TrimRight(fmt.Sprintf("%s  %s  %s  %s  %s",
		p.paint(faint, e.At.Local().Format("15:04:05.000")),
		p.paint(familyColours[family], fmt.Sprintf("%-30s", printable(e.Subject))),
		printable(fmt.Sprintf("%-36s", about)), p.paint(statusColour(status), fmt.Sprintf("%-10s", printable(status))),
		p.paint(faint, printable(rest))), " ")
}

func (p eventPrinter) paint(colour, text string) string {
	if !p.colours || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func statusColour(status string) string {
	switch status {
	case "failed", "unhealthy", "validation_failed", "error", "outcome_unknown", "refused":
		return red
	case "completed", "healthy", "ok", "login":
		return green
	default:
		return yellow
	}
}

// take removes the first member that is a text, and returns it.
func take(members map[string]any, names []string) string {
	for _, name := range names {
		if text, ok := members[name].(string); ok && text != "" {
			delete(members, name)
			return text
		}
	}
	return ""
}

// spell writes members in the order of their names, and leaves out what is null.
func spell(members map[string]any) string {
	names := make([]string, 0, len(members))
	for name, value := range members {
		if value != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	words := make([]string, len(names))
	for i, name := range names {
		text, ok := members[name].(string)
		if !ok {
			encoded, _ := json.Marshal(members[name]) // it was decoded from JSON
			text = string(encoded)
		}
		words[i] = name + "=" + text
	}
	return strings.Join(words, " ")
}

// printable keeps what comes over the bus from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, text)
}
