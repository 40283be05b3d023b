package meshy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gaia/domain"
)

// The stages, by Meshy's names of its modes.
const (
	stagePreview = "preview" // the shape
	stageRefine  = "refine"  // its textures
)

// Limits of Meshy.
const (
	maxPrompt   = 600 // characters
	minPolygons = 100
)

// polygonMargin is left below the most that a request allows, in percent: Meshy may miss its target.
const polygonMargin = 10

// polygons is what a model is made of when the request does not allow less.
var polygons = map[domain.AssetQuality]int{
	domain.AssetLow: 1000, domain.AssetMedium: 5000, domain.AssetHigh: 15000, domain.AssetUltra: 50000,
}

// formats are what Meshy makes; the first is made when a request names none.
var formats = []string{"glb", "fbx", "obj", "usdz"}

// wirePreview orders a shape. Without should_remesh the newer models ignore the target and give as many polygons as they have.
type wirePreview struct {
	Mode          string   `json:"mode"`
	Prompt        string   `json:"prompt"`
	Model         string   `json:"ai_model"`
	Topology      string   `json:"topology"`
	TargetPolys   int      `json:"target_polycount"`
	ShouldRemesh  bool     `json:"should_remesh"`
	TargetFormats []string `json:"target_formats"`
}

// wireRefine orders the textures of a shape. The model has to be the one that made the shape.
type wireRefine struct {
	Mode          string   `json:"mode"`
	PreviewTaskID string   `json:"preview_task_id"`
	Model         string   `json:"ai_model"`
	EnablePBR     bool     `json:"enable_pbr"`
	TargetFormats []string `json:"target_formats"`
}

func stages(r domain.AssetRequest) []string {
	if r.Quality == domain.AssetLow {
		return []string{stagePreview}
	}
	return []string{stagePreview, stageRefine}
}

// request is the body of the order of a stage, or says why Meshy would not take it.
func request(o domain.GenerationOrder, model string) (any, error) {
	format := wanted(o.Request)
	if !slices.Contains(formats, format) {
		return nil, domain.NewError(domain.BadRequest, fmt.Sprintf("Meshy makes no %s files; ask for one of %s", format, strings.Join(formats, ", ")))
	}
	switch {
	case o.Base != nil:
		return nil, domain.NewError(domain.BadRequest, "Meshy does not adapt assets")
	case o.Stage == stagePreview:
		return preview(o.Request, model, format)
	case o.Stage == stageRefine && o.Previous != "":
		return wireRefine{
			Mode: stageRefine, PreviewTaskID: o.Previous, Model: model, EnablePBR: pbr(o.Request.Quality), TargetFormats: []string{format},
		}, nil
	default:
		return nil, fmt.Errorf("meshy: the stage %q after the task %q makes no sense", o.Stage, o.Previous)
	}
}

func preview(r domain.AssetRequest, model, format string) (any, error) {
	text := prompt(r)
	if utf8.RuneCountInString(text) > maxPrompt {
		return nil, domain.NewError(domain.BadRequest,
			fmt.Sprintf("Meshy takes at most %d characters of description and style together; shorten them", maxPrompt))
	}
	count := target(r)
	if count < minPolygons {
		return nil, domain.NewError(domain.BadRequest, fmt.Sprintf("Meshy makes no models of fewer than %d polygons; allow more", minPolygons))
	}
	if len(stages(r)) > 1 {
		format = formats[0] // nobody fetches the shape, and each format takes its time
	}
	return wirePreview{
		Mode: stagePreview, Prompt: text, Model: model, Topology: "triangle", TargetPolys: count, ShouldRemesh: true,
		TargetFormats: []string{format},
	}, nil
}

// prompt is what Meshy is told, and tells again in its tasks.
func prompt(r domain.AssetRequest) string {
	description, style := strings.TrimSpace(r.Description), strings.TrimSpace(r.Style)
	if style == "" || strings.Contains(strings.ToLower(description), strings.ToLower(style)) {
		return description
	}
	return description + ", " + style + " style"
}

// target is the number of polygons: what the quality wants, and never what the request forbids.
func target(r domain.AssetRequest) int {
	count, ok := polygons[r.Quality]
	if !ok {
		count = polygons[domain.AssetMedium]
	}
	if r.MaxPolygons > 0 {
		count = min(count, r.MaxPolygons-(r.MaxPolygons*polygonMargin+99)/100)
	}
	return count
}

// pbr reports whether a model gets maps of metal and roughness besides its colours.
func pbr(q domain.AssetQuality) bool { return q == domain.AssetHigh || q == domain.AssetUltra }

func wanted(r domain.AssetRequest) string {
	if r.Format == "" {
		return formats[0]
	}
	return r.Format
}
