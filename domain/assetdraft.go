package domain

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AssetDraft is what somebody says about a file that is to become an asset.
type AssetDraft struct {
	Title               string // not empty
	Description         string
	Category            AssetCategory
	StyleTags           []string
	License             AssetLicense // empty: nobody has said
	AttributionRequired bool
}

// UploadedQuality is the quality of what somebody has uploaded and nobody has judged. It is not given to those who ask for an asset
// without looking at it.
const UploadedQuality = 0.5

const maxStyleTag = 64 // characters

// AssetVariant is one of the files of an asset.
type AssetVariant string

// The variants.
const (
	AssetMain    AssetVariant = "file"
	AssetPreview AssetVariant = "preview"
)

// CodeFileType says that a file is of a kind that can't be taken. BadRequest.
const CodeFileType = "unsupported_file_type"

// FileTypeRefused says why a file can't be taken.
func FileTypeRefused(message string, cause error) *Error {
	return &Error{Kind: BadRequest, Code: CodeFileType, Message: message, Cause: cause}
}

// formatsOf are the formats that files of a category may have.
func formatsOf(category AssetCategory) []string {
	switch category {
	case AssetImage, AssetTexture:
		return []string{"png", "jpg", "gif", "webp"}
	case AssetAudio:
		return []string{"wav", "mp3", "ogg", "flac"}
	default:
		return []string{"glb", "gltf", "obj", "fbx", "zip"}
	}
}

// CheckFormat refuses files of a format that things of the category do not have.
func (c AssetCategory) CheckFormat(format string) error {
	allowed := formatsOf(c)
	if slices.Contains(allowed, format) {
		return nil
	}
	return FileTypeRefused("The file is "+format+": an asset of category "+string(c)+" can be "+strings.Join(allowed, ", "), nil)
}

// ParseStyleTags reads tags that are separated by commas. Tags that are too long are a fault.
func ParseStyleTags(text string) ([]string, error) {
	tags := []string{}
	for tag := range strings.SplitSeq(text, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "" || slices.Contains(tags, tag) {
			continue
		}
		if utf8.RuneCountInString(tag) > maxStyleTag {
			return nil, InvalidInput(Fault{
				Type: "string_too_long", Loc: []any{"body", "style_tags"}, Input: tag, Msg: "String should have at most 64 characters",
				Ctx: map[string]any{"max_length": maxStyleTag},
			})
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

const maxFileName = 80 // characters, before the format

// FileName is a name under which the asset's file can be saved anywhere.
func (a Asset) FileName(variant AssetVariant) string {
	var b strings.Builder
	n, gap := 0, false
	for _, r := range a.Title {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			gap = n > 0
			continue
		}
		if n++; n > maxFileName {
			break
		}
		if gap {
			b.WriteByte('-')
			gap = false
		}
		b.WriteRune(r)
	}
	name := b.String()
	if name == "" {
		name = "asset"
	}
	switch {
	case variant == AssetPreview:
		return name + "-preview.png"
	case a.File.Format == "":
		return name
	default:
		return name + "." + a.File.Format
	}
}
