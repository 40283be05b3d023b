-- name: RecordAudit :exec
-- The event goes into the outbox only with a row that is new.
WITH entry AS (
    INSERT INTO audit_log (id, at, action, principal, subject, address, request_id, details)
    VALUES (
        sqlc.arg(id), sqlc.arg(at), sqlc.arg(action), sqlc.arg(principal), sqlc.arg(subject), sqlc.arg(address),
        sqlc.arg(request_id), sqlc.arg(details)
    )
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
INSERT INTO outbox (id, subject, payload, traceparent)
SELECT entry.id, sqlc.arg(event_subject)::text, sqlc.arg(event_payload)::jsonb, sqlc.narg(traceparent)::text
FROM entry;

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
