-- Assets: whose they are and where their files lie, the work of making them, and files that no asset has yet.

-- +goose Up

-- owner is empty for what everybody shares. file_key and preview_key name files in the storage. cost is in billionths of a US dollar.
-- style_tags is a list in JSON. generation_id is the work that made it.
ALTER TABLE assets ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN public BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE assets ADD COLUMN source TEXT NOT NULL DEFAULT 'database';
ALTER TABLE assets ADD COLUMN source_name TEXT NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN file_key TEXT NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN preview_key TEXT NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN content_type TEXT NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN file_size INTEGER NOT NULL DEFAULT 0;
ALTER TABLE assets ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN cost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE assets ADD COLUMN response_time_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE assets ADD COLUMN generation_id TEXT;

CREATE INDEX idx_assets_owner ON assets (owner, file_size);

-- Files that belong to no asset (yet): until expires_at somebody writes them, after that they are removed. One that is condemned is
-- being removed, and no asset may take it any more.
CREATE TABLE file_leases (
    file_key TEXT PRIMARY KEY NOT NULL,
    expires_at INTEGER NOT NULL,
    condemned BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE INDEX idx_file_leases_expires_at ON file_leases (expires_at);

-- Requests for assets and the work on them. request is what the caller wants, attempts are the calls of generators, version counts
-- the changes. claimed_by and claimed_until say which process works on it.
CREATE TABLE generations (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    principal TEXT NOT NULL,
    status TEXT NOT NULL,
    request TEXT NOT NULL,
    generators TEXT NOT NULL,
    attempts TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    progress INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    error_code TEXT NOT NULL DEFAULT '',
    base_id TEXT NOT NULL DEFAULT '',
    asset_id TEXT NOT NULL DEFAULT '',
    source TEXT NOT NULL DEFAULT '',
    cost INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0,
    reservation_id TEXT NOT NULL DEFAULT '',
    http_request_id TEXT NOT NULL DEFAULT '',
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL DEFAULT '',
    claimed_by TEXT NOT NULL DEFAULT '',
    claimed_until INTEGER,
    last_event INTEGER NOT NULL DEFAULT 0,
    deadline INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    completed_at INTEGER
);

CREATE UNIQUE INDEX idx_generations_idempotency_key ON generations (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX idx_generations_open ON generations (created_at, id) WHERE completed_at IS NULL;
CREATE INDEX idx_generations_owner ON generations (owner) WHERE completed_at IS NULL;
CREATE INDEX idx_generations_ended ON generations (completed_at) WHERE completed_at IS NOT NULL;

-- Tasks at outside generators, by which news of them finds the work that waits.
CREATE TABLE generation_tasks (
    generator TEXT NOT NULL,
    task_id TEXT NOT NULL,
    generation_id TEXT NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
    PRIMARY KEY (generator, task_id)
);

CREATE INDEX idx_generation_tasks_generation_id ON generation_tasks (generation_id);

CREATE TABLE generation_events (
    generation_id TEXT NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    progress INTEGER NOT NULL,
    message TEXT NOT NULL,
    at INTEGER NOT NULL,
    details TEXT NOT NULL,
    PRIMARY KEY (generation_id, sequence)
);

-- +goose Down

DROP TABLE generation_events;
DROP TABLE generation_tasks;
DROP TABLE generations;
DROP TABLE file_leases;
DROP INDEX idx_assets_owner;
ALTER TABLE assets DROP COLUMN owner;
ALTER TABLE assets DROP COLUMN public;
ALTER TABLE assets DROP COLUMN source;
ALTER TABLE assets DROP COLUMN source_name;
ALTER TABLE assets DROP COLUMN file_key;
ALTER TABLE assets DROP COLUMN preview_key;
ALTER TABLE assets DROP COLUMN content_type;
ALTER TABLE assets DROP COLUMN file_size;
ALTER TABLE assets DROP COLUMN sha256;
ALTER TABLE assets DROP COLUMN cost;
ALTER TABLE assets DROP COLUMN response_time_ms;
ALTER TABLE assets DROP COLUMN generation_id;
