package picture_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"gaia/adapters/internal/picture"
	"gaia/domain"
)

func TestText(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]domain.AssetRequest{
		"A sword.":                         {Description: " A\n sword "},
		"What a sword! Style: low-poly.":   {Description: "What a sword!", Style: "low-poly"},
		"Style: fantasy. It is a seamless": {Style: "fantasy", Category: domain.AssetTexture},
		"A sword. It has to be clear on a small screen. It is for virtual reality, seen from close by.": {Description: "A sword", Platform: "mobile_vr"},
		"A sword. It is for augmented reality, seen before any background.":                             {Description: "A sword", Platform: "AR"},
	} {
		if got := strings.TrimSpace(picture.Text(r, 1000)); !strings.HasPrefix(got, want) || r.Category == "" && got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What the caller says is cut, at a word. What has to be said besides is not.
func TestTextIsBounded(t *testing.T) {
	t.Parallel()
	r := domain.AssetRequest{Description: strings.Repeat("größer, ", 500), Style: "fantasy", Category: domain.AssetTexture, Platform: "mobile_vr"}
	for limit := 300; limit < 330; limit++ {
		got := picture.Text(r, limit)
		if n := utf8.RuneCountInString(got); n > limit || n < limit-10 || !strings.Contains(got, "größer. Style: fantasy. It is a seamless") ||
			!strings.HasSuffix(got, "seen from close by.") {
			t.Fatalf("limit %d: %d characters, %q", limit, n, got)
		}
	}
	if got := picture.Text(domain.AssetRequest{Description: "a sword", Style: "fantasy"}, 3); got != " Style: fantasy." {
		t.Errorf("got %q", got)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"one two", 7, "one two"}, {"one two", 6, "one"}, {"one, two", 4, "one"}, {"one two", 3, "one"}, {"onetwo", 3, "one"}, {"äöü äöü", 5, "äöü"},
		{"one", 0, ""}, {"one", -5, ""}, {"", 0, ""},
	} {
		if got := picture.Cut(c.text, c.limit); got != c.want {
			t.Errorf("%q to %d: got %q, want %q", c.text, c.limit, got, c.want)
		}
	}
}

func TestShapeOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r    domain.AssetRequest
		want picture.Shape
	}{
		{domain.AssetRequest{Description: "a sword"}, picture.Square},
		{domain.AssetRequest{Description: "A Landscape, with hills"}, picture.Landscape},
		{domain.AssetRequest{Description: "a king", Style: "portrait"}, picture.Portrait},
		{domain.AssetRequest{Description: "escaping the landscapers"}, picture.Square},
		{domain.AssetRequest{Description: "panorama of moss", Category: domain.AssetTexture}, picture.Square},
	} {
		if got := picture.ShapeOf(c.r); got != c.want {
			t.Errorf("%+v: got %d", c.r, got)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r    domain.AssetRequest
		want string
	}{
		{domain.AssetRequest{}, "png"},
		{domain.AssetRequest{Format: "jpeg"}, "jpg"},
		{domain.AssetRequest{Format: "png", MaxBytes: 1}, "png"},
		{domain.AssetRequest{MaxBytes: 100 << 20}, "png"},
		{domain.AssetRequest{MaxBytes: 1 << 20}, "jpg"},
		{domain.AssetRequest{MaxBytes: 1 << 20, Description: "a hat with a Transparent\nbackground"}, "webp"},
	} {
		if got := picture.Format(c.r); got != c.want {
			t.Errorf("%+v: got %s", c.r, got)
		}
	}
}
