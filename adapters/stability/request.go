package stability

import (
	"cmp"
	"fmt"
	"strconv"

	"gaia/adapters/internal/picture"
	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

const (
	maxPrompt = 10000 // characters
	maxSeed   = 1<<32 - 2
)

// services are what Stability calls its models in addresses.
var services = map[domain.AssetQuality]string{
	domain.AssetLow: "core", domain.AssetMedium: "core", domain.AssetHigh: "ultra", domain.AssetUltra: "ultra",
}

var aspectRatios = map[picture.Shape]string{picture.Square: "1:1", picture.Landscape: "3:2", picture.Portrait: "2:3"}

// formats are what Stability makes, with its names for them.
var formats = map[string]string{"png": "png", "jpg": "jpeg", "webp": "webp"}

// wireRequest orders a picture, as fields of a form.
type wireRequest struct {
	service     string
	format      string // ours
	prompt      string
	aspectRatio string
	seed        int64
}

// request is the body of an order, or says why Stability would not take it.
func request(o domain.GenerationOrder) (wireRequest, error) {
	w := wireRequest{
		service: service(o.Request), format: picture.Format(o.Request), prompt: picture.Text(o.Request, maxPrompt),
		aspectRatio: aspectRatios[picture.ShapeOf(o.Request)], seed: seed(o.Seed),
	}
	switch {
	case o.Base != nil:
		return wireRequest{}, domain.NewError(domain.BadRequest, name+" does not adapt assets")
	case formats[w.format] == "":
		return wireRequest{}, domain.NewError(domain.BadRequest, fmt.Sprintf("%s makes no %s files; ask for png, jpg or webp", name, w.format))
	}
	return w, nil
}

func service(r domain.AssetRequest) string {
	return cmp.Or(services[r.Quality], services[domain.AssetMedium])
}

func model(service string) string { return "stable-image-" + service }

// seed is one that gives the same picture again: to Stability, 0 is none.
func seed(s int64) int64 {
	if s <= 0 || s > maxSeed {
		return maxSeed
	}
	return s
}

func (w wireRequest) fields() []upstream.FormField {
	return []upstream.FormField{
		{Name: "prompt", Value: w.prompt}, {Name: "aspect_ratio", Value: w.aspectRatio}, {Name: "seed", Value: strconv.FormatInt(w.seed, 10)},
		{Name: "output_format", Value: formats[w.format]},
	}
}
