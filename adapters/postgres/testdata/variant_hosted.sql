-- What the hosted databases of the LLM Platform have differently.

CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY);
INSERT INTO auth.users (id) SELECT id FROM users;

SET TIME ZONE 'UTC';

ALTER TABLE api_keys
    ALTER COLUMN expires_at TYPE timestamptz,
    ALTER COLUMN last_used_at TYPE timestamptz,
    ALTER COLUMN user_id DROP NOT NULL,
    DROP CONSTRAINT api_keys_user_id_fkey,
    ADD FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE;
CREATE INDEX idx_api_keys_expires_at ON api_keys (expires_at) WHERE expires_at IS NOT NULL;
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_keys ON api_keys USING (user_id::text = current_setting('request.jwt.sub', true));

ALTER TABLE personas ADD COLUMN is_default boolean DEFAULT false;
UPDATE personas SET is_default = (name = 'Mu');
ALTER TABLE personas
    ALTER COLUMN created_by TYPE uuid USING CASE WHEN created_by LIKE '________-%' THEN created_by::uuid END,
    ADD FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL,
    DROP CONSTRAINT personas_name_key;
CREATE UNIQUE INDEX personas_unique_name ON personas (name);
CREATE INDEX idx_personas_active_created_at ON personas (is_active, created_at DESC) WHERE is_active = true;

ALTER TABLE user_persona_preferences
    ALTER COLUMN user_id TYPE uuid USING user_id::uuid,
    ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX idx_user_persona_preferences_user ON user_persona_preferences (user_id);

ALTER TABLE conversations
    ALTER COLUMN title DROP DEFAULT,
    ALTER COLUMN title DROP NOT NULL,
    DROP CONSTRAINT conversations_user_id_fkey;

ALTER TABLE assets DROP CONSTRAINT valid_category;
ALTER TABLE assets ADD CONSTRAINT valid_category CHECK (
    category IN ('environment', 'character', 'prop', 'audio', 'texture', 'animation', 'image')
);
INSERT INTO assets (id, category, title, file_url, storage_type) VALUES
('e0000000-0000-4000-8000-000000000003', 'image', 'Sunset', 'https://example.org/sunset.png', 'supabase');
