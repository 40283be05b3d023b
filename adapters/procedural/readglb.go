package procedural

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
)

// Bounds of what is read: a file of others is not trusted.
const (
	mostNodes    = 10_000
	mostVertices = 4_000_000
)

var errModel = errors.New("not a model that can be read")

// readModel reads a glTF 2.0, binary or with its buffer in the text, without textures, skins and extensions. Everything comes into one node.
func readModel(data []byte) (*model, error) {
	text, buffer, err := chunks(data)
	if err != nil {
		return nil, err
	}
	r := &reader{}
	if err := json.Unmarshal(text, &r.doc); err != nil {
		return nil, err
	}
	if len(r.doc.Textures)+len(r.doc.Skins)+len(r.doc.Required) > 0 {
		return nil, errModel
	}
	if len(r.doc.Buffers) != 1 || r.doc.Asset.Version != "2.0" || len(r.doc.Nodes) > mostNodes {
		return nil, errModel
	}
	if uri := r.doc.Buffers[0].URI; uri != "" {
		_, encoded, ok := strings.Cut(uri, ";base64,")
		if !ok || !strings.HasPrefix(uri, "data:") {
			return nil, errModel
		}
		if buffer, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, err
		}
	}
	r.buffer = buffer
	return r.model()
}

// chunks parts a binary glTF; what is none is all text.
func chunks(data []byte) (text, buffer []byte, err error) {
	if len(data) < 20 || binary.LittleEndian.Uint32(data) != glbMagic {
		return data, nil, nil
	}
	if binary.LittleEndian.Uint32(data[4:]) != glbVersion {
		return nil, nil, errModel
	}
	for rest := data[12:]; len(rest) >= 8; {
		n, kind := int(binary.LittleEndian.Uint32(rest)), binary.LittleEndian.Uint32(rest[4:])
		if n > len(rest)-8 {
			return nil, nil, errModel
		}
		switch chunk := rest[8 : 8+n]; {
		case kind == chunkJSON && text == nil:
			text = chunk
		case kind == chunkBIN && buffer == nil:
			buffer = chunk
		}
		rest = rest[8+n:]
	}
	if text == nil {
		return nil, nil, errModel
	}
	return text, buffer, nil
}

// reader turns a document into a model.
type reader struct {
	doc      gltf
	buffer   []byte
	vertices int
	visited  int
	faces    []face
}

func (r *reader) model() (*model, error) {
	m := &model{}
	for _, g := range r.doc.Materials {
		m.materials = append(m.materials, g.material())
	}
	m.materials = append(m.materials, material{name: "plain", colour: rgb{0.8, 0.8, 0.8}, roughness: 0.8, alpha: 1})
	if r.doc.Scene < 0 || r.doc.Scene >= len(r.doc.Scenes) {
		return nil, errModel
	}
	for _, n := range r.doc.Scenes[r.doc.Scene].Nodes {
		if err := r.node(n, still(), 0); err != nil {
			return nil, err
		}
	}
	n := node{name: "root", parent: -1}
	n.primitives = weldAll(r.faces, len(m.materials), vec{}, cos(tau/9))
	m.nodes = []node{n}
	m.forget()
	if m.polygons() == 0 {
		return nil, errModel
	}
	return m, nil
}

func (g gltfMaterial) material() material {
	m := material{name: g.Name, colour: rgb{1, 1, 1}, metallic: 1, roughness: 1, alpha: 1}
	if c := g.PBR.BaseColor; c != nil {
		m.colour = rgb{c[0], c[1], c[2]}
		if g.AlphaMode == "BLEND" {
			m.alpha = c[3]
		}
	}
	if g.PBR.Metallic != nil {
		m.metallic = *g.PBR.Metallic
	}
	if g.PBR.Roughness != nil {
		m.roughness = *g.PBR.Roughness
	}
	if e := g.Emissive; e != nil {
		m.glow = rgb{e[0], e[1], e[2]}
	}
	return m
}

