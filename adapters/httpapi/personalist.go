package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/domain"
)

// personaLists renders lists of personas. The list of all personas is read far more often than it changes, and the cache hands out
// the very same slice until then: so the bytes made from a slice are kept beside it.
type personaLists struct {
	v02, v1 [2]atomic.Pointer[renderedList] // the last two lists: active ones and all
}

type renderedList struct {
	of   []domain.Persona
	body []byte
	gzip func() []byte // made at the first request for it; empty: not worth it. nil for a part of a list, which is not kept
	etag string
}

// window is a part of a list. A nil limit means everything.
type window struct {
	limit  *int
	offset int
}

func page(limit *oapi.Limit, offset *oapi.Offset) window {
	w := window{limit: limit}
	if offset != nil {
		w.offset = *offset
	}
	return w
}

func (w window) whole() bool { return w.limit == nil && w.offset == 0 }

// cut returns what of a list is in the window.
func cut[T any](list []T, w window) []T {
	list = list[min(w.offset, len(list)):]
	if w.limit != nil {
		list = list[:min(*w.limit, len(list))]
	}
	return list
}

// render answers a list request: 304 when the client has the list already.
func (l *personaLists) render(ctx context.Context, list []domain.Persona, w window, ifNoneMatch *string, envelope listEnvelope) (listReply, error) {
	rendered, err := l.rendered(list, w, envelope)
	if err != nil {
		return listReply{}, err
	}
	rec := recorderFrom(ctx)
	return listReply{
		renderedList: rendered, unchanged: ifNoneMatch != nil && etagMatches(*ifNoneMatch, rendered.etag), zip: rec != nil && rec.gzip,
	}, nil
}

func (l *personaLists) rendered(list []domain.Persona, w window, envelope listEnvelope) (*renderedList, error) {
	if !w.whole() {
		return renderList(list, w, envelope)
	}
	kept := &l.v02
	if envelope.v1 {
		kept = &l.v1
	}
	for i := range kept {
		if r := kept[i].Load(); r != nil && sameSlice(r.of, list) {
			return r, nil
		}
	}
	r, err := renderList(list, w, envelope)
	if err != nil {
		return nil, err
	}
	r.gzip = sync.OnceValue(func() []byte { return gzipped(r.body) })
	kept[1].Store(kept[0].Swap(r))
	return r, nil
}

func renderList(list []domain.Persona, w window, envelope listEnvelope) (*renderedList, error) {
	part := cut(list, w)
	personas := make([]oapi.Persona, len(part))
	for i, p := range part {
		personas[i] = personaToAPI(p)
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(envelope.wrap(personas, len(list))); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body.Bytes())
	return &renderedList{of: list, body: body.Bytes(), etag: `W/"` + hex.EncodeToString(sum[:12]) + `"`}, nil
}

// sameSlice reports whether two slices are one and the same piece of memory.
func sameSlice(a, b []domain.Persona) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// listEnvelope is what stands around the personas in one version of the API.
type listEnvelope struct {
	v1   bool
	wrap func(personas []oapi.Persona, total int) any
}

// listReply is a rendered list on its way to a client of either version.
type listReply struct {
	*renderedList
	unchanged bool
	zip       bool // the client reads gzip
}

func (r listReply) VisitV02ListPersonasResponse(w http.ResponseWriter) error { return r.write(w) }
func (r listReply) VisitV1ListPersonasResponse(w http.ResponseWriter) error  { return r.write(w) }

func (r listReply) write(w http.ResponseWriter) error {
	w.Header().Set("ETag", r.etag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.unchanged {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	body := r.body
	if r.zip && r.gzip != nil && len(r.gzip()) > 0 {
		body = r.gzip()
		w.Header().Set("Content-Encoding", "gzip")
	}
	_, err := w.Write(body)
	return err
}

// etagMatches compares weakly, as If-None-Match asks for.
func etagMatches(ifNoneMatch, etag string) bool {
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}
