-- name: EnterConversation :execrows
-- Writes a turn down in a conversation. No row when there is none of this owner.
UPDATE conversations SET
    title = CASE title WHEN 'New Conversation' THEN sqlc.arg(title) ELSE title END,
    preview = sqlc.arg(preview),
    message_count = message_count + 2,
    updated_at = max(updated_at, CAST(sqlc.arg(at) AS INTEGER))
WHERE id = sqlc.arg(id) AND principal = sqlc.arg(principal);

-- name: BeginConversation :execrows
-- Makes the conversation that takes a turn. No row when someone else has it.
INSERT INTO conversations (id, principal, is_default, title, preview, message_count, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, 2, ?6, ?6)
ON CONFLICT (id) DO NOTHING;

-- name: InsertTurn :exec
INSERT INTO chat_messages (
    conversation_id, principal, id, role, content, created_at,
    persona_id, model, provider, tokens_used, usage_source, tool_calls
) VALUES (
    sqlc.arg(conversation_id), sqlc.arg(principal), sqlc.arg(user_id), 'user', sqlc.arg(question), sqlc.arg(asked_at),
    NULL, NULL, NULL, NULL, NULL, NULL
), (
    sqlc.arg(conversation_id), sqlc.arg(principal), sqlc.arg(assistant_id), 'assistant', sqlc.arg(answer), sqlc.arg(answered_at),
    sqlc.narg(persona_id), sqlc.narg(model), sqlc.narg(provider), sqlc.narg(tokens_used), sqlc.narg(usage_source),
    sqlc.narg(tool_calls)
);

-- name: StoreEvent :exec
INSERT INTO outbox (id, subject, payload, traceparent, stored_at) VALUES (?1, ?2, ?3, ?4, ?5);

-- name: StoreTwoEvents :exec
-- Of one cause, at one time.
INSERT INTO outbox (id, subject, payload, traceparent, stored_at) VALUES
(sqlc.arg(id), sqlc.arg(subject), sqlc.arg(payload), sqlc.narg(traceparent), sqlc.arg(stored_at)),
(sqlc.arg(second_id), sqlc.arg(second_subject), sqlc.arg(second_payload), sqlc.narg(traceparent), sqlc.arg(stored_at));

-- name: EndReservation :exec
DELETE FROM budget_reservations
WHERE id = ?1;

-- name: KeepTurn :execrows
-- No row when another run has the claim.
UPDATE kept_answers SET answer = sqlc.arg(answer)
WHERE principal = sqlc.arg(principal) AND idempotency_key = sqlc.arg(idempotency_key) AND run_id = sqlc.arg(run_id)
    AND answer IS NULL;
