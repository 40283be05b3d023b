-- name: ListEvents :many
SELECT seq, id, subject, payload, traceparent
FROM outbox
ORDER BY seq
LIMIT sqlc.arg(max_events);

-- name: DeleteEvents :exec
-- Up to a number that was read: there is one writer at a time, so no lower one can appear later.
DELETE FROM outbox
WHERE seq <= ?1;

-- name: CountEvents :one
-- Up to a number: whoever watches asks every few seconds.
SELECT count(*)
FROM (SELECT 1 FROM outbox LIMIT ?1) AS counted;

-- name: OldestEvent :one
-- When the first of the events began to wait; 0: nobody knows.
SELECT stored_at
FROM outbox
ORDER BY seq
LIMIT 1;

-- name: OutboxState :one
SELECT handed, since
FROM outbox_state;

-- name: HandEvents :exec
UPDATE outbox_state SET handed = ?1;

-- name: SettleEvents :exec
UPDATE outbox_state SET since = ?1;
