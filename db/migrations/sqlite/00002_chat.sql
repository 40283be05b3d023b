-- What an answer leaves behind besides its text: usage, events to be sent, budgets, and answers kept for repeated requests.
-- Money is in billionths of a US dollar, durations are microseconds.

-- +goose Up

ALTER TABLE conversations ADD COLUMN persona_id TEXT;
ALTER TABLE conversations ADD COLUMN message_count INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET message_count = (
    SELECT count(*) FROM chat_messages AS m WHERE m.conversation_id = conversations.id AND m.role IN ('user', 'assistant')
);

ALTER TABLE chat_messages ADD COLUMN persona_id TEXT;
ALTER TABLE chat_messages ADD COLUMN usage_source TEXT;
ALTER TABLE chat_messages ADD COLUMN tool_calls TEXT;
ALTER TABLE chat_messages ADD COLUMN tool_call_id TEXT;

-- Nothing asks by these, and every message pays for them.
DROP INDEX idx_chat_messages_user_id;
DROP INDEX idx_chat_messages_created_at;

-- Pages of a list need one order also among conversations of the same time.
DROP INDEX idx_conversations_principal;
CREATE INDEX idx_conversations_principal ON conversations (principal, updated_at DESC, id DESC);

-- One row for each attempt at a provider, and for each use that a client reports. Rows are never changed.
CREATE TABLE usage_ledger (
    request_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    http_request_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    operation TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    claimed BOOLEAN NOT NULL,
    outcome TEXT NOT NULL,
    failure TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    usage_source TEXT NOT NULL,
    images INTEGER NOT NULL,
    models_3d INTEGER NOT NULL,
    credits INTEGER NOT NULL,
    quality TEXT NOT NULL,
    cost INTEGER NOT NULL,
    price_version TEXT NOT NULL,
    streamed BOOLEAN NOT NULL,
    authentication INTEGER NOT NULL,
    validation INTEGER NOT NULL,
    selection INTEGER NOT NULL,
    stream_setup INTEGER NOT NULL,
    first_token INTEGER NOT NULL,
    provider_time INTEGER NOT NULL,
    processing INTEGER NOT NULL,
    PRIMARY KEY (request_id, attempt)
) WITHOUT ROWID;

CREATE INDEX idx_usage_ledger_principal ON usage_ledger (principal, created_at);

-- Events that are stored with what they tell about and wait to be sent.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    subject TEXT NOT NULL,
    payload TEXT NOT NULL
);

-- What each caller has spent of a day's budget, and what running requests have set aside.
CREATE TABLE budgets (
    principal TEXT NOT NULL,
    day TEXT NOT NULL,
    spent INTEGER NOT NULL,
    PRIMARY KEY (principal, day)
) WITHOUT ROWID;

CREATE TABLE budget_reservations (
    id TEXT PRIMARY KEY NOT NULL,
    principal TEXT NOT NULL,
    day TEXT NOT NULL,
    amount INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX idx_budget_reservations_principal ON budget_reservations (principal, day);

-- Requests with an Idempotency-Key. A row without an answer is being worked on until its lease runs out.
CREATE TABLE kept_answers (
    principal TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    run_id TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    answer TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (principal, idempotency_key)
) WITHOUT ROWID;

CREATE INDEX idx_kept_answers_created_at ON kept_answers (created_at);

-- Points in time that all processes share, such as the last reset of the measurements.
CREATE TABLE marks (
    name TEXT PRIMARY KEY NOT NULL,
    marked_at INTEGER NOT NULL
) WITHOUT ROWID;

-- +goose Down

DROP TABLE marks;
DROP TABLE kept_answers;
DROP TABLE budget_reservations;
DROP TABLE budgets;
DROP TABLE outbox;
DROP TABLE usage_ledger;
DROP INDEX idx_conversations_principal;
CREATE INDEX idx_conversations_principal ON conversations (principal, updated_at DESC);
CREATE INDEX idx_chat_messages_created_at ON chat_messages (created_at);
CREATE INDEX idx_chat_messages_user_id ON chat_messages (user_id);
ALTER TABLE chat_messages DROP COLUMN tool_call_id;
ALTER TABLE chat_messages DROP COLUMN tool_calls;
ALTER TABLE chat_messages DROP COLUMN usage_source;
ALTER TABLE chat_messages DROP COLUMN persona_id;
ALTER TABLE conversations DROP COLUMN message_count;
ALTER TABLE conversations DROP COLUMN persona_id;
