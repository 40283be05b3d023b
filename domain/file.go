package domain

import "time"

// FileKind says what an entry of a directory is.
type FileKind string

// The kinds, in the words of the contract.
const (
	FileRegular   FileKind = "file"
	FileDirectory FileKind = "directory"
	FileUnknown   FileKind = "unknown" // devices, pipes, sockets, links that lead out of the root or nowhere
)

// FileEntry is an entry of a directory.
type FileEntry struct {
	Name       string // UTF-8; bytes that are none are replaced, so that such a file can be seen and not be named
	Path       string // relative to the root
	Kind       FileKind
	Size       int64 // bytes; 0 for directories
	ModifiedAt time.Time
}

// File is a file with its content.
type File struct {
	Path    string
	Content []byte
}
