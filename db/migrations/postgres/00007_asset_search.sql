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

-- +goose StatementBegin
-- The words of an asset as they are looked for: those of the title weigh most, then those of the tags. Marks part words, whatever the
-- parser would make of them together.
CREATE FUNCTION gaia_asset_words(title text, tags text [], description text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT
        setweight(to_tsvector('pg_catalog.english', coalesce(translate(title, p.marks, p.blanks), '')), 'A')
        || setweight(to_tsvector('pg_catalog.english', coalesce(translate(array_to_string(tags, ' '), p.marks, p.blanks), '')), 'B')
        || setweight(to_tsvector('pg_catalog.english', coalesce(translate(left(description, 32768), p.marks, p.blanks), '')), 'C')
    FROM (SELECT '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~'::text AS marks, repeat(' ', 32) AS blanks) AS p
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Tags as they are compared.
CREATE FUNCTION gaia_asset_tags(tags text []) RETURNS text []
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(left(lower(btrim(t)), 64)), '{}') FROM unnest(tags) AS t WHERE t IS NOT NULL
$$;
-- +goose StatementEnd

ALTER TABLE assets
    ADD COLUMN words tsvector NOT NULL GENERATED ALWAYS AS (gaia_asset_words(title, style_tags, description)) STORED,
    ADD COLUMN tags text [] NOT NULL GENERATED ALWAYS AS (gaia_asset_tags(style_tags)) STORED,
    ALTER COLUMN quality_score SET NOT NULL,
    ALTER COLUMN download_count SET NOT NULL,
    ALTER COLUMN attribution_required SET NOT NULL,
    ALTER COLUMN metadata SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN updated_at SET NOT NULL;

ALTER TABLE assets ENABLE TRIGGER USER;

-- A download is no change of the asset.
-- +goose StatementBegin
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT g.tgname
        FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
        WHERE g.tgrelid = 'assets'::regclass AND p.proname = 'update_updated_at_column'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON assets', t.tgname);
    END LOOP;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER update_assets_updated_at BEFORE UPDATE ON assets
FOR EACH ROW WHEN (OLD.download_count = NEW.download_count) EXECUTE FUNCTION update_updated_at_column();

-- These indexes of the LLM Platform serve no query any more, and the one of the downloads would make every download write all others.
DROP INDEX IF EXISTS idx_assets_title_fts;
DROP INDEX IF EXISTS idx_assets_description_fts;
DROP INDEX IF EXISTS idx_assets_style_tags;
DROP INDEX IF EXISTS idx_assets_download_count;
DROP INDEX IF EXISTS idx_assets_created_at;

CREATE INDEX idx_assets_words ON assets USING gin (words);
CREATE INDEX idx_assets_tags ON assets USING gin (tags);
-- All that lists are filtered by: they are read and counted without the rows.
CREATE INDEX idx_assets_listed ON assets (created_at DESC, id DESC)
INCLUDE (public, owner, category, license_type, quality_score, file_format, file_size);

-- Words of assets, by which faults of spelling are found, and how many assets have each. Those of private assets are their owner's alone;
-- owner is empty for those of public ones. The numbers change often, and no index has them.
CREATE TABLE asset_words (
    owner text COLLATE "C" NOT NULL,
    word text COLLATE "C" NOT NULL,
    assets integer NOT NULL,
    PRIMARY KEY (owner, word)
) WITH (fillfactor = 80);

-- +goose StatementBegin
-- The words of an asset that are noted: the first ones, so that nobody fills the table with a long text.
CREATE FUNCTION gaia_noted_words(public boolean, owner text, title text, tags text [], description text)
RETURNS TABLE (noted_for text, word text)
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN public THEN '' ELSE owner END, w.lexeme
    FROM unnest(to_tsvector(
        'pg_catalog.simple',
        translate(
            left(concat_ws(' ', title, array_to_string(tags, ' '), description), 8192),
            '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32)
        )
    )) AS w
    WHERE (public OR owner <> '') AND length(w.lexeme) BETWEEN 3 AND 64
        AND cardinality(coalesce(ts_lexize('pg_catalog.english_stem', w.lexeme), ARRAY[w.lexeme])) > 0
    ORDER BY w.positions[1], w.lexeme
    LIMIT 64
$$;
-- +goose StatementEnd

INSERT INTO asset_words (owner, word, assets)
SELECT w.noted_for, w.word, count(*)
FROM assets AS a CROSS JOIN LATERAL gaia_noted_words(a.public, a.owner, a.title, a.style_tags, a.description) AS w
GROUP BY w.noted_for, w.word;

