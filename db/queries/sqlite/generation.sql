-- name: InsertGeneration :execrows
-- No row when the owner has one with this key.
INSERT INTO generations (
    id, owner, principal, status, request, generators, attempts, progress, message, error, error_code, base_id, asset_id, source, cost,
    reserved, reservation_id, http_request_id, idempotency_key, fingerprint, deadline, created_at, updated_at, completed_at, last_event,
    traceparent
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26
)
ON CONFLICT (owner, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING;

-- name: GetGeneration :one
SELECT *
FROM generations
WHERE id = ?1;

-- name: GetGenerationByKey :one
SELECT *
FROM generations
WHERE owner = ?1 AND idempotency_key = ?2;

-- name: GetGenerationStatus :one
SELECT status
FROM generations
WHERE id = ?1;

-- name: CountOpenGenerations :one
SELECT count(*)
FROM generations
WHERE owner = ?1 AND completed_at IS NULL;

-- name: ListGenerationEvents :many
SELECT *
FROM generation_events
WHERE generation_id = sqlc.arg(generation_id) AND sequence > sqlc.arg(after)
ORDER BY sequence
LIMIT sqlc.arg(max_events);

-- name: ClaimGeneration :one
UPDATE generations SET
    claimed_by = sqlc.arg(runner), claimed_until = CAST(sqlc.arg(until) AS INTEGER), status = 'processing', version = version + 1,
    updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND completed_at IS NULL
    AND (claimed_by = '' OR claimed_by = sqlc.arg(runner) OR claimed_until <= CAST(sqlc.arg(now) AS INTEGER))
RETURNING *;

-- name: RenewGeneration :execrows
UPDATE generations SET claimed_until = CAST(sqlc.arg(until) AS INTEGER)
WHERE id = sqlc.arg(id) AND claimed_by = sqlc.arg(runner) AND claimed_by <> '' AND completed_at IS NULL;

-- name: AbandonGeneration :exec
UPDATE generations SET claimed_by = '', claimed_until = NULL
WHERE id = sqlc.arg(id) AND claimed_by = sqlc.arg(runner);

-- name: CommitGeneration :one
-- No row when it has changed meanwhile, has ended, or the runner has not the claim. Work that ends is nobody's any more.
UPDATE generations SET
    status = sqlc.arg(status), generators = sqlc.arg(generators), attempts = sqlc.arg(attempts), version = version + 1,
    progress = sqlc.arg(progress), message = sqlc.arg(message), error = sqlc.arg(error), error_code = sqlc.arg(error_code),
    base_id = sqlc.arg(base_id), asset_id = sqlc.arg(asset_id), source = sqlc.arg(source), cost = sqlc.arg(cost),
    reserved = sqlc.arg(reserved), reservation_id = sqlc.arg(reservation_id), http_request_id = sqlc.arg(http_request_id),
    updated_at = sqlc.arg(updated_at), completed_at = sqlc.narg(completed_at),
    last_event = last_event + sqlc.arg(events),
    claimed_by = CASE WHEN sqlc.narg(completed_at) IS NULL THEN claimed_by ELSE '' END,
    claimed_until = CASE WHEN sqlc.narg(completed_at) IS NULL THEN claimed_until END
WHERE id = sqlc.arg(id) AND version = sqlc.arg(version) AND completed_at IS NULL
    AND (CAST(sqlc.arg(runner) AS TEXT) = '' OR claimed_by = CAST(sqlc.arg(runner) AS TEXT))
RETURNING owner, request, created_at, version, last_event;

-- name: PutGenerationTask :exec
-- A task that other work had goes over to this one.
INSERT INTO generation_tasks (generator, task_id, generation_id) VALUES (?1, ?2, ?3)
ON CONFLICT (generator, task_id) DO UPDATE SET generation_id = excluded.generation_id
WHERE generation_tasks.generation_id <> excluded.generation_id;

-- name: FindGenerationTask :one
SELECT g.id
FROM generation_tasks AS t
JOIN generations AS g ON g.id = t.generation_id
WHERE t.generator = ?1 AND t.task_id = ?2 AND g.completed_at IS NULL;

-- name: PutGenerationEvent :exec
INSERT INTO generation_events (generation_id, sequence, id, type, status, progress, message, at, details)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: SpendBudget :exec
-- A day without a row needs none: what the ledger holds is counted when the first reservation makes one.
UPDATE budgets SET spent = spent + sqlc.arg(cost)
WHERE principal = sqlc.arg(principal) AND day = sqlc.arg(day);

-- name: ListWaitingGenerations :many
-- What an owner has in work comes before what waits, so who has most of that is last.
SELECT id
FROM (
    SELECT id, created_at, waits, row_number() OVER (PARTITION BY owner ORDER BY waits, created_at, id) AS place
    FROM (
        SELECT id, owner, created_at, (claimed_by = '' OR claimed_until <= CAST(sqlc.arg(now) AS INTEGER)) AS waits
        FROM generations
        WHERE completed_at IS NULL
    ) AS unended
) AS placed
WHERE waits
ORDER BY place, created_at, id
LIMIT sqlc.arg(max_generations);

-- name: ExpireGenerations :execrows
-- Tasks and events go with their work.
DELETE FROM generations
WHERE id IN (
    SELECT old.id
    FROM generations AS old
    WHERE old.completed_at < CAST(sqlc.arg(before) AS INTEGER)
    ORDER BY old.completed_at
    LIMIT sqlc.arg(max_generations)
);
