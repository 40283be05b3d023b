package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/logging"
)

const servicesUsage = `Usage:
  gaia services [--json]

Shows which processes run, by asking all of them over NATS: one line for each service of each process.

  SERVICE    gateway, auth, asset or chat
  INSTANCE   names the process, as X-Gaia-Instance and /health do
  STATUS     healthy, unhealthy or stopping, as the process itself says; silent when it is there and did not say it in time
  TIME       that its sign of life took
  BUILD      version of its program
  UPTIME     since its start
  WHERE      name of its machine
  REASON     what is not well

  --json     one line of JSON for each, with figures of its load besides, for other programs

Processes are those of the NATS server of NATS_URL, with the same NATS_SUBJECT_PREFIX. It fails when nobody answers. On a terminal states
are coloured, unless NO_COLOR is set.
`

const (
	// askPatience bounds how long processes are asked. One answers within three seconds, or is silent.
	askPatience = 10 * time.Second
	// silentStatus is that of a process which gives signs of life, and nothing else.
	silentStatus = "silent"
)

var (
	errNoNeighbours = errors.New("without NATS_URL the process that serves is alone, and nobody can ask it over NATS: " +
		"gaia health asks it, and with NATS_URL set to a NATS server, for gaia serve too, this command does")
	errNobody = errors.New("no process of Gaia answers at the NATS server of NATS_URL: NATS_SUBJECT_PREFIX may differ, or SERVICE_REGISTRY_ENABLED be off")
)

// runServices shows which processes run.
func runServices(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("gaia services", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors come back, too
	asJSON := flags.Bool("json", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp) || err == nil && flags.Arg(0) == "help":
		_, err = io.WriteString(out, servicesUsage)
		return err
	case err != nil:
		return fmt.Errorf("%s: see gaia services help: %w", err.Error(), errUsage)
	}
	return withConfig(flags.Args(), 0, func(c config) error {
		if c.NATSURL == "" {
			return errNoNeighbours
		}
		ctx, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		found, err := natsbus.AskServices(ctx, natsbus.Config{URL: c.NATSURL, SubjectPrefix: c.NATSPrefix, Name: "gaia services"})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return errNobody
		}
		sortPresences(found)
		if *asJSON {
			return printPresencesJSON(out, found)
		}
		return printPresences(out, found, c.NoColor == "" && logging.IsTerminal(out))
	})
}

// sortPresences has services in the order in which requests come by them.
func sortPresences(list []natsbus.Presence) {
	place := func(p natsbus.Presence) int {
		i := slices.Index(domain.Services(), domain.Service(p.ServiceName))
		if i < 0 {
			return len(domain.Services()) // anybody may call themselves anything
		}
		return i
	}
	slices.SortFunc(list, func(a, b natsbus.Presence) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), strings.Compare(a.ServiceName, b.ServiceName), strings.Compare(a.Details.Instance, b.Details.Instance))
	})
}

// printPresencesJSON writes what processes tell of themselves in other events, with the time that a sign of life took.
func printPresencesJSON(out io.Writer, list []natsbus.Presence) error {
	encoder := json.NewEncoder(out)
	for _, p := range list {
		p.Status = cmp.Or(p.Status, silentStatus)
		if err := encoder.Encode(struct {
			domain.ServiceHealthEvent
			ResponseTime float64 `json:"response_time"` // in seconds, as in /health
		}{p.ServiceHealthEvent, p.Took.Seconds()}); err != nil {
			return err
		}
	}
	return nil
}

// printPresences writes a table. Widths are those of what is seen: colours take no room.
func printPresences(out io.Writer, list []natsbus.Presence, colours bool) error {
	rows := [][]string{{"SERVICE", "INSTANCE", "STATUS", "TIME", "BUILD", "UPTIME", "WHERE", "REASON"}}
	for _, p := range list {
		d := p.Details
		row := []string{p.ServiceName, d.Instance, cmp.Or(p.Status, silentStatus), shortTime(p.Took), d.Version, shortSpan(d.Uptime), d.Host, d.Reason}
		for i, cell := range row {
			row[i] = cmp.Or(printable(cell), "-")
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	paint := eventPrinter{colours: colours}.paint
	for n, row := range rows {
		line := ""
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			switch {
			case n == 0:
				cell = paint(faint, cell)
			case i == 2:
				cell = paint(presenceColour(cell), cell)
			}
			line += cell + padding
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

func presenceColour(status string) string {
	if status == silentStatus {
		return red
	}
	return statusColour(status)
}

// shortTime is a time of milliseconds.
func shortTime(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// shortSpan is a time of seconds to days, with two of its units; empty for none.
func shortSpan(seconds float64) string {
	n := int64(seconds)
	switch {
	case n <= 0:
		return ""
	case n < 60:
		return fmt.Sprintf("%ds", n)
	case n < 3600:
		return fmt.Sprintf("%dm%02ds", n/60, n%60)
	case n < 86400:
		return fmt.Sprintf("%dh%02dm", n/3600, n%3600/60)
	default:
		return fmt.Sprintf("%dd%02dh", n/86400, n%86400/3600)
	}
}
