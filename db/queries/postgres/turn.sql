-- All statements of a turn go to the server in one batch, which is one transaction. Nothing is looked at between them, so each that must
-- not go on fails by itself.

-- name: EnterDefaultConversation :one
-- Makes the conversation that takes a turn, with the event that tells so, or writes the turn down in it and locks it, so that turns come one
-- after the other. Nobody has locked a row that was just made: its xmax says so.
WITH entered AS (
    INSERT INTO conversations (id, principal, is_default, title, preview, message_count, created_at, updated_at)
    VALUES (
        sqlc.arg(id), sqlc.arg(principal), true, sqlc.arg(title), sqlc.arg(preview), 2, sqlc.arg(created_at), sqlc.arg(created_at)
    )
    ON CONFLICT (principal) WHERE is_default DO UPDATE SET
        title = CASE conversations.title WHEN 'New Conversation' THEN excluded.title ELSE conversations.title END,
        preview = excluded.preview,
        message_count = conversations.message_count + 2,
        updated_at = greatest(conversations.updated_at, excluded.updated_at)
    RETURNING conversations.id, conversations.xmax = 0 AS begun
),

told AS (
    INSERT INTO outbox (id, subject, payload, traceparent)
    SELECT
        sqlc.narg(event_id)::uuid, sqlc.narg(event_subject)::text, sqlc.narg(event_payload)::jsonb, sqlc.narg(traceparent)::text
    FROM entered
    WHERE entered.begun AND sqlc.narg(event_id)::uuid IS NOT NULL
)

SELECT entered.id
FROM entered;

-- name: EnterConversation :exec
-- As EnterDefaultConversation. It changes nothing when the conversation is someone else's.
WITH entered AS (
    INSERT INTO conversations (id, principal, title, preview, message_count, created_at, updated_at)
    VALUES (sqlc.arg(id), sqlc.arg(principal), sqlc.arg(title), sqlc.arg(preview), 2, sqlc.arg(created_at), sqlc.arg(created_at))
    ON CONFLICT (id) DO UPDATE SET
        title = CASE conversations.title WHEN 'New Conversation' THEN excluded.title ELSE conversations.title END,
        preview = excluded.preview,
        message_count = conversations.message_count + 2,
        updated_at = greatest(conversations.updated_at, excluded.updated_at)
    WHERE conversations.principal = excluded.principal
    RETURNING conversations.xmax = 0 AS begun
)

INSERT INTO outbox (id, subject, payload, traceparent)
SELECT
    sqlc.narg(event_id)::uuid, sqlc.narg(event_subject)::text, sqlc.narg(event_payload)::jsonb, sqlc.narg(traceparent)::text
FROM entered
WHERE entered.begun AND sqlc.narg(event_id)::uuid IS NOT NULL;

-- name: InsertTurn :exec
-- The conversation, named or the owner's default, is null when it is someone else's, and a message without one is refused.
WITH entered AS (
    SELECT (
        SELECT c.id
        FROM conversations AS c
        WHERE c.principal = sqlc.arg(principal)
            AND (c.id = sqlc.narg(conversation_id)::uuid OR (sqlc.narg(conversation_id)::uuid IS NULL AND c.is_default))
    ) AS id
)

INSERT INTO chat_messages (
    conversation_id, principal, id, role, content, created_at,
    persona_id, model, provider, tokens_used, usage_source, tool_calls
)
SELECT
    entered.id, sqlc.arg(principal), m.id, m.role, m.content, m.created_at,
    m.persona_id, m.model, m.provider, m.tokens_used, m.usage_source, m.tool_calls
FROM entered, (VALUES (
    1, sqlc.arg(user_id)::uuid, 'user', sqlc.arg(question)::text, sqlc.arg(asked_at)::timestamptz,
    NULL::text, NULL::text, NULL::text, NULL::integer, NULL::text, NULL::jsonb
), (
    2, sqlc.arg(assistant_id)::uuid, 'assistant', sqlc.arg(answer)::text, sqlc.arg(answered_at)::timestamptz,
    sqlc.narg(persona_id)::text, sqlc.narg(model)::text, sqlc.narg(provider)::text, sqlc.narg(tokens_used)::integer,
    sqlc.narg(usage_source)::text, sqlc.narg(tool_calls)::jsonb
)) AS m (nr, id, role, content, created_at, persona_id, model, provider, tokens_used, usage_source, tool_calls)
ORDER BY m.nr;

-- name: StoreEvent :exec
INSERT INTO outbox (id, subject, payload, traceparent) VALUES ($1, $2, $3, $4);

-- name: SettleBudget :exec
-- Adds the records that this very transaction has written to the days of which they are. There is a row for each: that of the reservation's
-- day came with it, and others are opened before the records are written.
UPDATE budgets SET spent = spent + added.cost
FROM (
    SELECT (u.created_at AT TIME ZONE 'UTC')::date AS day, sum(u.cost)::bigint AS cost
    FROM usage_ledger AS u
    WHERE u.request_id = ANY(sqlc.arg(requests)::uuid[]) AND NOT u.claimed AND u.xmin = pg_current_xact_id()::xid
    GROUP BY 1
) AS added
WHERE budgets.principal = sqlc.arg(principal) AND budgets.day = added.day;

-- name: EndReservation :exec
DELETE FROM budget_reservations
WHERE id = $1;

-- name: KeepTurn :exec
-- Divides by zero when another run has the claim.
WITH kept AS (
    UPDATE kept_answers SET answer = sqlc.arg(answer)
    WHERE principal = sqlc.arg(principal) AND idempotency_key = sqlc.arg(idempotency_key) AND run_id = sqlc.arg(run_id)
        AND answer IS NULL
    RETURNING 1
)

SELECT 1 / count(*) FROM kept;
