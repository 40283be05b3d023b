-- The schema of the LLM Platform, from which Gaia grows. Tables that exist already are taken over as they are; 00002 brings both
-- a new and an old database into Gaia's shape.

-- +goose Up

-- Remembers what was here before Gaia, so that going down never drops it.
CREATE TABLE gaia_adopted_tables (
    name text PRIMARY KEY
);

INSERT INTO gaia_adopted_tables (name)
SELECT c.relname
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'gaia_adopted_tables';

-- +goose StatementBegin
-- A time that the statement sets itself is kept: the application has its own clock.
CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at = now();
    END IF;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd

CREATE TABLE IF NOT EXISTS users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email varchar(255) NOT NULL UNIQUE,
    name varchar(255),
    created_at timestamp DEFAULT current_timestamp,
    updated_at timestamp DEFAULT current_timestamp
);

CREATE TABLE IF NOT EXISTS api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key_hash varchar(64) NOT NULL UNIQUE,
    name varchar(255),
    permissions jsonb DEFAULT '{}',
    is_active boolean DEFAULT true,
    expires_at timestamp,
    last_used_at timestamp,
    created_at timestamp DEFAULT current_timestamp,
    updated_at timestamp DEFAULT current_timestamp
);

CREATE INDEX IF NOT EXISTS idx_api_keys_user_id ON api_keys (user_id);
CREATE INDEX IF NOT EXISTS idx_api_keys_key_hash ON api_keys (key_hash);
CREATE INDEX IF NOT EXISTS idx_api_keys_is_active ON api_keys (is_active);

CREATE TABLE IF NOT EXISTS personas (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(100) NOT NULL UNIQUE,
    description text NOT NULL,
    system_prompt text NOT NULL,
    personality_traits jsonb DEFAULT '{}',
    capabilities jsonb DEFAULT '{}',
    is_active boolean DEFAULT true,
    created_by varchar(255),
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_personas_name ON personas (name);
CREATE INDEX IF NOT EXISTS idx_personas_active ON personas (is_active);
CREATE INDEX IF NOT EXISTS idx_personas_created_by ON personas (created_by);

CREATE TABLE IF NOT EXISTS user_persona_preferences (
    user_id varchar(255) PRIMARY KEY,
    persona_id uuid NOT NULL REFERENCES personas (id) ON DELETE CASCADE,
    updated_at timestamptz DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_user_persona_preferences_persona_id ON user_persona_preferences (persona_id);

CREATE TABLE IF NOT EXISTS conversations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title varchar(255) NOT NULL DEFAULT 'New Conversation',
    preview text,
    is_active boolean DEFAULT true,
    created_at timestamp DEFAULT current_timestamp,
    updated_at timestamp DEFAULT current_timestamp
);

CREATE INDEX IF NOT EXISTS idx_conversations_user_id ON conversations (user_id);
CREATE INDEX IF NOT EXISTS idx_conversations_created_at ON conversations (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_conversations_is_active ON conversations (is_active);

CREATE TABLE IF NOT EXISTS chat_messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id),
    conversation_id uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role varchar(50) NOT NULL,
    content text NOT NULL,
    model varchar(100),
    provider varchar(50),
    tokens_used integer,
    created_at timestamp DEFAULT current_timestamp
);

CREATE INDEX IF NOT EXISTS idx_chat_messages_user_id ON chat_messages (user_id);
CREATE INDEX IF NOT EXISTS idx_chat_messages_conversation_id ON chat_messages (conversation_id);
CREATE INDEX IF NOT EXISTS idx_chat_messages_created_at ON chat_messages (created_at);
CREATE INDEX IF NOT EXISTS idx_chat_messages_role ON chat_messages (role);

CREATE TABLE IF NOT EXISTS asset_sources (
    id serial PRIMARY KEY,
    source_type varchar(50) NOT NULL,
    source_name varchar(100) NOT NULL,
    api_endpoint varchar(255),
    is_active boolean DEFAULT true,
    rate_limit_per_minute integer,
    requires_attribution boolean DEFAULT false,
    cost_per_request decimal(10, 6) DEFAULT 0.0,
    created_at timestamp DEFAULT now(),
    updated_at timestamp DEFAULT now()
);

-- The vector column "embedding" of the old schema is left out: it needs an extension that may be missing.
CREATE TABLE IF NOT EXISTS assets (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    source_id integer REFERENCES asset_sources (id),
    external_id varchar(255),
    category varchar(50) NOT NULL,
    title varchar(255) NOT NULL,
    description text,
    style_tags text [],
    file_url text NOT NULL,
    storage_type varchar(20) NOT NULL,
    file_size_mb float,
    file_format varchar(10),
    preview_image_url text,
    quality_score float DEFAULT 0.0 CHECK (quality_score >= 0 AND quality_score <= 1),
    download_count integer DEFAULT 0,
    license_type varchar(50),
    attribution_required boolean DEFAULT false,
    metadata jsonb DEFAULT '{}',
    created_at timestamp DEFAULT now(),
    updated_at timestamp DEFAULT now(),
    CONSTRAINT valid_category CHECK (category IN ('environment', 'character', 'prop', 'audio', 'texture', 'animation')),
    CONSTRAINT valid_storage_type CHECK (storage_type IN ('supabase', 'external', 'generated')),
    CONSTRAINT valid_license CHECK (
        license_type IN ('creative_commons', 'public_domain', 'custom', 'commercial', 'proprietary')
    )
);

