package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"gaia/domain"
)

// recorder watches an answer on its way out: what the access log says about it, and whether it has begun. It stands inside of
// compression, which holds back what it gets, so that it knows what handlers did.
type recorder struct {
	http.ResponseWriter
	start     time.Time
	status    int
	bytes     int64
	canceled  bool    // the client left before there was an answer
	gzip      bool    // the client reads gzip
	ui        bool    // the client wants a UI message stream
	tail      [8]byte // the last that was written
	principal domain.AuthType

	authentication, validation time.Duration // how long these took

	observation
}

type recorderKey struct{}

// record makes the recorder of a request and the request that knows it.
func record(w http.ResponseWriter, r *http.Request) (*recorder, *http.Request) {
	rec := &recorder{ResponseWriter: w, start: time.Now(), gzip: acceptsGzip(r.Header.Get("Accept-Encoding")), ui: asksForUIStream(r.Header)}
	return rec, r.WithContext(context.WithValue(r.Context(), recorderKey{}, rec))
}

// recorderFrom finds the recorder of a request, or nil when nobody watches it.
func recorderFrom(ctx context.Context) *recorder {
	rec, _ := ctx.Value(recorderKey{}).(*recorder)
	return rec
}

// written reports whether the answer has begun.
func (rec *recorder) written() bool { return rec.status != 0 }

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && status >= http.StatusOK {
		rec.status = status
		rec.Header().Set("X-Response-Time", fmt.Sprintf("%.3fs", time.Since(rec.start).Seconds()))
		_ = http.NewResponseController(rec.ResponseWriter).SetWriteDeadline(time.Now().Add(answerTimeout)) // a recorder in a test has none
		rec.begins()
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(b []byte) (int, error) {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	n, err := rec.ResponseWriter.Write(b)
	rec.bytes += int64(n)
	last := b[max(0, n-len(rec.tail)):n]
	copy(rec.tail[:], rec.tail[len(last):])
	copy(rec.tail[len(rec.tail)-len(last):], last)
	return n, err
}

// betweenEvents reports whether what has gone out of an event stream are whole events, so that another one can follow.
func (rec *recorder) betweenEvents() bool { return rec.bytes == 0 || string(rec.tail[6:]) == "\n\n" }

// ended reports whether an event stream has come to its end.
func (rec *recorder) ended() bool { return string(rec.tail[:]) == "[DONE]\n\n" }

// Flush sends what is buffered. Code that asks for http.Flusher, not for a ResponseController, needs the method.
func (rec *recorder) Flush() { _ = rec.FlushError() }

// FlushError is what a ResponseController looks for first: it tells when the client has gone.
func (rec *recorder) FlushError() error {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(rec.ResponseWriter).Flush()
}

// Unwrap lets a ResponseController reach the connection.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }
