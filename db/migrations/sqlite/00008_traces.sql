-- +goose Up
-- The trace of the request that caused something, as its header "traceparent" says it; null: nobody watched. stored_at is when an event began
-- to wait; 0 for those that waited already.
ALTER TABLE outbox ADD COLUMN traceparent TEXT;
ALTER TABLE outbox ADD COLUMN stored_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generations ADD COLUMN traceparent TEXT;
ALTER TABLE workflows ADD COLUMN traceparent TEXT;

-- +goose Down
ALTER TABLE workflows DROP COLUMN traceparent;
ALTER TABLE generations DROP COLUMN traceparent;
ALTER TABLE outbox DROP COLUMN stored_at;
ALTER TABLE outbox DROP COLUMN traceparent;
