package intake

import (
	"encoding/json"
	"slices"
	"strconv"

	"gaia/domain"
)

// maxFaults is how many faults are reported: whoever has more starts over anyway.
const maxFaults = 100

// maxPatches is how much of a body may be changed. No honest client comes near it.
const maxPatches = 10_000

// checker walks over a JSON value that is known to be valid. It works on the bytes, so that a body without faults costs next to
// nothing, and collects what has to be changed in them for a strict decoder to read what a lenient client meant.
type checker struct {
	data    []byte
	root    string // first step of every location: "body", "query", …
	path    []step
	faults  []domain.Fault
	patches []patch
	spans   []span // a stack: the values of the properties of the objects that are being checked
}

// step is one step of a location: a name, or an index when the name is empty and named is false.
type step struct {
	name  string
	named bool
	index int
}

// span is a piece of the data. Values never start at 0 inside an object, so the zero span is an absent value.
type span struct{ start, end int }

// patch replaces a piece of the data.
type patch struct {
	span
	by string
}

func (c *checker) full() bool { return len(c.faults) >= maxFaults }

func (c *checker) raw(s span) []byte { return c.data[s.start:s.end] }

func (c *checker) report(f finding, s span) { c.reportInput(f, Preview(c.raw(s))) }

func (c *checker) reportInput(f finding, input json.RawMessage) {
	if c.full() {
		return
	}
	loc := make([]any, 1, len(c.path)+1)
	loc[0] = c.root
	for _, s := range c.path {
		if s.named {
			loc = append(loc, s.name)
		} else {
			loc = append(loc, s.index)
		}
	}
	c.faults = append(c.faults, domain.Fault{Type: f.kind, Loc: loc, Msg: f.msg, Input: input, Ctx: f.ctx})
}

func (c *checker) patch(s span, by string) {
	if len(c.patches) >= maxPatches {
		c.report(tooOdd, s)
		return
	}
	c.patches = append(c.patches, patch{s, by})
}

// patched gives the data with all patches in place.
func (c *checker) patched() []byte {
	if len(c.patches) == 0 {
		return c.data
	}
	slices.SortFunc(c.patches, func(a, b patch) int { return a.start - b.start })
	out := make([]byte, 0, len(c.data)+16*len(c.patches))
	done := 0
	for _, p := range c.patches {
		out = append(append(out, c.data[done:p.start]...), p.by...)
		done = p.end
	}
	return append(out, c.data[done:]...)
}

// value checks one value and reports whether it is fine.
func (c *checker) value(r *rule, s span) bool {
	before := len(c.faults)
	first := c.data[s.start]
	switch {
	case first == 'n' && r.nullable:
	case r.kind == anyValue:
		c.free(s)
	case r.kind == union:
		c.union(r, s)
	case r.kind == object:
		c.object(r, s)
	case r.kind == mapping:
		c.mapping(r, s)
	case r.kind == array:
		c.array(r, s)
	default:
		c.scalar(r, s)
	}
	return len(c.faults) == before
}

func (c *checker) object(r *rule, s span) {
	if c.data[s.start] != '{' {
		c.report(notObject, s)
		return
	}
	base := len(c.spans)
	c.spans = slices.Grow(c.spans, len(r.properties))[:base+len(r.properties)]
	clear(c.spans[base:])
	c.members(s, func(key, value span) { c.member(r, base, key, value) })
	var input json.RawMessage // of missing properties: the same for all of them
	for i, p := range r.properties {
		value := c.spans[base+i]
		if c.full() || value == (span{}) && !p.required {
			continue
		}
		c.path = append(c.path, step{name: p.name, named: true})
		if value != (span{}) {
			c.value(p.rule, value)
		} else {
			if input == nil {
				input = Preview(c.raw(s))
			}
			c.reportInput(missing, input)
		}
		c.path = c.path[:len(c.path)-1]
	}
	c.spans = c.spans[:base]
}

// member notes where a property has its value. The last of several counts, and names are exact; encoding/json sees both otherwise, so
// keys that it might take for a property lose their names.
func (c *checker) member(r *rule, base int, key, value span) {
	name := c.key(key)
	i, known := r.byName[string(name)]
	if !known {
		var room [64]byte
		if _, similar := r.byFold[string(foldName(room[:0], name))]; similar {
			c.patch(key, `""`)
		}
		return
	}
	slot := &c.spans[base+i]
	if *slot != (span{}) {
		c.patch(c.keyBefore(*slot), `""`)
	}
	*slot = value
}

