package mediafile

import (
	"bytes"
	"encoding/binary"

	"gaia/domain"
)

// textFBX reports whether a file is FBX as text.
func textFBX(head []byte) bool { return begins("; FBX ")(head) && looksLikeText(head) }

// fbx checks that the version is one that there is.
func fbx(f *file) (domain.FileFacts, error) {
	head, err := f.at(23, 4)
	if err != nil {
		return domain.FileFacts{}, broken("FBX", "it ends early")
	}
	if version := binary.LittleEndian.Uint32(head); version < 6000 || version > 20_000 {
		return domain.FileFacts{}, broken("FBX", "its version can't be read")
	}
	return domain.FileFacts{}, nil
}

// zip looks for the directory at the end, and does not open what is in it.
func zip(f *file) (domain.FileFacts, error) {
	const endSize, maxComment = 22, 65_535
	start := max(0, f.size-endSize-maxComment)
	end, err := f.upTo(start, endSize+maxComment)
	if err != nil {
		return domain.FileFacts{}, err
	}
	at := bytes.LastIndex(end, []byte("PK\x05\x06"))
	if at < 0 || len(end)-at < endSize {
		return domain.FileFacts{}, broken("ZIP", "its directory is missing")
	}
	size, offset := int64(binary.LittleEndian.Uint32(end[at+12:])), int64(binary.LittleEndian.Uint32(end[at+16:]))
	const large = 0xffffffff // the figures of a large archive stand elsewhere
	if size != large && offset != large && offset+size > start+int64(at) {
		return domain.FileFacts{}, broken("ZIP", "its directory is not where it should be")
	}
	return domain.FileFacts{}, nil
}
