package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/png"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
	"gaia/tests/gaiatest"
	"gaia/tests/generators"
)

const assetRoute = "/api/v1/assets/"

// hearing collects what a client hears of progress.
func hearing() (*mcp.ClientOptions, chan *mcp.ProgressNotificationParams) {
	heard := make(chan *mcp.ProgressNotificationParams, 100)
	return &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { heard <- r.Params },
	}, heard
}

// nextProgress is what a client hears next.
func nextProgress(t *testing.T, heard chan *mcp.ProgressNotificationParams) *mcp.ProgressNotificationParams {
	t.Helper()
	return soon(t, heard)
}

// soon is what comes next.
func soon[T any](t *testing.T, from <-chan T) (next T) {
	t.Helper()
	select {
	case next = <-from:
	case <-time.After(20 * time.Second):
		t.Fatalf("no %T within 20 s", next)
	}
	return next
}

// contentOf is the first content of a kind.
func contentOf[C mcp.Content](t *testing.T, r *mcp.CallToolResult) (found C) {
	t.Helper()
	for _, c := range r.Content {
		if of, ok := c.(C); ok {
			return of
		}
	}
	t.Fatalf("no %T in %d contents", found, len(r.Content))
	return found
}

// swordWish is a new sword.
func swordWish(more map[string]any) map[string]any {
	wish := map[string]any{"category": "prop", "style": "fantasy", "description": "A glowing sword"}
	for name, value := range more {
		wish[name] = value
	}
	return wish
}

// TestMCPAssets: an asset is estimated, made with progress, shown, found and read by its owner alone, and every way shows the same.
func TestMCPAssets(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		mine, _ := newKey(t, server.Client(), map[string]any{})
		theirs, _ := newKey(t, server.Client(), map[string]any{})
		options, heard := hearing()
		me := connectMCP(t, server, "2026-07-28", mine, options)
		they := connectMCP(t, server, "2025-11-25", theirs, nil)

		if e := callTool(t, me, "estimate_asset_cost", swordWish(nil)); e["cost_usd"] != 0.0 || len(e["generators"].([]any)) != 1 || e["found"] != nil {
			t.Errorf("the estimate is %v", e)
		}
		made, err := me.CallTool(t.Context(), &mcp.CallToolParams{
			Name: "generate_asset", Arguments: swordWish(map[string]any{"timeout_seconds": 60, "polygon_count_max": 900}), Meta: mcp.Meta{"progressToken": "p"},
		})
		if err != nil || made.IsError {
			t.Fatalf("generate_asset: %v, %v", made, err)
		}
		asset := made.StructuredContent.(map[string]any)
		id := asset["asset_id"].(string)
		if asset["status"] != "completed" || asset["source"] != "generated" || asset["file_format"] != "glb" || asset["cost_usd"] != 0.0 {
			t.Errorf("it is %v", asset)
		}
		for last := -1.0; last < 100; {
			p := nextProgress(t, heard)
			if p.Progress <= last || p.Total != 100 || p.Meta["gaia/assetId"] != id || p.Message == "" {
				t.Errorf("progress is %+v after %v", p, last)
			}
			last = max(p.Progress, last+1)
		}
		file := download(t, server, asset["download_url"].(string))
		if model := openGLB(t, file); model.triangles == 0 || model.triangles > 900 {
			t.Errorf("it has %d triangles", model.triangles)
		}
		link := contentOf[*mcp.ResourceLink](t, made)
		if link.URI != "gaia://assets/"+id+"/file" || link.MIMEType != "model/gltf-binary" || link.Size == nil || *link.Size != int64(len(file)) {
			t.Errorf("the link is %+v", link)
		}
		if picture := contentOf[*mcp.ImageContent](t, made); picture.MIMEType != "image/png" || decodes(picture.Data) != nil {
			t.Errorf("the picture is %s, %v", picture.MIMEType, decodes(picture.Data))
		}
		read, err := me.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: link.URI})
		if err != nil || read.Contents[0].MIMEType != link.MIMEType || !bytes.Equal(read.Contents[0].Blob, file) {
			t.Errorf("the file is %v, %v", read, err)
		}
		if read, err = me.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://assets/" + id + "/preview"}); err != nil || decodes(read.Contents[0].Blob) != nil {
			t.Errorf("the preview is %v, %v", read, err)
		}
		var shown map[string]any
		read, err = me.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: asset["uri"].(string)})
		if err != nil || json.Unmarshal([]byte(read.Contents[0].Text), &shown) != nil || shown["asset_id"] != id || shown["status"] != "completed" {
			t.Errorf("the resource is %v, %v", read, err)
		}
		overHTTP := withKey(server, mine).Get(assetRoute + id).Want(http.StatusOK).JSON()
		if overHTTP.Text("title") != asset["title"] || overHTTP.Number("asset_data", "quality_score") != asset["quality_score"] {
			t.Errorf("over HTTP it is %v, and %v", overHTTP.Fields, asset)
		}
		if again := callTool(t, me, "generate_asset", swordWish(nil)); again["asset_id"] != id || again["source"] != "database" {
			t.Errorf("the same again is %v", again)
		}
		if e := callTool(t, me, "estimate_asset_cost", swordWish(nil)); e["found"].(map[string]any)["asset_id"] != id {
			t.Errorf("the estimate of what is there is %v", e)
		}
		if found := callTool(t, me, "search_assets", map[string]any{"query": "swords", "style_tags": []string{"fantasy"}, "category": "prop"}); found["total"] != 1.0 ||
			found["assets"].([]any)[0].(map[string]any)["asset_id"] != id {
			t.Errorf("found is %v", found)
		}
		if done := callTool(t, me, "wait_for_asset", map[string]any{"asset_id": id}); done["status"] != "completed" {
			t.Errorf("waited for is %v", done)
		}
		wantNoAsset(t, they, id)
		if r, err := me.CallTool(t.Context(), &mcp.CallToolParams{Name: "cancel_asset", Arguments: map[string]any{"asset_id": id}}); err != nil ||
			textOf(r) != "The making of this asset has ended" || !r.IsError {
			t.Errorf("what has ended is cancelled: %v, %v", r, err)
		}
	})
}

