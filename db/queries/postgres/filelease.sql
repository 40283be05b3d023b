-- name: InsertFileLease :execrows
INSERT INTO file_leases (file_key, expires_at)
VALUES ($1, $2)
ON CONFLICT (file_key) DO NOTHING;

-- name: LeaseFilesAgain :exec
INSERT INTO file_leases (file_key, expires_at)
SELECT unnest(sqlc.arg(file_keys)::text []), sqlc.arg(expires_at)::timestamptz
ON CONFLICT (file_key) DO NOTHING;

-- name: TakeFileLeases :execrows
-- Who takes the leases of files answers for the files. A lease that is being condemned is waited for.
DELETE FROM file_leases
WHERE file_key = ANY(sqlc.arg(file_keys)::text []) AND NOT condemned;

-- name: EndFileLeases :exec
UPDATE file_leases
SET expires_at = sqlc.arg(expires_at)
WHERE file_key = ANY(sqlc.arg(file_keys)::text []) AND NOT condemned;

-- name: CondemnFiles :many
-- Those that were condemned before are among them, after the others: whoever was to remove them may have died. A file that can't be
-- removed keeps nobody from the next.
WITH ended AS (
    SELECT l.file_key, l.expires_at
    FROM file_leases AS l
    WHERE l.expires_at <= sqlc.arg(now)::timestamptz
    ORDER BY l.expires_at, l.file_key
    LIMIT sqlc.arg(max_files)
    FOR UPDATE SKIP LOCKED
),

condemned AS (
    UPDATE file_leases
    SET condemned = true, expires_at = sqlc.arg(now)::timestamptz
    WHERE file_key IN (SELECT e.file_key FROM ended AS e)
)

SELECT ended.file_key
FROM ended
ORDER BY ended.expires_at, ended.file_key;

-- name: DeleteFileLease :exec
DELETE FROM file_leases
WHERE file_key = $1;
