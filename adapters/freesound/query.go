package freesound

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gaia/domain"
)

const (
	maxWords   = 6  // of a query: each has to fit
	maxSounds  = 30 // of an answer
	maxSeconds = 300
	fields     = "id,name,license,username,url,duration,avg_rating,previews"
)

// formats are those of previews; the first is fetched when a request names none.
var formats = []string{"mp3", "ogg"}

// bytesPerSecond are about what previews take, by Freesound's documents: 128 and 192 kbit/s.
var bytesPerSecond = map[string]int64{"mp3": 16000, "ogg": 24000}

// unsaid are words that say nothing about a sound, or how long it is.
var unsaid = strings.Fields(`a an and are as at background be being by can clip effect effects for from game has have in into is it its long
	loop looping make me of on or please recording short some sound sounds that the their this to very want with
	half one two three four five ten fifteen twenty thirty sixty ninety second seconds sec secs s minute minutes min mins`)

// lengths are numbers, with a unit or without.
var lengths = regexp.MustCompile(`^\d+(?:s|secs?|mins?)?$`)

// words are those of a description that a sound has to have, at most maxWords of them. Signs of the query language are none.
func words(description string) []string {
	var kept []string
	for _, w := range strings.FieldsFunc(strings.ToLower(description), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
		if lengths.MatchString(w) || slices.Contains(unsaid, w) || slices.Contains(kept, w) {
			continue
		}
		if kept = append(kept, w); len(kept) == maxWords {
			break
		}
	}
	return kept
}

// queries are what is searched for, until there is something: with fewer words there is more, and it fits less.
func queries(description string) []string {
	all := words(description)
	var texts []string
	for n := len(all); n > 0; n /= 2 {
		if n == 1 && len(all) > 1 {
			break // one word of several finds anything
		}
		texts = append(texts, strings.Join(all[:n], " "))
	}
	return texts
}

// parameters are those of a search.
func parameters(text string, r domain.AssetRequest) string {
	return url.Values{
		"query": {text}, "filter": {filter(r)}, "fields": {fields}, "page_size": {fmt.Sprint(maxSounds)}, "sort": {"score"},
	}.Encode()
}

// filter leaves what may be used, is not much longer or shorter than the words say, and fits into the request's limit.
func filter(r domain.AssetRequest) string {
	least, most := 0.0, float64(maxSeconds)
	if said, ok := domain.SaidSeconds(r.Description); ok && said > 0 {
		least, most = min(said, maxSeconds)/2, min(said*2, maxSeconds)
	}
	if r.MaxBytes > 0 {
		most = min(most, math.Floor(float64(r.MaxBytes)/float64(bytesPerSecond[wanted(r)])))
	}
	return fmt.Sprintf(`license:("Creative Commons 0" OR "Attribution" OR "Attribution NonCommercial") duration:[%g TO %g]`, least, most)
}

func wanted(r domain.AssetRequest) string {
	if r.Format == "" {
		return formats[0]
	}
	return r.Format
}
