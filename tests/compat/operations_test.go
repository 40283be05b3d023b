package compat

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"gaia/api"
	"gaia/tests/gaiatest"
)

// States of an operation on the page.
const (
	done    = "done"
	planned = "planned"
)

// operation is what the page and the contract both say about an operation.
type operation struct{ id, method, path, source, state string }

// onPage reads the table of operations. What a row says in words is judged here, since nothing else can be compared with it.
func onPage(t *testing.T) []operation {
	t.Helper()
	var list []operation
	for _, row := range table(t, "operation", "method and path", "source", "state", "difference from the LLM Platform, and why") {
		method, path, _ := strings.Cut(code(row[1]), " ")
		list = append(list, operation{code(row[0]), method, path, row[2], row[3]})
		if row[4] == "" {
			t.Errorf("%s says nothing about differences; write none when there are none", row[0])
		}
	}
	return list
}

func inContract(t *testing.T) []operation {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var list []operation
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			source, _ := op.Extensions["x-gaia-source"].(string)
			state := done
			if op.Responses.Status(http.StatusNotImplemented) != nil {
				state = planned
			}
			list = append(list, operation{op.OperationID, method, path, source, state})
		}
	}
	return list
}

func TestPageAndContractListTheSameOperations(t *testing.T) {
	t.Parallel()
	rows, operations := onPage(t), inContract(t)
	for i, row := range rows {
		if !slices.Contains(operations, row) {
			t.Errorf("%s has %v, the contract does not", page, row)
		}
		if slices.Contains(rows[:i], row) {
			t.Errorf("%s has %v twice", page, row)
		}
	}
	for _, op := range operations {
		if !slices.Contains(rows, op) {
			t.Errorf("the contract has %v, %s does not", op, page)
		}
	}
}

// TestOperationsAreInTheStateThatThePageSays asks the program: 501 for what is planned, and an answer of the operation itself for what
// is done.
func TestOperationsAreInTheStateThatThePageSays(t *testing.T) {
	t.Parallel()
	client := gaiatest.Start(t).As(uuid.NewString())
	examples := map[string]gaiatest.Operation{}
	for _, op := range gaiatest.Operations(t) {
		examples[op.ID] = op
	}
	for _, row := range onPage(t) {
		op, known := examples[row.id]
		if !known {
			t.Errorf("no example of %s", row.id)
			continue
		}
		status := client.Do(request(t, client, op)).Status
		switch row.state {
		case planned:
			if status != http.StatusNotImplemented {
				t.Errorf("%s is planned and answers %d", row.id, status)
			}
		case done:
			if slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, status) {
				t.Errorf("%s is done and answers %d", row.id, status)
			}
		default:
			t.Errorf("%s is %q, want %s or %s", row.id, row.state, done, planned)
		}
	}
}

// request is the contract's example, with a persona, a conversation, a key, a workflow and an asset that are there in place of the example's, and without a wish for a model that
// this program may not have.
func request(t *testing.T, client *gaiatest.Client, op gaiatest.Operation) gaiatest.Request {
	t.Helper()
	r := gaiatest.Request{Method: op.Method, Path: op.Path}
	if op.BodyType != "" {
		r.Header = http.Header{"Content-Type": {op.BodyType}}
	}
	if op.BodyType == "multipart/form-data" {
		r.Header.Set("Content-Type", op.BodyType+"; boundary=end")
		r.Body = "--end--\r\n"
		return r
	}
	body := map[string]any{}
	if op.Body != nil {
		if err := json.Unmarshal(op.Body, &body); err != nil {
			t.Fatalf("%s: %v", op.ID, err)
		}
		for _, wish := range []string{"model", "provider"} {
			if !slices.Contains(op.Schema.Required, wish) {
				delete(body, wish)
			}
		}
	}
	if body["persona_id"] != nil || strings.Contains(op.Template, "{persona_id}") {
		id := newPersona(t, client)
		r.Path = strings.ReplaceAll(op.Template, "{persona_id}", id)
		if body["persona_id"] != nil {
			body["persona_id"] = id
		}
	}
	if strings.Contains(op.Template, "{conversation_id}") {
		r.Path = strings.ReplaceAll(op.Template, "{conversation_id}", newConversation(t, client))
	}
	if strings.Contains(op.Template, "{key_id}") {
		r.Path = strings.ReplaceAll(op.Template, "{key_id}", newKey(t, client))
	}
	if strings.Contains(op.Template, "{workflow_id}") {
		r.Path = strings.ReplaceAll(op.Template, "{workflow_id}", newWorkflow(t, client))
	}
	if strings.Contains(op.Template, "{asset_id}") {
		r.Path = strings.ReplaceAll(op.Template, "{asset_id}", newAsset(t, client))
	}
	if op.Body != nil {
		r.Body = body
	}
	return r
}

func newAsset(t *testing.T, client *gaiatest.Client) string {
	t.Helper()
	return client.Post("/api/v1/assets/generate", map[string]any{
		"category": "texture", "style": "plain", "description": "grey stone", "preferences": map[string]any{"max_wait_time_ms": 60_000},
	}).Want(http.StatusOK).JSON().Text("asset_id")
}

func newKey(t *testing.T, client *gaiatest.Client) string {
	t.Helper()
	return client.Post("/api/v1/auth/api-keys", map[string]any{"name": "n"}).Want(http.StatusOK).JSON().Text("key", "id")
}

func newConversation(t *testing.T, client *gaiatest.Client) string {
	t.Helper()
	return client.Post("/api/v1/conversations", map[string]any{}).Want(http.StatusOK).JSON().Text("id")
}

func newPersona(t *testing.T, client *gaiatest.Client) string {
	t.Helper()
	persona := map[string]any{"name": uuid.NewString(), "description": "One of many", "system_prompt": "You are brief."}
	return client.Post("/api/v0.2/personas", persona).Want(http.StatusOK).JSON().Text("persona", "id")
}

func newWorkflow(t *testing.T, client *gaiatest.Client) string {
	t.Helper()
	return client.Post("/api/v1/workflows", map[string]any{"kind": "agent", "task": "Say hello"}).Want(http.StatusOK).JSON().Text("id")
}
