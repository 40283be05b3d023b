-- name: InsertFileLease :execrows
INSERT INTO file_leases (file_key, expires_at)
VALUES (?1, ?2)
ON CONFLICT (file_key) DO NOTHING;

-- name: LeaseFileAgain :exec
INSERT INTO file_leases (file_key, expires_at)
VALUES (?1, ?2)
ON CONFLICT (file_key) DO NOTHING;

-- name: TakeFileLease :execrows
-- Who takes the lease of a file answers for the file.
DELETE FROM file_leases
WHERE file_key = ?1 AND NOT condemned;

-- name: EndFileLease :exec
UPDATE file_leases
SET expires_at = sqlc.arg(expires_at)
WHERE file_key = sqlc.arg(file_key) AND NOT condemned;

-- name: ListEndedFileLeases :many
SELECT file_key
FROM file_leases
WHERE expires_at <= sqlc.arg(now)
ORDER BY expires_at, file_key
LIMIT sqlc.arg(max_files);

-- name: CondemnFile :exec
-- Those that were condemned before are among them, after the others: whoever was to remove them may have died. A file that can't be
-- removed keeps nobody from the next.
UPDATE file_leases
SET condemned = TRUE, expires_at = sqlc.arg(now)
WHERE file_key = sqlc.arg(file_key);

-- name: DeleteFileLease :exec
DELETE FROM file_leases
WHERE file_key = ?1;
