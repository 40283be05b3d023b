-- Assets: whose they are and where their files lie, the work of making them, and files that no asset has yet.

-- +goose Up

-- owner is empty for what everybody shares. file_key and preview_key name files in the storage; a row of the LLM Platform has none,
-- only file_url. cost is in billionths of a US dollar. generation_id is the work that made it.
ALTER TABLE assets
    ADD COLUMN owner text NOT NULL DEFAULT '',
    ADD COLUMN public boolean NOT NULL DEFAULT true,
    ADD COLUMN source text NOT NULL DEFAULT 'database',
    ADD COLUMN source_name text NOT NULL DEFAULT '',
    ADD COLUMN file_key text NOT NULL DEFAULT '',
    ADD COLUMN preview_key text NOT NULL DEFAULT '',
    ADD COLUMN content_type text NOT NULL DEFAULT '',
    ADD COLUMN file_size bigint NOT NULL DEFAULT 0,
    ADD COLUMN sha256 text NOT NULL DEFAULT '',
    ADD COLUMN cost bigint NOT NULL DEFAULT 0,
    ADD COLUMN response_time_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN generation_id uuid;

CREATE INDEX idx_assets_owner ON assets (owner) INCLUDE (file_size);

-- Files that belong to no asset (yet): until expires_at somebody writes them, after that they are removed. One that is condemned is
-- being removed, and no asset may take it any more.
CREATE TABLE file_leases (
    file_key text PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    condemned boolean NOT NULL DEFAULT false
);

CREATE INDEX idx_file_leases_expires_at ON file_leases (expires_at);

-- Requests for assets and the work on them. request is what the caller wants, attempts are the calls of generators, version counts
-- the changes. claimed_by and claimed_until say which process works on it.
CREATE TABLE generations (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    principal jsonb NOT NULL,
    status text NOT NULL,
    request jsonb NOT NULL,
    generators jsonb NOT NULL,
    attempts jsonb NOT NULL,
    version integer NOT NULL DEFAULT 1,
    progress integer NOT NULL DEFAULT 0,
    message text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    error_code text NOT NULL DEFAULT '',
    base_id text NOT NULL DEFAULT '',
    asset_id text NOT NULL DEFAULT '',
    source text NOT NULL DEFAULT '',
    cost bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    reservation_id text NOT NULL DEFAULT '',
    http_request_id text NOT NULL DEFAULT '',
    idempotency_key text,
    fingerprint text NOT NULL DEFAULT '',
    claimed_by text NOT NULL DEFAULT '',
    claimed_until timestamptz,
    last_event integer NOT NULL DEFAULT 0,
    deadline timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    completed_at timestamptz
);

CREATE UNIQUE INDEX idx_generations_idempotency_key ON generations (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX idx_generations_open ON generations (created_at, id) WHERE completed_at IS NULL;
CREATE INDEX idx_generations_owner ON generations (owner) WHERE completed_at IS NULL;
CREATE INDEX idx_generations_ended ON generations (completed_at) WHERE completed_at IS NOT NULL;

-- Tasks at outside generators, by which news of them finds the work that waits.
CREATE TABLE generation_tasks (
    generator text NOT NULL,
    task_id text NOT NULL,
    generation_id uuid NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
    PRIMARY KEY (generator, task_id)
);

CREATE INDEX idx_generation_tasks_generation_id ON generation_tasks (generation_id);

CREATE TABLE generation_events (
    generation_id uuid NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
    sequence integer NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    progress integer NOT NULL,
    message text NOT NULL,
    at timestamptz NOT NULL,
    details jsonb NOT NULL,
    PRIMARY KEY (generation_id, sequence)
);

-- +goose Down

DROP TABLE generation_events;
DROP TABLE generation_tasks;
DROP TABLE generations;
DROP TABLE file_leases;
DROP INDEX idx_assets_owner;
ALTER TABLE assets
    DROP COLUMN owner,
    DROP COLUMN public,
    DROP COLUMN source,
    DROP COLUMN source_name,
    DROP COLUMN file_key,
    DROP COLUMN preview_key,
    DROP COLUMN content_type,
    DROP COLUMN file_size,
    DROP COLUMN sha256,
    DROP COLUMN cost,
    DROP COLUMN response_time_ms,
    DROP COLUMN generation_id;
