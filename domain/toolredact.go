package domain

import (
	"bytes"
	"encoding/json"
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

// secretNames are what people call secrets, for tools whose operator has not said what to redact.
var secretNames = []string{
	"password", "passwd", "passphrase", "secret", "clientsecret", "apikey", "token", "accesstoken", "refreshtoken", "authtoken", "bearertoken",
	"authorization", "credentials", "privatekey", "cookie",
}

// hideSecrets replaces, at any depth, values that are called secrets.
func hideSecrets(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			if slices.Contains(secretNames, strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))) {
				v[name] = Redacted
				continue
			}
			hideSecrets(inner)
		}
	case []any:
		for _, inner := range v {
			hideSecrets(inner)
		}
	}
}
