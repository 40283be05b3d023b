package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"
)

const (
	transferBytes  = 64 << 20
	transferRounds = 5
	// goalTransfer is the least part of the speed of a plain copy: an upload is also brought to the disk, summed and looked into.
	goalTransfer = 0.25
)

// transferRow is one way that files go, through Gaia and through a server that does nothing but copy.
type transferRow struct {
	name        string
	gaia, plain []time.Duration
}

// measureTransfers sends files to an embedded server and fetches them again.
func measureTransfers(ctx context.Context, o options, dir string) ([]transferRow, error) {
	progress("uploads and downloads of %d MiB", transferBytes>>20)
	server, err := startGaia(ctx, o.gaia, filepath.Join(dir, "transfers"))
	if err != nil {
		return nil, err
	}
	defer server.kill()
	if _, err := server.awaitReady(ctx); err != nil {
		return nil, err
	}
	plainFile := filepath.Join(dir, "plain")
	plain := httptest.NewServer(plainCopy(plainFile))
	defer plain.Close()
	contentType, form, err := uploadForm()
	if err != nil {
		return nil, err
	}
	up, down := transferRow{name: "upload"}, transferRow{name: "download"}
	for range transferRounds {
		took, answer, err := transfer(ctx, http.MethodPost, server.url+"/api/v1/assets/upload", contentType, form)
		if err != nil {
			return nil, err
		}
		up.gaia = append(up.gaia, took)
		var uploaded struct {
			URL string `json:"upload_url"`
		}
		if err := json.Unmarshal(answer, &uploaded); err != nil {
			return nil, err
		}
		if took, _, err = transfer(ctx, http.MethodGet, uploaded.URL, "", nil); err != nil {
			return nil, err
		}
		down.gaia = append(down.gaia, took)
		if took, _, err = transfer(ctx, http.MethodPost, plain.URL, contentType, form); err != nil {
			return nil, err
		}
		up.plain = append(up.plain, took)
		if took, _, err = transfer(ctx, http.MethodGet, plain.URL, "", nil); err != nil {
			return nil, err
		}
		down.plain = append(down.plain, took)
	}
	return []transferRow{up, down}, server.stop()
}

// plainCopy keeps the last body as a file, and serves it.
func plainCopy(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.ServeFile(w, r, path)
			return
		}
		f, err := os.Create(path) //nolint:gosec // a path of the run
		if err == nil {
			_, err = io.Copy(f, r.Body)
			_ = f.Close() // what is not on the disk is in memory
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// uploadForm is a form with a sound that nothing shortens.
func uploadForm() (contentType string, form []byte, err error) {
	sound := make([]byte, 44, transferBytes)
	copy(sound, "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x80\xbb\x00\x00\x00\xee\x02\x00\x04\x00\x10\x00data")
	sound = sound[:transferBytes]
	_, _ = rand.NewChaCha8([32]byte{1}).Read(sound[44:]) // never fails
	binary.LittleEndian.PutUint32(sound[4:], transferBytes-8)
	binary.LittleEndian.PutUint32(sound[40:], transferBytes-44)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range map[string]string{"title": "Noise", "category": "audio"} {
		if err := w.WriteField(name, value); err != nil {
			return "", nil, err
		}
	}
	part, err := w.CreateFormFile("file", "noise.wav")
	if err == nil {
		_, err = part.Write(sound)
	}
	if err == nil {
		err = w.Close()
	}
	return w.FormDataContentType(), b.Bytes(), err
}

// transfer makes a request and reads the answer to its end. A long one is not kept.
func transfer(ctx context.Context, method, url, contentType string, body []byte) (time.Duration, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Api-Key", apiKey)
	begun := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	head, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w to %s: status %d: %.300s", errWrong, method, res.StatusCode, head)
	}
	return time.Since(begun), head, err
}

func (r report) transferTable() table {
	t := table{head: []string{"file", "MB/s", "plain copy, MB/s", "ratio", "goal"}}
	for _, row := range r.assets.transfers {
		gaia, plain := speed(percentile(row.gaia, 50)), speed(percentile(row.plain, 50))
		t.add(row.name, fmt.Sprintf("%.0f", gaia), fmt.Sprintf("%.0f", plain), fmt.Sprintf("%.2f", gaia/plain), verdict(gaia/plain >= goalTransfer))
	}
	return t
}

func speed(took time.Duration) float64 { return transferBytes / 1e6 / took.Seconds() }
