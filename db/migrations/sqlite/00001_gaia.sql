-- Gaia's schema for SQLite. Ids are canonical UUIDs as text, times are microseconds since 1970 in UTC, JSON is text.

-- +goose Up

CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,
    name TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key_hash TEXT NOT NULL UNIQUE,
    name TEXT,
    permissions TEXT NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    expires_at INTEGER,
    last_used_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE INDEX idx_api_keys_user_id ON api_keys (user_id);

CREATE TABLE personas (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    system_prompt TEXT NOT NULL,
    personality_traits TEXT NOT NULL DEFAULT '{}',
    capabilities TEXT NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_by TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE INDEX idx_personas_name ON personas (name);
CREATE INDEX idx_personas_created_by ON personas (created_by);
CREATE INDEX idx_personas_active_created_at ON personas (is_active, created_at DESC);
CREATE UNIQUE INDEX personas_active_name_key ON personas (name) WHERE is_active;

CREATE TABLE user_persona_preferences (
    user_id TEXT PRIMARY KEY NOT NULL,
    persona_id TEXT NOT NULL REFERENCES personas (id) ON DELETE CASCADE,
    updated_at INTEGER NOT NULL
);

CREATE INDEX idx_user_persona_preferences_persona_id ON user_persona_preferences (persona_id);

CREATE TABLE conversations (
    id TEXT PRIMARY KEY NOT NULL,
    principal TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    is_default BOOLEAN NOT NULL DEFAULT FALSE,
    title TEXT NOT NULL DEFAULT 'New Conversation',
    preview TEXT,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE UNIQUE INDEX conversations_default_key ON conversations (principal) WHERE is_default;
CREATE INDEX idx_conversations_principal ON conversations (principal, updated_at DESC);
CREATE INDEX idx_conversations_user_id ON conversations (user_id);

-- seq orders messages where times can't: both messages of a turn may carry one time.
CREATE TABLE chat_messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    principal TEXT NOT NULL,
    user_id TEXT REFERENCES users (id),
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    model TEXT,
    provider TEXT,
    tokens_used INTEGER,
    created_at INTEGER NOT NULL
);

CREATE INDEX idx_chat_messages_conversation_seq ON chat_messages (conversation_id, seq);
CREATE INDEX idx_chat_messages_user_id ON chat_messages (user_id);
CREATE INDEX idx_chat_messages_created_at ON chat_messages (created_at);

CREATE TABLE asset_sources (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_type TEXT NOT NULL,
    source_name TEXT NOT NULL,
    api_endpoint TEXT,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    rate_limit_per_minute INTEGER,
    requires_attribution BOOLEAN NOT NULL DEFAULT FALSE,
    cost_per_request REAL NOT NULL DEFAULT 0.0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE assets (
    id TEXT PRIMARY KEY NOT NULL,
    source_id INTEGER REFERENCES asset_sources (id),
    external_id TEXT,
    category TEXT NOT NULL CHECK (
        category IN ('environment', 'character', 'prop', 'audio', 'texture', 'animation', 'image')
    ),
    title TEXT NOT NULL,
    description TEXT,
    style_tags TEXT,
    file_url TEXT NOT NULL,
    storage_type TEXT NOT NULL CHECK (storage_type IN ('supabase', 'external', 'generated')),
    file_size_mb REAL,
    file_format TEXT,
    preview_image_url TEXT,
    quality_score REAL NOT NULL DEFAULT 0.0 CHECK (quality_score >= 0 AND quality_score <= 1),
    download_count INTEGER NOT NULL DEFAULT 0,
    license_type TEXT CHECK (
        license_type IN ('creative_commons', 'public_domain', 'custom', 'commercial', 'proprietary')
    ),
    attribution_required BOOLEAN NOT NULL DEFAULT FALSE,
    metadata TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE INDEX idx_assets_source_id ON assets (source_id);
CREATE INDEX idx_assets_created_at ON assets (created_at DESC);
CREATE INDEX idx_assets_download_count ON assets (download_count DESC);
CREATE INDEX idx_assets_category_quality ON assets (category, quality_score DESC);
CREATE INDEX idx_assets_category_created ON assets (category, created_at DESC);

CREATE TABLE asset_generations (
    id TEXT PRIMARY KEY NOT NULL,
    asset_id TEXT REFERENCES assets (id) ON DELETE CASCADE,
    generation_prompt TEXT NOT NULL,
    generation_service TEXT NOT NULL,
    generation_cost REAL NOT NULL,
    generation_time_ms INTEGER NOT NULL,
    session_id TEXT,
    user_id TEXT,
    generation_metadata TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL
);

CREATE INDEX idx_asset_generations_asset_id ON asset_generations (asset_id);
CREATE INDEX idx_asset_generations_session_id ON asset_generations (session_id);

CREATE TABLE asset_modifications (
    id TEXT PRIMARY KEY NOT NULL,
    base_asset_id TEXT REFERENCES assets (id) ON DELETE CASCADE,
    modified_asset_id TEXT REFERENCES assets (id) ON DELETE CASCADE,
    modifications TEXT NOT NULL,
    modification_service TEXT NOT NULL,
    modification_cost REAL NOT NULL,
    modification_time_ms INTEGER NOT NULL,
    session_id TEXT,
    user_id TEXT,
    modification_metadata TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL
);

CREATE INDEX idx_asset_modifications_base_asset_id ON asset_modifications (base_asset_id);
CREATE INDEX idx_asset_modifications_modified_asset_id ON asset_modifications (modified_asset_id);

CREATE TABLE asset_usage (
    id TEXT PRIMARY KEY NOT NULL,
    asset_id TEXT REFERENCES assets (id) ON DELETE CASCADE,
    user_id TEXT,
    session_id TEXT,
    usage_type TEXT NOT NULL,
    cost_incurred REAL NOT NULL DEFAULT 0.0,
    metadata TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL
);

CREATE INDEX idx_asset_usage_asset_id ON asset_usage (asset_id);
CREATE INDEX idx_asset_usage_user_id ON asset_usage (user_id);

-- +goose Down

DROP TABLE asset_usage;
DROP TABLE asset_modifications;
DROP TABLE asset_generations;
DROP TABLE assets;
DROP TABLE asset_sources;
DROP TABLE chat_messages;
DROP TABLE conversations;
DROP TABLE user_persona_preferences;
DROP TABLE personas;
DROP TABLE api_keys;
DROP TABLE users;