func decodes(data []byte) error {
	_, err := png.Decode(bytes.NewReader(data))
	return err
}

// wantNoAsset has somebody else look for an asset in every way.
func wantNoAsset(t *testing.T, they *mcp.ClientSession, id string) {
	t.Helper()
	for _, tool := range []string{"get_asset", "wait_for_asset", "cancel_asset"} {
		for _, named := range []string{id, uuid.NewString(), "sword"} {
			r, err := they.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"asset_id": named}})
			if err != nil || !r.IsError || textOf(r) != "Asset not found" {
				t.Errorf("%s of %s: %v, %v", tool, named, r, err)
			}
		}
	}
	for _, suffix := range []string{"", "/file", "/preview", "/other", "/file/"} {
		_, err := they.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://assets/" + id + suffix})
		wantCode(t, "another's asset "+suffix, err, jsonrpc.CodeInvalidParams)
	}
	if found := callTool(t, they, "search_assets", map[string]any{"query": "sword"}); found["total"] != 0.0 {
		t.Errorf("another's search finds %v", found)
	}
	r, err := they.Complete(t.Context(), &mcp.CompleteParams{
		Ref: &mcp.CompleteReference{Type: "ref/resource", URI: "gaia://assets/{id}/file"}, Argument: mcp.CompleteParamsArgument{Name: "id", Value: id[:4]},
	})
	if err != nil || len(r.Completion.Values) != 0 {
		t.Errorf("another's completion: %v, %v", r, err)
	}
}

