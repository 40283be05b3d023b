package portstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Servers that ToolServers finds, which offer the same tools: "fail" without parameters says that it failed; "echo" takes a required string
// "text" and gives it back; "wait" without parameters takes until it is canceled, or for seconds; and "calls" without parameters gives, line by line, the ids
// of all calls that have reached this server, in their order.
const (
	ToolSuite = "suite"
	ToolBrief = "brief" // its calls may take a tenth of a second
)

// ToolServers checks everything that ports.ToolServers demands. start runs once for each test, and both servers are well when it returns.
func ToolServers(t *testing.T, start func(*testing.T) ports.ToolServers) {
	t.Helper()
	tests := map[string]func(*testing.T, ports.ToolServers){
		"Tools are in the order of their IDs":                        toolsSorted,
		"a call gives what the tool gives":                           toolsEcho,
		"arguments that break the parameters don't reach the server": toolsArguments,
		"a tool or a server that is not there is NotFound":           toolsAbsent,
		"a tool that failed is a result":                             toolsFailed,
		"the server gets the id of the call, each time the same":     toolsCallID,
		"who leaves is not kept waiting, and the outcome is unknown": toolsLeft,
		"who has left before sends nothing":                          toolsLeftBefore,
		"after the server's limit of time the outcome is unknown":    toolsLimit,
		"calls at once get their own answers":                        toolsAtOnce,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

func invocation(server, tool, args string) domain.ToolInvocation {
	return domain.ToolInvocation{CallID: newID(), Server: server, Tool: tool, Arguments: json.RawMessage(args), Owner: "owner"}
}

func mustCall(t *testing.T, s ports.ToolServers, call domain.ToolInvocation) domain.ToolResult {
	t.Helper()
	result, err := s.Call(t.Context(), call)
	if err != nil {
		t.Fatalf("%s: %v", call.Tool, err)
	}
	return result
}

// reached are the ids of calls that a server has seen.
func reached(t *testing.T, s ports.ToolServers) []string {
	t.Helper()
	return strings.Split(mustCall(t, s, invocation(ToolSuite, "calls", "{}")).Text, "\n")
}

func isUnknown(err error) bool {
	var e *domain.Error
	return errors.As(err, &e) && e.Kind == domain.Unavailable && e.Code == domain.CodeOutcomeUnknown
}

func toolsSorted(t *testing.T, s ports.ToolServers) {
	want := []string{"brief/calls", "brief/echo", "brief/fail", "brief/wait", "suite/calls", "suite/echo", "suite/fail", "suite/wait"}
	Within(t, Patience, "the tools are those of both servers, in order", func() bool { // a server that is slow to start comes later
		var ids []string
		for _, spec := range s.Tools() {
			ids = append(ids, spec.ID())
		}
		return slices.Equal(ids, want)
	})
	for _, spec := range s.Tools() {
		if spec.Name == "echo" && spec.Parameters["type"] != "object" {
			t.Errorf("%s takes %v", spec.ID(), spec.Parameters)
		}
	}
}

func toolsEcho(t *testing.T, s ports.ToolServers) {
	const text = "Grüße,\n\"world\" \U0001F30D"
	args, _ := json.MarshalIndent(map[string]string{"text": text}, "", "  ")
	got := mustCall(t, s, invocation(ToolSuite, "echo", string(args)))
	if want := (domain.ToolResult{Text: text}); got != want {
		t.Errorf("result %+v, want %+v", got, want)
	}
}

func toolsArguments(t *testing.T, s ports.ToolServers) {
	for _, args := range []string{``, `{}`, `{"text":5}`, `{"text":null}`, `[]`, `"text"`, `{"text":"a"`} {
		call := invocation(ToolSuite, "echo", args)
		if _, err := s.Call(t.Context(), call); domain.KindOf(err) != domain.BadRequest {
			t.Errorf("with %s: %v, want BadRequest", args, err)
		}
		if slices.Contains(reached(t, s), call.CallID) {
			t.Errorf("with %s the call reached the server", args)
		}
	}
}

func toolsAbsent(t *testing.T, s ports.ToolServers) {
	for _, call := range []domain.ToolInvocation{invocation(ToolSuite, "absent", "{}"), invocation("absent", "echo", `{"text":"a"}`), invocation("", "", "{}")} {
		if _, err := s.Call(t.Context(), call); domain.KindOf(err) != domain.NotFound {
			t.Errorf("%s/%s: %v, want NotFound", call.Server, call.Tool, err)
		}
	}
}

func toolsFailed(t *testing.T, s ports.ToolServers) {
	if got := mustCall(t, s, invocation(ToolSuite, "fail", "{}")); !got.Failed || got.Text == "" {
		t.Errorf("result %+v, want one that says that it failed, and why", got)
	}
}

func toolsCallID(t *testing.T, s ports.ToolServers) {
	call := invocation(ToolSuite, "echo", `{"text":"a"}`)
	mustCall(t, s, call)
	mustCall(t, s, call)
	seen := 0
	for _, id := range reached(t, s) {
		if id == call.CallID {
			seen++
		}
	}
	if seen != 2 {
		t.Errorf("the server has seen the id %d times, want 2", seen)
	}
}

func toolsLeft(t *testing.T, s ports.ToolServers) {
	const limit = time.Second // the tool takes seconds
	var took time.Duration
	for range quickTries { // a busy machine makes some calls late; one that waits for the tool is late each time
		if took = leaveCall(t, s); took < limit {
			return
		}
	}
	t.Errorf("the call went on for %v after its caller had left", took)
}

// leaveCall leaves a call that has reached the server, and measures what it takes afterwards.
func leaveCall(t *testing.T, s ports.ToolServers) time.Duration {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	call := invocation(ToolSuite, "wait", "{}")
	ended := make(chan error, 1)
	go func() {
		_, err := s.Call(ctx, call)
		ended <- err
	}()
	Within(t, Patience, "the call reaches the server", func() bool { return slices.Contains(reached(t, s), call.CallID) })
	left := time.Now()
	leave()
	select {
	case err := <-ended:
		if !isUnknown(err) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want Unavailable with an outcome that is unknown, because of %v", err, context.Canceled)
		}
	case <-time.After(Patience):
		t.Fatal("the call waits on")
	}
	return time.Since(left)
}

func toolsLeftBefore(t *testing.T, s ports.ToolServers) {
	ctx, leave := context.WithCancel(t.Context())
	leave()
	call := invocation(ToolSuite, "echo", `{"text":"a"}`)
	if _, err := s.Call(ctx, call); domain.KindOf(err) != domain.Canceled {
		t.Errorf("%v, want Canceled", err)
	}
	if slices.Contains(reached(t, s), call.CallID) {
		t.Error("the call reached the server")
	}
}

func toolsLimit(t *testing.T, s ports.ToolServers) {
	began := time.Now()
	if _, err := s.Call(t.Context(), invocation(ToolBrief, "wait", "{}")); !isUnknown(err) {
		t.Errorf("%v, want Unavailable with an outcome that is unknown", err)
	}
	if took := time.Since(began); took > Patience {
		t.Errorf("after %v", took)
	}
}

func toolsAtOnce(t *testing.T, s ports.ToolServers) {
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			text := fmt.Sprintf("call %d", i)
			got, err := s.Call(t.Context(), invocation(ToolSuite, "echo", fmt.Sprintf(`{"text":%q}`, text)))
			if err != nil || got.Text != text {
				t.Errorf("%s: %+v, %v", text, got, err)
			}
		})
	}
	all.Wait()
}
