package mediafile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"time"

	"gaia/domain"
)

const (
	maxScene     = 4 << 20  // bytes of the description of a scene in a GLB, whose data is elsewhere in it
	maxText      = 16 << 20 // bytes of a file of JSON, which may hold its data as text
	maxElements  = 100_000  // of one list of a scene
	maxPolygons  = math.MaxInt32
	maxAnimation = 24 * time.Hour
	maxLine      = 64 << 10
)

// scene is what is read of the description of a scene in glTF 2.0.
type scene struct {
	Asset struct {
		Version string `json:"version"`
	} `json:"asset"`
	Buffers list[struct {
		URI        json.RawMessage `json:"uri"` // may hold the data itself
		ByteLength int64           `json:"byteLength"`
	}] `json:"buffers"`
	BufferViews list[struct {
		Buffer     int   `json:"buffer"`
		ByteOffset int64 `json:"byteOffset"`
		ByteLength int64 `json:"byteLength"`
		ByteStride int64 `json:"byteStride"`
	}] `json:"bufferViews"`
	Accessors list[accessor] `json:"accessors"`
	Meshes    list[struct {
		Primitives list[primitive] `json:"primitives"`
	}] `json:"meshes"`
	Nodes list[struct {
		Mesh *int `json:"mesh"`
	}] `json:"nodes"`
	Animations list[struct {
		Samplers list[struct {
			Input int `json:"input"`
		}] `json:"samplers"`
	}] `json:"animations"`
}

// list is a list of JSON that is not longer than anybody needs: few bytes of text make many of memory.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if first, err := d.Token(); err != nil || first != json.Delim('[') {
		return errors.New("no list")
	}
	for d.More() {
		var element T
		if len(*l) == maxElements {
			return errors.New("the list is too long")
		}
		if err := d.Decode(&element); err != nil {
			return err
		}
		*l = append(*l, element)
	}
	return nil
}

type accessor struct {
	BufferView    *int          `json:"bufferView"`
	ByteOffset    int64         `json:"byteOffset"`
	ComponentType int           `json:"componentType"`
	Count         int64         `json:"count"`
	Type          string        `json:"type"`
	Max           list[float64] `json:"max"`
}

type primitive struct {
	Attributes struct {
		Position *int `json:"POSITION"`
	} `json:"attributes"`
	Indices *int `json:"indices"`
	Mode    *int `json:"mode"`
}

