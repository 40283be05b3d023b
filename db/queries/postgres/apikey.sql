-- Rows of the old platform have neither owner nor subject: both is their user.

-- name: GetKeyByHash :one
SELECT
    id, coalesce(owner, user_id::text, 'service')::text AS owner, coalesce(subject, user_id::text, '')::text AS subject, name, prefix,
    permissions, tools, coalesce(is_active, false) AS is_active, expires_at, last_used_at, created_at
FROM api_keys
WHERE key_hash = $1;

-- name: GetKey :one
SELECT
    id, coalesce(owner, user_id::text, 'service')::text AS owner, coalesce(subject, user_id::text, '')::text AS subject, name, prefix,
    permissions, tools, coalesce(is_active, false) AS is_active, expires_at, last_used_at, created_at
FROM api_keys
WHERE id = sqlc.arg(id)
    AND (sqlc.arg(owner)::text = '' OR coalesce(owner, user_id::text, 'service') = sqlc.arg(owner)::text);

-- name: ListKeys :many
SELECT
    id, coalesce(owner, user_id::text, 'service')::text AS owner, coalesce(subject, user_id::text, '')::text AS subject, name, prefix,
    permissions, tools, coalesce(is_active, false) AS is_active, expires_at, last_used_at, created_at
FROM api_keys
WHERE coalesce(owner, user_id::text, 'service') = sqlc.arg(owner)::text
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg(max_keys) OFFSET sqlc.arg(skip);

-- name: CountKeys :one
SELECT count(*)
FROM api_keys
WHERE coalesce(owner, user_id::text, 'service') = sqlc.arg(owner)::text;

-- name: ListAllKeys :many
SELECT
    id, coalesce(owner, user_id::text, 'service')::text AS owner, coalesce(subject, user_id::text, '')::text AS subject, name, prefix,
    permissions, tools, coalesce(is_active, false) AS is_active, expires_at, last_used_at, created_at
FROM api_keys
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg(max_keys) OFFSET sqlc.arg(skip);

-- name: CountAllKeys :one
SELECT count(*)
FROM api_keys;

-- name: InsertKey :exec
INSERT INTO api_keys (id, owner, subject, key_hash, name, prefix, permissions, tools, is_active, expires_at, last_used_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12);

-- name: LockKey :one
SELECT
    id, coalesce(owner, user_id::text, 'service')::text AS owner, coalesce(subject, user_id::text, '')::text AS subject, name, prefix,
    permissions, tools, coalesce(is_active, false) AS is_active, expires_at, last_used_at, created_at, key_hash, revoked_at
FROM api_keys
WHERE id = sqlc.arg(id)
    AND (sqlc.arg(owner)::text = '' OR coalesce(owner, user_id::text, 'service') = sqlc.arg(owner)::text)
FOR UPDATE;

-- name: RevokeKey :exec
UPDATE api_keys SET is_active = false, revoked_at = sqlc.arg(at)::timestamptz
WHERE id = sqlc.arg(id);

-- name: ReplaceKey :exec
-- It goes on working until it expires. That it will be revoked then tells that it has been replaced.
UPDATE api_keys SET expires_at = sqlc.arg(expires_at)::timestamptz, revoked_at = sqlc.arg(expires_at)::timestamptz
WHERE id = sqlc.arg(id);

-- name: TouchKeys :exec
-- Locks in order, so that processes that touch the same keys at the same time wait for each other and no more.
WITH used AS (
    SELECT unnest(sqlc.arg(ids)::uuid[]) AS id, unnest(sqlc.arg(times)::timestamptz[]) AS at
), locked AS (
    SELECT k.id, used.at
    FROM api_keys AS k
    INNER JOIN used ON used.id = k.id
    WHERE k.last_used_at IS NULL OR k.last_used_at < used.at
    ORDER BY k.id
    FOR NO KEY UPDATE OF k
)

UPDATE api_keys SET last_used_at = locked.at
FROM locked
WHERE api_keys.id = locked.id AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < locked.at);

-- name: ExpireKeys :execrows
-- Time is the earlier of what a process and the server think: a process whose clock is ahead must not delete keys that work. Keys that the
-- old platform made are its own until they are revoked or replaced here: it might make one active again.
DELETE FROM api_keys
WHERE id IN (
    SELECT old.id
    FROM api_keys AS old
    WHERE (old.owner IS NOT NULL OR old.revoked_at IS NOT NULL)
        AND (
            old.expires_at < least(sqlc.arg(before)::timestamptz, statement_timestamp() - sqlc.arg(kept)::bigint * interval '1 microsecond')
            OR (
                old.is_active IS NOT TRUE
                AND coalesce(old.revoked_at, old.updated_at)
                < least(sqlc.arg(before)::timestamptz, statement_timestamp() - sqlc.arg(kept)::bigint * interval '1 microsecond')
            )
        )
    LIMIT sqlc.arg(max_keys)
    FOR UPDATE SKIP LOCKED
);
