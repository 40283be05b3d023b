package main

import (
	"cmp"
	"math"
	"slices"
)

// percentile is the smallest value that at least p percent of the values don't exceed. Of no values it is zero.
func percentile[T cmp.Ordered](values []T, p float64) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle value, the lower one of two. Of no values it is zero.
func median[T cmp.Ordered](values []T) T { return percentile(values, 50) }

// ratio is a/b, and zero when there is no b.
func ratio[T ~int64 | ~float64](a, b T) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// saved is the share that is gone when before becomes after, in percent.
func saved[T ~int64 | ~float64](before, after T) float64 {
	if before == 0 {
		return 0
	}
	return 100 * (1 - ratio(after, before))
}
