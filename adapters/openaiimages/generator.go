// Package openaiimages has pictures made, and adapted, by the Images API of OpenAI, https://platform.openai.com/docs/api-reference/images.
// The answer to an order holds the picture. OpenAI has nothing to look an order up by: when it is not known what became of one, it stays
// unknown.
//
// It must not retry, wait or log, give an order a key that has it repeated, send the API key anywhere but to the API, or show clients what
// OpenAI says of its own failures.
package openaiimages

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"gaia/adapters/internal/picture"
	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// defaultModel is named rather than left to OpenAI, so that prices don't change unnoticed.
const defaultModel = "gpt-image-1.5"

const (
	stage = "image"
	// wide stands behind the model in the stage of pictures that are no squares: they are larger, and have prices of their own.
	wide = "-wide"
	// timeout is long: OpenAI says that a picture may take two minutes, and one that was given up is paid all the same.
	timeout    = 5 * time.Minute
	maxAnswer  = 16 << 20 // bytes; a picture of 1536 x 1024 takes at most 9 MB in base64
	maxRevised = 1000     // characters
)

// Config says where the API is.
type Config struct {
	URL string // with the version; such as https://api.openai.com/v1
	Key string
	// HTTPClient replaces the client that New makes.
	HTTPClient *http.Client
}

// Generator has pictures made. It implements ports.AssetGenerator.
type Generator struct{ api *upstream.Service }

// New makes a generator. It connects on the first order.
func New(cfg Config) *Generator {
	return &Generator{api: upstream.NewService(upstream.ServiceConfig{
		Name: "OpenAI", URL: strings.TrimSuffix(cfg.URL, "/"), Key: cfg.Key, Header: http.Header{"Authorization": {"Bearer " + cfg.Key}},
		Timeout: timeout, MaxAnswer: maxAnswer, ParseError: parseError, Refuse: refuse, HTTPClient: cfg.HTTPClient,
	})}
}

// CloseIdle closes the connections that no call uses.
func (g *Generator) CloseIdle() { g.api.CloseIdle() }

// Stages implements ports.AssetGenerator.
func (g *Generator) Stages(o domain.GenerationOrder) []string {
	if picture.ShapeOf(o.Request) == picture.Square {
		return []string{stage}
	}
	return []string{modelOf(o) + wide}
}

func modelOf(o domain.GenerationOrder) string { return cmp.Or(o.Model, defaultModel) }

// Begin implements ports.AssetGenerator. The task is done.
func (g *Generator) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	w, err := request(o, modelOf(o))
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	var made wireImages
	if o.Base == nil {
		err = g.api.JSON(ctx, upstream.Call{Method: http.MethodPost, Path: "/images/generations", Order: true}, w, &made)
	} else {
		made, err = g.edit(ctx, w, o.Base)
	}
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	file, err := made.file(w)
	if err != nil {
		return domain.GeneratorTask{}, g.api.Unknown(err)
	}
	return domain.GeneratorTask{ID: o.Token, Status: domain.TaskDone, Progress: 100, Files: []domain.GeneratedFile{file}}, nil
}

// edit orders a changed picture.
func (g *Generator) edit(ctx context.Context, w wireRequest, base *domain.BaseFile) (wireImages, error) {
	body, kind := upstream.Form(w.form(base)...)
	reply, err := g.api.Do(ctx, upstream.Call{
		Method: http.MethodPost, Path: "/images/edits", Body: body, ContentType: kind, Accept: "application/json", Order: true,
	})
	if err != nil {
		return wireImages{}, err
	}
	var made wireImages
	if err := upstream.Unmarshal(reply.Body, &made); err != nil {
		return wireImages{}, g.api.Unknown(err)
	}
	return made, nil
}

// Find implements ports.AssetGenerator. OpenAI has no list of orders.
func (g *Generator) Find(context.Context, domain.GenerationOrder) (domain.GeneratorTask, error) {
	return domain.GeneratorTask{}, g.api.Unknown(errors.New("orders can't be looked up"))
}

