package domain

import (
	"hash/crc32"
	"regexp"
	"strings"
)

// API keys that Gaia makes read
//
//	gaia_<environment>_<32 random characters>_<6 characters of checksum>
//
// The beginning lets scanners find a key that leaked, and the checksum lets them and the gateway tell a key from a typo without asking
// a database. Keys of the old platform are without the checksum, or have no such form at all.
const (
	keyBrand       = "gaia_"
	keyRandom      = 32
	keySum         = 6
	maxEnvironment = 16
	keyPrefixShown = 4 // of the random characters
)

// KeyAlphabet is what the random part and the checksum of a key consist of.
const KeyAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// KeyPattern finds API keys of Gaia in other text. It is written for secret scanners too: it needs no look-around.
const KeyPattern = `\bgaia_[A-Za-z0-9-]{1,16}_[A-Za-z0-9]{32}_[A-Za-z0-9]{6}\b`

var keyShape = regexp.MustCompile(`^gaia_[A-Za-z0-9-]+_[A-Za-z0-9]{32}(_[A-Za-z0-9]{6})?$`)

// maxKeyShape is longer than every key that Gaia or the old platform makes.
const maxKeyShape = 128

// HasKeyShape reports whether a text looks like an API key of Gaia or of the old platform, whether it is one or not.
func HasKeyShape(s string) bool {
	return len(s) <= maxKeyShape && strings.HasPrefix(s, keyBrand) && keyShape.MatchString(s)
}

// IsMistypedKey reports whether a text has the form of the keys that Gaia makes, but not the checksum: nobody has ever got it.
func IsMistypedKey(s string) bool {
	body := len(s) - keySum - 1
	if body < 0 || !HasKeyShape(s) || s[body] != '_' || strings.Count(s, "_") != 3 {
		return false
	}
	return keyChecksum(s[:body]) != s[body+1:]
}

// KeyText puts a key together. random must be 32 characters of KeyAlphabet that nobody can guess.
func KeyText(environment, random string) string {
	body := keyBrand + environment + "_" + random
	return body + "_" + keyChecksum(body)
}

// KeyBeginning is as much of a key as may be shown to tell keys apart.
func KeyBeginning(key string) string {
	if !HasKeyShape(key) {
		return ""
	}
	random := strings.LastIndexByte(key[:len(key)-keySum-1], '_') + 1
	return key[:random+keyPrefixShown]
}

// keyChecksum writes the CRC-32 of s in six characters, most significant first.
func keyChecksum(s string) string {
	sum := crc32.ChecksumIEEE([]byte(s))
	var out [keySum]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = KeyAlphabet[sum%uint32(len(KeyAlphabet))]
		sum /= uint32(len(KeyAlphabet))
	}
	return string(out[:])
}

// keyEnvironments are the short names of the usual deployments.
var keyEnvironments = map[string]string{"": "dev", "development": "dev", "production": "live", "testing": "test"}

// KeyEnvironment is the part of a key that says where it belongs, made from the name of the deployment: "dev" for development, "live" for
// production, otherwise the name itself in lower case, without what a key can't hold.
func KeyEnvironment(deployment string) string {
	name := strings.ToLower(strings.TrimSpace(deployment))
	if short, ok := keyEnvironments[name]; ok {
		return short
	}
	name = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, name)
	if name = name[:min(len(name), maxEnvironment)]; name == "" {
		return keyEnvironments[""]
	}
	return name
}
