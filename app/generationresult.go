package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// How results are taken over.
const (
	deliverTimeout = 5 * time.Minute // of one try
	deliverAtLeast = time.Minute     // how long it is tried, also after the deadline
	previewPixels  = 512
)

// generationFiles are the files that a run has written, or is writing.
type generationFiles struct {
	mu   sync.Mutex
	keys []string // that an asset may get
	junk []string // that none gets
}

func (f *generationFiles) add(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = append(f.keys, key)
}

// forget leaves a file to its lease.
func (f *generationFiles) forget(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	is := func(k string) bool { return k == key }
	f.keys, f.junk = slices.DeleteFunc(f.keys, is), slices.DeleteFunc(f.junk, is)
}

// discard gives up all files that were written until now.
func (f *generationFiles) discard() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys, f.junk = nil, append(f.junk, f.keys...)
}

// written are the files that an asset may get.
func (f *generationFiles) written() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.keys)
}

func (f *generationFiles) all() []string { return f.allBut(nil) }

// allBut are the files that an asset does not get.
func (f *generationFiles) allBut(a *domain.Asset) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Concat(f.keys, f.junk), func(key string) bool {
		return a != nil && (key == a.File.Key || key == a.PreviewKey)
	})
}

// settled forgets the files that a change that is stored has decided about.
func (f *generationFiles) settled(c domain.GenerationChange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	decided := func(key string) bool {
		return slices.Contains(c.Abandoned, key) || c.Asset != nil && (key == c.Asset.File.Key || key == c.Asset.PreviewKey)
	}
	f.keys, f.junk = slices.DeleteFunc(f.keys, decided), slices.DeleteFunc(f.junk, decided)
}

// abandonFiles ends the leases of everything that this run has written, so that it is removed soon.
func (r *generationRun) abandonFiles(ctx context.Context) {
	if keys := r.files.all(); len(keys) > 0 {
		_ = r.generations.Leases.EndLeases(ctx, keys, r.now()) // else they end by themselves
	}
}

// deliver copies the result of the last stage into the storage and stores the asset. What is away is tried again for a while.
func (r *generationRun) deliver(row domain.Generator, a domain.GenerationAttempt, task domain.GeneratorTask) error {
	if err := r.hold(); err != nil {
		return err
	}
	g := r.generations
	until := r.work.Deadline
	if least := g.Now().Add(deliverAtLeast); least.After(until) {
		until = least
	}
	for try := 0; ; try++ {
		asset, err := guarded(func() (domain.Asset, error) { return r.store(row, task) })
		if err == nil {
			err = r.complete(row, a, asset)
		}
		switch wait := max(retryAfterOf(err), retryPause(try)); {
		case err == nil:
			return nil
		case r.ctx.Err() != nil:
			return context.Cause(r.ctx)
		case isLasting(err), g.Now().Add(wait).After(until):
			return r.failed(a, true, err)
		case r.isStopping() && a.Status == domain.AttemptRunning: // else nobody could get the result any more
			return errGenerationStopping
		default:
			r.files.discard()
			if err := r.rest(a, wait); err != nil {
				return err
			}
		}
		task = r.refreshed(row, a, task)
	}
}

// rest waits before a result is taken over once more. Others get the room meanwhile, unless the result is nowhere but here.
func (r *generationRun) rest(a domain.GenerationAttempt, wait time.Duration) error {
	if a.Status == domain.AttemptRunning {
		r.slot.giveBack()
	}
	pause(r.ctx, wait)
	return r.hold()
}

// isLasting reports whether a result is no better the next time.
func isLasting(err error) bool {
	switch domain.KindOf(err) {
	case domain.BadRequest, domain.Invalid, domain.TooLarge:
		return true
	default:
		return false
	}
}

