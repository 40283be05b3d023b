package httpapi

import "testing"

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip": true, "br;q=1.0, gzip; q=0.5": true, "deflate": false,
		"gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=x": false, "*": false, "xgzip": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}
