package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui/v5emb"
)

// mountDocs serves the contract, an OpenAPI document in JSON, and a page to read it with. Everything the page needs is in the program.
func mountDocs(router chi.Router, title string, spec []byte) {
	page := v5emb.New(title, "/openapi.json", "/docs/")
	router.Get("/docs", page.ServeHTTP)
	router.Get("/redoc", page.ServeHTTP)
	router.Get("/docs/*", page.ServeHTTP)
	router.Head("/docs", page.ServeHTTP)
	router.Head("/redoc", page.ServeHTTP)
	document := serveSpec(spec)
	router.Get("/openapi.json", document)
	router.Head("/openapi.json", document)
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
