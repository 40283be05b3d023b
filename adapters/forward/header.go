package forward

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"gaia/domain"
)

// perHop are headers that are about one connection.
var perHop = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// isPerHop reports whether a header is about the connection that it came on: by its name, or because Connection names it.
func isPerHop(name string, connection []string) bool {
	if slices.Contains(perHop, name) {
		return true
	}
	for _, line := range connection {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(part), name) {
				return true
			}
		}
	}
	return false
}

const identityHeader = domain.ForwardedHeader

// promises are headers that have net/http send a request again by itself. Here, an operation decides whether it keeps what they promise.
var promises = []string{"Idempotency-Key", "X-Idempotency-Key"}

// outgoing makes the request for a service out of the client's. What only services may say is dropped; the caller adds it. So is what the
// client expects of whom it talks to: it has been told.
func outgoing(r *http.Request, e *endpoint) *http.Request {
	u := *r.URL
	u.Scheme, u.Host, u.User, u.Fragment, u.RawFragment = e.base.Scheme, e.base.Host, nil, "", ""
	if prefix := strings.TrimSuffix(e.base.Path, "/"); prefix != "" {
		u.Path = prefix + u.Path
		if u.RawPath != "" {
			u.RawPath = strings.TrimSuffix(e.base.EscapedPath(), "/") + u.RawPath
		}
	}
	h := make(http.Header, len(r.Header)+4)
	connection := r.Header["Connection"]
	for name, values := range r.Header {
		if name != identityHeader && name != "Expect" && !isPerHop(name, connection) {
			h[name] = values // no one changes values in place
		}
	}
	if _, told := h["User-Agent"]; !told {
		h["User-Agent"] = nil // or net/http would add its own
	}
	for _, name := range promises {
		if values := h[name]; values != nil {
			delete(h, name)
			h[strings.ToLower(name)] = values // which net/http does not know, and whoever reads it takes for the same
		}
	}
	return &http.Request{Method: r.Method, URL: &u, Host: r.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

// incoming copies the headers of an answer. What the gateway decides stays as it has set it.
func incoming(to, from http.Header, stream bool) {
	connection := from["Connection"]
	for name, values := range from {
		switch {
		case isPerHop(name, connection), name == InstanceHeader, name == domain.AnswerHeader, strings.HasPrefix(name, "Access-Control-"):
		case name == "Vary":
			for _, v := range values {
				if !slices.Contains(to[name], v) {
					to[name] = append(to[name], v)
				}
			}
		default:
			to[name] = values
		}
	}
	if _, told := from["Content-Type"]; !told {
		to["Content-Type"] = nil // or net/http would guess
	}
	if stream {
		to.Set("Connection", "keep-alive") // as services say it of event streams; clients of the old platform see it
	}
}
