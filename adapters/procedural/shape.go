package procedural

import "math"

// The shapes that everything is put together from. Each is a part of its own, in the current frame and of the current material.

// box has its middle in the origin. Its edges are cut where the detail allows it.
func (s *sculptor) box(w, h, d float64) {
	s.begin()
	x, y, z := w/2, h/2, d/2
	cut := mul(min(x, y, z), 0.12)
	if !s.fine(3) {
		s.plainBox(x, y, z)
		return
	}
	s.cutBox(x, y, z, min(cut, 0.03))
}

// boxAt is a box that stands on a place.
func (s *sculptor) boxAt(x, y, z, w, h, d float64) {
	s.within(at(x, float64(y)+h/2, z), func() { s.box(w, h, d) }) // whoever calls it need not round y
}

func (s *sculptor) plainBox(x, y, z float64) {
	s.quad(vec{-x, -y, z}, vec{x, -y, z}, vec{x, y, z}, vec{-x, y, z})
	s.quad(vec{x, -y, -z}, vec{-x, -y, -z}, vec{-x, y, -z}, vec{x, y, -z})
	s.quad(vec{x, -y, z}, vec{x, -y, -z}, vec{x, y, -z}, vec{x, y, z})
	s.quad(vec{-x, -y, -z}, vec{-x, -y, z}, vec{-x, y, z}, vec{-x, y, -z})
	s.quad(vec{-x, y, z}, vec{x, y, z}, vec{x, y, -z}, vec{-x, y, -z})
	s.quad(vec{-x, -y, -z}, vec{x, -y, -z}, vec{x, -y, z}, vec{-x, -y, z})
}

// cutBox is made of three belts of rings, and a lid at both ends.
func (s *sculptor) cutBox(x, y, z, c float64) {
	ring := func(x, z, c, y float64) []vec {
		return []vec{
			{x, y, c - z}, {x, y, z - c}, {x - c, y, z}, {c - x, y, z}, {-x, y, z - c}, {-x, y, c - z}, {c - x, y, -z}, {x - c, y, -z},
		}
	}
	turnRound := func(r []vec) []vec { // counter-clockwise seen from above
		out := make([]vec, len(r))
		for i := range r {
			out[i] = r[len(r)-1-i]
		}
		return out
	}
	s.loft(false,
		turnRound(ring(x-c, z-c, 0, -y)), turnRound(ring(x, z, c, c-y)), turnRound(ring(x, z, c, y-c)), turnRound(ring(x-c, z-c, 0, y)))
}

// loft joins rings of as many places each, counter-clockwise seen from the end to which they go, and closes both ends unless the last ring
// is to be joined with the first.
func (s *sculptor) loft(closed bool, rings ...[]vec) {
	n := len(rings[0])
	join := func(low, high []vec) {
		for i := range n {
			j := (i + 1) % n
			s.solid(low[i], low[j], high[j])
			s.solid(low[i], high[j], high[i])
		}
	}
	for i := 1; i < len(rings); i++ {
		join(rings[i-1], rings[i])
	}
	if closed {
		join(rings[len(rings)-1], rings[0])
		return
	}
	s.lid(rings[len(rings)-1], false)
	s.lid(rings[0], true)
}

// solid is a triangle unless two of its corners are one.
func (s *sculptor) solid(a, b, c vec) {
	if a != b && b != c && a != c {
		s.triangle(a, b, c)
	}
}

// lid closes a ring with triangles between its places; a ring that is one place needs none.
func (s *sculptor) lid(ring []vec, below bool) {
	for i := 2; i < len(ring); i++ {
		if below {
			s.solid(ring[0], ring[i], ring[i-1])
		} else {
			s.solid(ring[0], ring[i-1], ring[i])
		}
	}
}

// circle is a ring around the y axis.
func circle(n int, radius, y float64) []vec {
	ring := make([]vec, n)
	for i := range ring {
		a := mul(tau, float64(i)) / float64(n)
		ring[i] = vec{mul(radius, cos(a)), y, -mul(radius, sin(a))}
	}
	if radius == 0 {
		for i := range ring {
			ring[i] = vec{y: y}
		}
	}
	return ring
}

// turned is a profile turned around the y axis, from below: pairs of a radius and a height.
func (s *sculptor) turned(n int, profile ...[2]float64) {
	s.begin()
	rings := make([][]vec, len(profile))
	for i, p := range profile {
		rings[i] = circle(n, p[0], p[1])
	}
	s.loft(false, rings...)
}

// cylinder stands in the origin; with another radius above it is a cone.
func (s *sculptor) cylinder(n int, below, above, height float64) {
	s.turned(n, [2]float64{below, 0}, [2]float64{above, height})
}