// refreshed is the task as the generator tells about it now: links of results work for a while only.
func (r *generationRun) refreshed(row domain.Generator, a domain.GenerationAttempt, task domain.GeneratorTask) domain.GeneratorTask {
	if a.Status != domain.AttemptRunning {
		return task
	}
	now, err := guarded(func() (domain.GeneratorTask, error) {
		ctx, cancel := context.WithTimeout(r.ctx, callTimeout)
		defer cancel()
		return r.generations.Generators[row.ID].Check(ctx, r.order(a, row), a.TaskID)
	})
	if err != nil || now.Status != domain.TaskDone {
		return task
	}
	return now
}

// complete stores the asset and, in the same transaction, that the work has ended.
func (r *generationRun) complete(row domain.Generator, a domain.GenerationAttempt, asset domain.Asset) error {
	a.Status, a.Charged, a.EndedAt = domain.AttemptDone, true, r.now()
	work := r.work.WithAttempt(a).End(domain.GenerationCompleted, r.generations.Now())
	work.Progress, work.Message, work.AssetID, work.Source = 100, "Ready", asset.ID, asset.Source
	asset.Cost, asset.CreatedAt, asset.UpdatedAt = work.Cost, work.CompletedAt, work.CompletedAt
	asset.ResponseTime = work.CompletedAt.Sub(work.CreatedAt)
	details := costOf(work)
	details[domain.DetailGenerator], details[domain.DetailSource] = row.ID, string(asset.Source)
	details[domain.DetailDurationMS] = asset.ResponseTime.Milliseconds()
	return r.end(work, domain.GenerationEventCompleted, details, &asset)
}

// store copies the files of a task into the storage and looks whether they are what was asked for.
func (r *generationRun) store(row domain.Generator, task domain.GeneratorTask) (domain.Asset, error) {
	ctx, cancel := context.WithTimeout(r.ctx, deliverTimeout)
	defer cancel()
	main, preview := mainFile(task.Files)
	if main == nil {
		return domain.Asset{}, domain.NewError(domain.BadRequest, row.ID+" has made no file")
	}
	file, facts, err := r.storeFile(ctx, row, *main)
	if err != nil {
		return domain.Asset{}, err
	}
	if err := r.check(row, facts); err != nil {
		return domain.Asset{}, err
	}
	asset, err := r.describe(ctx, row, *main, facts)
	if err != nil {
		return domain.Asset{}, err
	}
	asset.File = file
	asset.PreviewKey = r.storePreview(ctx, row, file.Key, preview)
	return asset, nil
}

// mainFile finds the asset itself among the files of a task, and the picture of it, if there is one.
func mainFile(files []domain.GeneratedFile) (main, preview *domain.GeneratedFile) {
	for i := range files {
		switch {
		case files[i].Preview && preview == nil:
			preview = &files[i]
		case !files[i].Preview && main == nil:
			main = &files[i]
		}
	}
	return main, preview
}

// storeFile writes a file under a new key and finds out what it is. Where the generator has called it something else, it gets another key.
func (r *generationRun) storeFile(ctx context.Context, row domain.Generator, f domain.GeneratedFile) (domain.AssetFile, domain.FileFacts, error) {
	limit := r.generations.Config.MaxBytes
	if r.work.Request.MaxBytes > 0 {
		limit = min(limit, r.work.Request.MaxBytes)
	}
	format := domain.AssetRequest{Format: f.Format}.Normal().Format
	source, err := r.open(ctx, row, f, limit)
	if err != nil {
		return domain.AssetFile{}, domain.FileFacts{}, r.tooLarge(err, limit)
	}
	defer source.Close() //nolint:errcheck // it was read
	file, err := r.put(ctx, r.fileKey(format), domain.ContentTypeOf(format), source, limit)
	if err != nil {
		return file, domain.FileFacts{}, r.tooLarge(err, limit)
	}
	facts, err := r.inspect(ctx, file.Key)
	if err != nil || facts.Format == format {
		file.Format, file.ContentType = facts.Format, facts.ContentType
		return file, facts, err
	}
	stored, _, err := r.generations.Blobs.Open(ctx, file.Key)
	if err != nil {
		return file, facts, err
	}
	defer stored.Close() //nolint:errcheck // it was read
	file, err = r.put(ctx, r.fileKey(facts.Format), facts.ContentType, stored, limit)
	file.Format, file.ContentType = facts.Format, facts.ContentType
	return file, facts, err
}

