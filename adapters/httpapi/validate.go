package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// preallocated is how much memory a body gets because of its announced length alone.
const preallocated = 64 << 10

// validate lets only requests through to an operation that obey the contract. It reports all faults at once, and rewrites what the old
// platform understood although the contract says it otherwise. It has to come after authorize: nobody unknown gets a body parsed.
// Bodies that are on their way have to pass a gate.
func validate(op *intake.Operation, bodies gate, fail failFunc) func(http.Handler) http.Handler {
	return validateWithin(op, bodyTimeout, bodies, fail)
}

// validateWithin is validate with another time for the body to arrive.
func validateWithin(op *intake.Operation, timeout time.Duration, bodies gate, fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun := time.Now()
			r, faults := checkParameters(op, r)
			if op.HasBody() {
				if !op.Accepts(r.Header.Get("Content-Type")) || encoded(r.Header.Get("Content-Encoding")) {
					fail(w, r, errMediaType(op.MediaType()))
					return
				}
			}
			if op.Form() { // is read as it comes
				body := &formBody{ReadCloser: &steadyBody{r.Body, http.NewResponseController(w), timeout}, spare: formOverhead}
				r = r.WithContext(context.WithValue(r.Context(), formKey{}, body))
				r.Body = body
			}
			if op.JSONBody() || op.Opaque {
				body, err := readThrough(bodies, w, r, timeout)
				if err != nil {
					fail(w, r, err)
					return
				}
				if !op.Opaque {
					var found []domain.Fault
					body, found = op.CheckBody(body)
					faults = append(faults, found...)
				}
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			}
			if len(faults) > 0 {
				fail(w, r, domain.InvalidInput(faults...))
				return
			}
			if rec := recorderFrom(r.Context()); rec != nil {
				rec.validation = time.Since(begun)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// encoded reports whether a body would have to be unpacked first, which Gaia does not do: small bodies can become huge that way.
func encoded(contentEncoding string) bool {
	return contentEncoding != "" && contentEncoding != "identity"
}

// checkParameters judges path, query and headers, and gives the request with the query that the generated code can read.
func checkParameters(op *intake.Operation, r *http.Request) (*http.Request, []domain.Fault) {
	faults := op.CheckPath(func(name string) string {
		value := chi.URLParam(r, name)
		if r.URL.RawPath == "" { // chi matched the decoded path
			return value
		}
		if decoded, err := url.PathUnescape(value); err == nil {
			return decoded
		}
		return value
	})
	query, found := op.CheckQuery(r.URL.RawQuery)
	faults = append(faults, found...)
	if query != r.URL.RawQuery {
		u := *r.URL
		u.RawQuery = query
		r = r.WithContext(r.Context()) // a copy: others hold the request, too
		r.URL = &u
	}
	return r, append(faults, op.CheckHeader(r.Header)...)
}

// readThrough reads a body while it holds a place at the gate.
func readThrough(bodies gate, w http.ResponseWriter, r *http.Request, timeout time.Duration) ([]byte, error) {
	caller, err := bodies.enter(r)
	if err != nil {
		return nil, err
	}
	defer bodies.leave(caller)
	return readBody(w, r, timeout)
}

// readBody reads a whole body, which limitBody has bounded, and does not wait for it for ever.
func readBody(w http.ResponseWriter, r *http.Request, timeout time.Duration) ([]byte, error) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(timeout)) // a recorder in a test has none
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, preallocated)) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r.Body)
	if err == nil {
		// The server watches the connection from here on: a deadline would look to it like a client who left.
		_ = connection.SetReadDeadline(time.Time{})
		return b.Bytes(), nil
	}
	return nil, bodyFailure(err)
}
