package intake

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// format is what a text has to look like.
type format struct {
	kind formatKind
	// check says what is wrong with a text, or how it has to be written for a strict decoder when it is not written so.
	check func(string) (by string, f finding)
}

type formatKind uint8

const (
	free formatKind = iota
	dateTime
)

func formatOf(name string) (format, error) {
	switch name {
	case "", "password", "binary", "byte":
		return format{}, nil
	case "date-time":
		return format{dateTime, timestampIn}, nil
	case "date":
		return format{check: dateIn}, nil
	case "uuid":
		return format{check: uuidIn}, nil
	case "uri":
		return format{check: uriIn}, nil
	case "email":
		return format{check: emailIn}, nil
	default:
		return format{}, fmt.Errorf("unknown format %q", name)
	}
}

// lenientTimes are the ways to write a time that clients of the old platform use beside RFC 3339. Without an offset it is UTC.
var lenientTimes = []string{
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02",
}

func timestampIn(s string) (string, finding) {
	if _, err := time.Parse(time.RFC3339, s); err == nil {
		return "", finding{}
	}
	for _, layout := range lenientTimes {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.RFC3339Nano), finding{}
		}
	}
	return "", parsing("datetime_from_date_parsing", "a valid datetime or date", "input is not an ISO 8601 date and time")
}

// secondsUntilMillis is where numbers stop to be seconds and are milliseconds since 1970.
const secondsUntilMillis = 2e10

// checkTimestamp takes a number for a time since 1970.
func (c *checker) checkTimestamp(s span) {
	if !isNumber(c.data[s.start]) {
		c.report(notTimestamp, s)
		return
	}
	x, err := strconv.ParseFloat(string(c.raw(s)), 64)
	if math.Abs(x) > secondsUntilMillis {
		x /= 1000
	}
	if err != nil || math.Abs(x) > secondsUntilMillis { // beyond the year 2603
		c.report(parsing("datetime_parsing", "a valid datetime", "year is out of range"), s)
		return
	}
	t := time.UnixMicro(int64(math.Round(x * 1e6))).UTC()
	c.patch(s, `"`+t.Format(time.RFC3339Nano)+`"`)
}

func dateIn(s string) (string, finding) {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return "", parsing("date_from_datetime_parsing", "a valid date or datetime", "input is not an ISO 8601 date")
	}
	return "", finding{}
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$`)

func uuidIn(s string) (string, finding) {
	if !uuidForm.MatchString(s) {
		return "", parsing("uuid_parsing", "a valid UUID", "expected 32 hexadecimal digits in groups of 8-4-4-4-12")
	}
	digits := strings.ReplaceAll(s, "-", "")
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:], finding{}
}

var schemeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:.`)

func uriIn(s string) (string, finding) {
	if !schemeForm.MatchString(s) {
		return "", parsing("url_parsing", "a valid URL", "relative URL without a base")
	}
	return "", finding{}
}

func emailIn(s string) (string, finding) {
	if at := strings.LastIndexByte(s, '@'); at < 1 || at == len(s)-1 {
		return "", finding{
			"value_error", "value is not a valid email address: An email address must have an @-sign.",
			map[string]any{"reason": "An email address must have an @-sign."},
		}
	}
	return "", finding{}
}

func parsing(kind, what, reason string) finding {
	return finding{kind, "Input should be " + what + ", " + reason, map[string]any{"error": reason}}
}