// Check implements ports.AssetGenerator. There are no tasks: a picture is in the answer to its order, and nowhere else.
func (g *Generator) Check(context.Context, domain.GenerationOrder, string) (domain.GeneratorTask, error) {
	return domain.GeneratorTask{}, domain.NewError(domain.NotFound, "OpenAI keeps no tasks")
}

// Fetch implements ports.AssetGenerator. The data is there already.
func (g *Generator) Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	return g.api.Fetch(ctx, f, limit)
}

// Cancel implements ports.AssetGenerator. There is nothing to stop.
func (g *Generator) Cancel(context.Context, string) error { return nil }

// wireImages is the answer to an order. The DALL-E models answer with created and data alone.
type wireImages struct {
	Data []struct {
		B64           string `json:"b64_json"`
		RevisedPrompt string `json:"revised_prompt"`
	} `json:"data"`
	Background   string     `json:"background"`
	OutputFormat string     `json:"output_format"`
	Quality      string     `json:"quality"`
	Size         string     `json:"size"`
	Usage        *wireUsage `json:"usage"`
}

type wireUsage struct {
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

// file is the picture of an answer.
func (w wireImages) file(asked wireRequest) (domain.GeneratedFile, error) {
	if len(w.Data) == 0 || w.Data[0].B64 == "" {
		return domain.GeneratedFile{}, errors.New("the answer holds no picture")
	}
	data, err := base64.StdEncoding.DecodeString(w.Data[0].B64)
	if err != nil {
		return domain.GeneratedFile{}, errors.New("the picture is no base64")
	}
	return domain.GeneratedFile{Format: w.format(asked), Data: data, Attributes: w.facts(asked)}, nil
}

func (w wireImages) format(asked wireRequest) string {
	for format, called := range formats {
		if called == w.OutputFormat || w.OutputFormat == "" && called == asked.OutputFormat {
			return format
		}
	}
	return "png" // that of the DALL-E models
}

func (w wireImages) facts(asked wireRequest) map[string]any {
	facts := map[string]any{"model": asked.Model, "image_size": asked.Size, "image_quality": asked.Quality}
	for name, value := range map[string]string{
		"image_size": word(w.Size), "image_quality": word(w.Quality), "background": word(w.Background),
		"revised_prompt": picture.Cut(w.Data[0].RevisedPrompt, maxRevised),
	} {
		if value != "" {
			facts[name] = value
		}
	}
	if w.Usage != nil {
		facts["input_tokens"], facts["output_tokens"], facts["total_tokens"] = w.Usage.InputTokens, w.Usage.OutputTokens, w.Usage.TotalTokens
	}
	return facts
}

// word bounds what should be a word.
func word(s string) string { return picture.Cut(s, 40) }

// parseError reads the body of a refusal.
func parseError(body []byte) (upstream.Said, bool) {
	var w struct {
		Error struct {
			Message string `json:"message"`
			Type    string `json:"type"`
			Code    string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &w) != nil || w.Error.Message == "" {
		return upstream.Said{}, false
	}
	return upstream.Said{Type: w.Error.Type, Code: w.Error.Code, Message: w.Error.Message}, true
}

// refuse says what the codes mean; without one the status decides.
func refuse(r upstream.Refusal) *domain.Error {
	switch {
	case r.Is("moderation_blocked", "content_policy_violation"):
		return r.FilteredOrder()
	case r.Is("insufficient_quota", "billing_hard_limit_reached"):
		return r.NoQuota()
	case r.Status == http.StatusNotFound, r.Is("model_not_found"): // the model, or the address: neither is the caller's fault
		return &domain.Error{
			Kind: domain.Unavailable, Code: domain.CodeModelNotFound, Message: "OpenAI has no such model for Gaia",
			Cause: errors.New("status 404 or code model_not_found"),
		}
	default:
		return nil
	}
}
