package portstest

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// AssetSetup is one database as two processes see it.
type AssetSetup struct {
	A, B             ports.AssetStore
	LeasesA, LeasesB ports.FileLeases
}

// AssetStore checks everything that ports.AssetStore and ports.FileLeases demand of a database that is there. empty runs once for each test.
func AssetStore(t *testing.T, empty func(*testing.T) AssetSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, AssetSetup){
		"an asset comes back as it was stored":                            assetRoundTrip,
		"what an asset leaves out gets a sensible value":                  assetDefaults,
		"what can't be an asset is refused":                               assetRefused,
		"odd text is stored or refused":                                   assetOddText,
		"callers share nothing with the store":                            assetNotShared,
		"an id that exists is Conflict, and its file stays leased":        assetTwice,
		"Add takes the leases of all files, or does nothing":              assetLeases,
		"of an asset and a removal of its file one wins":                  assetCondemnRace,
		"of two assets with one file one is there":                        assetFileRace,
		"private assets are there for their owners alone":                 assetVisibility,
		"Delete leases the files":                                         assetDelete,
		"Delete is for owners, and for those who may delete any":          assetDeleteOthers,
		"of racing deletes one succeeds":                                  assetDeleteRace,
		"Downloaded counts, whoever races, and no change of the asset":    assetDownloads,
		"Bytes are those of an owner's files":                             assetBytes,
		"without a text the newest come first, in pages":                  assetPages,
		"pages of equally good assets neither repeat nor lose any":        assetTies,
		"every filter counts, and all together":                           assetFilters,
		"words are found in every place, in other forms and spellings":    assetWords,
		"all words are at least half of the relevance, titles count most": assetRelevance,
		"some of the words count where not many have all":                 assetSomeWords,
		"what others keep to themselves makes no difference to searches":  assetOthersWords,
		"what is deleted makes no difference to searches":                 assetDeletedWords,
		"a long text has few words that others are taken for":             assetManyWords,
		"what is deleted is not found":                                    assetUnindexed,
		"no text is an error":                                             assetOddSearch,
		"a caller who left is told so and nothing is saved":               assetCanceled,
		"a lease is given once":                                           leaseOnce,
		"Condemn returns what is over, the oldest first":                  leaseCondemn,
		"what was condemned comes again, after the rest":                  leaseCondemnAgain,
		"EndLeases moves the ends of leases":                              leaseEnd,
		"Forget forgets":                                                  leaseForget,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

// assetTime has microseconds and another zone than UTC.
var assetTime = time.Date(2026, 5, 1, 9, 30, 15, 123456000, time.FixedZone("elsewhere", 2*60*60))

// anAsset is public, and its file has a lease as soon as add adds it.
func anAsset(title string) domain.Asset {
	id := newID()
	return domain.Asset{
		ID: id, Owner: "owner", Public: true, Source: domain.AssetFromDatabase, Category: domain.AssetProp, Title: title,
		File:    domain.AssetFile{Key: "files/" + id + ".png", Format: "png", ContentType: "image/png", Size: 1000, SHA256: "00ff"},
		License: domain.LicenseCreativeCommons, Quality: 0.5, Metadata: map[string]any{}, CreatedAt: assetTime, UpdatedAt: assetTime,
	}
}

func leaseFiles(t *testing.T, s AssetSetup, a domain.Asset) {
	t.Helper()
	for _, key := range a.FileKeys() {
		if err := s.LeasesA.Lease(t.Context(), domain.FileLease{Key: key, Expires: assetTime.Add(time.Hour)}); err != nil {
			t.Fatalf("Lease: %v", err)
		}
	}
}

func add(t *testing.T, s AssetSetup, assets ...domain.Asset) {
	t.Helper()
	for _, a := range assets {
		leaseFiles(t, s, a)
		if err := s.A.Add(t.Context(), a); err != nil {
			t.Fatalf("Add: %v", err)
		}
	}
}

// addTitled adds public assets with these titles, each a second newer than the one before.
func addTitled(t *testing.T, s AssetSetup, titles ...string) []domain.Asset {
	t.Helper()
	assets := make([]domain.Asset, len(titles))
	for i, title := range titles {
		assets[i] = anAsset(title)
		assets[i].CreatedAt = assetTime.Add(time.Duration(i) * time.Second)
		add(t, s, assets[i])
	}
	return assets
}

func search(t *testing.T, s ports.AssetStore, q domain.AssetQuery) domain.AssetPage {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	page, err := s.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("Search(%.60q): %v", q.Text, err)
	}
	for i, m := range page.Matches {
		if m.Relevance <= 0 || m.Relevance > 1 || i > 0 && m.Relevance > page.Matches[i-1].Relevance {
			t.Errorf("Search(%.60q): relevance %v of match %d", q.Text, m.Relevance, i+1)
		}
	}
	return page
}

func titles(page domain.AssetPage) []string {
	list := []string{}
	for _, m := range page.Matches {
		list = append(list, m.Asset.Title)
	}
	return list
}

// wantTitles checks what a query finds, in this order.
func wantTitles(t *testing.T, s ports.AssetStore, q domain.AssetQuery, want ...string) domain.AssetPage {
	t.Helper()
	page := search(t, s, q)
	if got := titles(page); !slices.Equal(got, append([]string{}, want...)) || page.Total != len(want) {
		t.Errorf("Search(%.60q): got %q of %d, want %q", q.Text, got, page.Total, want)
	}
	return page
}

