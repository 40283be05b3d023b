package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"gaia/tests/generators"
)

const jobSamples = 100

// jobRow is what having an asset made takes on one store, and what the generator alone takes for the same order.
type jobRow struct {
	store     string
	gaia, raw []time.Duration
}

// measureJobs has pictures made by a generator that answers at once.
func measureJobs(ctx context.Context, o options, dir string) ([]jobRow, error) {
	outside := generators.New(0)
	defer outside.Close()
	stores := []struct {
		name     string
		settings []string
	}{{"embedded (SQLite)", nil}}
	if o.database != "" {
		stores = append(stores, struct {
			name     string
			settings []string
		}{"PostgreSQL", []string{"DATABASE_URL=" + o.database}})
	}
	var rows []jobRow
	for i, s := range stores {
		progress("having assets made: %s", s.name)
		settings := append(s.settings, "OPENAI_BASE_URL="+outside.URL()+"/v1", "OPENAI_API_KEY="+generators.Key)
		row, err := measureJob(ctx, o, filepath.Join(dir, fmt.Sprintf("jobs-%d", i)), settings, outside)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		row.store = s.name
		rows = append(rows, row)
	}
	return rows, nil
}

func measureJob(ctx context.Context, o options, dir string, settings []string, outside *generators.Server) (row jobRow, err error) {
	if err := migrate(ctx, o.gaia, dir, settings); err != nil {
		return row, err
	}
	server, err := startGaia(ctx, o.gaia, dir, settings...)
	if err != nil {
		return row, err
	}
	defer server.kill()
	if _, err := server.awaitReady(ctx); err != nil {
		return row, err
	}
	c := newClient(server.url, 1)
	defer c.close()
	for i := range jobSamples + 10 { // the first ones open connections
		began := time.Now()
		if err := orderAlone(ctx, outside, i); err != nil {
			return row, err
		}
		raw := time.Since(began)
		body, err := json.Marshal(map[string]any{
			"category": "image", "style": "plain", "description": fmt.Sprintf("picture %d", i),
			"preferences": map[string]any{"allow_database": false, "allow_modifications": false, "max_wait_time_ms": 30_000},
		})
		if err != nil {
			return row, err
		}
		a, err := c.expect(ctx, request{method: http.MethodPost, path: "/api/v1/assets/generate", body: body}, http.StatusOK)
		if err != nil {
			return row, err
		}
		if i >= 10 {
			row.raw, row.gaia = append(row.raw, raw), append(row.gaia, a.took)
		}
	}
	return row, server.stop()
}

// orderAlone asks the generator as Gaia does.
func orderAlone(ctx context.Context, outside *generators.Server, n int) error {
	body := fmt.Sprintf(`{"model":"gpt-image-1.5","prompt":"alone %d","size":"1024x1024"}`, n)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, outside.URL()+"/v1/images/generations", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+generators.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	var buf bytes.Buffer
	if _, err = buf.ReadFrom(resp.Body); err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: the generator answers %d", errWrong, resp.StatusCode)
	}
	return err
}

func (r report) jobTable() table {
	t := table{head: []string{"store", "an asset, p50", "p99", "the generator alone, p50", "Gaia adds, p50"}}
	for _, row := range r.assets.jobs {
		half, raw := percentile(row.gaia, 50), percentile(row.raw, 50)
		t.add(row.store, ms(half), ms(percentile(row.gaia, 99)), ms(raw), ms(half-raw))
	}
	return t
}
