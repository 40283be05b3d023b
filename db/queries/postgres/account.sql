-- name: InsertAccount :exec
INSERT INTO accounts (id, email, password_hash, user_metadata, created_at, updated_at, last_sign_in_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: GetAccount :one
SELECT *
FROM accounts
WHERE id = $1;

-- name: GetAccountByEmail :one
SELECT *
FROM accounts
WHERE email = $1;

-- name: SetPasswordHash :execrows
UPDATE accounts SET password_hash = $2, updated_at = $3
WHERE id = $1 AND password_hash = sqlc.arg(old);

-- name: NoteSignIn :execrows
-- Locks the account, so that two sign-ins can't both leave too many sessions.
UPDATE accounts SET last_sign_in_at = sqlc.arg(at)::timestamptz, updated_at = sqlc.arg(at)::timestamptz
WHERE id = $1;

-- name: InsertSession :exec
INSERT INTO account_sessions (id, account_id, created_at, ends_at) VALUES ($1, $2, $3, $4);

-- name: GetSession :one
SELECT *
FROM account_sessions
WHERE id = $1 AND ends_at > sqlc.arg(now);

-- name: DeleteSession :exec
DELETE FROM account_sessions
WHERE id = $1;

-- name: DeleteSessionsOf :exec
DELETE FROM account_sessions
WHERE account_id = $1;

-- name: DeleteSessionsBeyond :exec
DELETE FROM account_sessions
WHERE id IN (
    SELECT other.id
    FROM account_sessions AS other
    WHERE other.account_id = $1 AND other.id <> sqlc.arg(new_id)
    ORDER BY other.ends_at DESC, other.created_at DESC, other.id DESC
    OFFSET sqlc.arg(keep_others)
);

-- name: ExtendSession :exec
UPDATE account_sessions SET ends_at = $2
WHERE id = $1;

-- name: ExpireSessions :execrows
DELETE FROM account_sessions
WHERE id IN (
    SELECT old.id
    FROM account_sessions AS old
    WHERE old.ends_at < sqlc.arg(before)
    ORDER BY old.ends_at
    LIMIT sqlc.arg(max_sessions)
    FOR UPDATE SKIP LOCKED
);

-- name: LockSessionOfToken :one
SELECT s.*
FROM refresh_tokens AS t
JOIN account_sessions AS s ON s.id = t.session_id
WHERE t.token_hash = $1
FOR UPDATE OF s;

-- name: GetToken :one
SELECT t.used_at, n.token_hash AS next_hash, n.used_at AS next_used_at
FROM refresh_tokens AS t
LEFT JOIN refresh_tokens AS n ON n.token_hash = sqlc.arg(next) AND n.parent_hash = t.token_hash
WHERE t.token_hash = $1;

-- name: GetNextToken :one
-- Looks through all tokens of the session.
SELECT token_hash, used_at
FROM refresh_tokens
WHERE session_id = $1 AND parent_hash = $2;

-- name: InsertToken :exec
INSERT INTO refresh_tokens (token_hash, session_id, parent_hash, created_at) VALUES ($1, $2, $3, $4);

-- name: UseToken :exec
UPDATE refresh_tokens SET used_at = $2
WHERE token_hash = $1 AND used_at IS NULL;

-- name: DeleteToken :exec
DELETE FROM refresh_tokens
WHERE token_hash = $1;

-- name: CountTokens :one
SELECT count(*)
FROM refresh_tokens
WHERE session_id = $1;

-- name: ForgetTokens :exec
DELETE FROM refresh_tokens
WHERE session_id = $1 AND used_at < sqlc.arg(before);
