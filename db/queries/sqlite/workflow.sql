-- name: InsertWorkflow :execrows
-- No row when the owner has one with this key.
INSERT INTO workflows (
    id, owner, principal, kind, status, task, agents, input, model, persona_id, max_iterations, max_tokens, max_cost, max_duration,
    idempotency_key, fingerprint, created_at, updated_at, traceparent, last_event
)
VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, 1)
ON CONFLICT (owner, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING;

-- name: GetWorkflow :one
SELECT *
FROM workflows
WHERE id = ?1;

-- name: GetWorkflowByKey :one
SELECT *
FROM workflows
WHERE owner = ?1 AND idempotency_key = ?2;

-- name: ListWorkflowSteps :many
SELECT *
FROM workflow_steps
WHERE workflow_id = ?1
ORDER BY sequence;

-- name: ShowWorkflowSteps :many
SELECT
    workflow_id, sequence, id, place, kind, name, agent, status, input, output, error, input_tokens, output_tokens, cost, started_at,
    completed_at
FROM workflow_steps
WHERE workflow_id = ?1
ORDER BY sequence;

-- name: ListWorkflows :many
SELECT
    id, kind, status, task, model, persona_id, max_iterations, max_tokens, max_cost, max_duration, error, input_tokens, output_tokens,
    cost, created_at, updated_at, completed_at
FROM workflows
WHERE owner = sqlc.arg(owner) AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT))
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg(max_workflows) OFFSET sqlc.arg(skip);

-- name: CountWorkflows :one
SELECT count(*)
FROM workflows
WHERE owner = sqlc.arg(owner) AND (CAST(sqlc.arg(status) AS TEXT) = '' OR status = CAST(sqlc.arg(status) AS TEXT));

-- name: GetWorkflowStatus :one
SELECT owner, status
FROM workflows
WHERE id = ?1;

-- name: ListWorkflowEvents :many
SELECT *
FROM workflow_events
WHERE workflow_id = sqlc.arg(workflow_id) AND sequence > sqlc.arg(after)
ORDER BY sequence
LIMIT sqlc.arg(max_events);

-- name: ClaimWorkflow :one
UPDATE workflows SET
    claimed_by = sqlc.arg(runner), claimed_until = CAST(sqlc.arg(until) AS INTEGER), status = 'running', updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND completed_at IS NULL
    AND (claimed_by = '' OR claimed_by = sqlc.arg(runner) OR claimed_until <= sqlc.arg(now))
RETURNING *;

-- name: RenewWorkflow :execrows
UPDATE workflows SET claimed_until = CAST(sqlc.arg(until) AS INTEGER)
WHERE id = sqlc.arg(id) AND claimed_by = sqlc.arg(runner) AND claimed_by <> '' AND completed_at IS NULL;

-- name: AbandonWorkflow :exec
UPDATE workflows SET claimed_by = '', claimed_until = NULL
WHERE id = sqlc.arg(id) AND claimed_by = sqlc.arg(runner);

-- name: CommitWorkflow :one
-- No row when the runner has not the claim. A workflow that ends is nobody's any more.
UPDATE workflows SET
    status = sqlc.arg(status), output = sqlc.arg(output), error = sqlc.arg(error), input_tokens = sqlc.arg(input_tokens),
    output_tokens = sqlc.arg(output_tokens), cost = sqlc.arg(cost), updated_at = sqlc.arg(updated_at),
    completed_at = sqlc.narg(completed_at), last_event = last_event + sqlc.arg(events),
    claimed_by = CASE WHEN sqlc.narg(completed_at) IS NULL THEN claimed_by ELSE '' END,
    claimed_until = CASE WHEN sqlc.narg(completed_at) IS NULL THEN claimed_until END
WHERE id = sqlc.arg(id) AND claimed_by = sqlc.arg(runner) AND claimed_by <> '' AND completed_at IS NULL
RETURNING owner, kind, last_event;

-- name: CancelWorkflow :one
UPDATE workflows SET
    status = 'cancelled', updated_at = sqlc.arg(at), completed_at = CAST(sqlc.arg(at) AS INTEGER), last_event = last_event + 1,
    claimed_by = '', claimed_until = NULL
WHERE id = sqlc.arg(id) AND owner = sqlc.arg(owner) AND completed_at IS NULL
RETURNING *;

-- name: PutWorkflowStep :execrows
-- Makes a step or goes on with it. No row when it has ended or is another one.
INSERT INTO workflow_steps (
    workflow_id, sequence, id, place, kind, name, agent, status, input, output, result, error, input_tokens, output_tokens, cost,
    started_at, completed_at
)
VALUES (
    sqlc.arg(workflow_id),
    (SELECT coalesce(max(s.sequence), 0) + 1 FROM workflow_steps AS s WHERE s.workflow_id = sqlc.arg(workflow_id)),
    sqlc.arg(id), sqlc.arg(place), sqlc.arg(kind), sqlc.arg(name), sqlc.arg(agent), sqlc.arg(status), sqlc.arg(input),
    sqlc.arg(output), sqlc.narg(result), sqlc.arg(error), sqlc.arg(input_tokens), sqlc.arg(output_tokens), sqlc.arg(cost),
    sqlc.arg(started_at), sqlc.narg(completed_at)
)
ON CONFLICT (workflow_id, place) DO UPDATE SET
    kind = excluded.kind, name = excluded.name, agent = excluded.agent, status = excluded.status, input = excluded.input,
    output = excluded.output, result = excluded.result, error = excluded.error, input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens, cost = excluded.cost, completed_at = excluded.completed_at
WHERE workflow_steps.id = excluded.id AND workflow_steps.status IN ('pending', 'running');

-- name: EndWorkflowSteps :exec
UPDATE workflow_steps SET status = 'cancelled', completed_at = CAST(sqlc.arg(at) AS INTEGER)
WHERE workflow_id = sqlc.arg(workflow_id) AND status IN ('pending', 'running');

-- name: PutWorkflowEvent :exec
INSERT INTO workflow_events (workflow_id, sequence, id, type, status, step_id, at, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: ListWaitingWorkflows :many
SELECT id
FROM workflows
WHERE completed_at IS NULL AND (claimed_by = '' OR claimed_until <= CAST(sqlc.arg(now) AS INTEGER))
ORDER BY created_at, id
LIMIT sqlc.arg(max_workflows);

-- name: ExpireWorkflows :execrows
-- Steps and events go with their workflow.
DELETE FROM workflows
WHERE id IN (
    SELECT old.id
    FROM workflows AS old
    WHERE old.completed_at < CAST(sqlc.arg(before) AS INTEGER)
    ORDER BY old.completed_at
    LIMIT sqlc.arg(max_workflows)
);
