package domain

import (
	"strings"
	"testing"
)

func TestPathsOfFilesHaveOneForm(t *testing.T) {
	t.Parallel()
	const fine = Kind(255)
	for _, c := range []struct {
		path, want string
		kind       Kind
	}{
		{"", "", fine},
		{".", "", fine},
		{"./", "", fine},
		{"a/..", "", fine},
		{"a", "a", fine},
		{"a/", "a", fine},
		{"a//b/./c/", "a/b/c", fine},
		{"a/../b", "b", fine},
		{"...", "...", fine},
		{"..a", "..a", fine},
		{"a..", "a..", fine},
		{`..\..\etc`, `..\..\etc`, fine},
		{`C:\Windows`, `C:\Windows`, fine},
		{"%2e%2e/%2e%2e/etc/passwd", "%2e%2e/%2e%2e/etc/passwd", fine},
		{"\u2024\u2024/etc", "\u2024\u2024/etc", fine},
		{"\uFF0E\uFF0E\uFF0Fetc", "\uFF0E\uFF0E\uFF0Fetc", fine},
		{"a\nb", "a\nb", fine},
		{" ", " ", fine},
		{"~/x", "~/x", fine},
		{"..", "", Forbidden},
		{"../", "", Forbidden},
		{"../a", "", Forbidden},
		{"a/../../b", "", Forbidden},
		{"./../a", "", Forbidden},
		{"a/b/../../../c", "", Forbidden},
		{"/", "", Forbidden},
		{"/etc/passwd", "", Forbidden},
		{"//etc/passwd", "", Forbidden},
		{"a\x00b", "", BadRequest},
		{"a\xff", "", BadRequest},
		{strings.Repeat("a", MaxFilePath+1), "", BadRequest},
	} {
		got, err := CleanFilePath(c.path)
		if c.kind == fine && (err != nil || got != c.want) {
			t.Errorf("%.40q: %q, %v; want %q", c.path, got, err, c.want)
		}
		if c.kind != fine && (err == nil || KindOf(err) != c.kind) {
			t.Errorf("%.40q: %q, %v; want an error of kind %d", c.path, got, err, c.kind)
		}
	}
}

func TestWhatIsText(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]bool{
		"": true, "plain": true, "gr\u00fc\u00dfe \U0001F600": true, "\ufeffmarked": true, "a\tb\r\n\x1b[1m": true, "with \ufffd in it": true,
		"nul\x00": false, "latin \xe4": false, "cut \xe2\x82": false, "surrogate \xed\xa0\x80": false,
	} {
		if got := (File{Content: []byte(content)}).Text(); got != want {
			t.Errorf("%q is text: %v, want %v", content, got, want)
		}
	}
}
