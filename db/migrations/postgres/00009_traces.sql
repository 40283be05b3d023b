-- +goose NO TRANSACTION
-- +goose Up
-- The trace of the request that caused something, as its header "traceparent" says it; null: nobody watched. Rows of a release that does not
-- write it have null. stored_at is when an event began to wait, whoever stored it: those that wait already count from now on.
--
-- Each table by itself: processes that work meanwhile change work and tell of it in one transaction, so who holds both would meet them.
ALTER TABLE generations ADD COLUMN IF NOT EXISTS traceparent text;
ALTER TABLE workflows ADD COLUMN IF NOT EXISTS traceparent text;
ALTER TABLE outbox
    ADD COLUMN IF NOT EXISTS traceparent text,
    ADD COLUMN IF NOT EXISTS stored_at timestamptz NOT NULL DEFAULT now();

-- +goose Down
ALTER TABLE outbox
    DROP COLUMN IF EXISTS stored_at,
    DROP COLUMN IF EXISTS traceparent;
ALTER TABLE workflows DROP COLUMN IF EXISTS traceparent;
ALTER TABLE generations DROP COLUMN IF EXISTS traceparent;
