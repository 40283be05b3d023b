package mubert

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gaia/domain"
)

// maxPrompt is in characters. Mubert's description of the API says 255, its instructions 200.
const maxPrompt = 200

// formats are what Mubert makes; the first is made when a request names none.
var formats = []string{"mp3", "wav"}

// bitrates of mp3, in kbit/s.
var bitrates = map[domain.AssetQuality]int{
	domain.AssetLow: 128, domain.AssetMedium: 192, domain.AssetHigh: 320, domain.AssetUltra: 320,
}

// wireOrder orders a track.
type wireOrder struct {
	Prompt    string `json:"prompt"`
	Duration  int    `json:"duration"` // seconds
	Bitrate   int    `json:"bitrate,omitempty"`
	Format    string `json:"format"`
	Intensity string `json:"intensity"`
	Mode      string `json:"mode"`
}

// request is the body of an order, or says why Mubert would not take it.
func request(o domain.GenerationOrder) (wireOrder, error) {
	r := o.Request
	w := wireOrder{
		Prompt: prompt(r), Duration: domain.AudioSeconds(r), Format: wanted(r), Intensity: intensity(r.Description), Mode: mode(r.Description),
	}
	if w.Format == "mp3" {
		w.Bitrate = bitrates[r.Quality]
	}
	switch {
	case o.Base != nil:
		return wireOrder{}, domain.NewError(domain.BadRequest, "Mubert does not adapt assets")
	case !slices.Contains(formats, w.Format):
		return wireOrder{}, domain.NewError(domain.BadRequest,
			fmt.Sprintf("Mubert makes no %s files; ask for one of %s", w.Format, strings.Join(formats, ", ")))
	case utf8.RuneCountInString(w.Prompt) > maxPrompt:
		return wireOrder{}, domain.NewError(domain.BadRequest,
			fmt.Sprintf("Mubert takes at most %d characters of description and style together; shorten them", maxPrompt))
	}
	return w, nil
}

// prompt is what Mubert is told, and tells again in its tracks.
func prompt(r domain.AssetRequest) string {
	description, style := strings.TrimSpace(r.Description), strings.TrimSpace(r.Style)
	if style == "" || strings.Contains(strings.ToLower(description), strings.ToLower(style)) {
		return description
	}
	return description + ", " + style
}

func wanted(r domain.AssetRequest) string {
	if r.Format == "" {
		return formats[0]
	}
	return r.Format
}

func mode(description string) string {
	switch {
	case says(description, "jingle", "jingles"):
		return "jingle"
	case says(description, "loop", "loops", "looping", "looped", "loopable", "seamless"):
		return "loop"
	default:
		return "track"
	}
}

func intensity(description string) string {
	switch {
	case says(description, "calm", "quiet", "soft", "gentle", "slow", "relaxing", "ambient", "sleepy", "peaceful"):
		return "low"
	case says(description, "intense", "energetic", "epic", "fast", "aggressive", "dramatic", "powerful", "battle", "upbeat"):
		return "high"
	default:
		return "medium"
	}
}

// says reports whether a text has one of the words.
func says(text string, words ...string) bool {
	return slices.ContainsFunc(
		strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return !unicode.IsLetter(c) }),
		func(w string) bool { return slices.Contains(words, w) },
	)
}
