-- +goose Up
-- What the sender of events knows: which numbers of the outbox it has been given without having said what came of them, and where the bus
-- stood, in the sender's own words, when there was no doubt about any event.
CREATE TABLE outbox_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    handed bigint [] NOT NULL DEFAULT '{}',
    since text NOT NULL DEFAULT ''
);
INSERT INTO outbox_state DEFAULT VALUES;

-- +goose Down
DROP TABLE outbox_state;
