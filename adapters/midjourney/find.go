package midjourney

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

const (
	// settled is how long after an order its task is in the list at the latest: the proxy may have the description translated first.
	settled = 2 * time.Minute
	// clockSkew is how far the proxy's clock and ours may differ.
	clockSkew = time.Minute
)

// Find implements ports.AssetGenerator. The task is the one with the token as its state in the list of all tasks.
//
// That it is not there proves something only if the list is whole: a proxy that keeps its tasks in memory has forgotten them after a
// restart. A list that still has a task from before the order is whole; without one nobody can tell. What is taken out of four pictures
// costs nothing, and the proxy itself does it once only: that may be asked for again at any time.
func (g *Generator) Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	if o.Stage == stageUpscale {
		return domain.GeneratorTask{}, absent()
	}
	if o.Begun.IsZero() {
		return domain.GeneratorTask{}, g.api.Unknown(errors.New("nobody knows when the order was placed"))
	}
	var all []wireTask
	err := g.api.JSON(ctx, upstream.Call{Method: http.MethodGet, Path: "/mj/task/list"}, nil, &all)
	switch {
	case err != nil && domain.KindOf(err) == domain.NotFound: // other proxies of this kind have no list
		return domain.GeneratorTask{}, g.api.Unknown(err)
	case err != nil:
		return domain.GeneratorTask{}, err
	}
	whole := false
	for _, w := range all {
		if w.State == o.Token && w.ID != "" {
			return task(w, o), nil
		}
		whole = whole || w.SubmitTime > 0 && time.UnixMilli(w.SubmitTime).Before(o.Begun.Add(-clockSkew))
	}
	switch wait := settled - g.now().Sub(o.Begun); {
	case !whole:
		return domain.GeneratorTask{}, g.api.Unknown(errors.New("the list of tasks may have lost the order"))
	case wait > 0:
		return domain.GeneratorTask{}, &domain.Error{
			Kind: domain.Unavailable, Message: "Midjourney may still be taking the order", RetryAfter: min(wait, settled),
		}
	default:
		return domain.GeneratorTask{}, absent()
	}
}

func absent() *domain.Error { return domain.NewError(domain.NotFound, name+" has no such order") }
