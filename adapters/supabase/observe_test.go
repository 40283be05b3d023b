package supabase_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"gaia/adapters/supabase"
)

// Calls are told by their names. To say no is an answer; to say that it has failed is none.
func TestCallsAreTold(t *testing.T) {
	t.Parallel()
	status := http.StatusBadRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, `{"code":"invalid_credentials","message":"no"}`)
	}))
	t.Cleanup(server.Close)
	var mu sync.Mutex
	var told []string
	a, err := supabase.New(supabase.Config{
		URL: server.URL, Path: "/", RefusalTime: time.Microsecond,
		Observe: func(ctx context.Context, name string) (context.Context, func(error)) {
			return ctx, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, fmt.Sprintf("%s %v", name, err != nil))
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	for _, status = range []int{http.StatusBadRequest, http.StatusInternalServerError} {
		if _, err := a.Login(t.Context(), "ada@example.com", "Corr3ct-horse"); err == nil {
			t.Error("somebody is logged in")
		}
	}
	if err := a.Logout(t.Context(), "token"); err == nil {
		t.Error("somebody is logged out")
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"login false", "login true", "logout true"}; !slices.Equal(told, want) {
		t.Errorf("told was %q, want %q", told, want)
	}
}
