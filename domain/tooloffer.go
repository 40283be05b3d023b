package domain

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Limits of what a model is told about tools. Servers write descriptions and schemas, and every request to a model pays for them.
const (
	MaxOfferedTools     = 128       // more are refused by providers
	maxFunctionName     = 64        // characters
	maxToolDescription  = 1024      // bytes; longer ones are cut
	maxToolSchema       = 16 << 10  // bytes of JSON; a tool with a larger one is not offered, since half a schema is none
	maxOfferedToolBytes = 256 << 10 // of all descriptions and schemas together
)

// OfferTools makes of tools what a model is offered, in the order of their IDs, and tells which function is which tool. The name of a function
// is "server__tool". It depends on the tool alone, not on what else is offered, so that it means the same in every round and every
// request; where the plain form would not be a name that providers take, or could mean another tool too, a hash is part of it. Tools
// beyond the limits are left out.
func OfferTools(specs []ToolSpec) (tools []Tool, byName map[string]ToolSpec) {
	specs = slices.SortedFunc(slices.Values(specs), func(a, b ToolSpec) int { return cmp.Compare(a.ID(), b.ID()) })
	byName = make(map[string]ToolSpec, len(specs))
	room := maxOfferedToolBytes
	for i, spec := range specs {
		if i > 0 && spec.ID() == specs[i-1].ID() {
			continue
		}
		tool, size, ok := offerTool(spec)
		if !ok || size > room || len(tools) == MaxOfferedTools {
			continue
		}
		room -= size
		for n := 1; byName[tool.Name].Name != ""; n++ { // one server has named its tool like the hashed name of another's
			tool.Name = hashedName(spec, strconv.Itoa(n))
		}
		byName[tool.Name] = spec
		tools = append(tools, tool)
	}
	return tools, byName
}

// offerTool also returns how many bytes the model gets to read.
func offerTool(spec ToolSpec) (_ Tool, size int, ok bool) {
	if spec.Server == "" || spec.Name == "" {
		return Tool{}, 0, false
	}
	schema := maps.Clone(spec.Parameters)
	if schema == nil {
		schema = map[string]any{}
	}
	switch schema["type"] {
	case nil:
		schema["type"] = "object" // providers insist on it
	case "object":
	default:
		return Tool{}, 0, false
	}
	if schema["properties"] == nil {
		schema["properties"] = map[string]any{}
	}
	data, err := json.Marshal(schema)
	if err != nil || len(data) > maxToolSchema {
		return Tool{}, 0, false
	}
	description := spec.Description
	if strings.TrimSpace(description) == "" {
		description = spec.Title
	}
	description = cutText(plainText(description), maxToolDescription)
	return Tool{Name: functionName(spec), Description: description, Parameters: schema}, len(data) + len(description), true
}

// functionName is the name of a function for a tool.
func functionName(spec ToolSpec) string {
	name := nameCharacters(spec.Server) + "__" + nameCharacters(spec.Name)
	// "a__b" with "c" and "a" with "b__c" would read alike, and so would "a_" with "b" and "a" with "_b".
	ambiguous := strings.Contains(spec.Server, "__") || strings.HasSuffix(spec.Server, "_")
	if ambiguous || len(name) > maxFunctionName || name != spec.Server+"__"+spec.Name {
		return hashedName(spec, "")
	}
	return name
}

func hashedName(spec ToolSpec, more string) string {
	sum := sha256.Sum256([]byte(spec.Server + "\x00" + spec.Name + "\x00" + more))
	end := "_" + hex.EncodeToString(sum[:4])
	name := nameCharacters(spec.Server) + "__" + nameCharacters(spec.Name)
	return name[:min(len(name), maxFunctionName-len(end))] + end
}

// nameCharacters replaces what can't stand in the name of a function. The result is ASCII.
func nameCharacters(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}

// plainText removes what nobody can see: invalid UTF-8, and control and format characters, in which text can be hidden from people.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) {
			return -1
		}
		return r
	}, s)
}

// cutText cuts a text at the end of a character.
func cutText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && s[end]&0xC0 == 0x80 {
		end--
	}
	return s[:end]
}
