-- From the LLM Platform's schema to Gaia's. It runs on the empty tables of 00001 and on filled ones alike and loses no row.

-- +goose Up

-- Times without a zone were UTC.
SET LOCAL TIME ZONE 'UTC';

ALTER TABLE users
    ALTER COLUMN created_at TYPE timestamptz,
    ALTER COLUMN updated_at TYPE timestamptz;
ALTER TABLE api_keys
    ALTER COLUMN expires_at TYPE timestamptz,
    ALTER COLUMN last_used_at TYPE timestamptz,
    ALTER COLUMN created_at TYPE timestamptz,
    ALTER COLUMN updated_at TYPE timestamptz;
ALTER TABLE conversations
    ALTER COLUMN created_at TYPE timestamptz,
    ALTER COLUMN updated_at TYPE timestamptz;
ALTER TABLE chat_messages
    ALTER COLUMN created_at TYPE timestamptz;
ALTER TABLE asset_sources
    ALTER COLUMN created_at TYPE timestamptz,
    ALTER COLUMN updated_at TYPE timestamptz;
ALTER TABLE assets
    ALTER COLUMN created_at TYPE timestamptz,
    ALTER COLUMN updated_at TYPE timestamptz;
ALTER TABLE asset_generations
    ALTER COLUMN created_at TYPE timestamptz;
ALTER TABLE asset_modifications
    ALTER COLUMN created_at TYPE timestamptz;
ALTER TABLE asset_usage
    ALTER COLUMN created_at TYPE timestamptz;

-- The variants of the old schema: foreign keys to users where Gaia keeps the text of a principal, and any kind of unique name.
-- +goose StatementBegin
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT k.conrelid::regclass AS tab, k.conname
        FROM pg_constraint AS k
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND k.conkey = ARRAY[a.attnum]
        WHERE (k.conrelid = 'personas'::regclass AND k.contype = 'f' AND a.attname = 'created_by')
            OR (k.conrelid = 'personas'::regclass AND k.contype = 'u' AND a.attname = 'name')
            OR (k.conrelid = 'user_persona_preferences'::regclass AND k.contype = 'f' AND a.attname = 'user_id')
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.tab, r.conname);
    END LOOP;
    FOR r IN
        SELECT i.indexrelid::regclass AS idx
        FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = 'name'
        WHERE i.indrelid = 'personas'::regclass AND i.indisunique AND i.indpred IS NULL AND i.indkey::text = a.attnum::text
    LOOP
        EXECUTE format('DROP INDEX %s', r.idx);
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- Filling new columns is no change that a client made.
ALTER TABLE personas DISABLE TRIGGER USER;
ALTER TABLE user_persona_preferences DISABLE TRIGGER USER;
ALTER TABLE conversations DISABLE TRIGGER USER;
ALTER TABLE chat_messages DISABLE TRIGGER USER;

-- Nobody saw a persona whose is_active was null.
UPDATE personas SET
    is_active = coalesce(is_active, false),
    personality_traits = coalesce(personality_traits, '{}'),
    capabilities = coalesce(capabilities, '{}'),
    created_at = coalesce(created_at, updated_at, now()),
    updated_at = coalesce(updated_at, created_at, now())
WHERE is_active IS NULL OR personality_traits IS NULL OR capabilities IS NULL OR created_at IS NULL OR updated_at IS NULL;
ALTER TABLE personas
    ALTER COLUMN created_by TYPE text,
    ALTER COLUMN personality_traits SET NOT NULL,
    ALTER COLUMN capabilities SET NOT NULL,
    ALTER COLUMN is_active SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN updated_at SET NOT NULL;

-- A variant marks the default persona by a column and has no place for its creator.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'personas'::regclass AND attname = 'is_default' AND NOT attisdropped) THEN
        UPDATE personas SET created_by = 'system' WHERE is_default AND created_by IS NULL;
    END IF;
END;
$$;
-- +goose StatementEnd

DROP INDEX IF EXISTS idx_personas_active;
DROP INDEX IF EXISTS idx_personas_active_created_at;
CREATE INDEX idx_personas_active_created_at ON personas (is_active, created_at DESC);
CREATE UNIQUE INDEX personas_active_name_key ON personas (name) WHERE is_active;

UPDATE user_persona_preferences SET updated_at = now() WHERE updated_at IS NULL;
ALTER TABLE user_persona_preferences
    ALTER COLUMN user_id TYPE text,
    ALTER COLUMN updated_at SET NOT NULL;

-- Conversations belong to a principal: a user, a key or the service. Most principals have no row in users.
ALTER TABLE conversations
    ADD COLUMN IF NOT EXISTS principal text,
    ADD COLUMN IF NOT EXISTS is_default boolean NOT NULL DEFAULT false,
    ALTER COLUMN user_id DROP NOT NULL;
UPDATE conversations SET
    principal = coalesce(principal, user_id::text, 'conversation:' || id::text),
    title = coalesce(title, 'New Conversation'),
    is_active = coalesce(is_active, true),
    created_at = coalesce(created_at, updated_at, now()),
    updated_at = coalesce(updated_at, created_at, now());
ALTER TABLE conversations
    ALTER COLUMN principal SET NOT NULL,
    ALTER COLUMN title SET DEFAULT 'New Conversation',
    ALTER COLUMN title SET NOT NULL,
    ALTER COLUMN is_active SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN updated_at SET NOT NULL;
CREATE UNIQUE INDEX conversations_default_key ON conversations (principal) WHERE is_default;
CREATE INDEX idx_conversations_principal ON conversations (principal, updated_at DESC);

