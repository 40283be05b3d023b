package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"gaia/app"
)

// countTimeout bounds how long a download takes to be counted.
const countTimeout = 2 * time.Second

// assetDownload sends a file, whole or in parts.
type assetDownload struct {
	request *http.Request
	file    *app.AssetFile
	inline  bool // it may be shown where it is linked to
	log     *slog.Logger
}

// VisitV1DownloadAssetResponse answers as the headers of the request ask for. A file that can't be read to its end breaks the answer off.
func (d *assetDownload) VisitV1DownloadAssetResponse(w http.ResponseWriter) error {
	defer func() { _ = d.file.Close() }() // it was only read
	d.setHeaders(w.Header())
	out := &downloadWriter{ResponseWriter: w, connection: http.NewResponseController(w)}
	content := &watchedReader{ReadSeeker: d.file}
	http.ServeContent(out, d.request, "", d.file.ModifiedAt, content)
	switch {
	case content.err != nil:
		return content.err
	case out.status == http.StatusRequestedRangeNotSatisfiable:
		return errNoSuchPart(d.file.Size)
	}
	d.count(out.status)
	return nil
}

func (d *assetDownload) setHeaders(h http.Header) {
	disposition := "attachment"
	if d.inline {
		disposition = "inline"
	}
	h.Set("Content-Type", d.file.ContentType)
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": d.file.Name}))
	h.Set("ETag", `"`+d.file.Tag+`"`)
	h.Set("Cache-Control", "private, max-age=3600")
	// Nothing in a file may act in the name of this server.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set(gzhttp.HeaderNoCompression, "1") // the tag and the parts are of these very bytes
}

// count counts a download where it begins: neither a file that the client has already nor the later parts of one.
func (d *assetDownload) count(status int) {
	begins := status == http.StatusOK ||
		status == http.StatusPartialContent && strings.HasPrefix(strings.ReplaceAll(d.request.Header.Get("Range"), " ", ""), "bytes=0-")
	if d.request.Method != http.MethodGet || !begins {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.request.Context()), countTimeout)
	defer cancel()
	if err := d.file.Downloaded(ctx); err != nil {
		d.log.WarnContext(ctx, "a download was not counted", "request_id", requestIDFrom(ctx), "error", err)
	}
}

// watchedReader remembers why a file could not be read: net/http does not tell.
type watchedReader struct {
	io.ReadSeeker

	err error
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.ReadSeeker.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// downloadWriter gives a client time as long as it goes on reading, and leaves a range that is not there to the one form of failures.
type downloadWriter struct {
	http.ResponseWriter

	connection *http.ResponseController
	status     int
	extended   time.Time
}

func (w *downloadWriter) WriteHeader(status int) {
	w.status = status
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.Header().Del("X-Content-Type-Options")
		w.Header().Del("Content-Security-Policy")
		w.Header().Del("Content-Disposition")
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *downloadWriter) Write(p []byte) (int, error) {
	if w.status == http.StatusRequestedRangeNotSatisfiable {
		return len(p), nil
	}
	if now := time.Now(); now.Sub(w.extended) > time.Second {
		_ = w.connection.SetWriteDeadline(now.Add(answerTimeout)) // a recorder in a test has none
		w.extended = now
	}
	return w.ResponseWriter.Write(p)
}

func errNoSuchPart(size int64) error {
	return &edgeError{
		http.StatusRequestedRangeNotSatisfiable, "bad_request", fmt.Sprintf("The file has %d bytes", size),
	}
}
