//go:build linux

package filesystem_test

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gaia/adapters/filesystem"
	"gaia/domain"
)

// hunt is how long the hunt for a way out lasts; a minute is worth it when something about paths has changed.
var hunt = flag.Duration("hunt", 2*time.Second, "how long to look for a way out of the root")

// canary is what stands in every file outside of the root, and in none inside.
const canary = "the canary sings"

// watched tells what happened to files and directories, as the kernel saw it.
type watched struct {
	fd   int
	mu   sync.Mutex
	name map[int32]string
}

// watch notes from now on who opens or reads some files, or what is in some directories.
func watch(t testing.TB, paths ...string) *watched {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	must(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	w := &watched{fd: fd, name: map[int32]string{}}
	for _, path := range paths {
		id, err := syscall.InotifyAddWatch(fd, path, syscall.IN_OPEN|syscall.IN_ACCESS|syscall.IN_MODIFY)
		must(t, err)
		w.name[int32(id)] = path //nolint:gosec // watches are counted from 1
	}
	return w
}

// seen returns what was opened or read since the last call.
func (w *watched) seen(t testing.TB) []string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var events []string
	buf := make([]byte, 1<<16)
	for {
		n, err := syscall.Read(w.fd, buf)
		if errors.Is(err, syscall.EAGAIN) {
			return events
		}
		must(t, err)
		for at := 0; at < n; {
			e := (*syscall.InotifyEvent)(unsafe.Pointer(&buf[at])) //nolint:gosec // this is how the kernel writes them
			name := string(bytes.TrimRight(buf[at+syscall.SizeofInotifyEvent:at+syscall.SizeofInotifyEvent+int(e.Len)], "\x00"))
			if e.Mask&syscall.IN_Q_OVERFLOW != 0 {
				name = "more than could be noted"
			}
			events = append(events, filepath.Join(w.name[e.Wd], name))
			at += syscall.SizeofInotifyEvent + int(e.Len)
		}
	}
}

// swapping runs something again and again, until the function that it returns is called.
func swapping(t testing.TB, swap func()) (stop func()) {
	t.Helper()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
				swap()
			}
		}
	}()
	return sync.OnceFunc(func() { close(end); <-ended })
}

// trap is a root among canaries, in which directories turn into links that lead out all the time.
type trap struct {
	files  *filesystem.Filesystem
	canary *watched
	names  []string // of what is in the root, and then some

	swapped []string // paths that lead out at one moment and not at the next
}

func setTrap(t testing.TB) *trap {
	t.Helper()
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	for _, d := range []string{"a/b/c", "d", "swap", "both"} {
		must(t, os.MkdirAll(filepath.Join(root, d), 0o700))
		must(t, os.MkdirAll(filepath.Join(outside, d), 0o700))
		must(t, os.WriteFile(filepath.Join(root, d, "f"), []byte("inside"), 0o600))
		must(t, os.WriteFile(filepath.Join(outside, d, "f"), []byte(canary), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(outside, "f"), []byte(canary), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte(canary), 0o600))
	links := map[string]string{ // farms of links: out, out and in again, in steps, in circles
		"up": "..", "out": "../outside", "abs": outside, "file": "../outside/f", "a/up": "../..", "a/b/out": "../../../outside/a", "step1": "step2",
		"step2": "a/up/..", "again": "../root/a", "deep": "a/b/c/../../../../outside", "circle": "circle", "inside": "a/b", "a/b/c/back": "../..",
		"slash": "/", "proc": "/proc/self/root", "cwd": "/proc/self/cwd", "dots": "./././../outside/./f", "d/in": "../a/b/c",
	}
	for name, target := range links {
		must(t, os.Symlink(target, filepath.Join(root, name)))
	}
	must(t, os.Symlink(filepath.Join(outside, "swap"), outside+".swap"))
	must(t, os.Symlink("../../outside/f", outside+".f"))
	stop := swapping(t, func() { swapOnce(t, root, outside) })
	t.Cleanup(stop)
	names := []string{"f", "a", "b", "c", "d", "swap", "both", "root", "outside", "etc", "passwd", "..", "..", "..", ".", "", "...", "%2e%2e", "\\", "..\\", "\x00", "\xff", "~", "C:"}
	for name := range links {
		names = append(names, name)
	}
	return &trap{
		files: filesystem.New(filesystem.Config{Root: root}), names: names,
		swapped: []string{"swap/f", "both/f", "swap", "inside/../../swap/f", "again/swap/f"},
		canary: watch(t, outside, filepath.Join(outside, "a"), filepath.Join(outside, "a/b"), filepath.Join(outside, "a/b/c"), filepath.Join(outside, "d"),
			filepath.Join(outside, "swap"), filepath.Join(outside, "both"), filepath.Join(outside, "f"), filepath.Join(dir, "f")),
	}
}

// swapOnce has a directory of the root and a file become links out of it, in one step, and then what they were.
func swapOnce(t testing.TB, root, outside string) {
	exchange := func(a, b string) {
		if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
			t.Errorf("exchange %s: %v", a, err)
		}
	}
	for range 64 {
		exchange(filepath.Join(root, "swap"), outside+".swap")
		exchange(filepath.Join(root, "both", "f"), outside+".f")
	}
	_ = os.Rename(filepath.Join(root, "a", "b"), filepath.Join(root, "d", "moved")) // a parent moves while somebody is below it
	_ = os.Rename(filepath.Join(root, "d", "moved"), filepath.Join(root, "a", "b"))
}

