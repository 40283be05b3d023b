-- +goose Up
-- The trace of the request that caused something, as its header "traceparent" says it; null: nobody watched. Rows of a release that does not
-- write it have null. stored_at is when an event began to wait, whoever stored it: those that wait already count from now on.
ALTER TABLE outbox
    ADD COLUMN traceparent text,
    ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE generations ADD COLUMN traceparent text;
ALTER TABLE workflows ADD COLUMN traceparent text;

-- +goose Down
ALTER TABLE workflows DROP COLUMN traceparent;
ALTER TABLE generations DROP COLUMN traceparent;
ALTER TABLE outbox
    DROP COLUMN stored_at,
    DROP COLUMN traceparent;
