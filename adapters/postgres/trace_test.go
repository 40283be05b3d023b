package postgres

import (
	"testing"

	"gaia/domain"
)

// While nobody watches, what is stored has no trace, and that costs no memory.
func TestNoTraceCostsNothing(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if traceOf(ctx) != nil {
			t.Error("there is a trace")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := traceOf(domain.WithTrace(ctx, "a")); got == nil || *got != "a" {
		t.Errorf("the trace is %v", got)
	}
}
