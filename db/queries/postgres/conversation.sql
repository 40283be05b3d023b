-- name: GetDefaultConversation :one
SELECT id
FROM conversations
WHERE principal = $1 AND is_default;

-- name: GetConversationPrincipal :one
SELECT principal
FROM conversations
WHERE id = $1;

-- name: EnterDefaultConversation :one
-- Makes the conversation or locks it, so that turns of one conversation come one after the other.
INSERT INTO conversations (id, principal, is_default, created_at, updated_at) VALUES ($1, $2, true, $3, $3)
ON CONFLICT (principal) WHERE is_default DO UPDATE SET updated_at = greatest(conversations.updated_at, excluded.updated_at)
RETURNING id;

-- name: EnterConversation :one
-- As EnterDefaultConversation; no row when the conversation is someone else's.
INSERT INTO conversations (id, principal, created_at, updated_at) VALUES ($1, $2, $3, $3)
ON CONFLICT (id) DO UPDATE SET updated_at = greatest(conversations.updated_at, excluded.updated_at)
WHERE conversations.principal = excluded.principal
RETURNING id;

-- name: InsertMessage :exec
INSERT INTO chat_messages (id, principal, conversation_id, role, content, model, provider, tokens_used, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: ListLastMessages :many
SELECT id, role, content, model, provider, tokens_used, created_at
FROM chat_messages
WHERE conversation_id = $1 AND role IN ('user', 'assistant')
ORDER BY seq DESC
LIMIT sqlc.arg(max_messages);

-- name: CountMessages :one
SELECT count(*)
FROM chat_messages
WHERE conversation_id = $1 AND role IN ('user', 'assistant');

-- name: DeleteMessages :exec
DELETE FROM chat_messages
WHERE conversation_id = $1;