-- seq orders messages where times can't: both messages of a turn may carry one time.
ALTER TABLE chat_messages
    ADD COLUMN IF NOT EXISTS principal text,
    ADD COLUMN IF NOT EXISTS seq bigint,
    ALTER COLUMN user_id DROP NOT NULL;
UPDATE chat_messages SET
    principal = coalesce(chat_messages.principal, chat_messages.user_id::text, c.principal),
    seq = coalesce(chat_messages.seq, o.seq),
    created_at = coalesce(chat_messages.created_at, c.created_at)
FROM conversations AS c, (
    SELECT
        id,
        (SELECT coalesce(max(seq), 0) FROM chat_messages) + row_number() OVER (ORDER BY created_at NULLS FIRST, ctid) AS seq
    FROM chat_messages
) AS o
WHERE c.id = chat_messages.conversation_id AND o.id = chat_messages.id;
ALTER TABLE chat_messages
    ALTER COLUMN principal SET NOT NULL,
    ALTER COLUMN role TYPE text,
    ALTER COLUMN model TYPE text,
    ALTER COLUMN provider TYPE text,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN seq SET NOT NULL,
    ALTER COLUMN seq ADD GENERATED BY DEFAULT AS IDENTITY;
SELECT setval(pg_get_serial_sequence('chat_messages', 'seq'), (SELECT coalesce(max(seq), 0) + 1 FROM chat_messages), false);
DROP INDEX IF EXISTS idx_chat_messages_conversation_id;
CREATE UNIQUE INDEX chat_messages_conversation_seq_key ON chat_messages (conversation_id, seq);

ALTER TABLE personas ENABLE TRIGGER USER;
ALTER TABLE user_persona_preferences ENABLE TRIGGER USER;
ALTER TABLE conversations ENABLE TRIGGER USER;
ALTER TABLE chat_messages ENABLE TRIGGER USER;

-- One variant of the old check refuses generated images.
ALTER TABLE assets DROP CONSTRAINT IF EXISTS valid_category;
ALTER TABLE assets ADD CONSTRAINT valid_category CHECK (
    category IN ('environment', 'character', 'prop', 'audio', 'texture', 'animation', 'image')
);

-- +goose Down

-- Columns that hold what the old schema has no place for stay, no longer required: dropping them would lose who owns what.
-- Widened types stay too.
SET LOCAL TIME ZONE 'UTC';

DROP INDEX IF EXISTS chat_messages_conversation_seq_key;
CREATE INDEX IF NOT EXISTS idx_chat_messages_conversation_id ON chat_messages (conversation_id);
ALTER TABLE chat_messages
    ALTER COLUMN seq DROP IDENTITY IF EXISTS,
    ALTER COLUMN seq DROP NOT NULL,
    ALTER COLUMN principal DROP NOT NULL,
    ALTER COLUMN created_at DROP NOT NULL;

DROP INDEX IF EXISTS idx_conversations_principal;
DROP INDEX IF EXISTS conversations_default_key;
ALTER TABLE conversations
    ALTER COLUMN principal DROP NOT NULL,
    ALTER COLUMN is_active DROP NOT NULL,
    ALTER COLUMN created_at DROP NOT NULL,
    ALTER COLUMN updated_at DROP NOT NULL;

ALTER TABLE user_persona_preferences ALTER COLUMN updated_at DROP NOT NULL;

DROP INDEX IF EXISTS personas_active_name_key;
DROP INDEX IF EXISTS idx_personas_active_created_at;
CREATE INDEX IF NOT EXISTS idx_personas_active ON personas (is_active);
ALTER TABLE personas
    ALTER COLUMN personality_traits DROP NOT NULL,
    ALTER COLUMN capabilities DROP NOT NULL,
    ALTER COLUMN is_active DROP NOT NULL,
    ALTER COLUMN created_at DROP NOT NULL,
    ALTER COLUMN updated_at DROP NOT NULL;

-- What the old schema demands comes back only where the rows allow it.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM personas GROUP BY name HAVING count(*) > 1) THEN
        ALTER TABLE personas ADD CONSTRAINT personas_name_key UNIQUE (name);
    END IF;
    IF NOT EXISTS (SELECT FROM conversations WHERE user_id IS NULL) THEN
        ALTER TABLE conversations ALTER COLUMN user_id SET NOT NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM chat_messages WHERE user_id IS NULL) THEN
        ALTER TABLE chat_messages ALTER COLUMN user_id SET NOT NULL;
    END IF;
END;
$$;
-- +goose StatementEnd

ALTER TABLE users
    ALTER COLUMN created_at TYPE timestamp,
    ALTER COLUMN updated_at TYPE timestamp;
ALTER TABLE api_keys
    ALTER COLUMN expires_at TYPE timestamp,
    ALTER COLUMN last_used_at TYPE timestamp,
    ALTER COLUMN created_at TYPE timestamp,
    ALTER COLUMN updated_at TYPE timestamp;
ALTER TABLE conversations
    ALTER COLUMN created_at TYPE timestamp,
    ALTER COLUMN updated_at TYPE timestamp;
ALTER TABLE chat_messages
    ALTER COLUMN created_at TYPE timestamp;
ALTER TABLE asset_sources
    ALTER COLUMN created_at TYPE timestamp,
    ALTER COLUMN updated_at TYPE timestamp;
ALTER TABLE assets
    ALTER COLUMN created_at TYPE timestamp,
    ALTER COLUMN updated_at TYPE timestamp;
ALTER TABLE asset_generations
    ALTER COLUMN created_at TYPE timestamp;
ALTER TABLE asset_modifications
    ALTER COLUMN created_at TYPE timestamp;
ALTER TABLE asset_usage
    ALTER COLUMN created_at TYPE timestamp;
