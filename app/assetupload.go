package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"gaia/domain"
)

const (
	previewSize  = 512 // pixels in width and height
	maxPreview   = 4 << 20
	leaseSpare   = 10 * time.Minute // that a lease is longer than its upload may take
	settleTime   = 10 * time.Minute // after which a write that was given up can't arrive any more
	uploadFolder = "uploads/"
)

// AssetUpload is a file that is on its way to become an asset. Close it.
type AssetUpload struct {
	assets *Assets
	who    domain.Principal
	id     string
	began  time.Time
	until  time.Time // when it must have become an asset
	file   domain.AssetFile
	leased []string      // files that no asset has yet
	settle time.Duration // how long after the end a file can still arrive
}

// BeginUpload begins an upload.
func (a *Assets) BeginUpload(who domain.Principal) *AssetUpload {
	now := a.Now()
	return &AssetUpload{assets: a, who: who, id: a.NewID(), began: now, until: now.Add(a.Config.UploadTime)}
}

// UploadTime is how long an upload may take as a whole.
func (a *Assets) UploadTime() time.Duration { return a.Config.UploadTime }

// within is a context that ends when the upload has to.
func (u *AssetUpload) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, u.until.Sub(u.assets.Now()))
}

// tooLong says so about errors of an upload that has run out of time.
func tooLong(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return domain.MissingPart("The upload took too long", err)
	}
	return err
}

// Received reports whether the file is there.
func (u *AssetUpload) Received() bool { return u.file.Key != "" }

// Receive takes the file, once.
func (u *AssetUpload) Receive(ctx context.Context, r io.Reader) error {
	ctx, cancel := u.within(ctx)
	defer cancel()
	limit, err := u.limit(ctx)
	if err != nil {
		return tooLong(ctx, err)
	}
	hash := sha256.New()
	key, size, err := u.put(ctx, uploadFolder+u.id, "", "application/octet-stream", io.TeeReader(r, hash), limit)
	if domain.KindOf(err) == domain.TooLarge && limit < u.assets.Config.MaxFile {
		err = u.assets.quota.full(domain.TooLarge)
	}
	if err != nil {
		return tooLong(ctx, err)
	}
	u.file = domain.AssetFile{Key: key, Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))}
	return nil
}

// limit is how many bytes the file may have.
func (u *AssetUpload) limit(ctx context.Context) (int64, error) {
	left, limited, err := u.assets.quota.left(ctx, u.who)
	switch {
	case err != nil:
		return 0, err
	case limited && left == 0:
		return 0, u.assets.quota.full(domain.TooLarge)
	case limited:
		return min(left, u.assets.Config.MaxFile), nil
	default:
		return u.assets.Config.MaxFile, nil
	}
}

// put leases a key and writes a file under it. What was never used of ids makes keys that nobody uses twice.
func (u *AssetUpload) put(ctx context.Context, path, suffix, contentType string, r io.Reader, limit int64) (key string, size int64, err error) {
	fresh := u.assets.NewID()
	key = path + "-" + fresh[len(fresh)-6:] + suffix
	if err := u.assets.Leases.Lease(ctx, domain.FileLease{Key: key, Expires: u.until.Add(leaseSpare)}); err != nil {
		return "", 0, err
	}
	u.leased = append(u.leased, key)
	size, err = u.assets.Blobs.Put(ctx, key, contentType, r, limit)
	if domain.KindOf(err) == domain.Unavailable || ctx.Err() != nil {
		u.settle = settleTime
	}
	return key, size, err
}

// Finish makes the file that was received an asset, as the draft says.
func (u *AssetUpload) Finish(ctx context.Context, d domain.AssetDraft) (domain.Asset, error) {
	ctx, cancel := u.within(ctx)
	defer cancel()
	asset, err := u.finish(ctx, d)
	return asset, tooLong(ctx, err)
}

