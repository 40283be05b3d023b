package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gaia/tests/gaiatest"
)

// addedHeaders may come with any answer: clients of the old platform ignore headers that they don't know.
var addedHeaders = []string{
	"Cache-Control", "Content-Encoding", "Content-Length", "Date", "Etag", "Server-Timing", "Vary", "Www-Authenticate", "X-Content-Type-Options", "X-Request-Id", "X-Response-Time",
	"Access-Control-Expose-Headers",
	"X-Gaia-Instance", // of probes
}

// comparison collects how an answer differs from the recorded one. A field is a path into the answer; "+" names keys that are
// new, "-" keys that are missing.
type comparison struct{ found []difference }

func (c *comparison) differ(field, format string, args ...any) {
	c.found = append(c.found, difference{Field: field, Reason: fmt.Sprintf(format, args...)})
}

func (c *comparison) status(want, got int) {
	if want != got {
		c.differ("status", "%d, not %d", got, want)
	}
}

func (c *comparison) headers(want map[string]string, got http.Header) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if value := strings.Join(got.Values(name), ", "); value != want[name] {
			c.differ("header "+name, "%q, not %q", value, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, recorded := want[strings.ToLower(name)]; !recorded && !slices.Contains(addedHeaders, name) {
			c.differ("header +"+strings.ToLower(name), "%q", got.Get(name))
		}
	}
}

func (c *comparison) body(want any, resp gaiatest.Response) {
	data := uncompressed(resp)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		got := eventsIn(data)
		recorded, ok := want.(map[string]any)
		if ok && recorded["sse"] != nil {
			c.events(unrolled(recorded["sse"].([]any)), got)
			return
		}
		c.differ("body", "an event stream")
		return
	}
	if recorded, ok := want.(map[string]any); ok && recorded["sse"] != nil {
		c.differ("body", "%s", data)
		return
	}
	if text, ok := want.(string); ok {
		if string(data) != text {
			c.differ("body", "%q, not %q", data, text)
		}
		return
	}
	var got any
	if err := json.Unmarshal(data, &got); err != nil {
		c.differ("body", "no JSON: %q", data)
		return
	}
	c.value("body", want, got)
}

func uncompressed(resp gaiatest.Response) []byte {
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return resp.Body
	}
	r, err := gzip.NewReader(bytes.NewReader(resp.Body))
	if err != nil {
		return resp.Body
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return resp.Body
	}
	return data
}

// unrolled writes out what the recording abbreviates.
func unrolled(recorded []any) []any {
	var events []any
	for _, e := range recorded {
		m, _ := e.(map[string]any)
		times, ok := m["times"].(float64)
		if !ok {
			events = append(events, e)
			continue
		}
		for range int(times) {
			events = append(events, m["repeat"].([]any)...)
		}
	}
	return events
}

func eventsIn(body []byte) []any {
	var events []any
	for line := range strings.Lines(string(body)) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok {
			continue
		}
		var v any = data
		if data != gaiatest.Done {
			_ = json.Unmarshal([]byte(data), &v) // the client has checked every event
		}
		events = append(events, v)
	}
	return events
}

// events compares two streams: the order of the kinds of events, how many there are of each, and each event with the one of its
// kind.
func (c *comparison) events(want, got []any) {
	if w, g := order(want), order(got); w != g {
		c.differ("events order", "%s, not %s", g, w)
	}
	wanted, gotten := byKind(want), byKind(got)
	kinds := map[string]bool{}
	for kind := range wanted {
		kinds[kind] = true
	}
	for kind := range gotten {
		kinds[kind] = true
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		w, g := wanted[kind], gotten[kind]
		if len(w) != len(g) {
			c.differ("events count "+kind, "%d, not %d", len(g), len(w))
		}
		var each comparison
		for i := range min(len(w), len(g)) {
			each.value("event "+kind, w[i], g[i])
		}
		for _, d := range each.found {
			if !slices.ContainsFunc(c.found, func(f difference) bool { return f.Field == d.Field }) {
				c.found = append(c.found, d)
			}
		}
	}
}

func byKind(events []any) map[string][]any {
	kinds := map[string][]any{}
	for _, e := range events {
		kinds[kindOf(e)] = append(kinds[kindOf(e)], e)
	}
	return kinds
}

// order of the kinds, each run of one kind written once, and each run of a group of kinds too.
func order(events []any) string {
	var kinds []string
	for _, e := range events {
		if k := kindOf(e); len(kinds) == 0 || kinds[len(kinds)-1] != k {
			kinds = append(kinds, k)
		}
	}
	return strings.Join(kinds, " ")
}

func kindOf(event any) string {
	m, ok := event.(map[string]any)
	if !ok {
		return fmt.Sprint(event)
	}
	if kind, ok := m["type"].(string); ok {
		return kind
	}
	choices, _ := m["choices"].([]any)
	if len(choices) == 0 {
		return "chunk"
	}
	choice, _ := choices[0].(map[string]any)
	if reason, ok := choice["finish_reason"].(string); ok {
		return reason
	}
	delta, _ := choice["delta"].(map[string]any)
	if delta["role"] != nil {
		return "role"
	}
	return "content"
}

// value compares two JSON values.
func (c *comparison) value(field string, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			c.differ(field, "no object but %v", brief(got))
			return
		}
		c.object(field, want, got)
	case []any:
		list, ok := got.([]any)
		if !ok {
			c.differ(field, "no list but %v", brief(got))
			return
		}
		if len(want) != len(list) {
			c.differ(field+" length", "%d, not %d: %v", len(list), len(want), brief(list))
		}
		for i := range min(len(want), len(list)) {
			c.value(field+"["+strconv.Itoa(i)+"]", want[i], list[i])
		}
	case string:
		if !matches(want, got) {
			c.differ(field, "%v, not %q", brief(got), want)
		}
	default:
		if want != got {
			c.differ(field, "%v, not %v", brief(got), want)
		}
	}
}

func (c *comparison) object(field string, want, got map[string]any) {
	var missing, added []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		value, ok := got[key]
		if !ok {
			missing = append(missing, key)
			continue
		}
		c.value(field+"."+key, want[key], value)
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			added = append(added, key)
		}
	}
	if len(missing) > 0 {
		c.differ(field+" -"+strings.Join(missing, ","), "missing")
	}
	if len(added) > 0 {
		c.differ(field+" +"+strings.Join(added, ","), "added")
	}
}

var placeholder = regexp.MustCompile(`<[a-z][^<>]*>`)

// matches compares a recorded string, in which placeholders stand for any value of their kind.
func matches(want string, got any) bool {
	text, isText := got.(string)
	switch want {
	case "<ms>", "<unix>", "<number>", "<minutes>", "<days>":
		_, isNumber := got.(float64)
		return isNumber
	case "<timestamp>":
		_, err := time.Parse(time.RFC3339Nano, text)
		return isText && err == nil
	}
	if !isText || !placeholder.MatchString(want) {
		return isText && text == want
	}
	pattern := "^"
	rest := want
	for _, at := range placeholder.FindAllString(want, -1) {
		before, after, _ := strings.Cut(rest, at)
		kind := `(?s:.+)`
		if at == "<uuid>" || at == "<user-uuid>" {
			kind = `[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`
		}
		pattern += regexp.QuoteMeta(before) + kind
		rest = after
	}
	return regexp.MustCompile(pattern + regexp.QuoteMeta(rest) + "$").MatchString(text)
}

func brief(v any) string {
	text := fmt.Sprintf("%v", v)
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}
