package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync/atomic"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// AssetConfig tunes Assets. Zero values mean the defaults named here.
type AssetConfig struct {
	MaxFile     int64         // bytes of an uploaded file; 100 MiB
	OwnerBytes  int64         // of all files of one owner; 0: as many as there is room for
	Limit       int           // entries of a page when the caller names no number; 20
	MaxLimit    int           // of a page; 100
	UploadTime  time.Duration // how long an upload may take as a whole; 1 h
	Similarity  float64       // how alike meanings must be, above 0 to 1; 0: the default of domain.AssetQuery
	EmbedWait   time.Duration // for what a search means, before it is made with words alone; 2 s
	LinkTTL     time.Duration // how long links work; 1 h
	LinkSecret  []byte        // what links are signed with; empty: something that only this process knows
	DirectLinks bool          // links lead to the storage where it can serve files
	SweepEvery  time.Duration // how often files that nobody needs are removed; 1 min
	SaveTimeout time.Duration // of what has to be written after a caller left; 5 s
}

func (c AssetConfig) withDefaults() AssetConfig {
	for _, n := range []struct {
		value     *int
		otherwise int
	}{
		{&c.Limit, 20}, {&c.MaxLimit, 100},
	} {
		if *n.value <= 0 {
			*n.value = n.otherwise
		}
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&c.UploadTime, time.Hour}, {&c.EmbedWait, 2 * time.Second}, {&c.LinkTTL, time.Hour}, {&c.SweepEvery, time.Minute},
		{&c.SaveTimeout, 5 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	if c.MaxFile <= 0 {
		c.MaxFile = 100 << 20
	}
	c.Limit = min(c.Limit, c.MaxLimit)
	return c
}

// AssetDeps is what Assets needs.
type AssetDeps struct {
	Store    ports.AssetStore
	Leases   ports.FileLeases
	Blobs    ports.BlobStore
	Media    ports.MediaInspector // such as an Inspection
	Scanner  ports.VirusScanner   // nil: nobody looks for what harms
	Embedder ports.Embedder       // nil: only words are found, not what they mean
	Meanings ports.AssetMeanings  // nil: the same
	// Generation returns work on an asset; nil: there is none. It is a store's Get.
	Generation func(ctx context.Context, owner, id string) (domain.Generation, error)
	// Stored, which may be nil, is called after an event was stored, which can be sent now.
	Stored func()
	// Troubled, which may be nil, is told what went wrong without a caller who could be told.
	Troubled func(what string, err error)
	Now      ports.Clock
	NewID    ports.IDs
	Config   AssetConfig
}

// Assets are the catalogue and its files. Run must run for files to be removed that nobody needs any more, and for assets to be found by
// what they mean.
type Assets struct {
	AssetDeps
	links     linkSigner
	quota     assetQuota
	wordsOnly atomic.Bool   // the database can't keep meanings
	sweep     chan struct{} // tells Run that there is something to remove
}

// NewAssets makes the use cases.
func NewAssets(d AssetDeps) (*Assets, error) {
	d.Config = d.Config.withDefaults()
	if d.Stored == nil {
		d.Stored = func() {}
	}
	if d.Troubled == nil {
		d.Troubled = func(string, error) {}
	}
	links, err := newLinkSigner(d.Config.LinkSecret)
	if err != nil {
		return nil, err
	}
	return &Assets{AssetDeps: d, links: links, quota: assetQuota{d.Store, d.Config.OwnerBytes}, sweep: make(chan struct{}, 1)}, nil
}

// MaxFile is how many bytes an uploaded file may have.
func (a *Assets) MaxFile() int64 { return a.Config.MaxFile }

// Search returns a page of what is there for the caller, and how long finding it took. Viewer and what the text means are filled in here.
func (a *Assets) Search(ctx context.Context, who domain.Principal, q domain.AssetQuery) (domain.AssetPage, time.Duration, error) {
	began := a.Now()
	q.Viewer = who.OwnerID()
	if q.Limit <= 0 {
		q.Limit = a.Config.Limit
	}
	q.Limit = min(q.Limit, a.Config.MaxLimit)
	q.Embedding, q.Model = a.meaning(ctx, q.Text)
	q.Similarity = a.Config.Similarity
	page, err := a.Store.Search(ctx, q)
	return page, a.Now().Sub(began), err
}

// Get returns an asset that the caller may see.
func (a *Assets) Get(ctx context.Context, who domain.Principal, id string) (domain.Asset, error) {
	return a.Store.Get(ctx, who.OwnerID(), id)
}

// Delete removes an asset of the caller with its files. The global key may remove any.
func (a *Assets) Delete(ctx context.Context, who domain.Principal, id string) error {
	owner := who.OwnerID()
	if who.IsService() {
		owner = ""
	}
	now, eventID := a.Now(), a.NewID()
	err := a.Store.Delete(ctx, who.OwnerID(), owner, id, now, func(deleted domain.Asset) domain.Event {
		return assetEvent(eventID, domain.SubjectAssetDeleted, deleted, now)
	})
	if domain.KindOf(err) == domain.NotFound {
		return a.notThere(ctx, who, id)
	}
	if err == nil {
		a.Stored()
		a.wakeSweeper()
	}
	return err
}

// assetEvent tells what has happened to an asset.
func assetEvent(id, subject string, a domain.Asset, at time.Time) domain.Event {
	return domain.Event{ID: id, Subject: subject, Payload: domain.AssetEvent{
		AssetID: a.ID, UserID: a.Owner, AssetType: a.Category, Status: domain.LastWord(subject), Timestamp: at,
		Details: domain.AssetDetails{Format: a.File.Format, Bytes: a.File.Size},
	}}
}

// notThere says why there is no asset: it may be on its way.
func (a *Assets) notThere(ctx context.Context, who domain.Principal, id string) error {
	if a.Generation == nil {
		return domain.AssetNotFound()
	}
	g, err := a.Generation(ctx, who.OwnerID(), id)
	switch {
	case err == nil && !g.Status.Ended():
		return domain.NewError(domain.Conflict, "The asset is being made: cancel that first")
	case err == nil:
		return domain.AssetNotFound()
	default:
		return err
	}
}

// AssetFile is an open file of an asset. Close it.
type AssetFile struct {
	io.ReadSeekCloser

	Name        string
	ContentType string
	Tag         string // names these bytes and no others
	Size        int64
	ModifiedAt  time.Time
	counted     func(context.Context) error
}

// Downloaded counts that somebody has got the file.
func (f *AssetFile) Downloaded(ctx context.Context) error { return f.counted(ctx) }

// Open opens a file of an asset that the caller may see.
func (a *Assets) Open(ctx context.Context, who domain.Principal, id string, variant domain.AssetVariant) (*AssetFile, error) {
	asset, err := a.Store.Get(ctx, who.OwnerID(), id)
	if domain.KindOf(err) == domain.NotFound {
		return nil, a.notReady(ctx, who, id)
	}
	if err != nil {
		return nil, err
	}
	return a.open(ctx, asset, variant)
}

// notReady says why there is no file yet.
func (a *Assets) notReady(ctx context.Context, who domain.Principal, id string) error {
	err := a.notThere(ctx, who, id)
	if domain.KindOf(err) == domain.Conflict {
		return domain.NewError(domain.Conflict, "The asset is not ready yet")
	}
	return err
}

// OpenLink opens a file to which the caller has a link.
func (a *Assets) OpenLink(ctx context.Context, link AssetLink) (*AssetFile, error) {
	if err := a.links.verify(link, a.Now()); err != nil {
		return nil, err
	}
	asset, err := a.Store.Get(ctx, domain.LinkHolder, link.AssetID)
	if err != nil {
		return nil, err
	}
	return a.open(ctx, asset, link.Variant)
}

func (a *Assets) open(ctx context.Context, asset domain.Asset, variant domain.AssetVariant) (*AssetFile, error) {
	f := &AssetFile{
		Name: asset.FileName(variant), ContentType: cmp.Or(asset.File.ContentType, "application/octet-stream"), Tag: asset.File.SHA256,
		counted: func(ctx context.Context) error { return a.Store.Downloaded(ctx, asset.ID) },
	}
	key, elsewhere := asset.File.Key, asset.URL
	if variant == domain.AssetPreview {
		f.ContentType, f.Tag = "image/png", ""
		f.counted = func(context.Context) error { return nil }
		key, elsewhere = asset.PreviewKey, asset.PreviewURL
	}
	if key == "" {
		return nil, noFile(variant, elsewhere)
	}
	r, blob, err := a.Blobs.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	if f.Tag == "" { // a key stands for one file for ever
		f.Tag = digest(key)
	}
	f.ReadSeekCloser, f.Size, f.ModifiedAt = r, blob.Size, blob.ModifiedAt
	return f, nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func noFile(variant domain.AssetVariant, elsewhere string) error {
	switch {
	case elsewhere != "":
		return domain.NewError(domain.NotFound, "This file is not kept here: it is at "+elsewhere)
	case variant == domain.AssetPreview:
		return domain.NewError(domain.NotFound, "This asset has no preview")
	default:
		return domain.FileNotFound()
	}
}