func (u *AssetUpload) finish(ctx context.Context, d domain.AssetDraft) (domain.Asset, error) {
	facts, err := u.examine(ctx, d.Category)
	if err != nil {
		return domain.Asset{}, err
	}
	u.file.Format, u.file.ContentType = facts.Format, facts.ContentType
	preview, err := u.preview(ctx)
	if err != nil {
		return domain.Asset{}, err
	}
	if d.License == "" {
		d.License = domain.LicenseCustom
	}
	now := u.assets.Now().UTC().Truncate(time.Microsecond)
	asset := domain.Asset{
		ID: u.id, Owner: u.who.OwnerID(), Public: true, Source: domain.AssetFromDatabase, Category: d.Category, Title: d.Title,
		Description: d.Description, StyleTags: d.StyleTags, File: u.file, PreviewKey: preview, Quality: domain.UploadedQuality,
		License: d.License, AttributionRequired: d.AttributionRequired, Metadata: facts.Attributes(),
		ResponseTime: now.Sub(u.began), CreatedAt: now, UpdatedAt: now,
	}
	// Others of the same owner may have ended meanwhile.
	if left, limited, err := u.assets.quota.left(ctx, u.who); err != nil {
		return domain.Asset{}, err
	} else if limited && left < u.file.Size {
		return domain.Asset{}, u.assets.quota.full(domain.TooLarge)
	}
	if err := u.add(ctx, asset, assetEvent(u.assets.NewID(), domain.SubjectAssetUploaded, asset, now)); err != nil {
		return domain.Asset{}, err
	}
	u.assets.Stored()
	u.leased = nil
	return asset, nil
}

// add stores the asset. Where the answer of the store was lost, it looks what has become of it.
func (u *AssetUpload) add(ctx context.Context, asset domain.Asset, event domain.Event) error {
	err := u.assets.Store.Add(ctx, asset, event)
	if !domain.IsInDoubt(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), u.assets.Config.SaveTimeout)
	defer cancel()
	if _, look := u.assets.Store.Get(ctx, asset.Owner, asset.ID); look == nil {
		return nil
	}
	return err // also when it is not there: the database may still be about to store it
}

// examine finds out what the file is, and refuses what it must not be.
func (u *AssetUpload) examine(ctx context.Context, category domain.AssetCategory) (facts domain.FileFacts, err error) {
	if u.file.Size == 0 {
		return facts, domain.FileTypeRefused("The file is empty", nil)
	}
	if u.assets.Scanner != nil {
		err = u.read(ctx, func(r io.ReadSeeker) error { return u.assets.Scanner.Scan(ctx, r) })
		if domain.KindOf(err) == domain.BadRequest {
			err = domain.FileTypeRefused(clientSentence(err), err)
		}
		if err != nil {
			return facts, err
		}
	}
	err = u.read(ctx, func(r io.ReadSeeker) error {
		facts, err = u.assets.Media.Inspect(ctx, r)
		return err
	})
	if domain.KindOf(err) == domain.BadRequest {
		return facts, domain.FileTypeRefused(clientSentence(err), err)
	}
	if err != nil {
		return facts, err
	}
	return facts, category.CheckFormat(facts.Format)
}

// clientSentence is what a domain error says to clients.
func clientSentence(err error) string {
	e, ok := err.(*domain.Error) //nolint:errorlint // only the outermost was meant for them
	if !ok {
		return "The file can't be read"
	}
	return e.Message
}

// read lets f read the file that was received.
func (u *AssetUpload) read(ctx context.Context, f func(io.ReadSeeker) error) error {
	r, _, err := u.assets.Blobs.Open(ctx, u.file.Key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read
	return f(r)
}

// preview draws a picture of the file and stores it; its key is empty when there is none of such files.
func (u *AssetUpload) preview(ctx context.Context) (key string, err error) {
	var png []byte
	err = u.read(ctx, func(r io.ReadSeeker) error {
		png, err = u.assets.Media.Preview(ctx, r, previewSize, previewSize)
		return err
	})
	if domain.KindOf(err) == domain.BadRequest {
		err = domain.FileTypeRefused(clientSentence(err), err)
	}
	if err != nil || png == nil {
		return "", err
	}
	key, _, err = u.put(ctx, "previews/"+u.id, ".png", "image/png", bytes.NewReader(png), maxPreview)
	return key, err
}

// Close gives up what has not become an asset. The leases of its files end, whoever has left.
func (u *AssetUpload) Close(ctx context.Context) {
	if len(u.leased) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), u.assets.Config.SaveTimeout)
	defer cancel()
	if err := u.assets.Leases.EndLeases(ctx, u.leased, u.assets.Now().Add(u.settle)); err != nil {
		u.assets.Troubled("end the leases of an upload", err) // they end by themselves later
		return
	}
	u.leased = nil
	u.assets.wakeSweeper()
}
