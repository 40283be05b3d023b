package procedural

import "math"

// lattice is a number from 0 to 1 for a place of a grid.
func lattice(seed uint64, x, y, z int) float64 {
	h := seed ^ uint64(x)*0x9e3779b97f4a7c15 ^ uint64(y)*0xc2b2ae3d27d4eb4f ^ uint64(z)*0x165667b19e3779f9 // #nosec G115 -- only the bits matter
	return float64(scramble(h)>>11) / (1 << 53)
}

func ease(t float64) float64 { return mul(mul(t, t), 3-2*t) }

// solidNoise is from -1 to 1, and changes slowly.
func solidNoise(p vec) float64 {
	fx, fy, fz := math.Floor(p.x), math.Floor(p.y), math.Floor(p.z)
	x, y, z := int(fx), int(fy), int(fz)
	tx, ty, tz := ease(p.x-fx), ease(p.y-fy), ease(p.z-fz)
	row := func(y, z int) float64 { return mix(lattice(7, x, y, z), lattice(7, x+1, y, z), tx) }
	sheet := func(z int) float64 { return mix(row(y, z), row(y+1, z), ty) }
	return 2*mix(sheet(z), sheet(z+1), tz) - 1
}

// noise is noise in the plane, from 0 to 1, that repeats itself after as many steps to the right and down.
func noise(seed uint64, x, y float64, right, down int) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	x0, y0 := wrap(int(fx), right), wrap(int(fy), down)
	x1, y1 := wrap(x0+1, right), wrap(y0+1, down)
	tx, ty := ease(x-fx), ease(y-fy)
	return mix(
		mix(lattice(seed, x0, y0, 0), lattice(seed, x1, y0, 0), tx),
		mix(lattice(seed, x0, y1, 0), lattice(seed, x1, y1, 0), tx), ty)
}

func wrap(i, period int) int {
	if 0 <= i && i < period {
		return i // most are, and a division takes long
	}
	i %= period
	if i < 0 {
		i += period
	}
	return i
}

// clouds adds noise of ever finer grain; from 0 to 1. It repeats itself as noise does.
func clouds(seed uint64, x, y float64, right, down, octaves int) float64 {
	sum, weight, total := 0.0, 0.5, 0.0
	for i := range octaves {
		sum += mul(weight, noise(seed+uint64(i)*101, x, y, right, down)) //nolint:gosec // small
		total += weight
		x, y, right, down, weight = x*2, y*2, right*2, down*2, weight/2
	}
	return sum / total
}

// cell is the distance to the nearest and to the second nearest of points that lie about at random, and a number from 0 to 1 that all
// places nearest to the same point have. It repeats itself as noise does.
func cell(seed uint64, x, y float64, right, down int) (nearest, second, id float64) {
	fx, fy := math.Floor(x), math.Floor(y)
	nearest, second = 9, 9
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			cx, cy := wrap(int(fx)+dx, right), wrap(int(fy)+dy, down)
			px := fx + float64(dx) + lattice(seed, cx, cy, 1) - x
			py := fy + float64(dy) + lattice(seed, cx, cy, 2) - y
			d := mul(px, px) + mul(py, py)
			if d < nearest {
				nearest, second, id = d, nearest, lattice(seed, cx, cy, 3)
			} else if d < second {
				second = d
			}
		}
	}
	return math.Sqrt(nearest), math.Sqrt(second), id
}
