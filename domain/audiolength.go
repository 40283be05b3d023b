package domain

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// How long sounds are made, in seconds.
const (
	MinAudioSeconds     = 15
	MaxAudioSeconds     = 300
	DefaultAudioSeconds = 30
)

// AudioSeconds is how long a sound is to be, by the words of its description: "a loop of 45 seconds", "two minutes of rain", "1:30". It
// is what a generator of music is asked for, and PriceQuery.Quantity of what is priced by the second: both have to agree.
func AudioSeconds(r AssetRequest) int {
	seconds, ok := SaidSeconds(r.Description)
	if !ok {
		return DefaultAudioSeconds
	}
	return int(min(max(math.Round(seconds), MinAudioSeconds), MaxAudioSeconds)) // words may name numbers that no int holds
}

const (
	numbers   = `\d{1,9}(?:\.\d{1,3})?`
	spoken    = `two|three|four|five|ten|fifteen|twenty|thirty|forty-five|sixty|ninety`
	few       = `half an?|an?|one|` // of minutes alone: "a second violin" plays no second
	anySecond = `(?:seconds?|secs?)`
	anyMinute = `(?:minutes?|mins?)`
)

// The ways to say a length. Before a unit of one letter the number stands in digits, or every "as" would be one.
var (
	saidMinutes = regexp.MustCompile(`\b(?:(` + numbers + `)[ -]?|(` + few + spoken + `)[ -])` + anyMinute + `\b` +
		`(?:,? (?:and )?(` + numbers + `)[ -]?(?:` + anySecond + `|s)\b)?`)
	saidSeconds = regexp.MustCompile(`\b(?:(` + numbers + `)[ -]?|(` + spoken + `)[ -])` + anySecond + `\b`)
	saidShort   = regexp.MustCompile(`\b(` + numbers + `)( ?)s\b`)
	saidClock   = regexp.MustCompile(`\b(\d{1,2}):([0-5]\d)\b`)

	// decades are no lengths: "80s synth pop".
	decades = regexp.MustCompile(`^(?:[5-9]0|\d{4})$`)

	spokenNumbers = map[string]float64{
		"half a": 0.5, "half an": 0.5, "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10, "fifteen": 15,
		"twenty": 20, "thirty": 30, "forty-five": 45, "sixty": 60, "ninety": 90,
	}
)

// SaidSeconds is the first length that a text names, and whether there is one.
func SaidSeconds(text string) (seconds float64, ok bool) {
	text = strings.ToLower(text)
	if m := saidMinutes.FindStringSubmatch(text); m != nil {
		return number(m[1], m[2])*60 + number(m[3], ""), true
	}
	if m := saidSeconds.FindStringSubmatch(text); m != nil {
		return number(m[1], m[2]), true
	}
	for _, m := range saidShort.FindAllStringSubmatch(text, -1) {
		if m[2] != "" || !decades.MatchString(m[1]) {
			return number(m[1], ""), true
		}
	}
	if m := saidClock.FindStringSubmatch(text); m != nil {
		return number(m[1], "")*60 + number(m[2], ""), true
	}
	return 0, false
}

// number reads digits, or else a word. Both empty are 0.
func number(digits, word string) float64 {
	if digits == "" {
		return spokenNumbers[word]
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil { // the expressions let through what ParseFloat reads
		return 0
	}
	return n
}
