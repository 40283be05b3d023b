package filesystem_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gaia/adapters/filesystem"
)

func BenchmarkList1000(b *testing.B) {
	root := b.TempDir()
	for i := range 1000 {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("file%04d", i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	files := filesystem.New(filesystem.Config{Root: root})
	for _, limit := range []int{0, 100} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, total, err := files.List(b.Context(), "", limit, 0); err != nil || total != 1000 {
					b.Fatal(total, err)
				}
			}
		})
	}
}

func BenchmarkRead64KiB(b *testing.B) {
	root := b.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), bytes.Repeat([]byte("x"), 64<<10), 0o600); err != nil {
		b.Fatal(err)
	}
	files := filesystem.New(filesystem.Config{Root: root})
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		if f, err := files.Read(b.Context(), "file", 1<<20); err != nil || len(f.Content) != 64<<10 {
			b.Fatal(len(f.Content), err)
		}
	}
}
