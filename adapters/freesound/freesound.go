// Package freesound fetches sounds from Freesound, https://freesound.org/docs/api: it searches with the words of the description, chooses
// the best sound whose licence is known, and gives its preview of high quality. The originals need the consent of a person (OAuth 2), so
// there are no WAV files. What the licence asks for is told with the file.
//
// Asking costs nothing and leaves nothing behind, so an order can be placed again at any time. There is no news, and
// GenerationOrder.Notify is not used.
//
// It must not retry, wait or log, give away sounds whose licence it does not know, or send the key anywhere but to the API.
package freesound

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

const (
	searchPath = "/apiv2/search/"
	soundPath  = "/apiv2/sounds/"
	stage      = "search"
)

// Config says where Freesound is.
type Config struct {
	URL string // without the path; such as https://freesound.org
	Key string
	// HTTPClient replaces the client that New makes.
	HTTPClient *http.Client
}

// Generator finds sounds. It implements ports.AssetGenerator.
type Generator struct{ api *upstream.Service }

// New makes a generator. It connects on the first order.
func New(cfg Config) *Generator {
	return &Generator{api: upstream.NewService(upstream.ServiceConfig{
		Name: "Freesound", URL: strings.TrimSuffix(cfg.URL, "/"), Key: cfg.Key, Header: http.Header{"Authorization": {"Token " + cfg.Key}},
		ParseError: parseError, HTTPClient: cfg.HTTPClient,
	})}
}

// parseError reads the body of a refusal.
func parseError(body []byte) (upstream.Said, bool) {
	var w struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &w) != nil || w.Detail == "" {
		return upstream.Said{}, false
	}
	return upstream.Said{Message: w.Detail}, true
}

// CloseIdle closes the connections that no call uses.
func (g *Generator) CloseIdle() { g.api.CloseIdle() }

func (g *Generator) ask(ctx context.Context, path string, out any) error {
	return g.api.JSON(ctx, upstream.Call{Method: http.MethodGet, Path: path}, nil, out)
}

// Stages implements ports.AssetGenerator.
func (g *Generator) Stages(domain.GenerationOrder) []string { return []string{stage} }

// Begin implements ports.AssetGenerator. The task is done.
func (g *Generator) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	format := wanted(o.Request)
	switch {
	case o.Base != nil:
		return domain.GeneratorTask{}, domain.NewError(domain.BadRequest, "Freesound does not adapt assets")
	case !slices.Contains(formats, format):
		return domain.GeneratorTask{}, domain.NewError(domain.BadRequest,
			fmt.Sprintf("Freesound has no %s files; ask for one of %s", format, strings.Join(formats, ", ")))
	}
	for _, text := range queries(o.Request.Description) {
		var page wireSounds
		err := g.ask(ctx, searchPath+"?"+parameters(text, o.Request), &page)
		switch {
		case domain.KindOf(err) == domain.NotFound: // a search that finds nothing is answered
			return domain.GeneratorTask{}, domain.MissingPart("Freesound has no search at its configured address", err)
		case err != nil:
			return domain.GeneratorTask{}, err
		}
		if s, ok := best(page.Results, format); ok {
			return done(s, taskID(s.ID, o.Token), format), nil
		}
	}
	return domain.GeneratorTask{}, domain.NewError(domain.BadRequest, "No sound of Freesound fits the description; use other words")
}

// Find implements ports.AssetGenerator. Nothing was placed that could be found.
func (g *Generator) Find(context.Context, domain.GenerationOrder) (domain.GeneratorTask, error) {
	return domain.GeneratorTask{}, domain.NewError(domain.NotFound, "Freesound keeps no orders")
}

// Check implements ports.AssetGenerator.
func (g *Generator) Check(ctx context.Context, o domain.GenerationOrder, task string) (domain.GeneratorTask, error) {
	id, ok := soundID(task)
	if !ok {
		return domain.GeneratorTask{}, domain.NewError(domain.NotFound, "Freesound has no such sound")
	}
	var s wireSound
	path := soundPath + strconv.FormatInt(id, 10) + "/?" + url.Values{"fields": {fields}}.Encode()
	if err := g.ask(ctx, path, &s); err != nil {
		return domain.GeneratorTask{}, err
	}
	format := wanted(o.Request)
	s, ok = best([]wireSound{s}, format)
	if !ok {
		return domain.GeneratorTask{}, domain.NewError(domain.NotFound, "Freesound has this sound no more")
	}
	return done(s, task, format), nil
}

// Cancel implements ports.AssetGenerator. Nothing goes on.
func (g *Generator) Cancel(context.Context, string) error { return nil }

// Fetch implements ports.AssetGenerator.
func (g *Generator) Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	return g.api.Fetch(ctx, f, limit)
}

// done is the task that found a sound.
func done(s wireSound, id, format string) domain.GeneratorTask {
	l, _ := licenceOf(s.License) // best saw to it that it is known
	return domain.GeneratorTask{ID: id, Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{s.file(format, l)}}
}

// taskID names the search of an order that found a sound: another may find the same one.
func taskID(sound int64, token string) string { return strconv.FormatInt(sound, 10) + "." + token }

func soundID(task string) (int64, bool) {
	digits, _, _ := strings.Cut(task, ".")
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, err == nil && id > 0
}
