package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

// recording is an answer of gaia that the bare server repeats.
type recording struct {
	ContentType, ContentEncoding string
	Pieces                       [][]byte // each is flushed, if there are several
}

// barePath is where the bare server gives the answer of a load.
func barePath(load int) string { return "/" + strconv.Itoa(load) }

func writeAnswers(file string, loads []load) error {
	recordings := make([]recording, len(loads))
	for i, l := range loads {
		h := l.recorded.header
		recordings[i] = recording{h.Get("Content-Type"), h.Get("Content-Encoding"), [][]byte{l.recorded.body}}
		if l.stream {
			recordings[i].Pieces = events(l.recorded.body)
		}
	}
	data, err := json.Marshal(recordings)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// events cuts an event stream after each event.
func events(stream []byte) [][]byte {
	pieces := bytes.SplitAfter(stream, []byte("\n\n"))
	return pieces[:len(pieces)-1] // nothing is left after the last one
}

// serveBare answers with what was recorded: no routing worth the name, no checks, no log.
func serveBare(ctx context.Context, file string, out io.Writer) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var recordings []recording
	if err := json.Unmarshal(data, &recordings); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	mux := http.NewServeMux()
	for i, r := range recordings {
		mux.Handle(barePath(i), r)
	}
	return listen(ctx, out, mux)
}

// ServeHTTP reads the request, since gaia does, and writes the recorded bytes.
func (r recording) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", r.ContentType)
	if r.ContentEncoding != "" {
		w.Header().Set("Content-Encoding", r.ContentEncoding)
	}
	for _, piece := range r.Pieces {
		if _, err := w.Write(piece); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok && len(r.Pieces) > 1 {
			f.Flush()
		}
	}
}