// open opens a file that a generator has made.
func (r *generationRun) open(ctx context.Context, row domain.Generator, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	if f.URL == "" {
		return io.NopCloser(bytes.NewReader(f.Data)), nil
	}
	return r.generations.Generators[row.ID].Fetch(ctx, f, limit)
}

// tooLarge says about a file that is too large whose limit it breaks.
func (r *generationRun) tooLarge(err error, limit int64) error {
	if domain.KindOf(err) != domain.TooLarge {
		return err
	}
	return brokenLimit("The result has more than %d bytes", limit)
}

func brokenLimit(format string, args ...any) error {
	return &domain.Error{Kind: domain.BadRequest, Code: failureLimits, Message: fmt.Sprintf(format, args...)}
}

// put leases a key and writes a file there. The lease is kept while the run lives, and ends soon after a process has died. A write that was
// broken off in a process that lives may still arrive at the storage: its lease lasts until it can't any more.
func (r *generationRun) put(ctx context.Context, key, contentType string, source io.Reader, limit int64) (domain.AssetFile, error) {
	g := r.generations
	r.files.add(key) // first: the lease may be there although making it seemed to fail
	if err := g.Leases.Lease(ctx, domain.FileLease{Key: key, Expires: g.Now().Add(g.Config.FileLease)}); err != nil {
		return domain.AssetFile{}, err
	}
	sum := sha256.New()
	size, err := g.Blobs.Put(ctx, key, contentType, io.TeeReader(source, sum), limit)
	if err != nil && domain.KindOf(err) != domain.TooLarge {
		r.letSettle(ctx, key)
	}
	return domain.AssetFile{Key: key, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// letSettle leaves a file to the time when it can't arrive any more.
func (r *generationRun) letSettle(ctx context.Context, key string) {
	g := r.generations
	r.files.forget(key)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.Config.SaveTimeout)
	defer cancel()
	_ = g.Leases.EndLeases(ctx, []string{key}, g.Now().Add(settleTime)) // else the lease ends by itself, and only a very late file stays
}

// fileKey is a key that was never used before.
func (r *generationRun) fileKey(format string) string {
	if domain.CheckFileKey(format) != nil || strings.Contains(format, "/") {
		format = "bin"
	}
	return fmt.Sprintf("generated/%s/%s-%s.%s", r.work.Request.Category, r.work.ID, r.suffix(), format)
}

// suffix makes keys of the same asset differ.
func (r *generationRun) suffix() string {
	id := r.generations.NewID()
	return id[len(id)-6:] // the beginning tells the time
}

func (r *generationRun) inspect(ctx context.Context, key string) (domain.FileFacts, error) {
	file, _, err := r.generations.Blobs.Open(ctx, key)
	if err != nil {
		return domain.FileFacts{}, err
	}
	defer file.Close() //nolint:errcheck // it was read
	return r.generations.Inspector.Inspect(ctx, file)
}

// check holds a result against the request.
func (r *generationRun) check(row domain.Generator, facts domain.FileFacts) error {
	req := r.work.Request
	switch {
	case req.Format != "" && facts.Format != req.Format:
		return brokenLimit("The result is a %s file, and not %s", facts.Format, req.Format)
	case !slices.Contains(row.Formats[req.Category], facts.Format):
		return brokenLimit("The result is a %s file, which is no %s", facts.Format, req.Category)
	case req.MaxPolygons > 0 && facts.Polygons > req.MaxPolygons:
		return brokenLimit("The result has %d polygons; %d are allowed", facts.Polygons, req.MaxPolygons)
	default:
		return nil
	}
}

// describe is the entry of the catalogue, but for its files.
func (r *generationRun) describe(ctx context.Context, row domain.Generator, f domain.GeneratedFile, facts domain.FileFacts) (domain.Asset, error) {
	req := r.work.Request
	a := domain.Asset{
		ID: r.work.ID, Owner: r.work.Principal.OwnerID(), Public: r.generations.Config.Public, Source: row.Source, SourceName: row.ID,
		Category: req.Category, Title: f.Title, Description: req.Description, StyleTags: req.Tags(), Quality: row.Scores[req.Quality],
		License: f.License, AttributionRequired: f.AttributionRequired, GenerationID: r.work.ID,
		Metadata: map[string]any{factGenerator: row.ID, factSeed: r.seed()},
	}
	if a.Title == "" {
		a.Title = req.Title()
	}
	if a.License == "" {
		a.License = row.License
	}
	for name, value := range map[string]string{factModel: row.Model, factStyle: req.Style, factPlatform: req.Platform} {
		if value != "" {
			a.Metadata[name] = value
		}
	}
	maps.Copy(a.Metadata, f.Attributes)
	maps.Copy(a.Metadata, facts.Attributes())
	if !r.adapts(row) {
		return a, nil
	}
	return r.inherit(ctx, a)
}

// inherit gives an asset what it has from the one that it was made of: it is no freer than that.
func (r *generationRun) inherit(ctx context.Context, a domain.Asset) (domain.Asset, error) {
	a.Source, a.Metadata[factBase] = domain.AssetFromHybrid, r.work.BaseID
	base, err := r.generations.Assets.Get(ctx, r.work.Principal.OwnerID(), r.work.BaseID)
	switch {
	case err == nil && base.License != domain.LicensePublicDomain:
		a.License = base.License
		a.AttributionRequired = a.AttributionRequired || base.AttributionRequired
	case domain.KindOf(err) == domain.NotFound && err != nil: // it was deleted meanwhile, and nobody can tell any more
		a.License, a.AttributionRequired = domain.LicenseCreativeCommons, true
	case err != nil:
		return a, err
	}
	return a, nil
}

// storePreview writes a picture of the asset: what the generator has made as such, or else what can be drawn. An asset without one is as good.
func (r *generationRun) storePreview(ctx context.Context, row domain.Generator, assetKey string, f *domain.GeneratedFile) (key string) {
	picture := r.drawn(ctx, row, f)
	if picture == nil {
		picture = r.drawnOf(ctx, assetKey)
	}
	if picture == nil || int64(len(picture)) > r.generations.Config.MaxPreview {
		return ""
	}
	key = fmt.Sprintf("previews/%s-%s.png", r.work.ID, r.suffix())
	if _, err := r.put(ctx, key, "image/png", bytes.NewReader(picture), r.generations.Config.MaxPreview); err != nil {
		return ""
	}
	return key
}

// drawn is the picture that a generator has made, as a PNG of the size of previews. nil: there is none that can be read.
func (r *generationRun) drawn(ctx context.Context, row domain.Generator, f *domain.GeneratedFile) []byte {
	if f == nil {
		return nil
	}
	limit := r.generations.Config.MaxPreview
	source, err := r.open(ctx, row, *f, limit)
	if err != nil {
		return nil
	}
	defer source.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(io.LimitReader(source, limit+1))
	if err != nil || int64(len(data)) > limit {
		return nil
	}
	return preview(ctx, r.generations.Inspector, bytes.NewReader(data))
}

// drawnOf is a picture of a stored file. nil: there is none of such files.
func (r *generationRun) drawnOf(ctx context.Context, key string) []byte {
	file, _, err := r.generations.Blobs.Open(ctx, key)
	if err != nil {
		return nil
	}
	defer file.Close() //nolint:errcheck // it was read
	return preview(ctx, r.generations.Inspector, file)
}

func preview(ctx context.Context, inspector ports.MediaInspector, file io.ReadSeeker) []byte {
	picture, err := guarded(func() ([]byte, error) { return inspector.Preview(ctx, file, previewPixels, previewPixels) })
	if err != nil {
		return nil
	}
	return picture
}
