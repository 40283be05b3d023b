package procedural

import (
	"context"
	"math"

	"gaia/domain"
)

// dance is a kind of movement.
type dance struct {
	name string
	long float64 // seconds until it begins again
	move func(c *choreography)
}

// choreography collects how bones move.
type choreography struct {
	bones []bone
	turns map[string]func(t float64) vec // angles around x, y and z
	shift func(t float64) vec            // of the root or of the hips
	scale func(t float64) vec            // of the root
}

// dances of figures, and those of things, by the words that mean them.
var (
	dances = named([]entry[dance]{
		{"walk walking walks stroll march", dance{"walk", 1.1, walk}},
		{"run running runs sprint jog", dance{"run", 0.7, run}},
		{"jump jumping jumps hop leap bounce bouncing", dance{"jump", 1.2, jumping}},
		{"wave waving waves greet hello greeting", dance{"wave", 1.6, waving}},
		{"dance dancing dances party celebrate", dance{"dance", 1.6, dancing}},
		{"attack attacking slash strike fight swing swinging punch hit combat", dance{"attack", 1, attack}},
		{"fly flying flies hover float floating levitate", dance{"fly", 2, flying}},
		{"idle breathing breathe stand standing wait waiting rest", dance{"idle", 3, idle}},
		{"spin spinning rotate rotating turn turntable twirl", dance{"spin", 3, spinning}},
	})
	motions = named([]entry[dance]{
		{"spin spinning rotate rotating turn turning turntable twirl roll rolling", dance{"spin", 3, spinning}},
		{"bounce bouncing jump jumping hop hopping", dance{"bounce", 1, bouncing}},
		{"fly flying float floating hover hovering levitate levitating", dance{"fly", 2.5, flying}},
		{"swing swinging sway swaying wobble rock rocking", dance{"swing", 2, swaying}},
		{"pulse pulsing beat beating throb grow shrink", dance{"pulse", 1.2, pulsing}},
		{"shake shaking rattle vibrate", dance{"shake", 0.6, shaking}},
	})
)

const keys = 24

// animation makes a figure, or a thing, that moves.
func (w *wish) animation(ctx context.Context, o domain.GenerationOrder, l limits) ([]domain.GeneratedFile, error) {
	figure, _, isFigure := subject(w.words, callings)
	thing, _, isThing := subject(w.words, archetypes)
	sculpt := func(level int) *sculptor {
		s := w.sculptFigure(w.calling(), level)
		return s
	}
	name := figure.name
	kind, _, ok := subject(w.all, dances)
	if !ok {
		kind = dance{"walk", 1.1, walk}
	}
	switch {
	case isThing && !isFigure:
		sculpt, name = func(level int) *sculptor { return w.sculptProp(thing, level) }, thing.name
		if kind, _, ok = subject(w.all, motions); !ok {
			kind = dance{"spin", 3, spinning}
		}
	case !isFigure:
		name = w.calling().name
	}
	m, err := l.fit(ctx, func(level int) *sculptor {
		s := sculpt(level)
		s.moves = &kind
		return s
	})
	if err != nil {
		return nil, err
	}
	files, err := w.modelFiles(ctx, m, l.format, o.Seed, name)
	if err != nil {
		return nil, err
	}
	times := m.model.motion.times
	files[0].Attributes["animation"] = kind.name
	files[0].Attributes["duration_seconds"] = times[len(times)-1]
	return files, nil
}

// perform makes the tracks of a movement.
func (d *dance) perform(bones []bone, w *wish) *motion {
	long := d.long
	if w.has("slow", "slowly") {
		long = float64(long * (1.6))
	}
	if w.has("fast", "quick", "quickly") {
		long = float64(long * (0.65))
	}
	c := &choreography{bones: bones, turns: map[string]func(float64) vec{}}
	d.move(c)
	m := &motion{name: d.name}
	for i := range keys + 1 {
		m.times = append(m.times, length(long*float64(i)/keys))
	}
	for i, b := range bones {
		turn, ok := c.turns[b.name]
		if i == 0 && !ok {
			turn, ok = c.turns["root"]
		}
		if ok {
			m.tracks = append(m.tracks, keyed(i, "rotation", func(t float64) []float64 { return quaternion(turn(t)) }))
		}
		if i == 0 && c.shift != nil {
			m.tracks = append(m.tracks, keyed(i, "translation", func(t float64) []float64 { return triple(b.origin.add(c.shift(t))) }))
		}
		if i == 0 && c.scale != nil {
			m.tracks = append(m.tracks, keyed(i, "scale", func(t float64) []float64 { return triple(c.scale(t)) }))
		}
	}
	return m
}

// keyed is a track whose last key is its first.
func keyed(node int, path string, value func(t float64) []float64) track {
	t := track{node: node, path: path}
	for i := range keys + 1 {
		t.keys = append(t.keys, value(float64(i%keys)/keys))
	}
	if path == "rotation" { // a turn all around ends with the other quaternion of the same place
		last := value(1)
		t.keys[keys] = last
	}
	return t
}

func triple(v vec) []float64 { return []float64{v.x, v.y, v.z} }

