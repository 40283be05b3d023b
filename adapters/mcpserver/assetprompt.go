package mcpserver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// assetPromptName is the prompt that makes a request for an asset of what somebody says. A persona of that name is no prompt.
const assetPromptName = "request_asset"

// assetPromptScope is what a key needs: the prompt leads to generate_asset.
const assetPromptScope = "assets:write"

// assetStyles are proposed first. Any other words are a style as well.
var assetStyles = []string{"realistic", "low_poly", "fantasy", "sci-fi", "cartoon", "painted", "pixel_art", "minimalist"}

func (s *Server) offersAssetPrompt(who domain.Principal) bool {
	return s.Assets != nil && who.HasScope(assetPromptScope)
}

func assetPrompt() *mcp.Prompt {
	return &mcp.Prompt{
		Name: assetPromptName, Title: "Request an asset", Description: "Makes a well-formed request for a picture, texture, sound or 3D model of what you need.",
		Arguments: []*mcp.PromptArgument{
			{Name: "need", Title: "Need", Description: "What you need, and for what.", Required: true},
			{Name: "category", Title: "Category", Description: "One of " + joined(domain.AssetCategories()) + "."},
			{Name: "style", Title: "Style", Description: "Such as " + strings.Join(assetStyles[:5], ", ") + "."},
			{Name: "quality", Title: "Quality", Description: "One of " + joined(domain.AssetQualities()) + "."},
		},
	}
}

func joined[T ~string](names []T) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = string(name)
	}
	return strings.Join(all, ", ")
}

// askForAsset is the prompt with what a client has filled in.
func (s *Server) askForAsset(ctx context.Context, who domain.Principal, arguments map[string]string) (*mcp.GetPromptResult, error) {
	if !who.HasScope(assetPromptScope) {
		return nil, s.protocolError(ctx, "prompts/get", lacks(assetPromptScope))
	}
	need := strings.TrimSpace(arguments["need"])
	if need == "" {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "need: must say what is needed"}
	}
	category, quality := domain.AssetCategory(arguments["category"]), domain.AssetQuality(arguments["quality"])
	if category != "" && !slices.Contains(domain.AssetCategories(), category) {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "category: must be one of " + joined(domain.AssetCategories())}
	}
	if quality != "" && !slices.Contains(domain.AssetQualities(), quality) {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "quality: must be one of " + joined(domain.AssetQualities())}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "I need an asset: %s\n", need)
	for _, given := range []struct{ name, value string }{{"category", string(category)}, {"style", arguments["style"]}, {"quality", string(quality)}} {
		if given.value != "" {
			fmt.Fprintf(&b, "Its %s is to be %s.\n", given.name, given.value)
		}
	}
	fmt.Fprintf(&b, assetPromptSteps, joined(domain.AssetCategories()))
	return &mcp.GetPromptResult{Description: assetPrompt().Description, Messages: []*mcp.PromptMessage{said(b.String())}}, nil
}

const assetPromptSteps = `
Get it for me with the tools of Gaia:
1. Look with search_assets whether there is one already, by two or three words that name it. Show me what fits, and ask whether I want that.
2. If nothing does, make the arguments of generate_asset. category is one of %s. style is one or two words. description says in one to three
plain sentences what it is, its shape, materials, colours and mood, or how it sounds and how long, and nothing about files. Give format,
polygon_count_max, file_size_max_mb and platform only if I have said something about them, and ask me about what you can't know.
3. Ask estimate_asset_cost with the same arguments. If it costs anything, tell me how much and wait for my yes; it is your max_cost then.
4. Call generate_asset with an idempotency_key of your own. If it is not ready when the call ends, go on with wait_for_asset.
5. Show me the picture that came with it, its licence, and its download_url.
`

// completeAssetPrompt proposes values for its arguments.
func (s *Server) completeAssetPrompt(ctx context.Context, who domain.Principal, argument, begin string) (values []string, err error) {
	var all []string
	switch argument {
	case "category":
		all = strings.Split(joined(domain.AssetCategories()), ", ")
	case "quality":
		all = strings.Split(joined(domain.AssetQualities()), ", ")
	case "style":
		if all, err = s.styles(ctx, who); err != nil {
			return nil, err
		}
	}
	for _, value := range all {
		if begins(value, begin) {
			values = append(values, value)
		}
	}
	return values, nil
}

// styles are the usual ones, and those of the newest assets that the caller may see.
func (s *Server) styles(ctx context.Context, who domain.Principal) ([]string, error) {
	all := slices.Clone(assetStyles)
	if !who.HasScope("assets:read") {
		return all, nil
	}
	newest, err := s.newestAssets(ctx, who)
	for _, m := range newest {
		for _, tag := range m.Asset.StyleTags {
			if tag != "" && !slices.Contains(all, tag) {
				all = append(all, tag)
			}
		}
	}
	return all, err
}
