package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/adapters/filesystem"
	"gaia/adapters/mcpfiles"
	"gaia/adapters/mcptools"
	"gaia/app"
)

const (
	filesDir    = "files" // below the data folder
	filesReadme = "README.md"
	largeReads  = 8 // files that are not small and are sent at once
)

//go:embed files.md
var filesReadmeText []byte

// filesServer is the name of the server of tools that look into files.
const filesServer = "files"

// fileSource is where files come from: the built-in filesystem, or a command that serves one in its place.
type fileSource struct {
	root    string
	local   *filesystem.Filesystem
	command []string // empty: none
	maxRead int64
}

// startFiles is openFiles for who serves files: the default root is made if need be.
func (c config) startFiles(dataDir string) (fileSource, error) {
	source, err := c.openFiles(dataDir)
	if err == nil && c.MCPRoot == "" {
		err = makeFilesDir(source.root)
	}
	return source, err
}

func (c config) openFiles(dataDir string) (fileSource, error) {
	root, err := c.filesRoot(dataDir)
	if err != nil {
		return fileSource{}, err
	}
	command, err := c.filesCommand()
	return fileSource{
		root: root, local: filesystem.New(filesystem.Config{Root: root}), command: command, maxRead: int64(c.MCPMaxReadMB) << 20,
	}, err
}

// filesCommand is what serves files in the place of the built-in filesystem; empty when nothing does. Old settings have npx there without
// saying of which package, which means the built-in one: nothing is downloaded because of it.
func (c config) filesCommand() ([]string, error) {
	words, err := splitWords(c.MCPCommand)
	if err != nil {
		return nil, fmt.Errorf("MCP_FILESYSTEM_COMMAND: %w", err)
	}
	if len(words) == 1 && words[0] == "npx" {
		return nil, nil
	}
	return words, nil
}

// tools is the server of tools over the same files.
func (s fileSource) tools() mcptools.Server {
	if len(s.command) > 0 {
		return mcptools.Server{Name: filesServer, Command: s.command[0], Args: append(slices.Clone(s.command[1:]), s.root)}
	}
	return mcptools.Server{
		Name: filesServer, TrustHints: true, // which Gaia itself writes
		// More than a result may hold would only be read to be cut, several times over on its way, by as many calls as run at once.
		InProcess: mcpfiles.NewServer(mcpfiles.Config{Files: s.local, MaxRead: min(s.maxRead, mcptools.MaxResultBytes), Version: build}),
	}
}

// wireFiles opens the filesystem that clients see, and says which server has tools for the same files. A command is run twice: what clients
// read may be larger than what a model gets to read.
func wireFiles(c config, dataDir string, sys *system, log *slog.Logger) (*app.Files, mcptools.Server, error) {
	source, err := c.startFiles(dataDir)
	if err != nil {
		return nil, mcptools.Server{}, err
	}
	if err := source.local.Check(); err != nil {
		log.Warn("there is no filesystem until the root is there", "MCP_FILESYSTEM_ROOT", source.root, "error", err.Error())
	}
	files := app.FilesDeps{Filesystem: source.local, MaxRead: source.maxRead, Large: app.NewSlots(largeReads)}
	if len(source.command) > 0 {
		server := source.tools()
		server.MaxResultBytes = mcptools.MaxResultBytes
		servers, err := mcptools.Open(mcptools.Config{Servers: []mcptools.Server{server}, Environment: os.LookupEnv, Version: build, Log: log})
		if err != nil {
			return nil, mcptools.Server{}, fmt.Errorf("MCP_FILESYSTEM_COMMAND: %w", err)
		}
		sys.onClose(servers.Close)
		files.Filesystem = mcpfiles.NewRemote(mcpfiles.RemoteConfig{Servers: servers, Server: filesServer, Root: source.root, NewID: newID})
	}
	return app.NewFiles(files), source.tools(), nil
}

// serveFiles shows the built-in filesystem to one MCP client on standard input and output, until that has enough.
func serveFiles(ctx context.Context, c config, in io.Reader, out io.Writer) error {
	dataDir, err := c.dataDir()
	if err != nil {
		return err
	}
	source, err := c.startFiles(dataDir)
	if err != nil {
		return err
	}
	if err := source.local.Check(); err != nil {
		return fmt.Errorf("MCP_FILESYSTEM_ROOT %s: %w", source.root, err)
	}
	server := mcpfiles.NewServer(mcpfiles.Config{Files: source.local, Root: source.root, MaxRead: source.maxRead, Version: build})
	err = server.Run(ctx, &mcp.IOTransport{Reader: io.NopCloser(in), Writer: unclosed{out}})
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil // stopped, or the client has hung up
	}
	return err
}

// splitWords splits a command line at spaces. Quotes, single or double, hold words together; nothing is expanded.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	begun := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, begun = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote does not end")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// filesRoot is the root of the filesystem. It makes none: that below the data folder is made at the first start, any other is the operator's,
// and may come later.
func (c config) filesRoot(dataDir string) (string, error) {
	if c.MCPRoot == "" {
		return filepath.Join(dataDir, filesDir), nil
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
