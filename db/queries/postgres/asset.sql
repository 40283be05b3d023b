-- name: InsertAsset :exec
-- file_url is for the eyes of people only where the file lies in the storage.
INSERT INTO assets (
    id, owner, public, source, source_name, category, title, description, style_tags, file_key, preview_key, preview_image_url, file_url,
    storage_type, file_format, content_type, file_size, file_size_mb, sha256, quality_score, download_count, license_type,
    attribution_required, metadata, cost, response_time_ms, generation_id, created_at, updated_at
)
VALUES (
    sqlc.arg(id), sqlc.arg(owner), sqlc.arg(public), sqlc.arg(source), sqlc.arg(source_name), sqlc.arg(category), sqlc.arg(title),
    sqlc.arg(description)::text, sqlc.arg(style_tags)::text [], sqlc.arg(file_key), sqlc.arg(preview_key), sqlc.arg(preview_url)::text,
    sqlc.arg(file_url), sqlc.arg(storage_type), sqlc.arg(file_format)::text, sqlc.arg(content_type), sqlc.arg(file_size),
    sqlc.arg(file_size)::bigint / 1048576.0::float, sqlc.arg(sha256), sqlc.arg(quality_score), sqlc.arg(download_count),
    sqlc.arg(license_type)::text, sqlc.arg(attribution_required), sqlc.arg(metadata), sqlc.arg(cost), sqlc.arg(response_time_ms),
    sqlc.narg(generation_id), sqlc.arg(created_at), sqlc.arg(updated_at)
);

-- name: RecordAssetGeneration :exec
-- Keeps the LLM Platform's record of what was made. Its columns are narrow.
INSERT INTO asset_generations (
    id, asset_id, generation_prompt, generation_service, generation_cost, generation_time_ms, user_id, created_at
)
VALUES (
    sqlc.arg(id), sqlc.arg(asset_id)::uuid, sqlc.arg(prompt), left(sqlc.arg(service)::text, 50),
    least(sqlc.arg(cost)::bigint / 1000000000.0, 999999), least(sqlc.arg(took_ms)::bigint, 2147483647)::integer,
    left(sqlc.arg(user_id)::text, 255), sqlc.arg(created_at)::timestamptz
)
ON CONFLICT (id) DO NOTHING;

-- name: GetAssets :many
SELECT
    id, owner, public, source, source_name, category, title, description,
    ARRAY(SELECT t FROM unnest(style_tags) AS t WHERE t IS NOT NULL)::text [] AS style_tags,
    file_key, preview_key, preview_image_url, file_url, file_format, content_type, file_size, sha256, quality_score, download_count,
    license_type, attribution_required, metadata, cost, response_time_ms, generation_id, created_at, updated_at
FROM assets
WHERE id = ANY(sqlc.arg(ids)::uuid []);

-- name: LockAsset :one
SELECT owner, public, category, file_key, preview_key
FROM assets
WHERE id = $1
FOR UPDATE;

-- name: DeleteAsset :exec
DELETE FROM assets
WHERE id = $1;

-- name: SumAssetFiles :one
SELECT coalesce(sum(file_size), 0)::bigint AS bytes
FROM assets
WHERE owner = sqlc.arg(owner);

-- name: CountDownload :exec
-- The LLM Platform kept a row for every download, too.
WITH counted AS (
    UPDATE assets
    SET download_count = least(download_count::bigint + 1, 2147483647)::integer
    WHERE assets.id = sqlc.arg(asset_id)
    RETURNING assets.id
)
INSERT INTO asset_usage (asset_id, usage_type)
SELECT c.id, 'download'
FROM counted AS c;
