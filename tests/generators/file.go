package generators

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
)

// PNG is a picture of 64 x 64 pixels.
func PNG() []byte {
	img := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for i := range 64 * 64 {
		img.SetNRGBA(i%64, i/64, color.NRGBA{uint8(i), uint8(i / 64 * 4), 128, 255})
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// GLB is a model of one triangle.
func GLB() []byte {
	var bin bytes.Buffer
	for _, v := range []float32{0, 0, 0, 1, 0, 0, 0, 1, 0} {
		_ = binary.Write(&bin, binary.LittleEndian, math.Float32bits(v))
	}
	doc := fmt.Sprintf(`{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"mesh":0}],`+
		`"meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],"buffers":[{"byteLength":%d}],`+
		`"bufferViews":[{"buffer":0,"byteLength":%d}],`+
		`"accessors":[{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3","min":[0,0,0],"max":[1,1,0]}]}`, bin.Len(), bin.Len())
	for len(doc)%4 != 0 {
		doc += " "
	}
	var out bytes.Buffer
	chunk := func(kind uint32, data []byte) {
		_ = binary.Write(&out, binary.LittleEndian, []uint32{uint32(len(data)), kind}) //nolint:gosec // some hundred bytes
		out.Write(data)
	}
	_ = binary.Write(&out, binary.LittleEndian, []uint32{0x46546C67, 2, uint32(12 + 8 + len(doc) + 8 + bin.Len())}) //nolint:gosec // some hundred bytes
	chunk(0x4E4F534A, []byte(doc))
	chunk(0x004E4942, bin.Bytes())
	return out.Bytes()
}
