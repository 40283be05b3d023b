-- +goose Up
-- What the sender of events knows: the last number of the outbox that it has been given, and where the bus stood, in the sender's own words,
-- when there was no doubt about any event.
CREATE TABLE outbox_state (
    one INTEGER PRIMARY KEY NOT NULL DEFAULT 1 CHECK (one = 1),
    handed INTEGER NOT NULL DEFAULT 0,
    since TEXT NOT NULL DEFAULT ''
);
INSERT INTO outbox_state DEFAULT VALUES;

-- +goose Down
DROP TABLE outbox_state;
