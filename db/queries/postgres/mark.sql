-- name: GetMark :one
SELECT marked_at
FROM marks
WHERE name = $1;

-- name: SetMark :exec
INSERT INTO marks (name, marked_at) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET marked_at = excluded.marked_at;