// node reads a node and what is below it.
func (r *reader) node(i int, parent frame, depth int) error {
	r.visited++
	if i < 0 || i >= len(r.doc.Nodes) || depth > 64 || r.visited > mostNodes {
		return errModel
	}
	n := r.doc.Nodes[i]
	f := parent.then(n.frame())
	if n.Mesh != nil {
		if *n.Mesh < 0 || *n.Mesh >= len(r.doc.Meshes) {
			return errModel
		}
		for _, p := range r.doc.Meshes[*n.Mesh].Primitives {
			if err := r.primitive(p, f); err != nil {
				return err
			}
		}
	}
	for _, child := range n.Children {
		if err := r.node(child, f, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (n gltfNode) frame() frame {
	if m := n.Matrix; len(m) == 16 {
		return frame{x: vec{m[0], m[1], m[2]}, y: vec{m[4], m[5], m[6]}, z: vec{m[8], m[9], m[10]}, origin: vec{m[12], m[13], m[14]}}
	}
	f := still()
	if t := n.Translation; len(t) == 3 {
		f = f.shift(t[0], t[1], t[2])
	}
	if q := n.Rotation; len(q) == 4 {
		f = f.then(turned(q[0], q[1], q[2], q[3]))
	}
	if k := n.Scale; len(k) == 3 {
		f = f.stretch(k[0], k[1], k[2])
	}
	return f
}

func (r *reader) primitive(p gltfPrimitive, f frame) error {
	if p.Mode != nil && *p.Mode != 4 { // lines and points are no surface
		return nil
	}
	index, ok := p.Attributes["POSITION"]
	if !ok {
		return errModel
	}
	at, err := r.numbers(index, "VEC3", typeFloat)
	if err != nil {
		return err
	}
	places := make([]vec, len(at)/3)
	for i := range places {
		places[i] = f.place(vec{at[3*i], at[3*i+1], at[3*i+2]})
		if d := places[i].length(); math.IsNaN(d) || d > 10000 {
			return errModel
		}
	}
	order := make([]float64, 0, len(places))
	if p.Indices != nil {
		if order, err = r.numbers(*p.Indices, "SCALAR", typeByte, typeShort, typeInt); err != nil {
			return err
		}
	} else {
		for i := range places {
			order = append(order, float64(i))
		}
	}
	return r.add(p, f, places, order)
}

func (r *reader) add(p gltfPrimitive, f frame, places []vec, order []float64) error {
	mat := len(r.doc.Materials)
	if p.Material != nil {
		mat = *p.Material
	}
	if mat < 0 || mat > len(r.doc.Materials) {
		return errModel
	}
	tints, err := r.tints(p, len(places))
	if err != nil {
		return err
	}
	mirrored := f.x.cross(f.y).dot(f.z) < 0
	for i := 0; i+2 < len(order); i += 3 {
		var corners [3]int
		for k := range corners {
			corners[k] = int(order[i+k])
			if corners[k] >= len(places) {
				return errModel
			}
		}
		if mirrored {
			corners[1], corners[2] = corners[2], corners[1]
		}
		t := face{a: places[corners[0]], b: places[corners[1]], c: places[corners[2]], material: mat}
		for k, c := range corners {
			t.tint[k] = rgb{1, 1, 1}
			if tints != nil {
				t.tint[k] = tints[c]
			}
		}
		r.faces = append(r.faces, t)
	}
	return nil
}

// tints are the colours of vertices that Gaia itself writes; those of other kinds are left out.
func (r *reader) tints(p gltfPrimitive, n int) ([]rgb, error) {
	index, ok := p.Attributes["COLOR_0"]
	if !ok || index < 0 || index >= len(r.doc.Accessors) || r.doc.Accessors[index].ComponentType != typeByte || r.doc.Accessors[index].Type != "VEC4" {
		return nil, nil
	}
	c, err := r.numbers(index, "VEC4", typeByte)
	if err != nil || len(c) != 4*n {
		return nil, errModel
	}
	out := make([]rgb, n)
	for i := range out {
		out[i] = rgb{c[4*i] / 255, c[4*i+1] / 255, c[4*i+2] / 255}
	}
	return out, nil
}

var components = map[string]int{"SCALAR": 1, "VEC3": 3, "VEC4": 4}

// numbers reads an accessor of that shape.
func (r *reader) numbers(index int, shape string, kinds ...int) ([]float64, error) {
	if index < 0 || index >= len(r.doc.Accessors) {
		return nil, errModel
	}
	a := r.doc.Accessors[index]
	size := map[int]int{typeByte: 1, typeShort: 2, typeInt: 4, typeFloat: 4}[a.ComponentType]
	fits := false
	for _, k := range kinds {
		fits = fits || k == a.ComponentType
	}
	r.vertices += max(a.Count, 0)
	if !fits || a.Type != shape || a.BufferView == nil || *a.BufferView < 0 || *a.BufferView >= len(r.doc.BufferViews) || a.Count < 0 || r.vertices > mostVertices {
		return nil, errModel
	}
	v := r.doc.BufferViews[*a.BufferView]
	n := components[shape]
	stride := v.ByteStride
	if stride == 0 {
		stride = n * size
	}
	start := v.ByteOffset + a.ByteOffset
	if v.Buffer != 0 || v.ByteOffset < 0 || a.ByteOffset < 0 || stride < n*size || stride > 255 || start < 0 ||
		a.Count > 0 && start+(a.Count-1)*stride+n*size > len(r.buffer) {
		return nil, errModel
	}
	out := make([]float64, 0, a.Count*n)
	for i := range a.Count {
		for k := range n {
			out = append(out, number(r.buffer[start+i*stride+k*size:], a.ComponentType))
		}
	}
	return out, nil
}

func number(b []byte, kind int) float64 {
	switch kind {
	case typeByte:
		return float64(b[0])
	case typeShort:
		return float64(binary.LittleEndian.Uint16(b))
	case typeInt:
		return float64(binary.LittleEndian.Uint32(b))
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
}
