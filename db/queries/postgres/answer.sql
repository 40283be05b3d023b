-- name: ClaimAnswer :execrows
-- No row when the key is taken.
INSERT INTO kept_answers (principal, idempotency_key, fingerprint, run_id, lease_until, created_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (principal, idempotency_key) DO UPDATE SET
    run_id = excluded.run_id, lease_until = excluded.lease_until, created_at = excluded.created_at
WHERE kept_answers.answer IS NULL AND kept_answers.lease_until <= excluded.created_at
    AND kept_answers.fingerprint = excluded.fingerprint;

-- name: GetClaim :one
SELECT fingerprint, run_id, lease_until, answer
FROM kept_answers
WHERE principal = $1 AND idempotency_key = $2;

-- name: RenewClaim :execrows
UPDATE kept_answers SET lease_until = $4
WHERE principal = $1 AND idempotency_key = $2 AND run_id = $3;

-- name: AbandonClaim :exec
DELETE FROM kept_answers
WHERE principal = $1 AND idempotency_key = $2 AND run_id = $3 AND answer IS NULL;

-- name: ExpireAnswers :execrows
DELETE FROM kept_answers
WHERE (principal, idempotency_key) IN (
    SELECT old.principal, old.idempotency_key
    FROM kept_answers AS old
    WHERE old.created_at < sqlc.arg(before)
    ORDER BY old.created_at
    LIMIT sqlc.arg(max_answers)
);
