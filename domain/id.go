package domain

import (
	"encoding/hex"
	"strings"
	"time"
)

// ParseID reads a UUID in its usual form, 8-4-4-4-12 hexadecimal digits, and returns it in lower case.
func ParseID(s string) (id string, ok bool) {
	if len(s) != 36 {
		return "", false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F':
		default:
			return "", false
		}
	}
	return strings.ToLower(s), true
}

// FirstID is lower than every UUID of version 7 that is made at t or later, and not lower than those made before its millisecond.
func FirstID(t time.Time) string {
	const last = 1<<48 - 1 // milliseconds since 1970 that such an id holds
	ms := min(max(t.UnixMilli(), 0), last)
	// #nosec G115 -- each byte is to hold its eight bits alone
	id := hex.EncodeToString([]byte{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms)})
	return id[:8] + "-" + id[8:] + "-0000-0000-000000000000"
}
