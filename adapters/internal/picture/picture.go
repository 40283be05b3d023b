// Package picture says in plain words what a picture is to be, for services that make pictures from a text, and reads from a request what
// these want to know besides: shape, file format, background.
//
// It must not know any service, nor put a word of the caller into anything but the text.
package picture

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gaia/domain"
)

// smallFile is a limit in bytes below which a picture without losses may not fit.
const smallFile = 4 << 20

// tile is what a texture has to be.
const tile = "It is a seamless texture that tiles without visible edges, evenly lit, seen straight from above, and fills the whole picture."

// Text is what a picture is to be, of at most limit characters. What is too long is cut at a word of the caller's.
func Text(r domain.AssetRequest, limit int) string {
	text, after := words(r.Description), ""
	if style := words(r.Style); style != "" {
		after += " Style: " + end(style)
	}
	if r.Category == domain.AssetTexture {
		after += " " + tile
	}
	if hint := platformHint(r.Platform); hint != "" {
		after += " " + hint
	}
	return end(Cut(text, limit-utf8.RuneCountInString(after)-1)) + after
}

// words are those of a text, with single spaces between them.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// end gives a text the end of a sentence.
func end(text string) string {
	if text == "" || strings.ContainsRune(".!?…", lastRune(text)) {
		return text
	}
	return text + "."
}

func lastRune(text string) rune {
	r, _ := utf8.DecodeLastRuneInString(text)
	return r
}

// Cut bounds a text in characters, at a word where there is one.
func Cut(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	runes = runes[:max(limit, 0)+1] // a space right behind the limit ends a word
	for i := len(runes) - 1; i > 0; i-- {
		if unicode.IsSpace(runes[i]) {
			return strings.TrimRightFunc(string(runes[:i]), func(c rune) bool { return unicode.IsSpace(c) || unicode.IsPunct(c) })
		}
	}
	return string(runes[:len(runes)-1])
}

// platformHint is what a platform asks of a picture.
func platformHint(platform string) string {
	var hints []string
	if says(platform, "mobile", "phone", "ios", "android", "watch") {
		hints = append(hints, "It has to be clear on a small screen.")
	}
	switch {
	case says(platform, "vr", "xr"):
		hints = append(hints, "It is for virtual reality, seen from close by.")
	case says(platform, "ar"):
		hints = append(hints, "It is for augmented reality, seen before any background.")
	}
	return strings.Join(hints, " ")
}

// Shape is how wide a picture is to how high.
type Shape int

// The shapes.
const (
	Square Shape = iota
	Landscape
	Portrait
)

// ShapeOf reads the shape from the words of a request. Textures are square: they are to be tiles.
func ShapeOf(r domain.AssetRequest) Shape {
	text := r.Description + " " + r.Style
	switch {
	case r.Category == domain.AssetTexture:
		return Square
	case says(text, "landscape", "panorama", "panoramic", "widescreen", "horizontal", "banner", "skyline"):
		return Landscape
	case says(text, "portrait", "vertical", "poster"):
		return Portrait
	default:
		return Square
	}
}

// Transparent reports whether a request asks for a picture without a background.
func Transparent(r domain.AssetRequest) bool {
	text := strings.ToLower(words(r.Description + " " + r.Style))
	return slices.ContainsFunc(
		[]string{"transparent background", "transparent png", "no background", "without background", "without a background"},
		func(phrase string) bool { return strings.Contains(text, phrase) },
	)
}

// Format is the file format of a picture: the one that the request names, or else one that its limits allow.
func Format(r domain.AssetRequest) string {
	switch {
	case r.Format == "jpeg":
		return "jpg"
	case r.Format != "":
		return r.Format
	case r.MaxBytes <= 0 || r.MaxBytes >= smallFile:
		return "png"
	case Transparent(r):
		return "webp"
	default:
		return "jpg"
	}
}

// says reports whether a text has one of the words.
func says(text string, words ...string) bool {
	return slices.ContainsFunc(
		strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return !unicode.IsLetter(c) }),
		func(w string) bool { return slices.Contains(words, w) },
	)
}
