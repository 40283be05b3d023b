package domain

import (
	"regexp"
	"strings"
)

// auditSecret finds what has the shape of a whole key, a token or a hash. Nothing should bring one to the audit log; a user who names a key
// after itself does.
var auditSecret = regexp.MustCompile(`gaia_[A-Za-z0-9-]+_[A-Za-z0-9]{32}(?:_[A-Za-z0-9]{6})?|[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|[0-9A-Fa-f]{64}`)

// auditHash finds the hash of a password. It is apart because it consists of other characters.
var auditHash = regexp.MustCompile(`\$argon2[a-z]*\$\S+`)

const (
	maskedSecret = "[secret]"
	maxMasked    = 4 << 10 // bytes of a text that are looked at
)

// maskSecrets replaces what has the shape of a secret. Of a very long text it returns only the beginning, which no half of a secret ends.
//
// The expressions take a microsecond for each byte. So they see only what can match: a run of the characters of secrets that is long
// enough.
func maskSecrets(s string) string {
	if len(s) > maxMasked {
		s = strings.TrimRightFunc(cutText(s, maxMasked), isSecretRune)
	}
	if strings.Contains(s, "$argon2") {
		s = auditHash.ReplaceAllLiteralString(s, maskedSecret)
	}
	var masked strings.Builder
	done := 0 // so much of s is in masked
	for begin := 0; begin < len(s); {
		end := begin
		for end < len(s) && isSecretRune(rune(s[end])) {
			end++
		}
		if run := s[begin:end]; mayBeSecret(run) {
			masked.WriteString(s[done:begin])
			masked.WriteString(auditSecret.ReplaceAllLiteralString(run, maskedSecret))
			done = end
		}
		begin = end + 1
	}
	if done == 0 {
		return s
	}
	masked.WriteString(s[done:])
	return masked.String()
}

// mayBeSecret reports whether a run of the characters of secrets could match auditSecret.
func mayBeSecret(run string) bool {
	return len(run) >= 64 || len(run) >= 26 && (strings.Contains(run, "gaia_") || strings.Count(run, ".") > 1)
}

func isSecretRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '-' || r == '.'
}
