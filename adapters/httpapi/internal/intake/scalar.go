package intake

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

func (c *checker) scalar(r *rule, s span) {
	switch r.kind {
	case text:
		c.checkText(r, s)
	case boolean:
		c.checkBoolean(s)
	case integer:
		c.checkInteger(r, s)
	case number:
		c.checkNumber(r, s)
	}
}

func (c *checker) checkText(r *rule, s span) {
	if c.data[s.start] != '"' {
		switch {
		case r.enum != nil:
			c.report(wrongWord(r.enumFault), s)
		case r.format.kind == dateTime:
			c.checkTimestamp(s)
		default:
			c.report(notText, s)
		}
		return
	}
	value := c.text(s)
	switch {
	case len(value) != s.end-s.start-2 && loneSurrogate(c.raw(s)):
		c.report(notUnicode, s)
	case r.enum != nil:
		if !r.enum[string(value)] {
			c.report(wrongWord(r.enumFault), s)
		}
	default:
		c.checkLimits(r, s, value)
	}
}

// checkLimits reports the first limit that a text breaks: the ones after it would only confuse.
func (c *checker) checkLimits(r *rule, s span, value []byte) {
	length := utf8.RuneCount(value)
	switch {
	case length < r.minLength:
		c.report(shortText(r.minLength), s)
	case r.maxLength >= 0 && length > r.maxLength:
		c.report(longText(r.maxLength), s)
	case r.pattern != nil && !r.pattern.Match(value):
		c.report(mismatch(r.pattern.String()), s)
	case r.format.check != nil:
		by, f := r.format.check(string(value))
		switch {
		case f.kind != "":
			c.report(f, s)
		case by != "":
			c.patch(s, `"`+by+`"`)
		}
	}
}

// loneSurrogate reports whether a string escapes half of a character.
func loneSurrogate(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return false
		}
		if raw = raw[i+1:]; raw[0] != 'u' {
			raw = raw[1:]
			continue
		}
		high := hex4(raw[1:])
		raw = raw[5:]
		switch {
		case high >= 0xDC00 && high <= 0xDFFF:
			return true
		case high >= 0xD800 && high <= 0xDBFF:
			if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
				return true
			}
			if low := hex4(raw[2:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			raw = raw[6:]
		}
	}
}

// truths are the words and figures that count as booleans.
var truths = map[string]bool{
	"1": true, "true": true, "t": true, "yes": true, "y": true, "on": true,
	"0": false, "false": false, "f": false, "no": false, "n": false, "off": false,
}

func (c *checker) checkBoolean(s span) {
	switch first := c.data[s.start]; {
	case first == 't' || first == 'f':
	case first == '"':
		word := c.text(s)
		value, known := truths[strings.ToLower(string(word[:min(len(word), 8)]))]
		if !known || len(word) > 8 {
			c.report(noBoolean, s)
			return
		}
		c.patch(s, strconv.FormatBool(value))
	case isNumber(first):
		f, err := strconv.ParseFloat(string(c.raw(s)), 64)
		switch {
		case err != nil || f != math.Trunc(f):
			c.report(notBoolean, s)
		case f != 0 && f != 1:
			c.report(noBoolean, s)
		default:
			c.patch(s, strconv.FormatBool(f == 1))
		}
	default:
		c.report(notBoolean, s)
	}
}

func (c *checker) checkInteger(r *rule, s span) {
	var n int64
	switch first := c.data[s.start]; {
	case isNumber(first):
		value, exact, f := integerOf(c.raw(s))
		if f.kind != "" {
			c.report(f, s)
			return
		}
		if n = value; !exact {
			c.patch(s, strconv.FormatInt(n, 10))
		}
	case first == '"':
		value, f := integerIn(string(c.text(s)))
		if f.kind != "" {
			c.report(f, s)
			return
		}
		n = value
		c.patch(s, strconv.FormatInt(n, 10))
	case first == 't' || first == 'f':
		if first == 't' {
			n = 1
		}
		c.patch(s, strconv.FormatInt(n, 10))
	default:
		c.report(notInteger, s)
		return
	}
	c.checkRange(r, s, float64(n))
}