// TestMCPAssetsThatWait: a call that is given up ends the work, unless it has a key; who only waits ends nothing, and neither does a
// process that stops.
func TestMCPAssetsThatWait(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, gaiatest.Settings{"MAX_CONCURRENT_GENERATIONS": "0"}) // nobody begins anything
		key, _ := newKey(t, server.Client(), map[string]any{})
		c := withKey(server, key)
		status := func(id string) string { return c.Get(assetRoute + id).Want(http.StatusOK).JSON().Text("status") }
		for _, version := range generations {
			options, heard := hearing()
			s := connectMCP(t, server, version, key, options)
			begin := func(name string, arguments map[string]any) (id string, giveUp func()) {
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() {
					_, err := s.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: arguments, Meta: mcp.Meta{"progressToken": name}})
					done <- err
				}()
				id, _ = nextProgress(t, heard).Meta["gaia/assetId"].(string)
				return id, func() {
					cancel()
					if err := soon(t, done); !errors.Is(err, context.Canceled) {
						t.Errorf("%s ended with %v", name, err)
					}
				}
			}
			id, giveUp := begin("generate_asset", swordWish(nil))
			giveUp()
			gaiatest.Eventually(t, 20*time.Second, "work that is given up ends", func() bool { return status(id) == "cancelled" })

			keyed := swordWish(map[string]any{"idempotency_key": version})
			kept, giveUp := begin("generate_asset", keyed)
			giveUp()
			waited, giveUp := begin("wait_for_asset", map[string]any{"asset_id": kept})
			giveUp()
			keyed["timeout_seconds"] = 0
			again := callTool(t, s, "generate_asset", keyed)
			if again["status"] != "pending" || again["asset_id"] != kept || waited != kept {
				t.Errorf("with a key it is %v, not %s", again, kept)
			}
			if short := callTool(t, s, "wait_for_asset", map[string]any{"asset_id": kept, "timeout_seconds": 1}); short["status"] != "pending" {
				t.Errorf("after a second it is %v", short)
			}
			_, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://assets/" + kept + "/file"})
			wantCode(t, "a file that is not there yet", err, -32000)
			other := swordWish(map[string]any{"idempotency_key": version, "seed": 7})
			if r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "generate_asset", Arguments: other}); err != nil || !r.IsError ||
				!strings.Contains(textOf(r), "used for another asset") {
				t.Errorf("another request with the same key: %v, %v", r, err)
			}
			overHTTP := c.With("Idempotency-Key", version).Post(assetRoute+"generate", map[string]any{
				"category": "prop", "style": "fantasy", "description": "A glowing sword", "preferences": map[string]any{"max_wait_time_ms": 0},
			}).Want(http.StatusAccepted).JSON()
			if overHTTP.Text("asset_id") != kept {
				t.Errorf("with the same key over HTTP it is %v, not %s", overHTTP.Fields, kept)
			}
			if ended := callTool(t, s, "cancel_asset", map[string]any{"asset_id": kept}); ended["status"] != "cancelled" || status(kept) != "cancelled" {
				t.Errorf("cancelled it is %v", ended)
			}
		}
	})
}

// TestMCPAssetsOfAProcessThatStops: who waits hears how far it is, and the work goes on later.
func TestMCPAssetsOfAProcessThatStops(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"MAX_CONCURRENT_GENERATIONS": "0"})
	options, heard := hearing()
	s := connectMCP(t, server, "2026-07-28", gaiatest.APIKey, options)
	type answer struct {
		r   *mcp.CallToolResult
		err error
	}
	done := make(chan answer, 1)
	go func() {
		r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "generate_asset", Arguments: swordWish(nil), Meta: mcp.Meta{"progressToken": "p"}})
		done <- answer{r, err}
	}()
	id := nextProgress(t, heard).Meta["gaia/assetId"]
	server.Terminate()
	if a := soon(t, done); a.err != nil || a.r.IsError || a.r.StructuredContent.(map[string]any)["status"] != "pending" {
		t.Errorf("the answer is %+v", a)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	server.Restart()
	if got := server.Client().Get(assetRoute + id.(string)).Want(http.StatusOK).JSON().Text("status"); got != "pending" {
		t.Errorf("after that it is %s", got)
	}
}

