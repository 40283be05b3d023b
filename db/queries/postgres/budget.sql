-- name: LockBudget :one
-- Reservations of one caller and day come one after the other: what is counted after this holds until the transaction ends.
SELECT spent
FROM budgets
WHERE principal = $1 AND day = $2
FOR UPDATE;

-- name: OpenBudget :one
-- Begins a day with what the ledger holds of it already, or locks the budget that another transaction has opened meanwhile.
INSERT INTO budgets (principal, day, spent)
SELECT sqlc.arg(principal)::text, sqlc.arg(day)::date, coalesce(sum(cost), 0)::bigint
FROM usage_ledger
WHERE principal = sqlc.arg(principal) AND created_at >= sqlc.arg(first) AND created_at < sqlc.arg(past) AND NOT claimed
ON CONFLICT (principal, day) DO UPDATE SET spent = budgets.spent
RETURNING spent;

-- name: DeleteExpiredReservations :exec
-- One that is being settled at this moment is left to its transaction: waiting for each other would be a deadlock. Leases are judged by
-- the clock of the server, at the time of the statement: the transaction may have waited for the budget.
DELETE FROM budget_reservations
WHERE id IN (
    SELECT old.id
    FROM budget_reservations AS old
    WHERE old.principal = $1 AND old.expires_at <= statement_timestamp()
    FOR UPDATE SKIP LOCKED
);

-- name: InsertReservation :execrows
-- No row when it is more than what is available. Those of earlier days that still run may be spent on this one.
INSERT INTO budget_reservations (id, principal, day, amount, expires_at)
SELECT
    sqlc.arg(id)::uuid, sqlc.arg(principal)::text, sqlc.arg(day)::date, sqlc.arg(amount)::bigint,
    statement_timestamp() + sqlc.arg(lease)::bigint * interval '1 microsecond'
WHERE sqlc.arg(amount)::bigint + (
    SELECT coalesce(sum(r.amount), 0)
    FROM budget_reservations AS r
    WHERE r.principal = sqlc.arg(principal) AND r.day <= sqlc.arg(day) AND r.expires_at > statement_timestamp()
) <= sqlc.arg(available)::bigint;

-- name: RenewReservations :many
-- Returns those that were gone. A row that somebody has made meanwhile is as good.
WITH held AS (
    SELECT
        unnest(sqlc.arg(ids)::uuid[]) AS id,
        unnest(sqlc.arg(principals)::text[]) AS principal,
        unnest(sqlc.arg(days)::date[]) AS day,
        unnest(sqlc.arg(amounts)::bigint[]) AS amount,
        statement_timestamp() + unnest(sqlc.arg(leases)::bigint[]) * interval '1 microsecond' AS expires_at
),

renewed AS (
    UPDATE budget_reservations SET expires_at = greatest(budget_reservations.expires_at, held.expires_at)
    FROM held
    WHERE budget_reservations.id = held.id
    RETURNING budget_reservations.id
)

INSERT INTO budget_reservations (id, principal, day, amount, expires_at)
SELECT held.id, held.principal, held.day, held.amount, held.expires_at
FROM held
WHERE NOT EXISTS (SELECT FROM renewed WHERE renewed.id = held.id)
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: HoldReservation :exec
-- Work that is stored needs no process that renews. No row: it is gone.
UPDATE budget_reservations
SET expires_at = greatest(expires_at, statement_timestamp() + sqlc.arg(lease)::bigint * interval '1 microsecond')
WHERE id = sqlc.arg(id);

-- name: DeleteReservation :exec
DELETE FROM budget_reservations
WHERE id = $1;

-- name: DeleteLapsedReservations :execrows
-- Of callers who never come back. Not by the clock of a process that is ahead.
DELETE FROM budget_reservations
WHERE id IN (
    SELECT old.id
    FROM budget_reservations AS old
    WHERE old.expires_at < least(sqlc.arg(before)::timestamptz, statement_timestamp())
    LIMIT sqlc.arg(max_rows)
    FOR UPDATE SKIP LOCKED
);
