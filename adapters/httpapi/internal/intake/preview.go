package intake

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// What a fault shows of the input, in bytes: nobody needs ten megabytes back to see which value was wrong.
const (
	maxPreview     = 2048
	maxPreviewText = 1024
	maxPreviewDeep = 8
	cutMark        = "…"
)

// Preview gives valid JSON back as it is when it is small, else cut: long strings end in "…", and so do lists and objects that are
// too large or too deep. Numbers that do not fit a float64 become strings, because few clients can read them.
func Preview(raw []byte) json.RawMessage {
	p := previewer{data: raw, out: make([]byte, 0, min(len(raw)+8, maxPreview+maxPreviewText))}
	p.value(skipSpace(raw, 0), maxPreviewDeep)
	return p.out
}

type previewer struct {
	data []byte
	out  []byte
	cut  bool // something was left out because all room is used: nothing more is read
}

// value copies the value at i and gives its end, which means nothing after a cut.
func (p *previewer) value(i, depth int) int {
	if len(p.out) >= maxPreview {
		p.cut = true
		p.out = append(p.out, `"`+cutMark+`"`...)
		return i
	}
	switch c := p.data[i]; {
	case c == '"':
		return p.text(i)
	case c == '{' || c == '[':
		if depth == 0 {
			p.out = append(p.out, `"`+cutMark+`"`...)
			return skipContainer(p.data, i)
		}
		return p.container(i, depth-1)
	default:
		end := skipValue(p.data, i)
		p.scalar(p.data[i:end])
		return end
	}
}

func (p *previewer) container(i, depth int) int {
	isObject, end := p.data[i] == '{', p.data[i]+2 // in ASCII the closing bracket comes two after the opening one
	p.out = append(p.out, p.data[i])
	i = skipSpace(p.data, i+1)
	for !p.cut && p.data[i] != end {
		if isObject {
			i = skipSpace(p.data, skipSpace(p.data, p.text(i))+1)
			p.out = append(p.out, ':')
		}
		i = p.value(i, depth)
		if p.cut {
			break
		}
		if i = skipSpace(p.data, i); p.data[i] == ',' {
			p.out = append(p.out, ',')
			i = skipSpace(p.data, i+1)
		}
	}
	p.out = append(p.out, end)
	return i + 1
}

func (p *previewer) text(i int) int {
	end := skipText(p.data, i)
	if end-i <= maxPreviewText {
		p.out = append(p.out, p.data[i:end]...)
		return end
	}
	p.out = append(append(p.out, clipEscaped(p.data[i:end], maxPreviewText-len(cutMark)-1)...), cutMark+`"`...)
	return end
}

// clipEscaped gives the beginning of a JSON string, opening quote included, without cutting an escape or a character.
func clipEscaped(raw []byte, limit int) []byte {
	i := 1
	for {
		size := 1
		switch c := raw[i]; {
		case c == '\\' && raw[i+1] == 'u':
			size = 6
			if next := hex4(raw[i+2:]); next >= 0xD800 && next <= 0xDBFF {
				size = 12
			}
		case c == '\\':
			size = 2
		case c >= utf8.RuneSelf:
			_, size = utf8.DecodeRune(raw[i:])
		}
		if i+size > limit {
			return raw[:i]
		}
		i += size
	}
}

// scalar copies a number or a literal.
func (p *previewer) scalar(raw []byte) {
	if isNumber(raw[0]) {
		if _, err := strconv.ParseFloat(string(raw), 64); err != nil || len(raw) > 64 {
			p.out = append(append(append(p.out, '"'), raw[:min(len(raw), 64)]...), '"')
			return
		}
	}
	p.out = append(p.out, raw...)
}

// clip shortens a text that a message quotes.
func clip(s string) string {
	const limit = 100
	if len(s) <= limit {
		return s
	}
	end := limit
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cutMark
}