// ball has its middle in the origin.
func (s *sculptor) ball(n int, radius float64) { s.dome(n, radius, -tau/4) }

// dome is a ball from an angle above the horizon to its top.
func (s *sculptor) dome(n int, radius, from float64) {
	const to = tau / 4
	rows := max(2, int(float64(n)*(to-from)/tau+0.5))
	profile := make([][2]float64, rows+1)
	for i := range profile {
		a := mix(from, to, float64(i)/float64(rows))
		r := mul(radius, cos(a))
		if math.Abs(r) < 1e-9 {
			r = 0
		}
		profile[i] = [2]float64{r, mul(radius, sin(a))}
	}
	s.turned(n, profile...)
}

// tube follows a path, as thick as thickness says for each place of it.
func (s *sculptor) tube(n int, closed bool, path []vec, thickness func(i int) float64) {
	s.begin()
	rings := make([][]vec, len(path))
	var side vec
	for i := range path {
		d := direction(path, i, closed)
		if i == 0 {
			side = d.across()
		}
		side = side.sub(d.scale(side.dot(d))).unit() // carried along, so that nothing is twisted
		f := frame{x: side, y: d, z: side.cross(d), origin: path[i]}
		rings[i] = circle(n, thickness(i), 0)
		for j := range rings[i] {
			rings[i][j] = f.place(rings[i][j])
		}
	}
	s.loft(closed, rings...)
}

func direction(path []vec, i int, closed bool) vec {
	n := len(path)
	if closed {
		return path[(i+1)%n].sub(path[(i+n-1)%n]).unit()
	}
	return path[min(i+1, n-1)].sub(path[max(i-1, 0)]).unit()
}

// hoop is a ring around the y axis, of a round section.
func (s *sculptor) hoop(radius, thickness float64) {
	n := s.segments(20)
	s.tube(s.segments(8), true, circle(n, radius, 0), func(int) float64 { return thickness })
}

// arc is a path around the z axis, from the right over the top.
func arc(n int, radius, from, to float64) []vec {
	path := make([]vec, n+1)
	for i := range path {
		a := mix(from, to, float64(i)/float64(n))
		path[i] = vec{mul(radius, cos(a)), mul(radius, sin(a)), 0}
	}
	return path
}

// plate is an outline in the plane of x and y, counter-clockwise seen from the front, with a thickness. The outline must be seen whole from
// its middle. With an edge above zero its rim is cut off that far.
func (s *sculptor) plate(outline [][2]float64, thickness, edge float64) {
	s.begin()
	middle := center(outline)
	ring := func(z, shrink float64) []vec {
		out := make([]vec, len(outline))
		for i, p := range outline {
			out[i] = vec{mix(p[0], middle[0], shrink), mix(p[1], middle[1], shrink), z}
		}
		return out
	}
	t := thickness / 2
	rings := [][]vec{ring(-t, 0), ring(t, 0)}
	if edge > 0 {
		rings = [][]vec{ring(-t, edge), ring(-t/3, 0), ring(t/3, 0), ring(t, edge)}
	}
	n := len(outline)
	for k := 1; k < len(rings); k++ {
		for i := range n {
			j := (i + 1) % n
			s.solid(rings[k-1][i], rings[k-1][j], rings[k][j])
			s.solid(rings[k-1][i], rings[k][j], rings[k][i])
		}
	}
	front, back := rings[len(rings)-1], rings[0]
	m := vec{middle[0], middle[1], 0}
	for i := range n {
		j := (i + 1) % n
		s.solid(m.add(vec{z: t}), front[i], front[j])
		s.solid(m.add(vec{z: -t}), back[j], back[i])
	}
}

func center(outline [][2]float64) [2]float64 {
	var m [2]float64
	for _, p := range outline {
		m[0] += p[0] / float64(len(outline))
		m[1] += p[1] / float64(len(outline))
	}
	return m
}

// lump is a ball that has been knocked about: a rock, a bush.
func (s *sculptor) lump(n int, size vec, rough float64, r *random) {
	s.begin()
	offset := vec{r.between(0, 90), r.between(0, 90), r.between(0, 90)}
	rows := max(2, n/2)
	rings := make([][]vec, rows+1)
	for i := range rings {
		a := mix(-math.Pi/2, math.Pi/2, float64(i)/float64(rows))
		radius := cos(a)
		if i == 0 || i == rows {
			radius = 0
		}
		rings[i] = circle(n, radius, sin(a))
		for j, p := range rings[i] {
			k := 1 + mul(rough, solidNoise(p.scale(1.7).add(offset))+mul(0.4, solidNoise(p.scale(4.1).add(offset))))
			rings[i][j] = p.scale(k).times(size)
		}
	}
	s.loft(false, rings...)
}
