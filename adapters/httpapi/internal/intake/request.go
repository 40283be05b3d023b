package intake

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"gaia/domain"
)

// HasBody reports whether the operation reads a body.
func (o *Operation) HasBody() bool { return o.body != nil }

// JSONBody reports whether the body is JSON, to be judged by CheckBody.
func (o *Operation) JSONBody() bool { return o.body != nil && o.body.media == jsonMedia && !o.Opaque }

// Form reports whether the body is a form with files, which is read as it comes. CheckForm judges its fields.
func (o *Operation) Form() bool { return o.body != nil && o.body.media == formMedia }

// MediaType is the content type that the operation reads.
func (o *Operation) MediaType() string { return o.body.media }

// Accepts reports whether the operation reads bodies of a content type. Old clients send JSON without saying so.
func (o *Operation) Accepts(contentType string) bool {
	if contentType == "" {
		return o.JSONBody()
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && media == "" {
		return false
	}
	if o.JSONBody() {
		return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	}
	return media == o.body.media
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

// CheckBody judges a body of JSON. It gives the body as a strict decoder has to read it, or every fault.
func (o *Operation) CheckBody(data []byte) ([]byte, []domain.Fault) {
	data = bytes.TrimPrefix(data, byteOrderMark)
	if len(data) == 0 {
		return nil, []domain.Fault{bodyFault(missing, nil, "null")}
	}
	if bad, ok := scan(data); !ok {
		at := utf8.RuneCount(data[:bad.offset])
		return nil, []domain.Fault{bodyFault(badJSON(bad.msg), []any{at}, "{}")}
	}
	start := skipSpace(data, 0)
	if data[start] == 'n' && !o.body.rule.nullable {
		return nil, []domain.Fault{bodyFault(missing, nil, "null")}
	}
	c := checker{data: data, root: "body", path: make([]step, 0, 8), spans: make([]span, 0, 48)}
	if !c.value(o.body.rule, span{start, skipValue(data, start)}) {
		return nil, c.faults
	}
	return c.patched(), nil
}

// Field reports whether a form has a field of that name.
func (o *Operation) Field(name string) bool {
	_, ok := o.body.rule.byName[name]
	return ok
}

// CheckForm judges the fields of a form; a file counts as an empty text. It gives them as JSON that a strict decoder can read, or every
// fault.
func (o *Operation) CheckForm(fields map[string]string) ([]byte, []domain.Fault) {
	for name, value := range fields {
		var f finding
		switch {
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			f = notUnicode
		case strings.Contains(value, "\x00"): // no database takes it
			f = hasNull
		default:
			continue
		}
		return nil, []domain.Fault{bodyFault(f, []any{strings.ToValidUTF8(name, "")}, `""`)}
	}
	data, err := json.Marshal(fields)
	if err != nil { // can't happen: texts always encode
		return nil, []domain.Fault{bodyFault(notObject, nil, "null")}
	}
	return o.CheckBody(data)
}

func bodyFault(f finding, loc []any, input string) domain.Fault {
	return domain.Fault{Type: f.kind, Loc: append([]any{"body"}, loc...), Msg: f.msg, Input: json.RawMessage(input), Ctx: f.ctx}
}

// CheckPath judges the values in a path. value gives them by name, decoded.
func (o *Operation) CheckPath(value func(name string) string) []domain.Fault {
	var faults []domain.Fault
	for _, p := range o.params {
		if p.in == "path" {
			_, found := p.check(p.name, value(p.name))
			faults = append(faults, found...)
		}
	}
	return faults
}

// CheckQuery judges a raw query and gives it as a strict decoder has to read it. Of a repeated parameter the last value counts.
func (o *Operation) CheckQuery(raw string) (string, []domain.Fault) {
	var faults []domain.Fault
	var values url.Values
	changed := false
	for _, p := range o.params {
		if p.in != "query" {
			continue
		}
		if values == nil {
			var err error
			if values, err = url.ParseQuery(raw); err != nil {
				input, _ := json.Marshal(raw) // a string always encodes
				return raw, []domain.Fault{{Type: brokenQuery.kind, Loc: []any{"query"}, Msg: brokenQuery.msg, Input: Preview(input), Ctx: brokenQuery.ctx}}
			}
		}
		given := values[p.name]
		if len(given) == 0 {
			if p.required {
				faults = append(faults, p.missing(p.name))
			}
			continue
		}
		last := given[len(given)-1]
		by, found := p.check(p.name, last)
		faults = append(faults, found...)
		if by != last || len(given) > 1 {
			values[p.name] = []string{by}
			changed = true
		}
	}
	if changed {
		raw = values.Encode()
	}
	return raw, faults
}

// CheckHeader judges the headers that the operation knows, and joins repeated ones into the one that a strict decoder expects.
func (o *Operation) CheckHeader(h http.Header) []domain.Fault {
	var faults []domain.Fault
	for _, p := range o.params {
		if p.in != "header" {
			continue
		}
		given := h[p.name]
		if len(given) > 1 {
			given = []string{strings.Join(given, ", ")}
			h[p.name] = given
		}
		name := strings.ToLower(p.name)
		switch {
		case len(given) == 1:
			by, found := p.check(name, given[0])
			faults = append(faults, found...)
			if by != given[0] {
				h[p.name] = []string{by}
			}
		case p.required:
			faults = append(faults, p.missing(name))
		}
	}
	return faults
}

func (p param) missing(name string) domain.Fault {
	return domain.Fault{Type: missing.kind, Loc: []any{p.in, name}, Msg: missing.msg, Input: json.RawMessage("null")}
}

// check judges the text of a parameter like a string in a body, and gives the text that a strict decoder understands.
func (p param) check(name, value string) (string, []domain.Fault) {
	quoted, err := json.Marshal(value)
	if err != nil { // can't happen: a string always encodes
		return value, nil
	}
	c := checker{data: quoted, root: p.in, path: []step{{name: name, named: true}}}
	whole := span{0, len(quoted)}
	switch {
	case !utf8.ValidString(value):
		c.report(notUnicode, whole)
	case strings.Contains(value, "\x00"): // no database takes it
		c.report(hasNull, whole)
	case c.value(p.rule, whole) && len(c.patches) > 0:
		return strings.Trim(string(c.patched()), `"`), nil
	}
	return value, c.faults
}
