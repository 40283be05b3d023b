package intake

// union checks a value that may have one of several forms. The form is chosen by the type of the value, so that faults speak about
// what the client meant rather than about every form.
func (c *checker) union(r *rule, s span) {
	if r.tag != "" {
		c.tagged(r, s)
		return
	}
	var fitting []*rule
	for _, b := range r.branches {
		if b.fits(c.data[s.start]) {
			fitting = append(fitting, b)
		}
	}
	switch len(fitting) {
	case 1:
		c.value(fitting[0], s)
	case 0:
		c.firstOf(r.branches, s)
	default:
		c.firstOf(fitting, s)
	}
}

// firstOf takes the first rule that the value obeys. When there is none, it reports the faults by each of them.
func (c *checker) firstOf(rules []*rule, s span) {
	faults, patches := len(c.faults), len(c.patches)
	for _, r := range rules {
		if c.full() { // a further fault would not be seen
			return
		}
		if c.value(r, s) {
			c.faults = c.faults[:faults]
			return
		}
		c.patches = c.patches[:patches]
	}
}

func (c *checker) tagged(r *rule, s span) {
	if c.data[s.start] != '{' {
		c.report(notObject, s)
		return
	}
	var value span
	c.members(s, func(key, v span) {
		if string(c.key(key)) == r.tag {
			value = v
		}
	})
	if value == (span{}) || c.data[value.start] == 'n' {
		c.report(noTag(r.tag), s)
		return
	}
	tag := string(c.raw(value))
	if c.data[value.start] == '"' {
		tag = string(c.text(value))
	}
	if branch := r.byTag[tag]; branch != nil && c.data[value.start] == '"' {
		c.value(branch, s)
		return
	}
	c.report(wrongTag(r.tag, clip(tag), r.tags), s)
}

// fits reports whether a value that begins with this byte has the type that the rule asks for.
func (r *rule) fits(first byte) bool {
	switch first {
	case '{':
		return r.kind == object || r.kind == mapping || r.kind == anyValue || r.kind == union
	case '[':
		return r.kind == array || r.kind == anyValue || r.kind == union
	case '"':
		return r.kind == text || r.kind == anyValue || r.kind == union
	case 't', 'f':
		return r.kind == boolean || r.kind == anyValue || r.kind == union
	case 'n':
		return r.nullable || r.kind == anyValue
	default:
		return r.kind == integer || r.kind == number || r.kind == anyValue || r.kind == union
	}
}
