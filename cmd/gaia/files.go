package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"gaia/adapters/filesystem"
	"gaia/app"
)

const (
	filesDir    = "files" // below the data folder
	filesReadme = "README.md"
	largeReads  = 8 // files that are not small and are sent at once
)

//go:embed files.md
var filesReadmeText []byte

// wireFiles opens the filesystem that clients and tools see.
func wireFiles(c config, dataDir string, log *slog.Logger) (*app.Files, error) {
	root, err := c.filesRoot(dataDir)
	if err != nil {
		return nil, err
	}
	files := filesystem.New(filesystem.Config{Root: root})
	if err := files.Check(); err != nil {
		log.Warn("there is no filesystem until the root is there", "MCP_FILESYSTEM_ROOT", root, "error", err.Error())
	}
	return app.NewFiles(app.FilesDeps{Filesystem: files, MaxRead: int64(c.MCPMaxReadMB) << 20, Large: app.NewSlots(largeReads)}), nil
}

// filesRoot is the root of the filesystem. The one below the data folder is made at the first start; any other is the operator's, and may
// come later.
func (c config) filesRoot(dataDir string) (string, error) {
	if c.MCPRoot == "" {
		root := filepath.Join(dataDir, filesDir)
		return root, makeFilesDir(root)
	}
	root, err := filepath.Abs(c.MCPRoot)
	if err != nil {
		return "", fmt.Errorf("MCP_FILESYSTEM_ROOT: %w", err)
	}
	if holds(root, dataDir) {
		return "", errors.New("MCP_FILESYSTEM_ROOT: GAIA_DATA_DIR, with its keys and its database, is in it, and whoever may read files could read them: choose another directory")
	}
	return root, nil
}

// makeFilesDir makes the default root with something to be seen in it. Once it is there it is left alone.
func makeFilesDir(root string) error {
	err := os.Mkdir(root, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, filesReadme), filesReadmeText, 0o600)
	}
	if err != nil {
		return fmt.Errorf("make the root of the filesystem: %w", err)
	}
	return nil
}

// holds reports whether a directory is another one or one above it, under whatever names.
func holds(root, dir string) bool {
	outer, err := os.Stat(root)
	if err != nil {
		return false // it is not there, and dir is
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for ; ; dir = filepath.Dir(dir) {
		if inner, err := os.Stat(dir); err == nil && os.SameFile(outer, inner) {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}
