package mediafile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"unicode/utf8"

	"gaia/domain"
)

// maxDocument bounds the JSON of a glTF file: more than that describes no model that a game would show.
const maxDocument = 4 << 20

// maxLine bounds lines of an OBJ file.
const maxLine = 64 << 10

func isJSON(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(head) > 0 && head[0] == '{'
}

// document is what is read of a glTF document.
type document struct {
	Asset struct {
		Version string `json:"version"`
	} `json:"asset"`
	Meshes []struct {
		Primitives []primitive `json:"primitives"`
	} `json:"meshes"`
	Nodes []struct {
		Mesh *int `json:"mesh"`
	} `json:"nodes"`
	Accessors []struct {
		BufferView *int  `json:"bufferView"`
		Count      int64 `json:"count"`
	} `json:"accessors"`
	BufferViews []struct {
		ByteLength int64 `json:"byteLength"`
	} `json:"bufferViews"`
}

type primitive struct {
	Attributes map[string]int `json:"attributes"`
	Indices    *int           `json:"indices"`
	Mode       *int           `json:"mode"`
}

// readGLB checks the two chunks of binary glTF 2.0 against the file.
func readGLB(f *file, facts *domain.FileFacts) error {
	head, err := f.from(0, 20)
	if err != nil {
		return err
	}
	switch {
	case len(head) < 20:
		return broken("ends too early")
	case binary.LittleEndian.Uint32(head[4:]) != 2:
		return broken("it is not version 2")
	case int64(binary.LittleEndian.Uint32(head[8:])) != f.size:
		return broken("does not have the length that it names")
	}
	size := int64(binary.LittleEndian.Uint32(head[12:]))
	if string(head[16:20]) != "JSON" || size > maxDocument || 20+size > f.size {
		return broken("has no document that can be read")
	}
	data, err := f.from(20, size)
	if err != nil {
		return err
	}
	return readDocument(data, f.size-20-size, facts)
}

// readGLTF takes a document whose buffers may lie elsewhere: their sizes are not checked.
func readGLTF(f *file, facts *domain.FileFacts) error {
	if f.size > maxDocument {
		return broken("is too large for a document")
	}
	data, err := f.from(0, f.size)
	if err != nil {
		return err
	}
	return readDocument(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), math.MaxInt64, facts)
}

// readDocument counts the triangles. What it points to must fit into so many bytes.
func readDocument(data []byte, room int64, facts *domain.FileFacts) error {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return broken("its document is no JSON of glTF")
	}
	if !strings.HasPrefix(d.Asset.Version, "2.") {
		return broken("it is not version 2")
	}
	for _, v := range d.BufferViews {
		if v.ByteLength < 0 || v.ByteLength > room {
			return broken("its document names more data than there is")
		}
	}
	counts, ok := d.counts()
	if !ok {
		return broken("its document does not fit its data")
	}
	total := int64(0)
	for _, m := range d.shown() {
		if m < 0 || m >= len(counts) {
			return broken("its document shows what it does not have")
		}
		if total += counts[m]; total > math.MaxInt32 {
			return broken("has too many triangles")
		}
	}
	facts.Polygons = int(total)
	return nil
}

// counts are the triangles of each mesh.
func (d *document) counts() ([]int64, bool) {
	counts := make([]int64, len(d.Meshes))
	for i, m := range d.Meshes {
		for _, p := range m.Primitives {
			n, ok := d.triangles(p)
			if !ok {
				return nil, false
			}
			counts[i] += n
		}
	}
	return counts, true
}

// shown is a mesh for each time that one is drawn: several nodes may show the same. Without nodes each counts once.
func (d *document) shown() []int {
	meshes := []int{}
	for _, n := range d.Nodes {
		if n.Mesh != nil {
			meshes = append(meshes, *n.Mesh)
		}
	}
	if len(d.Nodes) == 0 {
		for m := range d.Meshes {
			meshes = append(meshes, m)
		}
	}
	return meshes
}

// triangles counts those of a part of a mesh. Points and lines have none.
func (d *document) triangles(p primitive) (int64, bool) {
	accessor, ok := p.Attributes["POSITION"]
	if p.Indices != nil {
		accessor = *p.Indices
	} else if !ok {
		return 0, true // nothing to draw
	}
	if accessor < 0 || accessor >= len(d.Accessors) {
		return 0, false
	}
	a := d.Accessors[accessor]
	if a.Count < 0 || a.Count > math.MaxInt32 {
		return 0, false
	}
	if v := a.BufferView; v != nil && (*v < 0 || *v >= len(d.BufferViews) || a.Count > d.BufferViews[*v].ByteLength) { // a byte each at the least
		return 0, false
	}
	switch mode := p.Mode; {
	case mode == nil || *mode == 4:
		return a.Count / 3, true
	case *mode == 5 || *mode == 6: // strips and fans
		return max(a.Count-2, 0), true
	case *mode >= 0 && *mode < 4:
		return 0, true
	default:
		return 0, false
	}
}

// isOBJ takes text with a line that only OBJ files have.
func isOBJ(head []byte) bool {
	if bytes.IndexByte(head, 0) >= 0 || !utf8.Valid(cutRune(head)) {
		return false
	}
	for line := range strings.Lines(string(head)) {
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "", "#":
			continue
		case "v", "vn", "vt", "o", "g", "s", "mtllib", "usemtl", "f":
			return true
		default:
			return strings.HasPrefix(word, "#")
		}
	}
	return false
}

// cutRune leaves out a character that the end has cut.
func cutRune(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if utf8.RuneStart(b[len(b)-i]) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// readOBJ counts faces: one with n corners is n-2 triangles.
func readOBJ(f *file, facts *domain.FileFacts) error {
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 4096), maxLine)
	corners := 0
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.IndexByte(line, 0) >= 0 {
			return broken("it is not text")
		}
		switch word, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" ")); string(word) {
		case "v":
			corners++
		case "f":
			facts.Polygons = min(facts.Polygons+max(len(bytes.Fields(rest))-2, 0), math.MaxInt32)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if corners == 0 {
		return broken("it has no corners")
	}
	return nil
}

// zipEnd is how much of the end of an archive can stand behind its directory.
const zipEnd = 65_557

func readZip(f *file, _ *domain.FileFacts) error {
	tail, err := f.from(f.size-zipEnd, zipEnd)
	if err != nil {
		return err
	}
	if !bytes.Contains(tail, []byte("PK\x05\x06")) {
		return broken("it has no directory")
	}
	return nil
}
