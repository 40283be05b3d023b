package e2e

import (
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// together sends a request n times at once and counts the answers by status.
func together(t *testing.T, n int, send func(i int) (gaiatest.Response, error)) map[int]int {
	t.Helper()
	statuses := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r, err := send(i)
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[r.Status]++
		})
	}
	wg.Wait()
	return statuses
}

func TestTurnsAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		const n = 20
		c := b.Start(t).As(uuid.NewString())
		paths := append([]string{typedRoute}, jsonRoutes...)
		statuses := together(t, n, func(i int) (gaiatest.Response, error) {
			return c.Try(gaiatest.Request{Method: http.MethodPost, Path: paths[i%len(paths)], Body: message("Hello")})
		})
		if statuses[http.StatusOK] != n {
			t.Errorf("statuses: %v", statuses)
		}
		wantCount(t, c, 2*n)
		wantText(t, say(t, c, message("And now?")), "This is message 41 of")
	})
}

func TestOnlyOneGetsAName(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, server *gaiatest.Server, path string) {
		const n = 10
		name := "Only " + surname()
		statuses := together(t, n, func(int) (gaiatest.Response, error) {
			return server.As(uuid.NewString()).Try(gaiatest.Request{Method: http.MethodPost, Path: path, Body: draft(name)})
		})
		if statuses[http.StatusOK] != 1 || statuses[http.StatusConflict] != n-1 {
			t.Errorf("statuses: %v", statuses)
		}
	})
}
