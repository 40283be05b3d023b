package gaiatest_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gaia/domain"
	"gaia/tests/gaiatest"
)

const (
	anID      = "0195935f-5fa5-7000-8000-3fb2f5a1f0c4"
	someoneID = "7e8f5f1e-4f0a-4a52-9f59-0d1f6f4f4d11"
)

// TestEveryEventIsAsTheContractSays encodes each type of event as Gaia fills it.
func TestEveryEventIsAsTheContractSays(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 14, 10, 26, 53, 589_793_000, time.FixedZone("elsewhere", 60*60))
	persona := someoneID
	stored := nats.Header{nats.MsgIdHdr: []string{anID}}
	model := map[string]any{"provider": "openai", "model": "gpt-4o"}
	for _, test := range []struct {
		subject string
		header  nats.Header
		payload any
	}{
		{domain.SubjectServiceHealth, nil, domain.ServiceHealthEvent{
			ServiceName: "gateway", Status: domain.ServiceStarting, Timestamp: at, Details: domain.ServiceDetails{
				Version: "dev", Instance: "abc", Services: domain.Services(), Reason: "it is cold",
			},
		}},
		{domain.SubjectServiceReady, nil, domain.ServiceHealthEvent{
			ServiceName: "gateway", Status: domain.ServiceHealthy, Timestamp: at, Details: domain.ServiceDetails{
				Version: "dev", Instance: "abc", MicroID: "x", Host: "node", Services: []domain.Service{domain.ServiceGateway}, Uptime: 1, Heartbeat: 15, Requests: 1,
				Connections: 1, MemoryBytes: 1, CPUPercent: 1,
			},
		}},
		{domain.SubjectServiceGatewayRequest, nil, struct{}{}},
		{domain.SubjectServiceAuthRequest, nil, struct{}{}},
		{domain.SubjectServiceAssetRequest, nil, struct{}{}},
		{domain.SubjectServiceChatRequest, nil, struct{}{}},
		{domain.SubjectChatStart, nil, domain.ChatMessageEvent{
			MessageID: anID, UserID: someoneID, PersonaID: &persona, Status: "started", Timestamp: at,
		}},
		{domain.SubjectChatComplete, stored, domain.ChatMessageEvent{
			MessageID: anID, UserID: "service", Status: "completed", Timestamp: at, Details: map[string]any{
				"provider": "openai", "model": "gpt-4o", "input_tokens": 1, "output_tokens": 0, "response_time_ms": 12,
			},
		}},
		{domain.SubjectChatFailed, stored, domain.ChatMessageEvent{
			MessageID: anID, UserID: someoneID, Status: "failed", Timestamp: at, Details: model,
		}},
		{domain.SubjectChatFailed, nil, domain.ChatMessageEvent{
			MessageID: anID, UserID: someoneID, Status: "failed", Timestamp: at, Details: model,
		}},
		{domain.SubjectUsageRecorded, stored, domain.UsageRecord{
			RequestID: anID, Attempt: 2, Owner: someoneID, At: at, Provider: "openai", Model: "gpt-4o", Outcome: domain.OutcomeCanceled,
			Cost: 1, Usage: domain.Usage{Input: 3, Source: domain.UsagePartial},
		}.Event()},
		{domain.SubjectPersonaCreated, stored, personaEvent("created", at)},
		{domain.SubjectPersonaUpdated, stored, personaEvent("updated", at)},
		{domain.SubjectPersonaDeleted, stored, personaEvent("deleted", at)},
		{domain.SubjectPersonaChosen, stored, personaEvent("chosen", at)},
		{domain.SubjectConversationCreated, stored, domain.ConversationEvent{ConversationID: anID, UserID: "service", Status: "created", Timestamp: at}},
		{domain.SubjectConversationCleared, stored, domain.ConversationEvent{ConversationID: anID, UserID: someoneID, Status: "cleared", Timestamp: at}},
		{domain.SubjectConversationDeleted, stored, domain.ConversationEvent{ConversationID: anID, UserID: someoneID, Status: "deleted", Timestamp: at}},
		{domain.SubjectAssetUploaded, stored, domain.AssetEvent{
			AssetID: anID, UserID: someoneID, AssetType: domain.AssetProp, Status: "uploaded", Timestamp: at, Details: domain.AssetDetails{Format: "glb", Bytes: 1},
		}},
		{domain.SubjectAssetDeleted, stored, domain.AssetEvent{AssetID: anID, AssetType: domain.AssetImage, Status: "deleted", Timestamp: at}},
		{domain.SubjectAuthLogin, stored, authEvent(domain.AuditLogin, at, nil)},
		{domain.SubjectAuthLogout, stored, authEvent(domain.AuditLogout, at, nil)},
		{domain.SubjectAuthRefresh, stored, authEvent(domain.AuditRefresh, at, nil)},
		{domain.SubjectAuthValidationFailed, stored, domain.AuditEntry{
			ID: anID, At: at, Action: domain.AuditValidationFailed, Details: map[string]string{domain.DetailReason: "bad_token"},
		}.Event().Payload},
		{domain.SubjectAuthKeyCreated, stored, authEvent(domain.AuditKeyCreated, at, map[string]string{
			domain.DetailAuthType: string(domain.AuthJWT), domain.DetailName: "headset", domain.DetailPrefix: "gaia_live_0123",
			domain.DetailExpiresAt: "2026-04-14T09:26:53Z", domain.DetailReplaces: anID,
		})},
		{domain.SubjectAuthKeyRevoked, stored, authEvent(domain.AuditKeyRevoked, at, map[string]string{
			domain.DetailReason: "revoked", domain.DetailCount: "2", domain.DetailSince: "2026-03-14T09:26:53Z",
		})},
		{domain.SubjectWorkflowStarted, stored, workflowEvent(domain.WorkflowEventStarted, at)},
		{domain.SubjectWorkflowStepStarted, stored, workflowEvent(domain.WorkflowEventStepStarted, at)},
		{domain.SubjectWorkflowStepCompleted, stored, workflowEvent(domain.WorkflowEventStepCompleted, at)},
		{domain.SubjectWorkflowStepFailed, stored, workflowEvent(domain.WorkflowEventStepFailed, at)},
		{domain.SubjectWorkflowCompleted, stored, workflowEvent(domain.WorkflowEventCompleted, at)},
		{domain.SubjectWorkflowFailed, stored, workflowEvent(domain.WorkflowEventFailed, at)},
		{domain.SubjectWorkflowCancelled, stored, workflowEvent(domain.WorkflowEventCancelled, at)},
		{domain.SubjectWorkflowOutcomeUnknown, stored, workflowEvent(domain.WorkflowEventOutcomeUnknown, at)},
		{domain.SubjectAssetGenerationStarted, stored, generationEvent(domain.GenerationEventStarted, at)},
		{domain.SubjectAssetGenerationProgress, stored, generationEvent(domain.GenerationEventProgress, at)},
		{domain.SubjectAssetGenerationCompleted, stored, generationEvent(domain.GenerationEventCompleted, at)},
		{domain.SubjectAssetGenerationFailed, stored, generationEvent(domain.GenerationEventFailed, at)},
		{domain.SubjectAssetGenerationCancelled, stored, generationEvent(domain.GenerationEventCancelled, at)},
		{domain.SubjectUsageRecorded, nats.Header{nats.MsgIdHdr: []string{generationUsage(at).Recorded().ID}}, generationUsage(at).Event()},
		{domain.SubjectToolCalled, stored, toolEvent(domain.AuditToolCalled, at, nil)},
		{domain.SubjectToolReturned, stored, toolEvent(domain.AuditToolReturned, at, map[string]string{
			domain.DetailKeyID: anID, domain.DetailOutcome: string(domain.ToolOutcomeUnknown), domain.DetailDurationMS: "12",
			domain.DetailResultBytes: "1024", domain.DetailTruncated: "true",
		})},
		{domain.SubjectToolReturned, stored, toolEvent(domain.AuditToolReturned, at, map[string]string{domain.DetailOutcome: string(domain.ToolRefused)})},
	} {
		data, err := domain.Event{Subject: test.subject, Payload: test.payload}.Data()
		if err != nil {
			t.Fatal(err)
		}
		if err := gaiatest.CheckEvent(test.subject, test.header, data); err != nil {
			t.Errorf("%s: %v\n%s", test.subject, err, data)
		}
	}
}