// TestMCPWorkflowsOfAProcessThatStops: who waits for one hears how far it is, too.
func TestMCPWorkflowsOfAProcessThatStops(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"WORKFLOWS_AT_ONCE": "0", "STREAM_PING_INTERVAL": "0.1"})
	s := connectMCP(t, server, "2026-07-28", gaiatest.APIKey, nil)
	id := callTool(t, s, "start_workflow", map[string]any{"kind": "agent", "task": "Say hello"})["id"].(string)
	resp := startMCP(t, server, `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"wait_for_workflow","arguments":{"workflow_id":"`+id+`"}}}`)
	server.Terminate()
	read, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(read), `"status":"pending"`) {
		t.Errorf("the answer is %q, %v", read, err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestAGatewayEndsCalls: clients of it get an error for what they called when it stops, and when the process that has it done has gone.
func TestAGatewayEndsCalls(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	settings := gaiatest.Settings{
		"INTERNAL_AUTH_SECRET": "a-secret-between-services-of-tests", "WORKFLOWS_AT_ONCE": "0", "STREAM_PING_INTERVAL": "0.1", "SHUTDOWN_TIMEOUT": "0.4",
	}
	chat := b.Start(t, settings, gaiatest.Settings{"SERVICES": "chat"})
	gateway := b.Start(t, settings, gaiatest.Settings{"SERVICES": "gateway,auth,asset", "CHAT_SERVICE_URL": chat.URL()})
	id := callTool(t, connectMCP(t, gateway, "2026-07-28", gaiatest.APIKey, nil), "start_workflow", map[string]any{"kind": "agent", "task": "Say hello"})["id"].(string)
	call := `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"wait_for_workflow","arguments":{"workflow_id":"` + id + `"}}}`
	wantEnd := func(about string, end func(), code string) {
		t.Helper()
		resp := startMCP(t, gateway, call)
		end()
		read, err := io.ReadAll(resp.Body)
		if said := string(read); err != nil || !strings.Contains(said, `data: {"jsonrpc":"2.0","id":"a","error":{"code":-32000,`) ||
			!strings.HasSuffix(said, `"data":{"code":"`+code+`"}}}`+"\n\n") {
			t.Errorf("%s: the answer is %q, %v", about, said, err)
		}
	}
	wantEnd("the process of chat is killed", chat.Kill, domain.CodeBrokenOff)
	second := b.Start(t, settings, gaiatest.Settings{"SERVICES": "chat", "SERVICE_PORT": chat.URL()[strings.LastIndex(chat.URL(), ":")+1:]})
	gaiatest.Eventually(t, patience, "the gateway has found it", func() bool {
		r, err := gateway.Client().Try(gaiatest.Request{Method: http.MethodGet, Path: "/api/v1/chat/status"})
		return err == nil && r.Status == http.StatusOK
	})
	wantEnd("the gateway stops", gateway.Terminate, domain.CodeStopping)
	if err := gateway.Wait(); err != nil || !second.Running() {
		t.Errorf("the gateway ended with %v", err)
	}
}

// TestMCPAssetRefusals: what the operation of the API refuses is refused, and says why.
func TestMCPAssetRefusals(t *testing.T) {
	t.Parallel()
	outside := generators.New(0)
	t.Cleanup(outside.Close)
	server := gaiatest.Start(t, gaiatest.Settings{
		"OPENAI_BASE_URL": outside.URL() + "/v1", "OPENAI_API_KEY": generators.Key, "BUDGET_DAILY_USD": "0.001",
	})
	s := connectMCP(t, server, "2026-07-28", gaiatest.APIKey, nil)
	for _, c := range []struct {
		more map[string]any
		want string
	}{
		{map[string]any{"category": "image"}, "budget"},
		{map[string]any{"category": "image", "max_cost": 0}, "or more; the request allows $0.00"},
		{map[string]any{"allow_database": false, "allow_modifications": false, "allow_generation": false}, "Value error, one of allow_database"},
		{map[string]any{"allow_generation": false, "description": "something unheard of"}, "The catalogue has no such asset"},
		{map[string]any{"format": "docx"}, "format: Value error, a prop can be made as fbx, glb, obj"},
		{map[string]any{"category": "food"}, "enum"},
		{map[string]any{"quality": "best"}, "enum"},
		{map[string]any{"description": ""}, "minLength"},
		{map[string]any{"description": strings.Repeat("x", 4001)}, "maxLength"},
		{map[string]any{"style": strings.Repeat("x", 201)}, "maxLength"},
		{map[string]any{"seed": 4294967296}, "maximum"},
		{map[string]any{"max_cost": -1}, "minimum"},
		{map[string]any{"timeout_seconds": 3601}, "maximum"},
		{map[string]any{"idempotency_key": strings.Repeat("x", 256)}, "maxLength"},
		{map[string]any{"colour": "red"}, "colour"},
	} {
		r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "generate_asset", Arguments: swordWish(c.more)})
		if err != nil || !r.IsError || !strings.Contains(textOf(r), c.want) || strings.Contains(textOf(r), "preferences") {
			t.Errorf("%.80v: %v, %v", c.more, textOf(r), err)
		}
	}
	if paid := len(outside.Paid()); paid != 0 {
		t.Errorf("%d were paid", paid)
	}
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "estimate_asset_cost", Arguments: swordWish(map[string]any{"category": "image"})})
	if err != nil || r.IsError || r.StructuredContent.(map[string]any)["cost_usd"].(float64) <= 0 {
		t.Errorf("the estimate of a picture is %v, %v", r, err)
	}
}

