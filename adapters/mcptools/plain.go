package mcptools

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	maxNameShown  = 200
	maxFaultShown = 300 // bytes of an error
)

// plain is an error for log and operator. URLs and values of headers and variables are left out of it; servers write parts of it.
func (s *server) plain(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var at *url.Error
	if errors.As(err, &at) && at.Err != nil { // it would show the URL, and with it a key in its query
		text = at.Err.Error()
	}
	if s.URL != "" {
		text = strings.ReplaceAll(text, s.URL, "its url")
		if u, err := url.Parse(s.URL); err == nil && u.RawQuery != "" {
			text = strings.ReplaceAll(text, u.RawQuery, "********")
		}
	}
	return printable(shorten(s.mask(text), maxFaultShown))
}

// shorten cuts a text at the end of a character.
func shorten(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
