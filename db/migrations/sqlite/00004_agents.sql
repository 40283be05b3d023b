-- Agents: which tools a key may use, and workflows with their journals.

-- +goose Up

-- A list of patterns; NULL: the key has no list.
ALTER TABLE api_keys ADD COLUMN tools TEXT;

-- principal says for whom a workflow works, owner is its id. claimed_by and claimed_until say which process works on it.
CREATE TABLE workflows (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    principal TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    task TEXT NOT NULL,
    agents TEXT NOT NULL,
    input TEXT NOT NULL,
    model TEXT NOT NULL,
    persona_id TEXT NOT NULL,
    max_iterations INTEGER NOT NULL,
    max_tokens INTEGER NOT NULL,
    max_cost INTEGER NOT NULL,
    max_duration INTEGER NOT NULL,
    output TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost INTEGER NOT NULL DEFAULT 0,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL DEFAULT '',
    claimed_by TEXT NOT NULL DEFAULT '',
    claimed_until INTEGER,
    last_event INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    completed_at INTEGER
);

CREATE INDEX idx_workflows_owner ON workflows (owner, created_at DESC, id DESC);
CREATE UNIQUE INDEX idx_workflows_idempotency_key ON workflows (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX idx_workflows_open ON workflows (created_at, id) WHERE completed_at IS NULL;
CREATE INDEX idx_workflows_ended ON workflows (completed_at) WHERE completed_at IS NOT NULL;

-- place says where in the workflow the step is, by which it is found again after a crash. result is what the workflow goes on from.
CREATE TABLE workflow_steps (
    workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL,
    place TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    agent TEXT NOT NULL,
    status TEXT NOT NULL,
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    result BLOB,
    error TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    completed_at INTEGER,
    PRIMARY KEY (workflow_id, sequence),
    UNIQUE (workflow_id, place)
) WITHOUT ROWID;

CREATE TABLE workflow_events (
    workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    step_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    details TEXT NOT NULL,
    PRIMARY KEY (workflow_id, sequence)
) WITHOUT ROWID;

-- +goose Down

DROP TABLE workflow_events;
DROP TABLE workflow_steps;
DROP TABLE workflows;
ALTER TABLE api_keys DROP COLUMN tools;