// quaternion is for turns around x, then y, then z.
func quaternion(a vec) []float64 {
	q := [4]float64{sin(a.x / 2), 0, 0, cos(a.x / 2)}
	q = chain([4]float64{0, sin(a.y / 2), 0, cos(a.y / 2)}, q)
	q = chain([4]float64{0, 0, sin(a.z / 2), cos(a.z / 2)}, q)
	n := math.Sqrt(float64(q[0]*q[0]) + float64(q[1]*q[1]) + float64(q[2]*q[2]) + float64(q[3]*q[3]))
	return []float64{q[0] / n, q[1] / n, q[2] / n, q[3] / n}
}

// chain is the quaternion of b and then a.
func chain(a, b [4]float64) [4]float64 {
	return [4]float64{
		float64(a[3]*b[0]) + float64(a[0]*b[3]) + float64(a[1]*b[2]) - float64(a[2]*b[1]),
		float64(a[3]*b[1]) - float64(a[0]*b[2]) + float64(a[1]*b[3]) + float64(a[2]*b[0]),
		float64(a[3]*b[2]) + float64(a[0]*b[1]) - float64(a[1]*b[0]) + float64(a[2]*b[3]),
		float64(a[3]*b[3]) - float64(a[0]*b[0]) - float64(a[1]*b[1]) - float64(a[2]*b[2]),
	}
}

func walk(c *choreography) { stride(c, 0.5, 0.55, 0.03) }
func run(c *choreography)  { stride(c, 0.85, 1.15, 0.07) }

// stride swings legs and arms against each other; t goes from 0 to 1.
func stride(c *choreography, reach, bend, lift float64) {
	for _, side := range []float64{-1, 1} {
		c.turns[sided("leg", side)] = func(t float64) vec { return vec{x: float64(-side * reach * sin(float64(tau*t)))} }
		c.turns[sided("shin", side)] = func(t float64) vec { return vec{x: float64(bend * max(0, float64(-side*cos(float64(tau*t)))))} }
		c.turns[sided("arm", side)] = func(t float64) vec { return vec{x: float64(side * reach * 0.8 * sin(float64(tau*t)))} }
		c.turns[sided("forearm", side)] = func(t float64) vec { return vec{x: float64(-bend * (0.5 + float64(0.3*side*sin(float64(tau*t)))))} }
	}
	c.turns["torso"] = func(t float64) vec { return vec{x: float64(reach * 0.14), y: float64(0.12 * sin(float64(tau*t)))} }
	c.turns["head"] = func(t float64) vec { return vec{x: float64(-reach * 0.1), y: float64(-0.1 * sin(float64(tau*t)))} }
	c.shift = func(t float64) vec { return vec{y: float64(lift * abs(sin(float64(tau*t))))} }
}

func jumping(c *choreography) {
	high := func(t float64) float64 { return max(0, sin(float64(tau*(t-0.25)*0.8))) }
	crouch := func(t float64) float64 { return max(0, 1-abs(t-0.15)/0.15) + float64(max(0, 1-abs(t-0.92)/0.08)*0.7) }
	for _, side := range []float64{-1, 1} {
		c.turns[sided("leg", side)] = func(t float64) vec { return vec{x: float64(-0.8 * crouch(t))} }
		c.turns[sided("shin", side)] = func(t float64) vec { return vec{x: float64(1.4 * crouch(t))} }
		c.turns[sided("arm", side)] = func(t float64) vec { return vec{x: float64(0.6*crouch(t)) - float64(2.4*high(t))} }
	}
	c.turns["torso"] = func(t float64) vec { return vec{x: float64(0.35 * crouch(t))} }
	c.shift = func(t float64) vec { return vec{y: float64(0.75*high(t)) - float64(0.18*crouch(t))} }
}

func waving(c *choreography) {
	c.turns["left arm"] = func(t float64) vec { return vec{z: 2.4 + float64(0.1*sin(float64(tau*t)))} }
	c.turns["left forearm"] = func(t float64) vec { return vec{z: 0.3 + 0.5*sin(float64(2*tau*t))} }
	c.turns["head"] = func(t float64) vec { return vec{z: float64(0.08 * sin(float64(tau*t))), y: 0.15} }
	c.turns["torso"] = func(t float64) vec { return vec{z: float64(0.03 * sin(float64(tau*t)))} }
}

func dancing(c *choreography) {
	for _, side := range []float64{-1, 1} {
		c.turns[sided("leg", side)] = func(t float64) vec {
			return vec{x: float64(-0.5 * max(0, float64(side*sin(float64(tau*t))))), z: float64(side * 0.1)}
		}
		c.turns[sided("shin", side)] = func(t float64) vec { return vec{x: float64(0.8 * max(0, float64(side*sin(float64(tau*t)))))} }
		c.turns[sided("arm", side)] = func(t float64) vec {
			return vec{x: -0.6, z: float64(side * (1.2 + float64(0.7*sin(float64(2*tau*t)+side))))}
		}
		c.turns[sided("forearm", side)] = func(t float64) vec { return vec{x: -0.9 - float64(0.4*sin(float64(2*tau*t)))} }
	}
	c.turns["torso"] = func(t float64) vec {
		return vec{y: float64(0.35 * sin(float64(tau*t))), z: float64(0.12 * sin(float64(tau*t)))}
	}
	c.turns["head"] = func(t float64) vec {
		return vec{z: float64(-0.15 * sin(float64(tau*t))), x: float64(0.1 * sin(float64(2*tau*t)))}
	}
	c.turns["root"] = func(t float64) vec { return vec{y: float64(0.3 * sin(float64(tau*t)))} }
	c.shift = func(t float64) vec {
		return vec{y: float64(0.06 * abs(sin(float64(2*tau*t)))), x: float64(0.12 * sin(float64(tau*t)))}
	}
}