// try asks for a path in every way there is. Whatever it is, nothing outside may show, and every failure has its meaning.
func (tr *trap) try(t testing.TB, path string) {
	t.Helper()
	f, err := tr.files.Read(t.Context(), path, 1000)
	tr.judge(t, path, err)
	part, _, err := tr.files.ReadPart(t.Context(), path, 0, 1000)
	tr.judge(t, path, err)
	if bytes.Contains(f.Content, []byte(canary)) || bytes.Contains(part, []byte(canary)) {
		t.Fatalf("read %q gave what is outside", path)
	}
	entries, _, err := tr.files.List(t.Context(), path, 0, 0)
	tr.judge(t, path, err)
	for _, e := range entries {
		if e.Size == int64(len(canary)) || e.Name == "outside" || e.Name == "passwd" {
			t.Fatalf("list %q shows what is outside: %+v", path, e)
		}
	}
	_, err = tr.files.Stat(t.Context(), path)
	tr.judge(t, path, err)
}

func (tr *trap) judge(t testing.TB, path string, err error) {
	t.Helper()
	switch domain.KindOf(err) {
	case domain.Forbidden, domain.NotFound, domain.BadRequest:
	default:
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
	}
}

// silent fails the test when anything outside was opened.
func (tr *trap) silent(t testing.TB) {
	t.Helper()
	if events := tr.canary.seen(t); len(events) > 0 {
		t.Fatalf("opened outside of the root: %q", events)
	}
}

// proof opens a canary: a watch that sees nothing then has proved nothing before.
func (tr *trap) proof(t testing.TB) {
	t.Helper()
	for _, path := range tr.canary.name {
		if f, err := os.Open(path); err == nil {
			_ = f.Close()
		}
	}
	if len(tr.canary.seen(t)) == 0 {
		t.Fatal("the watch does not see that something is opened")
	}
}

func TestNothingOutsideIsEverOpened(t *testing.T) {
	t.Parallel()
	tr := setTrap(t)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) //nolint:gosec // nothing secret comes of it
	tried := 0
	for end := time.Now().Add(*hunt); time.Now().Before(end); tried++ {
		parts := make([]string, 1+random.IntN(8))
		for i := range parts {
			parts[i] = tr.names[random.IntN(len(tr.names))]
		}
		path := strings.Join(parts, "/")
		if tried%2 == 0 { // what is swapped all the time, again and again
			path = tr.swapped[random.IntN(len(tr.swapped))]
		} else if random.IntN(8) == 0 { // and what no generator of paths would think of
			b := []byte(path)
			if len(b) > 0 {
				b[random.IntN(len(b))] = byte(random.IntN(256)) //nolint:gosec // a byte
			}
			path = string(b)
		}
		tr.try(t, path)
		if tried%64 == 0 {
			tr.silent(t)
		}
	}
	tr.silent(t)
	tr.proof(t)
	t.Logf("%d paths were tried", tried)
}

func FuzzPath(f *testing.F) {
	tr := setTrap(f)
	for _, path := range []string{
		"", ".", "..", "../f", "a/../../f", "/etc/passwd", "up/outside/f", "swap/f", "both/f", "abs/f", "step1/outside/f", "a/b/c/f", "a/./../../outside/f",
		`..\f`, "%2e%2e/f", "a\x00/f", "\xff", "slash/etc/passwd", "proc/etc/passwd", "inside/../../outside/f", "again/f", strings.Repeat("a/../", 100) + "../f",
		strings.Repeat("inside/c/back/", 30), "file", "dots", "d/in/back/c/f",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tr.try(t, path)
		tr.silent(t)
	})
}
