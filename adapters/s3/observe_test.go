package s3_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"gaia/adapters/s3"
	"gaia/domain"
	"gaia/internal/testenv"
)

// Each request is told by what it is for, with how it went, and nothing of the file.
func TestRequestsAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	s := open(t, testenv.S3(t), func(o *s3.Options) {
		o.Observe = func(ctx context.Context, operation string) (context.Context, func(error)) {
			return ctx, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, fmt.Sprintf("%s %v", operation, domain.KindOf(err) == domain.NotFound && err != nil))
			}
		}
	})
	ctx := t.Context()
	if _, err := s.Put(ctx, "told/one", "text/plain", strings.NewReader("one"), 100); err != nil {
		t.Fatal(err)
	}
	file, _, err := s.Open(ctx, "told/one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(file); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	if _, _, err := s.Open(ctx, "told/none"); domain.KindOf(err) != domain.NotFound {
		t.Fatal(err)
	}
	if err := s.List(ctx, "told/", func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "told/one"); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"write false", "open false", "read false", "open true", "list false", "delete false"}; !slices.Equal(told, want) {
		t.Errorf("told was %q, want %q", told, want)
	}
}
