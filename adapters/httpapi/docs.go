package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5/static"
	"github.com/swaggest/swgui/v5emb"
)

// mountDocs serves the contract, an OpenAPI document in JSON, and a page to read it with. Everything the page needs is in the program.
func mountDocs(router chi.Router, title string, spec []byte, fail failFunc) {
	get := func(path string, h http.HandlerFunc) {
		router.Get(path, h)
		router.Head(path, h)
	}
	get("/openapi.json", serveSpec(spec))
	for _, path := range []string{"/docs", "/redoc"} {
		page := v5emb.NewHandlerWithConfig(swgui.Config{Title: title, SwaggerJSON: "/openapi.json", BasePath: "/docs/", InternalBasePath: path})
		get(path, page.ServeHTTP)
	}
	assets := v5emb.New(title, "/openapi.json", "/docs/")
	get("/docs/{asset}", func(w http.ResponseWriter, r *http.Request) {
		if !isAsset(chi.URLParam(r, "asset")) { // the page's own handler would say so in its own way
			fail(w, r, errNoRoute)
			return
		}
		assets.ServeHTTP(w, r)
	})
}

// isAsset reports whether the page consists of a file, which may be stored packed.
func isAsset(name string) bool {
	for _, stored := range []string{name, name + ".gz"} {
		if info, err := fs.Stat(static.FS, stored); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

func serveSpec(spec []byte) http.HandlerFunc {
	sum := sha256.Sum256(spec)
	etag := `W/"` + hex.EncodeToString(sum[:12]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("ETag", etag)
		h.Set("Cache-Control", "no-cache")
		if etagMatches(r.Header.Get("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(spec)
	}
}
