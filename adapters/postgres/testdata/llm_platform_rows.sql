-- Rows of every table of the LLM Platform, with what real ones have in them: nulls, duplicates, deleted personas, equal times.

INSERT INTO users (id, email, name, created_at, updated_at) VALUES
('11111111-1111-4111-8111-111111111111', 'ada@example.org', 'Ada', '2024-01-02 03:04:05.678901', '2024-02-03 04:05:06'),
('22222222-2222-4222-8222-222222222222', 'bob@example.org', NULL, '2024-03-31 02:30:00', NULL);

INSERT INTO api_keys (id, user_id, key_hash, name, permissions, is_active, expires_at, last_used_at, created_at, updated_at) VALUES
(
    'a0000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', repeat('a', 64), 'laptop',
    '{"admin": true}', true, '2030-01-01 00:00:00', '2024-06-01 12:00:00', '2024-01-02 03:04:05', '2024-01-02 03:04:05'
),
(
    'a0000000-0000-4000-8000-000000000002', '22222222-2222-4222-8222-222222222222', repeat('b', 64), NULL,
    '["chat", "assets"]', false, NULL, NULL, NULL, NULL
);

INSERT INTO personas (
    id, name, description, system_prompt, personality_traits, capabilities, is_active, created_by, created_at, updated_at
) VALUES
(
    'b0000000-0000-4000-8000-000000000001', 'Mu', 'A robot', 'You are Mu. {tools_section}', '{"cheerful": true}',
    '{"chat": {"level": 1.5, "tags": ["a", null]}}', true, 'system', '2024-01-01 00:00:00+00', '2024-01-01 00:00:00+00'
),
(
    'b0000000-0000-4000-8000-000000000002', 'Sage', 'Wise', 'You are Sage.', '{}', '{}', true,
    '11111111-1111-4111-8111-111111111111', '2024-01-02 00:00:00+02', '2024-01-02 00:00:00+02'
),
(
    'b0000000-0000-4000-8000-000000000003', 'Deleted', 'Gone', 'You are gone.', '[]', 'null', false,
    'service', '2024-01-03 00:00:00+00', '2024-01-04 00:00:00+00'
),
('b0000000-0000-4000-8000-000000000004', 'Nulls', '', '', NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO user_persona_preferences (user_id, persona_id, updated_at) VALUES
('11111111-1111-4111-8111-111111111111', 'b0000000-0000-4000-8000-000000000002', '2024-05-05 05:05:05+00'),
('22222222-2222-4222-8222-222222222222', 'b0000000-0000-4000-8000-000000000001', NULL);

INSERT INTO conversations (id, user_id, title, preview, is_active, created_at, updated_at) VALUES
(
    'c0000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'First', 'hello…', true,
    '2024-01-05 10:00:00', '2024-01-05 10:05:00'
),
('c0000000-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'Empty', NULL, false, NULL, NULL),
(
    'c0000000-0000-4000-8000-000000000003', '22222222-2222-4222-8222-222222222222', 'New Conversation', NULL, NULL,
    '2024-01-06 10:00:00', '2024-01-06 10:00:00'
);

-- The ids are in no order, and both messages of a turn carry one time.
INSERT INTO chat_messages (id, user_id, conversation_id, role, content, model, provider, tokens_used, created_at) VALUES
(
    'd0000000-0000-4000-8000-000000000009', '11111111-1111-4111-8111-111111111111', 'c0000000-0000-4000-8000-000000000001',
    'user', 'first question', NULL, NULL, NULL, '2024-01-05 10:00:00'
),
(
    'd0000000-0000-4000-8000-000000000008', '11111111-1111-4111-8111-111111111111', 'c0000000-0000-4000-8000-000000000001',
    'assistant', 'first answer', 'claude-3-haiku', 'claude', 42, '2024-01-05 10:00:00'
),
(
    'd0000000-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'c0000000-0000-4000-8000-000000000001',
    'assistant', 'third answer', 'gpt-4', 'openai', 44, '2024-01-05 10:05:01'
),
(
    'd0000000-0000-4000-8000-000000000003', '11111111-1111-4111-8111-111111111111', 'c0000000-0000-4000-8000-000000000001',
    'user', 'third question', NULL, NULL, NULL, '2024-01-05 10:05:00'
),
(
    'd0000000-0000-4000-8000-000000000004', '11111111-1111-4111-8111-111111111111', 'c0000000-0000-4000-8000-000000000001',
    'system', 'a note', NULL, NULL, NULL, '2024-01-05 10:01:00'
),
(
    'd0000000-0000-4000-8000-000000000001', '22222222-2222-4222-8222-222222222222', 'c0000000-0000-4000-8000-000000000003',
    'user', 'of Bob', NULL, NULL, NULL, NULL
);

-- The seeds of the old platform ran twice.
INSERT INTO asset_sources (source_type, source_name, api_endpoint, rate_limit_per_minute, requires_attribution, created_at, updated_at)
SELECT v.source_type, v.source_name, v.api_endpoint, v.per_minute, v.attribution, '2024-01-01 00:00:00', '2024-01-01 00:00:00'
FROM generate_series(1, 2), (VALUES
    ('open_source', 'freesound', 'https://freesound.org/apiv2', 60, true),
    ('community', 'community_uploads', NULL, NULL, false),
    ('generated', 'openai', 'https://api.openai.com', 50, false)
) AS v (source_type, source_name, api_endpoint, per_minute, attribution);

INSERT INTO assets (
    id, source_id, external_id, category, title, description, style_tags, file_url, storage_type, file_size_mb, file_format,
    quality_score, license_type, metadata, created_at, updated_at
) VALUES
(
    'e0000000-0000-4000-8000-000000000001', 1, 'x1', 'audio', 'Rain', 'Falling rain', ARRAY['calm', 'wet'],
    'https://example.org/rain.wav', 'external', 1.25, 'wav', 0.5, 'creative_commons', '{"bpm": 0}', '2024-01-07 00:00:00', NULL
),
(
    'e0000000-0000-4000-8000-000000000002', NULL, NULL, 'texture', 'Brick', NULL, NULL,
    'https://example.org/brick.png', 'generated', NULL, NULL, NULL, NULL, NULL, NULL, '2024-01-08 00:00:00'
);

INSERT INTO asset_generations (id, asset_id, generation_prompt, generation_service, generation_cost, generation_time_ms, created_at) VALUES
('f0000000-0000-4000-8000-000000000001', 'e0000000-0000-4000-8000-000000000002', 'a brick', 'openai', 0.0400, 1500, '2024-01-08 00:00:00');

INSERT INTO asset_modifications (
    id, base_asset_id, modified_asset_id, modifications, modification_service, modification_cost, modification_time_ms, created_at
) VALUES
(
    'f0000000-0000-4000-8000-000000000002', 'e0000000-0000-4000-8000-000000000001', 'e0000000-0000-4000-8000-000000000002',
    ARRAY['louder'], 'mubert', 0.1, 10, '2024-01-09 00:00:00'
);

INSERT INTO asset_usage (id, asset_id, user_id, usage_type, cost_incurred, metadata, created_at) VALUES
('f0000000-0000-4000-8000-000000000003', 'e0000000-0000-4000-8000-000000000001', 'service', 'download', 0.0012, '{"n": 1}', '2024-01-10 00:00:00'),
('f0000000-0000-4000-8000-000000000004', NULL, NULL, 'view', NULL, NULL, NULL);