CREATE INDEX IF NOT EXISTS idx_assets_category ON assets (category);
CREATE INDEX IF NOT EXISTS idx_assets_style_tags ON assets USING gin (style_tags);
CREATE INDEX IF NOT EXISTS idx_assets_quality ON assets (quality_score DESC);
CREATE INDEX IF NOT EXISTS idx_assets_storage_type ON assets (storage_type);
CREATE INDEX IF NOT EXISTS idx_assets_license ON assets (license_type);
CREATE INDEX IF NOT EXISTS idx_assets_created_at ON assets (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_assets_download_count ON assets (download_count DESC);
CREATE INDEX IF NOT EXISTS idx_assets_source_id ON assets (source_id);
CREATE INDEX IF NOT EXISTS idx_assets_title_fts ON assets USING gin (to_tsvector('english', title));
CREATE INDEX IF NOT EXISTS idx_assets_description_fts ON assets USING gin (to_tsvector('english', description));
CREATE INDEX IF NOT EXISTS idx_assets_category_quality ON assets (category, quality_score DESC);
CREATE INDEX IF NOT EXISTS idx_assets_category_created ON assets (category, created_at DESC);

CREATE TABLE IF NOT EXISTS asset_generations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    asset_id uuid REFERENCES assets (id) ON DELETE CASCADE,
    generation_prompt text NOT NULL,
    generation_service varchar(50) NOT NULL,
    generation_cost decimal(10, 4) NOT NULL,
    generation_time_ms integer NOT NULL,
    session_id varchar(255),
    user_id varchar(255),
    generation_metadata jsonb DEFAULT '{}',
    created_at timestamp DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_asset_generations_asset_id ON asset_generations (asset_id);
CREATE INDEX IF NOT EXISTS idx_asset_generations_session_id ON asset_generations (session_id);

CREATE TABLE IF NOT EXISTS asset_modifications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    base_asset_id uuid REFERENCES assets (id) ON DELETE CASCADE,
    modified_asset_id uuid REFERENCES assets (id) ON DELETE CASCADE,
    modifications text [] NOT NULL,
    modification_service varchar(50) NOT NULL,
    modification_cost decimal(10, 4) NOT NULL,
    modification_time_ms integer NOT NULL,
    session_id varchar(255),
    user_id varchar(255),
    modification_metadata jsonb DEFAULT '{}',
    created_at timestamp DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_asset_modifications_base_asset_id ON asset_modifications (base_asset_id);
CREATE INDEX IF NOT EXISTS idx_asset_modifications_modified_asset_id ON asset_modifications (modified_asset_id);

CREATE TABLE IF NOT EXISTS asset_usage (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    asset_id uuid REFERENCES assets (id) ON DELETE CASCADE,
    user_id varchar(255),
    session_id varchar(255),
    usage_type varchar(50) NOT NULL,
    cost_incurred decimal(10, 4) DEFAULT 0.0,
    metadata jsonb DEFAULT '{}',
    created_at timestamp DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_asset_usage_asset_id ON asset_usage (asset_id);
CREATE INDEX IF NOT EXISTS idx_asset_usage_user_id ON asset_usage (user_id);

-- +goose StatementBegin
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['users', 'api_keys', 'assets', 'asset_sources', 'conversations'] LOOP
        IF NOT EXISTS (
            SELECT FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
            WHERE g.tgrelid = t::regclass AND p.proname = 'update_updated_at_column'
        ) THEN
            EXECUTE format(
                'CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()',
                'update_' || t || '_updated_at', t
            );
        END IF;
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- +goose Down

-- +goose StatementBegin
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY[
        'asset_usage', 'asset_modifications', 'asset_generations', 'assets', 'asset_sources',
        'chat_messages', 'conversations', 'user_persona_preferences', 'personas', 'api_keys', 'users'
    ] LOOP
        IF NOT EXISTS (SELECT FROM gaia_adopted_tables WHERE name = t) THEN
            EXECUTE format('DROP TABLE IF EXISTS %I', t);
        END IF;
    END LOOP;
    IF NOT EXISTS (
        SELECT FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
        WHERE p.proname = 'update_updated_at_column' AND p.pronamespace = quote_ident(current_schema())::regnamespace
    ) THEN
        DROP FUNCTION IF EXISTS update_updated_at_column();
    END IF;
END;
$$;
-- +goose StatementEnd

DROP TABLE gaia_adopted_tables;
