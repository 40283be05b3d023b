package e2e

import (
	"errors"
	"io"
	"os/exec"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/tests/gaiatest"
)

// visitor is a `gaia mcp` that this test has started.
type visitor struct {
	*mcp.ClientSession
	cmd   *exec.Cmd
	input io.Closer
	ended chan error
}

// visit starts `gaia mcp` alone on a folder, where nothing is made.
func visit(t *testing.T, dir string, o *mcp.ClientOptions) *visitor {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gaiatest.Program(t), "mcp")
	cmd.Env = []string{"GAIA_DATA_DIR=" + dir, "MAX_CONCURRENT_GENERATIONS=0"}
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, o).Connect(t.Context(), &mcp.IOTransport{Reader: out, Writer: in}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{ClientSession: session, cmd: cmd, input: in, ended: make(chan error, 1)}
}

// end has the process end in a way, and waits for that.
func (v *visitor) end(t *testing.T, how func() error) {
	t.Helper()
	if err := how(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = v.Wait() // until its output ends, which must be read before
		v.ended <- v.cmd.Wait()
	}()
	if err := soon(t, v.ended); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestMCPAssetsOfAClientThatLeaves: work that nobody could ask for again ends with the process of the client that waits for it, however that
// ends; with a key it is there for the next one.
func TestMCPAssetsOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(*visitor) error{
		"input ends":  func(v *visitor) error { return v.input.Close() },
		"told to end": func(v *visitor) error { return v.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			left := map[string]string{}
			for _, key := range []string{"", "k"} {
				options, heard := hearing()
				v := visit(t, dir, options)
				go func() { // it gets no answer
					_, _ = v.CallTool(t.Context(), &mcp.CallToolParams{
						Name: "generate_asset", Arguments: swordWish(map[string]any{"idempotency_key": key}), Meta: mcp.Meta{"progressToken": "p"},
					})
				}()
				left[key], _ = nextProgress(t, heard).Meta["gaia/assetId"].(string)
				v.end(t, func() error { return how(v) })
			}
			next := visit(t, dir, nil)
			if got := callTool(t, next.ClientSession, "get_asset", map[string]any{"asset_id": left[""]}); got["status"] != "cancelled" {
				t.Errorf("without a key it is %v", got)
			}
			again := callTool(t, next.ClientSession, "generate_asset", swordWish(map[string]any{"idempotency_key": "k", "timeout_seconds": 0}))
			if again["asset_id"] != left["k"] || again["status"] != "pending" {
				t.Errorf("with a key it is %v, not %s", again, left["k"])
			}
			next.end(t, next.input.Close)
		})
	}
}
