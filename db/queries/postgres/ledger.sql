-- name: InsertUsageRecord :execrows
-- Writes a record once: one that is there already stays as it is, and there is no row.
INSERT INTO usage_ledger (
    request_id, attempt, http_request_id, principal, created_at, operation, provider, model, claimed, outcome, failure,
    input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source, images, models_3d, credits,
    quality, cost, price_version, streamed, authentication, validation, selection, stream_setup, first_token, provider_time,
    processing
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
    $28, $29, $30, $31
)
ON CONFLICT (request_id, attempt) DO NOTHING;

-- name: SumUsage :many
-- Refusals and attempts that gave nothing are no requests, although what they cost is summed.
SELECT
    date_trunc('day', created_at, 'UTC')::timestamptz AS day, provider, operation, quality, claimed,
    count(*) FILTER (WHERE claimed OR outcome = 'completed' OR output_tokens > 0) AS requests,
    sum(input_tokens)::bigint AS input_tokens,
    sum(output_tokens)::bigint AS output_tokens,
    sum(images)::bigint AS images,
    sum(models_3d)::bigint AS models_3d,
    sum(credits)::bigint AS credits,
    least(sum(cost), 9223372036854775807)::bigint AS cost
FROM usage_ledger
WHERE principal = sqlc.arg(principal) AND created_at >= sqlc.arg(first) AND created_at < sqlc.arg(past)
GROUP BY 1, provider, operation, quality, claimed
ORDER BY 1, provider COLLATE "C", operation COLLATE "C", quality COLLATE "C", claimed;

-- name: ListRecentUsage :many
-- Ids begin with the time, so the primary key serves everybody's records in their order and ends the search in time.
SELECT
    request_id, attempt, http_request_id, principal, created_at, operation, provider, model, claimed, outcome, failure,
    input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source, images, models_3d, credits,
    quality, cost, price_version, streamed, authentication, validation, selection, stream_setup, first_token, provider_time,
    processing
FROM usage_ledger
WHERE request_id >= sqlc.arg(first_id) AND created_at >= sqlc.arg(since) AND NOT claimed
ORDER BY request_id DESC, attempt DESC
LIMIT sqlc.arg(max_records);

-- name: ListRecentUsageOf :many
SELECT
    request_id, attempt, http_request_id, principal, created_at, operation, provider, model, claimed, outcome, failure,
    input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source, images, models_3d, credits,
    quality, cost, price_version, streamed, authentication, validation, selection, stream_setup, first_token, provider_time,
    processing
FROM usage_ledger
WHERE principal = sqlc.arg(principal) AND created_at >= sqlc.arg(since) AND NOT claimed
ORDER BY created_at DESC, request_id DESC, attempt DESC
LIMIT sqlc.arg(max_records);

-- name: CountUsage :one
SELECT count(*) AS requests, coalesce(min(created_at), '0001-01-01 00:00:00Z')::timestamptz AS first_at
FROM (
    SELECT created_at
    FROM usage_ledger
    WHERE request_id >= sqlc.arg(first_id) AND created_at >= sqlc.arg(since) AND attempt = 1 AND NOT claimed
    ORDER BY request_id DESC
    LIMIT sqlc.arg(max_records)
) AS newest;
