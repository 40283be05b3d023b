package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"gaia/domain"
)

const (
	meaningBatch = 50 // assets whose texts are sent at once
	meaningTime  = 30 * time.Second
	meaningText  = 4000 // bytes of a description: more are beyond what models read
)

// understands reports whether meanings are of any use here.
func (a *Assets) understands() bool {
	return a.Embedder != nil && a.Meanings != nil && !a.wordsOnly.Load()
}

// meaning is what a text means and in which model; nil when nobody can tell now: words alone find much, too.
func (a *Assets) meaning(ctx context.Context, text string) ([]float32, string) {
	if !a.understands() || strings.TrimSpace(text) == "" {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, a.Config.EmbedWait)
	defer cancel()
	vectors, err := a.embed(ctx, []string{text})
	if err != nil {
		a.Troubled("find out what a search means", err)
		return nil, ""
	}
	return vectors[0], a.Embedder.Model()
}

func (a *Assets) embed(ctx context.Context, texts []string) ([][]float32, error) {
	vectors, err := a.Embedder.Embed(ctx, texts)
	if err == nil && len(vectors) != len(texts) {
		err = errors.New("the embedder has not returned one vector for one text")
	}
	return vectors, err
}

// Understand finds out what assets mean of which that is not known, whoever added them, and returns how many. It ends when the embedder or
// the database is away. After a database has said that it can't keep meanings nobody is asked for any.
func (a *Assets) Understand(ctx context.Context) (int, error) {
	total := 0
	for a.understands() {
		list, err := a.Meanings.WithoutMeaning(ctx, a.Embedder.Model(), meaningBatch)
		n := 0
		if err == nil && len(list) > 0 {
			n, err = a.understand(ctx, list)
		}
		total += n
		if domain.KindOf(err) == domain.Unimplemented {
			a.wordsOnly.Store(true)
		}
		if err != nil || n < meaningBatch { // what has no meaning would come again
			return total, err
		}
	}
	return total, nil
}

func (a *Assets) understand(ctx context.Context, list []domain.Asset) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, meaningTime)
	defer cancel()
	texts := make([]string, len(list))
	for i, asset := range list {
		description := strings.ToValidUTF8(asset.Description[:min(len(asset.Description), meaningText)], "")
		texts[i] = strings.Join([]string{asset.Title, strings.Join(asset.StyleTags, ", "), description}, "\n")
	}
	vectors, err := a.embed(ctx, texts)
	if err != nil {
		return 0, err
	}
	known := 0
	var meaningless error
	for i, asset := range list {
		err := a.Meanings.SetMeaning(ctx, asset.ID, a.Embedder.Model(), vectors[i])
		switch {
		case err == nil:
			known++
		case domain.KindOf(err) == domain.BadRequest:
			meaningless = err
		default:
			return known, err
		}
	}
	return known, meaningless
}
