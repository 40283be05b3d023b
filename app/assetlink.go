package app

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"gaia/domain"
)

// linkTimeout bounds a storage that has to ask something for its first link, such as where it is.
const linkTimeout = 5 * time.Second

// AssetLink is what a link to a file of an asset says.
type AssetLink struct {
	AssetID   string
	Variant   domain.AssetVariant
	Expires   int64 // Unix seconds
	Signature string
}

// linkSigner makes links that work without credentials for a while, and knows its own again.
type linkSigner struct{ key []byte }

// newLinkSigner derives the key, so that what the secret signs elsewhere can't be taken for a link.
func newLinkSigner(secret []byte) (linkSigner, error) {
	if len(secret) == 0 {
		secret = make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // never fails
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "gaia asset links", sha256.Size)
	if err != nil {
		return linkSigner{}, fmt.Errorf("make the key of asset links: %w", err)
	}
	return linkSigner{key}, nil
}

func (s linkSigner) sign(l AssetLink) string {
	mac := hmac.New(sha256.New, s.key)
	// No part can hold a line break that would let it run into the next: one is an id, one a word, one a number.
	_, _ = fmt.Fprintf(mac, "%q\n%q\n%d", l.AssetID, l.Variant, l.Expires) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s linkSigner) verify(l AssetLink, now time.Time) error {
	if !hmac.Equal([]byte(l.Signature), []byte(s.sign(l))) {
		return domain.NewError(domain.Forbidden, "This link has been altered")
	}
	if now.Unix() >= l.Expires {
		return domain.NewError(domain.Forbidden, "This link has expired")
	}
	return nil
}

// Link returns where a file of an asset can be fetched without credentials for a while: a path of this server, or an absolute URL when it
// lies elsewhere; empty when there is no such file. Callers who have left get it as well: it belongs to answers about what was just stored,
// which must not become failures.
func (a *Assets) Link(ctx context.Context, asset domain.Asset, variant domain.AssetVariant) (string, error) {
	key, elsewhere := asset.File.Key, asset.URL
	if variant == domain.AssetPreview {
		key, elsewhere = asset.PreviewKey, asset.PreviewURL
	}
	if key == "" {
		return elsewhere, nil
	}
	until := a.Now().Add(a.Config.LinkTTL)
	if a.Config.DirectLinks {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), linkTimeout)
		defer cancel()
		link, err := a.Blobs.Link(bounded, key, asset.FileName(variant), until)
		if err != nil || link != "" {
			return link, err
		}
	}
	l := AssetLink{AssetID: asset.ID, Variant: variant, Expires: until.Unix()}
	query := url.Values{"expires": {strconv.FormatInt(l.Expires, 10)}, "signature": {a.links.sign(l)}}
	if variant != domain.AssetMain {
		query.Set("variant", string(variant))
	}
	return "/api/v1/assets/" + asset.ID + "/download?" + query.Encode(), nil
}
