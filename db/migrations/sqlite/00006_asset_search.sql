-- Search in the catalogue of assets.

-- +goose Up

-- What assets are looked for by. number grows with the time of an asset, so that the index has them in that order: the microseconds
-- since 1970, which leave room for 2048 of the same one before they get into the next. It never changes, as those that SQLite itself
-- gives to rows may.
CREATE TABLE asset_entries (
    number INTEGER PRIMARY KEY NOT NULL,
    asset_id TEXT NOT NULL UNIQUE REFERENCES assets (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    public BOOLEAN NOT NULL,
    category TEXT NOT NULL,
    license_type TEXT,
    quality_score REAL NOT NULL,
    file_format TEXT,
    file_size INTEGER NOT NULL,
    style_tags TEXT NOT NULL
);

CREATE VIRTUAL TABLE asset_index USING fts5(
    title, tags, description, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

-- Words of assets, by which faults of spelling are found, and how many assets have each. Those of private assets are their owner's alone;
-- owner is empty for those of public ones.
CREATE TABLE asset_words (
    owner TEXT NOT NULL,
    word TEXT NOT NULL,
    assets INTEGER NOT NULL,
    PRIMARY KEY (owner, word)
) WITHOUT ROWID;

INSERT INTO asset_entries (
    number, asset_id, owner, public, category, license_type, quality_score, file_format, file_size, style_tags
)
SELECT
    min(max(a.created_at, 0), 4000000000000000) * 2048 + row_number() OVER (PARTITION BY a.created_at ORDER BY a.id) - 1,
    a.id, a.owner, a.public, a.category, a.license_type, a.quality_score, a.file_format, a.file_size, coalesce(a.style_tags, '[]')
FROM assets AS a;

INSERT INTO asset_index (rowid, title, tags, description)
SELECT e.number, a.title, coalesce(a.style_tags, ''), coalesce(a.description, '')
FROM assets AS a
INNER JOIN asset_entries AS e ON a.id = e.asset_id;

-- +goose StatementBegin
CREATE TRIGGER index_asset AFTER INSERT ON assets
BEGIN
    -- The first number that is free behind those of the same time.
    INSERT INTO asset_entries (
        number, asset_id, owner, public, category, license_type, quality_score, file_format, file_size, style_tags
    )
    SELECT
        coalesce(
            (
                SELECT e.number + 1
                FROM asset_entries AS e
                WHERE e.number >= (
                    SELECT max(same.number)
                    FROM asset_entries AS same
                    WHERE same.number BETWEEN t.begin_at AND t.begin_at + 2047
                ) AND NOT EXISTS (SELECT 1 FROM asset_entries AS next WHERE next.number = e.number + 1)
                ORDER BY e.number
                LIMIT 1
            ),
            t.begin_at
        ),
        NEW.id, NEW.owner, NEW.public, NEW.category, NEW.license_type, NEW.quality_score, NEW.file_format, NEW.file_size,
        coalesce(NEW.style_tags, '[]')
    FROM (SELECT min(max(NEW.created_at, 0), 4000000000000000) * 2048 AS begin_at) AS t;
    INSERT INTO asset_index (rowid, title, tags, description)
    SELECT e.number, NEW.title, coalesce(NEW.style_tags, ''), coalesce(NEW.description, '')
    FROM asset_entries AS e
    WHERE e.asset_id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER index_asset_again
AFTER UPDATE OF owner, public, category, title, description, style_tags, quality_score, license_type, file_format, file_size ON assets
BEGIN
    UPDATE asset_entries
    SET
        owner = NEW.owner, public = NEW.public, category = NEW.category, license_type = NEW.license_type,
        quality_score = NEW.quality_score, file_format = NEW.file_format, file_size = NEW.file_size,
        style_tags = coalesce(NEW.style_tags, '[]')
    WHERE asset_id = NEW.id;
    UPDATE asset_index
    SET title = NEW.title, tags = coalesce(NEW.style_tags, ''), description = coalesce(NEW.description, '')
    WHERE rowid = (SELECT e.number FROM asset_entries AS e WHERE e.asset_id = NEW.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER unindex_asset BEFORE DELETE ON assets
BEGIN
    DELETE FROM asset_index WHERE rowid = (SELECT e.number FROM asset_entries AS e WHERE e.asset_id = OLD.id);
    DELETE FROM asset_entries WHERE asset_id = OLD.id;
END;
-- +goose StatementEnd

-- +goose Down

DROP TRIGGER index_asset;
DROP TRIGGER index_asset_again;
DROP TRIGGER unindex_asset;
DROP TABLE asset_words;
DROP TABLE asset_index;
DROP TABLE asset_entries;
