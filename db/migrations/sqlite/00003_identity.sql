-- Who callers are: keys of any owner, local accounts with their sessions, and a log of what happened about them.

-- +goose Up

-- Keys belong to a principal as conversations do; most principals have no row in users. permissions holds the scopes as a list.
-- SQLite can't drop NOT NULL from a column, so the table is made anew.
CREATE TABLE api_keys_next (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    subject TEXT,
    key_hash TEXT NOT NULL UNIQUE,
    name TEXT,
    prefix TEXT NOT NULL DEFAULT '',
    permissions TEXT NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
INSERT INTO api_keys_next (
    id, user_id, owner, subject, key_hash, name, permissions, is_active, expires_at, last_used_at, created_at, updated_at
)
SELECT id, user_id, user_id, user_id, key_hash, name, permissions, is_active, expires_at, last_used_at, created_at, updated_at
FROM api_keys;
DROP TABLE api_keys;
ALTER TABLE api_keys_next RENAME TO api_keys;
CREATE INDEX idx_api_keys_user_id ON api_keys (user_id);
CREATE INDEX idx_api_keys_owner ON api_keys (owner, created_at DESC, id DESC);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    user_metadata TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_sign_in_at INTEGER
);

CREATE TABLE account_sessions (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
);

CREATE INDEX idx_account_sessions_account_id ON account_sessions (account_id, created_at);
CREATE INDEX idx_account_sessions_ends_at ON account_sessions (ends_at);

-- All tokens that a session ever had. used_at is set by the renewal that made the next one.
CREATE TABLE refresh_tokens (
    token_hash TEXT PRIMARY KEY NOT NULL,
    session_id TEXT NOT NULL REFERENCES account_sessions (id) ON DELETE CASCADE,
    parent_hash TEXT,
    created_at INTEGER NOT NULL,
    used_at INTEGER
) WITHOUT ROWID;

CREATE INDEX idx_refresh_tokens_session_id ON refresh_tokens (session_id);

CREATE TABLE audit_log (
    id TEXT PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    principal TEXT NOT NULL,
    subject TEXT NOT NULL,
    address TEXT NOT NULL,
    request_id TEXT NOT NULL,
    details TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX idx_audit_log_at ON audit_log (at);
CREATE INDEX idx_audit_log_principal ON audit_log (principal, at);

-- +goose Down

DROP TABLE audit_log;
DROP TABLE refresh_tokens;
DROP TABLE account_sessions;
DROP TABLE accounts;
DROP INDEX idx_api_keys_owner;
DROP INDEX idx_api_keys_user_id;
CREATE TABLE api_keys_before (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key_hash TEXT NOT NULL UNIQUE,
    name TEXT,
    permissions TEXT NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    expires_at INTEGER,
    last_used_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
-- The schema before has no place for keys without a row in users.
INSERT INTO api_keys_before
SELECT id, user_id, key_hash, name, permissions, is_active, expires_at, last_used_at, created_at, updated_at
FROM api_keys
WHERE user_id IS NOT NULL;
DROP TABLE api_keys;
ALTER TABLE api_keys_before RENAME TO api_keys;
CREATE INDEX idx_api_keys_user_id ON api_keys (user_id);
