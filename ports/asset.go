package ports

import (
	"context"
	"io"
	"time"

	"gaia/domain"
)

// AssetStore keeps the catalogue. Assets that are neither public nor the viewer's must be as if they were not there. Events go to the outbox in
// the transaction of the change, and not without it. A store that is away must be domain.Unavailable, and domain.StoreInDoubt when nobody knows
// whether it has stored a change.
type AssetStore interface {
	// Search returns a page of what matches, and how many do in all. Words are found in titles, tags and descriptions, in other forms and
	// with small faults of spelling too; no text is an error. The relevance of a match is at least 0.5 when it has all words, and 1 when
	// all are in its title; words count less in tags, and least in descriptions. Spellings are those of the first words of assets that the
	// viewer sees: what others keep to themselves, and what was deleted, must make no difference to any search. What has at least half of the words matches, too, with
	// less than 0.5, unless many assets have all. Ties are in the order of the newest first, so that pages neither repeat nor lose anything.
	Search(ctx context.Context, q domain.AssetQuery) (domain.AssetPage, error)
	// Get returns an asset. Absent, invisible and malformed ids must be domain.NotFound. domain.LinkHolder sees every asset here, and in
	// no search.
	Get(ctx context.Context, viewer, id string) (domain.Asset, error)
	// Add saves an asset and ends the leases of its files, in one transaction. Without a lease for each of them that is neither
	// condemned nor gone it must be domain.Conflict, and so it must be for an id that is there.
	Add(ctx context.Context, a domain.Asset, events ...domain.Event) error
	// Delete removes an asset of an owner, and in the same transaction leases its files until at, when they are to be removed. One that
	// the owner sees and that is not the owner's must be domain.Forbidden; an empty owner may delete any. Each tell returns an
	// event about an asset that has the id, owner and category of the deleted one.
	Delete(ctx context.Context, viewer, owner, id string, at time.Time, tell ...func(domain.Asset) domain.Event) error
	// Bytes returns how many bytes the files of an owner's assets have in all, without previews.
	Bytes(ctx context.Context, owner string) (int64, error)
	// Downloaded counts one more download. An asset that is not there any more is no error.
	Downloaded(ctx context.Context, id string) error
}

// AssetMeanings keeps what assets mean, for AssetStore.Search: an asset whose vector is like that of a query matches it, and is as relevant as
// it is alike. A store need not be able to: without meanings it finds words.
type AssetMeanings interface {
	// SetMeaning keeps the vector of an asset in the space of a model, instead of the one before. An asset that is not there is no error. A
	// store that can't keep vectors must be domain.Unimplemented, one that is away domain.Unavailable.
	SetMeaning(ctx context.Context, id, model string, vector []float32) error
	// WithoutMeaning returns assets, whoever's, that have no vector in the space of a model, at most limit, the newest first. Its errors are
	// those of SetMeaning.
	WithoutMeaning(ctx context.Context, model string, limit int) ([]domain.Asset, error)
}

// FileLeases remembers files of which no asset knows yet, so that none is forgotten in the storage. AssetStore.Add and
// GenerationStore.Commit end leases; AssetStore.Delete makes them. A store that is away must be domain.Unavailable.
type FileLeases interface {
	// Lease remembers a file that is going to be written. A key that is leased already must be domain.Conflict.
	Lease(ctx context.Context, l domain.FileLease) error
	// EndLeases moves the end of leases to a time. Keys without a lease are no error.
	EndLeases(ctx context.Context, keys []string, at time.Time) error
	// Condemn returns keys whose leases are over, at most limit, the oldest first. From then on no asset can take them any more.
	Condemn(ctx context.Context, now time.Time, limit int) ([]string, error)
	// Forget ends the lease of a file that was removed.
	Forget(ctx context.Context, key string) error
}

// BlobStore keeps files by their keys: relative paths with slashes, of letters, digits, '.', '-' and '_', none of whose parts begins with
// a dot: other keys must be domain.BadRequest, see domain.CheckFileKey. Callers use no key that begins with another and a slash. A
// storage that is away, full or forbidden must be domain.Unavailable.
type BlobStore interface {
	// Put writes a file, whole or not at all, and returns how many bytes it has. What was not written whole is not there, and is in
	// nobody's way. The error of a reader that fails must come back as it is. More than limit bytes must be domain.TooLarge. A key that
	// is there is replaced.
	Put(ctx context.Context, key, contentType string, r io.Reader, limit int64) (int64, error)
	// Open opens a file for reading at any place. What is not there must be domain.NotFound. ctx bounds all reading.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, domain.Blob, error)
	// Delete removes a file. What is not there is no error.
	Delete(ctx context.Context, key string) error
	// Link returns an absolute URL at which the storage itself serves the file without credentials until a time, as a download with this
	// name; or, for users on the same machine, the URL of the file itself; empty when it can do neither.
	Link(ctx context.Context, key, name string, until time.Time) (string, error)
	// List calls f with every key that begins with a prefix, in no order, until f fails, and returns what f said then.
	List(ctx context.Context, prefix string, f func(key string) error) error
}

// Embedder finds out what texts mean. One that is away must be domain.Unavailable.
type Embedder interface {
	// Model names the space of its vectors.
	Model() string
	// Embed returns a vector for each text, all of one length.
	Embed(ctx context.Context, texts []string) ([][]float32, error)
}

// MediaInspector looks into files.
type MediaInspector interface {
	// Inspect tells what a file is. What it does not know, or what is broken, must be domain.BadRequest. It must not believe what a file
	// says about its size, and must not need memory in proportion to that.
	Inspect(ctx context.Context, r io.ReadSeeker) (domain.FileFacts, error)
	// Preview draws a PNG of at most so many pixels in width and height. nil: there is none of such files.
	Preview(ctx context.Context, r io.ReadSeeker, width, height int) ([]byte, error)
}

// VirusScanner looks for what harms. A scanner that is away must be domain.Unavailable.
type VirusScanner interface {
	// Scan must be domain.BadRequest for a file that is infected, with a message that names what was found.
	Scan(ctx context.Context, r io.Reader) error
}
