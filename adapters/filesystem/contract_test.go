package filesystem_test

import (
	"testing"

	"gaia/adapters/filesystem"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestFilesystem(t *testing.T) {
	t.Parallel()
	portstest.Filesystem(t, func(_ *testing.T, root string) ports.Filesystem {
		return filesystem.New(filesystem.Config{Root: root})
	})
}
