package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// listTimes are times of list reads by one client that waits for each answer. Cold is the first read after a write, which made every
// kept list invalid; warm is the read after that; unchanged is one by a client that shows the ETag of the list it has. Nothing is a
// request that gaia has no work with: no read can be faster.
type listTimes struct {
	personas              int
	plain, gzip           readTimes
	unchanged, nothing    []time.Duration
	plainBytes, gzipBytes int
}

type readTimes struct{ cold, warm []time.Duration }

// measureLists writes to one persona and reads the list, again and again.
func measureLists(ctx context.Context, c *client, id string, times int) (listTimes, error) {
	progress("writing and reading lists, %d times", 2*times)
	var t listTimes
	var reads reader
	for i := range 2 * times {
		mark := fmt.Sprintf("Changed for the %dth time.", i)
		if err := change(ctx, c, id, mark); err != nil {
			return t, err
		}
		r := request{method: http.MethodGet, path: listPath}
		side := &t.plain
		if i%2 == 1 {
			r.header, side = acceptGzip, &t.gzip
		}
		cold, warm, err := reads.twice(ctx, c, r, mark)
		if err != nil {
			return t, err
		}
		side.cold, side.warm = append(side.cold, cold.took), append(side.warm, warm.took)
		if i%2 == 1 {
			t.gzipBytes = len(warm.body)
			continue
		}
		t.plainBytes = len(warm.body)
		t.personas = bytes.Count(warm.body, []byte(`"system_prompt":`))
		r.header = http.Header{"If-None-Match": {warm.header.Get("ETag")}}
		same, err := c.expect(ctx, r, http.StatusNotModified)
		if err != nil {
			return t, err
		}
		nothing, err := c.expect(ctx, request{method: http.MethodGet, path: "/livez"}, http.StatusOK)
		if err != nil {
			return t, err
		}
		t.unchanged, t.nothing = append(t.unchanged, same.took), append(t.nothing, nothing.took)
	}
	return t, nil
}

func change(ctx context.Context, c *client, id, mark string) error {
	r := request{method: http.MethodPut, path: listPath + "/" + id, body: fmt.Appendf(nil, `{"description":%q}`, mark)}
	_, err := c.expect(ctx, r, http.StatusOK)
	return err
}

// reader keeps the memory that answers are read into: growing it would be measured too.
type reader struct{ cold, warm bytes.Buffer }

// twice reads cold and warm, and makes sure that the first read shows what was just written.
func (b *reader) twice(ctx context.Context, c *client, r request, mark string) (cold, warm answer, err error) {
	if cold, err = c.expectInto(ctx, r, http.StatusOK, &b.cold); err != nil {
		return cold, warm, err
	}
	if warm, err = c.expectInto(ctx, r, http.StatusOK, &b.warm); err != nil {
		return cold, warm, err
	}
	text, err := cold.plain()
	switch {
	case err != nil:
	case !bytes.Contains(text, []byte(mark)):
		err = fmt.Errorf("%w: the list does not show what was written before", errWrong)
	case !bytes.Equal(cold.body, warm.body):
		err = fmt.Errorf("%w: two lists differ with no write between them", errWrong)
	}
	return cold, warm, err
}

// plain is the body without compression.
func (a answer) plain() ([]byte, error) {
	if a.header.Get("Content-Encoding") != "gzip" {
		return a.body, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
