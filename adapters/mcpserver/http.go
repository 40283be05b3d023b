package mcpserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"gaia/domain"
)

// Headers of the protocol.
const (
	sessionHeader = "Mcp-Session-Id"
	versionHeader = "Mcp-Protocol-Version"
)

// firstWithoutInitialize is the first protocol in which requests stand alone, and the end of a request is its cancellation.
const firstWithoutInitialize = "2026-07-28"

// maxSession bounds what a client may call its session, in bytes.
const maxSession = 128

// methods are the requests that the library answers.
var methods = map[string]bool{
	"initialize": true, "ping": true, "tools/list": true, "tools/call": true, "prompts/list": true, "prompts/get": true,
	"resources/list": true, "resources/templates/list": true, "resources/read": true, "resources/subscribe": true, "resources/unsubscribe": true,
	"completion/complete": true, "logging/setLevel": true, "server/discover": true, "subscriptions/listen": true,
}

// message is what decides about a message before the library reads it.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// Serve answers one message of a caller over HTTP. The edge has let the caller in and bounded the body, which is read as a whole.
//
// No state outlives the request, so that any process answers any message. Clients of protocols with sessions get the name of one, by which
// they can cancel their calls; it stands for nothing else, so every name is as good. base is what the client calls this server, for links.
func (s *Server) Serve(who domain.Principal, base string, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, http.StatusBadRequest, nil, jsonrpc.CodeParseError, "The body of the request could not be read")
		return
	}
	m, status, code, err := parse(body)
	if err == nil {
		status, code, err = checkHead(r.Header)
	}
	if err != nil {
		writeError(w, status, m.ID, code, err.Error())
		return
	}
	c := caller{who: who, base: base, request: r.Context()}
	legacy := r.Header.Get(versionHeader) < firstWithoutInitialize
	session := r.Header.Get(sessionHeader)
	switch {
	case legacy && m.Method == "initialize":
		w.Header().Set(sessionHeader, rand.Text())
	case legacy && m.Method == "notifications/cancelled" && session != "":
		s.calls.cancel(callKey{who.OwnerID(), session, cancelledID(m.Params)})
	case legacy && session != "" && m.ID != nil:
		c.key = callKey{who.OwnerID(), session, string(m.ID)}
	}
	if legacy && m.ID != nil && !methods[m.Method] { // later protocols answer 404, and the library sees to it
		writeError(w, http.StatusOK, m.ID, jsonrpc.CodeMethodNotFound, "There is no such method")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	a := newAnswer(w, m.ID)
	if m.ID != nil { // nothing else takes long
		defer a.keepAlive(s.PingInterval)()
	}
	s.http.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
}

// parse looks at a message as far as it must be one: a single request or notification. This server asks clients nothing, so it takes no
// answers.
func parse(body []byte) (m message, status int, code int64, err error) {
	const bad = http.StatusBadRequest
	switch body = bytes.TrimSpace(body); {
	case len(body) == 0:
		return m, bad, jsonrpc.CodeParseError, errors.New("The body must be a JSON-RPC message, and is empty")
	case body[0] == '[' && json.Valid(body):
		return m, bad, jsonrpc.CodeInvalidRequest, errors.New("Batches are not supported: send each message in a request of its own")
	}
	if err := json.Unmarshal(body, &m); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return message{}, bad, jsonrpc.CodeParseError, errors.New("The body is no JSON")
		}
		return message{}, bad, jsonrpc.CodeInvalidRequest, errors.New("The body is no JSON-RPC message")
	}
	if m.ID != nil && !isID(m.ID) {
		m.ID = nil
		return m, bad, jsonrpc.CodeInvalidRequest, errors.New("The id of a request must be a string or an integer")
	}
	if m.Version != "2.0" || m.Method == "" {
		return m, bad, jsonrpc.CodeInvalidRequest, errors.New("The body is no request and no notification of JSON-RPC 2.0")
	}
	return m, 0, 0, nil
}

// isID reports whether JSON is a string or an integer.
func isID(raw json.RawMessage) bool {
	return raw[0] == '"' || raw[0] != '{' && raw[0] != '[' && !bytes.ContainsAny(raw, ".eEnrul")
}

// checkHead refuses what the library would refuse in another form.
func checkHead(h http.Header) (status int, code int64, err error) {
	if !accepts(h.Values("Accept"), "application/json") || !accepts(h.Values("Accept"), "text/event-stream") {
		return http.StatusNotAcceptable, jsonrpc.CodeInvalidRequest,
			errors.New("The header Accept must name application/json and text/event-stream")
	}
	if len(h.Get(sessionHeader)) > maxSession {
		return http.StatusBadRequest, jsonrpc.CodeInvalidRequest, errors.New("The header Mcp-Session-Id is too long")
	}
	return 0, 0, nil
}

// accepts reports whether Accept headers name a media type, or a range with it.
func accepts(headers []string, media string) bool {
	kind, _, _ := strings.Cut(media, "/")
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		switch got, _, err := mime.ParseMediaType(part); {
		case err != nil:
		case got == media, got == "*/*", got == kind+"/*":
			return true
		}
	}
	return false
}

// cancelledID is the id of the call that a notification is about.
func cancelledID(params json.RawMessage) string {
	var p struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	_ = json.Unmarshal(params, &p) // no call has the empty id
	return string(p.RequestID)
}

// writeError answers with a failure of the protocol. id is nil when it is not known.
func writeError(w http.ResponseWriter, status int, id json.RawMessage, code int64, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(errorBody(id, code, text))
}

func errorBody(id json.RawMessage, code int64, text string) []byte {
	type failure struct {
		Code    int64  `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   failure         `json:"error"`
	}{"2.0", id, failure{code, text}})
	if err != nil { // can't be: an id has been parsed
		return nil
	}
	return body
}
