package mcptools

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"gaia/domain"
)

// File is what an operator's file says about tools.
type File struct {
	Servers []Server // in the order of their names
	Offer   domain.ToolPolicy
}

var serverName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// ParseFile reads a file of tool servers. Values of environment variables come from lookup. It reports every fault with its place, and no
// value, since it may be secret.
func ParseFile(data []byte, lookup func(name string) (string, bool)) (File, error) {
	var f File
	var servers map[string]json.RawMessage
	var offer json.RawMessage
	if err := readFields("", data, map[string]any{"mcpServers": &servers, "offer": &offer}); err != nil {
		return File{}, err
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		s, err := parseServer(name, servers[name], lookup)
		faults = append(faults, err)
		f.Servers = append(f.Servers, s)
	}
	var err error
	if offer != nil {
		f.Offer, err = parseOffer(offer)
	}
	if err = errors.Join(append(faults, err)...); err != nil {
		return File{}, err
	}
	return f, nil
}

func parseServer(name string, raw json.RawMessage, lookup func(string) (string, bool)) (Server, error) {
	at := "mcpServers." + name
	s := Server{Name: name}
	var kind string
	var timeout, repeatable json.RawMessage
	var redact map[string]json.RawMessage
	err := readFields(at, raw, map[string]any{
		"type": &kind, "command": &s.Command, "args": &s.Args, "env": &s.Env, "cwd": &s.Dir, "url": &s.URL, "headers": &s.Headers,
		"disabled": &s.Disabled, "timeout": &timeout, "max_result_bytes": &s.MaxResultBytes, "max_concurrent": &s.Concurrency,
		"tools": &s.Tools, "repeatable": &repeatable, "trust_hints": &s.TrustHints, "redact": &redact, "redact_results": &s.RedactResults,
	})
	if err != nil {
		return Server{}, err
	}
	if s.Disabled { // it need not be complete, and its variables need not be there
		return s, nameFault(at, name)
	}
	var timeoutErr, repeatableErr, redactErr error
	s.Timeout, timeoutErr = parseTimeout(at+".timeout", timeout)
	s.Repeatable, repeatableErr = parseRepeatable(at+".repeatable", repeatable)
	s.Redact, redactErr = parseRedact(at+".redact", redact)
	return s, errors.Join(
		nameFault(at, name), timeoutErr, repeatableErr, redactErr,
		checkKind(at, kind, s), checkPatterns(at+".tools", s.Tools), checkPatterns(at+".redact_results", s.RedactResults),
		s.expand(at, lookup), checkWhere(at, s), checkBounds(at, s),
	)
}

func nameFault(at, name string) error {
	if serverName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s: a server's name has letters, digits, _, - and . only, and 64 at most", at)
}

// checkKind compares what a server is said to be with what it has.
func checkKind(at, kind string, s Server) error {
	switch {
	case kind == "sse":
		return fmt.Errorf(`%s.type: HTTP with SSE of 2024 is not spoken; "http" is, which most servers have at another URL`, at)
	case !slices.Contains([]string{"", "stdio", "http", "streamable-http", "streamableHttp"}, kind):
		return fmt.Errorf(`%s.type: neither "stdio" nor "http"`, at)
	case (s.Command == "") == (s.URL == ""):
		return fmt.Errorf("%s: needs either command or url", at)
	case s.Command == "" && kind == "stdio":
		return fmt.Errorf(`%s.type: "stdio" needs a command and no url`, at)
	case s.URL == "" && kind != "" && kind != "stdio":
		return fmt.Errorf("%s.type: %q needs a url and no command", at, kind)
	case s.URL != "" && (s.Args != nil || s.Env != nil || s.Dir != ""):
		return fmt.Errorf("%s: args, env and cwd are for a command", at)
	case s.Command != "" && s.Headers != nil:
		return fmt.Errorf("%s: headers are for a url", at)
	}
	return nil
}

