package mcpserver

import (
	"context"
	"fmt"
	"io"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// maxBlob bounds a file of an asset that is read as a resource, in bytes: it is one message, in which it takes a third more.
const maxBlob = 4 << 20

// Ends of addresses of an asset's files.
const (
	fileSuffix    = "/file"
	previewSuffix = "/preview"
)

// assetResources are assets and their files.
func (s *Server) assetResources() []resource {
	kinds := []resource{
		{
			title: "Asset", about: "An asset with links to its file, or how far the making of one is.",
			read: func(ctx context.Context, who domain.Principal, name string) (*mcp.ResourceContents, error) {
				details, err := s.asset(ctx, who, name)
				if err != nil {
					return nil, err
				}
				return asJSON(details)
			},
		},
		{title: "Asset file", suffix: fileSuffix, about: "The file of an asset, up to 4 MB.", read: s.assetFile(domain.AssetMain)},
		{title: "Asset preview", suffix: previewSuffix, about: "A picture of an asset.", read: s.assetFile(domain.AssetPreview)},
	}
	for i := range kinds {
		k := &kinds[i]
		k.prefix, k.variable, k.scope, k.complete = assetPrefix, "{id}", "assets:read", s.assetIDs
	}
	return kinds
}

// assetFile reads one of an asset's files. One that can't be read like this says where it can be got.
func (s *Server) assetFile(variant domain.AssetVariant) func(context.Context, domain.Principal, string) (*mcp.ResourceContents, error) {
	return func(ctx context.Context, who domain.Principal, name string) (*mcp.ResourceContents, error) {
		id, ok := domain.ParseID(name)
		if !ok {
			return nil, domain.AssetNotFound()
		}
		f, err := s.Assets.Open(ctx, who, id, variant)
		if domain.KindOf(err) == domain.NotFound {
			return nil, s.fileElsewhere(ctx, who, id, variant, err)
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it was only read
		if f.Size > maxBlob {
			return nil, s.fileTooLarge(ctx, who, id, variant, f.Size)
		}
		data, err := io.ReadAll(io.LimitReader(f, maxBlob))
		if err != nil {
			return nil, fmt.Errorf("read the file of an asset: %w", err)
		}
		if err := f.Downloaded(ctx); err != nil { // it is read all the same
			s.logFailure(ctx, "count a download", err)
		}
		return &mcp.ResourceContents{MIMEType: f.ContentType, Blob: data}, nil
	}
}

// fileElsewhere says more about a file that is not kept here. Others are not there: err.
func (s *Server) fileElsewhere(ctx context.Context, who domain.Principal, id string, variant domain.AssetVariant, err error) error {
	a, look := s.Assets.Get(ctx, who, id)
	link := a.URL
	if variant == domain.AssetPreview {
		link = a.PreviewURL
	}
	if look != nil || link == "" {
		return err
	}
	return domain.NewError(domain.BadRequest, "This file is not kept here: it is at "+link)
}

func (s *Server) fileTooLarge(ctx context.Context, who domain.Principal, id string, variant domain.AssetVariant, size int64) error {
	a, err := s.Assets.Get(ctx, who, id)
	if err != nil {
		return err
	}
	link, err := s.downloadURL(ctx, a, variant)
	if err != nil {
		return err
	}
	where := "download it from " + link
	if link == "" {
		where = "a server on the same data serves it at /api/v1/assets/" + id + "/download"
	}
	return domain.NewError(domain.TooLarge, fmt.Sprintf("The file has %d bytes, and %d can be read like this: %s", size, maxBlob, where))
}

// assetIDs are those of the newest assets that the caller sees whose id or title begins like this.
func (s *Server) assetIDs(ctx context.Context, who domain.Principal, begin string) ([]string, error) {
	newest, err := s.newestAssets(ctx, who)
	var ids []string
	for _, m := range newest {
		if begins(m.Asset.ID, begin) || begins(m.Asset.Title, begin) {
			ids = append(ids, m.Asset.ID)
		}
	}
	return ids, err
}

func (s *Server) newestAssets(ctx context.Context, who domain.Principal) ([]domain.AssetMatch, error) {
	newest, _, err := s.Assets.Search(ctx, who, domain.AssetQuery{Limit: maxPage})
	return newest.Matches, err
}
