// Package logging makes the process's logger: structured JSON for machines, coloured lines on a terminal, with the levels that
// operators of the LLM Platform know. It must not hold what is logged: no text of conversations and no secret may reach it.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/lmittmann/tint"
)

// Levels beside slog's own. They keep the order that operators know: DEBUG < INPUT < NATS < INFO < SERVICE < NETWORK < WARNING <
// LLM < ERROR < LIFECYCLE < CRITICAL.
const (
	LevelInput     = slog.Level(-2) // what users send, without its text
	LevelNATS      = slog.Level(-1) // messages
	LevelService   = slog.Level(1)  // calls between services
	LevelNetwork   = slog.Level(2)  // requests with status and duration
	LevelLLM       = slog.Level(6)  // calls of providers
	LevelLifecycle = slog.Level(10) // start and stop
	LevelCritical  = slog.Level(12)
)

// style of a level: its name and, as one of 256 terminal colours, its colour; 0 leaves it uncoloured.
type style struct {
	name   string
	colour uint8
}

var styles = map[slog.Level]style{
	slog.LevelDebug: {"DEBUG", 0},
	LevelInput:      {"INPUT", 11},
	LevelNATS:       {"NATS", 5},
	slog.LevelInfo:  {"INFO", 0},
	LevelService:    {"SERVICE", 208},
	LevelNetwork:    {"NETWORK", 14},
	slog.LevelWarn:  {"WARNING", 0},
	LevelLLM:        {"LLM", 12},
	slog.LevelError: {"ERROR", 13},
	LevelLifecycle:  {"LIFECYCLE", 10},
	LevelCritical:   {"CRITICAL", 9},
}

// ParseLevel reads one of DEBUG, INFO, WARNING, ERROR, CRITICAL, in any case.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToUpper(s) {
	case "DEBUG":
		return slog.LevelDebug, nil
	case "INFO":
		return slog.LevelInfo, nil
	case "WARNING":
		return slog.LevelWarn, nil
	case "ERROR":
		return slog.LevelError, nil
	case "CRITICAL":
		return LevelCritical, nil
	default:
		return 0, fmt.Errorf("log level %q is none of DEBUG, INFO, WARNING, ERROR, CRITICAL", s)
	}
}

// New makes a logger that names its service in every line.
func New(w io.Writer, service string, level slog.Level) *slog.Logger {
	var h slog.Handler
	if IsTerminal(w) {
		h = tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: "2006-01-02 15:04:05", ReplaceAttr: colourLevel})
	} else {
		h = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: nameLevel})
	}
	return slog.New(h).With("service", "gaia."+service)
}

// Lifecycle logs start and stop.
func Lifecycle(l *slog.Logger, msg string, args ...any) {
	l.Log(context.Background(), LevelLifecycle, msg, args...)
}

func nameLevel(groups []string, a slog.Attr) slog.Attr {
	if a.Key != slog.LevelKey || len(groups) > 0 {
		return a
	}
	return slog.String(slog.LevelKey, styleOf(a).name)
}

func colourLevel(groups []string, a slog.Attr) slog.Attr {
	if a.Key != slog.LevelKey || len(groups) > 0 {
		return a
	}
	s := styleOf(a)
	attr := slog.String(slog.LevelKey, fmt.Sprintf("%-9s", s.name))
	if s.colour == 0 {
		return attr
	}
	return tint.Attr(s.colour, attr)
}

func styleOf(a slog.Attr) style {
	level, _ := a.Value.Any().(slog.Level)
	if s, ok := styles[level]; ok {
		return s
	}
	return style{name: level.String()}
}

// IsTerminal tells whether people see what is written, and colours.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
