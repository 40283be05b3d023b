package intake

import (
	"bytes"
	"unicode/utf8"
)

// maxDepth is how deep a body may be nested. Deeper ones serve nobody, and some databases refuse to store them.
const maxDepth = 256

// syntaxError says why bytes are no JSON, in the words of the decoder that the old platform used.
type syntaxError struct {
	offset int // in bytes
	msg    string
}

// scanner reads JSON strictly: one value, valid UTF-8, bounded depth. It makes nothing of what it reads. After a failure each of its
// methods returns -1 and err is set.
type scanner struct {
	data []byte
	err  syntaxError
}

// scan reports whether data is JSON, or what is wrong with its syntax.
func scan(data []byte) (bad syntaxError, ok bool) {
	s := scanner{data: data}
	end := s.value(skipSpace(data, 0), maxDepth)
	if end >= 0 {
		if end = skipSpace(data, end); end == len(data) {
			return syntaxError{}, true
		}
		s.fail(end, "Extra data")
	}
	return s.err, false
}

func (s *scanner) fail(offset int, msg string) int {
	s.err = syntaxError{offset, msg}
	return -1
}

// at gives the byte at i, and 0 at the end of the data.
func (s *scanner) at(i int) byte {
	if i < len(s.data) {
		return s.data[i]
	}
	return 0
}

func (s *scanner) value(i, depth int) int {
	switch c := s.at(i); {
	case c == '"':
		return s.text(i)
	case c == '{' || c == '[':
		if depth == 0 {
			return s.fail(i, "Nesting too deep")
		}
		if c == '{' {
			return s.object(i+1, depth-1)
		}
		return s.array(i+1, depth-1)
	case c == '-' || c >= '0' && c <= '9':
		return s.number(i)
	case bytes.HasPrefix(s.data[i:], []byte("true")), bytes.HasPrefix(s.data[i:], []byte("null")):
		return i + 4
	case bytes.HasPrefix(s.data[i:], []byte("false")):
		return i + 5
	default:
		return s.fail(i, "Expecting value")
	}
}

func (s *scanner) object(i, depth int) int {
	if i = skipSpace(s.data, i); s.at(i) == '}' {
		return i + 1
	}
	for {
		if s.at(i) != '"' {
			return s.fail(i, "Expecting property name enclosed in double quotes")
		}
		if i = s.text(i); i < 0 {
			return i
		}
		if i = skipSpace(s.data, i); s.at(i) != ':' {
			return s.fail(i, "Expecting ':' delimiter")
		}
		if i = s.value(skipSpace(s.data, i+1), depth); i < 0 {
			return i
		}
		switch i = skipSpace(s.data, i); s.at(i) {
		case '}':
			return i + 1
		case ',':
			i = skipSpace(s.data, i+1)
		default:
			return s.fail(i, "Expecting ',' delimiter")
		}
	}
}

func (s *scanner) array(i, depth int) int {
	if i = skipSpace(s.data, i); s.at(i) == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth); i < 0 {
			return i
		}
		switch i = skipSpace(s.data, i); s.at(i) {
		case ']':
			return i + 1
		case ',':
			i = skipSpace(s.data, i+1)
		default:
			return s.fail(i, "Expecting ',' delimiter")
		}
	}
}

// number reads the longest number that starts at i: what follows it is for the caller to judge.
func (s *scanner) number(i int) int {
	start := i
	if s.at(i) == '-' {
		i++
	}
	switch c := s.at(i); {
	case c == '0':
		i++
	case c >= '1' && c <= '9':
		i = s.digits(i)
	default:
		return s.fail(start, "Expecting value")
	}
	if s.at(i) == '.' {
		if end := s.digits(i + 1); end > i+1 {
			i = end
		}
	}
	if c := s.at(i); c == 'e' || c == 'E' {
		exponent := i + 1
		if c := s.at(exponent); c == '+' || c == '-' {
			exponent++
		}
		if end := s.digits(exponent); end > exponent {
			i = end
		}
	}
	return i
}

func (s *scanner) digits(i int) int {
	for s.at(i) >= '0' && s.at(i) <= '9' {
		i++
	}
	return i
}

// text reads the string whose opening quote is at i.
func (s *scanner) text(i int) int {
	start := i
	for i++; i < len(s.data); {
		switch c := s.data[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i+1 >= len(s.data) {
				return s.fail(start, "Unterminated string starting at")
			}
			if i = s.escape(i); i < 0 {
				return i
			}
		case c < ' ':
			return s.fail(i, "Invalid control character at")
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(s.data[i:])
			if r == utf8.RuneError && size == 1 {
				return s.fail(i, "Invalid UTF-8")
			}
			i += size
		}
	}
	return s.fail(start, "Unterminated string starting at")
}

// escape reads the escape whose backslash is at i. There is at least one byte after it.
func (s *scanner) escape(i int) int {
	switch s.data[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if hex4(s.data[i+2:]) < 0 {
			return s.fail(i+1, `Invalid \uXXXX escape`)
		}
		return i + 6
	default:
		return s.fail(i, `Invalid \escape`)
	}
}

// hex4 is the number that the first four bytes write in hexadecimal, or -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var n rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		n = n<<4 | rune(c)
	}
	return n
}

// The functions below move over JSON that scan has found to be valid.

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// skipValue gives the end of the value that starts at i.
func skipValue(data []byte, i int) int {
	switch data[i] {
	case '"':
		return skipText(data, i)
	case '{', '[':
		return skipContainer(data, i)
	default:
		for i < len(data) && !endsScalar(data[i]) {
			i++
		}
		return i
	}
}

func endsScalar(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

func skipContainer(data []byte, i int) int {
	for depth := 0; ; {
		switch data[i] {
		case '"':
			i = skipText(data, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
}

func skipText(data []byte, i int) int {
	for i++; ; {
		j := i + bytes.IndexByte(data[i:], '"')
		backslashes := 0
		for data[j-1-backslashes] == '\\' { // the opening quote ends this at the latest
			backslashes++
		}
		if i = j + 1; backslashes%2 == 0 {
			return i
		}
	}
}