// TestMCPAssetPrompt: it is for who may have assets made, its arguments are completed, and what they can't be is refused.
func TestMCPAssetPrompt(t *testing.T) {
	t.Parallel()
	onGenerations(t, func(t *testing.T, version string) {
		server := gaiatest.Start(t)
		s := connectMCP(t, server, version, gaiatest.APIKey, nil)
		newPersona(t, server.Client(), "request_asset") // which does not take its place
		prompts, err := s.ListPrompts(t.Context(), nil)
		named := func(p *mcp.Prompt) bool { return p.Name == "request_asset" }
		if err != nil || prompts.Prompts[0].Name != "request_asset" || len(prompts.Prompts[0].Arguments) != 4 || slices.ContainsFunc(prompts.Prompts[1:], named) {
			t.Errorf("prompts are %v, %v", prompts, err)
		}
		prompt, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{
			Name: "request_asset", Arguments: map[string]string{"need": "a lamp for the cellar", "category": "prop", "style": "gothic", "quality": "high"},
		})
		if err != nil || len(prompt.Messages) != 1 {
			t.Fatalf("the prompt is %v, %v", prompt, err)
		}
		text := prompt.Messages[0].Content.(*mcp.TextContent).Text
		for _, part := range []string{"a lamp for the cellar", "category is to be prop", "style is to be gothic", "quality is to be high", "generate_asset"} {
			if !strings.Contains(text, part) {
				t.Errorf("it has no %q: %s", part, text)
			}
		}
		for _, arguments := range []map[string]string{nil, {"need": " "}, {"need": "x", "category": "food"}, {"need": "x", "quality": "best"}} {
			_, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "request_asset", Arguments: arguments})
			wantCode(t, "a prompt", err, -32602)
		}
		made := callTool(t, s, "generate_asset", swordWish(map[string]any{"style": "fabled"}))["asset_id"].(string)
		for _, c := range []struct {
			ref             *mcp.CompleteReference
			argument, begin string
			want            []string
		}{
			{&mcp.CompleteReference{Type: "ref/prompt", Name: "request_asset"}, "category", "a", []string{"audio", "animation"}},
			{&mcp.CompleteReference{Type: "ref/prompt", Name: "request_asset"}, "quality", "", []string{"low", "medium", "high", "ultra"}},
			{&mcp.CompleteReference{Type: "ref/prompt", Name: "request_asset"}, "style", "fa", []string{"fantasy", "fabled"}},
			{&mcp.CompleteReference{Type: "ref/prompt", Name: "request_asset"}, "need", "a", []string{}},
			{&mcp.CompleteReference{Type: "ref/prompt", Name: "Mu"}, "category", "a", []string{}},
			{&mcp.CompleteReference{Type: "ref/resource", URI: "gaia://assets/{id}"}, "id", made[:8], []string{made}},
			{&mcp.CompleteReference{Type: "ref/resource", URI: "gaia://assets/{id}/preview"}, "id", "a glow", []string{made}},
			{&mcp.CompleteReference{Type: "ref/resource", URI: "gaia://assets/{id}/other"}, "id", made[:8], []string{}},
		} {
			r, err := s.Complete(t.Context(), &mcp.CompleteParams{Ref: c.ref, Argument: mcp.CompleteParamsArgument{Name: c.argument, Value: c.begin}})
			if err != nil || !slices.Equal(r.Completion.Values, c.want) {
				t.Errorf("completion of %s %q: %v, %v", c.argument, c.begin, r, err)
			}
		}
	})
}
