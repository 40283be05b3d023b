package domain_test

import (
	"math"
	"testing"

	"gaia/domain"
)

func TestMoneyPlus(t *testing.T) {
	t.Parallel()
	const most, least = math.MaxInt64, math.MinInt64
	cases := []struct{ a, b, want domain.Money }{
		{1, 2, 3}, {1, -2, -1}, {most - 1, 1, most}, {most, 1, most}, {most, most, most}, {least, -1, least}, {least, most, -1}, {most, 0, most},
	}
	for _, c := range cases {
		if got := c.a.Plus(c.b); got != c.want {
			t.Errorf("%d plus %d is %d, want %d", c.a, c.b, got, c.want)
		}
		if got := c.b.Plus(c.a); got != c.want {
			t.Errorf("%d plus %d is %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
