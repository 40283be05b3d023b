package openaiimages

import (
	"fmt"
	"strings"

	"gaia/adapters/internal/picture"
	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// wireRequest orders a picture. The DALL-E models know no format and background, the others always answer with b64_json.
type wireRequest struct {
	Model          string `json:"model"`
	Prompt         string `json:"prompt"`
	N              int    `json:"n"`
	Size           string `json:"size"`
	Quality        string `json:"quality"`
	OutputFormat   string `json:"output_format,omitempty"`
	Background     string `json:"background,omitempty"`
	ResponseFormat string `json:"response_format,omitempty"`
}

// family is what models have in common.
type family struct {
	maxPrompt int // characters
	sizes     map[picture.Shape]string
	qualities map[domain.AssetQuality]string
	dalle     bool // only new pictures, in PNG
}

var gptImage = family{
	maxPrompt: 32000,
	sizes:     map[picture.Shape]string{picture.Square: "1024x1024", picture.Landscape: "1536x1024", picture.Portrait: "1024x1536"},
	qualities: map[domain.AssetQuality]string{
		domain.AssetLow: "low", domain.AssetMedium: "medium", domain.AssetHigh: "high", domain.AssetUltra: "high",
	},
}

var dalle3 = family{
	maxPrompt: 4000,
	sizes:     map[picture.Shape]string{picture.Square: "1024x1024", picture.Landscape: "1792x1024", picture.Portrait: "1024x1792"},
	qualities: map[domain.AssetQuality]string{
		domain.AssetLow: "standard", domain.AssetMedium: "standard", domain.AssetHigh: "hd", domain.AssetUltra: "hd",
	},
	dalle: true,
}

// formats are what OpenAI makes, with its names for them.
var formats = map[string]string{"png": "png", "jpg": "jpeg", "webp": "webp"}

// editable are the formats of pictures that OpenAI changes, with their content types.
var editable = map[string]string{"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}

const maxBase = 50 << 20 // bytes

func familyOf(model string) family {
	if model == "dall-e-3" {
		return dalle3
	}
	return gptImage
}

// request is the body of an order, or says why OpenAI would not take it.
func request(o domain.GenerationOrder, model string) (wireRequest, error) {
	f, format := familyOf(model), picture.Format(o.Request)
	if f.dalle && o.Request.Format == "" {
		format = "png"
	}
	if formats[format] == "" || f.dalle && format != "png" {
		return wireRequest{}, domain.NewError(domain.BadRequest, fmt.Sprintf("%s makes no %s files; ask for %s", model, format, f.makes()))
	}
	if err := checkBase(o.Base, f, model); err != nil {
		return wireRequest{}, err
	}
	w := wireRequest{
		Model: model, Prompt: prompt(o, f.maxPrompt), N: 1, Size: f.sizes[picture.ShapeOf(o.Request)], Quality: f.quality(o.Request.Quality),
	}
	if f.dalle {
		w.ResponseFormat = "b64_json"
		return w, nil
	}
	w.OutputFormat = formats[format]
	if picture.Transparent(o.Request) && format != "jpg" && !strings.HasPrefix(model, "gpt-image-2") { // these refuse it
		w.Background = "transparent"
	}
	return w, nil
}

func (f family) makes() string {
	if f.dalle {
		return "png"
	}
	return "png, jpg or webp"
}

func (f family) quality(q domain.AssetQuality) string {
	if called, ok := f.qualities[q]; ok {
		return called
	}
	return f.qualities[domain.AssetMedium]
}

func checkBase(base *domain.BaseFile, f family, model string) error {
	switch {
	case base == nil:
		return nil
	case f.dalle:
		return domain.NewError(domain.BadRequest, model+" does not adapt assets")
	case editable[base.Format] == "":
		return domain.NewError(domain.BadRequest, fmt.Sprintf("OpenAI does not adapt %s files", base.Format))
	case len(base.Data) >= maxBase:
		return domain.NewError(domain.BadRequest, "The asset is too large for OpenAI to adapt it")
	default:
		return nil
	}
}

func prompt(o domain.GenerationOrder, limit int) string {
	const adapt = "Change this picture into the following, and keep of it what fits. "
	if o.Base == nil {
		return picture.Text(o.Request, limit)
	}
	return adapt + picture.Text(o.Request, limit-len(adapt))
}

// form is the order as fields, with the picture that is to be changed.
func (w wireRequest) form(base *domain.BaseFile) []upstream.FormField {
	fields := []upstream.FormField{
		{Name: "model", Value: w.Model}, {Name: "prompt", Value: w.Prompt}, {Name: "n", Value: fmt.Sprint(w.N)}, {Name: "size", Value: w.Size},
		{Name: "quality", Value: w.Quality}, {Name: "output_format", Value: w.OutputFormat},
	}
	if w.Background != "" {
		fields = append(fields, upstream.FormField{Name: "background", Value: w.Background})
	}
	return append(fields, upstream.FormField{
		Name: "image", Value: string(base.Data), File: "image." + base.Format, ContentType: editable[base.Format],
	})
}