// headerName is a token of RFC 9110.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// checkWhere looks at what a server is reached with, after variables have been put in.
func checkWhere(at string, s Server) error {
	var faults []error
	if s.URL != "" {
		u, err := url.Parse(s.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, fmt.Errorf("%s.url: not a URL that starts with http:// or https://", at))
		} else if u.User != nil {
			faults = append(faults, fmt.Errorf("%s.url: has a user in it; credentials belong into headers", at))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		lower := strings.ToLower(name)
		taken := slices.Contains([]string{"host", "accept", "connection", "transfer-encoding", "last-event-id"}, lower) ||
			strings.HasPrefix(lower, "content-") || strings.HasPrefix(lower, "mcp-")
		if !headerName.MatchString(name) || taken || strings.ContainsFunc(s.Headers[name], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			faults = append(faults, fmt.Errorf("%s.headers.%s: can't be sent", at, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(s.Env[name], "\x00") {
			faults = append(faults, fmt.Errorf("%s.env.%s: not a variable", at, name))
		}
	}
	return errors.Join(faults...)
}

func checkBounds(at string, s Server) error {
	var faults []error
	if s.MaxResultBytes < 0 || s.MaxResultBytes > MaxResultBytes {
		faults = append(faults, fmt.Errorf("%s.max_result_bytes: not between 1 and %d", at, MaxResultBytes))
	}
	if s.Concurrency < 0 || s.Concurrency > MaxConcurrency {
		faults = append(faults, fmt.Errorf("%s.max_concurrent: not between 1 and %d", at, MaxConcurrency))
	}
	return errors.Join(faults...)
}

// parseTimeout reads "90s", or a number of seconds.
func parseTimeout(at string, raw json.RawMessage) (time.Duration, error) {
	if raw == nil {
		return 0, nil
	}
	var text string
	var number float64
	var d time.Duration
	var err error
	if json.Unmarshal(raw, &text) == nil {
		d, err = time.ParseDuration(text)
	} else if err = json.Unmarshal(raw, &number); err == nil {
		d = time.Duration(min(number, 2*MaxTimeout.Seconds()) * float64(time.Second))
	}
	if err != nil || d <= 0 || d > MaxTimeout {
		return 0, fmt.Errorf(`%s: neither a number of seconds nor a time such as "90s", above 0 and at most an hour`, at)
	}
	return d, nil
}

// parseRepeatable reads patterns, or true for all tools.
func parseRepeatable(at string, raw json.RawMessage) ([]string, error) {
	if raw == nil {
		return nil, nil
	}
	var all bool
	if json.Unmarshal(raw, &all) == nil {
		if all {
			return []string{"*"}, nil
		}
		return nil, nil
	}
	var patterns []string
	if json.Unmarshal(raw, &patterns) != nil {
		return nil, fmt.Errorf("%s: neither true nor a list of names of tools", at)
	}
	return patterns, checkPatterns(at, patterns)
}

// parseRedact reads lists of arguments, or "*", by tool.
func parseRedact(at string, raw map[string]json.RawMessage) (map[string][]string, error) {
	redact := make(map[string][]string, len(raw))
	var faults []error
	for _, tool := range slices.Sorted(maps.Keys(raw)) {
		var all string
		var names []string
		switch {
		case json.Unmarshal(raw[tool], &all) == nil && all == "*":
			names = []string{"*"}
		case json.Unmarshal(raw[tool], &names) != nil:
			faults = append(faults, fmt.Errorf(`%s.%s: neither "*" nor a list of names of arguments`, at, tool))
		}
		faults = append(faults, checkPatterns(at, []string{tool}))
		redact[tool] = names
	}
	return redact, errors.Join(faults...)
}

func checkPatterns(at string, patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.Contains(p, "/") {
			return fmt.Errorf("%s: %q is no name of a tool and no pattern of names", at, p)
		}
	}
	return nil
}

// parseOffer reads what chats are offered. Names of activities and personas are compared in lower case.
func parseOffer(raw json.RawMessage) (domain.ToolPolicy, error) {
	var p domain.ToolPolicy
	var activities, personas map[string][]string
	err := readFields("offer", raw, map[string]any{"default": &p.Default, "activities": &activities, "personas": &personas})
	if err != nil {
		return domain.ToolPolicy{}, err
	}
	faults := []error{checkIDs("offer.default", p.Default)}
	lower := func(at string, lists map[string][]string) map[string][]string {
		out := make(map[string][]string, len(lists))
		for _, name := range slices.Sorted(maps.Keys(lists)) {
			key := strings.ToLower(strings.TrimSpace(name))
			if _, twice := out[key]; twice || key == "" {
				faults = append(faults, fmt.Errorf("%s.%s: is there twice, or is empty", at, name))
			}
			faults = append(faults, checkIDs(at+"."+name, lists[name]))
			out[key] = lists[name]
		}
		return out
	}
	p.Activities, p.Personas = lower("offer.activities", activities), lower("offer.personas", personas)
	return p, errors.Join(faults...)
}

func checkIDs(at string, patterns []string) error {
	for _, p := range patterns {
		if !domain.IsToolPattern(p) {
			return fmt.Errorf(`%s: %q is no pattern such as "server/tool", "server/*" or "*"`, at, p)
		}
	}
	return nil
}

// readFields reads an object, at a place in the file, into variables. A key without a variable is a fault: misspelt, it would do nothing.
func readFields(at string, raw []byte, into map[string]any) error {
	where := at
	if at == "" {
		where = "the file"
	} else {
		at += "."
	}
	var object map[string]json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(raw, &object); errors.As(err, &syntax) {
		line := 1 + strings.Count(string(raw[:min(int(syntax.Offset), len(raw))]), "\n")
		return fmt.Errorf("%s: not JSON, in line %d: %w", where, line, err)
	} else if err != nil || object == nil {
		return fmt.Errorf("%s: must be an object", where)
	}
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(object)) {
		target, known := into[key]
		if !known {
			faults = append(faults, fmt.Errorf("%s: unknown key %q; known are %s", where, key, strings.Join(slices.Sorted(maps.Keys(into)), ", ")))
		} else if json.Unmarshal(object[key], target) != nil {
			faults = append(faults, fmt.Errorf("%s%s: must be %s", at, key, kindOf(target)))
		}
	}
	return errors.Join(faults...)
}

// kindOf names what a variable of readFields takes.
func kindOf(target any) string {
	switch target.(type) {
	case *string:
		return "a text"
	case *bool:
		return "true or false"
	case *int:
		return "a whole number"
	case *[]string:
		return "a list of texts"
	case *map[string]string:
		return "an object of texts"
	case *map[string][]string:
		return "an object of lists of texts"
	default:
		return "an object"
	}
}
