package procedural

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"gaia/domain"
)

// stage is the one thing that has to be done for an order.
const stage = "make"

// Generator makes assets itself, while Begin is called.
type Generator struct {
	slots chan struct{} // each is for one asset: large ones take some hundred megabytes
}

// New makes the generator. It makes as many assets at once as there are processors.
func New() *Generator { return &Generator{slots: make(chan struct{}, runtime.GOMAXPROCS(0))} }

// formats are those of each category, the preferred one first.
var formats = map[domain.AssetCategory][]string{
	domain.AssetImage:       {"png", "jpg", "jpeg"},
	domain.AssetTexture:     {"png", "jpg", "jpeg"},
	domain.AssetAudio:       {"wav"},
	domain.AssetProp:        {"glb", "gltf"},
	domain.AssetCharacter:   {"glb", "gltf"},
	domain.AssetEnvironment: {"glb", "gltf"},
	domain.AssetAnimation:   {"glb", "gltf"},
}

// Stages is one: everything is done at once.
func (g *Generator) Stages(domain.GenerationOrder) []string { return []string{stage} }

// Begin makes the asset.
func (g *Generator) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	format, err := formatOf(o.Request)
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return domain.GeneratorTask{}, ctx.Err()
	}
	files, err := produce(ctx, o, format)
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	for i := range files {
		files[i].License = domain.LicensePublicDomain
	}
	return domain.GeneratorTask{ID: o.Token, Status: domain.TaskDone, Progress: 100, Files: files}, nil
}

// produce makes the files: the asset, and a picture of what is none itself.
func produce(ctx context.Context, o domain.GenerationOrder, format string) ([]domain.GeneratedFile, error) {
	w := understand(o.Request, o.Seed)
	if o.Base != nil {
		return w.adapt(ctx, o, format)
	}
	switch o.Request.Category {
	case domain.AssetImage:
		return w.image(ctx, o, format)
	case domain.AssetTexture:
		return w.texture(ctx, o, format)
	case domain.AssetAudio:
		return w.sound(ctx, o)
	case domain.AssetCharacter:
		return w.character(ctx, o, limitsOf(o.Request, format))
	case domain.AssetEnvironment:
		return w.environment(ctx, o, limitsOf(o.Request, format))
	case domain.AssetAnimation:
		return w.animation(ctx, o, limitsOf(o.Request, format))
	default:
		return w.prop(ctx, o, limitsOf(o.Request, format))
	}
}

// formatOf is the format that the request asks for, or the preferred one of the category.
func formatOf(r domain.AssetRequest) (string, error) {
	known, ok := formats[r.Category]
	switch {
	case !ok:
		return "", domain.NewError(domain.BadRequest, "The built-in generator does not make assets of this category.")
	case r.Format == "":
		return known[0], nil
	case !slices.Contains(known, r.Format):
		return "", domain.NewError(domain.BadRequest,
			fmt.Sprintf("The built-in generator does not make %s files of this format: ask for %s.", r.Category, strings.Join(known, ", ")))
	}
	return r.Format, nil
}

// Find never finds anything: what was made is in the answer of Begin alone, and asking again makes the same.
func (g *Generator) Find(context.Context, domain.GenerationOrder) (domain.GeneratorTask, error) {
	return domain.GeneratorTask{}, noTask()
}

// Check knows no task, since all are done when Begin returns.
func (g *Generator) Check(context.Context, domain.GenerationOrder, string) (domain.GeneratorTask, error) {
	return domain.GeneratorTask{}, noTask()
}

// Fetch has no files: they come with the task.
func (g *Generator) Fetch(context.Context, domain.GeneratedFile, int64) (io.ReadCloser, error) {
	return nil, domain.NewError(domain.NotFound, "The built-in generator keeps no files")
}

// Cancel has nothing to stop.
func (g *Generator) Cancel(context.Context, string) error { return nil }

func noTask() *domain.Error {
	return domain.NewError(domain.NotFound, "The built-in generator keeps no tasks")
}
