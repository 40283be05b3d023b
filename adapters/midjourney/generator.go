// Package midjourney has pictures made by Midjourney through a proxy of the community, https://github.com/novicezk/midjourney-proxy: there
// is no official API. A first task (imagine) makes four pictures in one, a second (upscale) takes out the first of them.
//
// An order carries its token as the proxy's state, by which its task is looked for: see Find. The proxy posts news of tasks, unsigned, to
// GenerationOrder.Notify. It can't stop a task.
//
// It must not retry, wait or log, take news of a task for the truth, let words of a description be parameters of Midjourney, send the secret
// anywhere but to the proxy, or show clients what the proxy says of its own failures.
package midjourney

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

const (
	stageImagine = "imagine"
	stageUpscale = "upscale"
)

const maxAnswer = 8 << 20 // bytes; the proxy lists all tasks of a month at once, some 2 KB each

// Config says where the proxy is.
type Config struct {
	URL string // with or without /mj at its end
	Key string // mj-api-secret; empty: the proxy asks for none
	Now func() time.Time
	// HTTPClient replaces the client that New makes.
	HTTPClient *http.Client
}

// Generator has pictures made. It implements ports.AssetGenerator.
type Generator struct {
	api *upstream.Service
	key string
	now func() time.Time
}

// name is what messages call the service.
const name = "Midjourney"

// New makes a generator. It connects on the first order.
func New(cfg Config) *Generator {
	header := http.Header{}
	if cfg.Key != "" {
		header.Set("Mj-Api-Secret", cfg.Key)
	}
	base := strings.TrimSuffix(strings.TrimSuffix(cfg.URL, "/"), "/mj")
	return &Generator{key: cfg.Key, now: cfg.Now, api: upstream.NewService(upstream.ServiceConfig{
		Name: name, URL: base, Key: cfg.Key, Header: header, MaxAnswer: maxAnswer, Refuse: refuse, HTTPClient: cfg.HTTPClient,
	})}
}

// CloseIdle closes the connections that no call uses.
func (g *Generator) CloseIdle() { g.api.CloseIdle() }

// Stages implements ports.AssetGenerator.
func (g *Generator) Stages(domain.GenerationOrder) []string {
	return []string{stageImagine, stageUpscale}
}

// Begin implements ports.AssetGenerator.
func (g *Generator) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	path, body, err := request(o)
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	var w wireSubmitted
	err = g.api.JSON(ctx, upstream.Call{Method: http.MethodPost, Path: path, Order: true}, body, &w)
	switch {
	case err != nil && domain.KindOf(err) == domain.NotFound: // no fault of the order
		return domain.GeneratorTask{}, domain.MissingPart("The proxy of Midjourney can't be ordered anything", err)
	case err != nil:
		return domain.GeneratorTask{}, err
	}
	return g.submitted(w, o)
}

// refuse tells a missing route or task from what the status means otherwise.
func refuse(r upstream.Refusal) *domain.Error {
	if r.Status != http.StatusNotFound {
		return nil
	}
	return &domain.Error{Kind: domain.NotFound, Message: name + " does not know this", Cause: errors.New("status 404")}
}

// Check implements ports.AssetGenerator.
func (g *Generator) Check(ctx context.Context, o domain.GenerationOrder, taskID string) (domain.GeneratorTask, error) {
	path := "/mj/task/" + url.PathEscape(taskID) + "/fetch"
	reply, err := g.api.Do(ctx, upstream.Call{Method: http.MethodGet, Path: path, Accept: "application/json"})
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	var w wireTask
	if len(bytes.TrimSpace(reply.Body)) > 0 {
		if err := upstream.Unmarshal(reply.Body, &w); err != nil {
			return domain.GeneratorTask{}, unreadable(err)
		}
	}
	switch w.ID { // for a task that it does not know, the proxy answers with success and nothing
	case taskID:
		return task(w, o), nil
	case "":
		return domain.GeneratorTask{}, domain.NewError(domain.NotFound, name+" does not know the task")
	default:
		return domain.GeneratorTask{}, unreadable(errors.New("the answer is another task"))
	}
}

func unreadable(cause error) *domain.Error {
	return domain.MissingPart("The proxy of Midjourney answered in a way that Gaia can't read", cause)
}

// Fetch implements ports.AssetGenerator.
func (g *Generator) Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	return g.api.Fetch(ctx, f, limit)
}

// Cancel implements ports.AssetGenerator. The proxy has nothing to stop a task with.
func (g *Generator) Cancel(context.Context, string) error { return nil }
