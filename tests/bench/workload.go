package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
)

const (
	listPath = "/api/v0.2/personas"
	question = "Where did we leave the blue crystal, and what should I look at before the ship leaves tomorrow?"
	// fullHistory is more turns than go back to a model: from then on every answer costs the same.
	fullHistory = 30
)

// load is one request that is sent again and again, and what a good answer looks like.
type load struct {
	name     string
	request  request
	requests []request // one for each worker, instead
	stream   bool
	recorded answer // gaia's, which the bare server repeats
	check    func(answer) error
}

var errWrong = errors.New("a wrong answer")

// record asks gaia once for each load, after chats have a full history.
func record(ctx context.Context, c *client) ([]load, error) {
	loads := allLoads()
	for i := range loads {
		l := &loads[i]
		turns := 1
		if l.request.method == http.MethodPost {
			turns = fullHistory
		}
		for range turns {
			a, err := c.expect(ctx, l.request, http.StatusOK)
			if err != nil {
				return nil, err
			}
			l.recorded = a
		}
		l.check = l.sameBytes
		if l.request.method == http.MethodPost {
			l.check = l.sameKind
		}
		if err := l.check(l.recorded); err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return loads, nil
}

func allLoads() []load {
	post := func(path, body string) request {
		return request{method: http.MethodPost, path: path, body: []byte(body)}
	}
	return []load{
		{name: "personas list", request: request{method: http.MethodGet, path: listPath}},
		{name: "personas list, gzip", request: request{method: http.MethodGet, path: listPath, header: acceptGzip}},
		{name: "chat, JSON, stored", request: post("/api/v0.2/chat", `{"message":"`+question+`"}`)},
		{name: "chat, stream, stored", stream: true, request: post("/api/v1/chat/completions", `{"message":"`+question+`","stream":true}`)},
		{name: "chat, stream, not stored", stream: true,
			request: post("/api/v1/chat/completions", `{"messages":[{"role":"user","content":"`+question+`"}],"stream":true}`)},
	}
}

var acceptGzip = http.Header{"Accept-Encoding": {"gzip"}}

// sameBytes is for answers that don't change.
func (l *load) sameBytes(a answer) error {
	if a.status != l.recorded.status || !bytes.Equal(a.body, l.recorded.body) {
		return fmt.Errorf("%w: status %d, %d bytes: %.200q", errWrong, a.status, len(a.body), a.body)
	}
	return nil
}

// sameKind is for chats: times and ids differ from answer to answer.
func (l *load) sameKind(a answer) error {
	sign, end := "echo model", "}\n"
	if l.stream {
		sign, end = `"content":"echo "`, "data: [DONE]\n\n"
	}
	near := 10*len(a.body) > 9*len(l.recorded.body) && 9*len(a.body) < 10*len(l.recorded.body)
	if a.status != http.StatusOK || !near || !bytes.Contains(a.body, []byte(sign)) || !bytes.HasSuffix(a.body, []byte(end)) {
		return fmt.Errorf("%w: status %d, %d bytes: %.200q", errWrong, a.status, len(a.body), a.body)
	}
	return nil
}
