package domain

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Redacted stands where something is that nobody may see.
const Redacted = "[redacted]"

// RedactArguments returns the arguments of a call as others than the tool may see them: each argument that spec.Redact names is
// replaced whole, whatever it holds. Names are compared without regard to case, as some servers read them. Arguments that are no
// JSON object show nothing.
func RedactArguments(spec ToolSpec, raw json.RawMessage) map[string]any {
	var arguments map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // figures stay as they are written
	if d.Decode(&arguments) != nil || arguments == nil {
		return map[string]any{}
	}
	for name := range arguments {
		for _, hidden := range spec.Redact {
			if hidden == "*" || strings.EqualFold(hidden, name) {
				arguments[name] = Redacted
			}
		}
	}
	return arguments
}

// RedactResult returns the result of a call as others than the model may see it.
func RedactResult(spec ToolSpec, result ToolResult) ToolResult {
	if spec.RedactResult {
		result.Text = Redacted
	}
	return result
}

// AuditArguments returns the arguments of a call as the audit log keeps them: redacted, without what is called or looks like a secret, and
// cut.
func AuditArguments(spec ToolSpec, raw json.RawMessage) string {
	arguments := RedactArguments(spec, raw)
	hideSecrets(arguments)
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if e.Encode(arguments) != nil {
		return ""
	}
	return tidyText(strings.TrimSuffix(text.String(), "\n"), maxAuditArguments)
}

// secretNames are what people call secrets, for tools whose operator has not said what to redact: any name that holds one of them, without
// regard to case and to what stands between its words.
var secretNames = []string{"password", "passwd", "passphrase", "secret", "apikey", "token", "authorization", "credential", "privatekey", "cookie"}

// shortSecretNames are those that would be found in too many others.
var shortSecretNames = []string{"pwd", "pin", "otp", "auth"}

// secretText finds credentials in texts: those of HTTP, and those in URLs.
var secretText = regexp.MustCompile(`(?i)\b(?:bearer|basic) +[A-Za-z0-9+/._~=-]{6,}|://[^/\s:@]*:[^/\s@]+@`)

// cursorNames are tokens that say where a list goes on.
var cursorNames = []string{"pagetoken", "nexttoken", "continuationtoken"}

func isSecretName(name string) bool {
	plain := strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(name))
	if slices.ContainsFunc(cursorNames, func(cursor string) bool { return strings.Contains(plain, cursor) }) {
		return false
	}
	return slices.Contains(shortSecretNames, plain) ||
		slices.ContainsFunc(secretNames, func(secret string) bool { return strings.Contains(plain, secret) })
}

// hideSecrets replaces, at any depth, values that are called secrets or that hold credentials.
func hideSecrets(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			switch {
			case isSecretName(name) && isCountable(inner): // such as max_tokens: 100
			case isSecretName(name):
				v[name] = Redacted
			default:
				v[name] = hideText(inner)
			}
		}
	case []any:
		for i, inner := range v {
			v[i] = hideText(inner)
		}
	}
}

// isCountable tells figures and switches, which are no secrets however they are called, unless they are long enough to be one.
func isCountable(value any) bool {
	switch v := value.(type) {
	case bool, nil:
		return true
	case json.Number:
		return len(v) <= 3
	default:
		return false
	}
}

func hideText(value any) any {
	if text, ok := value.(string); ok {
		return secretText.ReplaceAllString(text, Redacted)
	}
	hideSecrets(value)
	return value
}
