package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"gaia/tests/gaiatest"
)

// restarted is a server whose processes take each other's place.
type restarted struct {
	t   *testing.T
	dir string
	log string
	url string
}

// startRestarted starts one as a service manager does: without a terminal, with a file for its output.
func startRestarted(t *testing.T, settings gaiatest.Settings) *restarted {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("restarts without a gap are for Linux")
	}
	r := &restarted{t: t, dir: t.TempDir()}
	r.log = filepath.Join(r.dir, "log")
	out, err := os.Create(r.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(gaiatest.Program(t), "serve")
	all := gaiatest.Settings{
		"SERVICE_PORT": "0", "RATE_LIMIT_REQUESTS": "0", "ECHO_WORD_DELAY": "0.01", "API_KEY": gaiatest.APIKey, "GAIA_DATA_DIR": r.dir,
		"LOCAL_ACCOUNTS": "off", "PATH": os.Getenv("PATH"), "HOME": r.dir, "LOG_LEVEL": "INFO", "MAX_CONCURRENT_REQUESTS": "1000",
	}
	maps.Copy(all, settings)
	for name, value := range all {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	t.Cleanup(r.stop)
	gaiatest.Eventually(t, patience, "the server listens", func() bool { return len(r.listening()) > 0 })
	r.url = "http://" + r.listening()[0].Address
	return r
}

// serving is a line of the log in which a process says that it listens.
type serving struct {
	Msg, Address string
	PID          int
}

func (r *restarted) listening() (all []serving) {
	data, err := os.ReadFile(r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var s serving
		if json.Unmarshal(line, &s) == nil && s.Msg == "listening" {
			all = append(all, s)
		}
	}
	return all
}

func (r *restarted) pid() int {
	all := r.listening()
	return all[len(all)-1].PID
}

// hangUp asks for a restart and returns when another process, or the same one once more, listens.
func (r *restarted) hangUp() {
	r.t.Helper()
	before := len(r.listening())
	if err := syscall.Kill(r.pid(), syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	gaiatest.Eventually(r.t, patience, "the server listens again", func() bool { return len(r.listening()) > before })
}

func (r *restarted) says(text string) bool {
	data, err := os.ReadFile(r.log)
	return err == nil && strings.Contains(string(data), text)
}

// processes of this server, by what they have as their folder.
func (r *restarted) processes() (pids []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if cwd, err := os.Readlink(dir + "/cwd"); err == nil && cwd == r.dir {
			pids = append(pids, filepath.Base(dir))
		}
	}
	return pids
}

func (r *restarted) stop() {
	for _, s := range r.listening() {
		_ = syscall.Kill(s.PID, syscall.SIGTERM)
	}
	gaiatest.Eventually(r.t, patience, "all processes end", func() bool { return len(r.processes()) == 0 })
	if data, err := os.ReadFile(r.log); err != nil || bytes.Contains(data, []byte("DATA RACE")) || bytes.Contains(data, []byte("panic: ")) || r.t.Failed() {
		r.t.Errorf("%v\n%s", err, data[max(0, len(data)-8<<10):])
	}
}

func descriptors(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

// hammered is load on a server, of which not one request may fail.
type hammered struct {
	url              string
	requests, failed atomic.Int64
	fault            atomic.Value // string: the first
	end              chan struct{}
	clients          sync.WaitGroup
}

func (h *hammered) fail(format string, args ...any) {
	h.failed.Add(1)
	h.fault.CompareAndSwap(nil, fmt.Sprintf(format, args...))
}

// keep has a client send one request after the other.
func (h *hammered) keep(kept bool, method, path, body string, whole func([]byte) bool) {
	h.clients.Go(func() {
		transport := &http.Transport{DisableKeepAlives: !kept}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: patience}
		for ended := false; !ended; { // at least one
			select {
			case <-h.end:
				ended = true
			default:
			}
			req, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
			if err != nil {
				h.fail("%v", err)
				return
			}
			req.Header.Set("X-API-Key", gaiatest.APIKey)
			req.Header.Set("Content-Type", "application/json")
			h.requests.Add(1)
			resp, err := client.Do(req)
			if err != nil {
				h.fail("%s: %v", path, err)
				continue
			}
			answer, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK || !whole(answer) {
				h.fail("%s: %d, %v: %.1000s", path, resp.StatusCode, err, answer[max(0, len(answer)-1000):])
			}
		}
	})
}

// hammer sends requests on new connections and kept ones, and streams.
func hammer(url string) *hammered {
	h := &hammered{url: url, end: make(chan struct{})}
	isJSON := func(b []byte) bool { return json.Valid(b) }
	finished := func(b []byte) bool {
		return bytes.HasSuffix(b, []byte("data: [DONE]\n\n")) && !bytes.Contains(b, []byte(`"error"`))
	}
	const stateless = `"messages":[{"role":"user","content":"Say what you can say"}]`
	for _, kept := range []bool{false, true} {
		h.keep(kept, http.MethodGet, "/api/v0.2/personas", "", isJSON)
		h.keep(kept, http.MethodPost, "/api/v1/chat/completions", "{"+stateless+"}", isJSON)
		h.keep(kept, http.MethodPost, "/api/v1/chat/completions", "{"+stateless+`,"stream":true}`, finished)
		h.keep(kept, http.MethodPost, "/api/v0.2/chat/stream", `{"message":"Say what you can say"}`, finished)
	}
	return h
}

func (h *hammered) wantNoFailure(t *testing.T) {
	t.Helper()
	close(h.end)
	h.clients.Wait()
	if n := h.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", n, h.requests.Load(), h.fault.Load())
	}
	t.Logf("%d requests, %d failed", h.requests.Load(), h.failed.Load())
}