-- +goose StatementBegin
CREATE FUNCTION gaia_note_asset_words() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    changes asset_words [];
BEGIN
    CASE TG_OP
    WHEN 'INSERT' THEN
        changes := ARRAY(
            SELECT ROW(w.noted_for, w.word, count(*))::asset_words
            FROM added AS a CROSS JOIN LATERAL gaia_noted_words(a.public, a.owner, a.title, a.style_tags, a.description) AS w
            GROUP BY w.noted_for, w.word
        );
    WHEN 'DELETE' THEN
        changes := ARRAY(
            SELECT ROW(w.noted_for, w.word, -count(*))::asset_words
            FROM gone AS a CROSS JOIN LATERAL gaia_noted_words(a.public, a.owner, a.title, a.style_tags, a.description) AS w
            GROUP BY w.noted_for, w.word
        );
    ELSE
        changes := ARRAY(
            SELECT ROW(w.noted_for, w.word, -1)::asset_words
            FROM gaia_noted_words(OLD.public, OLD.owner, OLD.title, OLD.style_tags, OLD.description) AS w
            UNION ALL
            SELECT ROW(w.noted_for, w.word, 1)::asset_words
            FROM gaia_noted_words(NEW.public, NEW.owner, NEW.title, NEW.style_tags, NEW.description) AS w
        );
    END CASE;
    -- In order, so that of two who note the same words one waits for the other, and never each for the other.
    INSERT INTO asset_words AS known (owner, word, assets)
    SELECT c.owner, c.word, sum(c.assets)
    FROM unnest(changes) AS c
    GROUP BY c.owner, c.word
    HAVING sum(c.assets) <> 0
    ORDER BY c.owner, c.word
    ON CONFLICT (owner, word) DO UPDATE SET assets = known.assets + excluded.assets;
    IF TG_OP <> 'INSERT' THEN -- a word goes with the last asset that has it
        DELETE FROM asset_words AS known
        USING unnest(changes) AS c
        WHERE known.owner = c.owner AND known.word = c.word AND known.assets <= 0;
    END IF;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER note_asset_words AFTER INSERT ON assets
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION gaia_note_asset_words();
CREATE TRIGGER forget_asset_words AFTER DELETE ON assets
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gaia_note_asset_words();
CREATE TRIGGER change_asset_words AFTER UPDATE OF public, owner, title, style_tags, description ON assets
FOR EACH ROW EXECUTE FUNCTION gaia_note_asset_words();

-- +goose StatementBegin
-- Words that a viewer sees somewhere and that begin with the same letter and are about as long: those that most assets have. Where pg_trgm is
-- there, the words that look most alike in other ways, too: it may be missing, nobody may be allowed to create it, and it may go later.
CREATE FUNCTION gaia_words_like(viewer text, wanted text, most integer) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    SELECT w.word FROM asset_words AS w
    WHERE w.owner IN ('', viewer) AND starts_with(w.word, left(wanted, 1))
        AND length(w.word) BETWEEN length(wanted) - 2 AND length(wanted) + 3
    ORDER BY w.assets DESC, w.word
    LIMIT most
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $do$
DECLARE
    place name;
BEGIN
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
    EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE 'search goes on without pg_trgm: %', SQLERRM;
    END;
    SELECT n.nspname INTO place FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF place IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE INDEX idx_asset_words_trgm ON asset_words USING gin (word %I.gin_trgm_ops)', place);
    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION gaia_words_like(viewer text, wanted text, most integer) RETURNS SETOF text
        LANGUAGE plpgsql STABLE AS $body$
        BEGIN
            RETURN QUERY SELECT w.word FROM asset_words AS w
            WHERE w.owner IN ('', viewer) AND starts_with(w.word, left(wanted, 1))
                AND length(w.word) BETWEEN length(wanted) - 2 AND length(wanted) + 3
            ORDER BY w.assets DESC, w.word
            LIMIT most;
            RETURN QUERY SELECT w.word FROM asset_words AS w
            WHERE w.owner IN ('', viewer) AND w.word OPERATOR(%1$I.%%) wanted
            ORDER BY %1$I.similarity(w.word, wanted) DESC, w.word
            LIMIT most;
        EXCEPTION WHEN undefined_function THEN
            NULL; -- the extension is gone
        END;
        $body$
    $create$, place);
END;
$do$;
-- +goose StatementEnd

-- +goose Down

DROP FUNCTION gaia_words_like(text, text, integer);
DROP TRIGGER note_asset_words ON assets;
DROP TRIGGER forget_asset_words ON assets;
DROP TRIGGER change_asset_words ON assets;
DROP FUNCTION gaia_note_asset_words();
DROP FUNCTION gaia_noted_words(boolean, text, text, text [], text);
DROP TABLE asset_words;
DROP TRIGGER update_assets_updated_at ON assets;
CREATE TRIGGER update_assets_updated_at BEFORE UPDATE ON assets FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
DROP INDEX idx_assets_listed;
CREATE INDEX IF NOT EXISTS idx_assets_created_at ON assets (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_assets_download_count ON assets (download_count DESC);
CREATE INDEX IF NOT EXISTS idx_assets_style_tags ON assets USING gin (style_tags);
CREATE INDEX IF NOT EXISTS idx_assets_title_fts ON assets USING gin (to_tsvector('english', title));
CREATE INDEX IF NOT EXISTS idx_assets_description_fts ON assets USING gin (to_tsvector('english', description));
ALTER TABLE assets
    DROP COLUMN words,
    DROP COLUMN tags,
    ALTER COLUMN quality_score DROP NOT NULL,
    ALTER COLUMN download_count DROP NOT NULL,
    ALTER COLUMN attribution_required DROP NOT NULL,
    ALTER COLUMN metadata DROP NOT NULL,
    ALTER COLUMN created_at DROP NOT NULL,
    ALTER COLUMN updated_at DROP NOT NULL;
DROP FUNCTION gaia_asset_tags(text []);
DROP FUNCTION gaia_asset_words(text, text [], text);
