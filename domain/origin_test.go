package domain_test

import (
	"testing"

	"gaia/domain"
)

func TestOriginTravelsInTheContext(t *testing.T) {
	t.Parallel()
	if got := domain.OriginFrom(t.Context()); got != (domain.Origin{}) {
		t.Errorf("without one: %+v", got)
	}
	want := domain.Origin{Address: "203.0.113.7", RequestID: "r-1"}
	ctx := domain.WithOrigin(t.Context(), want)
	if got := domain.OriginFrom(ctx); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
