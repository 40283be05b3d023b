-- Agents: which tools a key may use, and workflows with their journals.

-- +goose Up

-- A list of patterns; NULL: the key has no list.
ALTER TABLE api_keys ADD COLUMN tools jsonb;

-- principal says for whom a workflow works, owner is its id. claimed_by and claimed_until say which process works on it.
CREATE TABLE workflows (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    principal jsonb NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    task text NOT NULL,
    agents jsonb NOT NULL,
    input jsonb NOT NULL,
    model text NOT NULL,
    persona_id text NOT NULL,
    max_iterations integer NOT NULL,
    max_tokens integer NOT NULL,
    max_cost bigint NOT NULL,
    max_duration bigint NOT NULL,
    output text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost bigint NOT NULL DEFAULT 0,
    idempotency_key text,
    fingerprint text NOT NULL DEFAULT '',
    claimed_by text NOT NULL DEFAULT '',
    claimed_until timestamptz,
    last_event integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    completed_at timestamptz
);

CREATE INDEX idx_workflows_owner ON workflows (owner, created_at DESC, id DESC);
CREATE UNIQUE INDEX idx_workflows_idempotency_key ON workflows (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX idx_workflows_open ON workflows (created_at, id) WHERE completed_at IS NULL;
CREATE INDEX idx_workflows_ended ON workflows (completed_at) WHERE completed_at IS NOT NULL;

-- place says where in the workflow the step is, by which it is found again after a crash. result is what the workflow goes on from.
CREATE TABLE workflow_steps (
    workflow_id uuid NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    sequence integer NOT NULL,
    id uuid NOT NULL,
    place text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    agent text NOT NULL,
    status text NOT NULL,
    input jsonb NOT NULL,
    output text NOT NULL,
    result bytea,
    error text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost bigint NOT NULL,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    PRIMARY KEY (workflow_id, sequence),
    UNIQUE (workflow_id, place)
);

CREATE TABLE workflow_events (
    workflow_id uuid NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    sequence integer NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    step_id text NOT NULL,
    at timestamptz NOT NULL,
    details jsonb NOT NULL,
    PRIMARY KEY (workflow_id, sequence)
);

-- +goose Down

DROP TABLE workflow_events;
DROP TABLE workflow_steps;
DROP TABLE workflows;
ALTER TABLE api_keys DROP COLUMN tools;