var (
	componentSizes = map[int]int64{5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
	typeSizes      = map[string]int64{"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
)

// glb reads the two parts of a binary glTF file: the description, and how long the data is.
func glb(f *file) (domain.FileFacts, error) {
	head, err := f.at(0, 20)
	if err != nil {
		return domain.FileFacts{}, broken("GLB", "it ends early")
	}
	whole, size := int64(binary.LittleEndian.Uint32(head[8:])), int64(binary.LittleEndian.Uint32(head[12:]))
	switch {
	case binary.LittleEndian.Uint32(head[4:]) != 2:
		return domain.FileFacts{}, broken("GLB", "only version 2 is known")
	case whole != f.size:
		return domain.FileFacts{}, broken("GLB", "it has another length than it says")
	case string(head[16:20]) != "JSON", size > f.size-20:
		return domain.FileFacts{}, broken("GLB", "its description is missing")
	case size > maxScene:
		return domain.FileFacts{}, domain.NewError(domain.BadRequest, "The description in the GLB file is larger than 4 MiB")
	}
	description, err := f.at(20, int(size))
	if err != nil {
		return domain.FileFacts{}, broken("GLB", "it ends early")
	}
	var s scene
	if json.Unmarshal(description, &s) != nil || !strings.HasPrefix(s.Asset.Version, "2.") {
		return domain.FileFacts{}, broken("GLB", "its description can't be read")
	}
	data, err := glbData(f, 20+size)
	if err != nil {
		return domain.FileFacts{}, err
	}
	if len(s.Buffers) > 0 && s.Buffers[0].URI == nil && s.Buffers[0].ByteLength > data {
		return domain.FileFacts{}, broken("GLB", "its data ends early")
	}
	return s.facts("GLB")
}

// glbData is how long the data is that follows the description.
func glbData(f *file, place int64) (int64, error) {
	if place == f.size {
		return 0, nil
	}
	head, err := f.at(place, 8)
	if err != nil {
		return 0, broken("GLB", "it ends early")
	}
	size := int64(binary.LittleEndian.Uint32(head))
	if size > f.size-place-8 {
		return 0, broken("GLB", "its data ends early")
	}
	if string(head[4:8]) != "BIN\x00" {
		return 0, nil
	}
	return size, nil
}

// facts counts the triangles of all meshes, and tells how long the longest animation is.
func (s *scene) facts(format string) (facts domain.FileFacts, err error) {
	for i := range s.Accessors {
		if !s.holds(s.Accessors[i]) {
			return facts, broken(format, "it has more elements than data")
		}
	}
	polygons, ok := s.polygons()
	if !ok {
		return facts, broken(format, "its triangles can't be counted")
	}
	facts.Polygons = int(polygons)
	for _, a := range s.Animations {
		for _, sampler := range a.Samplers {
			end, ok := s.end(sampler.Input)
			if !ok {
				return facts, broken(format, "an animation can't be read")
			}
			facts.Duration = max(facts.Duration, end)
		}
	}
	return facts, nil
}

// polygons counts triangles as often as they are shown: several nodes may show the same mesh. Without nodes each mesh counts once.
func (s *scene) polygons() (total int64, ok bool) {
	counts := make([]int64, len(s.Meshes)) // first: a mesh of many parts may be shown many times
	for i, mesh := range s.Meshes {
		for _, p := range mesh.Primitives {
			n, ok := s.triangles(p)
			if counts[i] += n; !ok || counts[i] > maxPolygons {
				return 0, false
			}
		}
		if len(s.Nodes) == 0 {
			total += counts[i]
		}
	}
	for _, n := range s.Nodes {
		if n.Mesh == nil {
			continue
		}
		if *n.Mesh < 0 || *n.Mesh >= len(counts) {
			return 0, false
		}
		total += counts[*n.Mesh]
	}
	return total, total <= maxPolygons
}

// holds reports whether the data of an accessor is there. One without data stands for zeros, or for what is packed by an extension.
func (s *scene) holds(a accessor) bool {
	const most = 1 << 40 // no figure above it can be right, and below it none overflows
	element := componentSizes[a.ComponentType] * typeSizes[a.Type]
	if element == 0 || a.Count < 1 || a.Count > maxPolygons {
		return false
	}
	if a.BufferView == nil {
		return true
	}
	if *a.BufferView < 0 || *a.BufferView >= len(s.BufferViews) {
		return false
	}
	v := s.BufferViews[*a.BufferView]
	if v.Buffer < 0 || v.Buffer >= len(s.Buffers) {
		return false
	}
	for _, n := range []int64{a.ByteOffset, v.ByteOffset, v.ByteLength, v.ByteStride, s.Buffers[v.Buffer].ByteLength} {
		if n < 0 || n > most {
			return false
		}
	}
	if v.ByteStride > 255 || v.ByteOffset+v.ByteLength > s.Buffers[v.Buffer].ByteLength {
		return false
	}
	stride := max(v.ByteStride, element)
	return a.ByteOffset+stride*(a.Count-1)+element <= v.ByteLength
}

func (s *scene) triangles(p primitive) (int64, bool) {
	index := p.Indices
	if index == nil {
		index = p.Attributes.Position
	}
	if index == nil {
		return 0, true // an extension knows where it is
	}
	if *index < 0 || *index >= len(s.Accessors) {
		return 0, false
	}
	n := s.Accessors[*index].Count
	mode := 4
	if p.Mode != nil {
		mode = *p.Mode
	}
	switch mode {
	case 0, 1, 2, 3: // points and lines
		return 0, true
	case 4:
		return n / 3, true
	case 5, 6: // strips and fans
		return max(0, n-2), true
	default:
		return 0, false
	}
}

// end is when the last key of an animation comes.
func (s *scene) end(input int) (time.Duration, bool) {
	if input < 0 || input >= len(s.Accessors) {
		return 0, false
	}
	last := s.Accessors[input].Max
	if len(last) != 1 {
		return 0, true // it does not say
	}
	if math.IsNaN(last[0]) || last[0] < 0 || last[0] > maxAnimation.Seconds() {
		return 0, false
	}
	return time.Duration(last[0] * float64(time.Second)), true
}

// looksLikeJSON reports whether a file may be JSON.
func looksLikeJSON(head []byte) bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}

// gltf reads a scene whose data is elsewhere, or in texts. Those are not read.
func gltf(f *file) (domain.FileFacts, error) {
	if f.size > maxText {
		return domain.FileFacts{}, domain.NewError(domain.BadRequest, "The glTF file is larger than 16 MiB: use the binary form, GLB")
	}
	data, err := f.at(0, int(f.size))
	if err != nil {
		return domain.FileFacts{}, broken("glTF", "it ends early")
	}
	var s scene
	if json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &s) != nil || !strings.HasPrefix(s.Asset.Version, "2.") {
		return domain.FileFacts{}, broken("glTF", "it is no scene of version 2")
	}
	return s.facts("glTF")
}

