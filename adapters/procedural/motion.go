package procedural

// motion is how nodes move. It ends as it begins.
type motion struct {
	name   string
	times  []float64 // of the keys of every track, in seconds, from 0
	tracks []track
}

// track is how one property of a node changes.
type track struct {
	node int
	path string      // translation, rotation or scale
	keys [][]float64 // three numbers each, or the four of a quaternion
}

func (w *writer) animation(m *motion) {
	a := gltfAnimation{Name: m.name}
	input := w.times(m.times)
	for i, t := range m.tracks {
		a.Samplers = append(a.Samplers, gltfSampler{Input: input, Output: w.keys(t.keys), Interpolation: "LINEAR"})
		a.Channels = append(a.Channels, gltfChannel{Sampler: i, Target: gltfTarget{Node: t.node, Path: t.path}})
	}
	w.doc.Animations = []gltfAnimation{a}
}

func (w *writer) times(times []float64) int {
	start := len(w.data)
	for _, t := range times {
		w.float(float32(t))
	}
	return w.accessor(gltfAccessor{
		BufferView: w.view(start, 0), ComponentType: typeFloat, Count: len(times), Type: "SCALAR",
		Min: []float32{float32(times[0])}, Max: []float32{float32(times[len(times)-1])},
	})
}

func (w *writer) keys(keys [][]float64) int {
	start := len(w.data)
	for _, key := range keys {
		for _, x := range key {
			w.float(float32(x))
		}
	}
	kind := "VEC3"
	if len(keys[0]) == 4 {
		kind = "VEC4"
	}
	return w.accessor(gltfAccessor{BufferView: w.view(start, 0), ComponentType: typeFloat, Count: len(keys), Type: kind})
}
