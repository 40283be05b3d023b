package domain

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what is kept of an asset, in bytes.
const (
	MaxAssetDescription = 32 << 10 // more is cut
	MaxAssetTags        = 100      // more are left out
	maxAssetTag         = 64       // characters; more are cut
	MaxAssetMetadata    = 64 << 10 // as JSON; more is TooLarge
	maxAssetFormat      = 10       // more is BadRequest
	maxAssetName        = 200      // of the source; more is cut
	maxAssetText        = 4 << 10  // of keys, addresses and the like; more is BadRequest
)

// defaultSimilarity of meanings makes assets match.
const defaultSimilarity = 0.7

// AssetLicenses are all of them, in the order of the contract.
func AssetLicenses() []AssetLicense {
	return []AssetLicense{LicenseCreativeCommons, LicensePublicDomain, LicenseCustom, LicenseCommercial, LicenseProprietary}
}

// Tidy makes an asset fit to be stored. Stores call it. A licence that is missing is the narrowest; what can't be an asset is BadRequest.
func (a Asset) Tidy() (Asset, error) {
	id, ok := ParseID(a.ID)
	if !ok {
		return a, fmt.Errorf("asset: %q is no id", a.ID)
	}
	a.ID, a.File.Format = id, strings.ToLower(a.File.Format)
	if a.License == "" {
		a.License = LicenseProprietary
	}
	if a.Source == "" {
		a.Source = AssetFromDatabase
	}
	if a.File.Key != "" {
		a.URL = ""
	}
	if err := a.check(); err != nil {
		return a, err
	}
	a.Title = firstCharacters(storable(a.Title, math.MaxInt), MaxAssetTitle)
	a.Description, a.SourceName = storable(a.Description, MaxAssetDescription), storable(a.SourceName, maxAssetName)
	a.StyleTags = tidyTags(a.StyleTags)
	a.Quality, a.Downloads = withinOne(a.Quality), min(max(a.Downloads, 0), math.MaxInt32)
	a.CreatedAt, a.UpdatedAt = a.CreatedAt.UTC().Truncate(time.Microsecond), a.UpdatedAt.UTC().Truncate(time.Microsecond)
	a.ResponseTime = a.ResponseTime.Truncate(time.Millisecond)
	a.Metadata = orEmptyMap(a.Metadata)
	raw, err := StoredJSON(a.Metadata)
	if err == nil && len(raw) > MaxAssetMetadata {
		err = NewError(TooLarge, "The metadata of the asset is too large")
	}
	return a, err
}

func (a Asset) check() error {
	switch {
	case !slices.Contains(AssetCategories(), a.Category):
		return NewError(BadRequest, "There is no such category of assets")
	case !slices.Contains(AssetLicenses(), a.License):
		return NewError(BadRequest, "There is no such licence of assets")
	case a.File.Key == "" && a.URL == "":
		return NewError(BadRequest, "An asset needs a file")
	case len(a.File.Format) > maxAssetFormat:
		return NewError(BadRequest, "The name of the file's format is too long")
	}
	for _, text := range []string{a.File.Key, a.PreviewKey, a.URL, a.PreviewURL, a.File.ContentType, a.File.SHA256, a.File.Format, a.Owner} {
		if len(text) > maxAssetText || storable(text, maxAssetText) != text {
			return NewError(BadRequest, "The asset has a text that can't be stored")
		}
	}
	if a.GenerationID != "" {
		if _, ok := ParseID(a.GenerationID); !ok {
			return fmt.Errorf("asset %s: generation: %q is no id", a.ID, a.GenerationID)
		}
	}
	return nil
}

// FileKeys are the files that the asset answers for.
func (a Asset) FileKeys() []string {
	keys := slices.DeleteFunc([]string{a.File.Key, a.PreviewKey}, func(key string) bool { return key == "" })
	return slices.Compact(keys)
}

// StorageType says where the file lies, in the words of the contract.
func (a Asset) StorageType() string {
	switch {
	case a.File.Key == "":
		return "external"
	case a.GenerationID != "" || a.Source == AssetFromGenerator || a.Source == AssetFromHybrid:
		return "generated"
	default:
		return "supabase"
	}
}

// tidyTags makes tags that can be compared letter by letter: "Low-Poly " and "low-poly" are one. nil: there are none.
func tidyTags(tags []string) []string {
	var tidy []string
	for _, tag := range tags {
		tag = strings.TrimSpace(firstCharacters(strings.ToLower(strings.TrimSpace(storable(tag, math.MaxInt))), maxAssetTag))
		if tag != "" && !slices.Contains(tidy, tag) && len(tidy) < MaxAssetTags {
			tidy = append(tidy, tag)
		}
	}
	return tidy
}

func firstCharacters(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

func withinOne(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return min(max(f, 0), 1)
}

// FileNotLeased says that a file is nobody's to give to an asset: it was removed, or is going to be.
func FileNotLeased() *Error { return NewError(Conflict, "The file is not there any more") }

// FileLeased says that somebody answers for a file already.
func FileLeased() *Error { return NewError(Conflict, "The file is being written already") }

// AssetNotYours says that the caller sees the asset and may not change it.
func AssetNotYours() *Error { return NewError(Forbidden, "The asset belongs to somebody else") }

// Tidy makes a query one that every store understands, in the letters in which assets are kept. Stores call it.
func (q AssetQuery) Tidy() AssetQuery {
	q.Viewer, q.StyleTags = storable(q.Viewer, math.MaxInt), tidyTags(q.StyleTags)
	formats := make([]string, len(q.Formats))
	for i, f := range q.Formats {
		formats[i] = strings.ToLower(storable(f, math.MaxInt))
	}
	q.Formats, q.Limit, q.Offset = formats, min(max(q.Limit, 0), math.MaxInt32), min(max(q.Offset, 0), math.MaxInt32)
	q.MinQuality, q.Similarity = withinOne(q.MinQuality), withinOne(q.Similarity)
	if q.Similarity == 0 {
		q.Similarity = defaultSimilarity
	}
	return q
}