// TestRestartWithoutAGap: SIGHUP has a successor started; nobody is refused, nothing is cut off, nothing piles up.
func TestRestartWithoutAGap(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	r := startRestarted(t, b.Settings)
	first, open := r.pid(), descriptors(r.pid())
	h := hammer(r.url)
	for range 20 {
		r.hangUp()
	}
	h.wantNoFailure(t)
	if r.pid() == first {
		t.Error("the same process serves as before")
	}
	gaiatest.Eventually(t, patience, "those before have gone", func() bool { return len(r.processes()) == 1 })
	gaiatest.Eventually(t, patience, "descriptors don't pile up", func() bool { return descriptors(r.pid()) < open+16 })

	if err := os.WriteFile(filepath.Join(r.dir, ".env"), []byte("DATABASE_POOL_SIZE=0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := r.pid()
	h = hammer(r.url)
	if err := syscall.Kill(old, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	gaiatest.Eventually(t, patience, "the log says why there was no restart", func() bool { return r.says("not restarted") && r.says("DATABASE_POOL_SIZE") })
	h.wantNoFailure(t)
	if r.pid() != old || !slices.Equal(r.processes(), []string{fmt.Sprint(old)}) {
		t.Errorf("processes %v, want %d alone", r.processes(), old)
	}
}

// TestRestartInPlace: what nobody else may use, the embedded database and bus, is handed over by being closed. Clients wait meanwhile.
func TestRestartInPlace(t *testing.T) {
	t.Parallel()
	r := startRestarted(t, nil)
	pid, open := r.pid(), descriptors(r.pid())
	h := hammer(r.url)
	for range 5 {
		r.hangUp()
	}
	h.wantNoFailure(t)
	if r.pid() != pid {
		t.Errorf("process %d, want %d", r.pid(), pid)
	}
	gaiatest.Eventually(t, patience, "descriptors don't pile up", func() bool { return descriptors(pid) < open+16 })
	if err := os.WriteFile(filepath.Join(r.dir, ".env"), []byte("DATABASE_POOL_SIZE=0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	gaiatest.Eventually(t, patience, "the log says why there was no restart", func() bool { return r.says("not restarted") && r.says("DATABASE_POOL_SIZE") })
	h = hammer(r.url)
	h.wantNoFailure(t)
}

// TestRestartBehindAGateway: clients do not notice that the only process of a service gives way to another.
func TestRestartBehindAGateway(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	b.Settings["INTERNAL_AUTH_SECRET"] = "a-secret-between-services-of-tests"
	settings := maps.Clone(b.Settings)
	settings["SERVICES"], settings["SUPABASE_JWT_SECRET"] = "chat", gaiatest.JWTSecret
	chat := startRestarted(t, settings)
	gateway := b.Start(t, gaiatest.Settings{"SERVICES": "gateway,auth,asset", "CHAT_SERVICE_URL": chat.url, "MAX_CONCURRENT_REQUESTS": "1000", "LOG_LEVEL": "INFO"})
	h := hammer(gateway.URL())
	for range 5 {
		chat.hangUp()
	}
	gaiatest.Eventually(t, patience, "those before have gone", func() bool { return len(chat.processes()) == 1 })
	h.wantNoFailure(t)
}

// TestRestartKeepsOperators: who scrapes metrics finds them at the same address after a restart, and the successor does not find it taken.
func TestRestartKeepsOperators(t *testing.T) {
	t.Parallel()
	settings := maps.Clone(gaiatest.Full(t).Settings)
	settings["ADMIN_ADDRESS"] = "127.0.0.1:0"
	r := startRestarted(t, settings)
	addresses := func() (all []string) {
		data, err := os.ReadFile(r.log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var s struct {
				At string `json:"admin_address"`
			}
			if json.Unmarshal(line, &s) == nil && s.At != "" {
				all = append(all, s.At)
			}
		}
		return all
	}
	first := r.pid()
	r.hangUp()
	gaiatest.Eventually(t, patience, "the process before is gone", func() bool { return len(r.processes()) == 1 })
	all := addresses()
	if len(all) != 2 || all[0] != all[1] || r.pid() == first {
		t.Fatalf("operators are answered at %q, by %d and %d", all, first, r.pid())
	}
	resp, err := http.Get("http://" + all[0] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("metrics: %s", resp.Status)
	}
}
