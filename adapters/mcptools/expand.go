package mcptools

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// variable is ${NAME} or ${NAME:-default}.
var variable = regexp.MustCompile(`\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\})?`)

// expand puts values of variables into args, env, cwd, url and headers. What comes from a variable counts as secret, and so do all headers.
func (s *Server) expand(at string, lookup func(string) (string, bool)) error {
	var faults []error
	one := func(at, text string) string {
		text, secrets, err := expandText(at, text, lookup)
		s.secrets = append(s.secrets, secrets...)
		faults = append(faults, err)
		return text
	}
	s.URL, s.Dir = one(at+".url", s.URL), one(at+".cwd", s.Dir)
	for i, arg := range s.Args {
		s.Args[i] = one(fmt.Sprintf("%s.args[%d]", at, i), arg)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		s.Env[name] = one(at+".env."+name, s.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		s.Headers[name] = one(at+".headers."+name, s.Headers[name])
		s.secrets = append(s.secrets, s.Headers[name])
	}
	return errors.Join(faults...)
}

func expandText(at, text string, lookup func(string) (string, bool)) (_ string, secrets []string, _ error) {
	var faults []error
	expanded := variable.ReplaceAllStringFunc(text, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		name, fallback := parts[1], parts[2]
		if name == "" {
			faults = append(faults, fmt.Errorf("%s: ${ begins neither ${NAME} nor ${NAME:-default}", at))
			return ""
		}
		value, set := lookup(name)
		switch {
		case fallback != "" && value == "":
			return strings.TrimPrefix(fallback, ":-")
		case !set:
			faults = append(faults, fmt.Errorf("%s: the environment variable %s is not set", at, name))
		case value != "":
			secrets = append(secrets, value)
		}
		return value
	})
	return expanded, secrets, errors.Join(faults...)
}
