// Package mubert has music made by Mubert's API v3 from a text, https://music-api.mubert.com. How long it is to be, and whether a loop or a
// jingle, is read from the description; the price table charges by the same seconds, see domain.AudioSeconds.
//
// Mubert takes no token of the client. So a track whose order may have been placed is looked for in the list of tracks, by what it was asked
// for and when: see Find. News of tracks comes from the webhook of the licence, which is set for a company and not for an order, so
// GenerationOrder.Notify is not sent. Links to tracks expire: they are to be fetched at once.
//
// It must not retry, wait or log, take news of a track for the truth, send the access token anywhere but to the API, or show clients what
// Mubert says of a failure.
package mubert

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

const (
	tracksPath = "/api/v3/public/tracks"
	stage      = "track"
)

// Config says where Mubert is, and who asks.
type Config struct {
	URL      string // without the path; such as https://music-api.mubert.com
	Customer string
	Key      string           // the access token of Customer
	Now      func() time.Time // tells which links have expired
	// HTTPClient replaces the client that New makes.
	HTTPClient *http.Client
}

// Generator has music made. It implements ports.AssetGenerator.
type Generator struct {
	api *upstream.Service
	now func() time.Time
}

// New makes a generator. It connects on the first order.
func New(cfg Config) *Generator {
	return &Generator{now: cfg.Now, api: upstream.NewService(upstream.ServiceConfig{
		Name: "Mubert", URL: strings.TrimSuffix(cfg.URL, "/"), Key: cfg.Key,
		Header:     http.Header{"Customer-Id": {cfg.Customer}, "Access-Token": {cfg.Key}},
		ParseError: parseError, Refuse: refuse, HTTPClient: cfg.HTTPClient,
	})}
}

// CloseIdle closes the connections that no call uses.
func (g *Generator) CloseIdle() { g.api.CloseIdle() }

// Stages implements ports.AssetGenerator.
func (g *Generator) Stages(domain.GenerationOrder) []string { return []string{stage} }

// Begin implements ports.AssetGenerator.
func (g *Generator) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	body, err := request(o)
	if err != nil {
		return domain.GeneratorTask{}, err
	}
	var w wireAnswer
	if err := g.api.JSON(ctx, upstream.Call{Method: http.MethodPost, Path: tracksPath, Order: true}, body, &w); err != nil {
		return domain.GeneratorTask{}, err
	}
	if w.track().ID == "" {
		return domain.GeneratorTask{}, g.api.Unknown(errors.New("the answer names no track"))
	}
	return task(w.track(), o.Request, g.now()), nil
}

// Find implements ports.AssetGenerator. The track is the only one of the same prompt, length and mode that was created since the order
// was placed. Two that fit are no answer. Nor is none: an order may still be on its way, and nothing says that the list has a track at once.
// So Find never answers that there is none, and no order is placed twice.
func (g *Generator) Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	if o.Begun.IsZero() {
		return domain.GeneratorTask{}, g.api.Unknown(errors.New("nobody knows when the order was placed"))
	}
	order, err := request(o)
	if err != nil {
		return domain.GeneratorTask{}, g.api.Unknown(err)
	}
	s := search{order: order, since: o.Begun.Add(-clockSkew), found: map[string]wireTrack{}}
	if err := g.list(ctx, &s); err != nil {
		return domain.GeneratorTask{}, g.untold(err)
	}
	w, ok := s.only()
	if !ok {
		return domain.GeneratorTask{}, g.api.Unknown(errors.New(strconv.Itoa(len(s.found)) + " tracks fit the order"))
	}
	t, err := g.Check(ctx, o, w.ID) // lists have no links
	if err != nil {
		return domain.GeneratorTask{}, g.untold(err)
	}
	return t, nil
}

// list reads the tracks from the newest to those from before the order.
func (g *Generator) list(ctx context.Context, s *search) error {
	for page := range maxPages {
		query := url.Values{
			"limit": {strconv.Itoa(pageSize)}, "offset": {strconv.Itoa(page * pageSize)}, "order": {"desc"}, "order_by": {"created_at"},
		}
		var tracks struct {
			Data []wireTrack `json:"data"`
		}
		if err := g.api.JSON(ctx, upstream.Call{Method: http.MethodGet, Path: tracksPath + "?" + query.Encode()}, nil, &tracks); err != nil {
			return err
		}
		switch more, err := s.add(tracks.Data); {
		case err != nil:
			return g.api.Unknown(err)
		case !more:
			return nil
		}
	}
	return g.api.Unknown(errors.New("too many tracks since the order"))
}

// Check implements ports.AssetGenerator.
func (g *Generator) Check(ctx context.Context, o domain.GenerationOrder, taskID string) (domain.GeneratorTask, error) {
	var w wireAnswer
	if err := g.api.JSON(ctx, upstream.Call{Method: http.MethodGet, Path: tracksPath + "/" + url.PathEscape(taskID)}, nil, &w); err != nil {
		return domain.GeneratorTask{}, err
	}
	track := w.track()
	track.ID = taskID
	return task(track, o.Request, g.now()), nil
}

// Cancel implements ports.AssetGenerator. Mubert has nothing to stop a track with.
func (g *Generator) Cancel(context.Context, string) error { return nil }

// Fetch implements ports.AssetGenerator.
func (g *Generator) Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	return g.api.Fetch(ctx, f, limit)
}

// untold is an error while an order is looked for. That Mubert does not know what was asked says nothing about the order.
func (g *Generator) untold(err error) error {
	if domain.KindOf(err) == domain.NotFound {
		return g.api.Unknown(err)
	}
	return err
}
