-- name: GetKeyByHash :one
SELECT id, owner, subject, name, prefix, permissions, tools, is_active, expires_at, last_used_at, created_at
FROM api_keys
WHERE key_hash = ?1;

-- name: GetKey :one
SELECT id, owner, subject, name, prefix, permissions, tools, is_active, expires_at, last_used_at, created_at
FROM api_keys
WHERE id = sqlc.arg(id) AND (CAST(sqlc.arg(owner) AS TEXT) = '' OR owner = sqlc.arg(owner));

-- name: ListKeys :many
SELECT id, owner, subject, name, prefix, permissions, tools, is_active, expires_at, last_used_at, created_at
FROM api_keys
WHERE owner = sqlc.arg(owner)
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg(max_keys) OFFSET sqlc.arg(skip);

-- name: CountKeys :one
SELECT count(*)
FROM api_keys
WHERE owner = ?1;

-- name: ListAllKeys :many
SELECT id, owner, subject, name, prefix, permissions, tools, is_active, expires_at, last_used_at, created_at
FROM api_keys
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg(max_keys) OFFSET sqlc.arg(skip);

-- name: CountAllKeys :one
SELECT count(*)
FROM api_keys;

-- name: InsertKey :exec
INSERT INTO api_keys (id, owner, subject, key_hash, name, prefix, permissions, tools, is_active, expires_at, last_used_at, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12);

-- name: GetKeyToChange :one
SELECT id, owner, subject, name, prefix, permissions, tools, is_active, expires_at, last_used_at, created_at, key_hash, revoked_at
FROM api_keys
WHERE id = sqlc.arg(id) AND (CAST(sqlc.arg(owner) AS TEXT) = '' OR owner = sqlc.arg(owner));

-- name: RevokeKey :exec
UPDATE api_keys SET is_active = FALSE, revoked_at = ?2, updated_at = ?2
WHERE id = ?1;

-- name: ReplaceKey :exec
-- It goes on working until it expires. That it will be revoked then tells that it has been replaced.
UPDATE api_keys SET expires_at = ?2, revoked_at = ?2, updated_at = ?3
WHERE id = ?1;

-- name: TouchKeys :exec
-- used is a JSON object of times by id.
UPDATE api_keys SET last_used_at = (
    SELECT used.value
    FROM json_each(sqlc.arg(used)) AS used
    WHERE used.key = api_keys.id
)
WHERE api_keys.id IN (
    SELECT newer.key
    FROM json_each(sqlc.arg(used)) AS newer
    INNER JOIN api_keys AS k ON newer.key = k.id
    WHERE k.last_used_at IS NULL OR k.last_used_at < newer.value
);

-- name: ExpireKeys :execrows
DELETE FROM api_keys
WHERE id IN (
    SELECT old.id
    FROM api_keys AS old
    WHERE old.expires_at < CAST(sqlc.arg(before) AS INTEGER)
        OR (NOT old.is_active AND coalesce(old.revoked_at, old.updated_at) < CAST(sqlc.arg(before) AS INTEGER))
    LIMIT sqlc.arg(max_keys)
);