func wantAsset(t *testing.T, s ports.AssetStore, viewer string, want domain.Asset) {
	t.Helper()
	got, err := s.Get(t.Context(), viewer, strings.ToUpper(want.ID))
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	want.CreatedAt, want.UpdatedAt = want.CreatedAt.UTC().Truncate(time.Microsecond), want.UpdatedAt.UTC().Truncate(time.Microsecond)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func assetRoundTrip(t *testing.T, s AssetSetup) {
	full := anAsset("Glowing sword – 世界")
	full.Public, full.Source, full.SourceName, full.Category = false, domain.AssetFromGenerator, "procedural", domain.AssetTexture
	full.Description, full.StyleTags = "It glows.\nIn \"quotes\"", []string{"fantasy", "low poly", "ü"}
	full.PreviewKey, full.Quality, full.Downloads, full.AttributionRequired = "previews/"+full.ID+".png", 0.75, 7, true
	full.Metadata = map[string]any{"polygon_count": 12.0, "deep": map[string]any{"list": []any{1.5, "two", nil, true}}}
	full.Cost, full.ResponseTime, full.GenerationID = 40_000_001, 1500*time.Millisecond, newID()
	outside := anAsset("Outside")
	outside.File = domain.AssetFile{}
	outside.URL, outside.PreviewURL, outside.StyleTags = "https://example.org/a.wav", "https://example.org/a.png", nil
	for _, a := range []domain.Asset{full, outside} {
		add(t, s, a)
		wantAsset(t, s.B, "owner", a)
		found := search(t, s.B, domain.AssetQuery{Viewer: "owner", Text: a.Title})
		if len(found.Matches) == 0 || found.Matches[0].Asset.ID != a.ID {
			t.Fatalf("Search does not find %s", a.Title)
		}
		a.CreatedAt, a.UpdatedAt = a.CreatedAt.UTC(), a.UpdatedAt.UTC()
		if !reflect.DeepEqual(found.Matches[0].Asset, a) {
			t.Errorf("got  %+v\nwant %+v", found.Matches[0].Asset, a)
		}
	}
}

func assetDefaults(t *testing.T, s AssetSetup) {
	a := domain.Asset{
		ID: newID(), Public: true, Category: domain.AssetImage, Title: strings.Repeat("ü", 300), URL: "https://example.org", Quality: math.NaN(),
		StyleTags: []string{" Low-Poly ", "low-poly", ""}, File: domain.AssetFile{Format: "PNG"}, CreatedAt: assetTime, UpdatedAt: assetTime,
	}
	add(t, s, a)
	a.Title, a.Quality, a.StyleTags, a.File.Format = strings.Repeat("ü", domain.MaxAssetTitle), 0, []string{"low-poly"}, "png"
	a.License, a.Source, a.Metadata = domain.LicenseProprietary, domain.AssetFromDatabase, map[string]any{}
	wantAsset(t, s.B, "", a)
}

func assetRefused(t *testing.T, s AssetSetup) {
	for name, spoil := range map[string]func(*domain.Asset){
		"category": func(a *domain.Asset) { a.Category = "weapon" },
		"licence":  func(a *domain.Asset) { a.License = "gpl" },
		"file":     func(a *domain.Asset) { a.File.Key = "" },
		"format":   func(a *domain.Asset) { a.File.Format = "portable-network-graphics" },
		"address":  func(a *domain.Asset) { a.File.Key, a.URL = "", "https://\x00" },
	} {
		a := anAsset(name)
		leaseFiles(t, s, a)
		spoil(&a)
		wantKind(t, s.A.Add(t.Context(), a), domain.BadRequest, "%s", name)
	}
	large := anAsset("metadata")
	large.Metadata = map[string]any{"large": strings.Repeat("x", domain.MaxAssetMetadata)}
	leaseFiles(t, s, large)
	wantKind(t, s.A.Add(t.Context(), large), domain.TooLarge, "metadata")
	if page := search(t, s.A, domain.AssetQuery{Viewer: "owner"}); page.Total != 0 {
		t.Errorf("%d are there", page.Total)
	}
}

func assetOddText(t *testing.T, s AssetSetup) {
	for _, text := range oddTexts {
		a := anAsset(text)
		a.Description, a.StyleTags, a.Metadata = text, []string{text}, map[string]any{"text": text, text: true}
		leaseFiles(t, s, a)
		if err := s.A.Add(t.Context(), a); err != nil && domain.KindOf(err) != domain.TooLarge {
			wantRefused(t, err, text)
		} else if err == nil {
			if _, err := s.B.Get(t.Context(), "owner", a.ID); err != nil {
				t.Errorf("text %.20q: Get: %v", text, err)
			}
		}
		lease := domain.FileLease{Key: text, Expires: assetTime}
		if err := s.LeasesA.Lease(t.Context(), lease); err != nil {
			wantRefused(t, err, text)
		}
		_, err := s.A.Get(t.Context(), text, a.ID)
		if err != nil && domain.KindOf(err) != domain.NotFound {
			wantRefused(t, err, text)
		}
		if _, err := s.A.Search(t.Context(), domain.AssetQuery{Viewer: text, StyleTags: []string{text}, Formats: []string{text}, Limit: 1}); err != nil {
			t.Errorf("text %.20q: Search: %v", text, err)
		}
	}
}

func assetNotShared(t *testing.T, s AssetSetup) {
	a := anAsset("Mine")
	a.StyleTags, a.Metadata = []string{"tag"}, map[string]any{"list": []any{"one"}}
	add(t, s, a)
	a.StyleTags[0], a.Metadata["list"].([]any)[0] = "changed", "changed"
	for range 2 {
		got, err := s.A.Get(t.Context(), "owner", a.ID)
		if err != nil || got.StyleTags[0] != "tag" || got.Metadata["list"].([]any)[0] != "one" {
			t.Fatalf("got %+v, %v", got, err)
		}
		got.StyleTags[0], got.Metadata["list"].([]any)[0] = "changed", "changed"
	}
}

func assetTwice(t *testing.T, s AssetSetup) {
	a := anAsset("First")
	add(t, s, a)
	again := anAsset("Second")
	again.ID = a.ID
	leaseFiles(t, s, again)
	wantKind(t, s.B.Add(t.Context(), again), domain.Conflict, "an id again")
	wantAsset(t, s.A, "owner", a)
	wantRemoved(t, s.LeasesB, assetTime.Add(time.Hour), again.File.Key)
}

func assetLeases(t *testing.T, s AssetSetup) {
	a := anAsset("Leased")
	a.PreviewKey = "previews/" + a.ID
	wantKind(t, s.A.Add(t.Context(), a), domain.Conflict, "without a lease")
	file, preview := a, a
	file.PreviewKey, preview.File.Key = "", ""
	leaseFiles(t, s, file)
	wantKind(t, s.A.Add(t.Context(), a), domain.Conflict, "with a lease of one of two")
	leaseFiles(t, s, preview)
	if keys, err := s.LeasesA.Condemn(t.Context(), assetTime, 10); err != nil || len(keys) > 0 {
		t.Errorf("Condemn before the leases' end: %v, %v", keys, err)
	}
	if err := s.B.Add(t.Context(), a); err != nil {
		t.Fatalf("with both: %v", err)
	}
	wantRemoved(t, s.LeasesA, assetTime.Add(time.Hour)) // none is left
	other := anAsset("Other")
	other.File.Key = a.File.Key
	wantKind(t, s.B.Add(t.Context(), other), domain.Conflict, "with a lease that has ended")

	late := anAsset("Late")
	leaseFiles(t, s, late)
	wantRemoved(t, s.LeasesB, assetTime.Add(time.Hour), late.File.Key)
	wantKind(t, s.A.Add(t.Context(), late), domain.Conflict, "with a condemned file")
	slow := anAsset("Slow") // its lease is over, and nobody has noticed
	slow.File.Key = "slow"
	if err := s.LeasesA.Lease(t.Context(), domain.FileLease{Key: "slow", Expires: time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	if err := s.A.Add(t.Context(), slow); err != nil {
		t.Errorf("with a lease that is over: %v", err)
	}
}

// wantRemoved checks what Condemn returns.
func wantRemoved(t *testing.T, l ports.FileLeases, now time.Time, want ...string) {
	t.Helper()
	keys, err := l.Condemn(t.Context(), now, 100)
	if err != nil || !slices.Equal(append([]string{}, keys...), append([]string{}, want...)) {
		t.Errorf("Condemn: got %v, %v, want %v", keys, err, want)
	}
}

func assetCondemnRace(t *testing.T, s AssetSetup) {
	for range 15 {
		a := anAsset("Racing")
		leaseFiles(t, s, a)
		var condemned []string
		errs := inParallel(2, func(i int) (err error) {
			if i == 0 {
				return s.A.Add(t.Context(), a)
			}
			condemned, err = s.LeasesB.Condemn(t.Context(), assetTime.Add(time.Hour), 10)
			return err
		})
		_, err := s.B.Get(t.Context(), "owner", a.ID)
		switch {
		case errs[1] != nil:
			t.Fatal(errs[1])
		case errs[0] == nil && (len(condemned) > 0 || err != nil):
			t.Fatalf("the asset is there, and %v condemned; Get: %v", condemned, err)
		case errs[0] != nil && (len(condemned) != 1 || err == nil):
			t.Fatalf("Add: %v; condemned %v; Get: %v", errs[0], condemned, err)
		case errs[0] != nil:
			wantKind(t, errs[0], domain.Conflict, "Add")
			if err := s.LeasesA.Forget(t.Context(), a.File.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func assetFileRace(t *testing.T, s AssetSetup) {
	first := anAsset("One of several")
	leaseFiles(t, s, first)
	added := 0
	for _, err := range inParallel(6, func(i int) error {
		a := first
		a.ID = newID()
		return s.either(i).Add(t.Context(), a)
	}) {
		if err == nil {
			added++
		} else {
			wantKind(t, err, domain.Conflict, "Add")
		}
	}
	if page := search(t, s.A, domain.AssetQuery{Viewer: "owner"}); added != 1 || page.Total != 1 {
		t.Errorf("%d were added, %d are there", added, page.Total)
	}
}

// either is one of the two processes.
func (s AssetSetup) either(i int) ports.AssetStore { return []ports.AssetStore{s.A, s.B}[i%2] }

func assetVisibility(t *testing.T, s AssetSetup) {
	private, public, nobodys := anAsset("Private thing"), anAsset("Public thing"), anAsset("Shared thing")
	private.Public, nobodys.Owner = false, ""
	private.CreatedAt, public.CreatedAt = assetTime.Add(2*time.Second), assetTime.Add(time.Second)
	add(t, s, private, public, nobodys)
	for _, viewer := range []string{"another", "", "Owner", "owner "} {
		_, err := s.A.Get(t.Context(), viewer, private.ID)
		wantKind(t, err, domain.NotFound, "the private one of another, for %q", viewer)
		wantKind(t, s.A.Delete(t.Context(), viewer, "x"+viewer, private.ID, assetTime), domain.NotFound, "deleting it, for %q", viewer)
		wantTitles(t, s.A, domain.AssetQuery{Viewer: viewer}, "Public thing", "Shared thing")
		wantTitles(t, s.A, domain.AssetQuery{Viewer: viewer, Text: "thing"}, "Public thing", "Shared thing")
		wantTitles(t, s.A, domain.AssetQuery{Viewer: viewer, Text: "private"})
		wantAsset(t, s.B, viewer, public)
	}
	wantAsset(t, s.B, "owner", private)
	wantTitles(t, s.B, domain.AssetQuery{Viewer: "owner", Text: "thing"}, "Private thing", "Public thing", "Shared thing")
	wantTitles(t, s.B, domain.AssetQuery{Viewer: "owner"}, "Private thing", "Public thing", "Shared thing")
	for _, id := range []string{newID(), "nope", "", private.ID + " "} {
		_, err := s.A.Get(t.Context(), "owner", id)
		wantKind(t, err, domain.NotFound, "Get(%q)", id)
		wantKind(t, s.A.Delete(t.Context(), "owner", "owner", id, assetTime), domain.NotFound, "Delete(%q)", id)
	}
}

func assetDelete(t *testing.T, s AssetSetup) {
	a := anAsset("Going")
	a.PreviewKey, a.GenerationID = "previews/"+a.ID, newID()
	add(t, s, a)
	at := assetTime.Add(time.Minute)
	if err := s.A.Delete(t.Context(), "owner", "owner", strings.ToUpper(a.ID), at); err != nil {
		t.Fatal(err)
	}
	_, err := s.B.Get(t.Context(), "owner", a.ID)
	wantKind(t, err, domain.NotFound, "after Delete")
	wantKind(t, s.B.Delete(t.Context(), "owner", "owner", a.ID, at), domain.NotFound, "deleting again")
	wantRemoved(t, s.LeasesB, at.Add(-time.Microsecond))
	wantRemoved(t, s.LeasesB, at, a.File.Key, a.PreviewKey)
	outside := anAsset("Outside")
	outside.File.Key, outside.URL = "", "https://example.org"
	add(t, s, outside)
	if err := s.A.Delete(t.Context(), "owner", "owner", outside.ID, at); err != nil {
		t.Errorf("without a file: %v", err)
	}
}

func assetDeleteOthers(t *testing.T, s AssetSetup) {
	public, private, nobodys := anAsset("Public"), anAsset("Private"), anAsset("Nobody's")
	private.Public, nobodys.Owner = false, ""
	add(t, s, public, private, nobodys)
	for _, a := range []domain.Asset{public, nobodys} {
		wantKind(t, s.A.Delete(t.Context(), "another", "another", a.ID, assetTime), domain.Forbidden, "%s", a.Title)
		wantAsset(t, s.A, "another", a)
	}
	wantKind(t, s.A.Delete(t.Context(), "another", "another", private.ID, assetTime), domain.NotFound, "private")
	wantRemoved(t, s.LeasesA, assetTime.Add(time.Hour))
	for _, a := range []domain.Asset{public, private, nobodys} {
		if err := s.B.Delete(t.Context(), "admin", "", a.ID, assetTime); err != nil {
			t.Errorf("%s, by one who may delete any: %v", a.Title, err)
		}
	}
}

func assetDeleteRace(t *testing.T, s AssetSetup) {
	a := anAsset("Going once")
	add(t, s, a)
	deleted := 0
	for _, err := range inParallel(6, func(i int) error {
		return s.either(i).Delete(t.Context(), "owner", "owner", a.ID, assetTime)
	}) {
		if err == nil {
			deleted++
		} else {
			wantKind(t, err, domain.NotFound, "Delete")
		}
	}
	if deleted != 1 {
		t.Errorf("%d succeeded", deleted)
	}
	wantRemoved(t, s.LeasesA, assetTime, a.File.Key)
}

func assetDownloads(t *testing.T, s AssetSetup) {
	a := anAsset("Popular")
	add(t, s, a)
	const downloads = 12
	for _, err := range inParallel(downloads, func(i int) error { return s.either(i).Downloaded(t.Context(), a.ID) }) {
		if err != nil {
			t.Error(err)
		}
	}
	got, err := s.B.Get(t.Context(), "owner", a.ID)
	if err != nil || got.Downloads != downloads || !got.CreatedAt.Equal(a.CreatedAt) || !got.UpdatedAt.Equal(a.UpdatedAt) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, id := range []string{newID(), "nope", ""} {
		if err := s.A.Downloaded(t.Context(), id); err != nil {
			t.Errorf("Downloaded(%q): %v", id, err)
		}
	}
}

func assetBytes(t *testing.T, s AssetSetup) {
	want := func(owner string, bytes int64) {
		t.Helper()
		if got, err := s.B.Bytes(t.Context(), owner); err != nil || got != bytes {
			t.Errorf("%q has %d bytes, %v, not %d", owner, got, err, bytes)
		}
	}
	want("owner", 0)
	small, large, other, shared := anAsset("small"), anAsset("large"), anAsset("other"), anAsset("shared")
	large.File.Size, large.Public, other.Owner, shared.Owner = 5<<30, false, "else", ""
	add(t, s, small, large, other, shared)
	want("owner", 1000+5<<30)
	want("else", 1000)
	want("", 1000)
	want("nobody", 0)
	if err := s.A.Delete(t.Context(), "owner", "owner", large.ID, assetTime); err != nil {
		t.Fatal(err)
	}
	want("owner", 1000)
}

func assetPages(t *testing.T, s AssetSetup) {
	addTitled(t, s, "first", "second", "third", "fourth", "fifth")
	page := wantTitles(t, s.B, domain.AssetQuery{Viewer: "v"}, "fifth", "fourth", "third", "second", "first")
	for _, m := range page.Matches {
		if m.Relevance != 1 {
			t.Errorf("relevance %v without a text", m.Relevance)
		}
	}
	for _, blank := range []string{"", " \t\n"} {
		for offset, want := range [][]string{{"fifth", "fourth"}, {"fourth", "third"}, {"third", "second"}, {"second", "first"}, {"first"}, {}, {}} {
			page := search(t, s.A, domain.AssetQuery{Text: blank, Limit: 2, Offset: offset})
			if got := titles(page); !slices.Equal(got, want) || page.Total != 5 {
				t.Errorf("from %d: got %v of %d, want %v of 5", offset, got, page.Total, want)
			}
		}
	}
	none, err := s.A.Search(t.Context(), domain.AssetQuery{Limit: 0})
	if err != nil || none.Matches == nil || len(none.Matches) != 0 || none.Total != 5 {
		t.Errorf("no limit: got %+v, %v", none, err)
	}
	none, err = s.A.Search(t.Context(), domain.AssetQuery{Text: "first", Limit: -1, Offset: -1})
	if err != nil || none.Matches == nil || len(none.Matches) != 0 || none.Total != 1 {
		t.Errorf("limits below zero: got %+v, %v", none, err)
	}
}

func assetTies(t *testing.T, s AssetSetup) {
	const many = 40
	for i := range many {
		a := anAsset("Same thing")
		a.CreatedAt = assetTime.Add(time.Duration(i/10) * time.Second) // ten of each time
		add(t, s, a)
	}
	for _, text := range []string{"", "thing", "same thing", "thing nowhere"} {
		seen, last := map[string]bool{}, time.Time{}
		for offset := 0; offset < many; offset += 7 {
			page := search(t, s.either(offset), domain.AssetQuery{Text: text, Limit: 7, Offset: offset})
			if page.Total != many {
				t.Fatalf("%q: %d in all", text, page.Total)
			}
			for _, m := range page.Matches {
				if seen[m.Asset.ID] || !last.IsZero() && m.Asset.CreatedAt.After(last) {
					t.Fatalf("%q: %s comes again, or after an older one", text, m.Asset.ID)
				}
				seen[m.Asset.ID], last = true, m.Asset.CreatedAt
			}
		}
		if len(seen) != many {
			t.Errorf("%q: the pages have %d", text, len(seen))
		}
	}
}

func assetFilters(t *testing.T, s AssetSetup) {
	plain, odd := anAsset("Plain thing"), anAsset("Odd thing")
	odd.Category, odd.StyleTags, odd.Quality, odd.License = domain.AssetAudio, []string{"calm", "Low-Poly", "it's"}, 0.9, domain.LicenseProprietary
	odd.File.Format, odd.File.Size, odd.CreatedAt = "wav", 5000, assetTime.Add(time.Second)
	add(t, s, plain, odd)
	for name, c := range map[string]struct {
		q    domain.AssetQuery
		want []string
	}{
		"category":           {domain.AssetQuery{Category: domain.AssetAudio}, []string{"Odd thing"}},
		"category of none":   {domain.AssetQuery{Category: domain.AssetTexture}, nil},
		"tag":                {domain.AssetQuery{StyleTags: []string{"low-poly"}}, []string{"Odd thing"}},
		"tag in capitals":    {domain.AssetQuery{StyleTags: []string{" CALM"}}, []string{"Odd thing"}},
		"tag with a quote":   {domain.AssetQuery{StyleTags: []string{"it's"}}, []string{"Odd thing"}},
		"all of the tags":    {domain.AssetQuery{StyleTags: []string{"calm", "low-poly"}}, []string{"Odd thing"}},
		"one tag too many":   {domain.AssetQuery{StyleTags: []string{"calm", "wet"}}, nil},
		"part of a tag":      {domain.AssetQuery{StyleTags: []string{"low"}}, nil},
		"quality":            {domain.AssetQuery{MinQuality: 0.9}, []string{"Odd thing"}},
		"less quality":       {domain.AssetQuery{MinQuality: 0.5}, []string{"Odd thing", "Plain thing"}},
		"too much quality":   {domain.AssetQuery{MinQuality: 0.91}, nil},
		"licence":            {domain.AssetQuery{License: domain.LicenseProprietary}, []string{"Odd thing"}},
		"other licence":      {domain.AssetQuery{License: domain.LicenseCreativeCommons}, []string{"Plain thing"}},
		"unknown licence":    {domain.AssetQuery{License: "gpl"}, nil},
		"format":             {domain.AssetQuery{Formats: []string{"WAV"}}, []string{"Odd thing"}},
		"one of the formats": {domain.AssetQuery{Formats: []string{"png", "wav"}}, []string{"Odd thing", "Plain thing"}},
		"other formats":      {domain.AssetQuery{Formats: []string{"glb"}}, nil},
		"size":               {domain.AssetQuery{MaxSize: 4999}, []string{"Plain thing"}},
		"just the size":      {domain.AssetQuery{MaxSize: 5000}, []string{"Odd thing", "Plain thing"}},
		"everything": {domain.AssetQuery{
			Category: domain.AssetAudio, StyleTags: []string{"calm"}, MinQuality: 0.2, License: domain.LicenseProprietary,
			Formats: []string{"mp3", "wav"}, MaxSize: 6000,
		}, []string{"Odd thing"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{"", "thing", "things nowhere"} {
				c.q.Text = text
				wantTitles(t, s.B, c.q, c.want...)
			}
		})
	}
}

func assetWords(t *testing.T, s AssetSetup) {
	sword, chair := anAsset("Rune swords"), anAsset("Wooden chair")
	sword.Description, sword.StyleTags = "Glowing (magical) weapons: made for 3d-games, by the dwarves.", []string{"fantasy", "low_poly", "hand-made"}
	chair.Description, chair.StyleTags = "Something to sit on; café Größe", []string{"realistic"}
	chair.CreatedAt = assetTime.Add(time.Second)
	add(t, s, sword, chair)
	for _, text := range []string{
		"sword", "SWORDS", "rune", "glow", "glows", "glowing", "weapon", "magical", "the sword", "fantasy", "poly", "low_poly", "low-poly",
		"hand made", "\"sword\"", "sword!", "(sword)", "sword AND", "sword*", "game", "3d", "glowing-sword",
		"swrod", "sworrd", "sowrds", "fantsay", "magicl", "wepaon", "fantasy swrod",
	} {
		wantTitles(t, s.B, domain.AssetQuery{Text: text}, "Rune swords")
	}
	for _, text := range []string{"chair", "chairs", "wooden", "sits", "realistic", "café", "größe", "woden", "realistc chiar"} {
		wantTitles(t, s.B, domain.AssetQuery{Text: text}, "Wooden chair")
	}
	for _, text := range []string{"table", "xyzzyq", "swords123", "qqqqqqqq zzzzzzzz", "the", "!!!", "🎭"} {
		wantTitles(t, s.B, domain.AssetQuery{Text: text})
	}
}

func assetOthersWords(t *testing.T, s AssetSetup) {
	addTitled(t, s, "Obelisk of stone")
	private, nobodys := anAsset("Obelsik zephyrion"), anAsset("Oblesik")
	private.Public, nobodys.Public, nobodys.Owner = false, false, ""
	private.CreatedAt = assetTime.Add(time.Minute)
	add(t, s, private, nobodys)
	for _, viewer := range []string{"another", "owne"} {
		for _, text := range []string{"obelsik", "oblesik", "obelsikk", "stone oblesik"} {
			wantTitles(t, s.B, domain.AssetQuery{Viewer: viewer, Text: text}, "Obelisk of stone")
		}
		for _, text := range []string{"zephyrion", "zephyrino"} {
			wantTitles(t, s.B, domain.AssetQuery{Viewer: viewer, Text: text})
		}
	}
	wantTitles(t, s.B, domain.AssetQuery{Viewer: "owner", Text: "obelsik"}, "Obelsik zephyrion")
	wantTitles(t, s.B, domain.AssetQuery{Viewer: "owner", Text: "zephyrino"}, "Obelsik zephyrion")
	wantTitles(t, s.B, domain.AssetQuery{Viewer: "owner", Text: "obelksi"}, "Obelsik zephyrion", "Obelisk of stone")
}

func assetDeletedWords(t *testing.T, s AssetSetup) {
	addTitled(t, s, "Lantern", "Teapot", "Teapod")
	private := anAsset("Lantorn")
	private.Public = false
	gone := []domain.Asset{anAsset("Lantorm"), anAsset("Lantorm"), private, anAsset("Teapods")}
	add(t, s, gone...)
	wantTitles(t, s.B, domain.AssetQuery{Viewer: "owner", Text: "lanttorm"}, "Lantorm", "Lantorm")
	for i, a := range gone {
		if err := s.either(i).Delete(t.Context(), "owner", "owner", a.ID, assetTime); err != nil {
			t.Fatal(err)
		}
		if i == 0 { // another one has its words
			wantTitles(t, s.B, domain.AssetQuery{Text: "lanttorm"}, "Lantorm")
		}
	}
	for _, text := range []string{"lantorm", "lantorn", "lantornn", "lanttern"} {
		wantTitles(t, s.B, domain.AssetQuery{Viewer: "owner", Text: text}, "Lantern")
	}
	wantTitles(t, s.B, domain.AssetQuery{Text: "teappod"}, "Teapod")
}

func assetManyWords(t *testing.T, s AssetSetup) {
	long := anAsset("Encyclopaedia")
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, "word%d ", i)
	}
	long.Description = text.String() + "zygomorph"
	long.CreatedAt = assetTime.Add(time.Minute)
	add(t, s, long)
	addTitled(t, s, "Wort2000 sword lantern castle")
	wantTitles(t, s.A, domain.AssetQuery{Text: "zygomorph"}, "Encyclopaedia")
	wantTitles(t, s.A, domain.AssetQuery{Text: "zygomorhp"})
	wantTitles(t, s.A, domain.AssetQuery{Text: "wodr10"}, "Encyclopaedia")
	wantTitles(t, s.A, domain.AssetQuery{Text: "wotr2000"}, "Wort2000 sword lantern castle")
	page := wantTitles(t, s.A, domain.AssetQuery{Text: "wotr2000 swrod lantren casstle"}, "Wort2000 sword lantern castle")
	if m := page.Matches; len(m) == 1 && m[0].Relevance >= 0.5 {
		t.Errorf("relevance %v: more words were corrected than searches may have", m[0].Relevance)
	}
}

func assetRelevance(t *testing.T, s AssetSetup) {
	title, tag, description, part := anAsset("Lantern of brass"), anAsset("Second thing"), anAsset("Third thing"), anAsset("Brass bell")
	tag.StyleTags, description.Description = []string{"brass", "lantern"}, "A lantern. It is of brass."
	for i, a := range []*domain.Asset{&title, &tag, &description, &part} { // the best are the oldest
		a.CreatedAt = assetTime.Add(time.Duration(i) * time.Second)
		add(t, s, *a)
	}
	page := wantTitles(t, s.A, domain.AssetQuery{Text: "brass lantern"}, "Lantern of brass", "Second thing", "Third thing", "Brass bell")
	for i, m := range page.Matches {
		if whole := i < 3; whole != (m.Relevance >= 0.5) || m.Relevance == 1 != (i == 0) {
			t.Errorf("%s: relevance %v", m.Asset.Title, m.Relevance)
		}
		if i > 0 && m.Relevance >= page.Matches[i-1].Relevance {
			t.Errorf("%s is as good as the one before it", m.Asset.Title)
		}
	}
	misspelt := search(t, s.A, domain.AssetQuery{Text: "brass lantren"})
	if m := misspelt.Matches; len(m) == 0 || m[0].Asset.Title != "Lantern of brass" || m[0].Relevance < 0.5 || m[0].Relevance == 1 {
		t.Errorf("misspelt: got %+v", m)
	}
}

func assetSomeWords(t *testing.T, s AssetSetup) {
	addTitled(t, s, "Glowing sword", "Fantasy castle", "Fantasy sword", "Garden chair")
	wantTitles(t, s.A, domain.AssetQuery{Text: "fantasy sword"}, "Fantasy sword", "Fantasy castle", "Glowing sword")
	wantTitles(t, s.A, domain.AssetQuery{Text: "small fantasy sword"}, "Fantasy sword") // one word of three is too little
	wantTitles(t, s.A, domain.AssetQuery{Text: "small old fantasy sword of the northern kingdoms"})
	for range 100 {
		add(t, s, anAsset("Fantasy sword"))
	}
	if page := search(t, s.A, domain.AssetQuery{Text: "fantasy sword"}); page.Total != 101 {
		t.Errorf("where many have all words, %d were found", page.Total)
	}
	wantTitles(t, s.A, domain.AssetQuery{Text: "glowing fantasy", Category: domain.AssetAudio})
}

func assetUnindexed(t *testing.T, s AssetSetup) {
	list := addTitled(t, s, "Old wardrobe", "New wardrobe")
	if err := s.A.Delete(t.Context(), "owner", "owner", list[0].ID, assetTime); err != nil {
		t.Fatal(err)
	}
	wantTitles(t, s.B, domain.AssetQuery{Text: "wardrobe"}, "New wardrobe")
	wantTitles(t, s.B, domain.AssetQuery{}, "New wardrobe")
	wantTitles(t, s.B, domain.AssetQuery{Text: "old"})
}

func assetOddSearch(t *testing.T, s AssetSetup) {
	addTitled(t, s, "Sword")
	texts := append([]string{
		`"`, `'`, `\`, `\'`, `"sword`, `sword"`, `'sword'`, `"sword" & !`, "sword & | ! <-> :* ()", "sword:*", "sword:A", "title : sword", "{title}: x",
		"-sword", "^sword", "NEAR(sword a, 2)", "sword NOT sword", "AND", "OR NOT", "sword OR", "NULL", "%", "_", "$1", "?1", ":x", "@x", ";", "--", "/*",
		"e\u0301", "\u0301", "a\u0301\u0302\u0303", "\u200b\u202e", "ﬁ", "İ", "ß", "ǅ", "\U00010400", "٣", "²", "Ⅷ", "世界", "กำลัง", "\ufdd0", "a\ufffdb",
		"9999999999999999999999999", "1e400", "-1", "0x10", "a.b.c@d.example", "http://example.org/a?b=c", "C:\\x", "a-b-c-d", "'''", "\u2019s",
		strings.Repeat("a", 100_000), strings.Repeat("sword ", 50_000), strings.Repeat("(", 10_000), strings.Repeat("\"", 999), "\U0001f3ad sword",
		"one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen", "𝔰𝔴𝔬𝔯𝔡", "\U000e0001tag",
	}, oddTexts...)
	for _, text := range texts {
		for _, q := range []domain.AssetQuery{{Text: text, Limit: 5}, {Text: text + " sword", Limit: 5, Category: domain.AssetProp, StyleTags: []string{text}}} {
			if _, err := s.A.Search(t.Context(), q); err != nil {
				t.Errorf("Search(%.40q): %v", text, err)
			}
		}
		for _, m := range search(t, s.B, domain.AssetQuery{Text: text + " sword"}).Matches {
			if m.Asset.Title != "Sword" {
				t.Errorf("Search(%.40q) found %q", text, m.Asset.Title)
			}
		}
	}
}

func assetCanceled(t *testing.T, s AssetSetup) {
	a := anAsset("Left")
	leaseFiles(t, s, a)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.A.Search(ctx, domain.AssetQuery{Text: "x", Limit: 1})
	wantCanceled(t, "Search", err)
	_, err = s.A.Get(ctx, "owner", a.ID)
	wantCanceled(t, "Get", err)
	wantCanceled(t, "Add", s.A.Add(ctx, a))
	wantCanceled(t, "Delete", s.A.Delete(ctx, "owner", "owner", a.ID, assetTime))
	wantCanceled(t, "Downloaded", s.A.Downloaded(ctx, a.ID))
	wantCanceled(t, "Lease", s.LeasesA.Lease(ctx, domain.FileLease{Key: "left", Expires: assetTime}))
	wantCanceled(t, "EndLeases", s.LeasesA.EndLeases(ctx, []string{a.File.Key}, assetTime))
	_, err = s.LeasesA.Condemn(ctx, assetTime.Add(time.Hour), 10)
	wantCanceled(t, "Condemn", err)
	wantCanceled(t, "Forget", s.LeasesA.Forget(ctx, a.File.Key))
	if err := s.A.Add(t.Context(), a); err != nil {
		t.Errorf("after all that: %v", err)
	}
	wantRemoved(t, s.LeasesA, assetTime.Add(time.Hour))
}

func leaseOnce(t *testing.T, s AssetSetup) {
	given := 0
	for _, err := range inParallel(6, func(i int) error {
		return []ports.FileLeases{s.LeasesA, s.LeasesB}[i%2].Lease(t.Context(), domain.FileLease{Key: "a/b.png", Expires: assetTime})
	}) {
		if err == nil {
			given++
		} else {
			wantKind(t, err, domain.Conflict, "Lease")
		}
	}
	if given != 1 {
		t.Errorf("given %d times", given)
	}
	wantRemoved(t, s.LeasesA, assetTime, "a/b.png")
	wantKind(t, s.LeasesA.Lease(t.Context(), domain.FileLease{Key: "a/b.png", Expires: assetTime}), domain.Conflict, "a condemned key")
}

// leased leases keys that end a second after each other.
func leased(t *testing.T, s AssetSetup, keys ...string) {
	t.Helper()
	for i, key := range keys {
		lease := domain.FileLease{Key: key, Expires: assetTime.Add(time.Duration(i) * time.Second)}
		if err := s.LeasesA.Lease(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
}

func leaseCondemn(t *testing.T, s AssetSetup) {
	leased(t, s, "z", "y", "x", "w")
	wantRemoved(t, s.LeasesB, assetTime.Add(-time.Microsecond))
	keys, err := s.LeasesB.Condemn(t.Context(), assetTime.Add(2*time.Second), 2)
	if err != nil || !slices.Equal(keys, []string{"z", "y"}) {
		t.Errorf("got %v, %v", keys, err)
	}
	if keys, err := s.LeasesA.Condemn(t.Context(), assetTime.Add(time.Hour), 0); err != nil || len(keys) > 0 {
		t.Errorf("none wanted: %v, %v", keys, err)
	}
}

func leaseCondemnAgain(t *testing.T, s AssetSetup) {
	leased(t, s, "d", "c", "b", "a")
	for i, want := range [][]string{{"d", "c"}, {"b", "a"}, {"c", "d"}, {"a", "b"}} {
		now := assetTime.Add(time.Duration(i+1) * time.Minute)
		keys, err := s.LeasesB.Condemn(t.Context(), now, 2)
		slices.Sort(keys)
		slices.Sort(want)
		if err != nil || !slices.Equal(keys, want) {
			t.Errorf("time %d: got %v, %v, want %v", i+1, keys, err, want)
		}
	}
}

func leaseEnd(t *testing.T, s AssetSetup) {
	leased(t, s, "a", "b", "c")
	at := assetTime.Add(time.Hour)
	if err := s.LeasesA.EndLeases(t.Context(), []string{"a", "c", "nobody's", "c"}, at); err != nil {
		t.Fatal(err)
	}
	if err := s.LeasesA.EndLeases(t.Context(), nil, at); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	wantRemoved(t, s.LeasesB, at.Add(-time.Microsecond), "b")
	if err := s.LeasesA.EndLeases(t.Context(), []string{"b"}, at.Add(time.Hour)); err != nil { // too late
		t.Fatal(err)
	}
	keys, err := s.LeasesB.Condemn(t.Context(), at, 10)
	if slices.Sort(keys); err != nil || fmt.Sprint(keys) != "[a b c]" {
		t.Errorf("got %v, %v", keys, err)
	}
}

func leaseForget(t *testing.T, s AssetSetup) {
	leased(t, s, "a", "b")
	wantRemoved(t, s.LeasesA, assetTime, "a")
	for _, key := range []string{"a", "a", "nobody's"} {
		if err := s.LeasesB.Forget(t.Context(), key); err != nil {
			t.Errorf("Forget(%q): %v", key, err)
		}
	}
	wantRemoved(t, s.LeasesA, assetTime.Add(time.Hour), "b")
	leased(t, s, "a") // it may be written again
}
