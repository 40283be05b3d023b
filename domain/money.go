package domain

import "math"

// Money is an amount in billionths of a US dollar, so that sums of token prices stay exact.
type Money int64

const dollar = 1e9

// FromDollars rounds an amount of US dollars to the nearest billionth. Amounts that Money can't hold become the largest that it can.
func FromDollars(usd float64) Money {
	switch amount := math.Round(usd * dollar); {
	case math.IsNaN(amount):
		return 0
	case amount >= math.MaxInt64:
		return math.MaxInt64
	case amount <= math.MinInt64:
		return math.MinInt64
	default:
		return Money(amount)
	}
}

// Dollars is the amount in US dollars.
func (m Money) Dollars() float64 { return float64(m) / dollar }

// Plus adds amounts. A sum that Money can't hold becomes the largest that it can.
func (m Money) Plus(n Money) Money {
	switch sum := m + n; {
	case n > 0 && sum < m:
		return math.MaxInt64
	case n < 0 && sum > m:
		return math.MinInt64
	default:
		return sum
	}
}
