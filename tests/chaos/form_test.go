package chaos

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"mime/multipart"
)

// form is a body with a file in it.
type form struct {
	kind string
	data []byte
}

// noise is a sound of so many bytes.
func noise(chance *rand.Rand, size int) []byte {
	sound := make([]byte, size&^3)
	for i := range sound {
		sound[i] = byte(chance.Uint32())
	}
	copy(sound, "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x80\xbb\x00\x00\x00\xee\x02\x00\x04\x00\x10\x00data")
	binary.LittleEndian.PutUint32(sound[4:], uint32(len(sound)-8))   //nolint:gosec // it is small
	binary.LittleEndian.PutUint32(sound[40:], uint32(len(sound)-44)) //nolint:gosec // it is small
	return sound
}

func upload(title string, sound []byte) form {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("title", title) // nothing fails in memory
	_ = w.WriteField("category", "audio")
	part, _ := w.CreateFormFile("file", "noise.wav")
	_, _ = part.Write(sound)
	_ = w.Close()
	return form{w.FormDataContentType(), b.Bytes()}
}
