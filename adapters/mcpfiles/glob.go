package mcpfiles

import (
	"fmt"
	"path"
	"strings"
)

// compile makes a test of relative paths out of patterns: "*" and "?" within a name, "**" for any number of names, [a-z], and {a,b}. With
// anywhere, a pattern without "*" matches at any depth, and what is below it.
func compile(patterns []string, anywhere bool) (func(relative string) bool, error) {
	if len(patterns) > maxPatterns {
		return nil, fmt.Errorf("at most %d patterns", maxPatterns)
	}
	var all [][]string
	alternatives := 0 // of all patterns: each entry is held against each of them
	for _, p := range patterns {
		if len(p) > maxPattern {
			return nil, fmt.Errorf("a pattern has at most %d bytes", maxPattern)
		}
		expanded, err := expand(p, nil)
		if err != nil {
			return nil, err
		}
		if alternatives += len(expanded); alternatives > maxPatterns {
			return nil, errAlternatives
		}
		for _, a := range expanded {
			if _, err := path.Match(strings.ReplaceAll(a, "**", "*"), ""); err != nil {
				return nil, fmt.Errorf("the pattern %q can't be read", oneLine(p))
			}
			names := strings.Split(strings.TrimPrefix(a, "./"), "/")
			all = append(all, names)
			if anywhere && !strings.Contains(a, "*") {
				all = append(all, append([]string{"**"}, names...))
			}
		}
	}
	return func(relative string) bool {
		names := strings.Split(relative, "/")
		for _, pattern := range all {
			if matches(pattern, names) {
				return true
			}
		}
		return false
	}, nil
}

var errAlternatives = fmt.Errorf("patterns have at most %d alternatives together", maxPatterns)

// expand writes {a,b} out.
func expand(p string, done []string) ([]string, error) {
	open := strings.IndexByte(p, '{')
	length := strings.IndexByte(p[max(open, 0):], '}')
	if open < 0 || length < 0 {
		if len(done) == maxPatterns {
			return nil, errAlternatives
		}
		return append(done, p), nil
	}
	var err error
	for alternative := range strings.SplitSeq(p[open+1:open+length], ",") {
		if done, err = expand(p[:open]+alternative+p[open+length+1:], done); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// matches takes time in proportion to the product of both lengths, whatever the pattern is.
func matches(pattern, names []string) bool {
	now := make([]bool, len(names)+1) // whether what there is of the pattern matches the first i names
	now[0] = true
	for _, p := range pattern {
		next := make([]bool, len(names)+1)
		if p == "**" {
			for i, reached := 0, false; i <= len(names); i++ {
				reached = reached || now[i]
				next[i] = reached
			}
		} else {
			for i, name := range names {
				if now[i] {
					next[i+1], _ = path.Match(p, name)
				}
			}
		}
		now = next
	}
	return now[len(names)]
}
