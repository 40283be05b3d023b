-- name: ListLastMessages :many
-- None also when the conversation is someone else's.
SELECT seq, id, role, content, persona_id, model, provider, tokens_used, usage_source, tool_calls, created_at
FROM chat_messages
WHERE conversation_id = (SELECT c.id FROM conversations AS c WHERE c.id = sqlc.arg(id) AND c.principal = sqlc.arg(principal))
    AND role IN ('user', 'assistant') AND seq >= sqlc.arg(since)
ORDER BY seq DESC
LIMIT sqlc.arg(max_messages);

-- name: ListLastDefaultMessages :many
SELECT seq, id, role, content, persona_id, model, provider, tokens_used, usage_source, tool_calls, created_at
FROM chat_messages
WHERE conversation_id = (SELECT c.id FROM conversations AS c WHERE c.principal = sqlc.arg(principal) AND c.is_default)
    AND role IN ('user', 'assistant') AND seq >= sqlc.arg(since)
ORDER BY seq DESC
LIMIT sqlc.arg(max_messages);

-- name: GetConversationOwner :one
SELECT principal, persona_id
FROM conversations
WHERE id = ?1;

-- name: GetMessageCount :one
SELECT principal, message_count
FROM conversations
WHERE id = ?1;

-- name: GetDefaultMessageCount :one
SELECT message_count
FROM conversations
WHERE principal = ?1 AND is_default;

-- name: GetDefaultConversation :one
SELECT id
FROM conversations
WHERE principal = ?1 AND is_default;

-- name: EmptyConversation :execrows
UPDATE conversations SET message_count = 0, preview = ''
WHERE id = ?1;

-- name: DeleteMessages :exec
DELETE FROM chat_messages
WHERE conversation_id = ?1;

-- name: ListConversations :many
SELECT id, is_default, title, preview, persona_id, message_count, created_at, updated_at
FROM conversations
WHERE principal = sqlc.arg(principal) AND is_active
ORDER BY updated_at DESC, id DESC
LIMIT sqlc.arg(max_conversations) OFFSET sqlc.arg(skip);

-- name: CountConversations :one
SELECT count(*)
FROM conversations
WHERE principal = ?1 AND is_active;

-- name: GetConversation :one
SELECT id, is_default, title, preview, persona_id, message_count, created_at, updated_at
FROM conversations
WHERE id = ?1 AND principal = ?2 AND is_active;

-- name: InsertConversation :exec
INSERT INTO conversations (id, principal, is_default, title, preview, persona_id, created_at, updated_at)
VALUES (?1, ?2, FALSE, ?3, '', ?4, ?5, ?6);

-- name: DeleteConversation :execrows
DELETE FROM conversations
WHERE id = ?1 AND principal = ?2 AND is_active;

-- name: ListMessages :many
SELECT seq, id, role, content, persona_id, model, provider, tokens_used, usage_source, tool_calls, created_at
FROM chat_messages
WHERE conversation_id = sqlc.arg(conversation_id) AND role IN ('user', 'assistant')
ORDER BY seq
LIMIT sqlc.arg(max_messages) OFFSET sqlc.arg(skip);

-- name: ListMessagesDown :many
SELECT seq, id, role, content, persona_id, model, provider, tokens_used, usage_source, tool_calls, created_at
FROM chat_messages
WHERE conversation_id = sqlc.arg(conversation_id) AND role IN ('user', 'assistant')
ORDER BY seq DESC
LIMIT sqlc.arg(max_messages) OFFSET sqlc.arg(skip);
