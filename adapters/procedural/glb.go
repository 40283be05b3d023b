package procedural

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
)

// The parts of glTF 2.0 that are written and read: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html

type gltf struct {
	Asset       gltfAsset        `json:"asset"`
	Scene       int              `json:"scene"`
	Scenes      []gltfScene      `json:"scenes"`
	Nodes       []gltfNode       `json:"nodes"`
	Meshes      []gltfMesh       `json:"meshes"`
	Materials   []gltfMaterial   `json:"materials,omitempty"`
	Animations  []gltfAnimation  `json:"animations,omitempty"`
	Accessors   []gltfAccessor   `json:"accessors"`
	BufferViews []gltfBufferView `json:"bufferViews"`
	Buffers     []gltfBuffer     `json:"buffers"`

	// Read alone, to know of what cannot be kept.
	Textures []json.RawMessage `json:"textures,omitempty"`
	Skins    []json.RawMessage `json:"skins,omitempty"`
	Required []string          `json:"extensionsRequired,omitempty"`
}

type gltfAsset struct {
	Version   string `json:"version"`
	Generator string `json:"generator,omitempty"`
}

type gltfScene struct {
	Name  string `json:"name,omitempty"`
	Nodes []int  `json:"nodes"`
}

type gltfNode struct {
	Name        string    `json:"name,omitempty"`
	Mesh        *int      `json:"mesh,omitempty"`
	Children    []int     `json:"children,omitempty"`
	Translation []float64 `json:"translation,omitempty"`
	Rotation    []float64 `json:"rotation,omitempty"`
	Scale       []float64 `json:"scale,omitempty"`
	Matrix      []float64 `json:"matrix,omitempty"`
}

type gltfMesh struct {
	Name       string          `json:"name,omitempty"`
	Primitives []gltfPrimitive `json:"primitives"`
}

type gltfPrimitive struct {
	Attributes map[string]int `json:"attributes"`
	Indices    *int           `json:"indices,omitempty"`
	Material   *int           `json:"material,omitempty"`
	Mode       *int           `json:"mode,omitempty"`
}

type gltfMaterial struct {
	Name        string      `json:"name,omitempty"`
	PBR         gltfPBR     `json:"pbrMetallicRoughness"`
	Emissive    *[3]float64 `json:"emissiveFactor,omitempty"`
	AlphaMode   string      `json:"alphaMode,omitempty"`
	DoubleSided bool        `json:"doubleSided,omitempty"`
}

type gltfPBR struct {
	BaseColor *[4]float64 `json:"baseColorFactor,omitempty"`
	Metallic  *float64    `json:"metallicFactor,omitempty"`
	Roughness *float64    `json:"roughnessFactor,omitempty"`
}

type gltfAnimation struct {
	Name     string        `json:"name,omitempty"`
	Channels []gltfChannel `json:"channels"`
	Samplers []gltfSampler `json:"samplers"`
}

type gltfChannel struct {
	Sampler int        `json:"sampler"`
	Target  gltfTarget `json:"target"`
}

type gltfTarget struct {
	Node int    `json:"node"`
	Path string `json:"path"`
}

type gltfSampler struct {
	Input         int    `json:"input"`
	Output        int    `json:"output"`
	Interpolation string `json:"interpolation,omitempty"`
}

type gltfAccessor struct {
	BufferView    *int      `json:"bufferView,omitempty"`
	ByteOffset    int       `json:"byteOffset,omitempty"`
	ComponentType int       `json:"componentType"`
	Normalized    bool      `json:"normalized,omitempty"`
	Count         int       `json:"count"`
	Type          string    `json:"type"`
	Min           []float32 `json:"min,omitempty"`
	Max           []float32 `json:"max,omitempty"`
}

type gltfBufferView struct {
	Buffer     int `json:"buffer"`
	ByteOffset int `json:"byteOffset,omitempty"`
	ByteLength int `json:"byteLength"`
	ByteStride int `json:"byteStride,omitempty"`
	Target     int `json:"target,omitempty"`
}

type gltfBuffer struct {
	URI        string `json:"uri,omitempty"`
	ByteLength int    `json:"byteLength"`
}

// The numbers of glTF, which are OpenGL's.
const (
	typeByte     = 5121
	typeShort    = 5123
	typeInt      = 5125
	typeFloat    = 5126
	targetVertex = 34962
	targetIndex  = 34963

	glbMagic   = 0x46546c67
	glbVersion = 2
	chunkJSON  = 0x4e4f534a
	chunkBIN   = 0x004e4942
)

// writer collects the document and its one buffer.
type writer struct {
	doc  gltf
	data []byte
}

// file is the model in one of the formats.
func (m *model) file(format string) ([]byte, error) {
	w := &writer{doc: gltf{Asset: gltfAsset{Version: "2.0", Generator: "Gaia"}}}
	w.materials(m.materials)
	w.nodes(m.nodes)
	if m.motion != nil {
		w.animation(m.motion)
	}
	w.doc.Buffers = []gltfBuffer{{ByteLength: len(w.data)}}
	if format == "gltf" {
		w.doc.Buffers[0].URI = "data:application/octet-stream;base64," + base64.StdEncoding.EncodeToString(w.data)
		return json.Marshal(w.doc)
	}
	text, err := json.Marshal(w.doc)
	if err != nil {
		return nil, err
	}
	return glb(text, w.data), nil
}

