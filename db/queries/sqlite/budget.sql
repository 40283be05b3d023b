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
SELECT CAST(coalesce(sum(amount), 0) AS INTEGER) AS amount
FROM budget_reservations
WHERE principal = ?1 AND day = ?2;

-- name: InsertReservation :exec
INSERT INTO budget_reservations (id, principal, day, amount, expires_at) VALUES (?1, ?2, ?3, ?4, ?5);

-- name: DeleteReservation :exec
DELETE FROM budget_reservations
WHERE id = ?1;
