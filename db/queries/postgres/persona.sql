-- name: InsertPersona :exec
INSERT INTO personas (
    id, name, description, system_prompt, personality_traits, capabilities, is_active, created_by, created_at, updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: GetPersona :one
SELECT id, name, description, system_prompt, personality_traits, capabilities, is_active, created_by, created_at, updated_at
FROM personas
WHERE id = $1;

-- name: LockPersona :one
SELECT id, name, description, system_prompt, personality_traits, capabilities, is_active, created_by, created_at, updated_at
FROM personas
WHERE id = $1
FOR UPDATE;

-- name: GetPersonaOf :one
SELECT id, name, description, system_prompt, personality_traits, capabilities, is_active, created_by, created_at, updated_at
FROM personas
WHERE name = $1 AND created_by = $2
ORDER BY is_active DESC, created_at DESC, id DESC
LIMIT 1;

-- name: ListPersonas :many
SELECT id, name, description, system_prompt, personality_traits, capabilities, is_active, created_by, created_at, updated_at
FROM personas
ORDER BY created_at DESC, id DESC;

-- name: ListActivePersonas :many
-- By pages, so that the index serves them in order whatever the share of active personas is. Without a limit the planner would rather
-- read the table and sort it. The size of a page is a literal because a prepared plan can't see a parameter.
SELECT id, name, description, system_prompt, personality_traits, capabilities, is_active, created_by, created_at, updated_at
FROM personas
WHERE is_active AND (created_at, id) < (sqlc.arg(before_created_at)::timestamptz, sqlc.arg(before_id)::uuid)
ORDER BY created_at DESC, id DESC
LIMIT 500;

-- name: UpdatePersona :exec
UPDATE personas SET
    name = $2, description = $3, system_prompt = $4, personality_traits = $5, capabilities = $6, is_active = $7, updated_at = $8
WHERE id = $1;

-- name: GetPreference :one
SELECT persona_id
FROM user_persona_preferences
WHERE user_id = $1;

-- name: SetPreference :exec
INSERT INTO user_persona_preferences (user_id, persona_id, updated_at) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET persona_id = excluded.persona_id, updated_at = excluded.updated_at;
