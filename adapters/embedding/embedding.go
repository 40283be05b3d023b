// Package embedding finds out what texts mean, by the embeddings API of OpenAI and of the many servers that speak it.
//
// It must not keep vectors, and must not make any up: without a usable answer there is none.
package embedding

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.Embedder = (*Embedder)(nil)

const (
	defaultTimeout = 10 * time.Second
	maxAnswer      = 32 << 20
	maxTexts       = 100    // in one request; more go one request after the other
	maxText        = 20_000 // characters: about what the models read
	maxLength      = 16_000 // numbers of a vector
	provider       = "The embedding service"
)

// Config says where the service is. Zero values mean the defaults.
type Config struct {
	URL     string // such as https://api.openai.com/v1
	Key     string // empty: the service wants none
	Model   string
	Timeout time.Duration // of a request; 10 s

	// HTTPClient replaces the client that New makes.
	HTTPClient *http.Client
}

// Embedder asks one service for vectors of one model.
type Embedder struct {
	model   string
	service *upstream.Service
}

// New makes an embedder. It connects on the first call.
func New(c Config) *Embedder {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	header := http.Header{}
	if c.Key != "" {
		header.Set("Authorization", "Bearer "+c.Key)
	}
	return &Embedder{model: c.Model, service: upstream.NewService(upstream.ServiceConfig{
		Name: provider, URL: c.URL, Key: c.Key, Header: header, Timeout: c.Timeout, MaxAnswer: maxAnswer, HTTPClient: c.HTTPClient,
	})}
}

// Close closes the connections that no call uses.
func (e *Embedder) Close() { e.service.CloseIdle() }

// Model implements ports.Embedder.
func (e *Embedder) Model() string { return e.model }

// request is the body of POST /embeddings.
type request struct {
	Model          string   `json:"model"`
	Input          []string `json:"input"`
	EncodingFormat string   `json:"encoding_format"`
}

type reply struct {
	Data []struct {
		Index     *int      `json:"index"`
		Embedding []float64 `json:"embedding"`
	} `json:"data"`
}

// Embed implements ports.Embedder.
func (e *Embedder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, 0, len(texts))
	for begin := 0; begin < len(texts); begin += maxTexts {
		part, err := e.embed(ctx, texts[begin:min(begin+maxTexts, len(texts))])
		if err == nil && len(vectors) > 0 && len(part[0]) != len(vectors[0]) {
			err = unusable("vectors of different lengths")
		}
		if err != nil {
			return nil, err
		}
		vectors = append(vectors, part...)
	}
	return vectors, nil
}

func (e *Embedder) embed(ctx context.Context, texts []string) ([][]float32, error) {
	input := make([]string, len(texts))
	for i, text := range texts {
		input[i] = cut(text)
	}
	var got reply
	call := upstream.Call{Method: http.MethodPost, Path: "/embeddings"}
	if err := e.service.JSON(ctx, call, request{Model: e.model, Input: input, EncodingFormat: "float"}, &got); err != nil {
		return nil, away(err)
	}
	return got.vectors(len(texts))
}

// cut keeps as much of a text as can be read.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText])
	}
	return text
}

// away makes of what a service says against a request that it is of no use now: callers can go on without.
func away(err error) error {
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind == domain.Canceled || e.Kind == domain.Unavailable {
		return err
	}
	return &domain.Error{Kind: domain.Unavailable, Code: e.Code, Message: e.Message, RetryAfter: e.RetryAfter, Cause: err}
}

// vectors are those of n texts, in their order.
func (r reply) vectors(n int) ([][]float32, error) {
	if len(r.Data) != n {
		return nil, unusable(fmt.Sprintf("%d vectors for %d texts", len(r.Data), n))
	}
	vectors := make([][]float32, n)
	for i, d := range r.Data {
		place := i
		if d.Index != nil {
			place = *d.Index
		}
		switch {
		case place < 0 || place >= n || vectors[place] != nil:
			return nil, unusable("a vector for no text")
		case len(d.Embedding) == 0 || len(d.Embedding) > maxLength || len(d.Embedding) != len(r.Data[0].Embedding):
			return nil, unusable(fmt.Sprintf("a vector of %d numbers", len(d.Embedding)))
		}
		vector, err := numbers(d.Embedding)
		if err != nil {
			return nil, err
		}
		vectors[place] = vector
	}
	return vectors, nil
}

// numbers are a vector that points somewhere.
func numbers(of []float64) ([]float32, error) {
	vector, length := make([]float32, len(of)), 0.0
	for i, v := range of {
		vector[i] = float32(v)
		length += float64(vector[i]) * float64(vector[i])
	}
	if length == 0 || math.IsNaN(length) || math.IsInf(length, 0) {
		return nil, unusable("a vector that points nowhere")
	}
	return vector, nil
}

func unusable(what string) error {
	return domain.MissingPart(provider+" sent an answer that can't be used", errors.New(what))
}
