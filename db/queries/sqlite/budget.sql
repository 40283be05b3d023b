-- name: GetBudget :one
SELECT spent
FROM budgets
WHERE principal = ?1 AND day = ?2;

-- name: OpenBudget :one
-- Begins a day with what the ledger holds of it already.
INSERT INTO budgets (principal, day, spent)
SELECT CAST(sqlc.arg(principal) AS TEXT), CAST(sqlc.arg(day) AS TEXT), coalesce(sum(cost), 0)
FROM usage_ledger
WHERE principal = sqlc.arg(principal) AND created_at >= sqlc.arg(first) AND created_at < sqlc.arg(past) AND NOT claimed
RETURNING spent;

-- name: DeleteExpiredReservations :exec
DELETE FROM budget_reservations
WHERE principal = ?1 AND expires_at <= ?2;

-- name: SumReservations :one
-- Those of earlier days that still run may be spent on this one.
SELECT CAST(coalesce(sum(amount), 0) AS INTEGER) AS amount
FROM budget_reservations
WHERE principal = ?1 AND day <= ?2;

-- name: InsertReservation :exec
INSERT INTO budget_reservations (id, principal, day, amount, expires_at) VALUES (?1, ?2, ?3, ?4, ?5);

-- name: RestoreReservations :many
-- held is a list of JSON objects, one for each reservation. Returns those that were gone.
INSERT INTO budget_reservations (id, principal, day, amount, expires_at)
SELECT
    json_extract(held.value, '$.id'), json_extract(held.value, '$.principal'), json_extract(held.value, '$.day'),
    json_extract(held.value, '$.amount'), json_extract(held.value, '$.expires_at')
FROM json_each(sqlc.arg(held)) AS held
WHERE NOT EXISTS (SELECT 1 FROM budget_reservations AS r WHERE r.id = json_extract(held.value, '$.id'))
RETURNING id;

-- name: RenewReservations :exec
-- until is a JSON object of times by id.
UPDATE budget_reservations SET expires_at = max(expires_at, (
    SELECT renewed.value
    FROM json_each(sqlc.arg(until)) AS renewed
    WHERE renewed.key = budget_reservations.id
))
WHERE budget_reservations.id IN (SELECT renewed.key FROM json_each(sqlc.arg(until)) AS renewed);

-- name: HoldReservation :execrows
UPDATE budget_reservations SET expires_at = max(expires_at, CAST(sqlc.arg(expires_at) AS INTEGER))
WHERE id = sqlc.arg(id);

-- name: DeleteReservation :exec
DELETE FROM budget_reservations
WHERE id = ?1;

-- name: DeleteLapsedReservations :execrows
-- Of callers who never come back.
DELETE FROM budget_reservations
WHERE id IN (
    SELECT old.id
    FROM budget_reservations AS old
    WHERE old.expires_at < CAST(sqlc.arg(before) AS INTEGER)
    LIMIT sqlc.arg(max_rows)
);
