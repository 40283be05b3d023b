package telemetry

import (
	"encoding/binary"
	"math"
)

// message writes a message in the wire format of Protocol Buffers. OTLP needs a dozen small messages; the library for all that there
// might be, with what it brings along, would make the program larger by a tenth.
type message []byte

// Types of fields on the wire.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func (m *message) tag(field, kind uint64) { *m = binary.AppendUvarint(*m, field<<3|kind) }

func (m *message) varint(field, value uint64) {
	if value == 0 {
		return
	}
	m.tag(field, wireVarint)
	*m = binary.AppendUvarint(*m, value)
}

func (m *message) fixed64(field, value uint64) {
	m.tag(field, wireFixed64)
	*m = binary.LittleEndian.AppendUint64(*m, value)
}

func (m *message) fixed32(field uint64, value uint32) {
	m.tag(field, wireFixed32)
	*m = binary.LittleEndian.AppendUint32(*m, value)
}

func (m *message) double(field uint64, value float64) { m.fixed64(field, math.Float64bits(value)) }

func (m *message) bytes(field uint64, value []byte) {
	m.tag(field, wireBytes)
	*m = binary.AppendUvarint(*m, uint64(len(value)))
	*m = append(*m, value...)
}

func (m *message) text(field uint64, value string) {
	if value != "" {
		m.bytes(field, []byte(value))
	}
}

// within writes a message in the place of a field.
func (m *message) within(field uint64, write func(*message)) {
	var inner message
	write(&inner)
	m.bytes(field, inner)
}

// appendInt writes an int64 as a varint: one below 0 has ten bytes.
func appendInt(to message, value int64) message {
	return binary.AppendUvarint(to, uint64(value)) // #nosec G115 -- the bits are what is wanted
}

func packFixed(values []uint64) []byte {
	packed := make([]byte, 0, 8*len(values))
	for _, v := range values {
		packed = binary.LittleEndian.AppendUint64(packed, v)
	}
	return packed
}

func packDoubles(values []float64) []byte {
	packed := make([]byte, 0, 8*len(values))
	for _, v := range values {
		packed = binary.LittleEndian.AppendUint64(packed, math.Float64bits(v))
	}
	return packed
}
