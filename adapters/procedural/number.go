package procedural

import "math"

const tau = 2 * math.Pi

// mul is a rounded product; see the package's comment.
func mul(a, b float64) float64 { return float64(a * b) }

// The functions of math are written for each processor; these are the same everywhere. They are exact to some eight digits.

func sin(x float64) float64 {
	x = float64(x)
	x -= mul(math.Floor(x/tau+0.5), tau)
	switch {
	case x > math.Pi/2:
		x = math.Pi - x
	case x < -math.Pi/2:
		x = -math.Pi - x
	}
	s := mul(x, x)
	p := mul(s, 1.0/6227020800) - 1.0/39916800
	p = mul(s, p) + 1.0/362880
	p = mul(s, p) - 1.0/5040
	p = mul(s, p) + 1.0/120
	p = mul(s, p) - 1.0/6
	return mul(x, mul(s, p)+1)
}

func cos(x float64) float64 { return sin(float64(x) + math.Pi/2) } // whoever calls it need not round x

func exp(x float64) float64 {
	if x < -700 {
		return 0
	}
	k := math.Floor(x / math.Ln2)
	rest := x - mul(k, math.Ln2)
	sum := 1.0
	for n := len(inverses) - 1; n > 0; n-- {
		sum = 1 + mul(mul(rest, inverses[n]), sum)
	}
	return math.Ldexp(sum, int(k))
}

// inverses of the whole numbers: multiplying is faster than dividing.
var inverses = [11]float64{0, 1, 1.0 / 2, 1.0 / 3, 1.0 / 4, 1.0 / 5, 1.0 / 6, 1.0 / 7, 1.0 / 8, 1.0 / 9, 1.0 / 10}

// log2 is the logarithm of a positive number.
func log2(x float64) float64 {
	fraction, exponent := math.Frexp(x)
	y := (fraction - 1) / (fraction + 1)
	square := mul(y, y)
	sum, term := 0.0, y
	for n := 1.0; n < 40; n += 2 {
		sum += term / n
		term = mul(term, square)
	}
	return float64(exponent) + mul(2/math.Ln2, sum)
}

func pow(x, y float64) float64 {
	if x <= 0 {
		return 0
	}
	return exp(mul(mul(y, log2(x)), math.Ln2))
}

// atan2 is the angle of a direction.
func atan2(y, x float64) float64 {
	if x == 0 && y == 0 {
		return 0
	}
	ax, ay := math.Abs(x), math.Abs(y)
	q := min(ax, ay) / max(ax, ay)
	square := mul(q, q)
	// A polynomial for the arc tangent below one, good to a thousandth of a degree.
	p := mul(square, -0.01172120) + 0.05265332
	p = mul(square, p) - 0.11643287
	p = mul(square, p) + 0.19354346
	p = mul(square, p) - 0.33262347
	a := mul(q, mul(square, p)+0.99997726)
	if ay > ax {
		a = math.Pi/2 - a
	}
	if x < 0 {
		a = math.Pi - a
	}
	if y < 0 {
		a = -a
	}
	return a
}

func abs(x float64) float64 { return math.Abs(x) }

func clamp(x, low, high float64) float64 { return max(low, min(high, x)) }

func mix(a, b, t float64) float64 { return a + mul(b-a, t) }

// smooth goes from 0 to 1 while x goes from low to high.
func smooth(low, high, x float64) float64 {
	t := clamp((x-low)/(high-low), 0, 1)
	return mul(mul(t, t), 3-2*t)
}

// fraction is what is behind the point, also of negative numbers.
func fraction(x float64) float64 { return x - math.Floor(x) }

// hashText is FNV-1a, with a finish that spreads what differs in the last letters.
func hashText(texts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, text := range texts {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return scramble(h)
}

func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// random draws numbers: SplitMix64, which is the same in every version of Go.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return scramble(r.state)
}

// fork is another sequence, that depends on the name and on nothing that is drawn from this one later.
func (r *random) fork(name string) *random { return &random{scramble(r.state ^ hashText(name))} }

// unit is from 0 inclusive to 1 exclusive.
func (r *random) unit() float64 { return float64(r.next()>>11) / (1 << 53) }

func (r *random) between(low, high float64) float64 { return mix(low, high, r.unit()) }

// around is a number that differs from x by that share at most.
func (r *random) around(x, share float64) float64 {
	return mul(x, 1+mul(share, 2*r.unit()-1))
}

func (r *random) below(n int) int { return int(r.next() % uint64(n)) } // #nosec G115 -- n is positive, and so is the rest

func (r *random) chance(p float64) bool { return r.unit() < p }

func pick[T any](r *random, items ...T) T { return items[r.below(len(items))] }