// keyBefore finds the key of a value by going back over the colon.
func (c *checker) keyBefore(value span) span {
	end := value.start - 1
	for c.data[end] != ':' {
		end--
	}
	for end--; c.data[end] != '"'; end-- {
	}
	start := end - 1
	for c.data[start] != '"' || escaped(c.data, start) {
		start--
	}
	return span{start, end + 1}
}

// escaped reports whether an odd number of backslashes stands before i.
func escaped(data []byte, i int) bool {
	n := 0
	for i-1-n >= 0 && data[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// members calls f for each member of the object at s.
func (c *checker) members(s span, f func(key, value span)) {
	i := skipSpace(c.data, s.start+1)
	for c.data[i] != '}' {
		key := span{i, skipText(c.data, i)}
		i = skipSpace(c.data, skipSpace(c.data, key.end)+1)
		value := span{i, skipValue(c.data, i)}
		f(key, value)
		if i = skipSpace(c.data, value.end); c.data[i] == ',' {
			i = skipSpace(c.data, i+1)
		}
	}
}

// elements calls f for each element of the array at s.
func (c *checker) elements(s span, f func(value span)) {
	i := skipSpace(c.data, s.start+1)
	for c.data[i] != ']' {
		value := span{i, skipValue(c.data, i)}
		f(value)
		if i = skipSpace(c.data, value.end); c.data[i] == ',' {
			i = skipSpace(c.data, i+1)
		}
	}
}

func (c *checker) mapping(r *rule, s span) {
	if c.data[s.start] != '{' {
		c.report(notMapping, s)
		return
	}
	if r.most >= 0 {
		n := 0
		c.members(s, func(span, span) { n++ })
		if n > r.most {
			c.report(tooMany("Dictionary", r.most, n), s)
			return
		}
	}
	if r.items == nil {
		c.free(s)
		return
	}
	c.members(s, func(key, value span) {
		if c.full() {
			return
		}
		c.path = append(c.path, step{name: string(c.key(key)), named: true})
		c.value(r.items, value)
		c.path = c.path[:len(c.path)-1]
	})
}

// free checks a value that may be anything: all its numbers must fit a float64, as which strict decoders read them.
func (c *checker) free(s span) {
	for i := s.start; i < s.end && !c.full(); {
		switch first := c.data[i]; {
		case first == '"':
			i = skipText(c.data, i)
		case isNumber(first):
			value := span{i, skipValue(c.data, i)}
			if _, err := strconv.ParseFloat(string(c.raw(value)), 64); err != nil {
				c.report(notFinite, value)
			}
			i = value.end
		default:
			i++
		}
	}
}

func (c *checker) array(r *rule, s span) {
	if c.data[s.start] != '[' {
		c.report(notArray, s)
		return
	}
	n := 0
	c.elements(s, func(span) { n++ })
	switch {
	case n < r.least:
		c.report(tooFew("List", r.least, n), s)
		return
	case r.most >= 0 && n > r.most:
		c.report(tooMany("List", r.most, n), s)
		return
	}
	before, i := len(c.faults), 0
	c.elements(s, func(value span) {
		if !c.full() {
			c.path = append(c.path, step{index: i})
			c.value(r.items, value)
			c.path = c.path[:len(c.path)-1]
		}
		i++
	})
	if r.unique && len(c.faults) == before && c.repeats(s, n) {
		c.report(notUnique, s)
	}
}

// repeats reports whether an array of strings holds one of them twice.
func (c *checker) repeats(s span, n int) bool {
	seen := make(map[string]bool, n)
	c.elements(s, func(value span) {
		if c.data[value.start] == '"' {
			seen[string(c.text(value))] = true
		} else {
			n-- // null, where it is allowed
		}
	})
	return len(seen) < n
}

// key is the decoded text of the key at s.
func (c *checker) key(s span) []byte { return c.text(s) }

// text is the decoded string at s. Without escapes it is a piece of the data.
func (c *checker) text(s span) []byte {
	inner := c.data[s.start+1 : s.end-1]
	if !slices.Contains(inner, '\\') {
		return inner
	}
	var decoded string
	if err := json.Unmarshal(c.raw(s), &decoded); err != nil {
		return inner // can't happen: the string is valid
	}
	return []byte(decoded)
}
