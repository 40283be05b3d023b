package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
)

// size is how many bytes an answer has on the wire, without its headers.
type size struct {
	what        string
	plain, gzip int
}

func measureSizes(ctx context.Context, c *client) ([]size, error) {
	var sizes []size
	for _, s := range []struct{ what, path string }{
		{fmt.Sprintf("list of %d personas", fewPersonas+1), listPath},
		{"page of 20 personas", listPath + "?limit=20"},
		{"one persona", listPath + "/current"},
		{"the contract", "/openapi.json"},
	} {
		r := request{method: http.MethodGet, path: s.path}
		plain, err := c.expect(ctx, r, http.StatusOK)
		if err != nil {
			return nil, err
		}
		r.header = acceptGzip
		compressed, err := c.expect(ctx, r, http.StatusOK)
		if err != nil {
			return nil, err
		}
		text, err := compressed.plain()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.what, err)
		}
		if !bytes.Equal(text, plain.body) {
			return nil, fmt.Errorf("%w: %s differs when it is compressed", errWrong, s.what)
		}
		sizes = append(sizes, size{s.what, len(plain.body), len(compressed.body)})
	}
	return sizes, nil
}