// glb joins the two chunks of a binary glTF.
func glb(text, data []byte) []byte {
	for len(text)%4 != 0 {
		text = append(text, ' ')
	}
	for len(data)%4 != 0 {
		data = append(data, 0)
	}
	out := make([]byte, 0, 12+8+len(text)+8+len(data))
	for _, n := range []int{glbMagic, glbVersion, cap(out), len(text), chunkJSON} {
		out = binary.LittleEndian.AppendUint32(out, uint32(n)) // #nosec G115 -- far below 4 GB
	}
	out = append(out, text...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(data))) // #nosec G115 -- far below 4 GB
	out = binary.LittleEndian.AppendUint32(out, chunkBIN)
	return append(out, data...)
}

func (w *writer) materials(materials []material) {
	for _, m := range materials {
		metallic, roughness := tidy(m.metallic), tidy(m.roughness)
		g := gltfMaterial{Name: m.name, PBR: gltfPBR{
			BaseColor: &[4]float64{tidy(m.colour.r), tidy(m.colour.g), tidy(m.colour.b), tidy(m.alpha)}, Metallic: &metallic, Roughness: &roughness,
		}}
		if m.glow != (rgb{}) {
			g.Emissive = &[3]float64{tidy(m.glow.r), tidy(m.glow.g), tidy(m.glow.b)}
		}
		if m.alpha < 1 {
			g.AlphaMode = "BLEND"
		}
		w.doc.Materials = append(w.doc.Materials, g)
	}
}

// tidy is a number of at most four digits behind the point, from 0 to 1.
func tidy(x float64) float64 { return math.Floor(mul(clamp(x, 0, 1), 1e4)+0.5) / 1e4 }

// length is a number of at most five digits behind the point.
func length(x float64) float64 { return math.Floor(mul(x, grain)+0.5)/grain + 0 }

func (w *writer) nodes(nodes []node) {
	w.doc.Scenes = []gltfScene{{}}
	for i, n := range nodes {
		g := gltfNode{Name: n.name}
		if n.shift != (vec{}) {
			g.Translation = []float64{length(n.shift.x), length(n.shift.y), length(n.shift.z)}
		}
		if len(n.primitives) > 0 {
			mesh := len(w.doc.Meshes)
			g.Mesh = &mesh
			w.doc.Meshes = append(w.doc.Meshes, w.mesh(n))
		}
		w.doc.Nodes = append(w.doc.Nodes, g)
		if n.parent < 0 {
			w.doc.Scenes[0].Nodes = append(w.doc.Scenes[0].Nodes, i)
		} else {
			w.doc.Nodes[n.parent].Children = append(w.doc.Nodes[n.parent].Children, i)
		}
	}
}

func (w *writer) mesh(n node) gltfMesh {
	mesh := gltfMesh{Name: n.name}
	for _, p := range n.primitives {
		material := p.material
		indices := w.indices(p.indices, len(p.positions))
		g := gltfPrimitive{Indices: &indices, Material: &material, Attributes: map[string]int{
			"POSITION": w.triples(p.positions, true), "NORMAL": w.triples(p.normals, false),
		}}
		if p.tints != nil {
			g.Attributes["COLOR_0"] = w.tints(p.tints)
		}
		mesh.Primitives = append(mesh.Primitives, g)
	}
	return mesh
}

// view ends a piece of the buffer that began at start, and begins the next at a multiple of four.
func (w *writer) view(start, target int) *int {
	w.doc.BufferViews = append(w.doc.BufferViews, gltfBufferView{ByteOffset: start, ByteLength: len(w.data) - start, Target: target})
	for len(w.data)%4 != 0 {
		w.data = append(w.data, 0)
	}
	index := len(w.doc.BufferViews) - 1
	return &index
}

func (w *writer) accessor(a gltfAccessor) int {
	w.doc.Accessors = append(w.doc.Accessors, a)
	return len(w.doc.Accessors) - 1
}

func (w *writer) float(x float32) {
	w.data = binary.LittleEndian.AppendUint32(w.data, math.Float32bits(x))
}

func (w *writer) indices(indices []uint32, vertices int) int {
	start, kind := len(w.data), typeShort
	if vertices > math.MaxUint16 {
		kind = typeInt
	}
	for _, i := range indices {
		if kind == typeShort {
			w.data = binary.LittleEndian.AppendUint16(w.data, uint16(i)) // #nosec G115 -- there are no more vertices
		} else {
			w.data = binary.LittleEndian.AppendUint32(w.data, i)
		}
	}
	return w.accessor(gltfAccessor{BufferView: w.view(start, targetIndex), ComponentType: kind, Count: len(indices), Type: "SCALAR"})
}

func (w *writer) triples(triples [][3]float32, bounds bool) int {
	start := len(w.data)
	low, high := triples[0], triples[0]
	for _, t := range triples {
		for i, x := range t {
			w.float(x)
			low[i], high[i] = min(low[i], x), max(high[i], x)
		}
	}
	a := gltfAccessor{BufferView: w.view(start, targetVertex), ComponentType: typeFloat, Count: len(triples), Type: "VEC3"}
	if bounds {
		a.Min, a.Max = low[:], high[:]
	}
	return w.accessor(a)
}

// tints have four bytes each, since every element must begin at a multiple of four.
func (w *writer) tints(tints [][3]uint8) int {
	start := len(w.data)
	for _, t := range tints {
		w.data = append(w.data, t[0], t[1], t[2], 255)
	}
	return w.accessor(gltfAccessor{
		BufferView: w.view(start, targetVertex), ComponentType: typeByte, Normalized: true, Count: len(tints), Type: "VEC4",
	})
}
