-- name: InsertAsset :exec
-- file_url is for the eyes of people only where the file lies in the storage.
INSERT INTO assets (
    id, owner, public, source, source_name, category, title, description, style_tags, file_key, preview_key, preview_image_url, file_url,
    storage_type, file_format, content_type, file_size, file_size_mb, sha256, quality_score, download_count, license_type,
    attribution_required, metadata, cost, response_time_ms, generation_id, created_at, updated_at
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?17 / 1048576.0, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25,
    ?26, ?27, ?28
);

-- name: RecordAssetGeneration :exec
-- Keeps the LLM Platform's record of what was made.
INSERT INTO asset_generations (
    id, asset_id, generation_prompt, generation_service, generation_cost, generation_time_ms, user_id, created_at
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (id) DO NOTHING;

-- name: GetAssets :many
SELECT
    id, owner, public, source, source_name, category, title, description, style_tags, file_key, preview_key, preview_image_url, file_url,
    file_format, content_type, file_size, sha256, quality_score, download_count, license_type, attribution_required, metadata, cost,
    response_time_ms, generation_id, created_at, updated_at
FROM assets
WHERE id IN (SELECT wanted.value FROM json_each(sqlc.arg(ids)) AS wanted);

-- name: GetAssetToDelete :one
SELECT owner, public, category, file_key, preview_key, title, style_tags, description
FROM assets
WHERE id = ?1;

-- name: DeleteAsset :exec
DELETE FROM assets
WHERE id = ?1;

-- name: SumAssetFiles :one
SELECT cast(coalesce(sum(file_size), 0) AS INTEGER) AS bytes
FROM assets
WHERE owner = sqlc.arg(owner);

-- name: CountDownload :exec
UPDATE assets
SET download_count = download_count + 1
WHERE id = ?1;

-- name: RecordDownload :exec
-- The LLM Platform kept a row for every download, too.
INSERT INTO asset_usage (id, asset_id, usage_type, created_at)
SELECT
    lower(
        hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2)
        || '-' || hex(randomblob(6))
    ),
    a.id, 'download', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
FROM assets AS a
WHERE a.id = ?1;

-- name: NoteAssetWords :exec
INSERT INTO asset_words (owner, word, assets)
SELECT sqlc.arg(owner), noted.value, 1
FROM json_each(sqlc.arg(words)) AS noted
WHERE true
ON CONFLICT (owner, word) DO UPDATE SET assets = assets + 1;

-- name: UnnoteAssetWords :exec
UPDATE asset_words
SET assets = assets - 1
WHERE owner = sqlc.arg(owner) AND word IN (SELECT noted.value FROM json_each(sqlc.arg(words)) AS noted);

-- name: ForgetAssetWords :exec
-- A word goes with the last asset that has it.
DELETE FROM asset_words
WHERE owner = sqlc.arg(owner) AND assets <= 0 AND word IN (SELECT noted.value FROM json_each(sqlc.arg(words)) AS noted);
