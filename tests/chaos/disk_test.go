package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// disk is a small file system, so that it can be full.
type disk struct {
	t    *testing.T
	path string
}

// smallDisk names a folder that is the only thing on a small file system, for who may not mount one.
const smallDisk = "GAIA_TEST_SMALL_DISK"

// diskSize is more than the assets of a run need.
const diskSize = "128m"

// newDisk makes a file system of a folder. It is nil where nobody may do that: then that one fault is left out, and the log says so.
func newDisk(t *testing.T, folder string) *disk {
	t.Helper()
	if path := os.Getenv(smallDisk); path != "" {
		inside, err := os.MkdirTemp(path, "gaia-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(inside) })
		return &disk{t, inside}
	}
	if err := asRoot("mount", "-t", "tmpfs", "-o", "mode=0777,size="+diskSize, "gaia-test", folder); err != nil {
		if *updateFaults {
			t.Fatal(err) // the table has a row about it
		}
		t.Logf("LEFT OUT: a full disk of assets, for want of a small file system: run this as somebody who may mount one, or set %s: %v", smallDisk, err)
		return nil
	}
	t.Cleanup(func() {
		if err := asRoot("umount", folder); err != nil {
			t.Error(err)
		}
	})
	return &disk{t, folder}
}

// asRoot runs what only root may.
func asRoot(args ...string) error {
	if os.Geteuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput() //nolint:gosec // commands of this file
	if err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, out)
	}
	return nil
}

// filler is what fills it.
func (d *disk) filler() string { return filepath.Join(d.path, ".filler") }

func (d *disk) fill() {
	file, err := os.Create(d.filler())
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is full, which is all that is wanted
	for size := 1 << 20; size > 0; {
		if _, err = file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *disk) empty() {
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}
