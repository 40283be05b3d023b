package upstream_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"testing"

	"gaia/adapters/internal/upstream"
)

func TestForm(t *testing.T) {
	t.Parallel()
	body, kind := upstream.Form(
		upstream.FormField{Name: "prompt", Value: "a \"sword\"\r\n--x"},
		upstream.FormField{Name: "image", Value: "\x89PNG\x00", File: "image.png", ContentType: "image/png"},
	)
	name, params, err := mime.ParseMediaType(kind)
	if err != nil || name != "multipart/form-data" {
		t.Fatalf("got %s, %v", kind, err)
	}
	form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(1 << 20)
	if err != nil || len(form.Value) != 1 || len(form.File) != 1 || form.Value["prompt"][0] != "a \"sword\"\r\n--x" {
		t.Fatalf("got %+v, %v", form, err)
	}
	file := form.File["image"][0]
	f, err := file.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(f)
	if err != nil || string(data) != "\x89PNG\x00" || file.Filename != "image.png" || file.Header.Get("Content-Type") != "image/png" {
		t.Errorf("got %q, %+v, %v", data, file, err)
	}
}
