package httpapi

import (
	"fmt"
	"net/http"
	"runtime/debug"
)

// panicError is a panic on its way to the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// recoverPanics turns a panic into a failure like any other. When the answer has begun there is no way to say so in it: fail then gives
// the connection up, so that the client does not take half an answer for a whole one.
func recoverPanics(fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				switch v := recover(); v {
				case nil:
				case http.ErrAbortHandler: // somebody gives the connection up on purpose
					panic(v)
				default:
					fail(w, r, &panicError{v, debug.Stack()})
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}
