// Package stability has pictures made by Stability AI's API v2beta, https://platform.stability.ai/docs/api-reference: Stable Image Core for
// low and medium quality, Stable Image Ultra for more. The answer to an order holds the picture. Stability has nothing to look an order up
// by: when it is not known what became of one, it stays unknown.
//
// It must not retry, wait or log, send the key anywhere but to the API, hand out a picture that the content filter has blurred, or show
// clients what Stability says of its own failures.
package stability

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

const (
	timeout   = 3 * time.Minute // a picture that was given up is paid all the same
	maxAnswer = 16 << 20        // bytes; a megapixel takes at most 6 MB in base64
	// limitedFor is how long Stability keeps those out who ask too often, if it does not say.
	limitedFor = time.Minute
)

// Config says where Stability is.
type Config struct {
	URL string // without the path; such as https://api.stability.ai
	Key string
	// HTTPClient replaces the client that New makes.
	HTTPClient *http.Client
}

// Generator has pictures made. It implements ports.AssetGenerator.
type Generator struct {
	api *upstream.Service
	key string
}

// New makes a generator. It connects on the first order.
func New(cfg Config) *Generator {
	return &Generator{key: cfg.Key, api: upstream.NewService(upstream.ServiceConfig{
		Name: name, URL: strings.TrimSuffix(cfg.URL, "/"), Key: cfg.Key, Header: http.Header{"Authorization": {"Bearer " + cfg.Key}},
		Timeout: timeout, MaxAnswer: maxAnswer, ParseError: parseError, Refuse: refuse, HTTPClient: cfg.HTTPClient,
	})}
}

// name is what messages call the service.
const name = "Stability AI"

// CloseIdle closes the connections that no call uses.
func (g *Generator) CloseIdle() { g.api.CloseIdle() }

// Stages implements ports.AssetGenerator. The only stage is called like the service, which has prices of its own.
func (g *Generator) Stages(o domain.GenerationOrder) []string {
	return []string{model(service(o.Request))}
}

// Begin implements ports.AssetGenerator. The task is done, or failed: a picture that was made and blurred is paid, and is no result.
func (g *Generator) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	w, err := request(o)
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	body, kind := upstream.Form(w.fields()...)
	reply, err := g.api.Do(ctx, upstream.Call{
		Method: http.MethodPost, Path: "/v2beta/stable-image/generate/" + w.service, Body: body, ContentType: kind, Accept: "application/json", Order: true,
	})
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	var made wireImage
	if err := upstream.Unmarshal(reply.Body, &made); err != nil {
		return domain.GeneratorTask{}, g.api.Unknown(err)
	}
	if made.FinishReason == finishedFiltered {
		said := upstream.Refusal{Provider: name, Key: g.key, Status: reply.Status, Said: upstream.Said{Code: made.FinishReason}}
		return domain.GeneratorTask{ID: o.Token, Status: domain.TaskFailed, Failure: said.FilteredOrder(), Charged: true}, nil
	}
	file, err := made.file(w)
	if err != nil {
		return domain.GeneratorTask{}, g.api.Unknown(err)
	}
	return domain.GeneratorTask{ID: o.Token, Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{file}}, nil
}

// Find implements ports.AssetGenerator. Stability has no list of orders.
func (g *Generator) Find(context.Context, domain.GenerationOrder) (domain.GeneratorTask, error) {
	return domain.GeneratorTask{}, g.api.Unknown(errors.New("orders can't be looked up"))
}

// Check implements ports.AssetGenerator. There are no tasks: a picture is in the answer to its order, and nowhere else.
func (g *Generator) Check(context.Context, domain.GenerationOrder, string) (domain.GeneratorTask, error) {
	return domain.GeneratorTask{}, domain.NewError(domain.NotFound, name+" keeps no tasks")
}

// Fetch implements ports.AssetGenerator. The data is there already.
func (g *Generator) Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	return g.api.Fetch(ctx, f, limit)
}

// Cancel implements ports.AssetGenerator. There is nothing to stop.
func (g *Generator) Cancel(context.Context, string) error { return nil }

// Why a picture is finished.
const (
	finishedWell     = "SUCCESS"
	finishedFiltered = "CONTENT_FILTERED" // it was made, and blurred
)

// wireImage is the answer to an order.
type wireImage struct {
	Image        string `json:"image"`
	FinishReason string `json:"finish_reason"`
	Seed         int64  `json:"seed"`
}

func (w wireImage) file(asked wireRequest) (domain.GeneratedFile, error) {
	if w.Image == "" || w.FinishReason != finishedWell {
		return domain.GeneratedFile{}, errors.New("the answer holds no picture")
	}
	data, err := base64.StdEncoding.DecodeString(w.Image)
	if err != nil {
		return domain.GeneratedFile{}, errors.New("the picture is no base64")
	}
	facts := map[string]any{"model": model(asked.service), "aspect_ratio": asked.aspectRatio, "seed": w.Seed}
	return domain.GeneratedFile{Format: asked.format, Data: data, Attributes: facts}, nil
}

// parseError reads the body of a refusal.
func parseError(body []byte) (upstream.Said, bool) {
	var w struct {
		Name   string   `json:"name"`
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &w) != nil || w.Name == "" && len(w.Errors) == 0 {
		return upstream.Said{}, false
	}
	return upstream.Said{Code: w.Name, Message: strings.Join(w.Errors, "; ")}, true
}

// refuse says what a refusal means where its status does not tell.
func refuse(r upstream.Refusal) *domain.Error {
	switch {
	case r.Is("content_moderation"): // with 403, as a rejected key
		return r.FilteredOrder()
	case r.Status == http.StatusTooManyRequests && r.RetryAfter == 0:
		r.RetryAfter = limitedFor
		return r.Limited()
	case r.Status == http.StatusNotFound: // the address is wrong, not the order
		return r.Unavailable()
	default:
		return nil
	}
}
