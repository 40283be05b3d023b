package forward

import (
	"net/http"
	"testing"
)

// While nobody watches, telling of attempts costs no memory.
func TestUnwatchedAttemptsCostNothing(t *testing.T) {
	p := &passage{group: &group{config: &Config{}}, request: &http.Request{Method: http.MethodPost}}
	e, header := &endpoint{dial: "127.0.0.1:80"}, http.Header{}
	if n := testing.AllocsPerRun(100, func() { p.observe(e, 1, header)(Ending{Status: http.StatusOK}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
