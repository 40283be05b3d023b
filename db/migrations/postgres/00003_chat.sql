-- What an answer leaves behind besides its text: usage, events to be sent, budgets, and answers kept for repeated requests.
-- Money is in billionths of a US dollar, durations are microseconds.

-- +goose Up

-- The application sets updated_at with every turn, by its own clock. A trigger would cost each of them time, and counting the messages
-- that are there is no use of a conversation.
-- +goose StatementBegin
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT g.tgname FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
        WHERE g.tgrelid = 'conversations'::regclass AND p.proname = 'update_updated_at_column'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON conversations', r.tgname);
    END LOOP;
END;
$$;
-- +goose StatementEnd

ALTER TABLE conversations
    ADD COLUMN persona_id text,
    ADD COLUMN message_count bigint NOT NULL DEFAULT 0;
UPDATE conversations SET message_count = counted.messages
FROM (
    SELECT conversation_id, count(*) AS messages
    FROM chat_messages
    WHERE role IN ('user', 'assistant')
    GROUP BY conversation_id
) AS counted
WHERE counted.conversation_id = conversations.id;

ALTER TABLE chat_messages
    ADD COLUMN persona_id text,
    ADD COLUMN usage_source text,
    ADD COLUMN tool_calls jsonb,
    ADD COLUMN tool_call_id text;

-- Nothing asks by these, and every turn pays for them.
DROP INDEX IF EXISTS idx_chat_messages_role;
DROP INDEX IF EXISTS idx_chat_messages_created_at;
DROP INDEX IF EXISTS idx_conversations_created_at;
DROP INDEX IF EXISTS idx_conversations_is_active;

-- Pages of a list need one order also among conversations of the same time.
DROP INDEX idx_conversations_principal;
CREATE INDEX idx_conversations_principal ON conversations (principal, updated_at DESC, id DESC);

-- One row for each attempt at a provider, and for each use that a client reports. Rows are never changed.
CREATE TABLE usage_ledger (
    request_id uuid NOT NULL,
    attempt integer NOT NULL,
    http_request_id text NOT NULL,
    principal text NOT NULL,
    created_at timestamptz NOT NULL,
    operation text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    claimed boolean NOT NULL,
    outcome text NOT NULL,
    failure text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    usage_source text NOT NULL,
    images bigint NOT NULL,
    models_3d bigint NOT NULL,
    credits bigint NOT NULL,
    quality text NOT NULL,
    cost bigint NOT NULL,
    price_version text NOT NULL,
    streamed boolean NOT NULL,
    authentication bigint NOT NULL,
    validation bigint NOT NULL,
    selection bigint NOT NULL,
    stream_setup bigint NOT NULL,
    first_token bigint NOT NULL,
    provider_time bigint NOT NULL,
    processing bigint NOT NULL,
    PRIMARY KEY (request_id, attempt)
);

CREATE INDEX idx_usage_ledger_principal ON usage_ledger (principal, created_at);

-- Events that are stored with what they tell about and wait to be sent.
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL,
    subject text NOT NULL,
    payload jsonb NOT NULL
);

-- What each caller has spent of a day's budget, and what running requests have set aside.
CREATE TABLE budgets (
    principal text NOT NULL,
    day date NOT NULL,
    spent bigint NOT NULL,
    PRIMARY KEY (principal, day)
);

CREATE TABLE budget_reservations (
    id uuid PRIMARY KEY,
    principal text NOT NULL,
    day date NOT NULL,
    amount bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX idx_budget_reservations_principal ON budget_reservations (principal, day);

-- Requests with an Idempotency-Key. A row without an answer is being worked on until its lease runs out.
CREATE TABLE kept_answers (
    principal text NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint text NOT NULL,
    run_id uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    answer text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (principal, idempotency_key)
);

CREATE INDEX idx_kept_answers_created_at ON kept_answers (created_at);

-- Points in time that all processes share, such as the last reset of the measurements.
CREATE TABLE marks (
    name text PRIMARY KEY,
    marked_at timestamptz NOT NULL
);

-- +goose Down

DROP TABLE marks;
DROP TABLE kept_answers;
DROP TABLE budget_reservations;
DROP TABLE budgets;
DROP TABLE outbox;
DROP TABLE usage_ledger;
DROP INDEX idx_conversations_principal;
CREATE INDEX idx_conversations_principal ON conversations (principal, updated_at DESC);
CREATE INDEX IF NOT EXISTS idx_conversations_is_active ON conversations (is_active);
CREATE INDEX IF NOT EXISTS idx_conversations_created_at ON conversations (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_chat_messages_created_at ON chat_messages (created_at);
CREATE INDEX IF NOT EXISTS idx_chat_messages_role ON chat_messages (role);
ALTER TABLE chat_messages
    DROP COLUMN tool_call_id,
    DROP COLUMN tool_calls,
    DROP COLUMN usage_source,
    DROP COLUMN persona_id;
ALTER TABLE conversations
    DROP COLUMN message_count,
    DROP COLUMN persona_id;

CREATE TRIGGER update_conversations_updated_at BEFORE UPDATE ON conversations
FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
