package freesound

import (
	"net/url"
	"strings"
	"unicode"

	"gaia/domain"
)

// wireSounds is a page of sounds.
type wireSounds struct {
	Results []wireSound `json:"results"`
}

type wireSound struct {
	ID       int64             `json:"id"`
	Name     string            `json:"name"`
	License  string            `json:"license"` // the address of its deed
	Username string            `json:"username"`
	URL      string            `json:"url"`
	Duration float64           `json:"duration"`
	Rating   float64           `json:"avg_rating"` // 0 to 5
	Previews map[string]string `json:"previews"`
}

// licence is what may be done with a sound.
type licence struct {
	license     domain.AssetLicense
	attribution bool
	rank        int // the more conditions, the higher
}

// licences by the path of their deeds. Others are none that Gaia knows what they allow.
var licences = map[string]licence{
	"/publicdomain/zero/": {domain.LicensePublicDomain, false, 0},
	"/licenses/by/":       {domain.LicenseCreativeCommons, true, 1},
	"/licenses/by-nc/":    {domain.LicenseCustom, true, 2},
}

// licenceOf reads the address of a deed, such as https://creativecommons.org/licenses/by/4.0/.
func licenceOf(deed string) (licence, bool) {
	u, err := url.Parse(deed)
	if err != nil || u.Host != "creativecommons.org" && u.Host != "www.creativecommons.org" {
		return licence{}, false
	}
	for path, l := range licences {
		if strings.HasPrefix(u.Path, path) {
			return l, true
		}
	}
	return licence{}, false
}

// What a sound has to be better in to be chosen before one that stands higher in the answer, in places.
const (
	placesPerRank = 3 // fewer conditions
	placesPerStar = 1 // more people like it
)

// best chooses from an answer, whose first sound fits the words best.
func best(sounds []wireSound, format string) (wireSound, bool) {
	chosen, least := -1, 0.0
	for i, s := range sounds {
		l, ok := licenceOf(s.License)
		if !ok || s.ID <= 0 || s.preview(format) == "" {
			continue
		}
		place := float64(i+placesPerRank*l.rank) - placesPerStar*min(max(s.Rating, 0), 5)
		if chosen < 0 || place < least {
			chosen, least = i, place
		}
	}
	if chosen < 0 {
		return wireSound{}, false
	}
	return sounds[chosen], true // #nosec G602 -- one of them was chosen
}

func (s wireSound) preview(format string) string { return s.Previews["preview-hq-"+format] }

// file is the preview of a sound whose licence is known.
func (s wireSound) file(format string, l licence) domain.GeneratedFile {
	return domain.GeneratedFile{
		Format: format, URL: s.preview(format), License: l.license, AttributionRequired: l.attribution, Title: title(s.Name),
		Attributes: map[string]any{"author": title(s.Username), "source_url": s.URL, "license_url": s.License, "freesound_id": s.ID},
	}
}

// title bounds a text that somebody gave to a sound.
func title(s string) string {
	s = strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s))
	if runes := []rune(s); len(runes) > domain.MaxAssetTitle {
		s = string(runes[:domain.MaxAssetTitle])
	}
	return s
}
