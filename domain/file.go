package domain

import (
	"bytes"
	"path"
	"strings"
	"time"
	"unicode/utf8"
)

// FileKind says what an entry of a directory is.
type FileKind string

// The kinds, in the words of the contract.
const (
	FileRegular   FileKind = "file"
	FileDirectory FileKind = "directory"
	FileUnknown   FileKind = "unknown" // devices, pipes, sockets, links that lead out of the root or nowhere
)

// FileEntry is an entry of a directory. Of a symbolic link that stays below the root it tells about what the link leads to.
type FileEntry struct {
	Name       string // UTF-8; bytes that are none are replaced, so that such a file can be seen and not be named
	Path       string // relative to the root
	Kind       FileKind
	Link       bool      // a symbolic link: whoever walks a tree must not follow it, since it may lead back
	Size       int64     // bytes; 0 for directories
	ModifiedAt time.Time // UTC; 1970 where nobody knows
}

// File is a file with its content.
type File struct {
	Path    string
	Content []byte
}

// Text reports whether the content is text that JSON can carry as it is. What has a NUL in it is none: nobody could show it.
func (f File) Text() bool {
	return utf8.Valid(f.Content) && bytes.IndexByte(f.Content, 0) < 0
}

// MaxFilePath is how long a path may be, in bytes.
const MaxFilePath = 4096

// CleanFilePath brings a path below a root into its only form: names with "/" between them, none of them "." or "..", and "" for the root
// itself. A path that leaves the root by its words alone, and one that begins with "/" and so names a root of its own, are Forbidden; what
// can't name a file at all is BadRequest. Nothing is decoded and "\" is a character like any other. Symbolic links are not looked at.
func CleanFilePath(p string) (string, error) {
	switch {
	case len(p) > MaxFilePath:
		return "", NewError(BadRequest, "The path is too long")
	case strings.ContainsRune(p, 0):
		return "", NewError(BadRequest, "A path has no NUL in it")
	case !utf8.ValidString(p):
		return "", NewError(BadRequest, "A path is UTF-8")
	case strings.HasPrefix(p, "/"):
		return "", NewError(Forbidden, "Paths are relative to the root, and this one begins with a slash")
	}
	clean := path.Clean(p)
	switch {
	case clean == ".":
		return "", nil
	case clean == "..", strings.HasPrefix(clean, "../"):
		return "", LeavesRoot()
	}
	return clean, nil
}

// LeavesRoot says that a path leads out of the root. It does not say whether anything is there.
func LeavesRoot() *Error { return NewError(Forbidden, "The path leads out of the root") }
