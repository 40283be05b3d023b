package mcptools

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"
	"unicode"
)

const maxLogged = 500 // bytes of a line

// logStderr writes what a program says on standard error into the log, as far as it is not too much. It returns at the end of it.
func (s *server) logStderr(r io.Reader) {
	in := bufio.NewReaderSize(r, 4<<10)
	room, at, dropped := s.cfg.pace.stderrBps, time.Now(), 0
	for {
		line, err := in.ReadSlice('\n')
		text := string(line)
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
			_, err = in.ReadSlice('\n')
		}
		if now := time.Now(); now.Sub(at) > time.Second {
			if dropped > 0 {
				s.log.Info("tool server says more than is logged", "lines", dropped)
			}
			room, at, dropped = s.cfg.pace.stderrBps, now, 0
		}
		text = s.mask(strings.TrimSpace(text))
		switch {
		case text == "":
		case room < min(len(text), maxLogged):
			dropped++
		default:
			room -= min(len(text), maxLogged)
			s.log.Info("tool server says", "stderr", printable(shorten(text, maxLogged)))
		}
		if err != nil {
			return
		}
	}
}

// mask replaces secrets of the server's settings.
func (s *server) mask(text string) string {
	for _, secret := range s.secrets {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "********")
		}
	}
	return text
}

// printable leaves nothing in a text that a terminal would obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
