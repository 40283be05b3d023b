package folder_test

import (
	"testing"

	"gaia/adapters/folder"
	"gaia/ports"
	"gaia/ports/portstest"
)

func open(t *testing.T, dir string) *folder.Folder {
	t.Helper()
	f, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestBlobStore(t *testing.T) {
	t.Parallel()
	portstest.BlobStore(t, func(t *testing.T) ports.BlobStore { return open(t, t.TempDir()) })
}
