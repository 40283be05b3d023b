package domain_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"gaia/domain"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	notFound := domain.NewError(domain.NotFound, "gone")
	tests := map[string]struct {
		err  error
		want domain.Kind
	}{
		"nothing":                    {nil, domain.Internal},
		"any error":                  {errors.New("x"), domain.Internal},
		"domain error":               {notFound, domain.NotFound},
		"wrapped":                    {fmt.Errorf("op: %w", fmt.Errorf("op: %w", notFound)), domain.NotFound},
		"joined":                     {errors.Join(errors.New("x"), notFound), domain.NotFound},
		"outermost domain error":     {&domain.Error{Kind: domain.Unavailable, Cause: notFound}, domain.Unavailable},
		"kind not set":               {&domain.Error{Cause: notFound}, domain.Internal},
		"cancelled":                  {context.Canceled, domain.Canceled},
		"cancelled, wrapped":         {fmt.Errorf("op: %w", context.Canceled), domain.Canceled},
		"domain error for a cancel":  {&domain.Error{Kind: domain.Unavailable, Cause: context.Canceled}, domain.Unavailable},
		"deadline is nobody leaving": {context.DeadlineExceeded, domain.Internal},
		"invalid input":              {domain.InvalidInput(), domain.Invalid},
		"missing part":               {domain.MissingPart("The cache is away", nil), domain.Unavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := domain.KindOf(test.err); got != test.want {
				t.Errorf("got kind %d, want %d", got, test.want)
			}
		})
	}
}

func TestErrorKeepsItsCauseFromClients(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial 10.0.0.1")
	e := domain.MissingPart("The database is not available", cause)
	if e.Message != "The database is not available" || e.Error() != "The database is not available: dial 10.0.0.1" || !errors.Is(e, cause) {
		t.Errorf("got %q, %q", e.Message, e.Error())
	}
	if plain := domain.NewError(domain.NotFound, "gone"); plain.Error() != "gone" || plain.Unwrap() != nil {
		t.Errorf("got %q", plain.Error())
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	missing := domain.Missing(map[string]any{"a": 1}, "body", "items", 0, "name")
	want := domain.Fault{Type: "missing", Loc: []any{"body", "items", 0, "name"}, Msg: "Field required", Input: map[string]any{"a": 1}}
	if !reflect.DeepEqual(missing, want) {
		t.Errorf("got %+v", missing)
	}
	long := domain.TooLong(3, "four", "body", "name")
	want = domain.Fault{
		Type: "string_too_long", Loc: []any{"body", "name"}, Msg: "String should have at most 3 characters", Input: "four",
		Ctx: map[string]any{"max_length": 3},
	}
	if !reflect.DeepEqual(long, want) {
		t.Errorf("got %+v", long)
	}
}
