package domain

import (
	"strconv"
	"strings"
	"time"
)

// AssetCategory says what kind of thing an asset is.
type AssetCategory string

// The categories.
const (
	AssetEnvironment AssetCategory = "environment"
	AssetCharacter   AssetCategory = "character"
	AssetProp        AssetCategory = "prop"
	AssetAudio       AssetCategory = "audio"
	AssetTexture     AssetCategory = "texture"
	AssetAnimation   AssetCategory = "animation"
	AssetImage       AssetCategory = "image"
)

// AssetCategories are all of them, in the order of the contract.
func AssetCategories() []AssetCategory {
	return []AssetCategory{
		AssetEnvironment, AssetCharacter, AssetProp, AssetAudio, AssetTexture, AssetAnimation, AssetImage,
	}
}

// AssetQuality says how much work goes into an asset.
type AssetQuality string

// The qualities.
const (
	AssetLow    AssetQuality = "low"
	AssetMedium AssetQuality = "medium"
	AssetHigh   AssetQuality = "high"
	AssetUltra  AssetQuality = "ultra"
)

// AssetQualities are all of them, the least first.
func AssetQualities() []AssetQuality {
	return []AssetQuality{AssetLow, AssetMedium, AssetHigh, AssetUltra}
}

// AssetLicense says what may be done with an asset.
type AssetLicense string

// The licences.
const (
	LicenseCreativeCommons AssetLicense = "creative_commons"
	LicensePublicDomain    AssetLicense = "public_domain"
	LicenseCustom          AssetLicense = "custom"
	LicenseCommercial      AssetLicense = "commercial"
	LicenseProprietary     AssetLicense = "proprietary"
)

// AssetSource says where an asset comes from.
type AssetSource string

// The sources.
const (
	AssetFromDatabase  AssetSource = "database"  // the catalogue; uploads too
	AssetFromHybrid    AssetSource = "hybrid"    // one of the catalogue, adapted
	AssetFromGenerator AssetSource = "generated" // made for a request
	AssetFromOutside   AssetSource = "external"  // fetched from an outside collection
)

// Asset is an entry of the catalogue whose file exists. It is public, or visible to its owner alone. Nobody owns what the LLM Platform left.
type Asset struct {
	ID                  string // UUID
	Owner               string // Principal.OwnerID; empty: nobody's
	Public              bool
	Source              AssetSource
	SourceName          string // the generator or the collection; empty for uploads
	Category            AssetCategory
	Title               string // at most MaxAssetTitle characters
	Description         string
	StyleTags           []string
	File                AssetFile
	PreviewKey          string // of a PNG in the storage; empty: there is none
	URL                 string // where the file lies when that is outside of Gaia's storage; then File.Key is empty
	PreviewURL          string // where a preview lies that is outside of it
	Quality             float64
	Downloads           int64
	License             AssetLicense
	AttributionRequired bool
	Metadata            map[string]any // facts for clients
	Cost                Money          // what making it cost
	ResponseTime        time.Duration  // what making it took
	GenerationID        string         // the work that made it; empty: none
	CreatedAt           time.Time
	UpdatedAt           time.Time
}

// MaxAssetTitle bounds titles, in characters.
const MaxAssetTitle = 255

// AssetFile is a file in the storage.
type AssetFile struct {
	Key         string // in the storage
	Format      string // such as png, wav or glb
	ContentType string
	Size        int64  // bytes
	SHA256      string // hexadecimal
}

// VisibleTo reports whether an owner may see the asset.
func (a Asset) VisibleTo(owner string) bool {
	return a.Public || a.Owner == owner || owner == LinkHolder
}

// AssetNotFound says that there is no such asset, or none that the caller may see.
func AssetNotFound() *Error { return NewError(NotFound, "Asset not found") }

// AssetQuery says which assets are looked for. Zero values are no conditions.
type AssetQuery struct {
	Viewer     string    // who asks: Principal.OwnerID; what others keep to themselves is not there
	Text       string    // words; empty: the newest first
	Embedding  []float32 // what Text means, in the space of EmbeddingModel; nil: words alone
	Model      string    // the embedding model
	Similarity float64   // how alike meanings must be, 0 to 1; 0: 0.7
	Category   AssetCategory
	StyleTags  []string // all of them
	MinQuality float64
	License    AssetLicense
	Formats    []string // one of them
	MaxSize    int64    // bytes
	Limit      int
	Offset     int
}

// AssetMatch is an asset that a query found.
type AssetMatch struct {
	Asset     Asset
	Relevance float64 // 0 to 1, how well it fits Query.Text; 1 without a text
}

// AssetPage is one page of matches.
type AssetPage struct {
	Matches []AssetMatch // best first; without a text newest first
	Total   int          // how many match in all
}

// FileLease says who answers for a file that no asset has yet: it is written until then, and removed after.
type FileLease struct {
	Key     string
	Expires time.Time
}

// FileFacts is what the bytes of a file tell about it.
type FileFacts struct {
	Format      string // png, jpg, gif, webp, wav, mp3, ogg, flac, glb, gltf, obj, fbx, zip, json, …; by the bytes alone
	ContentType string
	Width       int           // of images, pixels
	Height      int           // of images, pixels
	Polygons    int           // of models: triangles
	Duration    time.Duration // of sounds, and of animations
}

// Attributes are the facts that there are, for clients.
func (f FileFacts) Attributes() map[string]any {
	facts := map[string]any{}
	if f.Width > 0 && f.Height > 0 {
		facts["width"], facts["height"] = f.Width, f.Height
	}
	if f.Polygons > 0 {
		facts["polygon_count"] = f.Polygons
	}
	if f.Duration > 0 {
		facts["duration_seconds"] = f.Duration.Seconds()
	}
	return facts
}

// ContentTypeOf is what files of a format are called on the web.
func ContentTypeOf(format string) string {
	switch format {
	case "png", "gif", "webp":
		return "image/" + format
	case "jpg":
		return "image/jpeg"
	case "mp3":
		return "audio/mpeg"
	case "wav", "ogg", "flac":
		return "audio/" + format
	case "glb":
		return "model/gltf-binary"
	case "gltf":
		return "model/gltf+json"
	case "zip", "json":
		return "application/" + format
	default:
		return "application/octet-stream"
	}
}

// Blob is a stored file as such.
type Blob struct {
	Size        int64
	ContentType string // empty where the storage keeps none
	ModifiedAt  time.Time
}

const (
	maxFileKey     = 512 // bytes
	maxFileKeyPart = 200 // so that it is a name that every file system takes
)

// CheckFileKey refuses what is no key of a file in the storage.
func CheckFileKey(key string) error {
	if len(key) > maxFileKey {
		return NewError(BadRequest, "The key of a file is too long")
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || len(part) > maxFileKeyPart || strings.ContainsFunc(part, notOfFileKeys) {
			return NewError(BadRequest, "The key of a file has parts that are not allowed")
		}
	}
	return nil
}

func notOfFileKeys(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
}

// FileTooLarge says that a file has more bytes than it may.
func FileTooLarge(limit int64) *Error {
	return NewError(TooLarge, "The file has more than "+strconv.FormatInt(limit, 10)+" bytes")
}

// FileNotFound says that the storage has no such file.
func FileNotFound() *Error { return NewError(NotFound, "File not found") }
