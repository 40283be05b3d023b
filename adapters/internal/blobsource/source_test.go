package blobsource_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gaia/adapters/internal/blobsource"
	"gaia/domain"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit int64
		want  string
		kind  domain.Kind
	}{{5, "hello", 0}, {6, "hello", 0}, {4, "hell", domain.TooLarge}, {0, "", domain.TooLarge}} {
		for _, r := range []io.Reader{strings.NewReader("hello"), iotest.OneByteReader(strings.NewReader("hello")), iotest.DataErrReader(strings.NewReader("hello"))} {
			s := blobsource.New(t.Context(), r, c.limit)
			var got bytes.Buffer
			_, err := got.ReadFrom(s)
			if got.String() != c.want || domain.KindOf(err) != c.kind || (err != nil) != (s.Failure() != nil) || !errors.Is(err, s.Failure()) {
				t.Errorf("limit %d: %q, %v, %v", c.limit, &got, err, s.Failure())
			}
			if c.kind == 0 && s.Size() != int64(len(c.want)) {
				t.Errorf("limit %d: size %d", c.limit, s.Size())
			}
		}
	}
}

func TestFailuresStay(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := blobsource.New(t.Context(), io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken), strings.NewReader("y")), 10)
	for range 2 {
		if _, err := io.ReadAll(s); !errors.Is(err, broken) || !errors.Is(s.Failure(), broken) {
			t.Errorf("%v, %v", err, s.Failure())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	s = blobsource.New(ctx, strings.NewReader("x"), 10)
	cancel()
	if _, err := io.ReadAll(s); !errors.Is(err, context.Canceled) || !errors.Is(s.Failure(), context.Canceled) {
		t.Errorf("%v, %v", err, s.Failure())
	}
}
