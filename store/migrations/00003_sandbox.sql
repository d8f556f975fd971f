-- +goose Up

-- What a real SMS gateway would have sent. Written and read only by a server
-- that runs as a sandbox; only the newest rows are kept.
CREATE TABLE sandbox_messages (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone_number text        COLLATE "C" NOT NULL,
    text         text        NOT NULL,
    create_time  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX sandbox_messages_phone_number ON sandbox_messages (phone_number, id);
GRANT SELECT, INSERT, DELETE ON sandbox_messages TO tillbook_app;

-- +goose Down
DROP TABLE sandbox_messages;