func attack(c *choreography) {
	blow := func(t float64) float64 { return smooth(0.25, 0.45, t) - smooth(0.6, 1, t) }
	raise := func(t float64) float64 { return smooth(0, 0.25, t) - smooth(0.3, 0.45, t) }
	c.turns["right arm"] = func(t float64) vec {
		return vec{x: float64(-2.2*raise(t)) - float64(0.9*blow(t)), z: float64(0.3 * blow(t))}
	}
	c.turns["right forearm"] = func(t float64) vec { return vec{x: float64(-0.8*raise(t)) - float64(0.2*blow(t))} }
	c.turns["left arm"] = func(t float64) vec { return vec{x: -0.5 + 0.5*blow(t)} }
	c.turns["torso"] = func(t float64) vec { return vec{y: float64(-0.45*raise(t)) + 0.5*blow(t), x: float64(0.2 * blow(t))} }
	c.turns["right leg"] = func(t float64) vec { return vec{x: float64(0.3 * blow(t))} }
	c.turns["left leg"] = func(t float64) vec { return vec{x: float64(-0.45 * blow(t))} }
	c.turns["left shin"] = func(t float64) vec { return vec{x: float64(0.4 * blow(t))} }
}

func flying(c *choreography) {
	c.shift = func(t float64) vec { return vec{y: 0.35 + float64(0.12*sin(float64(tau*t)))} }
	c.turns["root"] = func(t float64) vec {
		return vec{x: 0.12 + float64(0.05*sin(float64(tau*t))), z: float64(0.06 * sin(float64(tau*t)+1))}
	}
	for _, side := range []float64{-1, 1} {
		c.turns[sided("arm", side)] = func(t float64) vec { return vec{z: float64(side * (1.1 + float64(0.3*sin(float64(tau*t)))))} }
		c.turns[sided("leg", side)] = func(t float64) vec { return vec{x: 0.25 + float64(0.1*sin(float64(tau*t)+side))} }
		c.turns[sided("shin", side)] = func(t float64) vec { return vec{x: 0.4 + float64(0.15*sin(float64(tau*t)+side))} }
	}
}

func idle(c *choreography) {
	c.turns["torso"] = func(t float64) vec {
		return vec{x: float64(0.025 * sin(float64(tau*t))), z: float64(0.015 * sin(float64(tau*t)+1))}
	}
	c.turns["head"] = func(t float64) vec {
		return vec{y: float64(0.18 * sin(float64(tau*t))), x: float64(0.03 * sin(float64(tau*t)))}
	}
	for _, side := range []float64{-1, 1} {
		c.turns[sided("arm", side)] = func(t float64) vec {
			return vec{z: float64(side * (0.05 + float64(0.03*sin(float64(tau*t))))), x: float64(0.05 * sin(float64(tau*t)))}
		}
		c.turns[sided("forearm", side)] = func(t float64) vec { return vec{x: -0.15 - float64(0.05*sin(float64(tau*t)))} }
	}
	c.shift = func(t float64) vec { return vec{y: -0.008 + float64(0.008*sin(float64(tau*t)))} }
}

func spinning(c *choreography) {
	c.turns["root"] = func(t float64) vec { return vec{y: float64(tau * t)} }
}

func bouncing(c *choreography) {
	c.shift = func(t float64) vec { return vec{y: 4 * t * (1 - t) * 0.5} }
	c.scale = func(t float64) vec {
		flat := max(0, 1-float64(abs(t-0.5)*2.3))
		k := 1 - float64(0.18*max(0, 1-float64(min(t, 1-t)*12))) + float64(0.05*(1-flat))
		return vec{1 / math.Sqrt(k), k, 1 / math.Sqrt(k)}
	}
}

func swaying(c *choreography) {
	c.turns["root"] = func(t float64) vec { return vec{z: float64(0.35 * sin(float64(tau*t)))} }
}

func pulsing(c *choreography) {
	c.scale = func(t float64) vec {
		k := 1 + float64(0.16*max(0, sin(float64(tau*t)))) + float64(0.08*max(0, sin(float64(tau*(t+0.7)))))
		return vec{k, k, k}
	}
}

func shaking(c *choreography) {
	c.turns["root"] = func(t float64) vec {
		return vec{z: float64(0.06 * sin(float64(4*tau*t))), x: float64(0.05 * sin(float64(3*tau*t)))}
	}
	c.shift = func(t float64) vec { return vec{x: float64(0.02 * sin(float64(3*tau*t)))} }
}
