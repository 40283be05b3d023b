// Package meshy has 3D models made by Meshy from a text, https://docs.meshy.ai: first the shape (preview), then its textures (refine), each
// a task of its own that costs credits. Who asks for low quality gets the shape alone.
//
// Meshy takes no token of the client. So a task whose order may have been placed is looked for in the list of tasks, by what it was asked
// for and when: see Find. News of tasks comes from the webhooks that are registered in Meshy's dashboard; an order can't name one, so
// GenerationOrder.Notify is not sent. Addresses of results work for some days at most: they are to be fetched at once.
//
// It must not retry, wait or log, take news of a task for the truth, send the key anywhere but to the API, or show clients what Meshy says
// of a failure.
package meshy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// TestKey is Meshy's public key for tests: it costs nothing, and every task makes the same model.
const TestKey = "msy_dummy_api_key_for_test_mode_12345678" //nolint:gosec // public, in Meshy's documents

// defaultModel is named rather than "latest", so that prices and polygons don't change unnoticed.
const defaultModel = "meshy-6"

const (
	tasksPath = "/openapi/v2/text-to-3d"
	maxAnswer = 4 << 20 // bytes; a page of tasks with all their signed addresses takes some hundred KB
)

// Config says where Meshy is.
type Config struct {
	URL string // without the path; such as https://api.meshy.ai
	Key string
	// HTTPClient replaces the client that New makes.
	HTTPClient *http.Client
}

// Generator has models made. It implements ports.AssetGenerator.
type Generator struct{ api *upstream.Service }

// New makes a generator. It connects on the first order.
func New(cfg Config) *Generator {
	return &Generator{api: upstream.NewService(upstream.ServiceConfig{
		Name: "Meshy", URL: strings.TrimSuffix(cfg.URL, "/"), Key: cfg.Key, Header: http.Header{"Authorization": {"Bearer " + cfg.Key}},
		MaxAnswer: maxAnswer, ParseError: parseError, HTTPClient: cfg.HTTPClient,
	})}
}

// parseError reads the body of a refusal.
func parseError(body []byte) (upstream.Said, bool) {
	var w struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &w) != nil || w.Message == "" {
		return upstream.Said{}, false
	}
	return upstream.Said{Message: w.Message}, true
}

// CloseIdle closes the connections that no call uses.
func (g *Generator) CloseIdle() { g.api.CloseIdle() }

// Stages implements ports.AssetGenerator.
func (g *Generator) Stages(o domain.GenerationOrder) []string { return stages(o.Request) }

// Begin implements ports.AssetGenerator.
func (g *Generator) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	model := o.Model
	if model == "" {
		model = defaultModel
	}
	body, err := request(o, model)
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	var created struct {
		Result string `json:"result"`
	}
	if err := g.api.JSON(ctx, upstream.Call{Method: http.MethodPost, Path: tasksPath, Order: true}, body, &created); err != nil {
		return domain.GeneratorTask{}, err
	}
	if created.Result == "" {
		return domain.GeneratorTask{}, g.api.Unknown(errors.New("the answer names no task"))
	}
	return domain.GeneratorTask{ID: created.Result, Status: domain.TaskRunning, Message: "Waiting for Meshy", Again: pollAfter}, nil
}

// Find implements ports.AssetGenerator. The task is the only one of the same kind and prompt that was created since the order
// was placed. Two that fit are no answer. Nor is none: an order may still be on its way, and nothing says that the list has a task at once.
// So Find never answers that there is none, and no order is placed twice. A list shows no preview_task_id, but what is refined has the
// prompt and the seed of its preview.
func (g *Generator) Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	if o.Begun.IsZero() {
		return domain.GeneratorTask{}, g.api.Unknown(errors.New("nobody knows when the order was placed"))
	}
	s := search{
		kind: "text-to-3d-" + o.Stage, prompt: prompt(o.Request), since: o.Begun.Add(-clockSkew), found: map[string]wireTask{},
	}
	if o.Stage == stageRefine {
		shape, err := g.get(ctx, o.Previous)
		if err != nil {
			return domain.GeneratorTask{}, g.untold(err)
		}
		s.prompt, s.seed = shape.Prompt, shape.Seed
	}
	if err := g.list(ctx, &s); err != nil {
		return domain.GeneratorTask{}, g.untold(err)
	}
	w, ok := s.only()
	if !ok {
		return domain.GeneratorTask{}, g.api.Unknown(errors.New(strconv.Itoa(len(s.found)) + " tasks fit the order"))
	}
	return task(w, o), nil
}

// list reads the tasks from the newest to those from before the order.
func (g *Generator) list(ctx context.Context, s *search) error {
	for page := 1; page <= maxPages; page++ {
		query := url.Values{"page_num": {strconv.Itoa(page)}, "page_size": {strconv.Itoa(pageSize)}, "sort_by": {"-created_at"}}
		var tasks []wireTask
		if err := g.api.JSON(ctx, upstream.Call{Method: http.MethodGet, Path: tasksPath + "?" + query.Encode()}, nil, &tasks); err != nil {
			return err
		}
		if !s.add(tasks) {
			return nil
		}
	}
	return g.api.Unknown(errors.New("too many tasks since the order"))
}

// Check implements ports.AssetGenerator.
func (g *Generator) Check(ctx context.Context, o domain.GenerationOrder, taskID string) (domain.GeneratorTask, error) {
	w, err := g.get(ctx, taskID)
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	return task(w, o), nil
}

func (g *Generator) get(ctx context.Context, taskID string) (wireTask, error) {
	var w wireTask
	if err := g.api.JSON(ctx, upstream.Call{Method: http.MethodGet, Path: taskPath(taskID)}, nil, &w); err != nil {
		return wireTask{}, err
	}
	w.ID = taskID
	return w, nil
}

func taskPath(id string) string { return tasksPath + "/" + url.PathEscape(id) }

// Cancel implements ports.AssetGenerator. Meshy can't stop a task but by deleting it, with what it has made.
func (g *Generator) Cancel(ctx context.Context, taskID string) error {
	err := g.api.JSON(ctx, upstream.Call{Method: http.MethodDelete, Path: taskPath(taskID)}, nil, nil)
	if domain.KindOf(err) == domain.NotFound {
		return nil
	}
	return err
}

// Fetch implements ports.AssetGenerator.
func (g *Generator) Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	return g.api.Fetch(ctx, f, limit)
}

// untold is an error while an order is looked for. That Meshy does not know what was asked says nothing about the order.
func (g *Generator) untold(err error) error {
	if domain.KindOf(err) == domain.NotFound {
		return g.api.Unknown(err)
	}
	return err
}
