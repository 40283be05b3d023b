package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// wire is a provider's format.
type wire interface {
	begin(model string) []byte
	text(word string) []byte
	calls(Script) [][]byte
	end(s Script, tokens int) []byte
	inBandError() []byte
	refuse(w http.ResponseWriter, status int, code, retryAfter string)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(b)
}

func refuse(w http.ResponseWriter, status int, retryAfter string, body any) {
	w.Header().Set("Content-Type", "application/json")
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// openAIWire is OpenAI's format.
type openAIWire struct {
	head   string
	called bool
}

func (o *openAIWire) chunk(delta, finish string) []byte {
	return []byte("data: " + o.head + `"choices":[{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + "}]}\n\n")
}

func (o *openAIWire) begin(model string) []byte {
	o.head = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,"model":` + quote(model) + `,"system_fingerprint":"fp_1",`
	return o.chunk(`{"role":"assistant","content":"","refusal":null}`, "null")
}

func (o *openAIWire) text(word string) []byte { return o.chunk(`{"content":`+quote(word)+`}`, "null") }

func (o *openAIWire) calls(s Script) (frames [][]byte) {
	o.called = len(s.Calls) > 0 && !s.Google
	for i, c := range s.Calls {
		switch arguments := quote(strings.Join(c.Arguments, "")); {
		case s.Google:
			frames = append(frames, o.chunk(fmt.Sprintf(`{"role":"assistant","tool_calls":[{"function":{"name":%s,"arguments":%s},"id":"","type":"function"}]}`,
				quote(c.Name), arguments), "null"))
			continue
		case s.Whole:
			frames = append(frames, o.chunk(fmt.Sprintf(`{"content":"","tool_calls":[{"index":%d,"id":%s,"function":{"name":%s,"arguments":%s}}]}`,
				i, quote(c.ID), quote(c.Name), arguments), "null"))
			continue
		}
		frames = append(frames, o.chunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":%s,"type":"function","function":{"name":%s,"arguments":""}}]}`,
			i, quote(c.ID), quote(c.Name)), "null"))
		for _, piece := range c.Arguments {
			frames = append(frames, o.chunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, i, quote(piece)), "null"))
		}
	}
	return frames
}

func (o *openAIWire) end(s Script, tokens int) []byte {
	reason := `"stop"`
	if o.called {
		reason = `"tool_calls"`
	}
	usage := fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":0},`+
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}`, PromptTokens, tokens, PromptTokens+tokens, s.Cached)
	last := o.chunk("{}", reason)
	switch {
	case s.NoUsage:
	case s.UsageWithChoices:
		last = []byte("data: " + o.head + `"choices":[{"index":0,"delta":{},"finish_reason":` + reason + "}]," + usage + "}\n\n")
	default:
		last = append(last, "data: "+o.head+`"choices":[],`+usage+"}\n\n"...)
	}
	return append(last, "data: [DONE]\n\n"...)
}

func (o *openAIWire) inBandError() []byte {
	return []byte(`data: {"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}` + "\n\n")
}

func (o *openAIWire) refuse(w http.ResponseWriter, status int, code, retryAfter string) {
	if code == "" {
		code = "server_error"
	}
	refuse(w, status, retryAfter, map[string]any{"error": map[string]any{
		"message": "No, said the provider to " + Key, "type": code, "param": nil, "code": code,
	}})
}

// anthropicWire is Anthropic's format.
type anthropicWire struct{ block int }

func event(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

func (a *anthropicWire) begin(model string) []byte {
	return []byte(event("message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":`+quote(model)+
		`,"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":`+strconv.Itoa(PromptTokens)+
		`,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}`) +
		event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`) +
		event("ping", `{"type":"ping"}`))
}

func (a *anthropicWire) text(word string) []byte {
	return []byte(event("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+quote(word)+`}}`))
}

func (a *anthropicWire) calls(s Script) (frames [][]byte) {
	for i, c := range s.Calls {
		a.block = i + 1
		frame := event("content_block_stop", fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, i)) +
			event("content_block_start", fmt.Sprintf(`{"type":"content_block_start","index":%d,"content_block":{"type":"tool_use","id":%s,"name":%s,"input":{}}}`,
				i+1, quote(c.ID), quote(c.Name)))
		frames = append(frames, []byte(frame))
		for _, piece := range c.Arguments {
			frames = append(frames, []byte(event("content_block_delta", fmt.Sprintf(
				`{"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":%s}}`, i+1, quote(piece)))))
		}
	}
	return frames
}

func (a *anthropicWire) end(s Script, tokens int) []byte {
	reason := "end_turn"
	if a.block > 0 {
		reason = "tool_use"
	}
	usage := ""
	if !s.NoUsage {
		usage = fmt.Sprintf(`,"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":%d,"output_tokens":%d}`,
			PromptTokens-s.Cached, s.Cached, tokens)
	}
	return []byte(event("content_block_stop", fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, a.block)) +
		event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"`+reason+`","stop_sequence":null}`+usage+`}`) +
		event("message_stop", `{"type":"message_stop"}`))
}

func (a *anthropicWire) inBandError() []byte {
	return []byte(event("error", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`))
}

func (a *anthropicWire) refuse(w http.ResponseWriter, status int, code, retryAfter string) {
	kind := map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
		429: "rate_limit_error", 529: "overloaded_error",
	}[status]
	if code != "" {
		kind = code
	}
	if kind == "" {
		kind = "api_error"
	}
	refuse(w, status, retryAfter, map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": "No, said the provider to " + Key}})
}
