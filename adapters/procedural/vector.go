package procedural

import "math"

// vec is a place or a direction: x to the right, y up, z to the viewer; metres.
type vec struct{ x, y, z float64 }

func (a vec) add(b vec) vec       { return vec{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec) sub(b vec) vec       { return vec{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec) scale(k float64) vec { return vec{mul(a.x, k), mul(a.y, k), mul(a.z, k)} }
func (a vec) times(b vec) vec     { return vec{mul(a.x, b.x), mul(a.y, b.y), mul(a.z, b.z)} }
func (a vec) dot(b vec) float64   { return mul(a.x, b.x) + mul(a.y, b.y) + mul(a.z, b.z) }
func (a vec) length() float64     { return math.Sqrt(a.dot(a)) }
func (a vec) mix(b vec, t float64) vec {
	return vec{mix(a.x, b.x, t), mix(a.y, b.y, t), mix(a.z, b.z, t)}
}

func (a vec) cross(b vec) vec {
	return vec{mul(a.y, b.z) - mul(a.z, b.y), mul(a.z, b.x) - mul(a.x, b.z), mul(a.x, b.y) - mul(a.y, b.x)}
}

// unit has the same direction and length 1; what has no direction points up.
func (a vec) unit() vec {
	n := a.length()
	if n < 1e-12 {
		return vec{0, 1, 0}
	}
	return vec{a.x / n, a.y / n, a.z / n}
}

func (a vec) least(b vec) vec { return vec{min(a.x, b.x), min(a.y, b.y), min(a.z, b.z)} }
func (a vec) most(b vec) vec  { return vec{max(a.x, b.x), max(a.y, b.y), max(a.z, b.z)} }

// across is some direction at a right angle to a.
func (a vec) across() vec {
	if math.Abs(a.y) > 0.9*a.length() {
		return a.cross(vec{0, 0, 1}).unit()
	}
	return a.cross(vec{0, 1, 0}).unit()
}

// frame moves local places to where they belong: a matrix by its columns, and then a shift.
type frame struct{ x, y, z, origin vec }

func still() frame { return frame{x: vec{x: 1}, y: vec{y: 1}, z: vec{z: 1}} }

func at(x, y, z float64) frame {
	f := still()
	f.origin = vec{x, y, z}
	return f
}

func (f frame) turn(p vec) vec  { return f.x.scale(p.x).add(f.y.scale(p.y)).add(f.z.scale(p.z)) }
func (f frame) place(p vec) vec { return f.turn(p).add(f.origin) }

// then is what g does inside of f.
func (f frame) then(g frame) frame {
	return frame{x: f.turn(g.x), y: f.turn(g.y), z: f.turn(g.z), origin: f.place(g.origin)}
}

func (f frame) shift(x, y, z float64) frame { return f.then(at(x, y, z)) }

func (f frame) stretch(x, y, z float64) frame {
	return f.then(frame{x: vec{x: x}, y: vec{y: y}, z: vec{z: z}})
}

func (f frame) turnX(a float64) frame {
	s, c := sin(a), cos(a)
	return f.then(frame{x: vec{x: 1}, y: vec{0, c, s}, z: vec{0, -s, c}})
}

func (f frame) turnY(a float64) frame {
	s, c := sin(a), cos(a)
	return f.then(frame{x: vec{c, 0, -s}, y: vec{y: 1}, z: vec{s, 0, c}})
}

func (f frame) turnZ(a float64) frame {
	s, c := sin(a), cos(a)
	return f.then(frame{x: vec{c, s, 0}, y: vec{-s, c, 0}, z: vec{z: 1}})
}
