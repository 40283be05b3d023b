package httpapi

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html"
	"io/fs"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
)

//go:embed docs.html
var docsPage string

// mountDocs serves the contract, an OpenAPI document in JSON, and a page to read it with. Everything the page needs is in the program.
//
// The page is put together without a template: html/template calls methods by names that the linker can't know, which keeps every method
// of everything in the program, 13 MB of them.
func mountDocs(router chi.Router, title string, spec []byte, fail failFunc) {
	get := func(path string, h http.HandlerFunc) {
		router.Get(path, h)
		router.Head(path, h)
	}
	get("/openapi.json", serveSpec(spec))
	page := []byte(strings.ReplaceAll(docsPage, "{title}", html.EscapeString(title)))
	for _, path := range []string{"/docs", "/redoc"} {
		get(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write(page)
		})
	}
	assets := http.StripPrefix("/docs/", statigz.FileServer(static.FS))
	get("/docs/{asset}", func(w http.ResponseWriter, r *http.Request) {
		if !isAsset(chi.URLParam(r, "asset")) { // the server of files would say so in its own way
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