func personaEvent(status string, at time.Time) any {
	return domain.PersonaEvent{PersonaID: anID, UserID: someoneID, Status: status, Timestamp: at, Details: domain.PersonaDetails{Active: true}}
}

func toolEvent(action domain.AuditAction, at time.Time, details map[string]string) any {
	all := map[string]string{
		domain.DetailCallID: anID, domain.DetailAuthType: string(domain.AuthJWT), domain.DetailArguments: `{"path":"secrets.txt"}`, domain.DetailArgumentBytes: "22",
	}
	maps.Copy(all, details)
	return domain.AuditEntry{ID: anID, At: at, Action: action, Principal: someoneID, Subject: "files/read", Details: all}.Event().Payload
}

func authEvent(action domain.AuditAction, at time.Time, details map[string]string) any {
	return domain.AuditEntry{
		ID: anID, At: at, Action: action, Principal: someoneID, Subject: anID, Address: "192.0.2.7", RequestID: anID, Details: details,
	}.Event().Payload
}

// workflowEvent has every detail that there may be, and some that there may not.
func workflowEvent(of domain.WorkflowEventType, at time.Time) any {
	e := domain.WorkflowEvent{
		ID: anID, WorkflowID: anID, Sequence: 3, Type: of, Status: domain.WorkflowRunning, StepID: someoneID, At: at, Details: map[string]any{
			domain.DetailKind: string(domain.StepTool), domain.DetailStepName: "read", domain.DetailAgent: "a", domain.DetailTool: "files/read",
			domain.DetailModel: "gpt-4o", domain.DetailProvider: "openai", domain.DetailIteration: 1, domain.DetailSteps: 7,
			domain.DetailDurationMS: int64(12), domain.DetailInputTokens: 3, domain.DetailOutputTokens: 4, domain.DetailCostUSD: 0.000001,
			domain.DetailReason: "not_found", "question": "why?", "answer": map[string]any{"text": "because"},
		},
	}.Tidy()
	if of == domain.WorkflowEventStarted {
		e.StepID = ""
	}
	return e.Event(someoneID, domain.WorkflowOrchestrator).Payload
}

