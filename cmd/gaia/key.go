package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gaia/domain"
)

const keyFile = "api_key"

// globalKey is the API key in force. Outside production, when none is set, one is made on the first start and kept in the data
// folder; made reports whether that was now.
func globalKey(c config, dataDir string) (key string, made bool, err error) {
	if c.APIKey != "" || c.production() {
		return c.APIKey, false, nil
	}
	path := filepath.Join(dataDir, keyFile)
	if key, err = readKey(path); key != "" || err != nil {
		return key, false, err
	}
	key = newKey(domain.KeyEnvironment(c.Environment))
	if err := writeKey(path, key); err != nil {
		return "", false, fmt.Errorf("keep the API key: %w", err)
	}
	return key, true, nil
}

// visitorKey is the API key of the server on the same data where links lead to that server, or else one that nobody knows. It keeps none: that
// is up to the server.
func visitorKey(c config, dataDir string) (key string, err error) {
	if c.PublicURL != "" {
		key = c.APIKey
		if key == "" {
			key, err = readKey(filepath.Join(dataDir, keyFile))
		}
	}
	if key == "" && err == nil {
		key = newKey(domain.KeyEnvironment(c.Environment))
	}
	return key, err
}

// readKey reads a key that is kept; empty when there is none.
func readKey(path string) (string, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- below the data folder, which the operator has named
	switch key := strings.TrimSpace(string(data)); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read the API key: %w", err)
	case key == "":
		return "", fmt.Errorf("%s is empty: delete it and a new key is made", path)
	default:
		return key, nil
	}
}

// writeKey writes a file that is whole or not there, and only for its owner.
func writeKey(path, key string) error {
	f, err := os.CreateTemp(filepath.Dir(path), keyFile+".*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // not there any more when all went well
	_, err = f.WriteString(key + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// newKey makes an API key that nobody can guess: 190 bits of it are random.
func newKey(environment string) string { return domain.KeyText(environment, randomText(32)) }

func randomText(n int) string {
	out := make([]byte, 0, n)
	var b [1]byte
	for len(out) < n {
		_, _ = rand.Read(b[:])                                // never fails
		if i := int(b[0]) & 63; i < len(domain.KeyAlphabet) { // refusing the rest keeps every character equally likely
			out = append(out, domain.KeyAlphabet[i])
		}
	}
	return string(out)
}
