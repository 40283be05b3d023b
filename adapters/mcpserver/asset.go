package mcpserver

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/app"
	"gaia/domain"
)

// maxPicture bounds a picture that comes with a result, in bytes: models look at it, clients keep it with what was said.
const maxPicture = 1 << 20

const assetPrefix = "gaia://assets/"

type assetQuery struct {
	Text       string   `json:"query"`
	Category   string   `json:"category"`
	StyleTags  []string `json:"style_tags"`
	MinQuality float64  `json:"min_quality"`
	License    string   `json:"license_type"`
	Limit      int      `json:"limit"`
	Offset     int      `json:"offset"`
}

type assetRef struct {
	ID string `json:"asset_id"`
}

type assetSummary struct {
	ID          string         `json:"asset_id"`
	URI         string         `json:"uri" jsonschema:"of the resource that shows it; its file is behind that at /file"`
	Category    string         `json:"category"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	StyleTags   []string       `json:"style_tags"`
	Quality     float64        `json:"quality_score" jsonschema:"0 to 1"`
	License     string         `json:"license_type,omitempty"`
	Attribution bool           `json:"attribution_required"`
	Format      string         `json:"file_format,omitempty"`
	Size        int64          `json:"file_size_bytes,omitempty"`
	Downloads   int64          `json:"download_count"`
	Metadata    map[string]any `json:"metadata"`
	CreatedAt   string         `json:"created_at"`
	UpdatedAt   string         `json:"updated_at"`

	asset *domain.Asset // nil: there is none yet
}

type assetList struct {
	Assets []assetSummary `json:"assets"`
	Total  int            `json:"total"`
}

type assetDetails struct {
	assetSummary
	Status   string  `json:"status" jsonschema:"pending, processing, completed, failed or cancelled"`
	Progress int     `json:"progress" jsonschema:"percent"`
	Message  string  `json:"message,omitempty" jsonschema:"what goes on"`
	Source   string  `json:"source,omitempty" jsonschema:"database, hybrid, generated or external"`
	Cost     float64 `json:"cost_usd" jsonschema:"what was charged for making it"`
	Error    string  `json:"error,omitempty" jsonschema:"why it could not be made"`
	Reason   string  `json:"reason,omitempty" jsonschema:"the same in one word"`
	Download string  `json:"download_url,omitempty" jsonschema:"opens without credentials for a limited time; get_asset gives a new one"`
	Preview  string  `json:"preview_url,omitempty" jsonschema:"the same for a picture of it"`
}

const (
	assetIDSchema = `"asset_id": {"type": "string", "minLength": 1, "maxLength": 64}`
	assetRefOnly  = `{"type": "object", "required": ["asset_id"], "additionalProperties": false, "properties": {` + assetIDSchema + `}}`
)

func (s *Server) addAssetTools() {
	if s.Assets == nil {
		return
	}
	addTool(s, tool[assetQuery, assetList]{
		name: "search_assets", title: "Search assets", scope: "assets:read",
		description: "Finds pictures, textures, sounds and 3D models in the catalogue: what everybody may have, and the caller's own. The best match " +
			"comes first; without a query the newest.",
		input: `{"type": "object", "additionalProperties": false, "properties": {
			"query": {"type": "string", "maxLength": 500, "description": "Words to look for."},
			"category": {"type": "string", "enum": ` + words(domain.AssetCategories()) + `},
			"style_tags": {"type": "array", "maxItems": 20, "items": {"type": "string", "minLength": 1, "maxLength": 64}, "description": "Only assets with all of these."},
			"min_quality": {"type": "number", "minimum": 0, "maximum": 1},
			"license_type": {"type": "string", "enum": ` + words(assetLicenses) + `},
			"limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many to list at most; 20 unless this server has another number."},
			"offset": {"type": "integer", "minimum": 0, "maximum": 1000000, "default": 0, "description": "How many to leave out before."}}}`,
		do: s.searchAssets,
		more: func(_ context.Context, _ call, list assetList) []mcp.Content {
			var links []mcp.Content
			for _, a := range list.Assets {
				links = append(links, assetLink(*a.asset, ""))
			}
			return links
		},
	})
	addTool(s, tool[assetRef, assetDetails]{
		name: "get_asset", title: "Show an asset", scope: "assets:read", input: assetRefOnly,
		description: "Shows an asset with links to its file, and a small picture of it; or how far the making of one is.",
		do: func(ctx context.Context, c call, r assetRef) (assetDetails, error) {
			return s.asset(ctx, c.who, r.ID)
		},
		more: s.showAsset,
	})
	s.addAssetMakingTools()
}

// assetLicenses are those that the contract names.
var assetLicenses = []domain.AssetLicense{
	domain.LicenseCreativeCommons, domain.LicensePublicDomain, domain.LicenseCustom, domain.LicenseCommercial, domain.LicenseProprietary,
}

// words writes names as a list of JSON. None of them needs to be escaped.
func words[T ~string](names []T) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = `"` + string(name) + `"`
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (s *Server) searchAssets(ctx context.Context, c call, q assetQuery) (assetList, error) {
	found, _, err := s.Assets.Search(ctx, c.who, domain.AssetQuery{
		Text: q.Text, Category: domain.AssetCategory(q.Category), StyleTags: q.StyleTags, MinQuality: q.MinQuality,
		License: domain.AssetLicense(q.License), Limit: q.Limit, Offset: q.Offset,
	})
	list := assetList{Assets: []assetSummary{}, Total: found.Total}
	for _, m := range found.Matches {
		list.Assets = append(list.Assets, assetOf(m.Asset))
	}
	return list, err
}

// asset shows an asset that the caller sees, or work of the caller on one.
func (s *Server) asset(ctx context.Context, who domain.Principal, id string) (assetDetails, error) {
	canonical, ok := domain.ParseID(id)
	if !ok {
		return assetDetails{}, domain.AssetNotFound()
	}
	result, err := s.Generations.Get(ctx, who, canonical)
	if err != nil {
		return assetDetails{}, err
	}
	return s.detailsOfAsset(ctx, result)
}

func (s *Server) detailsOfAsset(ctx context.Context, r app.GenerationResult) (d assetDetails, err error) {
	if r.Asset == nil {
		return detailsOfWork(r.Generation), nil
	}
	a := *r.Asset
	d = assetDetails{
		assetSummary: assetOf(a), Status: string(domain.GenerationCompleted), Progress: 100, Source: string(a.Source), Cost: a.Cost.Dollars(),
	}
	if d.Download, err = s.downloadURL(ctx, a, domain.AssetMain); err != nil {
		return assetDetails{}, err
	}
	d.Preview, err = s.downloadURL(ctx, a, domain.AssetPreview)
	return d, err
}

func assetOf(a domain.Asset) assetSummary {
	facts := a.Metadata
	if facts == nil {
		facts = map[string]any{}
	}
	return assetSummary{
		ID: a.ID, URI: assetPrefix + a.ID, Category: string(a.Category), Title: a.Title, Description: a.Description,
		StyleTags: append([]string{}, a.StyleTags...), Quality: a.Quality, License: string(cmp.Or(a.License, domain.LicenseCustom)),
		Attribution: a.AttributionRequired, Format: a.File.Format, Size: a.File.Size, Downloads: a.Downloads, Metadata: facts,
		CreatedAt: timestamp(a.CreatedAt), UpdatedAt: timestamp(a.UpdatedAt), asset: &a,
	}
}

// detailsOfWork shows an asset that is not there, and perhaps never will be.
func detailsOfWork(g domain.Generation) assetDetails {
	d := assetDetails{
		assetSummary: assetSummary{
			ID: g.ID, URI: assetPrefix + g.ID, Category: string(g.Request.Category), Title: g.Request.Title(), Description: g.Request.Description,
			StyleTags: append([]string{}, g.Request.Tags()...), Metadata: map[string]any{}, CreatedAt: timestamp(g.CreatedAt), UpdatedAt: timestamp(g.UpdatedAt),
		},
		Status: string(g.Status), Progress: g.Progress, Message: g.Message, Source: string(g.Source), Cost: g.Cost.Dollars(),
	}
	if last, ok := g.Last(); ok {
		d.Metadata["generator"], d.Metadata["stage"] = last.Generator, last.Stage
	}
	if g.Status == domain.GenerationFailed {
		d.Error, d.Reason = cmp.Or(g.Error, "The asset could not be made"), g.ErrorCode
	}
	return d
}

// downloadURL is where a client gets a file of an asset without credentials for a while; empty when there is no such file, or nothing that
// the client could call this server.
func (s *Server) downloadURL(ctx context.Context, a domain.Asset, variant domain.AssetVariant) (string, error) {
	link, err := s.Assets.Link(ctx, a, variant)
	if err != nil || !strings.HasPrefix(link, "/") {
		return link, err
	}
	if base := baseFrom(ctx); base != "" {
		return base + link, nil
	}
	return "", nil
}

// showAsset is what a client gets of an asset beside what a model reads: a link, and a small picture where there is one.
func (s *Server) showAsset(ctx context.Context, c call, d assetDetails) []mcp.Content {
	if d.asset == nil {
		return nil
	}
	content := []mcp.Content{assetLink(*d.asset, d.Download)}
	picture, err := s.pictureOf(ctx, c.who, *d.asset)
	switch {
	case err != nil: // the asset is there all the same
		s.logFailure(ctx, "picture of an asset", err)
	case picture != nil:
		content = append(content, picture)
	}
	return content
}

// assetLink leads to the file of an asset: to the resource when it can be read as one, else to where it can be downloaded, where that is known.
func assetLink(a domain.Asset, download string) *mcp.ResourceLink {
	link := &mcp.ResourceLink{
		URI: assetPrefix + a.ID + fileSuffix, Name: a.FileName(domain.AssetMain), Title: a.Title, MIMEType: a.File.ContentType,
		Annotations: &mcp.Annotations{LastModified: a.UpdatedAt.UTC().Format(time.RFC3339)},
	}
	if a.File.Size > 0 {
		link.Size = &a.File.Size
	}
	if readable := a.File.Key != "" && a.File.Size <= maxBlob; !readable && cmp.Or(download, a.URL) != "" {
		link.URI = cmp.Or(download, a.URL)
	}
	return link
}

// pictureOf is the asset itself, if it is a picture, or else its preview; nil when there is none, or none that is small.
func (s *Server) pictureOf(ctx context.Context, who domain.Principal, a domain.Asset) (*mcp.ImageContent, error) {
	variant := domain.AssetMain
	switch {
	case a.File.Key != "" && shown(a.File.ContentType) && a.File.Size <= maxPicture:
	case a.PreviewKey != "":
		variant = domain.AssetPreview
	default:
		return nil, nil
	}
	f, err := s.Assets.Open(ctx, who, a.ID, variant)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if f.Size > maxPicture {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPicture))
	if err != nil {
		return nil, fmt.Errorf("read a picture: %w", err)
	}
	return &mcp.ImageContent{Data: data, MIMEType: f.ContentType}, nil
}

// shown reports whether models can look at files of a type.
func shown(contentType string) bool {
	switch contentType {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	default:
		return false
	}
}
