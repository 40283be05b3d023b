-- name: LockOutbox :one
-- One sender at a time for each schema, until the end of the transaction.
SELECT pg_try_advisory_xact_lock(72001, 'outbox'::regclass::oid::integer);

-- name: ListEvents :many
SELECT seq, id, subject, payload, traceparent
FROM outbox
ORDER BY seq
LIMIT sqlc.arg(max_events);

-- name: DeleteEvents :exec
-- By their numbers one by one: a transaction that took a lower number may commit after those that were read.
DELETE FROM outbox
WHERE seq = ANY(sqlc.arg(seqs)::bigint[]);

-- name: CountEvents :one
-- Up to a number: whoever watches asks every few seconds.
SELECT count(*)
FROM (SELECT 1 FROM outbox LIMIT sqlc.arg(max_events)) AS counted;

-- name: OldestEvent :one
-- How long the first of the events has waited, by the clock that stored it.
SELECT extract(EPOCH FROM clock_timestamp() - stored_at)::double precision AS seconds
FROM outbox
ORDER BY seq
LIMIT 1;

-- name: OutboxState :one
SELECT handed, since
FROM outbox_state;

-- name: HandEvents :one
-- The version of the row is who has got events last.
UPDATE outbox_state SET handed = sqlc.arg(handed)::bigint[]
RETURNING xmin::text AS version;

-- name: OutboxVersion :one
SELECT xmin::text AS version
FROM outbox_state;

-- name: SettleEvents :exec
UPDATE outbox_state SET handed = sqlc.arg(handed)::bigint[], since = sqlc.arg(since);
