-- +goose Up

-- Who serves on this database: each replica says every few seconds that it is
-- there, and which keys it holds.
CREATE TABLE replicas (
    id         uuid        PRIMARY KEY,
    name       text        NOT NULL,
    version    text        NOT NULL,
    sandbox    boolean     NOT NULL,
    max_conns  integer     NOT NULL,
    keys       text[]      NOT NULL,
    start_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    clock_time timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE (keys, seen_time, clock_time), DELETE ON replicas TO tillbook_app;

COMMENT ON COLUMN replicas.max_conns IS 'How many connections to the database it may open in all.';
COMMENT ON COLUMN replicas.keys IS 'The ids of the keys that its configuration lists, in that order.';
COMMENT ON COLUMN replicas.clock_time IS 'What its own clock said at seen_time.';

-- The keys from the configuration that seal what is stored, by id; never the keys
-- themselves. The one with the latest use_time is in use.
CREATE TABLE secret_keys (
    id          text        PRIMARY KEY,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    use_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    end_time    timestamptz,
    retire_time timestamptz
);
GRANT SELECT, INSERT, UPDATE (use_time, end_time) ON secret_keys TO tillbook_app;

COMMENT ON COLUMN secret_keys.use_time IS 'Since when it is, or last was, in use.';
COMMENT ON COLUMN secret_keys.end_time IS 'Since when another is in use instead; null for the one in use.';
COMMENT ON COLUMN secret_keys.retire_time IS 'Since when no replica holds it any more; null before.';

-- A log may have several keys: while one follows another, both sign.
ALTER TABLE log_keys ADD COLUMN retire_time timestamptz;

COMMENT ON COLUMN log_keys.retire_time IS 'Since when it signs no more; null before.';

-- +goose Down
ALTER TABLE log_keys DROP COLUMN retire_time;
DROP TABLE secret_keys;
DROP TABLE replicas;
