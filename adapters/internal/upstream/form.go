package upstream

import (
	"bytes"
	"mime/multipart"
	"net/textproto"
)

// FormField is a field of a form, or a file in it.
type FormField struct {
	Name, Value string
	File        string // its name; empty: the field is none. It needs no quoting
	ContentType string // of a file
}

// Form writes a body of multipart/form-data, and names its type with the boundary.
func Form(fields ...FormField) (body []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b) // a buffer takes everything: there are no errors
	for _, f := range fields {
		if f.File == "" {
			_ = w.WriteField(f.Name, f.Value)
			continue
		}
		part, _ := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="` + f.Name + `"; filename="` + f.File + `"`}, "Content-Type": {f.ContentType},
		})
		_, _ = part.Write([]byte(f.Value))
	}
	_ = w.Close()
	return b.Bytes(), w.FormDataContentType()
}
