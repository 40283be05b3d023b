package anthropic

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"gaia/domain"
)

// opening stands before a conversation that starts with an answer: the first message must be the user's.
const opening = "(The conversation goes on.)"

// imageSource is where an image is, or the image itself.
type imageSource struct {
	Type      string `json:"type"`
	URL       string `json:"url,omitempty"`
	MediaType string `json:"media_type,omitempty"`
	Data      string `json:"data,omitempty"`
}

// messagesFromDomain sorts a conversation the way the format wants it: system prompts apart, user and assistant in turns, the user
// first, results of tools in the user's turn, and no empty texts, which are refused.
func messagesFromDomain(in []domain.PromptMessage) (system string, out []message, err error) {
	out = []message{}
	for _, m := range in {
		if m.Role == domain.RoleSystem || m.Role == domain.RoleDeveloper {
			system = join(system, m.Text())
			continue
		}
		blocks, err := blocksFromDomain(m)
		if err != nil {
			return "", nil, err
		}
		if len(blocks) == 0 {
			continue
		}
		role := domain.RoleUser
		if m.Role == domain.RoleAssistant {
			role = domain.RoleAssistant
		}
		if last := len(out) - 1; last >= 0 && out[last].Role == role {
			out[last].Content = append(out[last].Content, blocks...)
			continue
		}
		if len(out) == 0 && role == domain.RoleAssistant {
			out = append(out, message{domain.RoleUser, []block{{Type: "text", Text: opening}}})
		}
		out = append(out, message{role, blocks})
	}
	trimEnd(out)
	return system, out, nil
}

// trimEnd takes the white space from the end of an answer that the model shall go on with: there it is refused.
func trimEnd(messages []message) {
	if len(messages) == 0 || messages[len(messages)-1].Role != domain.RoleAssistant {
		return
	}
	content := messages[len(messages)-1].Content
	if last := &content[len(content)-1]; last.Type == "text" {
		last.Text = strings.TrimRight(last.Text, " \t\r\n")
	}
}

func blocksFromDomain(m domain.PromptMessage) ([]block, error) {
	content, err := contentFromDomain(m)
	if err != nil {
		return nil, err
	}
	switch m.Role {
	case domain.RoleTool:
		return []block{{Type: "tool_result", ToolUseID: toolID(m.ToolCallID), Content: content}}, nil
	case domain.RoleFunction: // the old form has no id to name the call by
		return append([]block{{Type: "text", Text: "Result of " + m.Name + ":"}}, content...), nil
	}
	for _, c := range m.ToolCalls {
		content = append(content, block{Type: "tool_use", ID: toolID(c.ID), Name: c.Name, Input: input(c.Arguments)})
	}
	return content, nil
}

func contentFromDomain(m domain.PromptMessage) ([]block, error) {
	parts := m.Parts
	if len(parts) == 0 {
		parts = []domain.ContentPart{{Text: m.Content}}
	}
	var out []block
	for _, p := range parts {
		switch {
		case p.ImageURL != "":
			source, err := imageFromURL(p.ImageURL)
			if err != nil {
				return nil, err
			}
			out = append(out, block{Type: "image", Source: source})
		case strings.TrimSpace(p.Text) != "":
			out = append(out, block{Type: "text", Text: p.Text})
		}
	}
	return out, nil
}

// imageFromURL takes a data URL apart, and leaves every other for the provider to fetch.
func imageFromURL(url string) (*imageSource, error) {
	const scheme = "data:"
	if len(url) < len(scheme) || !strings.EqualFold(url[:len(scheme)], scheme) {
		return &imageSource{Type: "url", URL: url}, nil
	}
	meta, data, ok := strings.Cut(url[len(scheme):], ",")
	kind, encoding, _ := strings.Cut(meta, ";")
	if !ok || kind == "" || (encoding != "base64" && !strings.HasSuffix(encoding, ";base64")) {
		return nil, domain.NewError(domain.BadRequest, "An image's data URL must be data:<media type>;base64,<data>")
	}
	return &imageSource{Type: "base64", MediaType: strings.ToLower(kind), Data: data}, nil
}

var notInToolID = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

// toolID makes ids of other providers fit; a call and its result change in the same way.
func toolID(id string) string { return notInToolID.ReplaceAllString(id, "_") }

// input is the arguments as an object, which the format wants. A model may have written something else: then that is an argument,
// so that the conversation can go on.
func input(arguments string) json.RawMessage {
	data := bytes.TrimSpace([]byte(arguments))
	if len(data) == 0 {
		return json.RawMessage("{}")
	}
	if data[0] == '{' && json.Valid(data) {
		return data
	}
	text, err := json.Marshal(map[string]string{"arguments": arguments})
	if err != nil { // a string always becomes JSON
		return json.RawMessage("{}")
	}
	return text
}