// looksLikeText reports whether a file may be text: no text has these bytes.
func looksLikeText(head []byte) bool {
	return len(head) > 0 && !bytes.ContainsFunc(head, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' && r != '\n' })
}

// objWords are what lines of a Wavefront OBJ file begin with.
var objWords = map[string]bool{
	"v": true, "vt": true, "vn": true, "vp": true, "f": true, "l": true, "p": true, "o": true, "g": true, "s": true, "mg": true,
	"usemtl": true, "mtllib": true, "cstype": true, "deg": true, "curv": true, "curv2": true, "surf": true, "parm": true, "trim": true,
	"hole": true, "end": true, "lod": true, "bevel": true, "shadow_obj": true, "trace_obj": true, "usemap": true, "maplib": true,
	"bmat": true, "step": true, "con": true, "scrv": true, "sp": true, "ctech": true, "stech": true, "c_interp": true, "d_interp": true,
}

// obj reads all lines of a Wavefront OBJ file: each has to be one, and there has to be something to see.
func obj(f *file) (domain.FileFacts, error) {
	from, err := f.from(0)
	if err != nil {
		return domain.FileFacts{}, err
	}
	r := bufio.NewReaderSize(from, maxLine)
	var model objModel
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) || !model.add(line) {
			return domain.FileFacts{}, errOther
		}
		if err != nil {
			break
		}
	}
	if model.vertices == 0 || model.triangles == 0 || model.triangles > maxPolygons {
		return domain.FileFacts{}, errOther
	}
	return domain.FileFacts{Polygons: model.triangles}, nil
}

// objModel is what was counted so far.
type objModel struct {
	vertices, triangles int
	corners             int  // of the face that is being read
	continued           bool // the next line belongs to this one
}

// add reads a line. It is false for lines that are not OBJ.
func (m *objModel) add(line []byte) bool {
	text, more := bytes.CutSuffix(bytes.TrimRight(line, "\r\n"), []byte("\\"))
	fields := bytes.Fields(text)
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		return false
	case m.continued && m.corners > 0:
		m.corners += len(fields)
	case m.continued, len(fields) == 0, fields[0][0] == '#':
	case !objWords[string(fields[0])]:
		return false
	case string(fields[0]) == "v":
		m.vertices++
	case string(fields[0]) == "f":
		m.corners = len(fields) - 1
	}
	if m.continued = more; !more { // one with n corners is n-2 triangles
		m.triangles += max(0, m.corners-2)
		m.corners = 0
	}
	return true
}
