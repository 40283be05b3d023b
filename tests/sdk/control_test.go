package sdk

import (
	"encoding/json"
	"net/http"

	"gaia/tests/upstream"
)

// faults are the names by which tests in JavaScript ask for what goes wrong.
var faults = map[string]upstream.Fault{"": upstream.None, "stall": upstream.Stall, "cut": upstream.Cut, "error": upstream.InBandError}

// play is a script with its fault by name.
type play struct {
	upstream.Script
	Fault string
}

// control lets a test in another process script the provider and read its books, one model each.
func control(provider *upstream.Server) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /plays/{model}", func(w http.ResponseWriter, r *http.Request) {
		var plays []play
		in := json.NewDecoder(r.Body)
		in.DisallowUnknownFields() // a wrong name must not script nothing
		if err := in.Decode(&plays); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		scripts := make([]upstream.Script, len(plays))
		for i, p := range plays {
			fault, known := faults[p.Fault]
			if !known {
				http.Error(w, "no such fault: "+p.Fault, http.StatusBadRequest)
				return
			}
			scripts[i] = p.Script
			scripts[i].Fault = fault
		}
		provider.Plays(r.PathValue("model"), scripts...)
	})
	mux.HandleFunc("GET /books/{model}", func(w http.ResponseWriter, r *http.Request) {
		writeBooks(w, booksOf(provider, r.PathValue("model")))
	})
	// Answers when the newest request for the model has ended, however it did.
	mux.HandleFunc("GET /ended/{model}", func(w http.ResponseWriter, r *http.Request) {
		for {
			changed := provider.Changed() // before the look, so that no change is missed
			if books := booksOf(provider, r.PathValue("model")); len(books) > 0 && !books[len(books)-1].Ended.IsZero() {
				writeBooks(w, books)
				return
			}
			select {
			case <-changed:
			case <-r.Context().Done():
				return
			}
		}
	})
	return mux
}

func booksOf(provider *upstream.Server, model string) []upstream.Served {
	books := []upstream.Served{}
	for _, e := range provider.Books() {
		if e.Model == model {
			books = append(books, e)
		}
	}
	return books
}

func writeBooks(w http.ResponseWriter, books []upstream.Served) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(books)
}