func (c *checker) checkNumber(r *rule, s span) {
	var x float64
	switch first := c.data[s.start]; {
	case isNumber(first):
		value, err := strconv.ParseFloat(string(c.raw(s)), 64)
		if err != nil {
			c.report(notFinite, s)
			return
		}
		x = value
	case first == '"':
		value, f := numberIn(string(c.text(s)))
		if f.kind != "" {
			c.report(f, s)
			return
		}
		x = value
		c.patch(s, formatNumber(x))
	case first == 't' || first == 'f':
		if first == 't' {
			x = 1
		}
		c.patch(s, formatNumber(x))
	default:
		c.report(notNumber, s)
		return
	}
	c.checkRange(r, s, x)
}

func (c *checker) checkRange(r *rule, s span, x float64) {
	switch {
	case r.minimum != nil && r.exclusiveMin && x <= *r.minimum:
		c.report(outside("greater_than", "greater than", "gt", *r.minimum), s)
	case r.minimum != nil && x < *r.minimum:
		c.report(outside("greater_than_equal", "greater than or equal to", "ge", *r.minimum), s)
	case r.maximum != nil && r.exclusiveMax && x >= *r.maximum:
		c.report(outside("less_than", "less than", "lt", *r.maximum), s)
	case r.maximum != nil && x > *r.maximum:
		c.report(outside("less_than_equal", "less than or equal to", "le", *r.maximum), s)
	}
}

func isNumber(first byte) bool { return first == '-' || first >= '0' && first <= '9' }

// integerOf reads a JSON number. It is exact when a strict decoder reads the same integer from it.
func integerOf(raw []byte) (n int64, exact bool, f finding) {
	if !bytes.ContainsAny(raw, ".eE") {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			return 0, false, hugeInteger
		}
		return n, true, finding{}
	}
	x, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case err != nil:
		return 0, false, notFinite
	case x != math.Trunc(x):
		return 0, false, fraction
	case math.Abs(x) >= 1<<63:
		return 0, false, hugeInteger
	default:
		return int64(x), false, finding{}
	}
}

// integerIn reads an integer as clients write it into a string: with spaces around it, a sign, underscores between digits, zeros
// after a point.
func integerIn(s string) (int64, finding) {
	whole, zeros, hasPoint := strings.Cut(strings.TrimSpace(s), ".")
	if hasPoint && (zeros == "" || strings.Trim(zeros, "0") != "") || !isDigits(strings.TrimLeft(whole, "+-")) || strings.LastIndexAny(whole, "+-") > 0 {
		return 0, noInteger
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(whole, "_", ""), 10, 64)
	if err != nil {
		return 0, hugeInteger
	}
	return n, finding{}
}

// isDigits reports whether s is made of digits, with single underscores between them.
func isDigits(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
		case c == '_' && i > 0 && i < len(s)-1 && s[i-1] != '_':
		default:
			return false
		}
	}
	return s != ""
}

// numberIn reads a number from a string.
func numberIn(s string) (float64, finding) {
	s = strings.TrimSpace(s)
	switch strings.TrimLeft(strings.ToLower(s), "+-") {
	case "nan", "inf", "infinity":
		return 0, notFinite
	}
	if strings.Trim(s, "0123456789+-.eE_") != "" || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return 0, noNumber
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	switch {
	case err == nil:
		return x, finding{}
	case math.IsInf(x, 0):
		return 0, notFinite
	default:
		return 0, noNumber
	}
}

func formatNumber(x float64) string {
	b, err := json.Marshal(x)
	if err != nil { // can't happen: x is finite
		return "0"
	}
	return string(b)
}
