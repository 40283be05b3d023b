-- Who callers are: keys of any owner, local accounts with their sessions, and a log of what happened about them.

-- +goose Up

-- Keys belong to a principal as conversations do; most principals have no row in users. permissions holds the scopes as a list.
-- Rows of the old platform, and those that its tools go on making, have neither owner nor subject: both is their user.
ALTER TABLE api_keys
    ALTER COLUMN user_id DROP NOT NULL,
    ADD COLUMN owner text,
    ADD COLUMN subject text,
    ADD COLUMN prefix text NOT NULL DEFAULT '',
    ADD COLUMN revoked_at timestamptz;

-- The unique index serves the look-up by hash; nothing asks by the others.
DROP INDEX IF EXISTS idx_api_keys_key_hash;
DROP INDEX IF EXISTS idx_api_keys_is_active;
DROP INDEX IF EXISTS idx_api_keys_expires_at;
CREATE INDEX idx_api_keys_owner ON api_keys (coalesce(owner, user_id::text, 'service'), created_at DESC, id DESC);

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    user_metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    last_sign_in_at timestamptz
);

CREATE TABLE account_sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL
);

CREATE INDEX idx_account_sessions_account_id ON account_sessions (account_id, created_at);
CREATE INDEX idx_account_sessions_ends_at ON account_sessions (ends_at);

-- All tokens that a session ever had. used_at is set by the renewal that made the next one.
CREATE TABLE refresh_tokens (
    token_hash text PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES account_sessions (id) ON DELETE CASCADE,
    parent_hash text,
    created_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE INDEX idx_refresh_tokens_session_id ON refresh_tokens (session_id);

CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    action text NOT NULL,
    principal text NOT NULL,
    subject text NOT NULL,
    address text NOT NULL,
    request_id text NOT NULL,
    details jsonb NOT NULL
);

CREATE INDEX idx_audit_log_at ON audit_log (at);
CREATE INDEX idx_audit_log_principal ON audit_log (principal, at);

-- +goose Down

DROP TABLE audit_log;
DROP TABLE refresh_tokens;
DROP TABLE account_sessions;
DROP TABLE accounts;
DROP INDEX idx_api_keys_owner;
CREATE INDEX idx_api_keys_key_hash ON api_keys (key_hash);
CREATE INDEX idx_api_keys_is_active ON api_keys (is_active);
-- The old schema has no place for keys without a row in users.
DELETE FROM api_keys WHERE user_id IS NULL;
ALTER TABLE api_keys
    DROP COLUMN revoked_at,
    DROP COLUMN prefix,
    DROP COLUMN subject,
    DROP COLUMN owner,
    ALTER COLUMN user_id SET NOT NULL;
