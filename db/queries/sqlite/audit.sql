-- name: RecordAudit :execrows
INSERT INTO audit_log (id, at, action, principal, subject, address, request_id, details)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (id) DO NOTHING;

-- name: ListAudit :many
SELECT id, at, action, principal, subject, address, request_id, details
FROM audit_log
WHERE at >= sqlc.arg(since)
ORDER BY at DESC, id DESC
LIMIT sqlc.arg(max_entries);

-- name: ExpireAudit :execrows
DELETE FROM audit_log
WHERE id IN (
    SELECT old.id
    FROM audit_log AS old
    WHERE old.at < sqlc.arg(before)
    ORDER BY old.at
    LIMIT sqlc.arg(max_entries)
);
