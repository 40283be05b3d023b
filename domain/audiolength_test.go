package domain_test

import (
	"testing"

	"gaia/domain"
)

func TestAudioSeconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"calm piano":                              30,
		"":                                        30,
		"a loop of 45 seconds":                    45,
		"a 20-second jingle":                      20,
		"60 sec of rain":                          60,
		"30s ambient":                             30,
		"40s of wind":                             40,
		"75 s of wind":                            75,
		"80s synth pop":                           30, // the decade
		"1980s synth pop":                         30,
		"80s synth pop, 90 s long":                90,
		"2 minutes of rain":                       120,
		"Two Minutes of rain":                     120,
		"a minute of silence":                     60,
		"half a minute of bells":                  30,
		"1.5 minutes of drums":                    90,
		"1 minute 30 seconds of drums":            90,
		"1 min and 15 s of drums":                 75,
		"a two-minute theme, 10 seconds fade":     120,
		"1:45 theme":                              105,
		"3 seconds of thunder":                    15, // the least
		"0 seconds":                               15,
		"20 minutes of waves":                     300, // the most
		"999999999 minutes of waves":              300,
		"99999999999999999999 seconds":            30, // no number that anybody means
		"as many drums as possible":               30,
		"a second violin":                         30,
		"three mins of a second theme":            180,
		"forty-five seconds, looping":             45,
		"in 4/4, minimal":                         30,
		"track 12:99":                             30,
		"music for a seconds-long cut, 25 second": 25,
	} {
		if got := domain.AudioSeconds(domain.AssetRequest{Description: text}); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}
