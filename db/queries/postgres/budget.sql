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
-- One that is being settled at this moment is left to its transaction: waiting for each other would be a deadlock.
DELETE FROM budget_reservations
WHERE id IN (
    SELECT old.id
    FROM budget_reservations AS old
    WHERE old.principal = $1 AND old.expires_at <= $2
    FOR UPDATE SKIP LOCKED
);

-- name: InsertReservation :execrows
-- No row when it is more than what is available.
INSERT INTO budget_reservations (id, principal, day, amount, expires_at)
SELECT sqlc.arg(id)::uuid, sqlc.arg(principal)::text, sqlc.arg(day)::date, sqlc.arg(amount)::bigint, sqlc.arg(expires_at)::timestamptz
WHERE sqlc.arg(amount)::bigint + (
    SELECT coalesce(sum(r.amount), 0)
    FROM budget_reservations AS r
    WHERE r.principal = sqlc.arg(principal) AND r.day = sqlc.arg(day) AND r.expires_at > sqlc.arg(at)::timestamptz
) <= sqlc.arg(available)::bigint;

-- name: DeleteReservation :exec
DELETE FROM budget_reservations
WHERE id = $1;
