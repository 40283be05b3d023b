-- Search in the catalogue of assets.

-- +goose Up

-- What the LLM Platform left out gets the value that it stood for.
SET LOCAL TIME ZONE 'UTC';
ALTER TABLE assets DISABLE TRIGGER USER; -- they would take this for a change of the asset

UPDATE assets
SET
    quality_score = coalesce(quality_score, 0),
    download_count = coalesce(download_count, 0),
    attribution_required = coalesce(attribution_required, false),
    metadata = coalesce(metadata, '{}'),
    created_at = coalesce(created_at, updated_at, now()),
    updated_at = coalesce(updated_at, created_at, now()),
    file_size = CASE WHEN file_size_mb BETWEEN 0 AND 1e9 THEN round(file_size_mb * 1048576)::bigint ELSE 0 END
WHERE
    quality_score IS NULL OR download_count IS NULL OR attribution_required IS NULL OR metadata IS NULL OR created_at IS NULL
    OR updated_at IS NULL OR file_size_mb IS NOT NULL;

ALTER TABLE assets
    ALTER COLUMN quality_score SET NOT NULL,
    ALTER COLUMN download_count SET NOT NULL,
    ALTER COLUMN attribution_required SET NOT NULL,
    ALTER COLUMN metadata SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN updated_at SET NOT NULL;

ALTER TABLE assets ENABLE TRIGGER USER;

-- +goose Down

ALTER TABLE assets
    ALTER COLUMN quality_score DROP NOT NULL,
    ALTER COLUMN download_count DROP NOT NULL,
    ALTER COLUMN attribution_required DROP NOT NULL,
    ALTER COLUMN metadata DROP NOT NULL,
    ALTER COLUMN created_at DROP NOT NULL,
    ALTER COLUMN updated_at DROP NOT NULL;