// generationEvent has every detail that there may be, and some that there may not.
func generationEvent(of domain.GenerationEventType, at time.Time) any {
	return domain.GenerationEvent{
		ID: anID, GenerationID: anID, Sequence: 1, Type: of, Progress: 40, Message: "Making the model", At: at, Details: map[string]any{
			domain.DetailGenerator: "meshy", domain.DetailStage: "preview", domain.DetailAttempt: 1, domain.DetailProvider: "meshy",
			domain.DetailModel: "meshy-6", domain.DetailSource: string(domain.AssetFromGenerator), domain.DetailReason: "content_filter",
			domain.DetailCostUSD: 0.2, domain.DetailDurationMS: int64(12), "description": "a chest",
		},
	}.Tidy().Event(someoneID, domain.AssetProp, "").Payload
}

func generationUsage(at time.Time) domain.UsageRecord {
	return domain.UsageRecord{
		RequestID: anID, Attempt: 1, Owner: someoneID, At: at, Provider: "meshy", Outcome: domain.OutcomeCompleted, Models3D: 1, Cost: 1,
		Usage: domain.Usage{Source: domain.UsageFromProvider},
	}
}

func TestEventsThatAreNotAsTheContractSays(t *testing.T) {
	t.Parallel()
	const (
		failed = `{"message_id":"` + anID + `","user_id":"u","persona_id":null,"status":"failed","timestamp":"2026-03-14T09:26:53Z","details":{"provider":"p","model":"m"}}`
		ready  = `{"service_name":"gateway","status":"healthy","timestamp":"2026-03-14T09:26:53Z","details":{"version":"dev","instance":"abc","micro_id":"","host":"h","services":["gateway"],"uptime_seconds":0.1,"heartbeat_seconds":15,"active_requests":0,"connections":0,"memory_bytes":1,"cpu_percent":0}}`
	)
	id := nats.Header{nats.MsgIdHdr: []string{anID}}
	for name, test := range map[string]struct {
		subject string
		header  nats.Header
		data    string
		good    bool
	}{
		"as it should be":      {"gaia.chat.message.failed", id, failed, true},
		"ready":                {"gaia.service.ready", nil, ready, true},
		"unknown subject":      {"gaia.chat.message", id, failed, false},
		"planned subject":      {"gaia.asset.generation.start", nil, failed, false},
		"of another subject":   {"gaia.chat.message.complete", id, failed, false},
		"no JSON":              {"gaia.chat.message.failed", id, `{`, false},
		"encoded twice":        {"gaia.service.ready", nil, `"` + strings.ReplaceAll(ready, `"`, `\"`) + `"`, false},
		"unknown key":          {"gaia.service.ready", nil, strings.Replace(ready, `{`, `{"a":1,`, 1), false},
		"key missing":          {"gaia.service.ready", nil, strings.Replace(ready, `"service_name":"gateway",`, ``, 1), false},
		"time not in UTC":      {"gaia.service.ready", nil, strings.Replace(ready, `53Z`, `53+01:00`, 1), false},
		"no time":              {"gaia.service.ready", nil, strings.Replace(ready, `2026-03-14`, `yesterday`, 1), false},
		"malformed id":         {"gaia.chat.message.failed", id, strings.Replace(failed, anID, "m1", 1), false},
		"text in the details":  {"gaia.chat.message.failed", id, strings.Replace(failed, `"model"`, `"question":"why?","model"`, 1), false},
		"header without sense": {"gaia.service.ready", id, ready, false},
		"malformed event id":   {"gaia.chat.message.failed", nats.Header{nats.MsgIdHdr: []string{"1"}}, failed, false},
		"stored without an id": {"gaia.usage.recorded", nil, `{}`, false},
	} {
		if err := gaiatest.CheckEvent(test.subject, test.header, []byte(test.data)); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
